//! Whether what must outlive the process has a place that others cannot change, and the status file and the audit log
//! one to stand in.

use std::fs::Metadata;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use locket_engine::sink::inspect;
use locket_engine::telemetry::AuditTarget;
use rustix::fs::{Access, access};

use super::super::finding::{Check, Finding, Scene};

pub(super) const CHECK: Check = Check { name: "state", look };

fn look(scene: &Scene<'_>) -> Vec<Finding> {
    let settings = match scene.settled() {
        Ok(settings) => settings,
        Err(findings) => return findings,
    };
    let mut findings = vec![directory(&settings.state_dir)];
    findings.extend(settings.status_file.as_deref().map(status_file));
    findings.extend(settings.outlets.audit.as_ref().map(audit_log));
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

fn audit_log(target: &AuditTarget) -> Finding {
    let path = target.path();
    let shown = path.display();
    let bad = |why: &str, cure: &str| {
        Finding::bad(
            format!("the audit log {shown} {why}, so the agent would not start"),
            cure,
        )
    };
    if let AuditTarget::Journal(_) = target {
        return match std::fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket()) {
            true => Finding::good("the audit log goes to systemd's journal"),
            false => bad(
                "is no socket of systemd's journal",
                "Name a file with `--audit-log`.",
            ),
        };
    }
    if std::fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        let cure = "Name another one with `--audit-log`, or take away what is there.";
        return bad("is no regular file", cure);
    }
    // Unlike the directory of the status file, this one is not made: a log that begins elsewhere would not be found.
    if !path.parent().is_some_and(Path::is_dir) {
        let cure = "Make the directory, or name another file with `--audit-log`.";
        return bad("is in a directory that is not there", cure);
    }
    match inspect(path) {
        Ok(facts) if !facts.read_only && is_permitted(path, facts.permitted) => {
            Finding::good(format!("the audit log {shown} can be written"))
        }
        _ => bad(
            "cannot be written",
            "Name another one with `--audit-log`, or let this user write there.",
        ),
    }
}

/// Whether this user may write the file at `path`, or make one where `may_make` says so.
fn is_permitted(path: &Path, may_make: bool) -> bool {
    match path.exists() {
        true => access(path, Access::WRITE_OK).is_ok(),
        false => may_make,
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
    fn an_audit_log_that_an_agent_could_not_open_is_bad() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        let state = |name: &str| audit_log(&AuditTarget::File(at(name))).state;
        assert_eq!(state("a.jsonl"), Health::Good, "it will be made");
        std::fs::write(at("a.jsonl"), "").unwrap();
        assert_eq!(state("a.jsonl"), Health::Good);
        std::fs::create_dir(at("directory")).unwrap();
        std::os::unix::fs::symlink(at("a.jsonl"), at("link")).unwrap();
        for name in ["log/a.jsonl", "directory", "link", "a.jsonl/b"] {
            assert_eq!(state(name), Health::Bad, "{name}");
        }
        let journal = AuditTarget::Journal(at("socket"));
        assert_eq!(audit_log(&journal).state, Health::Bad);
        let _socket = std::os::unix::net::UnixDatagram::bind(at("socket")).unwrap();
        assert_eq!(audit_log(&journal).state, Health::Good);
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
