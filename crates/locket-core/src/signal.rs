//! Signals by the names that people write.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Diagnostic;

/// A signal of Linux on x86-64 and arm64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Signal(i32);

/// Names and numbers, as `kill -l` lists them.
const NAMES: &[(&str, i32)] = &[
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("PWR", 30),
    ("SYS", 31),
];

impl Signal {
    /// Sent when a terminal goes away; servers read their configuration again.
    pub const HUP: Self = Self(1);

    /// The first signal without a meaning of its own.
    pub const USR1: Self = Self(10);

    /// The signal that `text` names: `HUP`, `SIGHUP` in any case, or a number from 1 to 31.
    ///
    /// # Errors
    /// No signal has this name; the span covers the whole of `text`.
    pub fn parse(text: &str) -> Result<Self, Diagnostic> {
        let folded = text.trim().to_ascii_uppercase();
        let short = folded.strip_prefix("SIG").unwrap_or(&folded);
        let known = NAMES
            .iter()
            .find(|(name, number)| *name == short || short.parse() == Ok(*number))
            .map(|(_, number)| Self(*number));
        known.ok_or_else(|| {
            Diagnostic::error(0..text.len(), format!("`{text}` is no signal"))
                .help("Write a name such as `HUP`, `SIGUSR1`, or a number from 1 to 31.")
                .did_you_mean(short, NAMES.iter().map(|(name, _)| *name))
        })
    }

    /// The signal's number.
    pub fn number(self) -> i32 {
        self.0
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES
            .iter()
            .find(|(_, number)| *number == self.0)
            .map_or("?", |(name, _)| name);
        write!(f, "SIG{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_has_three_spellings() {
        for text in ["HUP", "SIGHUP", "1", "hup", " sighup "] {
            assert_eq!(Signal::parse(text).map(Signal::number), Ok(1), "{text}");
        }
        assert_eq!(Signal::parse("USR2").unwrap().to_string(), "SIGUSR2");
    }

    #[test]
    fn a_wrong_name_finds_the_near_one() {
        let error = Signal::parse("SIGHPU").unwrap_err();
        assert_eq!(error.help.as_deref(), Some("Did you mean `HUP`?"));
        for text in ["", "0", "32", "SIG"] {
            assert!(Signal::parse(text).is_err(), "{text}");
        }
    }
}
