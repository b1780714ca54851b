//! `locket exec`: a program, with secrets in its environment.

use std::ffi::OsString;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use clap::{ArgMatches, Args};
use locket_core::{Clock, Signal, Span};
use locket_engine::agent::{self, AgentCx, Generation, Mode};
use locket_engine::supervise::{Masking, OnChange, Program, RunError, Signals, Supervision, supervise};
use tokio::sync::mpsc;

use super::variables::{self, Variables};
use super::{Command, run::Screen};
use crate::context::Context;
use crate::exit::Exit;
use crate::options::{self, Layers, table, values};
use crate::report::{self, Cause, Failure, Problem};
use crate::settings::{self, ProgramSettings, VariableArgs};
use crate::{providers, runtime};

pub(super) const COMMAND: Command = Command {
    name: "exec",
    about: "Run a program with secrets in its environment",
    arguments: |command| {
        let command = ExecArgs::augment_args(VariableArgs::augment_args(command));
        let command = options::add_flags(command, table::EXEC);
        let command = options::add_flags(options::add_flags(command, table::READING), table::EVERY);
        providers::add_flags(command)
    },
    run,
};

/// From asking a program to end to killing it.
const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Args)]
struct ExecArgs {
    /// Render a file of templates to a file, or a directory to a directory, before the program runs; repeatable
    #[arg(long, value_name = "SRC:DST[:mode=MODE,user=UID]")]
    map: Vec<String>,

    /// Render an inline template to the file NAME in --out; repeatable
    #[arg(long, value_name = "NAME=TEMPLATE|NAME=@FILE")]
    secret: Vec<String>,

    /// Start the program again when an env file or a template changes
    #[arg(long)]
    watch: bool,

    /// Ask the providers again after this time, and start the program again when a secret changed [default: off]
    #[arg(long, value_name = "DUR|off")]
    refresh: Option<String>,

    /// What happens to the program on such a change: `restart`, `signal:NAME` or `none` [default: restart]
    #[arg(long, value_name = "restart|signal:NAME|none")]
    on_change: Option<String>,

    /// From asking the program to end until it is killed [default: 30s]
    #[arg(long, value_name = "DUR")]
    timeout: Option<String>,

    /// Hide the secrets in what the program puts out
    #[arg(long)]
    mask: bool,

    /// Hide secrets of fewer than 6 bytes, too, which are refused otherwise
    #[arg(long, requires = "mask")]
    mask_short: bool,

    /// Let the program have the credentials of our providers
    #[arg(long)]
    keep_credentials: bool,

    /// Do not stay to renew the leases of secrets
    #[arg(long)]
    no_renew: bool,

    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// What keeps locket beside the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leases {
    Renew,
    Leave,
}

#[derive(Debug)]
struct ExecSettings {
    program: ProgramSettings,
    mode: Mode,
    refresh: Option<Duration>,
    supervision: Supervision,
    leases: Leases,
}

impl ExecSettings {
    fn settle(layers: &mut Layers<'_>, args: &ExecArgs, matches: &ArgMatches, context: &Context) -> Self {
        let value =
            |flag: &str, text: &Option<String>| text.as_ref().map(|text| layers.given_by_flag(flag, text));
        let (refresh, on_change, timeout) = (
            value("refresh", &args.refresh),
            value("on-change", &args.on_change),
            value("timeout", &args.timeout),
        );
        let mut problems = Vec::new();
        let refresh = refresh.and_then(|given| {
            let parsed = values::duration_or_off(&given.text);
            parsed
                .map_err(|wrong| problems.extend(given.wrong([wrong])))
                .ok()
                .flatten()
        });
        let on_change = on_change.map_or(OnChange::Restart, |given| {
            on_change_of(&given.text).unwrap_or_else(|wrong| {
                problems.extend(given.wrong([wrong]));
                OnChange::Restart
            })
        });
        let timeout = timeout.map_or(TIMEOUT, |given| {
            values::positive_duration(&given.text).unwrap_or_else(|wrong| {
                problems.extend(given.wrong([wrong]));
                TIMEOUT
            })
        });
        layers.problems.extend(problems);
        Self {
            program: ProgramSettings::settle(layers, matches, context),
            mode: if args.watch { Mode::Watch } else { Mode::Park },
            refresh,
            supervision: Supervision {
                on_change,
                timeout,
                masking: match (args.mask, args.mask_short) {
                    (false, _) => Masking::Off,
                    (true, false) => Masking::On,
                    (true, true) => Masking::Short,
                },
            },
            leases: if args.no_renew {
                Leases::Leave
            } else {
                Leases::Renew
            },
        }
    }

