//! `locket swarm sync`: the secrets of a swarm kept equal to what they refer to. What is to be done is decided by
//! `locket-docker`; here its wishes are gathered, and values asked for.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use clap::{ArgMatches, Args};
use locket_core::suggest::nearest;
use locket_core::template::TemplateOptions;
use locket_core::{SecretBytes, Template, spec};
use locket_docker::allow::Allowance;
use locket_docker::engine::{Client, Endpoint, SecretObject, SwarmService};
use locket_docker::swarm::{Outcome, Purpose, Sync, Wanted};
use locket_engine::{Instances, once, tasks};
use tokio::sync::mpsc;

use super::once::reason;
use super::run::keep_files_to_ourselves;
use super::{Command, arguments};
use crate::config::SwarmSecret;
use crate::context::Context;
use crate::exit::Exit;
use crate::options::{self, Layers, table, values};
use crate::report::{self, Failure};
use crate::settings::{self, Common};
use crate::{output, providers, runtime};

pub(super) const COMMAND: Command = Command {
    name: "swarm",
    about: "Keep the secrets of a swarm equal to what they refer to",
    arguments: |command| {
        command
            .subcommand_required(true)
            .subcommand(sync().about("Make a new secret of each new value and move services to it, once"))
    },
    run: |matches, context| match matches.subcommand() {
        Some(("sync", matches)) => run(matches, context),
        _ => Err(Failure::usage("no command is named").help("`locket swarm --help` lists the commands.")),
    },
};

/// The label of a service that asks for a secret, before its name.
pub(super) const LABEL: &str = "locket.secret.";

/// The labels of a secret with a driver.
pub(super) const DRIVEN: [&str; 2] = ["locket.ref", "locket.template"];

/// Drivers of ours: the plugin beside the engine, and the one that the engine keeps.
const DRIVERS: [&str; 2] = ["locket", "locket:latest"];

#[derive(Args, Clone, Debug)]
struct SyncArgs {
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,

    /// How long the update of one service may take
    #[arg(long, value_name = "DUR", default_value = "10m", value_parser = |text: &str| values::positive_duration(text).map_err(|wrong| wrong.message))]
    timeout: Duration,
}

fn sync() -> clap::Command {
    let command = SyncArgs::augment_args(clap::Command::new("sync"));
    let command = options::add_flags(options::add_flags(command, table::READING), table::EVERY);
    providers::add_flags(command)
}

/// What it was told.
struct SwarmSettings {
    secrets: Vec<SwarmSecret>,
    allow: Allowance,
    common: Common,
}

/// A secret that somebody asks for.
struct Wish {
    name: String,
    target: String,
    services: Vec<String>,
    /// Ids of those that use it and may not have it.
    left_out: Vec<String>,
    template: String,
}

fn settle(layers: &mut Layers<'_>) -> SwarmSettings {
    let strongest = layers.files().find(|file| !file.swarm.secrets.is_empty());
    let secrets = strongest
        .map(|file| file.swarm.secrets.clone())
        .unwrap_or_default();
    for secret in &secrets {
        let names = [Some(&secret.name), secret.target.as_ref()];
        for given in names.into_iter().flatten() {
            if let Err(wrong) = spec::file_name(&given.text) {
                let wrong = wrong.help(
                    "Name one file, without `/`: a secret is the file of its `target`, or else of its `name`, in containers.",
                );
                layers.problems.extend(given.wrong([wrong]));
            }
        }
    }
    let allow = layers.files().find_map(|file| file.swarm.allow.clone());
    SwarmSettings {
        secrets,
        allow: allow.unwrap_or_default(),
        common: Common::settle(layers),
    }
}

