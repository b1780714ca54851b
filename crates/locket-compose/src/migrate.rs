//! Which bytes of a project's files are plain credentials, and what stands there instead when they have moved out.
//!
//! Edits are spans of the texts as they are: comments, order and formatting stay. Whether the project is the same
//! afterwards is not believed but compared.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use locket_core::{Environment, env_file};
use zeroize::Zeroizing;

use crate::credential::{is_credential_name, url_password};
use crate::images;
use crate::model::{EnvText, Project, Service, Text, Variable, Words};
use crate::place::join;

#[cfg(test)]
mod tests;
mod written;

use written::{env_length, is_put_together, value_of};

/// Why nothing of a file of variables moves that a service is given as it is.
const READ_BY_SERVICE: &str = "a service reads .env itself (`env_file`), where no reference is resolved";

/// Why a value stays that nobody has from where it stands.
const IN_USE_NOWHERE: &str = "no service has its value from there; remove it by hand";

/// What a value that a later one of the same file has made void becomes.
const VOID: &str = "\"\"";

/// A plain value that moves out.
pub struct Moved {
    /// The variable that stands for it from now on, in the file of variables.
    pub variable: String,
    /// The name of its secret.
    pub secret: String,
    /// The value itself.
    pub value: Zeroizing<String>,
}

/// An edit of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The file.
    pub path: PathBuf,
    /// The bytes that are replaced; an empty range at the end adds.
    pub span: Range<usize>,
    /// What stands there instead.
    pub text: String,
}

/// What is to be done.
#[derive(Debug, Default)]
pub struct Migration {
    /// Values that move.
    pub moved: Vec<Moved>,
    /// Edits, by file and place.
    pub edits: Vec<Edit>,
    /// Plain values that cannot move by themselves: where, and why.
    pub left: Vec<(String, String)>,
}

impl fmt::Debug for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Moved")
            .field("variable", &self.variable)
            .field("secret", &self.secret)
            .finish_non_exhaustive()
    }
}

/// Decides what moves out of `project`. `parts` are its files, each read alone: a value that a later file overrides is
/// plain all the same. `env` is its file of variables with the text that it has; `reference` writes the reference to a
/// secret.
pub fn plan(
    project: &Project,
    parts: &[Project],
    env: (&Path, &str),
    reference: &dyn Fn(&str) -> String,
) -> Migration {
    let is_read_by = |service: &Service| service.env_files.iter().any(|file| is_same(&file.path, env.0));
    let mut planner = Planner {
        project,
        env_path: env.0,
        is_env_read: [project]
            .into_iter()
            .chain(parts)
            .any(|project| project.services.iter().any(is_read_by)),
        reference,
        migration: Migration::default(),
        taken: BTreeSet::new(),
        places: BTreeSet::new(),
        looked_at: BTreeSet::new(),
        added: String::new(),
    };
    let inherited = Environment::default();
    let declared = env_file::parse(env.1, &inherited).unwrap_or_default();
    planner
        .taken
        .extend(declared.iter().map(|variable| variable.name.clone()));
    for variable in &declared {
        planner.declared(variable, env.1);
    }
    for project in [project].into_iter().chain(parts) {
        planner.project = project;
        for service in &project.services {
            planner.service(service);
        }
    }
    for project in [project].into_iter().chain(parts) {
        planner.project = project;
        for file in &project.env_texts {
            planner.rest(file);
        }
    }
    let Planner {
        mut migration, added, ..
    } = planner;
    if !added.is_empty() {
        let before = if env.1.is_empty() || env.1.ends_with('\n') {
            ""
        } else {
            "\n"
        };
        migration.edits.push(Edit {
            path: env.0.to_owned(),
            span: env.1.len()..env.1.len(),
            text: format!("{before}{added}"),
        });
    }
    migration.edits.sort_by(|a, b| {
        let key = |edit: &Edit| (edit.span.start, edit.span.end);
        (&a.path, key(a)).cmp(&(&b.path, key(b)))
    });
    migration.edits.dedup();
    migration
}

impl Migration {
    /// The texts of the files after the edits; `read` gives those before.
    pub fn texts(&self, read: &dyn Fn(&Path) -> String) -> BTreeMap<PathBuf, String> {
        let mut texts: BTreeMap<PathBuf, String> = BTreeMap::new();
        let mut behind: Option<&Edit> = None;
        // From the end, so that places before it stay where they are.
        for edit in self.edits.iter().rev() {
            // Two edits of one place would write what nobody meant, or end in the middle of a character.
            if behind.is_some_and(|behind| behind.path == edit.path && behind.span.start < edit.span.end) {
                continue;
            }
            let text = texts.entry(edit.path.clone()).or_insert_with(|| read(&edit.path));
            // The file may have changed since it was planned.
            if text.get(edit.span.clone()).is_some() {
                text.replace_range(edit.span.clone(), &edit.text);
            }
            behind = Some(edit);
        }
        texts
    }

