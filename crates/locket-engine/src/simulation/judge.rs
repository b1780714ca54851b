//! What must be true between two steps. Times are upper bounds: what they allow in the worst case, the engine may do
//! sooner.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use locket_core::plan::OnError;

use super::consumers::Excuse;
use super::destinations::read;
use super::drill::DELETE_AFTER;
use super::invariant::{Broken, Invariant};
use super::snapshot::Snapshot;
use super::sources::Asked;
use super::text::{Absence, Mention, Shown};
use super::vault::{Item, Mode, Source};
use super::watchman::leaks;
use super::world::World;
use crate::state::{State, Status, observe};

/// What a round may take: a first round tries for a minute.
const ROUND: Duration = Duration::from_secs(65);

/// The longest pause of something that fails, or that a provider asks for.
const LONGEST_PAUSE: Duration = Duration::from_secs(420);

/// A call that is never answered is given up after so long, and holds up the end of its round.
const CALL: Duration = Duration::from_secs(30);

/// The longest pause between two tries of a consumer, after the longest try.
const TELLING: Duration = Duration::from_secs(90);

/// Calls within which a pause grows to its longest, with room for bad luck.
const FIRST_TRIES: u32 = 30;

/// A pause of many failures, on average half its longest, with room for bad luck.
const TYPICAL_PAUSE: Duration = Duration::from_secs(40);

type Verdict = Result<(), Broken>;

/// Checks everything that can be seen from outside while an agent runs.
pub(super) fn check(world: &mut World) {
    if world.broken.is_some() || world.is_dead {
        return;
    }
    world.look();
    let checks = [
        files, secrecy, arrivals, removals, told, reads, pauses, leases, status,
    ];
    for check in checks {
        if let Err(Broken { invariant, detail }) = check(world) {
            return world.fail(invariant, detail);
        }
    }
}

/// Checks what an agent did in the instant before its end, as long as its reasons are still to be seen.
pub(super) fn check_remains(world: &mut World) {
    if let Err(Broken { invariant, detail }) = deletions(world) {
        world.fail(invariant, detail);
    }
}

fn broken(invariant: Invariant, detail: impl Into<String>) -> Verdict {
    Err(Broken::new(invariant, detail))
}

impl World {
    fn age(&self) -> Duration {
        self.up_since.map_or(Duration::ZERO, |since| self.now() - since)
    }

    /// When the agent must have noticed the newest template; `None` if it need not.
    fn noticed_by(&self, asked: &Asked) -> Option<Duration> {
        let up = self.up_since?;
        if asked.edited_at < self.reloaded_at {
            return Some(self.reloaded_at.max(up));
        }
        self.is_watching()
            .then(|| asked.edited_at.max(up) + self.drill.schedule.debounce * 10)
    }

    /// Since when a reference has been as it is, and whether it can be had.
    fn condition(&self, mention: &Mention) -> (Duration, bool) {
        let source = self.vault.source(mention.item.instance);
        let item = &self.vault.items[&mention.item];
        let is_had = source.mode.is_healthy() && !item.denied && item.broken != Some(mention.part.as_str());
        (source.since.max(item.since), is_had)
    }

    /// When an output must be as its template and its secrets say; `None` while something is in the way.
    fn due(&self, path: &Path, asked: &Asked) -> Option<Duration> {
        let items = asked
            .text()
            .mentions()
            .map(|mention| &self.vault.items[&mention.item]);
        let issued = items.map(Item::issued).max().unwrap_or_default();
        Some(self.settled(path, asked)?.max(issued + ROUND))
    }

    /// The same without regard to the leases that were issued since.
    pub(super) fn settled(&self, path: &Path, asked: &Asked) -> Option<Duration> {
        let refresh = self.drill.longest_refresh();
        let mut due = self.noticed_by(asked)?;
        if asked.text().is_wrong {
            return None;
        }
        if let Some(held) = self.destinations.table.get(path) {
            if held.is_blocked {
                return None;
            }
            if !held.foreign_at.is_zero() {
                due = due.max(held.foreign_at + refresh);
            }
        }
        for mention in asked.text().mentions() {
            let (since, is_had) = self.condition(mention);
            if !is_had {
                return None;
            }
            due = due
                .max(self.vault.items[&mention.item].changed_at + refresh)
                .max(since + LONGEST_PAUSE);
        }
        Some(due + ROUND)
    }
}

