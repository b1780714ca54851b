//! A value with what was written for it.

use std::fmt;

use crate::place::Place;

/// A value of a Compose file. It may be a credential: `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Text {
    /// What it is, with every `${…}` resolved.
    pub value: String,
    /// What was written, with every `${…}` as it stands.
    pub written: String,
    /// Where.
    pub place: Place,
}

impl Text {
    /// Whether a part of it comes from a variable.
    pub fn has_variable(&self) -> bool {
        self.written.replace("$$", "").contains('$')
    }

    /// Whether nothing stands there, not even a variable.
    pub fn is_blank(&self) -> bool {
        self.written.trim().is_empty()
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({} bytes at {:?})", self.value.len(), self.place.span)
    }
}
