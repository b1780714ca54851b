//! `[[map]]`, `[[secret]]` and `[[notify]]`: what goes where, one table each.

use locket_core::glob::{Pattern, Selection};
use locket_core::plan::OutputSettings;
use locket_core::template::Delimiters;
use locket_core::{Action, Diagnostic, Span, spec};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::reader::{Numbers, Reader, Reading};
use crate::options::Given;
use crate::report::Problem;

/// One `[[map]]`.
#[derive(Clone, Debug)]
pub(crate) struct MapEntry {
    /// `source`: a file or directory of templates.
    pub(crate) source: Given,
    /// `destination`: a file or directory of outputs.
    pub(crate) destination: Given,
    /// What it says about its outputs.
    pub(crate) settings: EntrySettings,
}

/// One `[[secret]]`.
#[derive(Clone, Debug)]
pub(crate) struct SecretEntry {
    /// `name`: a file in the output directory.
    pub(crate) name: Given,
    /// `template` or `file`.
    pub(crate) template: EntryTemplate,
    /// What it says about its output.
    pub(crate) settings: EntrySettings,
}

/// One `[[secret]]` with `from`: a file for every key.
#[derive(Clone, Debug)]
pub(crate) struct EveryEntry {
    /// `from`: `REF/*`.
    pub(crate) from: Given,
    /// `prefix`: what stands before each key in the file's name.
    pub(crate) prefix: Option<Given>,
    /// What it says about its outputs.
    pub(crate) settings: EntrySettings,
}

/// One `[[secret]]` in either form.
#[derive(Clone, Debug)]
pub(super) enum SecretTable {
    One(SecretEntry),
    Every(EveryEntry),
}

/// Where the template of a `[[secret]]` comes from.
#[derive(Clone, Debug)]
pub(crate) enum EntryTemplate {
    /// `template`: the text itself.
    Text(Given),
    /// `file`: a file that holds it.
    File(Given),
}

/// One `[[notify]]`.
#[derive(Clone, Debug)]
pub(crate) struct NotifyEntry {
    /// `name`, by which maps and secrets ask for it. One without a name is told of every change.
    pub(crate) name: Option<Given>,
    /// `action`.
    pub(crate) action: Given,
}

/// What a map or secret says about its outputs; whatever it leaves out is as in the rest of the run.
#[derive(Clone, Debug, Default)]
pub(crate) struct EntrySettings {
    mode: Option<Given>,
    dir_mode: Option<Given>,
    user: Option<Given>,
    on_error: Option<Given>,
    notify: Vec<Given>,
    delimiters: Option<Delimiters>,
    render: Option<bool>,
    include: Vec<Given>,
    exclude: Vec<Given>,
    atomic: Option<bool>,
}

impl EntrySettings {
    fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            delimiters: delimiters(reader),
            render: reader.boolean("render"),
            ..Self::read_file(reader)
        }
    }

    /// What does not concern templates.
    fn read_file(reader: &mut Reader<'_>) -> Self {
        Self {
            mode: reader.text("mode", Numbers::Octal),
            dir_mode: reader.text("dir-mode", Numbers::Octal),
            user: reader.text("user", Numbers::Whole),
            on_error: reader.text("on-error", Numbers::Refused),
            notify: reader.texts("notify"),
            ..Self::default()
        }
    }

    /// What only those say that stand for several outputs.
    fn read_selection(&mut self, reader: &mut Reader<'_>) {
        self.include = reader.texts("include");
        self.exclude = reader.texts("exclude");
    }

    /// Who is told, as it is written.
    pub(crate) fn notify(&self) -> &[Given] {
        &self.notify
    }

    /// These settings over those of the run. `named` looks a `[[notify]]` up by its name.
    pub(crate) fn settle(
        &self,
        defaults: &OutputSettings,
        named: impl Fn(&str) -> Option<Action>,
        problems: &mut Vec<Problem>,
    ) -> OutputSettings {
        let mut settings = defaults.clone();
        set(
            &mut settings.access.file_mode,
            self.mode.as_ref(),
            spec::file_mode,
            problems,
        );
        set(
            &mut settings.access.dir_mode,
            self.dir_mode.as_ref(),
            spec::dir_mode,
            problems,
        );
        let owner = |text: &str| spec::owner(text).map(Some);
        set(&mut settings.access.owner, self.user.as_ref(), owner, problems);
        set(
            &mut settings.on_error,
            self.on_error.as_ref(),
            spec::on_error,
            problems,
        );
        for given in &self.notify {
            let action = match named(&given.text) {
                Some(action) => Ok(action),
                None => parse_action(given),
            };
            match action {
                Ok(action) => settings.notify.push(action),
                Err(wrong) => problems.extend(given.wrong([wrong])),
            }
        }
        if let Some(delimiters) = &self.delimiters {
            settings.template.delimiters = delimiters.clone();
        }
        if let Some(render) = self.render {
            settings.template.verbatim = !render;
        }
        settings.atomic = self.atomic.unwrap_or(settings.atomic);
        settings.select = Selection {
            include: patterns(&self.include, problems),
            exclude: patterns(&self.exclude, problems),
        };
        settings
    }
}