/// Everything at the destinations was put there by somebody who may.
fn files(world: &mut World) -> Verdict {
    if !world.sources.is_untouched() {
        return broken(Invariant::Outside, "a template was changed");
    }
    let victim = read(&world.root.join("outside/victim"));
    let outside = fs::read_dir(world.root.join("outside")).unwrap().count();
    if victim.as_deref() != Some("not ours") || outside != 1 {
        return broken(Invariant::Outside, "a link was followed out of the destination");
    }
    for entry in fs::read_dir(&world.root).unwrap() {
        let name = entry.unwrap().file_name();
        if !["in", "out", "outside", "state", "status"].contains(&name.to_str().unwrap()) {
            return broken(Invariant::Outside, format!("{name:?} was made"));
        }
    }
    let mut open = vec![world.destinations.root.clone()];
    let mut present: BTreeSet<PathBuf> = BTreeSet::new();
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let entry = entry.unwrap();
            let path = entry.path();
            if entry.file_name().to_string_lossy().starts_with(".locket-") {
                if world.age() > ROUND + CALL {
                    return broken(Invariant::Leftovers, format!("{} is still there", path.display()));
                }
            } else if entry.file_type().unwrap().is_dir() {
                open.push(path);
            } else if entry.file_type().unwrap().is_file() {
                present.insert(path);
            }
        }
    }
    for path in &present {
        let known = world
            .destinations
            .table
            .get(path)
            .and_then(|held| held.content.clone());
        if known != read(path) {
            let invariant = if world.drill.is_destination(path) {
                Invariant::Foreign
            } else {
                Invariant::Outside
            };
            return broken(
                invariant,
                format!("{} was written without a trace", path.display()),
            );
        }
    }
    deletions(world)
}

/// What the agent deleted since the last look.
fn deletions(world: &mut World) -> Verdict {
    let now = world.now();
    let files = world.destinations.table.iter();
    let vanished: Vec<_> = files
        .filter(|(path, held)| held.content.is_some() && read(path).is_none())
        .map(|(path, _)| path.clone())
        .collect();
    for path in vanished {
        deleted(world, &path, now)?;
    }
    Ok(())
}

/// The agent deleted an output.
fn deleted(world: &mut World, path: &Path, now: Duration) -> Verdict {
    let shown = path.display();
    if !world.destinations.held(path).is_ours {
        return broken(
            Invariant::Foreign,
            format!("{shown} was not the agent's to delete"),
        );
    }
    let asked = &world.sources.outputs[path];
    let is_gone = asked.gone_since.is_some_and(|since| now >= since + DELETE_AFTER);
    let is_root_there = world
        .sources
        .present_since
        .get(asked.map)
        .is_some_and(Option::is_some);
    if !is_gone || !is_root_there {
        return broken(Invariant::Deletion, format!("{shown} was deleted"));
    }
    let map = asked.map;
    world.trace(&format!("deleted {shown}"));
    world.destinations.held(path).content = None;
    world
        .consumers
        .owe(world.drill.consumers(map), path, now, Some(Excuse::Gone));
    Ok(())
}

fn secrecy(world: &mut World) -> Verdict {
    let written = Snapshot::take(&[world.root.join("state"), world.status_file()]);
    for (path, bytes) in written.files() {
        if let Some(form) = leaks(bytes) {
            return broken(Invariant::Canary, format!("{form} in {}", path.display()));
        }
    }
    Ok(())
}

