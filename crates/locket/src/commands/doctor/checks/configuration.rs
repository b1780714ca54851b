//! Which configuration files count, whether others could have written them, and whether they are right.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::super::finding::{Check, Finding, Mistaken, Scene};
use crate::config;
use crate::options::Notice;

pub(super) const CHECK: Check = Check {
    name: "configuration",
    look,
};

fn look(scene: &Scene<'_>) -> Vec<Finding> {
    let found = config::load(scene.matches, scene.context);
    let mut findings: Vec<_> = found
        .files
        .iter()
        .map(|file| {
            let us = rustix::process::geteuid().as_raw();
            match std::fs::metadata(scene.context.directory.join(&file.path)) {
                Ok(metadata) => judge(&file.path, metadata.uid(), metadata.mode(), us),
                Err(error) => Finding::weak(
                    format!("{} cannot be looked at: {error}", file.path.display()),
                    "Let this user look at it.",
                ),
            }
        })
        .collect();
    findings.extend(found.notices.iter().filter_map(|notice| match notice {
        Notice::Warning(text) => Some(Finding::weak(
            text.clone(),
            "Correct its owner and mode, or name it.",
        )),
        _ => None,
    }));
    match &scene.settings {
        Err(Mistaken) => findings.push(Finding::bad(
            "flags, variables or files have mistakes",
            "Correct what standard error shows.",
        )),
        Ok(_) if findings.is_empty() => {
            findings.push(Finding::good("no file; flags and variables alone count"));
        }
        Ok(_) => {}
    }
    findings
}

fn judge(path: &Path, owner: u32, mode: u32, us: u32) -> Finding {
    let shown = path.display();
    let bits = mode & 0o7777;
    if owner != us && owner != 0 {
        return Finding::bad(
            format!("{shown} belongs to another user ({owner}), who decides which programs locket runs"),
            format!("Take it over: `chown {us} {shown}`."),
        );
    }
    if bits & 0o022 != 0 {
        return Finding::bad(
            format!("others may write to {shown} (mode {bits:04o}) and so decide which programs locket runs"),
            format!("Take that away: `chmod go-w {shown}`."),
        );
    }
    Finding::good(format!("{shown}, owner {owner}, mode {bits:04o}"))
}

#[cfg(test)]
mod tests {
    use super::super::super::finding::Health;
    use super::*;

    #[test]
    fn a_file_that_others_can_write_is_bad() {
        let state = |owner, mode| judge(Path::new("locket.toml"), owner, mode, 1000).state;
        assert_eq!(state(1000, 0o100_644), Health::Good);
        assert_eq!(state(0, 0o100_644), Health::Good);
        assert_eq!(state(1000, 0o100_664), Health::Bad);
        assert_eq!(state(1001, 0o100_600), Health::Bad);
    }
}