    /// Whether something is left to be done once the program runs.
    fn stays_for(&self, generation: &Generation) -> bool {
        self.mode == Mode::Watch
            || self.refresh.is_some()
            || self.supervision.masking != Masking::Off
            || (generation.is_leased && self.leases == Leases::Renew)
            || std::process::id() == 1
    }
}

/// Any failure of ours has a status that programs rarely have.
fn run(matches: &ArgMatches, context: &Context) -> Result<Exit, Failure> {
    let failure = match start(matches, context) {
        Ok(status) => return Ok(Exit::Status(status)),
        Err(failure) => failure,
    };
    match failure {
        Stopped::Program(error) => {
            let problem = Problem::Told {
                message: error.to_string(),
                help: error.hint().map(str::to_owned),
            };
            report::tell(&Failure::new(Cause::Work, vec![problem]).draw(context.style));
            Ok(Exit::Status(error.status()))
        }
        Stopped::Own(failure) => {
            report::tell(&failure.draw(context.style));
            Ok(Exit::OWN)
        }
    }
}

/// Why a program did not come to its end.
enum Stopped {
    Program(RunError),
    Own(Failure),
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self::Own(failure)
    }
}

impl From<RunError> for Stopped {
    fn from(error: RunError) -> Self {
        Self::Program(error)
    }
}

fn start(matches: &ArgMatches, context: &Context) -> Result<u8, Stopped> {
    let args: ExecArgs = super::arguments(matches)?;
    let loaded = settings::load_quietly(matches, context, |layers| {
        ExecSettings::settle(layers, &args, matches, context)
    })?;
    let screen = Screen::of(&loaded, context);
    let settings = loaded.open(context);
    if let Err(error) = locket_sys::process::close_files_on_exec() {
        tracing::warn!("the program may inherit open files: {error}");
    }
    let mut words = args.command.into_iter();
    let program = Program {
        name: words.next().unwrap_or_default(),
        arguments: words.collect(),
        environment: match args.keep_credentials {
            true => context.environment.clone(),
            false => providers::without_credentials(&context.environment),
        },
        directory: context.directory.clone(),
    };
    let plan = Variables {
        program: &settings.program,
        mode: settings.mode,
        refresh: settings.refresh,
    };
    let (setup, mut generations) = variables::setup(&plan, context);
    let clock: Arc<dyn Clock> = context.clock.clone();
    runtime::block_on(async {
        let mut signals = Signals::listen()?;
        let (orders, commands) = mpsc::channel(1);
        let mut reload = || None;
        let cx = AgentCx {
            clock: clock.clone(),
            observer: &screen,
            commands,
            reload: &mut reload,
        };
        let mut agent = pin!(agent::run(setup, cx));
        let supervised = async {
            let first = tokio::select! {
                biased;
                Some(first) = generations.recv() => first,
                number = signals.next() => return Ok(Exit::of_signal(number)),
            };
            if !settings.stays_for(&first) {
                return Err(Stopped::Program(replace(&program, &first)));
            }
            let supervision = &settings.supervision;
            let status = supervise(
                &program,
                supervision,
                first,
                &mut generations,
                &mut signals,
                &*clock,
            );
            Ok(status.await?)
        };
        let ended = tokio::select! {
            biased;
            ended = supervised => ended,
            ending = &mut agent => return Err(variables::failure(ending).into()),
        };
        // What was leased for the program is given back with it.
        if orders.try_send(agent::Command::Stop).is_ok() {
            agent.await;
        }
        ended
    })?
}

/// Becomes the program; comes back only when that fails.
fn replace(program: &Program, generation: &Generation) -> RunError {
    match program.command(generation) {
        Ok((mut command, files)) => {
            let error = locket_sys::child::replace(&mut command, &files);
            program.refused(&error)
        }
        Err(error) => error,
    }
}

fn on_change_of(text: &str) -> Result<OnChange, locket_core::Diagnostic> {
    if let Some(name) = text.trim().strip_prefix("signal:") {
        let signal = Signal::parse(name).map_err(|wrong| wrong.shifted(text.len() - name.len()))?;
        return Ok(OnChange::Signal(signal.number()));
    }
    match text.trim() {
        "restart" => Ok(OnChange::Restart),
        "none" => Ok(OnChange::Nothing),
        other => {
            let span = Span::new(0, text.len());
            let wrong = locket_core::Diagnostic::error(
                span,
                format!("`{other}` is nothing that can happen on a change"),
            );
            Err(wrong.help("Write `restart`, `signal:HUP` or `none`."))
        }
    }
}
