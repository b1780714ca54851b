//! What was asked of each provider in the last day, kept across restarts and shared by every process with the same
//! state directory. Holds names and counts, never a value.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::state_dir;

/// A budget counts over this many hours before the present one, which makes it a day and up to an hour.
const HOURS: u64 = 24;

const HOUR: Duration = Duration::from_secs(60 * 60);

const FILE: &str = "budget.json";
const LOCK: &str = "budget.lock";

/// The requests of the last day, by the instance's name.
#[derive(Debug, Default)]
pub struct Budgets {
    directory: Option<PathBuf>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Read from the directory when it is first needed.
    spent: Option<Spent>,
    /// The directory cannot be used, which was told.
    is_broken: bool,
    /// Instances whose refreshes are being stretched, which was told.
    told: HashSet<Arc<str>>,
}

/// Requests by instance and hour since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Spent {
    version: u32,
    hours: BTreeMap<String, BTreeMap<u64, u64>>,
}

const VERSION: u32 = 1;

impl Budgets {
    /// The budgets kept in `directory`, which is read and made when the first request is counted.
    pub fn at(directory: PathBuf) -> Self {
        Self {
            directory: Some(directory),
            state: Mutex::default(),
        }
    }

    /// Counts requests of an instance.
    pub(crate) fn spend(&self, instance: &Arc<str>, requests: u64, now: SystemTime) {
        if requests == 0 {
            return;
        }
        let mut state = self.state();
        let add = |spent: &mut Spent| spent.add(instance, requests, hour(now));
        let directory = self.directory.as_deref().filter(|_| !state.is_broken);
        match directory.map(|directory| update(directory, add)) {
            Some(Ok(spent)) => state.spent = Some(spent),
            None => add(state.spent.get_or_insert_default()),
            Some(Err(error)) => {
                self.complain(&mut state, &error);
                add(state.spent.get_or_insert_default());
            }
        }
    }

    /// Requests of an instance within the last day.
    pub(crate) fn spent(&self, instance: &str, now: SystemTime) -> u64 {
        self.with(|spent| spent.of(instance, hour(now)))
    }

    /// How long from `now` until `wanted` requests fit into `budget`; a day if they never do.
    pub(crate) fn wait(&self, instance: &str, budget: u64, wanted: u64, now: SystemTime) -> Duration {
        let this = hour(now);
        let room_in = self.with(|spent| {
            let fits = |later: &u64| spent.of(instance, this + later) + wanted.min(budget) <= budget;
            (0..=HOURS + 1).find(fits).unwrap_or(HOURS)
        });
        let since_start = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let into_hour = since_start.saturating_sub(HOUR * u32::try_from(this).unwrap_or(u32::MAX));
        (HOUR * u32::try_from(room_in).unwrap_or(u32::MAX)).saturating_sub(into_hour)
    }

    /// Whether a stretched refresh of `instance` is told about for the first time since it was last in time.
    pub(crate) fn is_news(&self, instance: &Arc<str>) -> bool {
        self.state().told.insert(instance.clone())
    }

    /// The refresh of `instance` took place.
    pub(crate) fn in_time(&self, instance: &str) {
        self.state().told.remove(instance);
    }

    fn with<T>(&self, look: impl FnOnce(&Spent) -> T) -> T {
        let mut state = self.state();
        if state.spent.is_none() {
            let read = self.directory.as_deref().map(read).transpose();
            let spent = read.unwrap_or_else(|error| {
                self.complain(&mut state, &error);
                None
            });
            state.spent = Some(spent.unwrap_or_default());
        }
        look(state.spent.get_or_insert_default())
    }