    /// The variables of the file of variables that would not mean what they have to after the edits: a moved one is its
    /// reference and nothing else, and any other one is what it was `before`, with the value in place of a reference
    /// that it takes up.
    pub fn misread(
        &self,
        before: &str,
        after: &str,
        inherited: &Environment,
        reference: &dyn Fn(&str) -> String,
    ) -> Vec<String> {
        let read = |text: &str| -> Option<BTreeMap<String, String>> {
            let variables = env_file::parse(text, inherited).ok()?;
            Some(
                variables
                    .into_iter()
                    .map(|variable| (variable.name, variable.template))
                    .collect(),
            )
        };
        let (Some(old), Some(new)) = (read(before), read(after)) else {
            return vec!["a line that cannot be read".to_owned()];
        };
        let moved: BTreeMap<&str, String> = self
            .moved
            .iter()
            .map(|moved| (moved.variable.as_str(), reference(&moved.secret)))
            .collect();
        let plain = |template: &str| {
            self.moved.iter().fold(template.to_owned(), |text, moved| {
                text.replace(&reference(&moved.secret), &moved.value)
            })
        };
        let is_right = |name: &str| match (moved.get(name), old.get(name), new.get(name)) {
            (Some(reference), _, now) => now == Some(reference),
            (None, Some(was), Some(now)) => was == now || *was == plain(now),
            (None, _, _) => false,
        };
        let known = old.keys().chain(new.keys()).map(String::as_str);
        let names: BTreeSet<&str> = known.chain(moved.keys().copied()).collect();
        names
            .into_iter()
            .filter(|name| !is_right(name))
            .map(str::to_owned)
            .collect()
    }
}

struct Planner<'a> {
    project: &'a Project,
    env_path: &'a Path,
    /// Whether a service is given the file of variables as it is, and with it every line that is added.
    is_env_read: bool,
    reference: &'a dyn Fn(&str) -> String,
    migration: Migration,
    /// Names of variables that are in use.
    taken: BTreeSet<String>,
    /// Places that are edited already: an anchor is reached in several ways.
    places: BTreeSet<(PathBuf, usize)>,
    /// Places of values of services that were decided upon.
    looked_at: BTreeSet<(PathBuf, usize)>,
    /// Lines for the file of variables.
    added: String,
}

