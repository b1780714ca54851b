//! The supervisor's loop. It starts the program when a generation is there, follows it, and ends with it.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use locket_core::Clock;
use locket_sys::child::{self, Terminal};
use tokio::sync::mpsc;

use super::error::RunError;
use super::group::{Change, Group, Orphans, status_of_signal};
use super::program::Program;
use super::relay::Relay;
use super::signals::{Received, Signals};
use super::terminal::OwnTerminal;
use crate::agent::Generation;
use crate::mask::Hidden;

/// A program that did not live so long after it was restarted is not restarted at once again.
const SETTLED: Duration = Duration::from_secs(10);

/// Before the second of such restarts in a row; doubled by each.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Between looks at what is left of a group, or of processes that nobody waits for.
const LOOK: Duration = Duration::from_millis(100);

const KILL: i32 = 9;
const TERM: i32 = 15;
const CONT: i32 = 18;
const WINCH: i32 = 28;

/// Signals by which somebody asks a program to end: all that service managers and images are told to stop one with, but
/// for those that mean something else to most programs.
const ENDS: [i32; 3] = [2, 3, TERM];

/// How a program is looked after.
#[derive(Clone, Debug)]
pub struct Supervision {
    /// What happens to it when its variables or files change.
    pub on_change: OnChange,
    /// From asking it to end to killing it.
    pub timeout: Duration,
    /// What is hidden in what it puts out; it has our own streams if nothing ever is.
    pub hidden: Option<Arc<Hidden>>,
}

/// What happens to the program when its variables or files change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnChange {
    /// It is ended and started with the new ones.
    Restart,
    /// It gets this signal.
    Signal(i32),
    /// Nothing.
    Nothing,
}

struct Running {
    group: Group,
    relay: Option<Relay>,
    since: Duration,
    /// What it was started with.
    generation: Generation,
}

/// Why a running program is being ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stopping {
    No,
    /// Somebody asked this process to end: the program's status is passed on.
    Asked {
        kill_at: Duration,
    },
    /// It is started again.
    Restart {
        kill_at: Duration,
    },
}

struct Supervisor<'a> {
    program: &'a Program,
    supervision: &'a Supervision,
    clock: &'a dyn Clock,
    terminal: Option<OwnTerminal>,
    orphans: Orphans,
    /// When zombies are looked at again.
    look_at: Option<Duration>,
    stopping: Stopping,
    pause: Duration,
}

/// Runs `program` with `first`, and with each of `generations` that differs, until it ends; gives its status.
///
/// # Errors
/// It cannot be run.
pub async fn supervise(
    program: &Program,
    supervision: &Supervision,
    first: Generation,
    generations: &mut mpsc::UnboundedReceiver<Generation>,
    signals: &mut Signals,
    clock: &dyn Clock,
) -> Result<u8, RunError> {
    // Whatever the program leaves behind comes to this process, which waits for it.
    if let Err(error) = rustix::process::set_child_subreaper(Some(rustix::process::getpid())) {
        tracing::debug!("orphans of the program go to another process: {error}");
    }
    let supervisor = Supervisor {
        program,
        supervision,
        clock,
        terminal: OwnTerminal::find(),
        orphans: Orphans::default(),
        look_at: None,
        stopping: Stopping::No,
        pause: Duration::ZERO,
    };
    supervisor.run(first, generations, signals).await
}

impl Running {
    /// The window has another size. Where the program has a terminal of its own, that one is what it hears it from.
    fn resized(&self) {
        match self.relay.as_ref().filter(|relay| relay.has_terminal()) {
            Some(relay) => relay.resized(),
            // Some programs are stopped by it.
            None => self.group.signal(WINCH),
        }
    }
}

