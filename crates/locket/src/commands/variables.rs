//! What commands have in common whose target is an environment: a plan of variables, and what came of it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use locket_engine::agent::{
    self, AgentCx, AtEnd, Ending, Generation, Handover, Mode, Observer, Refusal, Sandbox, Schedule, Setup,
    Surroundings,
};
use locket_engine::mask::Hidden;
use locket_engine::notify::Notifier;
use locket_engine::sources;
use locket_engine::telemetry::Outlets;
use tokio::sync::mpsc;

use crate::context::Context;
use crate::couriers::Couriers;
use crate::report::{Cause, Failure, Problem};
use crate::runtime;
use crate::settings::ProgramSettings;

/// Quiet time after an edit of an env file.
const DEBOUNCE: Duration = Duration::from_millis(500);

/// A plan of variables, and what starts its rounds.
pub(super) struct Variables<'a> {
    pub(super) program: &'a ProgramSettings,
    pub(super) mode: Mode,
    pub(super) refresh: Option<Duration>,
    pub(super) telling: Telling,
    /// What notes the secrets that are hidden in what the program puts out.
    pub(super) hidden: Option<Arc<Hidden>>,
}

/// How consumers are told of files that change beside the variables.
#[derive(Clone, Debug, Default)]
pub(super) struct Telling {
    /// How long a failing notification is tried again.
    pub(super) timeout: Duration,
    /// Where what is owed outlives the process; nowhere unless somebody said where.
    pub(super) state_dir: Option<PathBuf>,
}

/// What an agent is to do, and where the variables will come from. Env files that are pipes are read here, as long as
/// there is neither a round that they would hold up nor a listener for the signal that ends the wait.
///
/// # Errors
/// An env file that is a pipe cannot be read to its end.
pub(super) fn setup(
    variables: &Variables<'_>,
    context: &Context,
) -> Result<(Setup, mpsc::UnboundedReceiver<Generation>), Failure> {
    let (to, generations) = mpsc::unbounded_channel();
    let program = variables.program;
    let mut plan = program.plan.clone();
    // A loop is not made for nothing: a program waits for it.
    if sources::has_pipes(&plan) {
        runtime::block_on(sources::drain(&mut plan, program.common.deadline))?
            .map_err(|error| Failure::work(error.to_string()).help(error.hint()))?;
    }
    let instances = program.common.providers.instances(context);
    let setup = Setup {
        surroundings: Surroundings {
            // A program may do whatever its user may, so that nobody asks what else is needed.
            sandbox: Sandbox::Off,
            ..Surroundings::default()
        },
        instances,
        plan,
        schedule: Schedule {
            mode: variables.mode,
            refresh: variables.refresh,
            jitter: Duration::ZERO,
            debounce: DEBOUNCE,
            deadline: program.common.deadline,
            request: program.common.request_timeout,
        },
        actions: Vec::new(),
        notifier: Notifier {
            courier: Arc::new(Couriers::new(
                program.common.providers.without_credentials(&context.environment),
            )),
            timeout: variables.telling.timeout,
        },
        status_file: None,
        at_end: AtEnd::Keep,
        outlets: Outlets::default(),
        state_dir: variables.telling.state_dir.clone(),
        handover: Some(Handover {
            to,
            hidden: variables.hidden.clone(),
        }),
    };
    Ok((setup, generations))
}

/// Resolves everything once.
///
/// # Errors
/// Whatever has no value; `observer` has seen the mistakes in templates.
pub(super) fn resolve(
    program: &ProgramSettings,
    observer: &dyn Observer,
    context: &Context,
) -> Result<Generation, Failure> {
    let plan = Variables {
        program,
        mode: Mode::OneShot,
        refresh: None,
        telling: Telling::default(),
        hidden: None,
    };
    let (setup, mut generations) = setup(&plan, context)?;
    let ending = runtime::block_on(async {
        let (_orders, commands) = mpsc::channel(1);
        let mut reload = || None;
        let cx = AgentCx {
            clock: context.clock.clone(),
            observer,
            commands,
            reload: &mut reload,
        };
        agent::run(setup, cx).await
    })?;
    let is_whole = ending.unresolved.is_empty() && ending.unwritten.is_empty() && ending.refused.is_empty();
    match generations.try_recv() {
        Ok(generation) if is_whole => Ok(generation),
        _ => Err(failure(ending)),
    }
}

/// Why there are no variables.
pub(super) fn failure(ending: Ending) -> Failure {
    let cause = if !ending.refused.is_empty() {
        Cause::Usage
    } else if ending.unresolved.is_empty() {
        Cause::Work
    } else {
        Cause::Unresolved
    };
    let told = |refusal: Refusal| Problem::Told {
        message: refusal.message,
        help: refusal.hint,
    };
    let problems: Vec<_> = ending.refused.into_iter().chain(ending.why).map(told).collect();
    if problems.is_empty() {
        return Failure::work("the secrets could not be resolved");
    }
    Failure::new(cause, problems)
}
