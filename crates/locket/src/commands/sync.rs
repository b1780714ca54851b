//! `locket sync`: the secrets of a CSV map put in place, and their containers told. The round is the engine's.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Display;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{ArgMatches, Args, ValueHint};
use locket_core::plan::{Access, Equal, OutputSettings, Place, Plan, Secret, Source};
use locket_core::sync_map::{self, Row};
use locket_core::template::TemplateOptions;
use locket_core::{Action, Diagnostic};
use locket_engine::agent::{Ending, Failing, Mode, Observer, Setup};
use locket_engine::sources::SourceError;
use locket_engine::{Instances, once};

use super::run::{Screen, drive, keep_files_to_ourselves, refused, setup, stay};
use super::{Command, arguments};
use crate::context::Context;
use crate::exit::Exit;
use crate::options::{self, table, values};
use crate::report::{self, Cause, Failure, Problem, SourceText};
use crate::settings::{self, SyncSettings};
use crate::{config, output, providers};

pub(super) const COMMAND: Command = Command {
    name: "sync",
    about: "Put the secrets of a CSV map in place once and tell the containers that use them",
    arguments: |command| {
        let command = SyncArgs::augment_args(command);
        let command = options::add_flags(command, table::SYNC);
        let command = options::add_flags(options::add_flags(command, table::READING), table::EVERY);
        providers::add_flags(command)
    },
    run,
};

/// Where the map is when none is named: ours, then that of the script which `sync` replaces.
const MAPS: [&str; 2] = ["/etc/locket/map.csv", "/etc/oci-secretsync/map.csv"];

#[derive(Args)]
struct SyncArgs {
    /// Lines `reference,path,mode,container,signal` [default: /etc/locket/map.csv, else /etc/oci-secretsync/map.csv]
    #[arg(value_name = "MAP", value_hint = ValueHint::FilePath)]
    map: Option<PathBuf>,
    /// Stay, and do it again each time that this has passed
    #[arg(long, value_name = "DUR", value_parser = |text: &str| told(values::positive_duration(text)))]
    every: Option<Duration>,
    /// Up to this much is added to --every, so that a fleet does not ask at once
    #[arg(long, value_name = "DUR", requires = "every", default_value = "5m", value_parser = |text: &str| told(values::duration(text)))]
    jitter: Duration,
    /// Write every value as a new file and tell every container, changed or not: proves the way of a rotation
    #[arg(long, conflicts_with = "every")]
    drill: bool,
}

fn told<T>(parsed: Result<T, Diagnostic>) -> Result<T, String> {
    parsed.map_err(|wrong| match wrong.help {
        Some(help) => format!("{}. {help}", wrong.message),
        None => wrong.message,
    })
}

fn run(matches: &ArgMatches, context: &Context) -> Result<Exit, Failure> {
    let args: SyncArgs = arguments(matches)?;
    let load = || settings::load(matches, context, |layers| SyncSettings::settle(layers, context));
    let map = map_file(args.map.as_deref(), context)?;
    let files: Vec<_> = config::places(matches, context)
        .into_iter()
        .chain([map.clone()])
        .collect();
    let loaded = load()?;
    let told = loaded.notices().to_vec();
    let lines = Lines::new(Screen::of(&loaded, context));
    let mut settings = loaded.open(context);
    keep_files_to_ourselves();
    let instances = settings.run.common.providers.instances(context);
    args.apply(&mut settings);
    lines.take(Map::read(&map)?, &mut settings, &instances)?;
    let mode = settings.run.schedule.mode;
    let first = setup(&settings.run, instances.clone(), &files, context);
    let mut providers = settings.run.common.providers;
    let mut running = instances;
    let mut reload = || -> Option<Setup> {
        let read = || {
            let mut settings = load()?.open_again(&told, context);
            let instances = settings
                .run
                .common
                .providers
                .instances_after(&providers, &running, context);
            args.apply(&mut settings);
            lines.take(Map::read(&map)?, &mut settings, &instances)?;
            Ok((settings, instances))
        };
        match read() {
            Ok((settings, instances)) => {
                running = instances;
                let setup = setup(&settings.run, running.clone(), &files, context);
                providers = settings.run.common.providers;
                Some(setup)
            }
            Err(failure) => {
                stay(&failure, context);
                None
            }
        }
    };
    let ending = drive(first, &mut reload, &lines, None, context)?;
    lines.written()?;
    outcome(ending, mode)
}

impl SyncArgs {
    /// What the arguments say about a round.
    fn apply(&self, settings: &mut SyncSettings) {
        let schedule = &mut settings.run.schedule;
        if let Some(every) = self.every {
            schedule.mode = Mode::Repeat;
            schedule.refresh = Some(every);
            schedule.jitter = self.jitter;
        }
        if self.drill {
            settings.output.equal = Equal::Replace;
        }
    }
}

