//! What happens to the agent, step by step. Each step draws from a row of its own, so that a step left out changes no
//! other.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::mpsc;

use super::consumers::Mood;
use super::dice::Dice;
use super::drill::NOTIFY_TIMEOUT;
use super::editor::Editor;
use super::judge;
use super::vault::{INSTANCES, ITEMS, Mode, PARTS};
use super::world::{Fuse, Shared, World, lock};
use crate::agent::{self, Command};

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// The schedule of one seed.
#[derive(Debug)]
pub(super) struct Schedule {
    seed: u64,
    steps: usize,
    next: usize,
    left_out: BTreeSet<usize>,
    editor: Editor,
    is_stopping: bool,
    is_done: bool,
    /// The last agent ended after it had given up telling somebody.
    owes: bool,
}

/// What a step leads to beside what it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    GoOn,
    Reload,
    /// The agent dies within the pause after the step, or at its end.
    Kill,
    Stop,
    /// The agent goes on until it has given up telling somebody, and ends then.
    GiveUp,
}

/// Lets time pass, with an agent or without.
pub(super) async fn pause(world: &Shared, time: Duration) {
    if lock(world).up_since.is_some() {
        tokio::time::sleep(time).await;
    } else {
        lock(world).pass(time);
    }
}

impl Schedule {
    /// The first `steps` steps of `seed` without those in `left_out`.
    pub(super) fn new(seed: u64, steps: usize, left_out: BTreeSet<usize>) -> Self {
        Self {
            seed,
            steps,
            next: 0,
            left_out,
            editor: Editor::default(),
            is_stopping: false,
            is_done: false,
            owes: false,
        }
    }

    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_done
    }

    /// Steps begun so far.
    pub(super) fn taken(&self) -> usize {
        self.next.min(self.steps)
    }

    pub(super) fn was_told_to_stop(&self) -> bool {
        self.is_stopping
    }

    /// The world before the first agent.
    pub(super) fn furnish(&mut self, world: &Shared) {
        let mut dice = Dice::new(self.seed, 0xf0);
        let root = lock(world).root.clone();
        fs::create_dir(root.join("in/a/d0")).unwrap();
        for name in ["a/f0", "a/f1", "a/d0/f0", "b/f0", "b/f1", "one"] {
            let text = self.editor.text(&mut dice);
            fs::write(root.join("in").join(name), text).unwrap();
        }
        let mut world = lock(world);
        world.pass(SECOND);
        world.look();
        world.pass(SECOND);
    }

    /// What happens while no agent runs.
    pub(super) fn while_down(&mut self, world: &Shared) {
        self.is_stopping = false;
        if self.owes {
            // Nothing else changes: what the last agent owed is still what is in place.
            let mut world = lock(world);
            world.listen();
            world.pass(SECOND);
            return self.clear_away(&mut world);
        }
        let mut dice = Dice::new(self.seed, 0x1000 + self.next as u64);
        for _ in 0..dice.below(4) {
            if let Some(mut dice) = self.step(world) {
                self.act(&mut dice, world).now_or_never().unwrap();
                lock(world).pass(gap(&mut dice, MINUTE * 5));
            }
        }
        lock(world).pass(SECOND);
        if dice.chance(70) || self.next >= self.steps {
            self.clear_away(&mut lock(world));
        }
    }

    /// Puts back what an agent does not start without.
    pub(super) fn clear_away(&mut self, world: &mut World) {
        self.editor.put_roots_back(world);
        if !world.root.join("in/one").exists() {
            let text = self.editor.text(&mut Dice::new(self.seed, 0x0e));
            fs::write(world.root.join("in/one"), text).unwrap();
        }
        world.disturb();
    }

    /// What happens while an agent runs. Never returns: the agent's end is the end of it.
    pub(super) async fn run(&mut self, world: &Shared, commands: mpsc::Sender<Command>) {
        // A first turn for the agent alone.
        tokio::time::sleep(MILLISECOND).await;
        if std::mem::take(&mut self.owes) {
            tokio::time::sleep(judge::longest_telling() + SECOND).await;
            judge::check(&mut lock(world));
        }
        while let Some(step) = self.next_step() {
            let Some(mut dice) = step else { continue };
            let then = self.act(&mut dice, world).await;
            // Now and then one that nothing was changed for.
            if then == Then::Reload || dice.chance(10) {
                reload(world, &commands).await;
            }
            match then {
                Then::GoOn | Then::Reload => {}
                Then::Kill => {
                    lock(world).fuse = Some(if dice.chance(70) {
                        Fuse::Words(dice.below(*dice.clone().pick(&[3, 12, 60])))
                    } else {
                        Fuse::Events(dice.below(20))
                    });
                }
                Then::Stop => return self.stop(&commands).await,
                Then::GiveUp => return self.give_up(&mut dice, world, &commands).await,
            }
            let refresh = lock(world).drill.longest_refresh();
            tokio::time::sleep(gap(&mut dice, refresh)).await;
            if then == Then::Kill {
                // Nothing happened that could have been interrupted.
                lock(world).fuse = Some(Fuse::Events(0));
                tokio::time::sleep(MILLISECOND).await;
            }
            judge::check(&mut lock(world));
        }
        self.finish(world, &commands).await;
    }

    /// Heals everything, and waits until everything must have arrived, and then until nothing should happen any more.
    async fn finish(&mut self, world: &Shared, commands: &mpsc::Sender<Command>) {
        let (refresh, now) = {
            let mut world = lock(world);
            world.trace("everything heals");
            self.clear_away(&mut world);
            heal(&mut world);
            world.disturb();
            world.reloaded_at = world.now();
            (world.drill.longest_refresh(), world.now())
        };
        tokio::time::sleep(MILLISECOND).await;
        let _ = commands.send(Command::Reload).await;
        lock(world).reloaded_at = now + MILLISECOND;
        lock(world).disturbed_at = now + MILLISECOND;
        for pause in [refresh + MINUTE * 15, refresh * 3] {
            tokio::time::sleep(pause).await;
            judge::check(&mut lock(world));
        }
        self.is_done = true;
        self.stop(commands).await;
    }

    /// Lets the agent notice what changed and try for as long as it does, and ends it.
    async fn give_up(&mut self, dice: &mut Dice, world: &Shared, commands: &mpsc::Sender<Command>) {
        reload(world, commands).await;
        tokio::time::sleep(NOTIFY_TIMEOUT + judge::longest_telling()).await;
        judge::check(&mut lock(world));
        self.owes = true;
        if dice.chance(50) {
            return self.stop(commands).await;
        }
        lock(world).fuse = Some(Fuse::Events(0));
        std::future::pending::<()>().await;
    }

    async fn stop(&mut self, commands: &mpsc::Sender<Command>) {
        self.is_stopping = true;
        let _ = commands.send(Command::Stop).await;
        std::future::pending::<()>().await;
    }

    fn step(&mut self, world: &Shared) -> Option<Dice> {
        let _ = world;
        self.next_step().flatten()
    }

    /// The dice of the next step; `Some(None)` for one that is left out.
    fn next_step(&mut self) -> Option<Option<Dice>> {
        if self.next >= self.steps {
            return None;
        }
        self.next += 1;
        let step = self.next;
        let is_left_out = self.left_out.contains(&step);
        Some((!is_left_out).then(|| Dice::new(self.seed, 0x10_0000 + step as u64)))
    }

    async fn act(&mut self, dice: &mut Dice, world: &Shared) -> Then {
        if dice.chance(25) {
            mend_one(&mut lock(world), dice);
        }
        let step = self.next;
        let then = match dice.below(100) {
            0..38 => {
                let what = self.editor.edit(dice, world).await;
                lock(world).trace(&format!("step {step}: {what}"));
                Then::GoOn
            }
            38..52 => {
                rotate(&mut lock(world), dice, step);
                Then::GoOn
            }
            52..64 => {
                let mut world = lock(world);
                if dice.chance(15) {
                    tear(&mut world, dice, step);
                    Then::Reload
                } else {
                    spoil_provider(&mut world, dice, step);
                    Then::GoOn
                }
            }
            64..70 => {
                spoil_consumer(&mut lock(world), dice, step);
                Then::GoOn
            }
            70..77 => {
                let what = self.editor.meddle(dice, &mut lock(world));
                lock(world).trace(&format!("step {step}: {what}"));
                Then::GoOn
            }
            77..91 => {
                let mut world = lock(world);
                world.trace(&format!("step {step}: the agent is to be killed"));
                rotate(&mut world, dice, step);
                Then::Kill
            }
            91..94 => {
                lock(world).trace(&format!("step {step}: the agent is to stop"));
                Then::Stop
            }
            94..98 => {
                deafen(&mut lock(world), dice, step);
                Then::GiveUp
            }
            _ => {
                lock(world).trace(&format!("step {step}: nothing"));
                Then::GoOn
            }
        };
        pause(world, MILLISECOND).await;
        then
    }
}

