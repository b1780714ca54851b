//! Reads one table by the keys that are known, and reports the rest.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use locket_core::{Diagnostic, Span};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::options::{Given, Origin};
use crate::report::SourceText;

/// One file while it is read.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) source: Arc<SourceText>,
    pub(super) base: Arc<Path>,
    /// What is wrong with the file so far.
    pub(super) found: Vec<Diagnostic>,
}

/// One table while it is read. What it was never asked for is an error in the end.
pub(super) struct Reader<'a> {
    file: &'a mut Reading,
    /// The table's name in messages, with brackets.
    name: String,
    table: &'a DeTable<'a>,
    known: Vec<(&'static str, Wanted)>,
    /// Keys that were dealt with though they are not known.
    settled: Vec<&'static str>,
}

/// What is wanted under a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// A text, or a number in its place.
    Text(Numbers),
    /// A text that is not empty.
    Filled,
    /// A text, or several in an array.
    Texts,
    /// Texts under names of the user's own choice.
    Table,
    /// A truth value.
    Boolean,
    /// What the reader of this key alone knows.
    Own,
}

/// Which numbers may stand where a text is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Numbers {
    /// None, but a truth value is one of the words `true` and `false`.
    Truth,
    /// None.
    Refused,
    /// Whole ones.
    Whole,
    /// Octal ones, `0o640`.
    Octal,
}

impl<'a> Reader<'a> {
    pub(super) fn new(file: &'a mut Reading, name: impl Into<String>, table: &'a DeTable<'a>) -> Self {
        Self {
            file,
            name: name.into(),
            table,
            known: Vec::new(),
            settled: Vec::new(),
        }
    }

    /// The text under `key`.
    pub(super) fn text(&mut self, key: &'static str, numbers: Numbers) -> Option<Given> {
        self.text_of(key, Wanted::Text(numbers), numbers)
    }

    fn text_of(&mut self, key: &'static str, wanted: Wanted, numbers: Numbers) -> Option<Given> {
        let value = self.wanted(key, wanted)?;
        match as_text(value, numbers) {
            Some(text) => Some(self.file.given(text, value)),
            None => {
                self.wrong_type(key, value, numbers);
                None
            }
        }
    }

    /// The text under `key`, which means nothing when it is empty: a path would be the directory that it counts from.
    pub(super) fn filled(&mut self, key: &'static str, help: &str) -> Option<Given> {
        let given = self.text_of(key, Wanted::Filled, Numbers::Refused)?;
        if given.text.is_empty() {
            self.found_in(
                &given,
                Diagnostic::error(0..0, format!("`{key}` is empty")).help(help),
            );
            return None;
        }
        Some(given)
    }

    /// The texts under `key`: one, or several in an array.
    pub(super) fn texts(&mut self, key: &'static str) -> Vec<Given> {
        let Some(value) = self.wanted(key, Wanted::Texts) else {
            return Vec::new();
        };
        let elements = match value.get_ref() {
            DeValue::Array(elements) => elements.iter().collect(),
            _ => vec![value],
        };
        let mut texts = Vec::with_capacity(elements.len());
        for element in elements {
            match as_text(element, Numbers::Refused) {
                Some(text) => texts.push(self.file.given(text, element)),
                None => self.wrong_type(key, element, Numbers::Refused),
            }
        }
        texts
    }

    /// The texts in the table under `key`, by their names.
    pub(super) fn table(&mut self, key: &'static str) -> Option<BTreeMap<String, Given>> {
        let value = self.wanted(key, Wanted::Table)?;
        let Some(inside) = value.get_ref().as_table() else {
            let message = format!("`{key}` is a table, not {}", kind(value));
            self.found(value, message, format!("Write `{key} = {{ NAME = \"…\" }}`."));
            return None;
        };
        let mut texts = BTreeMap::new();
        for (name, value) in inside {
            match as_text(value, Numbers::Whole) {
                Some(text) => {
                    texts.insert(name.get_ref().to_string(), self.file.given(text, value));
                }
                None => self.wrong_type(name.get_ref(), value, Numbers::Whole),
            }
        }
        Some(texts)
    }

    /// The truth value under `key`.
    pub(super) fn boolean(&mut self, key: &'static str) -> Option<bool> {
        let value = self.wanted(key, Wanted::Boolean)?;
        let boolean = value.get_ref().as_bool();
        if boolean.is_none() {
            let message = format!("`{key}` is true or false, not {}", kind(value));
            self.found(value, message, "Write it without quotes.");
        }
        boolean
    }

    /// The truth value under `key`, as the text of an option.
    pub(super) fn switch(&mut self, key: &'static str) -> Option<Given> {
        let boolean = self.boolean(key)?;
        let value = self.table.get(key)?;
        Some(self.file.given(boolean.to_string(), value))
    }

    /// The value under `key`, whatever it is.
    pub(super) fn value(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.wanted(key, Wanted::Own)
    }

