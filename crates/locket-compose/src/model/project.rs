//! The whole of a project.

use std::path::PathBuf;

use locket_core::env_file;

use super::{Definition, Service, Text, Variable};
use crate::load::{Mistake, Variables};
use crate::place::{Place, SourceId, Sources};

/// A project as Compose would see it, with the place of everything.
#[derive(Clone, Debug)]
pub struct Project {
    /// Its name.
    pub name: String,
    /// The directory that relative paths of its files count from.
    pub directory: PathBuf,
    /// Its services, in the order in which they were written.
    pub services: Vec<Service>,
    /// `secrets:` at the top.
    pub secrets: Vec<Definition>,
    /// `configs:` at the top.
    pub configs: Vec<Definition>,
    /// `volumes:` at the top.
    pub volumes: Vec<VolumeDefinition>,
    /// Every file of variables that was read, in that order; one that several services name is there several times.
    pub env_texts: Vec<EnvText>,
    /// Everything that was read.
    pub sources: Sources,
    /// Everything that Compose would refuse.
    pub mistakes: Vec<Mistake>,
    /// What `${NAME}` stands for at the top.
    pub variables: Variables,
}

/// A file of variables.
#[derive(Clone, Debug)]
pub struct EnvText {
    /// Its text.
    pub source: SourceId,
    /// Its variables, with the place of each name and value.
    pub variables: Vec<Variable>,
    /// What else it says of these, which a later statement has made void. It is plain all the same.
    pub shadowed: Vec<Variable>,
}

/// A volume with a name.
#[derive(Clone, Debug)]
pub struct VolumeDefinition {
    /// Its name.
    pub name: String,
    /// Where the name stands.
    pub place: Place,
    /// Its driver; none is the engine's own.
    pub driver: Option<String>,
    /// The options of the driver.
    pub options: Vec<Variable>,
    /// Whether it exists already.
    pub is_external: bool,
}

impl EnvText {
    /// The variables of `text` with their places.
    pub(crate) fn new(source: SourceId, text: &str, read: &[env_file::Variable]) -> Self {
        let placed = |read: &[env_file::Variable]| -> Vec<Variable> {
            let each = read.iter().map(|variable| {
                let whole = Place::new(source, variable.span);
                let statement = text
                    .get(variable.span.start..variable.span.end)
                    .unwrap_or_default();
                let at = statement.find(['=', ':']);
                let behind = at.map_or("", |at| &statement[at + 1..]);
                let raw = behind.trim();
                let start = statement.len() - behind.trim_start().len();
                let name = statement.find(&variable.name).unwrap_or_default();
                Variable {
                    name: variable.name.clone(),
                    place: whole.part(name, name + variable.name.len()),
                    value: Some(Text {
                        value: variable.template.clone(),
                        written: written(raw),
                        place: whole.part(start, start + raw.len()),
                    }),
                }
            });
            each.collect()
        };
        Self {
            source,
            variables: placed(read),
            shadowed: placed(&env_file::shadowed(text)),
        }
    }
}

/// What `raw`, a value as it stands in a file of variables, would be in YAML: there every plain `$` is doubled, and a
/// comment is no part of a value. Quotes stay. Within tags nothing has a meaning, so that they stay as they are.
fn written(raw: &str) -> String {
    let quote = raw.chars().next().filter(|char| matches!(char, '"' | '\''));
    let mut written = String::with_capacity(raw.len());
    let mut rest = raw;
    // How much is left behind the last line in which no more tag ends: each line is looked through once.
    let mut behind_tags = usize::MAX;
    while let Some(char) = rest.chars().next() {
        let mut tag = 0;
        if rest.len() <= behind_tags && rest.starts_with("{{") {
            let line = rest.lines().next().unwrap_or_default();
            match line.find("}}") {
                Some(end) => tag = end + "}}".len(),
                None => behind_tags = rest.len() - line.len(),
            }
        }
        let (length, plain) = match (char, quote) {
            _ if tag > 0 => (tag, None),
            ('$', Some('\'')) => (1, Some("$$")),
            ('\\', Some('"')) if rest.starts_with("\\$") => (2, Some("$$")),
            // What it escapes, such as another backslash, escapes nothing itself.
            ('\\', Some('"')) => (1 + rest[1..].chars().next().map_or(0, char::len_utf8), None),
            (' ', None) if rest.starts_with(" #") => break,
            _ => (char.len_utf8(), None),
        };
        let (taken, behind) = rest.split_at(length);
        written.push_str(plain.unwrap_or(taken));
        rest = behind;
    }
    written.truncate(written.trim_end().len());
    written
}

impl Project {
    /// The service `name`.
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.name == name)
    }

    /// The secret `name`.
    pub fn secret(&self, name: &str) -> Option<&Definition> {
        self.secrets.iter().find(|secret| secret.name == name)
    }

    /// The volume `name`.
    pub fn volume(&self, name: &str) -> Option<&VolumeDefinition> {
        self.volumes.iter().find(|volume| volume.name == name)
    }

    /// Who gets the secret `name`.
    pub fn users_of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Service> {
        let gets = move |service: &&Service| service.secrets.iter().any(|grant| grant.source == name);
        self.services.iter().filter(gets)
    }
}

impl VolumeDefinition {
    /// Whether it is memory: `driver_opts: {type: tmpfs}`.
    pub fn is_tmpfs(&self) -> bool {
        let is = |name: &str, value: &str| {
            self.options.iter().any(|option| {
                option.name == name && option.value.as_ref().is_some_and(|text| text.value == value)
            })
        };
        is("type", "tmpfs")
    }
}

#[cfg(test)]
mod tests {
    use locket_core::Environment;

    use super::*;
    use crate::place::Source;

    /// What was written for the only variable of `text`, and what stands at its place.
    fn read(text: &str) -> (String, String) {
        let mut sources = Sources::default();
        let source = sources.add(Source {
            path: PathBuf::new(),
            base: PathBuf::new(),
            text: text.into(),
        });
        let variables = env_file::parse(text, &Environment::default()).unwrap();
        let read = EnvText::new(source, text, &variables);
        let value = read.variables[0].value.as_ref().unwrap();
        let span = value.place.span;
        (value.written.clone(), text[span.start..span.end].to_owned())
    }

    #[test]
    fn what_was_written_in_a_file_of_variables_reads_as_in_yaml_and_its_place_is_that_of_the_file() {
        for (raw, written) in [
            // A variable stays one.
            ("a${A}", "a${A}"),
            ("\"a$A\"", "\"a$A\""),
            // A plain `$` is doubled.
            ("'S3cr$t-${A}'", "'S3cr$$t-$${A}'"),
            (r#""S3cr\$t""#, r#""S3cr$$t""#),
            // The backslash is escaped, and not the variable behind it.
            (r#""a\\$A\\\$""#, r#""a\\$A\\$$""#),
            ("a$$b", "a$$b"),
            // A comment is none of the value, and what only looks like one is.
            ("${A:-x} # dev", "${A:-x}"),
            ("x#y", "x#y"),
            ("#c", "#c"),
            ("'x # y'", "'x # y'"),
            // Within tags nothing has a meaning.
            ("{{ op://a/b #c$ }} # d", "{{ op://a/b #c$ }}"),
            ("'{{ op://a/$b }}$'", "'{{ op://a/$b }}$$'"),
        ] {
            let (found, at) = read(&format!("export A= {raw}\n"));
            assert_eq!(found, written, "{raw}");
            assert_eq!(at, raw, "{raw}");
        }
    }
}
