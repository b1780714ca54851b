//! What `plan` is told, and its exit code. The work is the engine's.

use clap::{ArgMatches, Args};
use locket_docker::engine::EngineError;
use locket_engine::Instances;
use locket_engine::preview::{self, Asking, Limits, Preview, Verdict};
use locket_engine::sources::SourceError;

use super::super::format::{self, Format};
use super::super::{Command, arguments};
use super::{json, text};
use crate::context::{Context, Style};
use crate::exit::Exit;
use crate::labels::Labels;
use crate::options::{self, table};
use crate::report::{self, Cause, Failure, Problem, SourceText};
use crate::settings::{self, Form, RunSettings};
use crate::{diagnostics, output, providers, runtime};

pub(in super::super) const COMMAND: Command = Command {
    name: "plan",
    about: "Show what `run` would do and what it would cost, without doing it",
    arguments: |command| {
        let command = PlanArgs::augment_args(command);
        let command = options::add_flags(command, table::RUN);
        let command = options::add_flags(options::add_flags(command, table::READING), table::EVERY);
        providers::add_flags(command)
    },
    run,
};

#[derive(Args)]
struct PlanArgs {
    /// How it is printed
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    /// End with 3 when something would be created or changed
    #[arg(long, conflicts_with = "offline")]
    exit_code: bool,
    /// Ask no provider: whether an output with secrets would change stays unknown
    #[arg(long)]
    offline: bool,
}

fn run(matches: &ArgMatches, context: &Context) -> Result<Exit, Failure> {
    let PlanArgs {
        format,
        exit_code,
        offline,
    } = arguments(matches)?;
    let loaded = settings::load(matches, context, |layers| {
        RunSettings::settle(layers, Form::Run, context)
    })?;
    let mut settings = loaded.open(context);
    let instances = settings.common.providers.instances(context);
    let labels = look_at_labels(&mut settings, &instances, context)?;
    let asking = if offline { Asking::Leave } else { Asking::Ask };
    let limits = Limits {
        request: settings.schedule.request,
        deadline: settings.schedule.deadline,
    };
    let found = runtime::block_on(preview::preview(
        &settings.plan,
        &instances,
        &context.clock,
        asking,
        limits,
    ))?;
    if !found.refused.is_empty() {
        let problems = found.refused.into_iter().map(|refusal| Problem::Told {
            message: refusal.message,
            help: refusal.hint,
        });
        return Err(Failure::new(Cause::Usage, problems.collect()));
    }
    match format {
        Format::Text => {
            show_mistakes(&found, context.style);
            output::text(&text::draw(&found, &settings, &labels))?;
        }
        Format::Json => output::text(&format::json(&json::document(&found, &settings, &labels)))?,
    }
    Ok(exit(&found, exit_code))
}

/// Whether labels of containers are in the plan.
pub(super) enum LabelsRead {
    /// Nobody wants them.
    Unwanted,
    /// What containers ask for now is in it.
    Read,
    /// They are wanted and cannot be read.
    Unread(EngineError),
}

/// Adds to the plan what containers ask for, as a run does.
fn look_at_labels(
    settings: &mut RunSettings,
    instances: &Instances,
    context: &Context,
) -> Result<LabelsRead, Failure> {
    let Some(wanted) = &settings.labels else {
        return Ok(LabelsRead::Unwanted);
    };
    let labels = Labels::new(context, None);
    Ok(match runtime::block_on(labels.look_once())? {
        Ok(()) => {
            labels.add_to(&mut settings.plan, instances, wanted);
            LabelsRead::Read
        }
        Err(error) => {
            tracing::warn!("labels of containers cannot be read: {error}; the plan is without them");
            LabelsRead::Unread(error)
        }
    })
}

/// As a `one-shot` run would end; a change is told only to those who ask for it.
fn exit(found: &Preview, is_change_told: bool) -> Exit {
    let mut failing = found.failing().peekable();
    if failing.peek().is_none() {
        return match is_change_told && found.would_change() {
            true => Exit::Changed,
            false => Exit::Done,
        };
    }
    let is_unwritable = |verdict: &Verdict| matches!(verdict, Verdict::Unwritable { .. });
    match failing.all(|output| is_unwritable(&output.verdict)) {
        true => Exit::Failed,
        false => Exit::Unresolved,
    }
}

/// Mistakes in templates at their places, as `run` shows them.
fn show_mistakes(found: &Preview, style: Style) {
    for output in &found.outputs {
        if let Verdict::Unusable(error) = &output.verdict
            && let SourceError::Template { name, text, found } = &**error
        {
            let source = SourceText {
                name: name.clone(),
                text: text.clone(),
            };
            report::tell(&format!("{}\n\n", diagnostics::draw(&source, found, style)));
        }
    }
}

#[cfg(test)]
mod tests {
    use locket_testkit::{Response, Server};
    use serde_json::json as document;

    use super::*;
    use crate::testing;

    #[test]
    fn labels_of_containers_are_a_part_of_the_plan_where_they_are_wanted() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(
            directory.path().join("labels.toml"),
            "[labels]\nallow = ['store://web-*']\n",
        )
        .unwrap();
        let containers = document!([{
            "Id": "1",
            "Names": ["/web"],
            "Labels": { "locket.secret.a": "store://web-a", "locket.secret.b": "{{ store://db }}" },
        }]);
        let engine = Server::start(move |_| Response::json(200, &containers));
        let here = engine.url().replace("http://", "tcp://");
        let looked = |host: &str, more: &[&str]| {
            let always = ["plan", "--config=labels.toml", "--out=/out", "--secret=own=x"];
            let line: Vec<_> = always.iter().chain(more).copied().collect();
            let context = testing::context(directory.path(), &[("DOCKER_HOST", host)]);
            let loaded = settings::load(&testing::matches(&line), &context, |layers| {
                RunSettings::settle(layers, Form::Run, &context)
            });
            let mut settings = loaded.unwrap().quietly();
            let instances = settings.common.providers.instances(&context);
            let read = look_at_labels(&mut settings, &instances, &context).unwrap();
            let names = settings.plan.secrets.iter().map(|secret| secret.name.clone());
            (read, names.collect::<Vec<_>>())
        };
        let (read, names) = looked(&here, &["--docker-labels"]);
        assert!(matches!(read, LabelsRead::Read));
        assert_eq!(
            names,
            ["own", "/out/web/a"],
            "and nothing that labels may not have"
        );
        let (read, names) = looked("unix:///nowhere/docker.sock", &["--docker-labels"]);
        assert!(matches!(read, LabelsRead::Unread(_)));
        assert_eq!(names, ["own"]);
        let before = engine.request_count();
        let (read, names) = looked(&here, &[]);
        assert!(matches!(read, LabelsRead::Unwanted));
        assert_eq!(
            (names.len(), engine.request_count()),
            (1, before),
            "nobody was asked"
        );
    }
}
