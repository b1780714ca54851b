//! A unit file as it is written: sections, settings and the comments that say why they are there.

use std::fmt;

/// How every unit begins: what begins otherwise is somebody else's.
pub(crate) const MARK: &str = "# Made by `locket systemd`. Changes of your own: `systemctl edit`.";

/// One unit file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unit {
    name: String,
    text: String,
}

impl Unit {
    /// An empty one with this file name.
    pub(super) fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            text: format!("{MARK}\n"),
        }
    }

    /// Its file name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn section(mut self, name: &str) -> Self {
        self.text.push_str(&format!("\n[{name}]\n"));
        self
    }

    /// A setting whose value is written as systemd reads it.
    pub(super) fn set(mut self, key: &str, value: impl fmt::Display) -> Self {
        self.text.push_str(&format!("{key}={value}\n"));
        self
    }

    pub(super) fn set_all(self, settings: &[(&str, &str)]) -> Self {
        settings
            .iter()
            .fold(self, |unit, (key, value)| unit.set(key, value))
    }

    /// Why the next settings are there.
    pub(super) fn because(mut self, reason: &str) -> Self {
        self.text.extend(reason.lines().map(|line| format!("# {line}\n")));
        self
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
