//! From maps and secrets of all layers to the plan.

use std::path::{Path, PathBuf};
use std::time::Duration;

use locket_core::plan::{Access, Map, OnError, OutputSettings, Place, Plan, Secret, Source};
use locket_core::spec::{self, MapSpec, SecretSpec};
use locket_core::{Action, Diagnostic, lists};

use crate::config::{ConfigFile, EntryTemplate, EveryEntry, SecretEntry, parse_action};
use crate::options::{Layers, Syntax, table, values};
use crate::report::Problem;

/// Where inline secrets go when nothing else is said.
const OUT: &str = "/run/secrets/locket";

pub(super) const MAX_FILE_SIZE: u64 = 10 << 20;

const DELETE_AFTER: Duration = Duration::from_secs(10);

/// What goes where, and who is told about all of it.
pub(super) fn settle(layers: &mut Layers<'_>, directory: &Path) -> (Plan, Vec<Action>) {
    let defaults = defaults(layers);
    let maps = maps(layers, &defaults, directory);
    let mut secrets = secrets(layers, &defaults, directory);
    secrets.extend(everys(layers, &defaults));
    let actions = actions(layers);
    let out = layers.path(&table::OUT).unwrap_or_else(|| default_out(&maps));
    let (max_file_size, delete_after) = limits(layers);
    let plan = Plan {
        out,
        maps,
        secrets,
        max_file_size,
        delete_after,
        ..Plan::default()
    };
    (plan, actions)
}

/// The size of a template in bytes, and how long one must be gone before its output follows.
pub(super) fn limits(layers: &mut Layers<'_>) -> (u64, Duration) {
    (
        layers.settle(&table::MAX_FILE_SIZE, MAX_FILE_SIZE, values::size),
        layers.settle(&table::DELETE_AFTER, DELETE_AFTER, values::duration),
    )
}

/// What holds for every output that says nothing itself.
pub(super) fn defaults(layers: &mut Layers<'_>) -> OutputSettings {
    let access = Access::default();
    let owner = |text: &str| spec::owner(text).map(Some);
    OutputSettings {
        access: Access {
            file_mode: layers.settle(&table::FILE_MODE, access.file_mode, spec::file_mode),
            dir_mode: layers.settle(&table::DIR_MODE, access.dir_mode, spec::dir_mode),
            owner: layers.settle(&table::USER, access.owner, owner),
        },
        on_error: layers.settle(&table::ON_ERROR, OnError::default(), spec::on_error),
        ..OutputSettings::default()
    }
}

fn maps(layers: &mut Layers<'_>, defaults: &OutputSettings, directory: &Path) -> Vec<Map> {
    let syntax = Syntax {
        one: MapSpec::parse,
        many: MapSpec::parse_list,
        shown: |spec| format!("{}:{}", spec.source.display(), spec.destination.display()),
        in_file: |file| {
            let maps = file.maps.iter();
            maps.map(|map| format!("{}:{}", map.source.text, map.destination.text))
                .collect()
        },
    };
    let above = layers.list(&table::MAP, &syntax);
    let named = named_actions(layers.files());
    let mut strongest = None;
    // What is replaced must be right all the same: a mistake in it would come out when the flag is gone.
    for file in layers.files().filter(|file| !file.maps.is_empty()) {
        let maps: Vec<_> = file
            .maps
            .iter()
            .map(|entry| Map {
                source: entry.source.path(),
                destination: entry.destination.path(),
                settings: entry.settings.settle(defaults, &named, &mut layers.problems),
            })
            .collect();
        strongest.get_or_insert(maps);
    }
    let Some(specs) = above else {
        return strongest.unwrap_or_default();
    };
    let maps = specs.into_iter().map(|spec| spec.settle(defaults));
    maps.map(|map| Map {
        source: directory.join(map.source),
        destination: directory.join(map.destination),
        ..map
    })
    .collect()
}

fn secrets(layers: &mut Layers<'_>, defaults: &OutputSettings, directory: &Path) -> Vec<Secret> {
    let syntax = Syntax {
        one: SecretSpec::parse,
        many: SecretSpec::parse_list,
        shown: |spec| spec.name.clone(),
        in_file: |file| {
            file.secrets
                .iter()
                .map(|secret| secret.name.text.clone())
                .collect()
        },
    };
    let above = layers.list(&table::SECRET, &syntax);
    let named = named_actions(layers.files());
    let mut strongest = None;
    for file in layers.files().filter(|file| !file.secrets.is_empty()) {
        let secrets: Vec<_> = file
            .secrets
            .iter()
            .map(|entry| secret(entry, defaults, &named, &mut layers.problems))
            .collect();
        strongest.get_or_insert(secrets);
    }
    let Some(specs) = above else {
        return strongest.unwrap_or_default();
    };
    let secrets = specs.into_iter().map(|spec| spec.settle(defaults));
    secrets
        .map(|secret| Secret {
            source: match secret.source {
                Source::File(path) => Source::File(directory.join(path)),
                inline => inline,
            },
            ..secret
        })
        .collect()
}

/// The secrets of which every key becomes a file.
fn everys(layers: &mut Layers<'_>, defaults: &OutputSettings) -> Vec<Secret> {
    let shown = |secret: &Secret| match &secret.source {
        Source::Every { text, .. } => text.clone(),
        _ => secret.name.clone(),
    };
    let syntax = Syntax {
        one: spec::every,
        many: spec::every_list,
        shown,
        in_file: |file| file.everys.iter().map(|every| every.from.text.clone()).collect(),
    };
    let above = layers.list(&table::SECRET_FROM, &syntax);
    let named = named_actions(layers.files());
    let mut strongest = None;
    for file in layers.files().filter(|file| !file.everys.is_empty()) {
        let problems = &mut layers.problems;
        let secrets: Vec<_> = file
            .everys
            .iter()
            .filter_map(|entry| every(entry, defaults, &named, problems))
            .collect();
        strongest.get_or_insert(secrets);
    }
    let Some(secrets) = above else {
        return strongest.unwrap_or_default();
    };
    let settle = |secret: Secret| Secret {
        settings: defaults.clone(),
        ..secret
    };
    secrets.into_iter().map(settle).collect()
}

