//! `locket run` and `locket inject`: secrets put in place, and kept fresh.

use std::path::PathBuf;
use std::sync::Arc;

use clap::ArgMatches;
use locket_core::Diagnostic;
use locket_core::diagnostic::Severity;
use locket_engine::Instances;
use locket_engine::agent::{self, AgentCx, Command as Order, Ending, Mode, Observer, Setup, Surroundings};
use locket_engine::notify::Notifier;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::Command;
use crate::context::{Context, Style};
use crate::couriers::Couriers;
use crate::exit::Exit;
use crate::labels::Labels;
use crate::logging::LogFormat;
use crate::options::{self, Notice, table};
use crate::report::{self, Cause, Failure, Problem, SourceText};
use crate::service::{self, Served};
use crate::settings::{self, Form, Loaded, RunSettings};
use crate::{config, diagnostics, providers, runtime};

pub(super) const COMMAND: Command = Command {
    name: "run",
    about: "Put secrets in place and keep them fresh",
    arguments: |command| add_reading(options::add_flags(command, table::RUN)),
    run: |matches, context| run(Form::Run, matches, context),
};

pub(super) const INJECT: Command = Command {
    name: "inject",
    about: "Put secrets in place once: `run --mode one-shot`",
    arguments: |command| add_reading(options::add_flags(command, table::INJECT)),
    run: |matches, context| run(Form::Inject, matches, context),
};

fn add_reading(command: clap::Command) -> clap::Command {
    let command = options::add_flags(options::add_flags(command, table::READING), table::EVERY);
    providers::add_flags(command)
}

fn run(form: Form, matches: &ArgMatches, context: &Context) -> Result<Exit, Failure> {
    let load = || {
        settings::load(matches, context, |layers| {
            RunSettings::settle(layers, form, context)
        })
    };
    let loaded = load()?;
    let screen = Screen::of(&loaded, context);
    let told = loaded.notices().to_vec();
    let settings = loaded.open(context);
    keep_files_to_ourselves();
    let mode = settings.schedule.mode;
    let files = config::places(matches, context);
    let instances = settings.common.providers.instances(context);
    let patience = (mode == Mode::OneShot).then_some(settings.schedule.deadline);
    let labels = settings.labels.is_some().then(|| Labels::new(context, patience));
    if let Some(labels) = &labels {
        runtime::block_on(labels.first_look())?;
    }
    let planned = |settings: &RunSettings, instances| {
        let mut setup = setup(settings, instances, &files, context);
        if let (Some(labels), Some(settings)) = (&labels, &settings.labels) {
            labels.extend(&mut setup, settings);
        }
        setup
    };
    let first = planned(&settings, instances.clone());
    let mut providers = settings.common.providers;
    let mut running = instances;
    let mut reload = || {
        let settings = reloaded(load(), &told, context)?;
        running = settings
            .common
            .providers
            .instances_after(&providers, &running, context);
        let setup = planned(&settings, running.clone());
        providers = settings.common.providers;
        Some(setup)
    };
    let mut ending = drive(first, &mut reload, &screen, labels.as_ref(), context)?;
    let unseen = ending.unseen.take();
    match (outcome(ending, mode)?, unseen) {
        (Exit::Done, Some(unseen)) => Err(Failure::work(unseen.reason).help(
            "Check that the engine runs and that this user may use its socket (`DOCKER_HOST`), or raise `--deadline`.",
        )),
        (exit, _) => Ok(exit),
    }
}