impl Planner<'_> {
    /// A variable of the project's own file of variables.
    fn declared(&mut self, variable: &env_file::Variable, text: &str) {
        let value = &variable.template;
        if value.is_empty() || value.contains("{{") {
            return;
        }
        if !is_credential_name(&variable.name) && url_password(value).is_none() {
            return;
        }
        let Some(statement) = text.get(variable.span.start..variable.span.end) else {
            return;
        };
        let Some(place) = value_of(statement) else {
            return;
        };
        if is_put_together(&statement[place.clone()]) {
            return self.leave(
                variable.name.clone(),
                "its value is put together of other variables",
            );
        }
        if self.is_env_read {
            return self.leave(variable.name.clone(), READ_BY_SERVICE);
        }
        let secret = self.secret(&variable.name);
        let start = variable.span.start + place.start;
        let edit = Edit {
            path: self.env_path.to_owned(),
            span: start..start + place.len(),
            text: (self.reference)(&secret),
        };
        self.places.insert((self.env_path.to_owned(), start));
        self.moved(&variable.name, &secret, value);
        self.migration.edits.push(edit);
    }

    fn service(&mut self, service: &Service) {
        let image = service
            .image
            .as_ref()
            .and_then(|image| images::find(&image.value));
        for variable in &service.resolved {
            let Some(text) = &variable.value else { continue };
            let is_secret = is_credential_name(&variable.name)
                || image.is_some_and(|image| image.secret(&variable.name).is_some());
            if text.value.is_empty() || is_place(&text.value) {
                continue;
            }
            let password = url_password(&text.value);
            if is_secret || password.is_some() {
                self.text(
                    service,
                    &variable.name,
                    text,
                    password.filter(|_| !is_secret).as_ref(),
                );
            }
        }
        for words in [&service.command, &service.entrypoint].into_iter().flatten() {
            self.arguments(service, words);
        }
    }

    /// What no service has from a file of variables: statements that later ones shadow, and values that other files or
    /// the service itself replace.
    fn rest(&mut self, file: &EnvText) {
        let source = self.project.sources.get(file.source);
        let is_own = is_same(&source.path, self.env_path);
        // In the project's own, every variable that counts was looked at.
        let counting: &[Variable] = if is_own { &[] } else { &file.variables };
        let statements = counting.iter().map(|variable| (variable, false));
        for (variable, is_shadowed) in statements.chain(file.shadowed.iter().map(|variable| (variable, true)))
        {
            let Some(text) = &variable.value else { continue };
            let raw = source.text.get(text.place.span.start..text.place.span.end);
            let raw = raw.unwrap_or_default();
            let is_credential = is_credential_name(&variable.name) || url_password(&text.value).is_some();
            let place = (source.path.clone(), text.place.span.start);
            if !is_credential
                || raw.is_empty()
                || text.value.is_empty()
                || is_place(&text.value)
                || is_put_together(raw)
                || self.looked_at.contains(&place)
            {
                continue;
            }
            let span = place.1..place.1 + env_length(raw);
            if !is_shadowed || (is_own && self.is_env_read) {
                let line = source.text[..place.1].matches('\n').count() + 1;
                let name = source.path.strip_prefix(&self.project.directory);
                let name = name.unwrap_or(&source.path).display();
                self.leave(format!("{name}:{line}: {}", variable.name), IN_USE_NOWHERE);
            } else if self.places.insert(place) {
                self.migration.edits.push(Edit {
                    path: source.path.clone(),
                    span,
                    text: VOID.to_owned(),
                });
            }
        }
    }

    /// `--requirepass VALUE`, `--password=VALUE` and the like.
    fn arguments(&mut self, service: &Service, words: &Words) {
        if words.is_text {
            let Some(word) = words.words.first() else { return };
            for (at, _) in word.value.match_indices("--requirepass ") {
                let start = at + "--requirepass ".len();
                let end = word.value[start..]
                    .find(char::is_whitespace)
                    .map_or(word.value.len(), |length| start + length);
                if end > start && !word.value[start..end].contains(['$', '"', '\'']) {
                    self.text(service, "requirepass", word, Some(&(start..end)));
                }
            }
            return;
        }
        for pair in words.words.windows(2) {
            let name = pair[0].value.trim_start_matches('-');
            if pair[0].value.starts_with("--")
                && !name.contains('=')
                && (name == "requirepass" || is_credential_name(name))
            {
                self.text(service, name, &pair[1], None);
            }
        }
    }

    /// A value of a service, or the part of it that is the password.
    fn text(&mut self, service: &Service, variable: &str, text: &Text, part: Option<&Range<usize>>) {
        let source = self.project.sources.get(text.place.source);
        let path = source.path.clone();
        self.looked_at.insert((path.clone(), text.place.span.start));
        let Some(raw) = source.text.get(text.place.span.start..text.place.span.end) else {
            return;
        };
        // A place in the file of variables itself was looked at as one of its variables, or is left like these.
        if is_same(&path, self.env_path) {
            let is_told = self.migration.left.iter().any(|(place, _)| place == variable);
            if !is_told && !text.has_variable() {
                self.leave(variable.to_owned(), READ_BY_SERVICE);
            }
            return;
        }
        let mut files = self.project.env_texts.iter();
        let raw = match files.any(|file| file.source == text.place.source) {
            true => &raw[..env_length(raw)],
            false => &raw[..length(raw)],
        };
        let told = format!("{}: {variable}", service.name);
        if text.has_variable() {
            self.fallback(&told, &path, text, raw);
            return;
        }
        let value = match part {
            Some(part) => &text.value[part.clone()],
            None => text.value.as_str(),
        };
        // In files of variables the place is that of the whole statement.
        let written = match raw.split_once('=') {
            Some((name, rest)) if name.trim() == variable && part.is_none() => {
                let start = raw.len() - rest.len();
                start..raw.len()
            }
            _ if part.is_some() => match one(raw, value) {
                Some(range) => range,
                None => return self.leave(told, "it is written in another way than it is meant"),
            },
            _ => 0..raw.len(),
        };
        let start = text.place.span.start + written.start;
        if !self.places.insert((path.clone(), start)) {
            return;
        }
        let span = start..start + written.len();
        if self.is_edited(&path, &span) {
            return self.leave(told, "a part of it moves already");
        }
        if value.contains('\n') {
            return self.leave(told, "it has several lines");
        }
        let name = match self.known(value) {
            Some(name) => name,
            None if self.is_env_read => return self.leave(told, READ_BY_SERVICE),
            None => {
                let wanted = match part.is_some() && url_password(&text.value).is_some() {
                    true => password_of(variable),
                    false => variable.to_owned(),
                };
                let name = self.free(&wanted, service);
                let secret = self.secret(&name);
                self.moved(&name, &secret, value);
                let line = format!("{name}={}\n", (self.reference)(&secret));
                self.added.push_str(&line);
                name
            }
        };
        let is_whole = written == (0..raw.len());
        let is_quoted = raw.starts_with(['"', '\'', '|', '>']);
        let in_list = !is_quoted && source.text[..start].ends_with('=');
        self.migration.edits.push(Edit {
            path,
            span,
            text: match is_whole && !in_list {
                true => format!("\"${{{name}}}\""),
                false => format!("${{{name}}}"),
            },
        });
    }

    /// `${NAME:-value}`: the value that stands in moves out, and the rest stays.
    fn fallback(&mut self, told: &str, path: &Path, text: &Text, raw: &str) {
        for (at, _) in raw.match_indices("${") {
            let inner = &raw[at + 2..];
            let Some(end) = inner.find('}') else { continue };
            let inner = &inner[..end];
            let Some((name, default)) = inner.split_once(":-").or_else(|| inner.split_once('-')) else {
                continue;
            };
            let is_name = name
                .chars()
                .all(|char| char.is_ascii_alphanumeric() || char == '_');
            if default.is_empty() || !is_name || default.contains('$') {
                continue;
            }
            let start = text.place.span.start + at + 2 + name.len();
            let span = start..text.place.span.start + at + 2 + end;
            if !self.places.insert((path.to_owned(), start)) || self.is_edited(path, &span) {
                continue;
            }
            if !self.taken.contains(name) {
                if self.project.variables.get(name).is_some() {
                    self.leave(
                        told.to_owned(),
                        "the value that stands in for its variable is not in use here",
                    );
                    continue;
                }
                if self.is_env_read {
                    self.leave(told.to_owned(), READ_BY_SERVICE);
                    continue;
                }
                self.taken.insert(name.to_owned());
                let secret = self.secret(name);
                self.moved(name, &secret, default);
                self.added += &format!("{name}={}\n", (self.reference)(&secret));
            }
            self.migration.edits.push(Edit {
                path: path.to_owned(),
                span,
                text: String::new(),
            });
        }
    }

    /// Whether an edit of `path` touches `span` already.
    fn is_edited(&self, path: &Path, span: &Range<usize>) -> bool {
        let mut edits = self.migration.edits.iter().filter(|edit| edit.path == path);
        edits.any(|edit| edit.span.start < span.end && span.start < edit.span.end)
    }

    fn leave(&mut self, told: String, why: &str) {
        let left = (told, why.to_owned());
        if !self.migration.left.contains(&left) {
            self.migration.left.push(left);
        }
    }

    fn moved(&mut self, variable: &str, secret: &str, value: &str) {
        self.migration.moved.push(Moved {
            variable: variable.to_owned(),
            secret: secret.to_owned(),
            value: Zeroizing::new(value.to_owned()),
        });
    }

    /// The variable that stands for `value` already.
    fn known(&self, value: &str) -> Option<String> {
        let same = self
            .migration
            .moved
            .iter()
            .find(|moved| moved.value.as_str() == value && value.len() >= 4);
        same.map(|moved| moved.variable.clone())
    }

    /// A name for a variable that nobody uses yet.
    fn free(&mut self, wanted: &str, service: &Service) -> String {
        let clean = |text: &str| -> String {
            text.chars()
                .map(|char| {
                    if char.is_ascii_alphanumeric() {
                        char.to_ascii_uppercase()
                    } else {
                        '_'
                    }
                })
                .collect()
        };
        let wanted = clean(wanted);
        let own = format!("{}_{wanted}", clean(&service.name));
        let numbered = (2..).map(|number| format!("{own}_{number}"));
        let mut names = [wanted, own.clone()].into_iter().chain(numbered);
        let is_free = |name: &String| {
            !self.taken.contains(name)
                && self.project.variables.get(name).is_none()
                && !name.starts_with(|char: char| char.is_ascii_digit())
        };
        let name = names.find(is_free).unwrap_or_default();
        self.taken.insert(name.clone());
        name
    }

    /// A name for a secret.
    fn secret(&self, variable: &str) -> String {
        let wanted = variable.to_ascii_lowercase();
        let is_taken = |name: &str| self.migration.moved.iter().any(|moved| moved.secret == name);
        match is_taken(&wanted) {
            false => wanted,
            true => (2..)
                .map(|number| format!("{wanted}_{number}"))
                .find(|name| !is_taken(name))
                .unwrap_or_default(),
        }
    }
}

