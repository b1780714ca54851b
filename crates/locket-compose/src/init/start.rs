//! A start command that reads secret files for an image that does not: a shell that becomes what the image starts.
//!
//! A value never becomes an argument: it goes into the environment of the program alone, or to its standard input.

use locket_core::action::split_words;

use super::decision::ImageFacts;
use crate::images::Image;
use crate::model::{Service, Words};

/// What a service starts, in the words of Compose (`$` is written `$$`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// The shell, its script, and what it becomes.
    pub entrypoint: Vec<String>,
    /// What that is given.
    pub command: Vec<String>,
}

/// What a service starts without us, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Original {
    pub(super) entrypoint: Vec<String>,
    pub(super) command: Vec<String>,
}

/// A password among the arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Argument {
    /// The value, as it was written.
    pub(super) value: String,
    at: usize,
    words: usize,
}

impl Start {
    /// Each variable gets the content of a secret before the program starts.
    pub(super) fn variables(original: &Original, secrets: &[(String, String)]) -> Self {
        let mut script = String::new();
        for (variable, secret) in secrets {
            // Split in two, so that a file that cannot be read ends the start.
            script += &format!("{variable}=\"$$(cat /run/secrets/{secret})\" || exit 1\nexport {variable}\n");
        }
        script += "exec \"$$0\" \"$$@\"\n";
        Self::of(original, script, original.command.clone())
    }

    /// A line of configuration with the secret comes from standard input, which `-` as the last argument asks for.
    pub(super) fn config(original: &Original, directive: &str, secret: &str) -> Self {
        let mut command = original.command.clone();
        if let Some(found) = password_argument(&command, directive) {
            command.drain(found.at..found.at + found.words);
        }
        // Quotes and backslashes are escaped as the configuration wants them.
        let script = format!(
            "test -r /run/secrets/{secret} || exit 1\nexec \"$$0\" \"$$@\" - <<END\n{directive} \"$$(sed 's/[\\\\\"]/\\\\&/g' /run/secrets/{secret})\"\nEND\n"
        );
        Self::of(original, script, command)
    }

    fn of(original: &Original, script: String, command: Vec<String>) -> Self {
        let shell = ["/bin/sh".to_owned(), "-ec".to_owned(), script];
        Self {
            entrypoint: shell
                .into_iter()
                .chain(original.entrypoint.iter().cloned())
                .collect(),
            command,
        }
    }
}

/// Whether a shell takes `NAME=…` for an assignment. It runs anything else as a command, and tells the value that it did
/// not find it.
pub(super) fn is_assignable(name: &str) -> bool {
    name.starts_with(|char: char| char.is_ascii_alphabetic() || char == '_')
        && name
            .chars()
            .all(|char| char.is_ascii_alphanumeric() || char == '_')
}

/// The secrets that a script of an earlier version gives to names that no shell assigns.
pub(super) fn misassigned(script: &str) -> impl Iterator<Item = &str> {
    script.lines().filter_map(|line| {
        let (name, rest) = line.split_once("=\"$$(cat /run/secrets/")?;
        let (secret, _) = rest.split_once(')')?;
        (!is_assignable(name.trim_start())).then_some(secret)
    })
}

/// What the service starts: what it says itself, else what its image is known to start.
///
/// # Errors
/// Nobody knows, or it starts a shell of its own; the reason as a lower-case fragment.
pub(super) fn original(
    service: &Service,
    image: Option<&Image>,
    facts: Option<&ImageFacts>,
) -> Result<Original, String> {
    let said = |words: &Option<Words>| match words {
        Some(words) => split(words).map(Some),
        None => Ok(None),
    };
    let (entrypoint, command) = (said(&service.entrypoint)?, said(&service.command)?);
    if command.iter().flatten().next().is_some_and(|word| is_shell(word)) && entrypoint.is_none() {
        return Err("it starts a shell of its own, which can read the file itself".to_owned());
    }
    let known = image.and_then(|image| image.start.as_ref());
    let of_image = match (known, facts) {
        (Some(start), _) => Some((start.entrypoint.clone(), start.command.clone())),
        (None, Some(facts)) => Some((escaped(&facts.entrypoint), escaped(&facts.command))),
        (None, None) => None,
    };
    let (entrypoint, command) = match (entrypoint, command, of_image) {
        // An entrypoint of the project's own leaves the image's command out.
        (Some(entrypoint), command, _) => (entrypoint, command.unwrap_or_default()),
        (None, Some(command), Some((entrypoint, _))) => (entrypoint, command),
        (None, None, Some((entrypoint, command))) => (entrypoint, command),
        (None, _, None) => {
            return Err(
                "its image is not known and not on this machine, so nobody knows what it starts".to_owned(),
            );
        }
    };
    if entrypoint.is_empty() && command.is_empty() {
        return Err("its image starts nothing by itself".to_owned());
    }
    Ok(Original { entrypoint, command })
}

/// `--requirepass VALUE` for the directive `requirepass`.
pub(super) fn password_argument(command: &[String], directive: &str) -> Option<Argument> {
    let option = format!("--{directive}");
    let joined = format!("{option}=");
    for (at, word) in command.iter().enumerate() {
        if *word == option {
            let value = command.get(at + 1)?.clone();
            return Some(Argument { value, at, words: 2 });
        }
        if let Some(value) = word.strip_prefix(&joined) {
            return Some(Argument {
                value: value.to_owned(),
                at,
                words: 1,
            });
        }
    }
    None
}

fn split(words: &Words) -> Result<Vec<String>, String> {
    let written = words.words.iter().map(|word| word.written.clone());
    match words.is_text {
        false => Ok(written.collect()),
        true => {
            let text = written.collect::<Vec<_>>().join(" ");
            split_words(&text).ok_or_else(|| "a quote in its command is never closed".to_owned())
        }
    }
}

fn is_shell(word: &str) -> bool {
    matches!(word.rsplit('/').next(), Some("sh" | "bash" | "ash" | "dash"))
}

/// Words of an image mean no variables of Compose.
fn escaped(words: &[String]) -> Vec<String> {
    words.iter().map(|word| word.replace('$', "$$")).collect()
}