async fn reload(world: &Shared, commands: &mpsc::Sender<Command>) {
    {
        let mut world = lock(world);
        world.trace("reload");
        world.disturb();
        world.reloaded_at = world.now();
    }
    let _ = commands.send(Command::Reload).await;
    tokio::time::sleep(MILLISECOND).await;
}

fn gap(dice: &mut Dice, refresh: Duration) -> Duration {
    match dice.below(100) {
        0..30 => dice.between(MILLISECOND, MILLISECOND * 50),
        30..55 => dice.between(MILLISECOND * 50, SECOND * 3),
        55..78 => dice.between(SECOND * 5, SECOND * 90),
        78..96 => dice.between(MINUTE, MINUTE * 12),
        _ => dice.between(refresh, refresh * 2),
    }
}

/// New versions, deletions and returns of secrets.
fn rotate(world: &mut World, dice: &mut Dice, step: usize) {
    let now = world.now();
    let mut said = Vec::new();
    let count = *dice.pick(&[1, 1, 2, INSTANCES.len() * ITEMS]);
    let names: Vec<_> = world.vault.items.keys().cloned().collect();
    for _ in 0..count {
        let name = dice.pick(&names);
        // A leased item gets a new version with each lease, and nowhere else.
        if name.is_leased() {
            continue;
        }
        let item = world.vault.items.get_mut(name).unwrap();
        item.version += 1;
        item.changed_at = now;
        item.exists = !item.exists || !dice.chance(12);
        said.push(format!(
            "{}://{} {}",
            name.instance,
            name.item,
            if item.exists {
                item.version.to_string()
            } else {
                "gone".into()
            }
        ));
    }
    world.trace(&format!("step {step}: rotated {said:?}"));
}

