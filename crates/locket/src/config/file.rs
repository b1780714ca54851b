//! One configuration file as typed tables, every value with its place. All mistakes are found at once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use locket_core::{Diagnostic, Span};
use locket_docker::allow::Allowance;
use toml::de::{DeTable, DeValue};

use super::entries::{
    EntrySettings, EveryEntry, MapEntry, NotifyEntry, SecretEntry, SecretTable, read_all, read_map,
    read_notify, read_secret,
};
use super::mask;
use super::providers::{self, ProviderTable};
use super::reader::{Numbers, Reader, Reading};
use super::rotate::{RotateTable, read_rotate};
use super::swarm::{SwarmTable, read_allow, read_plugin, read_swarm};
use crate::options::{Given, Key, Opt, Shape, table};
use crate::report::{Problem, SourceText};

/// What a configuration file says.
#[derive(Debug)]
pub(crate) struct ConfigFile {
    /// Its path, as it was named.
    pub(crate) path: PathBuf,
    run: OptionTable,
    exec: OptionTable,
    /// `allow` of `[labels]`.
    pub(crate) labels: Option<Allowance>,
    /// `[[map]]`.
    pub(crate) maps: Vec<MapEntry>,
    /// `[[secret]]`.
    pub(crate) secrets: Vec<SecretEntry>,
    /// `[[secret]]` with `from`.
    pub(crate) everys: Vec<EveryEntry>,
    /// `[[notify]]`.
    pub(crate) notifies: Vec<NotifyEntry>,
    /// `[PREFIX]` and `[providers.NAME]`.
    pub(crate) providers: Vec<ProviderTable>,
    /// `[plugin]`, by the names of the options.
    pub(crate) plugin: BTreeMap<&'static str, Given>,
    /// `[swarm]`.
    pub(crate) swarm: SwarmTable,
    /// `[rotate]`.
    #[cfg_attr(
        not(feature = "command-rotate"),
        expect(dead_code, reason = "only one command asks for it")
    )]
    pub(crate) rotate: RotateTable,
}

/// A table of options, by their names.
#[derive(Debug, Default)]
pub(super) struct OptionTable {
    texts: BTreeMap<&'static str, Given>,
    /// Those of repeatable options. None is empty.
    lists: BTreeMap<&'static str, Vec<Given>>,
}

impl ConfigFile {
    /// What it says of an option that has one value.
    pub(crate) fn text(&self, opt: &Opt) -> Option<&Given> {
        self.table(opt)?.texts.get(opt.name)
    }

    /// What it says of a repeatable option that is a key of a table.
    pub(crate) fn texts(&self, opt: &Opt) -> Option<&[Given]> {
        self.table(opt)?.lists.get(opt.name).map(Vec::as_slice)
    }

    fn table(&self, opt: &Opt) -> Option<&OptionTable> {
        match opt.key {
            Key::Run => Some(&self.run),
            Key::Exec => Some(&self.exec),
            Key::Tables(_) | Key::None => None,
        }
    }

    /// Whether a map or secret in it asks for the `[[notify]]` of this name.
    pub(crate) fn asks_for(&self, name: &str) -> bool {
        let settings = self.maps.iter().map(|map| &map.settings);
        let settings = settings.chain(self.secrets.iter().map(|secret| &secret.settings));
        let settings = settings.chain(self.everys.iter().map(|every| &every.settings));
        settings
            .flat_map(EntrySettings::notify)
            .any(|given| given.text == name)
    }

    /// Reads `text`, which stands in the file at `path`. Relative paths in it count from `base`. Mistakes are beside
    /// what could be read all the same, so that the values in it can be judged together with them.
    ///
    /// # Errors
    /// The text is no TOML.
    pub(crate) fn parse(
        path: &Path,
        text: &str,
        base: Arc<Path>,
    ) -> Result<(Self, Option<Problem>), Problem> {
        let name = path.display().to_string();
        let (document, broken) = DeTable::parse_recoverable(text);
        if !broken.is_empty() {
            return Err(Problem::Shown {
                source: SourceText {
                    name,
                    text: mask::lines(text).into(),
                },
                findings: broken.iter().map(broken_toml).collect(),
            });
        }
        let document = document.get_ref();
        let mut reading = Reading {
            source: Arc::new(SourceText {
                name,
                text: mask::values(text, document).into(),
            }),
            base,
            found: Vec::new(),
        };
        let file = read(path, document, &mut reading);
        let mistakes = (!reading.found.is_empty()).then(|| Problem::Shown {
            source: SourceText::clone(&reading.source),
            findings: reading.found,
        });
        Ok((file, mistakes))
    }
}

