//! Which volumes there are, who has mounted them, and what follows from what happens. It never waits for a provider:
//! values are put in place by runs that the host starts, and whoever needs them is answered when a run says so.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::path::PathBuf;
use std::time::Duration;

use locket_core::words::counted;
use tokio::sync::oneshot;

use super::state::{State, StoredVolume};
use super::volume::{LEFT, Left, Phase, Reply, Then, Volume, Waiter};
use super::wire::{Health, Options, VolumeDetails};

/// How long a container that starts waits for its values.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// How long after the last mount nothing is taken for lost: a container that starts mounts first and runs then.
const QUIET: Duration = Duration::from_secs(30);

/// A volume that was not mounted for so long has no container that still starts.
const LONG: Duration = Duration::from_secs(600);

/// In so many looks in a row nobody may be seen to use a volume before it is given up.
const LOOKS: u32 = 2;

/// One life of what keeps a volume's values in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Run(pub u64);

/// What a registry needs done.
pub trait Host {
    /// Looks at options, without asking anybody.
    ///
    /// # Errors
    /// What is wrong with them.
    fn check(&self, options: &Options) -> Result<(), String>;

    /// Makes the place for the values of a volume, unless it is there. Whether it is new.
    ///
    /// # Errors
    /// The system refuses, or the options do not suffice any more.
    fn attach(&self, name: &str, options: &Options) -> Result<bool, String>;

    /// Whether the place is there.
    fn is_attached(&self, name: &str) -> bool;

    /// The names of all places that are there.
    fn attached(&self) -> Vec<String>;

    /// Where containers find the values.
    fn mountpoint(&self, name: &str) -> PathBuf;

    /// Takes the place away.
    ///
    /// # Errors
    /// The system refuses.
    fn detach(&self, name: &str) -> Result<(), String>;

    /// Begins to put values in place, and to keep them fresh. `is_new` is as [`Host::attach`] told it.
    fn start(&mut self, run: Run, name: &str, options: &Options, is_new: bool);

    /// Asks a run to end; [`Registry::ended`] tells when it has.
    fn stop(&mut self, run: Run);

    /// Asks a run to look at everything anew; [`Registry::closed`] tells what came of it.
    fn refresh(&mut self, run: Run);

    /// Removes what was kept for a volume that is gone.
    fn forget(&self, name: &str);

    /// Keeps what must outlive the process.
    fn save(&self, state: State) -> impl Future<Output = Result<(), String>>;

    /// Time since a fixed point.
    fn now(&self) -> Duration;

    /// This moment, as RFC 3339 has it.
    fn moment(&self) -> String;
}

/// The volumes.
#[derive(Debug)]
pub struct Registry<H> {
    host: H,
    volumes: BTreeMap<String, Volume>,
    runs: u64,
    /// When a container last began to use any volume.
    mounted: Duration,
}

impl<H: Host> Registry<H> {
    /// Takes up what an earlier plugin left: what is mounted goes on, and what nobody uses is taken away.
    pub async fn recover(host: H, state: State) -> Self {
        let now = host.now();
        let mut registry = Self {
            volumes: BTreeMap::new(),
            runs: 0,
            mounted: now,
            host,
        };
        let mut is_changed = false;
        let mut mounted = Vec::new();
        for (name, mut stored) in state.volumes {
            let mut left = Left::Nothing;
            match (registry.host.is_attached(&name), stored.mounts.is_empty()) {
                (true, false) => mounted.push(name.clone()),
                // The machine was started anew, or somebody took it away.
                (false, false) => {
                    stored.mounts.clear();
                    left = Left::Perhaps;
                    is_changed = true;
                }
                (true, true) => registry.take_away(&name),
                (false, true) => {}
            }
            let volume = Volume::new(stored, now);
            registry.volumes.insert(name, Volume { left, ..volume });
        }
        for name in registry.host.attached() {
            if !registry.volumes.contains_key(&name) {
                tracing::warn!("the files of {name}, a volume that nobody knows, are taken away");
                registry.take_away(&name);
            }
        }
        for name in mounted {
            tracing::info!("{name} is still mounted and kept fresh from now on");
            registry.begin(&name, Vec::new()).await;
        }
        if is_changed {
            registry.save_or_tell().await;
        }
        registry
    }