fn run(matches: &ArgMatches, context: &Context) -> Result<Exit, Failure> {
    let args: SyncArgs = arguments(matches)?;
    let settings = settings::load(matches, context, settle)?.open(context);
    keep_files_to_ourselves();
    let environment = settings
        .common
        .providers
        .without_credentials(&context.environment);
    let instances = settings.common.providers.instances(context);
    runtime::block_on(tasks::on_this_thread(async {
        let endpoint = Endpoint::find(&environment).map_err(Failure::work)?;
        let client = Client::new(endpoint, &environment).map_err(|error| Failure::work(error.to_string()))?;
        let unreached = |error: locket_docker::engine::EngineError| {
            Failure::work(error.to_string())
                .help("Run it on a manager of the swarm, by a user that may open the engine's socket.")
        };
        let services = client.services().await.map_err(unreached)?;
        let secrets = client.secrets().await.map_err(unreached)?;
        let mut failed = Vec::new();
        let wishes = wishes(&settings, &instances, &services, &secrets, &mut failed);
        if wishes.is_empty() && failed.is_empty() {
            return Err(Failure::usage("no secret is asked for").help(
                "Write `[[swarm.secret]]` with `name` and `template` in locket.toml, or give a service the label \
                 `locket.secret.NAME=REFERENCE`.",
            ));
        }
        let values = values_of(&wishes, &settings.common, &instances, context).await;
        let unwritten = RefCell::new(None);
        let tell = |line: &str| {
            if let Err(failure) = output::text(&format!("{line}\n")) {
                unwritten.borrow_mut().get_or_insert(failure);
            }
        };
        let swarm = Sync {
            client: &client,
            clock: context.clock.clone(),
            timeout: args.timeout,
            tell: &tell,
        };
        let purpose = match args.dry_run {
            true => Purpose::Rehearse,
            false => Purpose::Bring,
        };
        let fingerprints = swarm.fingerprints(purpose).await.map_err(Failure::work)?;
        let mut changed = 0;
        for (wish, value) in wishes.into_iter().zip(values) {
            let value = match value {
                Ok(value) => value,
                Err(reason) => {
                    failed.push(format!("{}: {reason}", wish.name));
                    continue;
                }
            };
            let wanted = Wanted {
                digest: fingerprints.of(&value),
                name: wish.name,
                target: wish.target,
                services: wish.services,
                left_out: wish.left_out,
            };
            let outcome = match args.dry_run {
                true => swarm.rehearse(&wanted).await.map_err(Failure::work)?,
                false => swarm.bring(&wanted, &value).await,
            };
            let Outcome {
                changed: more,
                failed: troubles,
            } = outcome;
            changed += more;
            failed.extend(troubles);
        }
        for reason in &failed {
            report::tell(&format!("ERR: {reason}\n"));
        }
        if let Some(failure) = unwritten.take() {
            return Err(failure);
        }
        Ok(match (failed.is_empty(), changed) {
            (false, _) => Exit::Failed,
            (true, 0) => Exit::Done,
            (true, _) => Exit::Changed,
        })
    }))?
}

/// What the configuration, services and secrets with a driver ask for, each name once. What is asked for in vain is
/// `failed`.
fn wishes(
    settings: &SwarmSettings,
    instances: &Instances,
    services: &[SwarmService],
    secrets: &[SecretObject],
    failed: &mut Vec<String>,
) -> Vec<Wish> {
    let mut wishes: Vec<Wish> = settings
        .secrets
        .iter()
        .map(|secret| Wish {
            name: secret.name.text.clone(),
            target: secret.target.as_ref().unwrap_or(&secret.name).text.clone(),
            services: secret.services.iter().map(|given| given.text.clone()).collect(),
            left_out: Vec::new(),
            template: secret.template.text.clone(),
        })
        .collect();
    warn_of_absent_services(&wishes, services);
    let may = |template: &str, service: &SwarmService| may(template, service, &settings.allow, instances);
    for service in services {
        let labels = service.spec["Labels"].as_object().into_iter().flatten();
        for (label, template) in labels {
            let (Some(name), Some(template)) = (label.strip_prefix(LABEL), template.as_str()) else {
                continue;
            };
            if let Err(wrong) = spec::file_name(name) {
                let service = service.name();
                failed.push(format!("the label {label} of {service}: {}", wrong.message));
                continue;
            }
            let wish = Wish {
                // Two services may call different secrets the same.
                name: format!("{}.{name}", service.name()),
                target: name.to_owned(),
                services: vec![service.name().to_owned()],
                left_out: Vec::new(),
                template: template.to_owned(),
            };
            match may(template, service) {
                Ok(()) => add(&mut wishes, wish),
                Err(reason) => failed.push(format!("{}: {reason}", wish.name)),
            }
        }
    }
    for secret in secrets {
        let is_ours = secret
            .driver
            .as_deref()
            .is_some_and(|driver| DRIVERS.contains(&driver));
        let template = DRIVEN.iter().find_map(|label| secret.labels.get(*label));
        let (true, Some(template)) = (is_ours, template) else {
            continue;
        };
        let mut is_wanted = false;
        let mut left_out = Vec::new();
        for user in services.iter().filter(|service| service.uses(&secret.id)) {
            match may(template, user) {
                Ok(()) => is_wanted = true,
                Err(reason) => {
                    left_out.push(user.id.clone());
                    let reason = format!("{}: {reason}", secret.name);
                    // What is wrong with the template itself is so for each of them.
                    if !failed.contains(&reason) {
                        failed.push(reason);
                    }
                }
            }
        }
        if is_wanted {
            let wish = Wish {
                name: secret.name.clone(),
                target: secret.name.clone(),
                services: Vec::new(),
                left_out,
                template: template.clone(),
            };
            add(&mut wishes, wish);
        }
    }
    wishes
}

