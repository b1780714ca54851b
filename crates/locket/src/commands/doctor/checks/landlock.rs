//! Whether a run gives up what it will not need, and what the kernel can deny it then.

use locket_engine::agent;
use locket_sys::landlock::{self, Refused, Version};

use super::super::super::run;
use super::super::finding::{Check, Finding, Scene};
use crate::config;

pub(super) const CHECK: Check = Check {
    name: "landlock",
    look,
};

fn look(scene: &Scene<'_>) -> Vec<Finding> {
    let mut found = judge(landlock::version());
    if let Ok(settings) = scene.settled() {
        let files = config::places(scene.matches, scene.context);
        let instances = settings.common.providers.instances(scene.context);
        let setup = run::setup(settings, instances, &files, scene.context);
        found.extend(kept_open(agent::kept_open(&setup)));
    }
    found
}

fn judge(version: Result<Version, Refused>) -> Vec<Finding> {
    let version = match version {
        Ok(version) => version,
        Err(refused) => {
            let cure = match refused {
                Refused::Disabled => "Add `landlock` to the kernel's `lsm=` parameter.",
                _ => "Use Linux 5.13 or newer, and a container runtime that lets the calls through.",
            };
            return vec![Finding::weak(refused.to_string(), cure)];
        }
    };
    let able = format!("the kernel can bind a run to the files that it needs (version {version})");
    let lacking: Vec<_> = [
        (version.limits_truncation(), "cutting files off (Linux 6.2)"),
        (version.limits_listening(), "listening at ports (Linux 6.7)"),
        (
            version.limits_signals(),
            "signals to other processes (Linux 6.12)",
        ),
    ]
    .into_iter()
    .filter_map(|(can, what)| (!can).then_some(what))
    .collect();
    let mut found = vec![Finding::good(able)];
    if !lacking.is_empty() {
        found.push(Finding::weak(
            format!("the kernel is too old to deny {}", lacking.join(", ")),
            "A newer kernel closes this; the rest holds.",
        ));
    }
    found
}

/// What keeps the run of this configuration from giving anything up.
fn kept_open(reason: Option<String>) -> Option<Finding> {
    let reason = reason?;
    Some(Finding::weak(
        format!("a run of this configuration keeps access to everything: {reason}"),
        "It works all the same; the how-to on self-protection says what would have to be different.",
    ))
}

#[cfg(test)]
mod tests {
    use super::super::super::finding::Health;
    use super::*;

    #[test]
    fn what_is_missing_comes_with_its_cure() {
        let cured = |refused| judge(Err(refused))[0].cure.clone().unwrap();
        assert!(cured(Refused::Disabled).contains("lsm="));
        assert!(cured(Refused::Absent).contains("5.13"));
        assert_eq!(kept_open(None), None);
        let kept = kept_open(Some("`exec:x` runs a program".to_owned())).unwrap();
        assert_eq!(kept.state, Health::Weak);
        assert!(kept.told.contains("exec:x"));
    }
}
