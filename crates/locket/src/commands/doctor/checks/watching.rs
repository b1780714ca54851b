//! Whether edits of templates are noticed at once.

use locket_core::plan::{Plan, Source};
use locket_engine::agent::Mode;
use locket_engine::watch::{WatchMode, Watcher};

use super::super::finding::{Check, Finding, Scene};
use crate::runtime;

pub(super) const CHECK: Check = Check {
    name: "watching",
    look,
};

fn look(scene: &Scene<'_>) -> Vec<Finding> {
    let settings = match scene.settled() {
        Ok(settings) => settings,
        Err(findings) => return findings,
    };
    if settings.schedule.mode != Mode::Watch {
        return vec![Finding::good("not wanted in this mode")];
    }
    let roots = roots(&settings.plan);
    if roots.is_empty() {
        return vec![Finding::good("there are no templates to follow")];
    }
    let debounce = settings.schedule.debounce;
    // The agent's own watches, made and dropped.
    let mode = runtime::block_on(async { Watcher::new(roots, debounce).mode().clone() });
    match mode {
        Ok(mode) => vec![judge(&mode)],
        Err(_) => vec![Finding::bad(
            "files cannot be watched, since there are no file descriptors left",
            "Raise the limit of open files (`ulimit -n`, `LimitNOFILE=`).",
        )],
    }
}

fn judge(mode: &WatchMode) -> Finding {
    match mode {
        WatchMode::Events => Finding::good("the kernel tells of every edit"),
        WatchMode::Mixed(roots) => {
            let roots: Vec<_> = roots.iter().map(|root| root.display().to_string()).collect();
            Finding::weak(
                format!(
                    "{} is looked at every two seconds, since others may write there unseen",
                    roots.join(", ")
                ),
                "Keep templates on a local file system that this user can list.",
            )
        }
        WatchMode::Polling => Finding::weak(
            "the kernel's limit of watches is reached: every file is looked at every two seconds",
            "Raise fs.inotify.max_user_watches and fs.inotify.max_user_instances.",
        ),
    }
}

fn roots(plan: &Plan) -> Vec<std::path::PathBuf> {
    let files = plan.secrets.iter().filter_map(|secret| match &secret.source {
        Source::File(path) | Source::EnvFile(path) => Some(path.clone()),
        Source::Inline { .. } | Source::Every { .. } => None,
    });
    plan.maps
        .iter()
        .map(|map| map.source.clone())
        .chain(files)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::finding::Health;
    use super::*;

    #[test]
    fn polling_is_told_with_the_limits_to_raise() {
        assert_eq!(judge(&WatchMode::Events).state, Health::Good);
        let finding = judge(&WatchMode::Polling);
        assert_eq!(finding.state, Health::Weak);
        assert!(finding.cure.unwrap().contains("max_user_watches"));
        assert!(
            judge(&WatchMode::Mixed(vec!["/mnt/nfs".into()]))
                .told
                .contains("/mnt/nfs")
        );
    }
}