fn every(
    entry: &EveryEntry,
    defaults: &OutputSettings,
    named: impl Fn(&str) -> Option<Action>,
    problems: &mut Vec<Problem>,
) -> Option<Secret> {
    let settings = entry.settings.settle(defaults, named, problems);
    let prefix = entry.prefix.as_ref().map_or("", |given| given.text.as_str());
    if let (Some(given), Err(wrong)) = (&entry.prefix, spec::file_name(&format!("{prefix}x"))) {
        problems.extend(given.wrong([wrong]));
    }
    match spec::every(&entry.from.text) {
        Ok(secret) => Some(Secret {
            source: Source::Every {
                text: entry.from.text.trim().to_owned(),
                prefix: prefix.to_owned(),
            },
            settings,
            ..secret
        }),
        Err(wrong) => {
            problems.extend(entry.from.wrong(wrong));
            None
        }
    }
}

fn secret(
    entry: &SecretEntry,
    defaults: &OutputSettings,
    named: impl Fn(&str) -> Option<Action>,
    problems: &mut Vec<Problem>,
) -> Secret {
    let name = &entry.name.text;
    if let Err(wrong) = spec::file_name(name) {
        problems.extend(entry.name.wrong([wrong]));
    }
    Secret {
        place: Place::File,
        name: name.clone(),
        source: match &entry.template {
            EntryTemplate::File(given) => Source::File(given.path()),
            EntryTemplate::Text(given) => Source::Inline {
                name: name.clone(),
                text: given.text.clone(),
            },
        },
        settings: entry.settings.settle(defaults, named, problems),
    }
}

/// Who is told about every change: the flags or the variable, else the entries of the file that have no name.
fn actions(layers: &mut Layers<'_>) -> Vec<Action> {
    let syntax = Syntax {
        one: |text| Action::parse(text).map_err(|wrong| vec![wrong]),
        many: parse_actions,
        shown: Action::to_string,
        in_file: |file| {
            let entries = file.notifies.iter().filter(|entry| entry.name.is_none());
            let actions = entries.filter_map(|entry| parse_action(&entry.action).ok());
            actions.map(|action| action.to_string()).collect()
        },
    };
    let above = layers.list(&table::NOTIFY, &syntax);
    check_entries(layers);
    if let Some(actions) = above {
        return actions;
    }
    let strongest = layers.files().find_map(|file| {
        let entries: Vec<_> = file
            .notifies
            .iter()
            .filter(|entry| entry.name.is_none())
            .collect();
        Some(entries).filter(|entries| !entries.is_empty())
    });
    let entries = strongest.into_iter().flatten();
    entries
        .filter_map(|entry| parse_action(&entry.action).ok())
        .collect()
}

/// Every `[[notify]]` has to be right, and every name once in its file and used by somebody.
fn check_entries(layers: &mut Layers<'_>) {
    let mut problems: Vec<Problem> = Vec::new();
    for file in layers.files() {
        for (index, entry) in file.notifies.iter().enumerate() {
            if let Err(wrong) = parse_action(&entry.action) {
                problems.extend(entry.action.wrong([wrong]));
            }
            let Some(name) = &entry.name else {
                continue;
            };
            let same = |other: &crate::options::Given| other.text == name.text;
            let earlier = &file.notifies[..index];
            if earlier.iter().filter_map(|other| other.name.as_ref()).any(same) {
                let wrong = Diagnostic::error(
                    0..name.text.len(),
                    format!("there are two notifications `{}`", name.text),
                );
                problems.extend(name.wrong([wrong.help("Give each a name of its own.")]));
            }
            if !layers.files().any(|file| file.asks_for(&name.text)) {
                let wrong = Diagnostic::error(
                    0..name.text.len(),
                    format!("nothing asks for the notification `{}`", name.text),
                );
                let help = "Write its name as `notify` of a map or secret, or remove the name so that it is told of every change.";
                problems.extend(name.wrong([wrong.help(help)]));
            }
        }
    }
    layers.problems.extend(problems);
}

/// Looks a `[[notify]]` up by its name.
fn named_actions<'a>(files: impl Iterator<Item = &'a ConfigFile>) -> impl Fn(&str) -> Option<Action> {
    let entries = files.flat_map(|file| &file.notifies).filter_map(|entry| {
        let name = entry.name.as_ref()?.text.clone();
        Some((name, parse_action(&entry.action).ok()?))
    });
    let entries: Vec<_> = entries.collect();
    move |wanted| {
        let found = entries.iter().find(|(name, _)| name == wanted);
        found.map(|(_, action)| action.clone())
    }
}

pub(super) fn parse_actions(list: &str) -> Result<Vec<Action>, Vec<Diagnostic>> {
    let mut actions = Vec::new();
    let mut found = Vec::new();
    for entry in lists::split(list)? {
        match Action::parse(entry.text()) {
            Ok(action) => actions.push(action),
            Err(wrong) => found.push(entry.locate(wrong)),
        }
    }
    if found.is_empty() { Ok(actions) } else { Err(found) }
}

/// The destination of the first directory map, else a fixed place.
pub(super) fn default_out(maps: &[Map]) -> PathBuf {
    let directory = maps.iter().find(|map| map.source.is_dir());
    directory.map_or_else(|| PathBuf::from(OUT), |map| map.destination.clone())
}
