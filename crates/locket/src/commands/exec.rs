//! `locket exec`: a program, with secrets in its environment.

use std::ffi::OsString;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use clap::{ArgMatches, Args};
use locket_core::plan::{Place, Plan, Secret};
use locket_core::{Clock, Signal, Span};
use locket_engine::agent::{self, AgentCx, Generation, Mode};
use locket_engine::mask::Hidden;
use locket_engine::supervise::{OnChange, Program, RunError, Signals, Supervision, supervise};
use rustix::process::WaitOptions;
use tokio::sync::mpsc;

use super::variables::{self, Telling, Variables};
use super::{Command, run::Screen};
use crate::context::Context;
use crate::exit::Exit;
use crate::options::{self, Layers, Opt, table, values};
use crate::report::{self, Cause, Failure, Problem};
use crate::settings::{self, ProgramSettings};
use crate::{providers, runtime};

pub(super) const COMMAND: Command = Command {
    name: "exec",
    about: "Run a program with secrets in its environment",
    arguments: |command| {
        let command = options::add_flags(ExecArgs::augment_args(command), table::VARIABLES);
        let command = options::add_flags(options::add_flags(command, table::KEEPING), table::EXEC);
        let command = options::add_flags(options::add_flags(command, table::READING), table::EVERY);
        providers::add_flags(command)
    },
    run,
};

/// From asking a program to end to killing it.
const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Args)]
struct ExecArgs {
    /// Before the program runs, render a file of templates to a file, or a directory to a directory; repeatable
    #[arg(long, value_name = "SRC:DST[:mode=MODE,user=UID]")]
    map: Vec<String>,

    /// Before the program runs, render an inline template to the file NAME in --out; repeatable
    #[arg(long, value_name = "NAME=TEMPLATE|NAME=@FILE")]
    secret: Vec<String>,

    /// Tell a consumer when a file of --map or --secret changed, and stay for that; repeatable
    #[arg(long, value_name = "ACTION")]
    notify: Vec<String>,

    /// Where it is kept whom --notify has still to tell if locket is killed, and what a daily budget has left
    #[arg(id = "state-dir", long, value_name = "DIR")]
    state_dir: Option<String>,

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
    telling: Telling,
    leases: Leases,
    keeps_credentials: bool,
    /// Flags of which only a locket that stays makes use, as far as they are given.
    of_staying: Vec<&'static Opt>,
}

impl ExecSettings {
    fn settle(layers: &mut Layers<'_>, matches: &ArgMatches, context: &Context) -> Self {
        let is_on = |layers: &mut Layers<'_>, opt| layers.settle(opt, false, values::switch);
        let shortest = match (is_on(layers, &table::MASK), is_on(layers, &table::MASK_SHORT)) {
            (false, false) => None,
            (true, false) => Some(Hidden::SHORTEST),
            (true, true) => Some(0),
            (false, true) => {
                layers.problems.push(Problem::Told {
                    message: "mask-short: nothing is masked".to_owned(),
                    help: Some("Say `--mask`, or `mask = true` in `[exec]`, as well.".to_owned()),
                });
                None
            }
        };
        let program = ProgramSettings::settle(layers, matches, context);
        let on_change = layers.settle(&table::ON_CHANGE, OnChange::Restart, on_change_of);
        refuse_stale_file(layers, &program.plan, on_change);
        Self {
            program,
            mode: match is_on(layers, &table::RESTART_ON_EDIT) {
                true => Mode::Watch,
                false => Mode::Park,
            },
            refresh: layers.settle(&table::RESTART_ON_ROTATION, None, values::duration_or_off),
            supervision: Supervision {
                on_change,
                timeout: layers.settle(&table::END_TIMEOUT, TIMEOUT, values::positive_duration),
                hidden: shortest.map(|shortest| Arc::new(Hidden::new(shortest))),
            },
            telling: Telling {
                timeout: layers.settle(
                    &table::NOTIFY_TIMEOUT,
                    settings::NOTIFY_TIMEOUT,
                    values::positive_duration,
                ),
                // Programs that run at once must not share what they owe: only who names a place has one.
                state_dir: layers
                    .flags(&table::STATE_DIR)
                    .first()
                    .map(|given| context.directory.join(&given.text)),
            },
            leases: match is_on(layers, &table::NO_RENEW) {
                true => Leases::Leave,
                false => Leases::Renew,
            },
            keeps_credentials: is_on(layers, &table::KEEP_CREDENTIALS),
            of_staying: [&table::ON_CHANGE, &table::END_TIMEOUT]
                .into_iter()
                .filter(|opt| !layers.flags(opt).is_empty())
                .collect(),
        }
    }

