//! One life of the agent after another: started, watched, stopped or killed in the middle of anything, and begun
//! anew on what was left behind.

use std::fs::File;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use locket_core::Diagnostic;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tracing_subscriber::layer::SubscriberExt;

use super::consumers::ModelCourier;
use super::dice::Loaded;
use super::drill::NOTIFY_TIMEOUT;
use super::invariant::{Broken, Invariant};
use super::judge;
use super::schedule::Schedule;
use super::vault::instances;
use super::watchman::Watchman;
use super::world::{Fuse, Shared, World, lock};
use crate::agent::{self, AgentCx, AtEnd, Ending, Observer, Setup, Surroundings};
use crate::notify::Notifier;
use crate::telemetry::Outlets;

/// Turns of the agent's loop without time passing: more than any storm of events takes.
const MOST_TURNS: usize = 10_000;

/// How one simulation went.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) broken: Option<Broken>,
    /// Simulated time.
    pub(super) took: Duration,
    /// Steps of the schedule that were taken.
    pub(super) steps: usize,
    pub(super) lives: usize,
    pub(super) kills: usize,
    pub(super) story: Vec<String>,
    pub(super) last_words: String,
}

/// How a life ended.
enum End {
    Killed,
    Ended(Ending),
    /// A promise was broken; there is nothing left to learn.
    Broken,
}

struct Silent;

impl Observer for Silent {
    fn template(&self, _: &str, _: &[u8], _: &[Diagnostic]) {}
}

/// Runs the schedule of a seed.
pub(super) fn simulate(schedule: &mut Schedule) -> Outcome {
    let _loaded = Loaded::new(schedule.seed());
    let directory = sandbox();
    let root = directory.path().canonicalize().unwrap();
    let world = Arc::new(Mutex::new(World::new(root, schedule.seed())));
    let _listening =
        tracing::subscriber::set_default(tracing_subscriber::registry().with(Watchman(world.clone())));
    schedule.furnish(&world);
    let (mut lives, mut kills) = (0, 0);
    while !schedule.is_over() && lock(&world).broken.is_none() {
        schedule.while_down(&world);
        lives += 1;
        match live(schedule, &world) {
            End::Killed => kills += 1,
            End::Ended(ending) => judge_ending(&world, &ending, schedule),
            End::Broken => {}
        }
    }
    let mut world = lock(&world);
    Outcome {
        broken: world.broken.take(),
        took: world.now(),
        steps: schedule.taken(),
        lives,
        kills,
        story: world.story().to_vec(),
        last_words: world.last_words(),
    }
}

/// In memory where there is such a place: a simulation writes often.
fn sandbox() -> TempDir {
    let memory = PathBuf::from("/dev/shm");
    match TempDir::new_in(memory) {
        Ok(directory) => directory,
        Err(_) => TempDir::new().unwrap(),
    }
}

fn live(schedule: &mut Schedule, world: &Shared) -> End {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    let end = runtime.block_on(async {
        let clock = Arc::new(lock(world).begin_life());
        lock(world).trace("the agent starts");
        let (sender, commands) = mpsc::channel(8);
        let mut reload = || Some(setup(world));
        let cx = AgentCx {
            clock,
            observer: &Silent,
            commands,
            reload: &mut reload,
        };
        let mut agent = Box::pin(agent::run(setup(world), cx));
        let mut script = pin!(schedule.run(world, sender));
        let (mut instant, mut turns) = (Duration::ZERO, 0);
        let end = poll_fn(|cx| {
            let now = lock(world).now();
            turns = if now == instant { turns + 1 } else { 0 };
            instant = now;
            if turns > MOST_TURNS {
                lock(world).fail(Invariant::Alive, format!("it does not come to rest at {now:?}"));
            }
            if lock(world).burns() {
                return Poll::Ready(End::Killed);
            }
            match catch_unwind(AssertUnwindSafe(|| agent.as_mut().poll(cx))) {
                Err(_) if lock(world).is_dead => return Poll::Ready(End::Killed),
                Err(panic) => resume_unwind(panic),
                Ok(Poll::Ready(ending)) => return Poll::Ready(End::Ended(ending)),
                Ok(Poll::Pending) => {}
            }
            if lock(world).broken.is_some() {
                return Poll::Ready(End::Broken);
            }
            script.as_mut().poll(cx).map(|()| End::Broken)
        })
        .await;
        if matches!(end, End::Broken) {
            // Nothing is to be judged any more, not even what the agent's end does.
            lock(world).is_dead = true;
        }
        drop(agent);
        lock(world).end_life();
        end
    });
    drop(runtime);
    let mut world = lock(world);
    wait_for_lock(&world.status_file());
    world.is_dead = false;
    if let Some(remains) = world.remains.take() {
        remains.restore(&world.written_by_agent());
    }
    judge::check_remains(&mut world);
    end
}

/// A program that another test of this process starts has every open file for a moment, and with it the lock that the
/// agent held on its status file.
fn wait_for_lock(status: &Path) {
    if let Ok(file) = File::open(status) {
        rustix::fs::flock(file, rustix::fs::FlockOperation::LockExclusive).unwrap();
    }
}

fn setup(world: &Shared) -> Setup {
    let instances = instances(world);
    let guard = lock(world);
    Setup {
        handover: None,
        plan: guard.drill.plan.clone(),
        instances,
        schedule: guard.drill.schedule,
        actions: guard.drill.actions.clone(),
        notifier: Notifier {
            courier: Arc::new(ModelCourier(world.clone())),
            timeout: NOTIFY_TIMEOUT,
        },
        status_file: Some(guard.status_file()),
        at_end: AtEnd::default(),
        outlets: Outlets::default(),
        surroundings: Surroundings::default(),
        state_dir: Some(guard.root.join("state")),
    }
}

impl World {
    /// Whether the agent dies before this turn of its loop.
    fn burns(&mut self) -> bool {
        if self.fuse == Some(Fuse::Events(0)) && !self.is_dead {
            self.trace("killed between two turns");
            self.kill();
        }
        self.is_dead
    }
}

fn judge_ending(world: &Shared, ending: &Ending, schedule: &mut Schedule) {
    let mut world = lock(world);
    world.trace(&format!("the agent ends: {ending:?}"));
    let is_refused = !ending.refused.is_empty();
    let expected = if is_refused {
        world.has_obstacle()
    } else {
        ending.was_stopped && schedule.was_told_to_stop()
    };
    if !expected {
        world.fail(Invariant::Alive, format!("it ended by itself: {ending:?}"));
    } else if let Err(Broken { invariant, detail }) = world.check_given_back() {
        world.fail(invariant, detail);
    }
    if is_refused {
        schedule.clear_away(&mut world);
    }
}
