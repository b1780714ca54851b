//! Whether what must outlive the process has a place that others cannot change, and the status file one to stand in.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use locket_engine::sink::inspect;

use super::super::finding::{Check, Finding, Scene};

pub(super) const CHECK: Check = Check { name: "state", look };

fn look(scene: &Scene<'_>) -> Vec<Finding> {
    let settings = match scene.settled() {
        Ok(settings) => settings,
        Err(findings) => return findings,
    };
    let mut findings = vec![directory(&settings.state_dir)];
    findings.extend(settings.status_file.as_deref().map(status_file));
    findings
}

fn directory(path: &Path) -> Finding {
    let shown = path.display();
    if let Ok(metadata) = std::fs::metadata(path)
        && let Some(finding) = intruders(path, &metadata)
    {
        return finding;
    }
    match inspect(&path.join("file")) {
        Ok(facts) if facts.permitted && !facts.read_only => Finding::good(format!("{shown} can be written")),
        _ => Finding::weak(
            format!("{shown} cannot be written: after a crash nobody is told of what changed"),
            "Name another one with `--state-dir`, or let this user write there.",
        ),
    }
}

fn intruders(path: &Path, metadata: &Metadata) -> Option<Finding> {
    let us = rustix::process::geteuid().as_raw();
    let bits = metadata.mode() & 0o7777;
    let shown = path.display();
    if !metadata.is_dir() {
        return Some(Finding::bad(
            format!("{shown} is no directory"),
            "Name another one with `--state-dir`.",
        ));
    }
    let is_foreign = metadata.uid() != us && metadata.uid() != 0;
    (is_foreign || bits & 0o022 != 0).then(|| {
        Finding::bad(
            format!(
                "others can change what is in {shown} (owner {}, mode {bits:04o})",
                metadata.uid()
            ),
            format!("Make it this user's own: `chown {us} {shown}` and `chmod 0700 {shown}`."),
        )
    })
}

fn status_file(path: &Path) -> Finding {
    let shown = path.display();
    if std::fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return Finding::bad(
            format!("the status file {shown} is no regular file, so the agent would not start"),
            "Name another one with `--status-file`, or take away what is there.",
        );
    }
    match inspect(path) {
        Ok(facts) if facts.permitted && !facts.read_only => {
            Finding::good(format!("the status file {shown} can be written"))
        }
        _ => Finding::bad(
            format!("the status file {shown} cannot be written, so the agent would not start"),
            "Name another one with `--status-file`, or let this user write there.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::super::finding::Health;
    use super::*;

    #[test]
    fn a_status_file_that_is_none_is_bad() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        assert_eq!(status_file(&at("status")).state, Health::Good, "it will be made");
        std::fs::write(at("status"), "").unwrap();
        assert_eq!(status_file(&at("status")).state, Health::Good);
        std::fs::create_dir(at("directory")).unwrap();
        std::os::unix::fs::symlink(at("status"), at("link")).unwrap();
        for name in ["directory", "link"] {
            assert_eq!(status_file(&at(name)).state, Health::Bad, "{name}");
        }
    }

    #[test]
    fn a_directory_that_others_can_change_is_bad() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("state");
        assert_eq!(directory(&path).state, Health::Good, "it will be made");
        std::fs::create_dir(&path).unwrap();
        for (mode, state) in [(0o700, Health::Good), (0o755, Health::Good), (0o770, Health::Bad)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(directory(&path).state, state, "{mode:o}");
        }
        std::fs::write(home.path().join("file"), "").unwrap();
        assert_eq!(directory(&home.path().join("file")).state, Health::Bad);
    }
}