fn read(path: &Path, document: &DeTable<'_>, reading: &mut Reading) -> ConfigFile {
    let mut file = ConfigFile {
        path: path.to_owned(),
        run: OptionTable::default(),
        exec: OptionTable::default(),
        labels: None,
        maps: Vec::new(),
        secrets: Vec::new(),
        everys: Vec::new(),
        notifies: Vec::new(),
        providers: Vec::new(),
        plugin: BTreeMap::new(),
        swarm: SwarmTable::default(),
        rotate: RotateTable::default(),
    };
    for (key, value) in document {
        match key.get_ref().as_ref() {
            "map" => file.maps = read_all(reading, "map", value, read_map),
            "secret" => {
                for table in read_all(reading, "secret", value, read_secret) {
                    match table {
                        SecretTable::One(secret) => file.secrets.push(secret),
                        SecretTable::Every(every) => file.everys.push(every),
                    }
                }
            }
            "notify" => file.notifies = read_all(reading, "notify", value, read_notify),
            name => {
                let Some(inside) = value.get_ref().as_table() else {
                    reading
                        .found
                        .push(no_table(name, key.span().into(), value.get_ref()));
                    continue;
                };
                if name == "run" {
                    let mut reader = Reader::new(reading, "[run]", inside);
                    file.run = read_options(&mut reader, Key::Run);
                    reader.finish();
                } else if name == "exec" {
                    let mut reader = Reader::new(reading, "[exec]", inside);
                    file.exec = read_options(&mut reader, Key::Exec);
                    reader.finish();
                } else if name == "plugin" {
                    let mut reader = Reader::new(reading, "[plugin]", inside);
                    file.plugin = read_plugin(&mut reader);
                    reader.finish();
                } else if name == "swarm" {
                    let mut reader = Reader::new(reading, "[swarm]", inside);
                    file.swarm = read_swarm(&mut reader);
                    reader.finish();
                } else if name == "rotate" {
                    let mut reader = Reader::new(reading, "[rotate]", inside);
                    file.rotate = read_rotate(&mut reader);
                    reader.finish();
                } else if name == "labels" {
                    let mut reader = Reader::new(reading, "[labels]", inside);
                    file.labels = read_allow(&mut reader);
                    reader.finish();
                } else if name == "providers" {
                    file.providers.extend(providers::read_instances(reading, inside));
                } else if let Some(table) = providers::read_section(reading, name, inside, key.span().into())
                {
                    file.providers.push(table);
                } else {
                    reading.found.push(unknown_table(name, key.span().into()));
                }
            }
        }
    }
    file
}

/// The keys of `[run]` or `[exec]`.
pub(super) fn read_options(reader: &mut Reader<'_>, table: Key) -> OptionTable {
    let mut read = OptionTable::default();
    for opt in table::all() {
        match opt.key {
            key if key == table => match opt.shape {
                Shape::List | Shape::Paths => {
                    let texts = reader.texts(opt.name);
                    if !texts.is_empty() {
                        read.lists.insert(opt.name, texts);
                    }
                }
                Shape::Switch => read
                    .texts
                    .extend(reader.switch(opt.name).map(|given| (opt.name, given))),
                shape => {
                    let numbers = match shape {
                        Shape::Mode => Numbers::Octal,
                        Shape::Size | Shape::Text | Shape::Duration => Numbers::Whole,
                        _ => Numbers::Refused,
                    };
                    let text = reader.text(opt.name, numbers);
                    read.texts.extend(text.map(|given| (opt.name, given)));
                }
            },
            Key::Tables(name) if table == Key::Run => {
                let message = format!("`{name}` is not a key of [run]");
                reader.refuse(name, &message, &format!("Write `[[{name}]]` tables instead."));
            }
            Key::Run | Key::Exec | Key::Tables(_) | Key::None => {}
        }
    }
    read
}

fn broken_toml(error: &toml::de::Error) -> Diagnostic {
    let span = error.span().map_or_else(Span::default, Span::from);
    Diagnostic::error(span, error.message().to_owned())
}

/// The names that a table may have.
pub(super) fn names() -> Vec<&'static str> {
    let mut names = vec![
        "run",
        "exec",
        "labels",
        "map",
        "secret",
        "notify",
        "providers",
        "plugin",
        "swarm",
        "rotate",
    ];
    names.extend(providers::prefixes());
    names
}

fn unknown_table(name: &str, span: Span) -> Diagnostic {
    let names = names();
    Diagnostic::error(span, format!("there is no table `[{name}]`"))
        .help(format!("The tables are {}.", super::reader::listed(&names)))
        .did_you_mean(name, names.iter().copied())
}

fn no_table(name: &str, span: Span, value: &DeValue<'_>) -> Diagnostic {
    let option = table::all().find(|opt| opt.name == name && matches!(opt.key, Key::Run | Key::Exec));
    if let Some(option) = option {
        let table = if option.key == Key::Exec { "exec" } else { "run" };
        return Diagnostic::error(span, format!("`{name}` stands outside of a table"))
            .help(format!("Write `[{table}]` on a line before it."));
    }
    if names().contains(&name) {
        let written = if value.is_array() { "an array" } else { "a value" };
        return Diagnostic::error(span, format!("`{name}` is a table, not {written}"))
            .help(format!("Write `[{name}]` and its keys below it."));
    }
    unknown_table(name, span)
}
