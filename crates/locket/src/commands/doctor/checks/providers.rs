//! Whether the configured providers answer.

use super::super::super::providers::{Tried, every_instance};
use super::super::finding::{Check, Finding, Scene};
use crate::settings::RunSettings;

pub(super) const CHECK: Check = Check {
    name: "provider",
    look,
};

fn look(scene: &Scene<'_>) -> Vec<Finding> {
    let settings = match scene.settled() {
        Ok(settings) => settings,
        Err(findings) => return findings,
    };
    match every_instance(settings, scene.context) {
        Ok(tried) if tried.is_empty() => vec![Finding::good("none is configured, and no template names one")],
        Ok(tried) => tried.iter().map(judge).chain(credentials(settings)).collect(),
        Err(_) => vec![Finding::bad(
            "none can be asked, since there are no file descriptors left",
            "Raise the limit of open files (`ulimit -n`, `LimitNOFILE=`).",
        )],
    }
}

/// Which layer each credential came from: the one that wins is not always the one that was meant.
fn credentials(settings: &RunSettings) -> impl Iterator<Item = Finding> {
    let providers = &settings.common.providers;
    let each = providers.describe().flat_map(|instance| {
        let given = providers.credentials(instance.name);
        given.map(move |(setting, origin)| format!("{}://: {setting} from {origin}", instance.name))
    });
    each.map(Finding::good)
}

fn judge(tried: &Tried) -> Finding {
    let told = |reason: &str| format!("{}: {reason}", tried.subject());
    let advice = || "Look at the page of this provider in the documentation.".to_owned();
    match (tried, tried.reason()) {
        (Tried::Unused { .. }, Some((reason, cure))) => {
            Finding::weak(told(&reason), cure.unwrap_or_else(advice))
        }
        (_, Some((reason, cure))) => Finding::bad(told(&reason), cure.unwrap_or_else(advice)),
        (_, None) => Finding::good(format!("{} has a value", tried.subject())),
    }
}
