//! One call for each reference, and what came of it.

use std::sync::Arc;
use std::time::Duration;

use locket_core::ProviderError;
use locket_engine::Instances;
use locket_engine::resolve::{Probe, SecretKey, probe};
use locket_engine::sources::Scanner;
use serde_json::{Value, json};

use super::super::format::{self, Format};
use super::super::once;
use crate::context::Context;
use crate::exit::Exit;
use crate::options::Origin;
use crate::providers::Described;
use crate::report::{Cause, Failure};
use crate::settings::RunSettings;
use crate::{output, runtime};

/// What came of trying one instance.
pub(in super::super) enum Tried {
    /// It was asked for a secret.
    Asked {
        /// The secret, as it is written.
        reference: String,
        /// How that went.
        probe: Probe,
    },
    /// It cannot be asked: its settings do not suffice.
    Misconfigured {
        /// The word before its references.
        name: String,
        /// Why, and what to do.
        error: ProviderError,
    },
    /// Nobody knows what to ask it for.
    Unused {
        /// The word before its references.
        name: String,
    },
}

/// What can be asked for: a reference as it is written, and what it names.
type Wanted = (String, SecretKey);

pub(super) fn run(
    references: &[String],
    settings: &RunSettings,
    context: &Context,
    format: Format,
) -> Result<Exit, Failure> {
    let tried = match references {
        [] => every_instance(settings, context)?,
        named => {
            let instances = settings.common.providers.instances(context);
            ask(located(named, &instances)?, &instances, settings, context)?
        }
    };
    if tried.is_empty() {
        return Err(Failure::usage("there is no provider to check")
            .help("Name a reference, or configure templates or providers in locket.toml."));
    }
    match format {
        Format::Text => output::text(&tried.iter().map(line).collect::<String>())?,
        Format::Json => {
            let documents = tried.iter().map(document).collect();
            output::text(&format::json(&Value::Array(documents)))?;
        }
    }
    Ok(exit(&tried))
}

/// Tries every instance that a template of the configuration refers to, with one reference each, and names those that
/// somebody configured and nothing refers to.
pub(in super::super) fn every_instance(
    settings: &RunSettings,
    context: &Context,
) -> Result<Vec<Tried>, Failure> {
    let instances = settings.common.providers.instances(context);
    let scan = Scanner::new(settings.plan.clone(), instances.clone()).scan();
    let mut wanted: Vec<Wanted> = Vec::new();
    for parsed in scan.found.iter().filter_map(|found| found.template.as_ref().ok()) {
        for (reference, key) in parsed.template.references().iter().zip(&parsed.keys) {
            if !wanted.iter().any(|(_, known)| known.instance == key.instance) {
                wanted.push((reference.to_string(), key.clone()));
            }
        }
    }
    let is_wanted = |name: &str| wanted.iter().any(|(_, key)| *key.instance == *name);
    let described = settings.common.providers.describe();
    let unused: Vec<_> = described
        .filter(|instance| !instance.given.is_empty() && !is_wanted(instance.name))
        .filter_map(|instance| {
            let name = instance.name.to_owned();
            match instances.provider(instance.name) {
                Ok(_) => Some(Tried::Unused { name }),
                // Variables may be meant for another program; what a person wrote for locket is not.
                Err(error) => is_ours(&instance).then_some(Tried::Misconfigured { name, error }),
            }
        })
        .collect();
    let mut tried = ask(wanted, &instances, settings, context)?;
    tried.extend(unused);
    Ok(tried)
}

/// Whether a flag or a file says something of this instance.
fn is_ours(instance: &Described<'_>) -> bool {
    let is_variable = |origin: &Origin| matches!(origin, Origin::Variable(_));
    instance.given.iter().any(|(_, origin)| !is_variable(origin))
}

