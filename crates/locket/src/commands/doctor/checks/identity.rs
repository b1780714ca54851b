//! Whether the key of the embedded store is its owner's alone.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use locket_engine::sink::inspect;
use locket_providers::store::Store;
use locket_sys::mount::Filesystem;

use super::super::finding::{Check, Finding, Scene};
use crate::runtime;

pub(super) const CHECK: Check = Check {
    name: "identity",
    look,
};

fn look(scene: &Scene<'_>) -> Vec<Finding> {
    let settings = match scene.settled() {
        Ok(settings) => settings,
        Err(findings) => return findings,
    };
    let common = &settings.common;
    let told = runtime::block_on(common.providers.told("store", scene.context, common.deadline));
    let Ok(Ok(told)) = told else {
        return vec![Finding::good("it comes from another provider")];
    };
    let store = Store::from_settings(&told, &scene.context.environment, &scene.context.directory);
    let (Some(path), true) = (store.identity().path(), store.path().exists()) else {
        return vec![Finding::good("there is no store here")];
    };
    vec![match std::fs::metadata(path) {
        Ok(metadata) => {
            let is_in_memory = inspect(path).is_ok_and(|facts| facts.filesystem == Filesystem::Memory);
            judge(path, metadata.mode(), is_in_memory)
        }
        Err(error) => Finding::bad(
            format!(
                "the identity {} of {} cannot be read: {error}",
                path.display(),
                store.path().display()
            ),
            "Name the identity that opens the store with LOCKET_IDENTITY_FILE.",
        ),
    }]
}

fn judge(path: &Path, mode: u32, is_in_memory: bool) -> Finding {
    let (shown, bits) = (path.display(), mode & 0o7777);
    match bits & 0o077 {
        0 => Finding::good(format!("{shown} is its owner's alone")),
        // As Docker and Kubernetes mount secrets.
        _ if is_in_memory => Finding::good(format!("{shown} is mounted from memory")),
        _ => Finding::bad(
            format!("others can read {shown} (mode {bits:04o}), which opens every secret of the store"),
            format!("Take that away: `chmod 600 {shown}`."),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::finding::Health;
    use super::*;

    #[test]
    fn a_key_that_others_can_read_is_bad_unless_it_was_mounted_so() {
        let state = |mode, is_in_memory| judge(Path::new("identity.txt"), mode, is_in_memory).state;
        assert_eq!(state(0o100_600, false), Health::Good);
        assert_eq!(state(0o100_640, false), Health::Bad);
        assert_eq!(state(0o100_444, true), Health::Good);
    }
}
