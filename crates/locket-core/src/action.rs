//! How a consumer is told that its secrets changed.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::signal::Signal;
use crate::{Diagnostic, Span};

/// One way to tell one consumer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Runs a program, without a shell.
    Exec {
        /// The program and its arguments; never empty.
        argv: Vec<String>,
    },
    /// Signals the process whose id stands in a file.
    Pid {
        /// The file.
        file: PathBuf,
        /// The signal.
        signal: Signal,
    },
}

/// Every kind of action with its form; those without a place here come with the Docker and systemd support.
const KINDS: &[(&str, &str)] = &[
    ("exec", "exec:COMMAND"),
    ("pid", "pid:FILE:SIGNAL"),
    ("container", "container:NAME:SIGNAL"),
    ("compose", "compose:PROJECT/SERVICE:SIGNAL"),
    ("service", "service:NAME"),
    ("unit", "unit:NAME:reload"),
    ("http", "http:URL"),
    ("auto", "auto:NAME"),
];

impl Action {
    /// Parses `KIND:…`.
    ///
    /// # Errors
    /// An unknown kind, or one that this build cannot do, with the place.
    pub fn parse(text: &str) -> Result<Self, Diagnostic> {
        let whole = Span::new(0, text.len());
        let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
        let form = KINDS
            .iter()
            .find(|(name, _)| *name == kind)
            .map(|(_, form)| *form);
        match kind {
            "exec" => match split_words(rest) {
                Some(argv) if !argv.is_empty() => Ok(Self::Exec { argv }),
                Some(_) => Err(Diagnostic::error(whole, "`exec:` names no program")
                    .help("Write the program and its arguments after it: `exec:nginx -s reload`.")),
                None => Err(
                    Diagnostic::error(whole, "a quote in this command is never closed")
                        .help("The command is split into words as a shell would, and run without one."),
                ),
            },
            "pid" => {
                let Some((file, signal)) = rest.rsplit_once(':').filter(|(file, _)| !file.is_empty()) else {
                    return Err(Diagnostic::error(whole, "`pid:` wants a file and a signal")
                        .help("Write it like `pid:/run/nginx.pid:HUP`."));
                };
                let offset = text.len() - signal.len();
                let signal = Signal::parse(signal).map_err(|error| error.shifted(offset))?;
                Ok(Self::Pid {
                    file: file.into(),
                    signal,
                })
            }
            _ => Err(match form {
                Some(form) => {
                    Diagnostic::error(0..kind.len(), format!("this version cannot notify by `{form}`"))
                        .help("Use `exec:COMMAND` or `pid:FILE:SIGNAL`.")
                }
                None => Diagnostic::error(0..kind.len(), format!("there is no notification `{kind}`"))
                    .help("Write `exec:COMMAND` or `pid:FILE:SIGNAL`.")
                    .did_you_mean(kind, KINDS.iter().map(|(name, _)| *name)),
            }),
        }
    }
}

impl fmt::Display for Action {
    /// Names the consumer; a command's arguments may say more than a log should.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exec { argv } => write!(f, "exec:{}", argv.first().map_or("", String::as_str)),
            Self::Pid { file, signal } => write!(f, "pid:{}:{signal}", file.display()),
        }
    }
}

/// Splits a command as a shell would: white space, single and double quotes, backslashes. `None` when a quote is
/// never closed.
fn split_words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            char if char.is_whitespace() => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '\'' => break,
                        char => word.push(char),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '"' => break,
                        '\\' => match chars.next()? {
                            escaped @ ('"' | '\\' | '$' | '`') => word.push(escaped),
                            other => word.extend(['\\', other]),
                        },
                        char => word.push(char),
                    }
                }
            }
            '\\' => word.get_or_insert_default().push(chars.next()?),
            char => word.get_or_insert_default().push(char),
        }
    }
    words.extend(word);
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_split_as_a_shell_would() {
        let parsed = Action::parse(r#"exec:/bin/sh -c 'kill -HUP "$1"' "a \"b\" \n" c\ d "#).unwrap();
        let argv = ["/bin/sh", "-c", "kill -HUP \"$1\"", "a \"b\" \\n", "c d"]
            .map(String::from)
            .to_vec();
        assert_eq!(parsed, Action::Exec { argv });
        assert!(
            Action::parse("exec:'open")
                .unwrap_err()
                .message
                .contains("never closed")
        );
        assert!(
            Action::parse("exec: ")
                .unwrap_err()
                .message
                .contains("no program")
        );
    }

    #[test]
    fn a_pid_file_may_hold_colons() {
        let signal = Signal::parse("HUP").unwrap();
        assert_eq!(
            Action::parse("pid:/run/a:b.pid:HUP"),
            Ok(Action::Pid {
                file: "/run/a:b.pid".into(),
                signal
            })
        );
        let error = Action::parse("pid:/run/x.pid:HPU").unwrap_err();
        assert_eq!(
            (error.span, error.help.as_deref()),
            (Span::new(15, 18), Some("Did you mean `HUP`?"))
        );
        assert!(Action::parse("pid:HUP").is_err());
    }

    #[test]
    fn what_this_version_cannot_do_is_refused_by_name() {
        assert!(
            Action::parse("container:web:HUP")
                .unwrap_err()
                .message
                .contains("container:NAME")
        );
        assert_eq!(
            Action::parse("exce:true").unwrap_err().help.as_deref(),
            Some("Did you mean `exec`?")
        );
    }

    #[test]
    fn arguments_stay_out_of_logs() {
        assert_eq!(
            Action::parse("exec:curl -u user:pass").unwrap().to_string(),
            "exec:curl"
        );
    }
}