/// What the password in an address is called: `DATABASE_PASSWORD` for that of `DATABASE_URL`.
fn password_of(address: &str) -> String {
    let endings = ["_URL", "_URI", "_DSN"];
    let stem = endings.iter().find_map(|ending| address.strip_suffix(ending));
    format!("{}_PASSWORD", stem.unwrap_or(address))
}

/// Whether two paths are one, whatever detours they take.
fn is_same(one: &Path, other: &Path) -> bool {
    join(Path::new(""), one) == join(Path::new(""), other)
}

/// The length of the value at the start of `text`, a Compose file, without the comment and the line end behind it.
fn length(text: &str) -> usize {
    let quote = text.chars().next().filter(|char| matches!(char, '"' | '\''));
    let Some(quote) = quote else {
        // A text over several lines has no comments.
        if text.starts_with(['|', '>']) {
            return text.trim_end().len();
        }
        let line = text.lines().next().unwrap_or_default();
        let line = line.find(" #").map_or(line, |at| &line[..at]);
        return line.trim_end().len();
    };
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, char)) = chars.next() {
        if char == '\\' && quote == '"' {
            chars.next();
        } else if char == quote {
            // Doubled, a single quote is one.
            if quote == '\'' && chars.next_if(|(_, next)| *next == quote).is_some() {
                continue;
            }
            return at + 1;
        }
    }
    text.len()
}