/// The first that asks for a name decides what it stands for.
fn add(wishes: &mut Vec<Wish>, wish: Wish) {
    if !wishes.iter().any(|known| known.name == wish.name) {
        wishes.push(wish);
    }
}

/// A secret may be made before the service that it is for.
fn warn_of_absent_services(wishes: &[Wish], services: &[SwarmService]) {
    let there: Vec<_> = services.iter().map(SwarmService::name).collect();
    for wish in wishes {
        for name in wish
            .services
            .iter()
            .filter(|name| !there.contains(&name.as_str()))
        {
            let near = nearest(name, there.iter().copied());
            let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            tracing::warn!("{}: the swarm has no service `{name}` yet{near}", wish.name);
        }
    }
}

/// The template of a text: a reference alone, or a text with tags.
fn template(text: &str, instances: &Instances) -> Result<Template, String> {
    let told = |found: Vec<locket_core::Diagnostic>| {
        let found = found.into_iter().next();
        found.map_or_else(String::new, |finding| match finding.help {
            Some(help) => format!("{}. {help}", finding.message),
            None => finding.message,
        })
    };
    let schemes = instances.schemes();
    match text.contains("{{") {
        true => Template::parse(text.as_bytes().to_vec(), &TemplateOptions::default(), schemes).map_err(told),
        false => providers::template_of(text, schemes).map_err(told),
    }
}

/// Whether a label may ask for this.
fn may(text: &str, service: &SwarmService, allow: &Allowance, instances: &Instances) -> Result<(), String> {
    allow.permits_all(template(text, instances)?.references(), service.name())
}

/// The value of each wish, or why it has none. They are asked for side by side, so that none waits for another.
async fn values_of(
    wishes: &[Wish],
    common: &Common,
    instances: &Arc<Instances>,
    context: &Context,
) -> Vec<Result<SecretBytes, String>> {
    let (to, mut answers) = mpsc::unbounded_channel();
    let mut values: Vec<Result<SecretBytes, String>> = Vec::with_capacity(wishes.len());
    for (index, wish) in wishes.iter().enumerate() {
        values.push(Err("it has no value".to_owned()));
        let template = match template(&wish.template, instances) {
            Ok(template) => template,
            Err(reason) => {
                values[index] = Err(reason);
                continue;
            }
        };
        let (to, instances, clock) = (to.clone(), instances.clone(), context.clock.clone());
        let (request, deadline) = (common.request_timeout, common.deadline);
        let name = wish.name.clone();
        drop(tasks::here(async move {
            let options = TemplateOptions::default();
            let parsed = once::parse(&name, template.source(), &options, &instances);
            let value = match parsed {
                Ok(parsed) => match once::render(&parsed, &instances, &clock, request, deadline).await {
                    Ok(rendered) => Ok(rendered.bytes),
                    Err(errors) => {
                        let told = errors.iter().map(|error| {
                            let (why, hint) = reason(&error.problem);
                            let hint = hint.map(|hint| format!(". {hint}")).unwrap_or_default();
                            format!("{}: {why}{hint}", error.reference)
                        });
                        Err(told.collect::<Vec<_>>().join("; "))
                    }
                },
                Err(error) => Err(error.to_string()),
            };
            let _ = to.send((index, value));
        }));
    }
    drop(to);
    while let Some((index, value)) = answers.recv().await {
        values[index] = value;
    }
    values
}

#[cfg(test)]
mod tests {
    use super::settle;
    use crate::context::Style;
    use crate::testing;

    #[test]
    fn the_name_of_a_swarm_secret_is_no_matter_of_options_for_files() {
        let told = |name: &str| {
            let directory = tempfile::tempdir().unwrap();
            let toml = format!("[[swarm.secret]]\nname = '{name}'\ntemplate = 'x'\n");
            match testing::settled(directory.path(), &[], &[], &toml, |layers, _| settle(layers)) {
                Ok(settings) => Ok(settings.secrets.len()),
                Err(failure) => Err(failure.draw(Style::Plain)),
            }
        };
        assert_eq!(told("a"), Ok(1));
        let wrong = told("a/b").unwrap_err();
        assert!(
            wrong.contains("holds no `/`") && wrong.contains("`target`"),
            "{wrong}"
        );
        assert!(!wrong.contains("--out") && !wrong.contains("--map"), "{wrong}");
    }
}