    fn wanted(&mut self, key: &'static str, wanted: Wanted) -> Option<&'a Spanned<DeValue<'a>>> {
        self.known.push((key, wanted));
        self.table.get(key)
    }

    /// The keys that were asked for so far, and what was wanted.
    pub(super) fn known(&self) -> &[(&'static str, Wanted)] {
        &self.known
    }

    /// Whether `key` is there, whatever its value is.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Refuses `key` with these words where it stands.
    pub(super) fn refuse(&mut self, key: &'static str, message: &str, help: &str) {
        if self.settled.contains(&key) {
            return;
        }
        self.settled.push(key);
        if let Some((place, _)) = self.table.get_key_value(key) {
            let finding = Diagnostic::error(place.span(), message.to_owned()).help(help);
            self.file.found.push(finding);
        }
    }

    /// Adds a finding at `value`.
    pub(super) fn found(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let finding = Diagnostic::error(value.span(), message).help(help);
        self.file.found.push(finding);
    }

    /// Adds a finding at a place that was read before.
    pub(super) fn found_at(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.file.found.push(Diagnostic::error(span, message).help(help));
    }

    /// Adds a finding inside a text that was read before.
    pub(super) fn found_in(&mut self, given: &Given, finding: Diagnostic) {
        self.file.found.push(given.placed(finding));
    }

    /// Reads a table that stands below this one.
    pub(super) fn inside<T>(
        &mut self,
        name: &str,
        table: &DeTable<'_>,
        read: impl FnOnce(&mut Reader<'_>) -> T,
    ) -> T {
        let mut inside = Reader::new(self.file, name, table);
        let found = read(&mut inside);
        inside.finish();
        found
    }

    /// The file.
    pub(super) fn source(&self) -> Arc<SourceText> {
        self.file.source.clone()
    }

    /// Reports every key that nobody asked for.
    pub(super) fn finish(self) {
        for (key, _) in self.table {
            let name = key.get_ref().as_ref();
            let known: Vec<_> = self.known.iter().map(|(key, _)| *key).collect();
            if known.contains(&name) || self.settled.contains(&name) {
                continue;
            }
            let finding = Diagnostic::error(key.span(), format!("{} has no key `{name}`", self.name));
            let finding = match known.as_slice() {
                [] => finding.help("Remove it: this version reads nothing from this table."),
                known => finding
                    .help(format!("The keys are {}.", listed(known)))
                    .did_you_mean(name, known.iter().copied()),
            };
            self.file.found.push(finding);
        }
    }

    fn wrong_type(&mut self, key: &str, value: &Spanned<DeValue<'_>>, numbers: Numbers) {
        let wanted = match numbers {
            Numbers::Octal => "octal digits",
            Numbers::Truth => "true or false",
            Numbers::Whole | Numbers::Refused => "a text",
        };
        let help = match (value.get_ref(), numbers) {
            (DeValue::Integer(number), Numbers::Octal) if self.file.shows(value.span(), number.as_str()) => {
                let digits = number.as_str();
                format!("Write `{key} = \"0{digits}\"` or `{key} = 0o{digits}`.")
            }
            // It may be a credential, which the source hides.
            (DeValue::Integer(number), _) if self.file.shows(value.span(), number.as_str()) => {
                format!("Write `{key} = \"{number}\"`.")
            }
            _ => format!("Write `{key} = \"…\"`."),
        };
        self.found(
            value,
            format!("`{key}` wants {wanted}, not {}", kind(value)),
            help,
        );
    }
}

impl Reading {
    /// Whether `text` may be repeated: the source has it at this place.
    fn shows(&self, place: std::ops::Range<usize>, text: &str) -> bool {
        let shown = self.source.text.get(place).unwrap_or_default();
        shown
            .windows(text.len().max(1))
            .any(|part| part == text.as_bytes())
    }

    /// A value's text with its place.
    pub(super) fn given(&self, text: String, value: &Spanned<DeValue<'_>>) -> Given {
        Given {
            text,
            origin: Origin::File {
                source: self.source.clone(),
                span: value.span().into(),
            },
            base: self.base.clone(),
        }
    }
}

/// The keys as a sentence lists them.
pub(super) fn listed(keys: &[&str]) -> String {
    let quoted: Vec<_> = keys.iter().map(|key| format!("`{key}`")).collect();
    quoted.join(", ")
}

fn as_text(value: &Spanned<DeValue<'_>>, numbers: Numbers) -> Option<String> {
    match (value.get_ref(), numbers) {
        (DeValue::String(text), _) => Some(text.to_string()),
        (DeValue::Boolean(truth), Numbers::Truth) => Some(truth.to_string()),
        (DeValue::Integer(number), Numbers::Whole) if number.radix() == 10 => {
            Some(number.as_str().to_owned())
        }
        (DeValue::Integer(number), Numbers::Octal) if number.radix() == 8 => {
            Some(format!("0o{}", number.as_str()))
        }
        _ => None,
    }
}

fn kind(value: &Spanned<DeValue<'_>>) -> &'static str {
    match value.get_ref() {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "a truth value",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}