/// An action as a file writes it: relative paths in it count from the file's directory.
pub(crate) fn parse_action(given: &Given) -> Result<Action, Diagnostic> {
    Ok(match Action::parse(&given.text)? {
        Action::Pid { file, signal } => Action::Pid {
            file: given.base.join(file),
            signal,
        },
        Action::Exec { mut argv } => {
            // A name without a slash is looked up in PATH.
            if let Some(program) = argv.first_mut().filter(|program| program.contains('/')) {
                *program = given.base.join(&program).to_string_lossy().into_owned();
            }
            Action::Exec { argv }
        }
        // The others name nothing on this machine by a path.
        other => other,
    })
}

/// Reads every table of an array of tables.
pub(super) fn read_all<T>(
    file: &mut Reading,
    name: &'static str,
    value: &Spanned<DeValue<'_>>,
    read: fn(&mut Reader<'_>, Span) -> Option<T>,
) -> Vec<T> {
    let mut not_a_table = |place: Span| {
        let finding = Diagnostic::error(place, format!("`{name}` is written as a table of its own")).help(
            format!("Write `[[{name}]]` and its keys below it, once for each."),
        );
        file.found.push(finding);
    };
    let elements = match value.get_ref() {
        DeValue::Array(elements) if !elements.is_empty() => elements,
        _ => {
            not_a_table(value.span().into());
            return Vec::new();
        }
    };
    let mut tables: Vec<(&DeTable<'_>, Span)> = Vec::with_capacity(elements.len());
    for element in elements.iter() {
        match element.get_ref().as_table() {
            Some(table) => tables.push((table, element.span().into())),
            None => not_a_table(element.span().into()),
        }
    }
    let mut entries = Vec::with_capacity(tables.len());
    for (table, span) in tables {
        let mut reader = Reader::new(file, format!("[[{name}]]"), table);
        entries.extend(read(&mut reader, span));
        reader.finish();
    }
    entries
}

pub(super) fn read_map(reader: &mut Reader<'_>, span: Span) -> Option<MapEntry> {
    const FORM: &str = "Name a file or a directory; `.` is the directory of this file.";
    let source = reader.filled("source", FORM);
    let destination = reader.filled("destination", FORM);
    let mut settings = EntrySettings::read(reader);
    settings.read_selection(reader);
    settings.atomic = reader.boolean("atomic");
    require(reader, span, "source", source.is_some());
    require(reader, span, "destination", destination.is_some());
    Some(MapEntry {
        source: source?,
        destination: destination?,
        settings,
    })
}

pub(super) fn read_secret(reader: &mut Reader<'_>, span: Span) -> Option<SecretTable> {
    reader.refuse(
        "atomic",
        "a secret has no `atomic`",
        "It belongs to a `[[map]]` of a directory, which is then switched as a whole.",
    );
    if reader.has("from") {
        return read_every(reader).map(SecretTable::Every);
    }
    for key in ["include", "exclude", "prefix"] {
        let message = format!("`{key}` belongs to a secret with `from`");
        reader.refuse(
            key,
            &message,
            "Remove it, or write `from = \"REF/*\"` for a file of every key.",
        );
    }
    let name = reader.text("name", Numbers::Refused);
    let text = reader.filled(
        "template",
        "Write what the file shall hold, with a reference in it.",
    );
    let file = reader.filled("file", "Name the file that holds the template.");
    let settings = EntrySettings::read(reader);
    require(reader, span, "name", name.is_some());
    let template = match (text, file) {
        (Some(text), None) => Some(EntryTemplate::Text(text)),
        (None, Some(file)) => Some(EntryTemplate::File(file)),
        (None, None) => {
            require(reader, span, "template", reader.has("file"));
            None
        }
        (Some(_), Some(_)) => {
            let help = "Keep `template` for a text, or `file` for a file that holds it.";
            reader.found_at(span, "this secret has two templates", help);
            None
        }
    };
    Some(SecretTable::One(SecretEntry {
        name: name?,
        template: template?,
        settings,
    }))
}

/// Reads a `[[secret]]` with `from`.
pub(super) fn read_every(reader: &mut Reader<'_>) -> Option<EveryEntry> {
    for key in ["name", "template", "file", "render", "delimiters"] {
        let message = format!("`{key}` and `from` do not go together");
        reader.refuse(
            key,
            &message,
            "With `from`, the files are named after the keys and hold their values.",
        );
    }
    let from = reader.text("from", Numbers::Refused);
    let prefix = reader.text("prefix", Numbers::Refused);
    let mut settings = EntrySettings::read_file(reader);
    settings.read_selection(reader);
    Some(EveryEntry {
        from: from?,
        prefix,
        settings,
    })
}

fn patterns(given: &[Given], problems: &mut Vec<Problem>) -> Vec<Pattern> {
    let parsed = given
        .iter()
        .filter_map(|given| match Pattern::parse(&given.text) {
            Ok(pattern) => Some(pattern),
            Err(wrong) => {
                problems.extend(given.wrong([wrong]));
                None
            }
        });
    parsed.collect()
}

pub(super) fn read_notify(reader: &mut Reader<'_>, span: Span) -> Option<NotifyEntry> {
    let name = reader.text("name", Numbers::Refused);
    let action = reader.text("action", Numbers::Refused);
    require(reader, span, "action", action.is_some());
    Some(NotifyEntry {
        name,
        action: action?,
    })
}

fn delimiters(reader: &mut Reader<'_>) -> Option<Delimiters> {
    let value = reader.value("delimiters")?;
    let marks: Option<Vec<&str>> = value
        .get_ref()
        .as_array()
        .and_then(|marks| marks.iter().map(|mark| mark.get_ref().as_str()).collect());
    match marks.as_deref() {
        Some([open, close]) if !open.trim().is_empty() && !close.trim().is_empty() => Some(Delimiters {
            open: (*open).to_owned(),
            close: (*close).to_owned(),
        }),
        _ => {
            let help = "Write the opening and the closing one, as in `delimiters = [\"<<\", \">>\"]`.";
            reader.found(value, "these are not two delimiters", help);
            None
        }
    }
}

fn require(reader: &mut Reader<'_>, span: Span, key: &str, is_there: bool) {
    // A key of the wrong type was reported already.
    if !is_there && !reader.has(key) {
        reader.found_at(
            span,
            format!("this table has no `{key}`"),
            format!("Add `{key} = \"…\"`."),
        );
    }
}

fn set<T>(
    to: &mut T,
    given: Option<&Given>,
    parse: impl Fn(&str) -> Result<T, Diagnostic>,
    problems: &mut Vec<Problem>,
) {
    match given.map(|given| (given, parse(&given.text))) {
        Some((_, Ok(value))) => *to = value,
        Some((given, Err(wrong))) => problems.extend(given.wrong([wrong])),
        None => {}
    }
}
