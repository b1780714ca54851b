//! `[PREFIX]` and `[providers.NAME]`: what providers are told.

use std::collections::BTreeMap;
use std::sync::Arc;

use locket_core::{Diagnostic, Schemes, Span};
use locket_providers::{ProviderKind, Setting, SettingKind};
use toml::de::DeTable;

use super::reader::{Numbers, Reader, Reading};
use crate::options::Given;
use crate::options::values::alternatives;
use crate::providers::{check_text, kinds, literal_name, sections};
use crate::report::SourceText;

/// One table of provider settings.
#[derive(Debug)]
pub(crate) struct ProviderTable {
    /// Whom it is about.
    pub(crate) name: TableName,
    /// The file it stands in.
    pub(crate) source: Arc<SourceText>,
    /// Where its name stands.
    pub(crate) span: Span,
    /// What it says.
    pub(crate) told: Told,
}

/// What a table says, by the names of the settings.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Texts and paths of files.
    pub(crate) texts: BTreeMap<&'static str, Given>,
    /// Credentials that are given as references.
    pub(crate) references: BTreeMap<&'static str, Given>,
    /// Commands and lists; none of them empty.
    pub(crate) lists: BTreeMap<&'static str, Vec<Given>>,
    /// Tables; none of them empty.
    pub(crate) tables: BTreeMap<&'static str, BTreeMap<String, Given>>,
}

/// Whom a table is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TableName {
    /// Every provider whose settings have this prefix.
    Section(&'static str),
    /// One named instance.
    Instance {
        /// The word before `://`.
        name: String,
        /// `type`.
        kind: &'static str,
    },
}

/// The tables that sections have.
pub(super) fn prefixes() -> impl Iterator<Item = &'static str> {
    sections().into_iter().map(|section| section.prefix)
}

/// Reads `[PREFIX]`; `None` when no provider has this prefix.
pub(super) fn read_section(
    reading: &mut Reading,
    name: &str,
    table: &DeTable<'_>,
    span: Span,
) -> Option<ProviderTable> {
    let section = sections().into_iter().find(|section| section.prefix == name)?;
    let reader = Reader::new(reading, format!("[{name}]"), table);
    Some(read(
        reader,
        TableName::Section(section.prefix),
        span,
        &section.settings,
    ))
}

/// Reads every `[providers.NAME]`.
pub(super) fn read_instances(reading: &mut Reading, table: &DeTable<'_>) -> Vec<ProviderTable> {
    let mut instances = Vec::new();
    for (key, value) in table {
        let name = key.get_ref().as_ref();
        let span = key.span().into();
        let Some(inside) = value.get_ref().as_table() else {
            let finding = Diagnostic::error(span, format!("`{name}` is no provider"))
                .help(format!("Write `[providers.{name}]` and its keys below it."));
            reading.found.push(finding);
            continue;
        };
        let mut reader = Reader::new(reading, format!("[providers.{name}]"), inside);
        let Some(kind) = read_kind(&mut reader, name, span) else {
            continue;
        };
        let settings: Vec<_> = kind.all_settings().collect();
        let name = TableName::Instance {
            name: name.to_owned(),
            kind: kind.name,
        };
        instances.push(read(reader, name, span, &settings));
    }
    instances
}

/// The `type` of an instance, if it and the name go together.
fn read_kind(reader: &mut Reader<'_>, name: &str, span: Span) -> Option<&'static ProviderKind> {
    let has_type = reader.has("type");
    let given = reader.text("type", Numbers::Refused);
    let types = || kinds().iter().map(|kind| kind.name);
    let Some(given) = given else {
        if !has_type {
            let help = format!("Add `type = \"…\"`; the types are {}.", alternatives(types()));
            reader.found_at(span, "this provider has no `type`", help);
        }
        return None;
    };
    let Some(kind) = ProviderKind::by_name(&given.text) else {
        let finding = Diagnostic::error(
            0..given.text.len(),
            format!("there is no provider type `{}`", given.text),
        )
        .help(format!("The types are {}.", alternatives(types())))
        .did_you_mean(&given.text, types());
        reader.found_in(&given, finding);
        return None;
    };
    if let Some((message, help)) = unusable_name(name, kind) {
        reader.found_at(span, message, help);
        return None;
    }
    Some(kind)
}

/// Why `name` cannot stand before the `://` of this kind's references.
fn unusable_name(name: &str, kind: &ProviderKind) -> Option<(String, String)> {
    let is_own = kind.schemes.iter().any(|scheme| scheme.name == name);
    if is_own && kind.named_only {
        let help = format!("Choose a name of its own, which then stands behind `{name}://`.");
        return Some((format!("`{name}` is the type, and names no instance of it"), help));
    }
    let is_shaped = name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name
            .chars()
            .all(|char| char.is_ascii_alphanumeric() || matches!(char, '+' | '-' | '.' | '_'));
    if !is_shaped {
        let help = "Use letters, digits, `-`, `_`, `+` and `.`, a letter first.";
        return Some((format!("`{name}` cannot stand before `://`"), help.to_owned()));
    }
    if Schemes::is_foreign(name) {
        let help = "Choose another name.";
        return Some((format!("other programs use `{name}://`"), help.to_owned()));
    }
    if !is_own && Schemes::title(name).is_some() {
        let help = format!("Choose another name, or the type that `{name}://` belongs to.");
        return Some((
            format!("`{name}://` belongs to another type than `{}`", kind.name),
            help,
        ));
    }
    None
}

fn read(mut reader: Reader<'_>, name: TableName, span: Span, settings: &[&'static Setting]) -> ProviderTable {
    let told = read_settings(&mut reader, settings);
    let source = reader.source();
    reader.finish();
    ProviderTable {
        name,
        source,
        span,
        told,
    }
}

/// The settings of a table.
pub(super) fn read_settings(reader: &mut Reader<'_>, settings: &[&'static Setting]) -> Told {
    let mut told = Told::default();
    for setting in settings {
        match setting.kind {
            SettingKind::Command | SettingKind::List => {
                let texts = reader.texts(setting.name);
                if !texts.is_empty() {
                    told.lists.insert(setting.name, texts);
                }
            }
            SettingKind::Table => {
                let texts = reader.table(setting.name).filter(|texts| !texts.is_empty());
                told.tables.extend(texts.map(|texts| (setting.name, texts)));
            }
            SettingKind::Count | SettingKind::Duration => {
                read_text(reader, setting, Numbers::Whole, &mut told);
            }
            SettingKind::Choice(["true", "false"]) => read_text(reader, setting, Numbers::Truth, &mut told),
            _ => read_text(reader, setting, Numbers::Refused, &mut told),
        }
    }
    told
}

fn read_text(reader: &mut Reader<'_>, setting: &'static Setting, numbers: Numbers, told: &mut Told) {
    let text = reader.text(setting.name, numbers);
    if let Some(given) = &text
        && let Err(wrong) = check_text(setting, &given.text)
    {
        reader.found_in(given, wrong);
    }
    let reference = literal_name(setting).and_then(|name| reader.text(name, Numbers::Refused));
    if let (Some(_), Some(reference)) = (&text, &reference) {
        let finding = Diagnostic::error(0..reference.text.len(), "this credential is given twice")
            .help(format!("Keep `{}` or this.", setting.name));
        reader.found_in(reference, finding);
    }
    told.texts.extend(text.map(|given| (setting.name, given)));
    told.references
        .extend(reference.map(|given| (setting.name, given)));
}