fn ask(
    wanted: Vec<Wanted>,
    instances: &Arc<Instances>,
    settings: &RunSettings,
    context: &Context,
) -> Result<Vec<Tried>, Failure> {
    let (ready, broken): (Vec<_>, Vec<_>) = wanted
        .into_iter()
        .partition(|(_, key)| instances.provider(&key.instance).is_ok());
    let keys: Vec<_> = ready.iter().map(|(_, key)| key.clone()).collect();
    let probing = probe(&keys, instances, &context.clock, settings.common.request_timeout);
    let probes = runtime::block_on(probing)?;
    let asked = ready
        .into_iter()
        .zip(probes)
        .map(|((reference, _), probe)| Tried::Asked { reference, probe });
    let broken = broken.into_iter().filter_map(|(_, key)| {
        let name = key.instance.to_string();
        let error = instances.provider(&name).err()?;
        Some(Tried::Misconfigured { name, error })
    });
    Ok(asked.chain(broken).collect())
}

/// What the references name; all mistakes in them together.
fn located(references: &[String], instances: &Arc<Instances>) -> Result<Vec<Wanted>, Failure> {
    let mut wanted = Vec::new();
    let mut problems = Vec::new();
    for text in references {
        match once::reference(text, instances) {
            Ok(parsed) => {
                let references = parsed.template.references().iter().map(ToString::to_string);
                wanted.extend(references.zip(parsed.keys.iter().cloned()));
            }
            Err(problem) => problems.push(problem),
        }
    }
    match problems.is_empty() {
        true => Ok(wanted),
        false => Err(Failure::new(Cause::Usage, problems)),
    }
}

impl Tried {
    /// How it went, in one word.
    pub(in super::super) fn outcome(&self) -> &'static str {
        match self {
            Self::Asked { probe, .. } => match &probe.result {
                Ok(()) => "ok",
                Err(error) => error.kind.name(),
            },
            Self::Misconfigured { .. } => "not-set-up",
            Self::Unused { .. } => "not-tried",
        }
    }

    /// What was tried.
    pub(in super::super) fn subject(&self) -> String {
        match self {
            Self::Asked { reference, .. } => reference.clone(),
            Self::Misconfigured { name, .. } | Self::Unused { name } => format!("{name}://"),
        }
    }

    /// Why it did not go well, and what to do.
    pub(in super::super) fn reason(&self) -> Option<(String, Option<String>)> {
        let of = |error: &ProviderError| (error.context.clone(), error.hint.clone());
        match self {
            Self::Asked { probe, .. } => probe.result.as_ref().err().map(of),
            Self::Misconfigured { error, .. } => Some(of(error)),
            Self::Unused { name } => Some((
                "no template refers to it".to_owned(),
                Some(format!("Name a reference: `locket providers check {name}://…`.")),
            )),
        }
    }

    fn took(&self) -> Option<Duration> {
        match self {
            Self::Asked { probe, .. } => Some(probe.took),
            _ => None,
        }
    }
}

/// One line: outcome, latency, what was tried, and what to do.
fn line(tried: &Tried) -> String {
    let took = match tried.took() {
        Some(took) => format!("{} ms", took.as_millis()),
        None => "-".to_owned(),
    };
    let told = match tried.reason() {
        None => String::new(),
        Some((reason, None)) => format!(": {reason}"),
        Some((reason, Some(hint))) => format!(": {reason}. {hint}"),
    };
    format!("{:12} {took:>8}  {}{told}\n", tried.outcome(), tried.subject())
}

fn document(tried: &Tried) -> Value {
    let (reason, hint) = tried
        .reason()
        .map_or((None, None), |(reason, hint)| (Some(reason), hint));
    json!({
        "subject": tried.subject(),
        "outcome": tried.outcome(),
        "milliseconds": tried.took().map(|took| took.as_secs_f64() * 1000.0),
        "reason": reason,
        "hint": hint,
    })
}

fn exit(tried: &[Tried]) -> Exit {
    let mut exit = Exit::Done;
    for tried in tried {
        match tried {
            Tried::Asked { probe, .. } if probe.result.is_err() => return Exit::Unresolved,
            Tried::Misconfigured { .. } => exit = Exit::Failed,
            Tried::Asked { .. } | Tried::Unused { .. } => {}
        }
    }
    exit
}