impl Supervisor<'_> {
    async fn run(
        mut self,
        first: Generation,
        generations: &mut mpsc::UnboundedReceiver<Generation>,
        signals: &mut Signals,
    ) -> Result<u8, RunError> {
        let mut latest = first;
        let mut running = self.start(&latest)?;
        loop {
            let now = self.clock.monotonic();
            let kill_at = match self.stopping {
                Stopping::No => None,
                Stopping::Asked { kill_at } | Stopping::Restart { kill_at } => Some(kill_at),
            };
            let timer = [kill_at, self.look_at].into_iter().flatten().min();
            tokio::select! {
                received = signals.any() => match received {
                    Received::PassedOn(number) => self.pass_on(&running, number),
                    Received::Resized => running.resized(),
                    Received::Child => {
                        self.look_at.get_or_insert(now + LOOK);
                        if let Some(status) = self.child_changed(&running) {
                            let lived = now.saturating_sub(running.since);
                            self.clear_up(&mut running, signals).await;
                            if !matches!(self.stopping, Stopping::Restart { .. }) {
                                return Ok(status);
                            }
                            self.stopping = Stopping::No;
                            match self.wait_to_restart(lived, &mut latest, generations, signals).await {
                                Some(signal) => return Ok(status_of_signal(signal)),
                                None => running = self.start(&latest)?,
                            }
                        }
                    }
                },
                Some(generation) = generations.recv() => {
                    let is_new = generation.is_change
                        && (generation.has_new_files || generation.variables != running.generation.variables);
                    latest = generation;
                    if is_new {
                        self.changed(&mut running, &latest);
                    }
                }
                () = until(timer, now) => self.on_timer(&running),
            }
        }
    }

    fn start(&self, generation: &Generation) -> Result<Running, RunError> {
        let (mut command, files) = self.program.command(generation)?;
        let mut relay = match &self.supervision.hidden {
            Some(hidden) => {
                hide(generation, hidden)?;
                Some(Relay::set(&mut command, hidden)?)
            }
            None => None,
        };
        let session = relay.as_ref().and_then(Relay::session);
        let terminal = match (session, &self.terminal) {
            (Some(session), _) => Terminal::Session(session),
            (None, Some(own)) => Terminal::Foreground(own.as_fd()),
            (None, None) => Terminal::Leave,
        };
        let files: Vec<OwnedFd> = files;
        let shown = self.program.shown();
        let child = child::spawn(&mut command, &terminal, &files)
            .map_err(|error| RunError::starting(&shown, &error))?;
        // The command holds the program's ends of pipes.
        drop(command);
        if let Some(relay) = &mut relay {
            relay.started();
        }
        let group = Group::of(&child).ok_or_else(|| RunError::Own("the program has no number".into()))?;
        tracing::debug!(pid = child.id(), "started {shown}");
        Ok(Running {
            group,
            relay,
            since: self.clock.monotonic(),
            generation: generation.clone(),
        })
    }

    fn pass_on(&mut self, running: &Running, number: i32) {
        running.group.signal(number);
        if number == TERM {
            // What is stopped cannot end.
            running.group.signal(CONT);
        }
        let is_end = match self.stopping {
            // What a program makes of the others is its own business.
            Stopping::No => number == TERM,
            // It is ending already, and whoever asks for that does not want it back.
            Stopping::Restart { .. } => ENDS.contains(&number),
            Stopping::Asked { .. } => false,
        };
        if is_end {
            if matches!(self.stopping, Stopping::Restart { .. }) {
                tracing::info!("{} is to end and is not started again", self.program.shown());
            }
            let kill_at = self.clock.monotonic() + self.supervision.timeout;
            self.stopping = Stopping::Asked { kill_at };
        }
    }

    /// The status of the program, if it ended.
    fn child_changed(&mut self, running: &Running) -> Option<u8> {
        while let Some(change) = running.group.change() {
            match (change, &self.terminal) {
                (Change::Ended(status), _) => return Some(status),
                (Change::Stopped, Some(terminal)) if running.relay.is_none() => {
                    if terminal.stop_with_program() {
                        terminal.give_to(running.group.pid());
                    }
                    running.group.signal(CONT);
                }
                _ => {}
            }
        }
        None
    }

    fn changed(&mut self, running: &mut Running, latest: &Generation) {
        match self.supervision.on_change {
            OnChange::Restart => {
                if self.stopping == Stopping::No {
                    tracing::info!(
                        "restarting {}: what it was started with has changed",
                        self.program.shown()
                    );
                    running.group.signal(TERM);
                    running.group.signal(CONT);
                    let kill_at = self.clock.monotonic() + self.supervision.timeout;
                    self.stopping = Stopping::Restart { kill_at };
                }
            }
            OnChange::Signal(number) => {
                running.generation = latest.clone();
                running.group.signal(number);
            }
            OnChange::Nothing => running.generation = latest.clone(),
        }
    }

    fn on_timer(&mut self, running: &Running) {
        let now = self.clock.monotonic();
        if self.look_at.is_some_and(|at| at <= now) {
            self.look_at = self.orphans.reap(Some(running.group)).then_some(now + LOOK);
        }
        let later = now + self.supervision.timeout;
        match &mut self.stopping {
            Stopping::Asked { kill_at } | Stopping::Restart { kill_at } if *kill_at <= now => {
                tracing::warn!("{} did not end in time and is killed", self.program.shown());
                running.group.signal(KILL);
                *kill_at = later;
            }
            _ => {}
        }
    }

    /// Ends what is left of a program whose first process has ended, and takes the terminal back.
    async fn clear_up(&mut self, running: &mut Running, signals: &mut Signals) {
        if let Some(terminal) = &self.terminal
            && running.relay.is_none()
        {
            terminal.take_back();
        }
        if running.group.is_left() {
            running.group.signal(TERM);
            running.group.signal(CONT);
            let kill_at = self.clock.monotonic() + self.supervision.timeout;
            while running.group.is_left() {
                let now = self.clock.monotonic();
                if now >= kill_at {
                    running.group.signal(KILL);
                }
                tokio::select! {
                    received = signals.any() => if let Received::PassedOn(number) = received {
                        self.pass_on(running, number);
                    },
                    () = until(Some(now + LOOK), now) => {}
                }
            }
        }
        if let Some(relay) = running.relay.take() {
            relay.finish().await;
        }
        // What the first look finds may be a program of ours, whose end is somebody else's to hear of.
        if self.orphans.reap(None) {
            let now = self.clock.monotonic();
            until(Some(now + LOOK), now).await;
            self.orphans.reap(None);
        }
    }

    /// Holds a restart back that follows too soon on another. Gives the signal that ends it all; there is no program to
    /// hear of others.
    async fn wait_to_restart(
        &mut self,
        lived: Duration,
        latest: &mut Generation,
        generations: &mut mpsc::UnboundedReceiver<Generation>,
        signals: &mut Signals,
    ) -> Option<i32> {
        if lived >= SETTLED {
            self.pause = Duration::ZERO;
            return None;
        }
        let pause = self.pause;
        self.pause = (pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        if pause.is_zero() {
            return None;
        }
        let until_then = self.clock.monotonic() + pause;
        tracing::warn!(
            "{} was started {} ago: it is started again in {}",
            self.program.shown(),
            humantime::format_duration(Duration::from_secs(lived.as_secs())),
            humantime::format_duration(pause)
        );
        loop {
            let now = self.clock.monotonic();
            if now >= until_then {
                return None;
            }
            tokio::select! {
                received = signals.any() => match received {
                    Received::PassedOn(number) if ENDS.contains(&number) => return Some(number),
                    _ => {}
                },
                Some(generation) = generations.recv() => *latest = generation,
                () = until(Some(until_then), now) => {}
            }
        }
    }
}

/// Hides what the program is to have as variables.
fn hide(generation: &Generation, hidden: &Hidden) -> Result<(), RunError> {
    for variable in generation.variables.iter().filter(|variable| variable.is_secret) {
        if hidden.is_too_short(&variable.value) {
            return Err(RunError::Own(format!(
                "the value of {} has fewer than {} bytes: hiding it would hide ordinary words, and show by that what \
                 it is. `--mask-short` hides it all the same",
                variable.name,
                Hidden::SHORTEST
            )));
        }
        hidden.note([variable.value.clone()]);
    }
    Ok(())
}

async fn until(time: Option<Duration>, now: Duration) {
    match time {
        Some(time) => tokio::time::sleep(time.saturating_sub(now)).await,
        None => std::future::pending().await,
    }
}
