//! What one seed configures: maps, policies, consumers, times.

use std::path::{Path, PathBuf};
use std::time::Duration;

use locket_core::Action;
use locket_core::plan::{Map, OnError, OutputSettings, Plan, Secret, Source};

use super::dice::Dice;
use super::text::{Absence, ItemName, Mention};
use crate::agent::{Mode, Schedule};

/// The configuration of the agent in one simulation.
#[derive(Debug)]
pub(super) struct Drill {
    pub(super) plan: Plan,
    pub(super) schedule: Schedule,
    pub(super) actions: Vec<Action>,
}

pub(super) const DELETE_AFTER: Duration = Duration::from_secs(10);
pub(super) const SIZE_LIMIT: usize = 4096;

/// How long a failing notification is tried again.
pub(super) const NOTIFY_TIMEOUT: Duration = Duration::from_secs(300);

/// Consumers are told apart by their action.
pub(super) fn action(name: &str) -> Action {
    Action::Exec {
        argv: vec![name.to_owned()],
    }
}

impl Drill {
    pub(super) fn new(root: &Path, seed: u64) -> Self {
        let mut dice = Dice::new(seed, 0xd1);
        let minute = Duration::from_secs(60);
        let schedule = Schedule {
            mode: if dice.chance(80) { Mode::Watch } else { Mode::Park },
            refresh: Some(minute * *dice.pick(&[5, 10, 30, 60])),
            jitter: minute * 5,
            debounce: *dice.pick(&[
                Duration::from_millis(100),
                Duration::from_millis(500),
                Duration::from_secs(2),
            ]),
            deadline: minute,
            request: Duration::from_secs(10),
        };
        let any = [
            OnError::Keep,
            OnError::Keep,
            OnError::Passthrough,
            OnError::Ignore,
        ];
        let settings = |on_error, notify: &[&str]| OutputSettings {
            on_error,
            notify: notify.iter().map(|name| action(name)).collect(),
            ..OutputSettings::default()
        };
        let map = |name: &str, settings| Map {
            source: root.join("in").join(name),
            destination: root.join("out").join(name),
            settings,
        };
        let maps = vec![
            map("a", settings(OnError::Keep, &["a"])),
            map("b", settings(*dice.pick(&any), &[])),
            map("one", settings(*dice.pick(&any), &["a", "one"])),
        ];
        let secrets = ["first", "second"]
            .iter()
            .zip(["alpha", "beta"])
            .map(|(name, instance)| {
                let mention = Mention {
                    item: ItemName {
                        instance,
                        item: "i0".to_owned(),
                    },
                    part: "pass".to_owned(),
                    absence: Absence::Fails,
                };
                Secret {
                    name: (*name).to_owned(),
                    place: locket_core::plan::Place::File,
                    source: Source::Inline {
                        name: (*name).to_owned(),
                        text: format!("{name} {}\n", mention.write()),
                    },
                    settings: settings(OnError::Keep, &[]),
                }
            });
        Self {
            plan: Plan {
                maps,
                secrets: secrets.collect(),
                out: root.join("out/inline"),
                max_file_size: SIZE_LIMIT as u64,
                delete_after: DELETE_AFTER,
                ..Plan::default()
            },
            schedule,
            actions: if dice.chance(70) {
                vec![action("all")]
            } else {
                Vec::new()
            },
        }
    }

    pub(super) fn refresh(&self) -> Duration {
        self.schedule.refresh.unwrap_or_default()
    }

    /// The longest time between two refreshes.
    pub(super) fn longest_refresh(&self) -> Duration {
        self.refresh() + self.schedule.jitter.min(self.refresh() / 10)
    }

    /// How an output is to be treated; the inline secrets follow the maps.
    pub(super) fn settings(&self, map: usize) -> &OutputSettings {
        match self.plan.maps.get(map) {
            Some(map) => &map.settings,
            None => &self.plan.secrets[map - self.plan.maps.len()].settings,
        }
    }

    /// Whether a path lies where outputs may be.
    pub(super) fn is_destination(&self, path: &Path) -> bool {
        let directories = self.plan.maps[..2].iter().map(|map| &map.destination);
        directories
            .chain([&self.plan.out])
            .any(|root| path.starts_with(root))
            || path == self.plan.maps[2].destination
    }

    /// The names of consumers of an output.
    pub(super) fn consumers(&self, map: usize) -> impl Iterator<Item = &Action> {
        self.actions.iter().chain(&self.settings(map).notify)
    }

    /// Every consumer there is.
    pub(super) fn all_consumers() -> [Action; 3] {
        ["all", "a", "one"].map(action)
    }

    pub(super) fn source_directories(&self) -> Vec<PathBuf> {
        self.plan.maps[..2].iter().map(|map| map.source.clone()).collect()
    }
}