    /// Whether something is left to be done once the program runs.
    fn stays_for(&self, generation: &Generation) -> bool {
        self.may_change(generation)
            || self.supervision.hidden.is_some()
            || settings::tells_somebody(&self.program.plan)
            || std::process::id() == 1
    }

    /// Whether what the program was started with may change while it runs.
    fn may_change(&self, generation: &Generation) -> bool {
        self.mode == Mode::Watch
            || self.refresh.is_some()
            || (generation.is_leased && self.leases == Leases::Renew)
    }

    /// Warns of flags that make no difference. It is known no sooner: what is leased is known by its answer.
    fn warn_of_unused(&self, generation: &Generation) {
        for opt in &self.of_staying {
            let (is_used, why) = match opt.name == table::ON_CHANGE.name {
                true => (
                    self.may_change(generation),
                    "nothing is looked at again while the program runs, which takes `--watch`, `--refresh` or a lease",
                ),
                false => (
                    self.stays_for(generation),
                    "locket becomes the program and asks none to end, unless something keeps it: `--watch`, \
                     `--refresh`, `--mask`, `--notify` or a lease",
                ),
            };
            if !is_used {
                tracing::warn!("--{} makes no difference: {why}", opt.name);
            }
        }
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
        ExecSettings::settle(layers, matches, context)
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
        environment: match settings.keeps_credentials {
            true => context.environment.clone(),
            false => {
                let providers = &settings.program.common.providers;
                providers.without_credentials(&context.environment)
            }
        },
        directory: context.directory.clone(),
    };
    let plan = Variables {
        program: &settings.program,
        mode: settings.mode,
        refresh: settings.refresh,
        telling: settings.telling.clone(),
        hidden: settings.supervision.hidden.clone(),
    };
    let (setup, mut generations) = variables::setup(&plan, context)?;
    let clock: Arc<dyn Clock> = context.clock.clone();
    let next = runtime::block_on(async {
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
                number = signals.next() => return Ok(Next::Ended(Exit::of_signal(number))),
            };
            settings.warn_of_unused(&first);
            if !settings.stays_for(&first) {
                return Ok(Next::Become(first));
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
            Ok(Next::Ended(status.await?))
        };
        let ended = tokio::select! {
            biased;
            ended = supervised => ended,
            ending = &mut agent => return Err(Stopped::from(variables::failure(ending))),
        };
        if matches!(ended, Ok(Next::Become(_))) {
            return ended;
        }
        // What was leased for the program is given back with it.
        if orders.try_send(agent::Command::Stop).is_ok() {
            agent.await;
        }
        ended
    })??;
    // The agent has gone with all that it had started.
    match next {
        Next::Ended(status) => Ok(status),
        Next::Become(generation) => {
            reap_helpers();
            Err(Stopped::Program(replace(&program, &generation)))
        }
    }
}

/// What becomes of this process.
enum Next {
    /// The program ended with this status.
    Ended(u8),
    /// It becomes the program.
    Become(Generation),
}

/// Looks for helper programs that were killed with their providers and have not ended yet, and the time between two.
const LOOKS: u32 = 50;
const LOOK: Duration = Duration::from_millis(2);

/// Waits for helper programs: whatever comes in our place would get children that it knows nothing of.
fn reap_helpers() {
    for _ in 0..LOOKS {
        match rustix::process::wait(WaitOptions::NOHANG) {
            Ok(Some(_)) => {}
            Ok(None) => std::thread::sleep(LOOK),
            // There are none.
            Err(_) => return,
        }
    }
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

/// A signal is sent to have something read again, and what `--as-file` makes can neither change while a program has it
/// nor be replaced under its path.
fn refuse_stale_file(layers: &mut Layers<'_>, plan: &Plan, on_change: OnChange) {
    let is_variable_file = |secret: &&Secret| secret.place == Place::VariableFile;
    if let OnChange::Signal(_) = on_change
        && let Some(secret) = plan.secrets.iter().find(is_variable_file)
    {
        let help =
            "Have a file that changes in place with `--secret` and `--out`, or say `--on-change restart`.";
        layers.problems.push(Problem::Told {
            message: format!(
                "on-change: a program that gets a signal would read the old value of {} in its file of `--as-file`",
                secret.name
            ),
            help: Some(help.to_owned()),
        });
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