    /// What does what the registry needs done.
    pub fn host(&mut self) -> &mut H {
        &mut self.host
    }

    /// Makes a volume. One that is there with the same options is as good.
    ///
    /// # Errors
    /// The name or an option is wrong, or it could not be kept.
    pub async fn create(&mut self, name: &str, options: Options) -> Result<(), String> {
        if !is_name(name) {
            return Err(format!(
                "`{name}` is no name of a volume: letters, digits, `_`, `.` and `-`, a letter or digit first"
            ));
        }
        if let Some(known) = self.volumes.get(name) {
            let then = match &known.phase {
                Phase::Ending { then, .. } => Some(then),
                _ => None,
            };
            if matches!(then, Some(Then::Remove)) {
                return Err(format!(
                    "the volume {name} is just being removed; make it in a moment"
                ));
            }
            return match known.stored.options == options {
                true => Ok(()),
                false => Err(format!(
                    "the volume {name} exists with other options; remove it first: `docker volume rm {name}`"
                )),
            };
        }
        self.host.check(&options)?;
        let stored = StoredVolume {
            created: self.host.moment(),
            options,
            mounts: BTreeSet::new(),
        };
        let volume = Volume::new(stored, self.host.now());
        self.volumes.insert(name.to_owned(), volume);
        if let Err(error) = self.save().await {
            self.volumes.remove(name);
            return Err(error);
        }
        tracing::info!("made the volume {name}");
        Ok(())
    }

    /// Lets a container use a volume, as soon as its values are there.
    pub async fn mount(&mut self, name: &str, id: String, reply: oneshot::Sender<Result<PathBuf, String>>) {
        let now = self.host.now();
        let Some(volume) = self.volumes.get_mut(name) else {
            refuse(reply, missing(name));
            return;
        };
        volume.mounted = now;
        volume.unseen = 0;
        volume.left = Left::Nothing;
        self.mounted = now;
        let waiter = Waiter { id, reply };
        if let Phase::Ending { waiters, then, .. } = &mut volume.phase {
            match then {
                Then::Stay => waiters.push(waiter),
                Then::Remove => refuse(waiter.reply, missing(name)),
            }
            return;
        }
        // It is written down before anything is mounted: whatever happens then, somebody knows.
        if volume.stored.mounts.insert(waiter.id.clone())
            && let Err(error) = self.save().await
        {
            if let Some(volume) = self.volumes.get_mut(name) {
                volume.stored.mounts.remove(&waiter.id);
            }
            refuse(waiter.reply, error);
            return;
        }
        let Some(volume) = self.volumes.get_mut(name) else {
            return;
        };
        match &mut volume.phase {
            Phase::Starting { waiters, .. } => waiters.push(waiter),
            Phase::Mounted { run: Some(_) } if volume.health.state != FAILED => {
                self.hand_over(name, vec![waiter]).await;
            }
            // What is missing may be there meanwhile.
            Phase::Mounted { run: Some(run) } => {
                let run = *run;
                if volume.stored.mounts.len() > 1 {
                    // The end of the run would end the leases of what others use.
                    volume.phase = Phase::Starting {
                        run,
                        since: now,
                        waiters: vec![waiter],
                    };
                    self.host.refresh(run);
                } else {
                    self.again(name, run, vec![waiter]);
                }
            }
            Phase::Idle | Phase::Mounted { run: None } | Phase::Ending { .. } => {
                self.begin(name, vec![waiter]).await;
            }
        }
    }

    /// A container does not use a volume any more. When it was the last one, the values are taken away.
    pub async fn unmount(&mut self, name: &str, id: &str, reply: Reply) {
        let Some(volume) = self.volumes.get_mut(name) else {
            refuse(reply, missing(name));
            return;
        };
        if volume.left == Left::Running {
            // There may be more of them.
            volume.left = Left::Perhaps;
        }
        if volume.stored.mounts.remove(id) {
            self.save_or_tell().await;
        }
        self.end_if_unused(name, Some(reply)).await;
    }

