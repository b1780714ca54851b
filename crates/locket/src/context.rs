//! What the process was given, taken once at the start and passed on from there.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;

use locket_core::{Clock, Environment};

use crate::clock::SystemClock;

/// The surroundings of one command.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    /// The environment as it was at the start.
    pub(crate) environment: Environment,
    /// The caller's directory: relative paths of flags and variables count from it.
    pub(crate) directory: PathBuf,
    /// The time.
    pub(crate) clock: Arc<dyn Clock>,
    /// How messages for people are dressed.
    pub(crate) style: Style,
    /// Why core dumps and tracing could not be ruled out, where they could not.
    pub(crate) unprotected: Option<String>,
}

/// How messages for people are dressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Text alone.
    Plain,
    /// With colours, for a terminal.
    Coloured,
}

impl Context {
    /// Takes everything from the process.
    pub(crate) fn of_this_process(unprotected: Option<String>) -> Self {
        let environment: Environment = std::env::vars_os().collect();
        let style = Style::of(&environment, std::io::stderr().is_terminal());
        Self {
            // A directory that was removed under us still is the current one.
            directory: std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
            environment,
            clock: Arc::new(SystemClock::start()),
            style,
            unprotected,
        }
    }
}

impl Style {
    /// Colours on a terminal only, and not where `NO_COLOR` is set to anything (<https://no-color.org>).
    fn of(environment: &Environment, is_terminal: bool) -> Self {
        let refused = environment
            .get_os("NO_COLOR")
            .is_some_and(|value| !value.is_empty())
            || environment.get("TERM") == Some("dumb");
        if is_terminal && !refused {
            Self::Coloured
        } else {
            Self::Plain
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_need_a_terminal_and_nobody_who_minds() {
        let empty = Environment::default();
        assert_eq!(Style::of(&empty, true), Style::Coloured);
        assert_eq!(Style::of(&empty, false), Style::Plain);
        for (name, value, style) in [
            ("NO_COLOR", "1", Style::Plain),
            ("NO_COLOR", "", Style::Coloured),
            ("TERM", "dumb", Style::Plain),
            ("TERM", "xterm", Style::Coloured),
        ] {
            let environment: Environment = [(name, value)].into_iter().collect();
            assert_eq!(Style::of(&environment, true), style, "{name}={value}");
        }
    }
}