/// What can be had is there.
fn arrivals(world: &mut World) -> Verdict {
    let now = world.now();
    let mut confirmed = Vec::new();
    for (path, asked) in world.sources.asked() {
        let Some(due) = world.due(path, asked).filter(|due| *due <= now) else {
            continue;
        };
        let Some(expected) = asked.text().render(|item| world.vault.shown(item)) else {
            continue;
        };
        let found = read(path);
        if found.as_ref() != Some(&expected) {
            let detail = format!(
                "{} was due at {due:?}: {found:?} instead of {expected:?}",
                path.display()
            );
            return broken(Invariant::Arrival, detail);
        }
        let mode = fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        if mode != 0o600 {
            return broken(
                Invariant::Arrival,
                format!("{} has mode {mode:o}", path.display()),
            );
        }
        confirmed.push(path.clone());
    }
    for path in confirmed {
        world.destinations.held(&path).is_confirmed = true;
    }
    Ok(())
}

/// What is gone for good takes its output with it.
fn removals(world: &mut World) -> Verdict {
    let now = world.now();
    if !world.is_watching() {
        return Ok(());
    }
    for (path, asked) in &world.sources.outputs {
        let since = asked
            .gone_since
            .zip(world.sources.present_since.get(asked.map).copied().flatten());
        let (Some((gone, present)), Some(up)) = (since, world.up_since) else {
            continue;
        };
        let is_there = world.destinations.table.get(path).is_some_and(|held| {
            held.content.is_some() && held.is_ours && held.is_confirmed && held.foreign_at < up
        });
        let due = gone.max(present).max(up) + DELETE_AFTER * 2 + world.drill.schedule.debounce * 20 + ROUND;
        if is_there && asked.map < 2 && now > due {
            return broken(
                Invariant::Removal,
                format!("{} outlives its template", path.display()),
            );
        }
    }
    Ok(())
}

/// From a change, or the start of an agent that owes it, until everybody who listens knows of it.
pub(super) fn longest_telling() -> Duration {
    ROUND + CALL * 2 + TELLING
}

/// Nobody waits for a word for too long.
fn told(world: &mut World) -> Verdict {
    let (now, up) = (world.now(), world.up_since.unwrap_or_default());
    for (action, consumer) in &world.consumers.table {
        for (path, owed) in &consumer.owed {
            let due = owed.at.max(up).max(consumer.since) + longest_telling();
            if consumer.mood.is_fine() && owed.excuse.is_none() && now > due {
                let detail = format!(
                    "{action} does not know that {} changed at {:?}",
                    path.display(),
                    owed.at
                );
                return broken(Invariant::Told, detail);
            }
        }
    }
    Ok(())
}

/// Without trouble, an item is read once a refresh.
fn reads(world: &mut World) -> Verdict {
    let now = world.now();
    for source in &world.vault.sources {
        edits(world, source)?;
        let items = || {
            world
                .vault
                .items
                .iter()
                .filter(|(name, _)| name.instance == source.name)
        };
        let troubled = items().map(|(_, item)| item.since).max().unwrap_or_default();
        let calm_since = world.disturbed_at.max(source.since).max(troubled) + LONGEST_PAUSE + ROUND;
        if now < calm_since || !source.mode.is_healthy() || !items().all(|(_, item)| item.is_sound()) {
            continue;
        }
        let rounds = 1 + (now - calm_since).as_secs() / world.drill.refresh().as_secs();
        let since = |times: &[Duration]| times.iter().filter(|at| **at >= calm_since).count() as u64;
        let (mut distinct, mut leased) = (0, 0);
        for (name, item) in items() {
            let reads = since(&item.reads);
            // Leases have times of their own.
            if name.is_leased() {
                leased += reads;
                continue;
            }
            distinct += u64::from(reads > 0);
            if reads > rounds {
                let detail = format!("{name:?} was read {reads} times in {rounds} rounds");
                return broken(Invariant::Reads, detail);
            }
        }
        let calls = since(&source.calls);
        if calls > rounds * distinct.div_ceil(source.batch as u64) + leased {
            let detail = format!(
                "{} was called {calls} times in {rounds} rounds for {distinct} items",
                source.name
            );
            return broken(Invariant::Reads, detail);
        }
    }
    Ok(())
}