    /// Removes a volume, whoever is said to use it: the engine knows better, and asks for nothing that is in use.
    pub async fn remove(&mut self, name: &str, reply: Reply) {
        let Some(volume) = self.volumes.get_mut(name) else {
            refuse(reply, missing(name));
            return;
        };
        if !volume.stored.mounts.is_empty() {
            tracing::warn!(
                "{name} is removed with {} that nobody ended",
                counted(volume.stored.mounts.len(), "mount")
            );
            volume.stored.mounts.clear();
        }
        self.end(name, Some(reply), Then::Remove).await;
    }

    /// What there is to tell of a volume.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn get(&self, name: &str) -> Result<VolumeDetails, String> {
        match self.volumes.get(name) {
            Some(volume) => Ok(self.details(name, volume)),
            None => Err(missing(name)),
        }
    }

    /// What there is to tell of all volumes.
    pub fn list(&self) -> Vec<VolumeDetails> {
        let all = self.volumes.iter();
        all.map(|(name, volume)| self.details(name, volume)).collect()
    }

    /// A round of a run is over; `missing` are the files without which no container may start, and why.
    pub async fn closed(&mut self, run: Run, health: Health, missing: &[String]) {
        let Some(name) = self.name_of(run) else { return };
        let Some(volume) = self.volumes.get_mut(&name) else {
            return;
        };
        volume.health = health;
        let Phase::Starting { waiters, .. } = &mut volume.phase else {
            return;
        };
        let waiters = std::mem::take(waiters);
        volume.phase = Phase::Mounted { run: Some(run) };
        volume.stopped = None;
        if missing.is_empty() {
            self.hand_over(&name, waiters).await;
        } else {
            let reason = format!("the volume {name} has no values: {}", missing.join("; "));
            self.turn_away(&name, waiters, &reason).await;
        }
    }

    /// A run has come to its end, with what is wrong if it did so by itself.
    pub async fn ended(&mut self, run: Run, why: &[String]) {
        let now = self.host.now();
        let Some(name) = self.name_of(run) else { return };
        let Some(volume) = self.volumes.get_mut(&name) else {
            return;
        };
        match std::mem::replace(&mut volume.phase, Phase::Mounted { run: None }) {
            Phase::Starting { waiters, .. } => {
                let pause = volume.postpone(now);
                let why = why.join("; ");
                if waiters.is_empty() {
                    tell_stopped(&name, &why, pause);
                }
                let reason = format!("the volume {name} cannot be used: {why}");
                self.turn_away(&name, waiters, &reason).await;
            }
            Phase::Mounted { .. } => {
                tell_stopped(&name, &why.join("; "), volume.postpone(now));
                self.end_if_unused(&name, None).await;
            }
            Phase::Ending {
                waiters, told, then, ..
            } => self.finish(&name, waiters, told, then).await,
            Phase::Idle => {}
        }
    }

    /// Time has passed: whoever waited too long is told, and what has ended by itself is begun anew.
    pub async fn tick(&mut self) {
        let now = self.host.now();
        let limit = PATIENCE + Duration::from_secs(5);
        let late = self.volumes.iter().filter(|(_, volume)| {
            matches!(&volume.phase, Phase::Starting { since, waiters, .. }
                if !waiters.is_empty() && now.saturating_sub(*since) > limit)
        });
        let late: Vec<_> = late.map(|(name, _)| name.clone()).collect();
        for name in late {
            let Some(Phase::Starting { waiters, .. }) =
                self.volumes.get_mut(&name).map(|volume| &mut volume.phase)
            else {
                continue;
            };
            let waiters = std::mem::take(waiters);
            let reason = format!("the volume {name} has no values: nothing was heard of them in time");
            self.turn_away(&name, waiters, &reason).await;
        }
        self.begin_stopped(now).await;
    }

    /// Has runs that have ended by themselves begun anew now: what stopped them may be mended.
    pub fn try_again(&mut self) {
        let now = self.host.now();
        for stopped in self
            .volumes
            .values_mut()
            .filter_map(|volume| volume.stopped.as_mut())
        {
            stopped.again = now;
        }
    }

    /// When [`Registry::tick`] next begins a run anew that has ended by itself.
    pub fn next_try(&self) -> Option<Duration> {
        let stopped = self.volumes.values().filter(|volume| volume.is_stopped());
        stopped.filter_map(|volume| Some(volume.stopped?.again)).min()
    }

    /// Begins anew what has ended by itself, when it is time to.
    async fn begin_stopped(&mut self, now: Duration) {
        let due = self.volumes.iter().filter(|(_, volume)| {
            volume.is_stopped() && volume.stopped.is_some_and(|stopped| stopped.again <= now)
        });
        let due: Vec<_> = due.map(|(name, _)| name.clone()).collect();
        for name in due {
            self.begin(&name, Vec::new()).await;
            if let Some(volume) = self.volumes.get_mut(&name).filter(|volume| volume.is_stopped()) {
                volume.postpone(now);
            }
        }
    }

    /// Whether a container waits for values.
    pub fn is_awaited(&self) -> bool {
        let mut volumes = self.volumes.values();
        volumes.any(|volume| matches!(&volume.phase, Phase::Starting { waiters, .. } if !waiters.is_empty()))
    }

    /// Whether some of what is mounted is not among `names`, and not given up yet.
    pub fn is_in_doubt_of(&self, names: &BTreeSet<String>) -> bool {
        self.doubtful().iter().any(|name| !names.contains(name))
    }

    /// Whether the engine has to be asked who uses what; a mount whose end was lost is found so, and a container whose
    /// mount was.
    pub fn is_in_doubt(&self) -> bool {
        let mut volumes = self.volumes.values();
        volumes.any(|volume| volume.left != Left::Nothing) || !self.doubtful().is_empty()
    }

    /// The volumes that running containers use, as the engine tells. What nobody was seen to use twice is taken away.
    pub async fn in_use(&mut self, names: &BTreeSet<String>) {
        for (name, volume) in &mut self.volumes {
            volume.left = match (volume.left, names.contains(name)) {
                (Left::Perhaps, true) => {
                    tracing::warn!("{name}: {LEFT}");
                    Left::Running
                }
                (left, true) => left,
                (_, false) => Left::Nothing,
            };
        }
        let mut unused = Vec::new();
        for name in self.doubtful() {
            let Some(volume) = self.volumes.get_mut(&name) else {
                continue;
            };
            if names.contains(&name) {
                volume.unseen = 0;
                continue;
            }
            volume.unseen += 1;
            if volume.unseen >= LOOKS {
                unused.push(name);
            }
        }
        for name in &unused {
            if let Some(volume) = self.volumes.get_mut(name) {
                tracing::warn!(
                    "no container uses {name} any more: it is taken away with {} that nobody ended",
                    counted(volume.stored.mounts.len(), "mount")
                );
                volume.stored.mounts.clear();
            }
        }
        if !unused.is_empty() {
            self.save_or_tell().await;
        }
        for name in unused {
            self.end_if_unused(&name, None).await;
        }
    }

    /// The mounted volumes of which no container can be about to start.
    fn doubtful(&self) -> Vec<String> {
        let now = self.host.now();
        let is_quiet = now.saturating_sub(self.mounted) >= QUIET;
        let mounted = self.volumes.iter().filter(|(_, volume)| {
            let is_mounted = match &volume.phase {
                Phase::Mounted { .. } => true,
                Phase::Starting { waiters, .. } => waiters.is_empty(),
                Phase::Idle | Phase::Ending { .. } => false,
            };
            is_mounted && (is_quiet || now.saturating_sub(volume.mounted) >= LONG)
        });
        mounted.map(|(name, _)| name.clone()).collect()
    }

    fn details(&self, name: &str, volume: &Volume) -> VolumeDetails {
        let is_mounted = matches!(volume.phase, Phase::Mounted { .. });
        let is_left = volume.left == Left::Running;
        let state = match volume.phase {
            Phase::Idle if is_left => "stale",
            Phase::Idle | Phase::Ending { .. } => "idle",
            Phase::Starting { .. } => "starting",
            Phase::Mounted { run: None } => "stale",
            Phase::Mounted { .. } => volume.health.state.as_str(),
        };
        VolumeDetails {
            name: name.to_owned(),
            mountpoint: is_mounted.then(|| self.host.mountpoint(name)),
            created: volume.stored.created.clone(),
            health: Health {
                state: state.to_owned(),
                failing: match is_mounted {
                    true => volume.health.failing.clone(),
                    false if is_left => vec![LEFT.to_owned()],
                    false => Vec::new(),
                },
            },
            mounts: volume.stored.mounts.len(),
        }
    }

    fn name_of(&self, run: Run) -> Option<String> {
        let mut volumes = self.volumes.iter();
        let found = volumes.find(|(_, volume)| volume.run() == Some(run));
        found.map(|(name, _)| name.clone())
    }

    /// Mounts a volume and lets values be put there.
    async fn begin(&mut self, name: &str, waiters: Vec<Waiter>) {
        let Some(volume) = self.volumes.get_mut(name) else {
            return;
        };
        let is_new = match self.host.attach(name, &volume.stored.options) {
            Ok(is_new) => is_new,
            Err(error) => {
                tracing::error!("{name} cannot be mounted: {error}");
                if self.host.is_attached(name) {
                    volume.phase = Phase::Mounted { run: None };
                }
                self.turn_away(
                    name,
                    waiters,
                    &format!("the volume {name} cannot be mounted: {error}"),
                )
                .await;
                return;
            }
        };
        self.runs += 1;
        let run = Run(self.runs);
        volume.phase = Phase::Starting {
            run,
            since: self.host.now(),
            waiters,
        };
        self.host.start(run, name, &volume.stored.options, is_new);
    }

    /// Stops what has not found all values, so that it begins anew for those who wait.
    fn again(&mut self, name: &str, run: Run, waiters: Vec<Waiter>) {
        if let Some(volume) = self.volumes.get_mut(name) {
            self.host.stop(run);
            volume.phase = Phase::Ending {
                run,
                waiters,
                told: Vec::new(),
                then: Then::Stay,
            };
        }
    }

    /// Tells those who wait that the values are there. Whoever has gone meanwhile does not use them.
    async fn hand_over(&mut self, name: &str, waiters: Vec<Waiter>) {
        let mut gone = Vec::new();
        for waiter in waiters {
            if waiter.reply.send(Ok(self.host.mountpoint(name))).is_err() {
                tracing::warn!("the engine did not wait for the volume {name}: its mount is taken back");
                gone.push(waiter.id);
            }
        }
        self.release(name, gone).await;
    }

    /// Tells those who wait that they do so in vain.
    async fn turn_away(&mut self, name: &str, waiters: Vec<Waiter>, reason: &str) {
        if !waiters.is_empty() {
            tracing::error!("{reason}");
        }
        let ids = waiters.iter().map(|waiter| waiter.id.clone()).collect();
        self.release(name, ids).await;
        for waiter in waiters {
            refuse(waiter.reply, reason.to_owned());
        }
    }

    async fn release(&mut self, name: &str, ids: Vec<String>) {
        let Some(volume) = self.volumes.get_mut(name) else {
            return;
        };
        if ids.is_empty() && !volume.stored.mounts.is_empty() {
            return;
        }
        for id in &ids {
            volume.stored.mounts.remove(id);
        }
        if !ids.is_empty() {
            self.save_or_tell().await;
        }
        self.end_if_unused(name, None).await;
    }

    async fn end_if_unused(&mut self, name: &str, reply: Option<Reply>) {
        match self.volumes.get(name) {
            Some(volume) if volume.stored.mounts.is_empty() => {
                Box::pin(self.end(name, reply, Then::Stay)).await;
            }
            _ => tell(reply, Ok(())),
        }
    }

    /// Takes the values of a volume away, as soon as nobody writes there any more.
    async fn end(&mut self, name: &str, reply: Option<Reply>, next: Then) {
        let Some(volume) = self.volumes.get_mut(name) else {
            return;
        };
        match std::mem::replace(&mut volume.phase, Phase::Idle) {
            Phase::Ending {
                run,
                waiters,
                mut told,
                then,
            } => {
                told.extend(reply);
                let then = if then == Then::Remove { then } else { next };
                volume.phase = Phase::Ending {
                    run,
                    waiters,
                    told,
                    then,
                };
            }
            Phase::Starting { run, waiters, .. } => {
                for waiter in waiters {
                    refuse(waiter.reply, format!("the volume {name} was unmounted meanwhile"));
                }
                self.leave(name, run, reply, next);
            }
            Phase::Mounted { run: Some(run) } => self.leave(name, run, reply, next),
            Phase::Idle | Phase::Mounted { run: None } => {
                self.finish(name, Vec::new(), reply.into_iter().collect(), next)
                    .await;
            }
        }
    }

    fn leave(&mut self, name: &str, run: Run, reply: Option<Reply>, then: Then) {
        self.host.stop(run);
        if let Some(volume) = self.volumes.get_mut(name) {
            volume.phase = Phase::Ending {
                run,
                waiters: Vec::new(),
                told: reply.into_iter().collect(),
                then,
            };
        }
    }

    /// Nobody writes there any more.
    async fn finish(&mut self, name: &str, waiters: Vec<Waiter>, told: Vec<Reply>, then: Then) {
        let Some(volume) = self.volumes.get_mut(name) else {
            return;
        };
        volume.phase = Phase::Idle;
        volume.health = Health::default();
        // Others may use it, and those who wait would mount it again.
        let is_unused = volume.stored.mounts.is_empty() && (waiters.is_empty() || then == Then::Remove);
        let mut outcome = match is_unused && self.host.is_attached(name) {
            true => self.host.detach(name),
            false => Ok(()),
        };
        if let (Then::Remove, Ok(())) = (then, &outcome) {
            let removed = self.volumes.remove(name);
            outcome = self.save().await;
            match (&outcome, removed) {
                (Ok(()), _) => {
                    self.host.forget(name);
                    tracing::info!("removed the volume {name}");
                }
                (Err(_), Some(volume)) => {
                    self.volumes.insert(name.to_owned(), volume);
                }
                (Err(_), None) => {}
            }
        }
        if let Err(error) = &outcome {
            tracing::error!("{name}: {error}");
        }
        for reply in told {
            tell(Some(reply), outcome.clone());
        }
        if then == Then::Remove {
            for waiter in waiters {
                refuse(waiter.reply, missing(name));
            }
            return;
        }
        for Waiter { id, reply } in waiters {
            Box::pin(self.mount(name, id, reply)).await;
        }
    }

    fn take_away(&self, name: &str) {
        if let Err(error) = self.host.detach(name) {
            tracing::error!("{name}: {error}");
        }
    }

    async fn save(&self) -> Result<(), String> {
        let volumes = self.volumes.iter();
        let state = State {
            volumes: volumes
                .map(|(name, volume)| (name.clone(), volume.stored.clone()))
                .collect(),
        };
        self.host.save(state).await
    }

    /// What happened has happened: that it is not written down costs a look at the engine after the next start.
    async fn save_or_tell(&self) {
        if let Err(error) = self.save().await {
            tracing::error!("{error}");
        }
    }
}

/// The state of a volume of which some file is missing.
const FAILED: &str = "failed";

/// Whether a directory may be called so; the engine's own rule.
fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphanumeric())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
        && name.len() <= 255
}

fn tell_stopped(name: &str, why: &str, pause: Duration) {
    tracing::error!(
        "{name} is not kept fresh any more: {why}. This is tried again in {}",
        humantime::format_duration(pause)
    );
}

fn missing(name: &str) -> String {
    format!("there is no volume {name}")
}

fn refuse<T>(reply: oneshot::Sender<Result<T, String>>, reason: impl Display) {
    // Whoever has gone needs no reason.
    let _ = reply.send(Err(reason.to_string()));
}

fn tell(reply: Option<Reply>, outcome: Result<(), String>) {
    if let Some(reply) = reply {
        let _ = reply.send(outcome);
    }
}