/// What the end of a round means for the caller.
fn outcome(mut ending: Ending, mode: Mode) -> Result<Exit, Failure> {
    if let Some(failure) = refused(&mut ending) {
        return Err(failure);
    }
    let is_whole = [&ending.unresolved, &ending.unwritten]
        .iter()
        .all(|paths| paths.is_empty());
    Ok(match (ending.was_stopped, mode) {
        (true, Mode::Repeat) => Exit::Done,
        (true, _) => Exit::Failed,
        (false, _) if !is_whole || !ending.untold.is_empty() => Exit::Failed,
        (false, _) if ending.changed > 0 => Exit::Changed,
        (false, _) => Exit::Done,
    })
}

fn map_file(named: Option<&Path>, context: &Context) -> Result<PathBuf, Failure> {
    if let Some(named) = named {
        return Ok(context.directory.join(named));
    }
    let found = MAPS.iter().map(Path::new).find(|path| path.exists());
    found.map(Path::to_owned).ok_or_else(|| {
        Failure::usage(format!("there is no map: neither {} exists", MAPS.join(" nor ")))
            .help("Write one with lines `reference,path,mode,container,signal`, or name another: `locket sync MAP`.")
    })
}

/// A map as it was read.
struct Map {
    text: SourceText,
    rows: Vec<Row>,
    /// What is wrong with its lines, so that it cannot be used; none where it can.
    mistakes: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
}

impl Map {
    /// Reads it.
    ///
    /// # Errors
    /// It is not there.
    fn read(path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        let text = std::fs::read(path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => Failure::usage(format!("the map {shown} does not exist"))
                .help("Correct the path, or write the file: lines `reference,path,mode,container,signal`."),
            _ => Failure::usage(format!("the map {shown} cannot be read: {error}"))
                .help("Let this user read it, or name another one."),
        })?;
        let text = SourceText {
            name: shown.to_string(),
            text: text.into(),
        };
        Ok(match sync_map::parse(&text.text) {
            Ok(map) => Self {
                text,
                rows: map.rows,
                mistakes: Vec::new(),
                warnings: map.warnings,
            },
            Err(mistaken) => Self {
                text,
                rows: mistaken.rows,
                mistakes: mistaken.found,
                warnings: Vec::new(),
            },
        })
    }

    /// The plan that it makes, with `output` for every file.
    ///
    /// # Errors
    /// Mistakes in its lines and references that name nothing, all of them with their places.
    fn plan(&self, output: &OutputSettings, instances: &Instances) -> Result<Vec<Secret>, Failure> {
        let mut secrets = Vec::with_capacity(self.rows.len());
        let mut wrong = self.mistakes.clone();
        for row in &self.rows {
            match template(row, instances) {
                Ok(text) => secrets.push(Secret {
                    name: row.path.to_string_lossy().into_owned(),
                    place: Place::File,
                    source: Source::Inline {
                        name: row.path.display().to_string(),
                        text,
                    },
                    settings: OutputSettings {
                        access: Access {
                            file_mode: row.mode,
                            ..output.access
                        },
                        notify: row.action.iter().cloned().collect(),
                        ..output.clone()
                    },
                }),
                Err(found) => wrong.extend(
                    found
                        .into_iter()
                        .map(|finding| row.place(finding, &self.text.text)),
                ),
            }
        }
        wrong.sort_by_key(|finding| finding.span);
        match wrong.is_empty() {
            true => Ok(secrets),
            false => Err(self.text.refused(wrong)),
        }
    }
}

impl SourceText {
    fn refused(&self, findings: Vec<Diagnostic>) -> Failure {
        let shown = Problem::Shown {
            source: self.clone(),
            findings,
        };
        Failure::new(Cause::Usage, vec![shown])
    }
}

/// The template of a row: its reference in braces, or the template that stands there itself.
fn template(row: &Row, instances: &Instances) -> Result<String, Vec<Diagnostic>> {
    let text = &row.reference;
    let everywhere = |found: Vec<Diagnostic>| {
        let whole = |finding| Diagnostic {
            span: (0..text.len()).into(),
            ..finding
        };
        found.into_iter().map(whole).collect::<Vec<_>>()
    };
    let advised = |finding: Diagnostic| {
        match finding.help {
        None => finding.help("Write a reference such as `oci://OCID` or `bao://mount/path/field`, or a template with one in `{{ }}`."),
        Some(_) => finding,
    }
    };
    let template = providers::template_of(text, instances.schemes())
        .map_err(|found| found.into_iter().map(advised).collect::<Vec<_>>())?;
    let source = template.source();
    let parsed = once::parse("", source, &TemplateOptions::default(), instances);
    parsed.map_err(|error| match &*error {
        SourceError::Template { found, .. } => everywhere(found.clone()),
        other => vec![Diagnostic::error(0..text.len(), other.to_string()).help(other.hint())],
    })?;
    Ok(String::from_utf8_lossy(source).into_owned())
}