/// An edit that asks for nothing new is no reason to read: of three reads within the time of a refresh only one was one.
fn edits(world: &World, source: &Source) -> Verdict {
    let up = world.up_since.unwrap_or_default();
    for (name, item) in &world.vault.items {
        if name.instance != source.name || name.is_leased() || !source.mode.is_healthy() || !item.is_sound() {
            continue;
        }
        let began = [source.since, item.since, item.wanted_since, world.reloaded_at, up];
        let calm_since = began.into_iter().max().unwrap_or_default() + LONGEST_PAUSE + ROUND;
        let is_needless =
            |reads: &[Duration]| calm_since < reads[0] && reads[2] - reads[0] < world.drill.refresh();
        if let Some(reads) = item.reads.windows(3).find(|reads| is_needless(reads)) {
            let detail = format!("{name:?} was read at {reads:?} though nothing new was asked for");
            return broken(Invariant::Reads, detail);
        }
    }
    Ok(())
}

/// What fails is asked with growing pauses.
fn pauses(world: &mut World) -> Verdict {
    let (now, up) = (world.now(), world.up_since.unwrap_or_default());
    let most = |since: Duration| FIRST_TRIES + ((now - since).as_secs() / TYPICAL_PAUSE.as_secs()) as u32;
    let count = |times: &[Duration], since: Duration| times.iter().filter(|at| **at >= since).count() as u32;
    for source in &world.vault.sources {
        let since = source.since.max(world.disturbed_at).max(up);
        let calls = count(&source.calls, since);
        if is_out(source) && calls > most(since) {
            let detail = format!("{} was called {calls} times in {:?}", source.name, now - since);
            return broken(Invariant::BackOff, detail);
        }
        for (name, item) in world
            .vault
            .items
            .iter()
            .filter(|(name, _)| name.instance == source.name)
        {
            let since = since.max(item.since).max(item.changed_at);
            let reads = count(&item.reads, since);
            if reads > most(since) {
                let detail = format!("{name:?} was read {reads} times in {:?}", now - since);
                return broken(Invariant::BackOff, detail);
            }
            let renewals = count(&item.renewals, since);
            if renewals > most(since) {
                let detail = format!("{name:?} was renewed {renewals} times in {:?}", now - since);
                return broken(Invariant::BackOff, detail);
            }
        }
    }
    Ok(())
}

/// What is leased and wanted is in force.
fn leases(world: &mut World) -> Verdict {
    let now = world.now();
    for (name, item) in world.vault.items.iter().filter(|(name, _)| name.is_leased()) {
        let source = world.vault.source(name.instance);
        let calm_since = source.since.max(item.since) + LONGEST_PAUSE + ROUND;
        let is_wanted = |asked: &Asked| {
            let is_known = || {
                world
                    .noticed_by(asked)
                    .is_some_and(|noticed| noticed + ROUND + CALL < now)
            };
            let mut mentions = asked.text().mentions();
            !asked.text().is_wrong && mentions.any(|mention| mention.item == *name) && is_known()
        };
        if source.mode.is_healthy()
            && !item.denied
            && calm_since < now
            && !item.is_in_force(now)
            && world.sources.asked().any(|(_, asked)| is_wanted(asked))
        {
            let detail = format!("there is no lease of {name:?} in force: {:?}", item.grants);
            return broken(Invariant::Lease, detail);
        }
    }
    Ok(())
}

/// Whether a provider answers for nothing.
fn is_out(source: &Source) -> bool {
    !source.mode.is_healthy() && source.mode != Mode::Short
}

fn status(world: &mut World) -> Verdict {
    let observed = match observe(&world.status_file()) {
        Ok(observed) => observed,
        Err(error) => return broken(Invariant::Status, format!("it cannot be read: {error}")),
    };
    if !observed.alive {
        return broken(Invariant::Status, "the agent does not seem to live");
    }
    let status = observed.status;
    if status.state == State::Starting && world.age() > ROUND + CALL {
        return broken(
            Invariant::Status,
            format!("still starting after {:?}", world.age()),
        );
    }
    if status.state == State::Starting {
        return Ok(());
    }
    for (path, asked) in world.sources.asked() {
        says_what_fails(world, &status, path, asked)?;
    }
    if is_all_well(world) && (status.state != State::Ready || !status.failing.is_empty()) {
        return broken(Invariant::Status, format!("all is well, and it says {status:?}"));
    }
    Ok(())
}

