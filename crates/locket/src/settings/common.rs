//! What every command that reads secrets was told.

use std::time::Duration;

use clap::ArgMatches;
use locket_core::suggest;
use locket_engine::notify;

use crate::config::{self, Found};
use crate::context::Context;
use crate::logging::{self, LogFormat, LogLevel};
use crate::options::{Layers, Notice, table, values};
use crate::providers::{self, ProviderSettings};
use crate::report::{Cause, Failure, Problem};

/// What every command that reads secrets was told.
#[derive(Debug)]
pub(crate) struct Common {
    /// The providers.
    pub(crate) providers: ProviderSettings,
    /// Time limit of one request.
    pub(crate) request_timeout: Duration,
    /// Time in which transient failures are tried again.
    pub(crate) deadline: Duration,
}

/// One request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// A whole one-shot.
const DEADLINE: Duration = Duration::from_secs(60);

/// The time that a whole one-shot has.
fn deadline(layers: &mut Layers<'_>) -> Duration {
    layers.settle(&table::DEADLINE, DEADLINE, values::positive_duration)
}

/// Settled settings, with what is to be told once the log is open.
#[derive(Debug)]
pub(crate) struct Loaded<T> {
    settings: T,
    level: LogLevel,
    format: LogFormat,
    notices: Vec<Notice>,
}

/// Reads the files and settles whatever `settle` settles. All complaints come together.
///
/// # Errors
/// Everything that is wrong with flags, variables and files.
pub(crate) fn load<T>(
    matches: &ArgMatches,
    context: &Context,
    settle: impl FnOnce(&mut Layers<'_>) -> T,
) -> Result<Loaded<T>, Failure> {
    load_with(matches, context, LogLevel::default(), settle)
}

/// The same for a command whose output belongs to another program: only warnings are logged unless more is asked for.
///
/// # Errors
/// As for [`load`].
pub(crate) fn load_quietly<T>(
    matches: &ArgMatches,
    context: &Context,
    settle: impl FnOnce(&mut Layers<'_>) -> T,
) -> Result<Loaded<T>, Failure> {
    load_with(matches, context, LogLevel::QUIET, settle)
}

/// The same for a command that looks at what runs already, whatever was done to the files since: what is wrong with them
/// is handed out beside what flags, variables and the rest of the files say.
///
/// # Errors
/// Everything that is wrong with flags and variables.
pub(crate) fn load_despite_files<T>(
    matches: &ArgMatches,
    context: &Context,
    settle: impl Fn(&mut Layers<'_>) -> T,
) -> Result<(Loaded<T>, Vec<Problem>), Failure> {
    let level = LogLevel::default();
    let (_, problems) = settled(Found::default(), matches, context, level, &settle);
    match problems.is_empty() {
        true => Ok(settled(
            config::load(matches, context),
            matches,
            context,
            level,
            settle,
        )),
        false => Err(Failure::new(Cause::Usage, problems)),
    }
}

fn load_with<T>(
    matches: &ArgMatches,
    context: &Context,
    level: LogLevel,
    settle: impl FnOnce(&mut Layers<'_>) -> T,
) -> Result<Loaded<T>, Failure> {
    let (loaded, problems) = settled(config::load(matches, context), matches, context, level, settle);
    match problems.is_empty() {
        true => Ok(loaded),
        false => Err(Failure::new(Cause::Usage, problems)),
    }
}

/// What all layers say, with these files, and everything that is wrong with them.
fn settled<T>(
    mut found: Found,
    matches: &ArgMatches,
    context: &Context,
    level: LogLevel,
    settle: impl FnOnce(&mut Layers<'_>) -> T,
) -> (Loaded<T>, Vec<Problem>) {
    let mut layers = Layers::new(matches, context, &found.files);
    layers.problems = found.problems;
    layers.notices.extend(unknown_variables(context));
    let loaded = Loaded {
        level: layers.settle(&table::LOG_LEVEL, level, LogLevel::parse),
        format: layers.settle(&table::LOG_FORMAT, LogFormat::default(), LogFormat::parse),
        settings: settle(&mut layers),
        notices: {
            found.notices.append(&mut layers.notices);
            found.notices
        },
    };
    (loaded, layers.problems)
}

/// Variables that look like ours and are not. The names may also be another program's, so they are no error.
fn unknown_variables(context: &Context) -> Vec<Notice> {
    const OURS: &str = "LOCKET_";
    let known = providers::variables().chain(table::all().flat_map(|opt| opt.variables.iter().copied()));
    let known: Vec<_> = known.filter(|name| name.starts_with(OURS)).collect();
    let given = context.environment.names().filter_map(|name| name.to_str());
    let unknown = given
        .filter(|name| name.starts_with(OURS) && *name != notify::CHANGED_VARIABLE)
        .filter(|name| {
            let is_known = |name: &str| known.contains(&name);
            !is_known(name) && !name.strip_suffix("_FILE").is_some_and(is_known)
        });
    let notice = |name: &str| match suggest::nearest(name, known.iter().copied()) {
        Some(near) => Notice::Warning(format!(
            "the variable {name} means nothing here; did you mean {near}?"
        )),
        None => Notice::Detail(format!("the variable {name} means nothing here")),
    };
    unknown.map(notice).collect()
}

impl<T> Loaded<T> {
    /// The form of the log lines.
    pub(crate) fn format(&self) -> LogFormat {
        self.format
    }

    /// The settings alone.
    #[cfg(any(test, feature = "command-systemd", feature = "command-plugin"))]
    pub(crate) fn quietly(self) -> T {
        self.settings
    }

    /// What is to be told.
    pub(crate) fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// The same as [`Loaded::open`] for a configuration that was read again: what was `told` before is not repeated.
    pub(crate) fn open_again(mut self, told: &[Notice], context: &Context) -> T {
        self.notices.retain(|notice| !told.contains(notice));
        self.open(context)
    }

    /// Opens the log, unless it is open, and hands the settings out.
    pub(crate) fn open(self, context: &Context) -> T {
        logging::start(self.level, self.format, context.style, context.clock.clone());
        self.notices.iter().for_each(Notice::log);
        if let Some(reason) = &context.unprotected {
            tracing::warn!("core dumps and tracing of this process could not be ruled out: {reason}");
        }
        self.settings
    }
}

impl Common {
    /// Settles them.
    pub(crate) fn settle(layers: &mut Layers<'_>) -> Self {
        let request_timeout = layers.settle(
            &table::REQUEST_TIMEOUT,
            REQUEST_TIMEOUT,
            values::positive_duration,
        );
        Self {
            deadline: deadline(layers),
            providers: providers::settle(layers, request_timeout),
            request_timeout,
        }
    }
}