/// Rotates an item of which an output shows two fields, one of which cannot be had any more.
fn tear(world: &mut World, dice: &mut Dice, step: usize) {
    let now = world.now();
    let texts = world.sources.asked().map(|(_, asked)| asked.text());
    let names = texts.flat_map(|text| text.shown_in_two_parts());
    let names: Vec<_> = names.filter(|name| !name.is_leased()).collect();
    if names.is_empty() {
        return;
    }
    let name = dice.pick(&names);
    let item = world.vault.items.get_mut(name).unwrap();
    item.version += 1;
    item.exists = true;
    item.changed_at = now;
    item.broken = Some(dice.pick::<&str>(&PARTS));
    item.since = now;
    let line = format!("step {step}: tore {name:?} at version {}", item.version);
    world.trace(&line);
}

fn spoil_provider(world: &mut World, dice: &mut Dice, step: usize) {
    let now = world.now();
    if dice.chance(35) {
        let names: Vec<_> = world.vault.items.keys().cloned().collect();
        let name = dice.pick(&names);
        let item = world.vault.items.get_mut(name).unwrap();
        if dice.chance(50) || name.is_leased() {
            item.denied = true;
        } else {
            item.broken = Some(*dice.pick::<&str>(&PARTS));
        }
        item.since = now;
        let line = format!(
            "step {step}: {name:?} denied {} broken {:?}",
            item.denied, item.broken
        );
        world.trace(&line);
        return;
    }
    let modes = [
        Mode::Down,
        Mode::Down,
        Mode::Hanging,
        Mode::Slow,
        Mode::Locked,
        Mode::Throttled(None),
        Mode::Throttled(Some(Duration::ZERO)),
        Mode::Throttled(Some(dice.between(SECOND, MINUTE * 2))),
        Mode::Short,
    ];
    let source = dice.below(INSTANCES.len());
    let source = &mut world.vault.sources[source];
    source.mode = *dice.pick(&modes);
    source.since = now;
    let line = format!("step {step}: {} is {:?}", source.name, source.mode);
    world.trace(&line);
}