/// An output that cannot be had is named, and a missing one makes the agent unhealthy.
fn says_what_fails(world: &World, status: &Status, path: &Path, asked: &Asked) -> Verdict {
    let Some(noticed) = world.noticed_by(asked) else {
        return Ok(());
    };
    if world.drill.settings(asked.map).on_error == OnError::Ignore {
        return Ok(());
    }
    let (now, refresh) = (world.now(), world.drill.longest_refresh());
    let named: Vec<_> = status
        .failing
        .iter()
        .filter(|failing| failing.target == *path)
        .collect();
    let held = world.destinations.table.get(path);
    let meddled = held.map_or(Duration::ZERO, |held| held.foreign_at);
    // A refresh finds it out, and the round after it says so.
    let known_by = |since: Duration| (since + refresh).max(noticed) + (ROUND + CALL) * 2;
    let is_missing = held.is_none_or(|held| held.content.is_none() || held.is_placeholder);
    let has_template = !asked.text().is_wrong;
    let failing_since = asked
        .text()
        .mentions()
        .filter_map(|mention| fails_since(world, mention))
        .min()
        .filter(|_| has_template);
    if let Some(since) = failing_since
        && now > known_by(since.max(meddled))
    {
        let is_named = named.iter().any(|failing| failing.reference.is_some());
        // What stands in the way of the file may be named instead.
        if !is_named && !held.is_some_and(|held| held.is_blocked) {
            let detail = format!(
                "it does not say that {} cannot be had: {status:?}",
                path.display()
            );
            return broken(Invariant::Status, detail);
        }
    }
    if !has_template && now > known_by(Duration::ZERO) && named.is_empty() {
        return broken(
            Invariant::Status,
            format!("it does not name the mistake of {}", path.display()),
        );
    }
    let settled = asked.text().mentions().map(|mention| {
        world
            .condition(mention)
            .0
            .max(world.vault.items[&mention.item].changed_at)
    });
    let settled = settled.max().unwrap_or_default().max(meddled);
    if is_missing && now > known_by(settled) + LONGEST_PAUSE && status.state != State::Failed {
        let detail = format!("{} is not in place, and it says {status:?}", path.display());
        return broken(Invariant::Status, detail);
    }
    Ok(())
}

/// Since when a reference cannot be had, if it cannot.
fn fails_since(world: &World, mention: &Mention) -> Option<Duration> {
    let (since, is_had) = world.condition(mention);
    let item = &world.vault.items[&mention.item];
    let Item {
        exists, changed_at, ..
    } = item;
    let source = world.vault.source(mention.item.instance);
    match (is_had, exists) {
        // It answers for the first item of a call, whichever that is.
        (false, _) if source.mode == Mode::Short => None,
        // As long as a lease is good nothing is asked for.
        (false, true) => Some(since.max(*changed_at).max(item.leased_until())),
        (true, false) if mention.absence == Absence::Fails => Some(since.max(*changed_at)),
        _ => None,
    }
}

/// Whether everything that is asked for must be in place and confirmed.
fn is_all_well(world: &World) -> bool {
    let now = world.now();
    let waits = DELETE_AFTER * 2 + world.drill.schedule.debounce * 20 + ROUND * 2;
    let is_settled = |asked: &Asked| match asked.gone_since {
        None => true,
        // Its output is gone too, or was never known to this process.
        Some(gone) => {
            let present = world.sources.present_since.get(asked.map).copied().flatten();
            present.is_some_and(|present| {
                world.is_watching() && asked.map < 2 && now > gone.max(present) + waits
                    || world.up_since.is_some_and(|up| gone < up)
            })
        }
    };
    world.sources.outputs.values().all(is_settled)
        && world.sources.asked().all(|(path, asked)| {
            let is_rendered = asked
                .text()
                .render(|item: &_| -> Shown { world.vault.shown(item) })
                .is_some();
            is_rendered && world.due(path, asked).is_some_and(|due| now > due + ROUND + CALL)
        })
}