/// Tells what becomes of each row in the lines that scripts read.
struct Lines {
    screen: Screen,
    /// What each path is written from, as the map says it.
    references: RefCell<HashMap<PathBuf, String>>,
    /// The first line that could not be written.
    unwritten: RefCell<Option<Failure>>,
}

impl Lines {
    fn new(screen: Screen) -> Self {
        Self {
            screen,
            references: RefCell::default(),
            unwritten: RefCell::default(),
        }
    }

    /// Makes `map` the plan of `settings`, and names its rows from now on.
    fn take(&self, map: Map, settings: &mut SyncSettings, instances: &Arc<Instances>) -> Result<(), Failure> {
        let secrets = map.plan(&settings.output, instances)?;
        if !map.warnings.is_empty() {
            self.template(&map.text.name, &map.text.text, &map.warnings);
        }
        let out = secrets
            .first()
            .and_then(|secret| Path::new(&secret.name).parent());
        settings.run.plan = Plan {
            out: out.map(Path::to_owned).unwrap_or_default(),
            secrets,
            ..settings.run.plan.clone()
        };
        let named = map.rows.into_iter().map(|row| (row.path, row.reference));
        *self.references.borrow_mut() = named.collect();
        Ok(())
    }

    fn reference(&self, path: &Path) -> String {
        self.references.borrow().get(path).cloned().unwrap_or_default()
    }

    /// Whether every line came out.
    fn written(&self) -> Result<(), Failure> {
        self.unwritten.take().map_or(Ok(()), Err)
    }
}

impl Observer for Lines {
    fn template(&self, name: &str, text: &[u8], found: &[Diagnostic]) {
        self.screen.template(name, text, found);
    }

    fn changed(&self, target: &Path, _: &'static str) {
        let line = format!(
            "Updated {} from {}",
            target.display(),
            one_line(&self.reference(target))
        );
        if let Err(failure) = output::text(&format!("{line}\n")) {
            self.unwritten.borrow_mut().get_or_insert(failure);
        }
    }

    fn failing(&self, failing: &Failing<'_>) {
        let written = self.reference(failing.target);
        if failing.is_unwritten {
            complain("write", failing.target.display(), failing.reason);
        } else if written.contains("{{") {
            complain("fetch", failing.reference.unwrap_or(&written), failing.reason);
        } else {
            complain("fetch", &written, failing.reason);
        }
        let hint = failing.hint.map(|hint| format!(" {hint}")).unwrap_or_default();
        tracing::warn!("{} {}.{hint}", failing.target.display(), failing.outcome);
    }

    fn untold(&self, action: &Action, reason: &str) {
        complain("notify", action, reason);
    }
}

fn complain(what: &str, of: impl Display, reason: &str) {
    report::tell(&format!(
        "ERR: {what} {} failed: {}\n",
        one_line(&of.to_string()),
        one_line(reason)
    ));
}

/// A text on one line, since a line is what scripts read.
fn one_line(text: &str) -> String {
    let blank = |char: char| if char.is_control() { ' ' } else { char };
    text.chars().map(blank).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn a_round_comes_after_the_time_that_is_said_and_up_to_the_jitter_later() {
        let directory = tempfile::tempdir().unwrap();
        let schedule = |line: &[&str]| {
            let mut settings = testing::settled(directory.path(), &[], &[], "", |layers, context| {
                SyncSettings::settle(layers, context)
            })
            .unwrap();
            let args: SyncArgs = arguments(&testing::matches(line)).unwrap();
            args.apply(&mut settings);
            let schedule = settings.run.schedule;
            (schedule.mode, schedule.refresh, schedule.jitter)
        };
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        let repeated = |jitter| (Mode::Repeat, Some(minutes(60)), jitter);
        assert_eq!(schedule(&["sync", "--every", "1h"]), repeated(minutes(5)));
        assert_eq!(
            schedule(&["sync", "--every", "1h", "--jitter", "17m"]),
            repeated(minutes(17))
        );
        assert_eq!(schedule(&["sync"]).0, Mode::OneShot);
        assert!(
            !testing::is_accepted(&["sync", "--jitter", "17m"]),
            "without `--every`"
        );
    }
}
