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
use crate::model::{Project, Service, Text, Words};

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
    let mut planner = Planner {
        project,
        env_path: env.0,
        reference,
        migration: Migration::default(),
        taken: BTreeSet::new(),
        places: BTreeSet::new(),
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
    migration
        .edits
        .sort_by(|a, b| (&a.path, a.span.start).cmp(&(&b.path, b.span.start)));
    migration
}

impl Migration {
    /// The texts of the files after the edits; `read` gives those before.
    pub fn texts(&self, read: &dyn Fn(&Path) -> String) -> BTreeMap<PathBuf, String> {
        let mut texts: BTreeMap<PathBuf, String> = BTreeMap::new();
        // From the end, so that places before it stay where they are.
        for edit in self.edits.iter().rev() {
            let text = texts.entry(edit.path.clone()).or_insert_with(|| read(&edit.path));
            text.replace_range(edit.span.clone(), &edit.text);
        }
        texts
    }
}

struct Planner<'a> {
    project: &'a Project,
    env_path: &'a Path,
    reference: &'a dyn Fn(&str) -> String,
    migration: Migration,
    /// Names of variables that are in use.
    taken: BTreeSet<String>,
    /// Places that are edited already: an anchor is reached in several ways.
    places: BTreeSet<(PathBuf, usize)>,
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
        let Some(equals) = statement.find('=') else {
            return;
        };
        if statement[equals + 1..].contains("${") {
            self.migration.left.push((
                variable.name.clone(),
                "its value is put together of other variables".to_owned(),
            ));
            return;
        }
        let secret = self.secret(&variable.name);
        let start = variable.span.start + equals + 1;
        let edit = Edit {
            path: self.env_path.to_owned(),
            span: start..start + length(&statement[equals + 1..]),
            text: (self.reference)(&secret),
        };
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
        let Some(raw) = source.text.get(text.place.span.start..text.place.span.end) else {
            return;
        };
        let raw = &raw[..length(raw)];
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
        if value.contains('\n') {
            return self.leave(told, "it has several lines");
        }
        let name = match self.known(value) {
            Some(name) => name,
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
            span: start..start + written.len(),
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
            if !self.places.insert((path.to_owned(), start)) {
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
                self.taken.insert(name.to_owned());
                let secret = self.secret(name);
                self.moved(name, &secret, default);
                self.added += &format!("{name}={}\n", (self.reference)(&secret));
            }
            self.migration.edits.push(Edit {
                path: path.to_owned(),
                span: start..text.place.span.start + at + 2 + end,
                text: String::new(),
            });
        }
    }

    fn leave(&mut self, told: String, why: &str) {
        self.migration.left.push((told, why.to_owned()));
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

/// The length of the value at the start of `text`, without the comment and the line end behind it.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Files, Request, Unreadable, load};

    struct Disk(BTreeMap<PathBuf, String>);

    impl Files for Disk {
        fn read(&self, path: &Path) -> Result<String, Unreadable> {
            self.0.get(path).cloned().ok_or(Unreadable::Missing)
        }

        fn exists(&self, path: &Path) -> bool {
            self.0.contains_key(path)
        }
    }

    /// The texts after a migration, which leaves the project as it was.
    fn migrated(files: &[(&str, &str)]) -> (BTreeMap<String, String>, Migration) {
        let before: BTreeMap<PathBuf, String> = files
            .iter()
            .map(|(name, text)| (Path::new("/p").join(name), (*text).to_owned()))
            .collect();
        let request = Request {
            directory: "/p".into(),
            ..Request::default()
        };
        let project = load(&request, &Disk(before.clone()), &Environment::default()).unwrap();
        let env = before.get(Path::new("/p/.env")).cloned().unwrap_or_default();
        let reference = |name: &str| format!("{{{{ file://secrets/{name}.txt }}}}");
        let migration = plan(&project, &[], (Path::new("/p/.env"), &env), &reference);
        let read = |path: &Path| before.get(path).cloned().unwrap_or_default();
        let texts = migration.texts(&read);
        let mut after = before.clone();
        after.extend(texts.clone());
        let given: Environment = migration
            .moved
            .iter()
            .map(|moved| (moved.variable.as_str(), moved.value.as_str()))
            .collect();
        let again = load(&request, &Disk(after), &given).unwrap();
        assert_eq!(differences(&project, &again), [""; 0], "{texts:?}");
        for text in texts.values() {
            assert!(!text.contains("hunter"), "{text}");
        }
        let texts = texts
            .into_iter()
            .map(|(path, text)| (path.file_name().unwrap().to_string_lossy().into_owned(), text));
        (texts.collect(), migration)
    }

    #[test]
    fn values_move_out_and_comments_quotes_and_order_stay() {
        let (texts, migration) = migrated(&[
            (
                "compose.yaml",
                "# mine\nservices:\n  db:\n    image: postgres # pinned later\n    environment:\n      POSTGRES_PASSWORD: 'hunter2$$x' # why not\n      POSTGRES_USER:   app\n  web:\n    image: shop\n    environment:\n      - \"API_TOKEN=hunter3\"\n      - DB_PASSWORD=hunter2$$x\n      - DATABASE_URL=postgres://app:hunter4@db/app # an address\n",
            ),
            (
                ".env",
                "# variables\nSMTP_PASSWORD=\"hunter5 x\" # of the mail\nPORT=80\n",
            ),
        ]);
        assert_eq!(
            texts["compose.yaml"],
            "# mine\nservices:\n  db:\n    image: postgres # pinned later\n    environment:\n      POSTGRES_PASSWORD: \"${POSTGRES_PASSWORD}\" # why not\n      POSTGRES_USER:   app\n  web:\n    image: shop\n    environment:\n      - \"API_TOKEN=${API_TOKEN}\"\n      - DB_PASSWORD=${POSTGRES_PASSWORD}\n      - DATABASE_URL=postgres://app:${DATABASE_PASSWORD}@db/app # an address\n"
        );
        assert_eq!(
            texts[".env"],
            "# variables\nSMTP_PASSWORD={{ file://secrets/smtp_password.txt }} # of the mail\nPORT=80\nPOSTGRES_PASSWORD={{ file://secrets/postgres_password.txt }}\nAPI_TOKEN={{ file://secrets/api_token.txt }}\nDATABASE_PASSWORD={{ file://secrets/database_password.txt }}\n"
        );
        assert!(!format!("{migration:?}").contains("hunter"));
    }

    #[test]
    fn what_stands_in_for_a_variable_moves_out_and_the_variable_stays() {
        let (texts, _) = migrated(&[(
            "compose.yaml",
            "x-env: &env\n  SECRET_KEY: ${SECRET_KEY:-hunter2}\nservices:\n  a: {image: a, environment: *env}\n  b:\n    image: b\n    environment:\n      <<: *env\n      OTHER_TOKEN: ${OTHER:-}\n",
        )]);
        assert!(texts["compose.yaml"].contains("SECRET_KEY: ${SECRET_KEY}\n"));
        assert_eq!(texts[".env"], "SECRET_KEY={{ file://secrets/secret_key.txt }}\n");
    }

    #[test]
    fn files_of_variables_and_commands_lose_their_values_too() {
        let (texts, _) = migrated(&[
            (
                "compose.yaml",
                "services:\n  cache:\n    image: redis\n    command: [redis-server, --requirepass, hunter2, --save, '']\n  other:\n    image: redis\n    command: redis-server --requirepass hunter3 --appendonly yes\n  app:\n    image: app\n    env_file: app.env\n",
            ),
            ("app.env", "# app\nAPI_TOKEN=hunter4\nLEVEL=debug\n"),
        ]);
        assert!(
            texts["compose.yaml"].contains("[redis-server, --requirepass, \"${REQUIREPASS}\", --save, '']")
        );
        assert!(
            texts["compose.yaml"]
                .contains("command: redis-server --requirepass ${OTHER_REQUIREPASS} --appendonly yes\n")
        );
        assert_eq!(texts["app.env"], "# app\nAPI_TOKEN=${API_TOKEN}\nLEVEL=debug\n");
    }

    #[test]
    fn what_holds_no_credential_is_not_touched() {
        let (texts, migration) = migrated(&[
            (
                "compose.yaml",
                "services:\n  a:\n    image: postgres\n    environment:\n      POSTGRES_PASSWORD_FILE: /run/secrets/pw\n      POSTGRES_PASSWORD: ${POSTGRES_PASSWORD}\n      TOKEN_TTL: 3600\n",
            ),
            (".env", "POSTGRES_PASSWORD={{ store://pw }}\n"),
        ]);
        assert!(texts.is_empty() && migration.moved.is_empty(), "{texts:?}");
    }
}