/// Where `part` stands in `text`, if it stands there once.
fn one(text: &str, part: &str) -> Option<Range<usize>> {
    let at = text.find(part)?;
    (text[at + 1..].find(part).is_none()).then_some(at..at + part.len())
}

/// Whether a value says where a secret is, or is a reference already.
fn is_place(value: &str) -> bool {
    value.starts_with("/run/secrets/") || value.starts_with("file://") || value.contains("{{")
}

/// What differs between two readings of a project: the service and what of it. Values are compared and never told.
pub fn differences(before: &Project, after: &Project) -> Vec<String> {
    let mut found = Vec::new();
    let names = |project: &Project| -> Vec<String> {
        project
            .services
            .iter()
            .map(|service| service.name.clone())
            .collect()
    };
    if names(before) != names(after) {
        found.push("its services".to_owned());
        return found;
    }
    if !after.mistakes.iter().all(|mistake| {
        before
            .mistakes
            .iter()
            .any(|known| known.diagnostic.message == mistake.diagnostic.message)
    }) {
        found.push("what Compose would refuse".to_owned());
    }
    for (old, new) in before.services.iter().zip(&after.services) {
        for part in differing(old, new) {
            found.push(format!("{part} of {}", old.name));
        }
    }
    let files = |project: &Project| -> Vec<String> {
        let all = project.secrets.iter().chain(&project.configs);
        all.map(|definition| definition.name.clone()).collect()
    };
    if files(before) != files(after) {
        found.push("its secrets".to_owned());
    }
    found
}

fn differing(old: &Service, new: &Service) -> Vec<&'static str> {
    let variables = |service: &Service| -> BTreeMap<String, Option<String>> {
        let pairs = service.resolved.iter();
        pairs
            .map(|variable| {
                (
                    variable.name.clone(),
                    variable.value.as_ref().map(|text| text.value.clone()),
                )
            })
            .collect()
    };
    let words = |words: &Option<Words>| words.as_ref().map(Words::text);
    let text = |text: &Option<Text>| text.as_ref().map(|text| text.value.clone());
    let labels = |service: &Service| -> Vec<(String, Option<String>)> {
        let pairs = service.labels.iter();
        pairs
            .map(|label| (label.name.clone(), text(&label.value)))
            .collect()
    };
    let health = |service: &Service| service.healthcheck.as_ref().map(|health| words(&health.test));
    let grants = |service: &Service| -> Vec<String> {
        service.secrets.iter().map(|grant| grant.source.clone()).collect()
    };
    let checks = [
        (variables(old) == variables(new), "the variables"),
        (words(&old.command) == words(&new.command), "the command"),
        (words(&old.entrypoint) == words(&new.entrypoint), "the entrypoint"),
        (text(&old.image) == text(&new.image), "the image"),
        (text(&old.user) == text(&new.user), "the user"),
        (labels(old) == labels(new), "the labels"),
        (health(old) == health(new), "the health check"),
        (grants(old) == grants(new), "the secrets"),
    ];
    checks
        .into_iter()
        .filter(|(is_equal, _)| !is_equal)
        .map(|(_, part)| part)
        .collect()
}