/// Runs an agent to its end; signals of the process are its orders, and containers whose `labels` are followed.
///
/// # Errors
/// It was told to stop twice.
pub(super) fn drive(
    first: Setup,
    reload: &mut dyn FnMut() -> Option<Setup>,
    observer: &dyn Observer,
    labels: Option<&Labels<'_>>,
    context: &Context,
) -> Result<Ending, Failure> {
    runtime::block_on(async {
        let mut signals = Signals::listen()?;
        let (orders, commands) = mpsc::channel(8);
        let served = Served::new(observer, first.schedule.mode, &context.environment);
        let cx = AgentCx {
            clock: context.clock.clone(),
            observer: &served,
            commands,
            reload,
        };
        let follow = async {
            match labels {
                Some(labels) => labels.follow(&orders).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ending = agent::run(first, cx) => Ok(ending),
            () = follow => Err(Failure::work("containers are not followed any more")),
            () = signals.pass_on(&orders) => Err(Failure::work("it was told to stop twice and did not wait")),
        }
    })?
}

/// What the agent is to do, from what was settled. `files` are those of the configuration.
pub(super) fn setup(
    settings: &RunSettings,
    instances: Arc<Instances>,
    files: &[PathBuf],
    context: &Context,
) -> Setup {
    Setup {
        handover: None,
        surroundings: Surroundings {
            sandbox: settings.sandbox,
            files: files.to_vec(),
            ..settings.common.providers.surroundings(&instances, context)
        },
        instances,
        plan: settings.plan.clone(),
        schedule: settings.schedule,
        actions: settings.actions.clone(),
        notifier: Notifier {
            courier: Arc::new(Couriers::new(service::without_manager(
                &settings
                    .common
                    .providers
                    .without_credentials(&context.environment),
            ))),
            timeout: settings.notify_timeout,
        },
        status_file: settings.status_file.clone(),
        at_end: settings.at_end,
        outlets: settings.outlets.clone(),
        state_dir: Some(settings.state_dir.clone()),
    }
}

/// What a consumer's program inherits is its standard streams.
pub(super) fn keep_files_to_ourselves() {
    if let Err(error) = locket_sys::process::close_files_on_exec() {
        tracing::warn!("programs that are run may inherit open files: {error}");
    }
}

fn reloaded(
    loaded: Result<Loaded<RunSettings>, Failure>,
    told: &[Notice],
    context: &Context,
) -> Option<RunSettings> {
    match loaded {
        Ok(loaded) => Some(loaded.open_again(told, context)),
        Err(failure) => {
            stay(&failure, context);
            None
        }
    }
}

/// Says why a configuration that was read again is not used.
pub(super) fn stay(failure: &Failure, context: &Context) {
    report::tell(&failure.draw(context.style));
    tracing::error!("the configuration has mistakes; the one before it stays in force");
}

/// Why an agent did not begin, if it did not.
pub(super) fn refused(ending: &mut Ending) -> Option<Failure> {
    let refusals = std::mem::take(&mut ending.refused);
    let problems = refusals.into_iter().map(|refusal| Problem::Told {
        message: refusal.message,
        help: refusal.hint,
    });
    let problems: Vec<_> = problems.collect();
    (!problems.is_empty()).then(|| Failure::new(Cause::Usage, problems))
}

/// What the end of a run means for the caller. The log has said what happened to which output.
fn outcome(mut ending: Ending, mode: Mode) -> Result<Exit, Failure> {
    if let Some(failure) = refused(&mut ending) {
        return Err(failure);
    }
    Ok(match (ending.was_stopped, mode) {
        (true, Mode::Watch | Mode::Park | Mode::Repeat) => Exit::Done,
        (true, Mode::OneShot) => Exit::Failed,
        (false, _) if !ending.unresolved.is_empty() => Exit::Unresolved,
        (false, _) if !ending.unwritten.is_empty() => Exit::Failed,
        (false, Mode::OneShot) if !ending.untold.is_empty() => Exit::Failed,
        (false, _) => Exit::Done,
    })
}

/// The signals that a process minds which stays.
pub(super) struct Signals {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    pub(super) fn listen() -> Result<Self, Failure> {
        let open = |kind| {
            signal(kind).map_err(|error| Failure::work(format!("signals cannot be received: {error}")))
        };
        Ok(Self {
            hangup: open(SignalKind::hangup())?,
            interrupt: open(SignalKind::interrupt())?,
            terminate: open(SignalKind::terminate())?,
        })
    }

    /// What the process is told next.
    pub(super) async fn next(&mut self) -> Order {
        tokio::select! {
            _ = self.hangup.recv() => Order::Reload,
            _ = self.interrupt.recv() => Order::Stop,
            _ = self.terminate.recv() => Order::Stop,
        }
    }

    /// Passes signals on as orders, until somebody asks to stop for the second time.
    async fn pass_on(&mut self, orders: &mpsc::Sender<Order>) {
        let mut is_stopping = false;
        loop {
            let order = self.next().await;
            if order == Order::Stop && std::mem::replace(&mut is_stopping, true) {
                return;
            }
            // A full queue holds the same order already.
            let _ = orders.try_send(order);
        }
    }
}

/// Shows mistakes in templates to people as compilers do, and to machines as log lines.
pub(super) struct Screen {
    style: Style,
    format: LogFormat,
}

impl Screen {
    pub(super) fn of<T>(loaded: &Loaded<T>, context: &Context) -> Self {
        Self {
            style: context.style,
            format: loaded.format(),
        }
    }
}

impl Observer for Screen {
    fn template(&self, name: &str, text: &[u8], found: &[Diagnostic]) {
        match self.format {
            LogFormat::Text => {
                let source = SourceText {
                    name: name.to_owned(),
                    text: text.into(),
                };
                report::tell(&format!("{}\n", diagnostics::draw(&source, found, self.style)));
            }
            LogFormat::Json => found.iter().for_each(|finding| log(name, text, finding)),
        }
    }
}

fn log(template: &str, text: &[u8], finding: &Diagnostic) {
    let (line, column) = finding.span.line_column(text);
    let help = finding.help.as_deref();
    match finding.severity {
        Severity::Error => tracing::error!(template, line, column, help, "{}", finding.message),
        Severity::Warning => tracing::warn!(template, line, column, help, "{}", finding.message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(ending: Ending, mode: Mode) -> u8 {
        Exit::of(&outcome(ending, mode)).code()
    }

    #[test]
    fn every_ending_has_its_code() {
        let unresolved = || Ending {
            unresolved: vec!["a".into()],
            unwritten: vec!["b".into()],
            ..Ending::default()
        };
        let unwritten = || Ending {
            unwritten: vec!["b".into()],
            ..Ending::default()
        };
        let untold = || Ending {
            untold: vec![locket_core::Action::parse("exec:false").unwrap()],
            ..Ending::default()
        };
        let stopped = |ending| Ending {
            was_stopped: true,
            ..ending
        };
        assert_eq!(code(Ending::default(), Mode::OneShot), 0);
        assert_eq!(code(unresolved(), Mode::OneShot), 4);
        assert_eq!(
            code(unresolved(), Mode::Watch),
            4,
            "on-error = error ends the first round"
        );
        assert_eq!(code(unwritten(), Mode::OneShot), 1);
        assert_eq!(code(untold(), Mode::OneShot), 1, "it goes on with what it had");
        assert_eq!(
            code(stopped(untold()), Mode::Watch),
            0,
            "it is told at the next start"
        );
        assert_eq!(code(stopped(unresolved()), Mode::Watch), 0);
        assert_eq!(
            code(stopped(Ending::default()), Mode::OneShot),
            1,
            "it was not done"
        );
    }
}