    fn complain(&self, state: &mut State, error: &io::Error) {
        if let Some(directory) = self.directory.as_deref().filter(|_| !state.is_broken) {
            tracing::warn!(
                "the requests of this day cannot be kept in {} ({error}): a restart forgets them, and with them what \
                 is left of each `daily-budget`. Set `--state-dir` to a directory that outlives the process.",
                directory.display()
            );
        }
        state.is_broken = true;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Spent {
    fn add(&mut self, instance: &str, requests: u64, hour: u64) {
        let hours = self.hours.entry(instance.to_owned()).or_default();
        *hours.entry(hour).or_default() += requests;
        hours.retain(|then, _| *then + HOURS >= hour);
    }

    fn of(&self, instance: &str, hour: u64) -> u64 {
        let hours = self.hours.get(instance).into_iter().flatten();
        // What a clock that was wrong put into the future counts now, so that nothing is asked too often.
        hours
            .filter(|(then, _)| **then + HOURS >= hour)
            .map(|(_, requests)| requests)
            .sum()
    }
}

fn hour(now: SystemTime) -> u64 {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs() / HOUR.as_secs()
}

/// Changes what is kept, in turn with other processes.
fn update(directory: &Path, change: impl FnOnce(&mut Spent)) -> io::Result<Spent> {
    state_dir::make(directory)?;
    let _lock = state_dir::lock(directory, LOCK)?;
    let mut spent = read(directory)?;
    change(&mut spent);
    spent.version = VERSION;
    let text = serde_json::to_vec(&spent)?;
    state_dir::write(&directory.join(FILE), &text)?;
    Ok(spent)
}

fn read(directory: &Path) -> io::Result<Spent> {
    let mut text = Vec::new();
    match File::open(directory.join(FILE)) {
        Ok(mut file) => file.read_to_end(&mut text)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Spent::default()),
        Err(error) => return Err(error),
    };
    match serde_json::from_slice::<Spent>(&text) {
        Ok(spent) if spent.version == VERSION => Ok(spent),
        Ok(Spent { version, .. }) => Err(io::Error::other(format!(
            "{FILE} is of version {version}, which this locket does not know"
        ))),
        Err(error) => Err(io::Error::other(format!("{FILE} is damaged: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: u64) -> SystemTime {
        UNIX_EPOCH + HOUR * (1_000_000 + hours as u32)
    }

    #[test]
    fn requests_are_remembered_across_restarts_and_for_a_day() {
        let dir = tempfile::tempdir().unwrap();
        let op: Arc<str> = "op".into();
        let state = dir.path().join("state");
        Budgets::at(state.clone()).spend(&op, 30, at(0));
        Budgets::at(state.clone()).spend(&op, 12, at(5));
        let again = Budgets::at(state.clone());
        assert_eq!(again.spent("op", at(5)), 42);
        assert_eq!(again.spent("op", at(24)), 42);
        assert_eq!(again.spent("op", at(25)), 12);
        assert_eq!(again.spent("bao", at(5)), 0, "each instance for itself");
        again.spend(&op, 1, at(40));
        let text = std::fs::read_to_string(state.join(FILE)).unwrap();
        assert!(
            !text.contains(":30"),
            "what is older than a day is forgotten: {text}"
        );
    }

    #[test]
    fn two_processes_count_together() {
        let dir = tempfile::tempdir().unwrap();
        let op: Arc<str> = "op".into();
        let (one, other) = (Budgets::at(dir.path().into()), Budgets::at(dir.path().into()));
        assert_eq!(other.spent("op", at(0)), 0);
        one.spend(&op, 5, at(0));
        other.spend(&op, 2, at(0));
        assert_eq!(other.spent("op", at(0)), 7);
    }

    #[test]
    fn a_spent_budget_has_room_again_when_its_first_hours_are_a_day_old() {
        let budgets = Budgets::default();
        let op: Arc<str> = "op".into();
        budgets.spend(&op, 60, at(0));
        budgets.spend(&op, 40, at(3));
        let half_past = at(3) + HOUR / 2;
        assert_eq!(budgets.wait("op", 100, 0, half_past), Duration::ZERO);
        assert_eq!(budgets.wait("op", 100, 1, half_past), HOUR * 21 + HOUR / 2);
        assert_eq!(budgets.wait("op", 100, 61, half_past), HOUR * 24 + HOUR / 2);
        assert_eq!(budgets.wait("op", 101, 1, half_past), Duration::ZERO);
    }

    #[test]
    fn a_damaged_file_is_told_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let op: Arc<str> = "op".into();
        std::fs::write(dir.path().join(FILE), "{").unwrap();
        let budgets = Budgets::at(dir.path().into());
        budgets.spend(&op, 3, at(0));
        budgets.spend(&op, 4, at(0));
        assert_eq!(budgets.spent("op", at(0)), 7, "counted in memory");
        assert_eq!(std::fs::read(dir.path().join(FILE)).unwrap(), b"{");
    }
}