fn spoil_consumer(world: &mut World, dice: &mut Dice, step: usize) {
    let now = world.now();
    let actions: Vec<_> = world.consumers.table.keys().cloned().collect();
    let action = dice.pick(&actions);
    let consumer = world.consumers.table.get_mut(action).unwrap();
    consumer.mood = *dice.pick(&[Mood::Slow, Mood::Failing, Mood::Hanging]);
    consumer.since = now;
    let line = format!("step {step}: {action} is {:?}", consumer.mood);
    world.trace(&line);
}

/// Changes every secret that can be had, and lets somebody not want to know.
fn deafen(world: &mut World, dice: &mut Dice, step: usize) {
    let now = world.now();
    world.recover();
    for (name, item) in &mut world.vault.items {
        if !name.is_leased() {
            item.version += 1;
            item.exists = true;
            item.changed_at = now;
        }
    }
    let actions: Vec<_> = world.consumers.table.keys().cloned().collect();
    let action = dice.pick(&actions);
    let consumer = world.consumers.table.get_mut(action).unwrap();
    consumer.mood = *dice.pick(&[Mood::Failing, Mood::Hanging]);
    consumer.since = now;
    let line = format!(
        "step {step}: everything rotates, and {action} is {:?}",
        consumer.mood
    );
    world.trace(&line);
}

/// Heals one thing that is not well, if anything is.
fn mend_one(world: &mut World, dice: &mut Dice) {
    let now = world.now();
    match dice.below(3) {
        0 => {
            let ill = world
                .vault
                .sources
                .iter_mut()
                .filter(|source| source.mode != Mode::Up);
            for source in ill.take(1) {
                source.mode = Mode::Up;
                source.since = now;
            }
        }
        1 => {
            let ill = world.vault.items.values_mut().filter(|item| !item.is_sound());
            for item in ill.take(1) {
                item.denied = false;
                item.broken = None;
                item.since = now;
            }
        }
        _ => world.listen(),
    }
}

fn heal(world: &mut World) {
    world.recover();
    world.listen();
    let blocked: Vec<PathBuf> = world
        .destinations
        .table
        .iter()
        .filter(|(_, held)| held.is_blocked)
        .map(|(path, _)| path.clone())
        .collect();
    for path in blocked {
        unblock(world, &path);
    }
}

pub(super) fn unblock(world: &mut World, path: &Path) {
    fs::remove_dir(path).unwrap();
    let now = world.now();
    world.destinations.held(path).is_blocked = false;
    world.destinations.meddle(path, now);
}

impl World {
    /// Every provider serves every item.
    fn recover(&mut self) {
        let now = self.now();
        for source in &mut self.vault.sources {
            if source.mode != Mode::Up {
                source.mode = Mode::Up;
                source.since = now;
            }
        }
        for item in self.vault.items.values_mut() {
            if !item.is_sound() {
                item.denied = false;
                item.broken = None;
                item.since = now;
            }
        }
    }

    /// Every consumer wants to know.
    fn listen(&mut self) {
        let now = self.now();
        for consumer in self.consumers.table.values_mut() {
            if consumer.mood != Mood::Fine {
                consumer.mood = Mood::Fine;
                consumer.since = now;
            }
        }
    }

    /// Whether something is in the way of a start.
    pub(super) fn has_obstacle(&self) -> bool {
        self.drill.plan.maps.iter().any(|map| !map.source.exists())
    }

    /// Whether templates are followed as they change.
    pub(super) fn is_watching(&self) -> bool {
        self.drill.schedule.mode == agent::Mode::Watch
    }
}
