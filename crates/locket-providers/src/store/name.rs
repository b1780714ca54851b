//! Names of secrets in the store. They double as file names and stand in references without any escaping.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The name of one secret, such as `db/password`: parts between slashes, of letters, digits and `. _ - @ +`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretName(Arc<str>);

/// Why a text is no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// There is nothing, or nothing between two slashes.
    #[error("a name needs at least one character between slashes")]
    Empty,
    /// A part would mean a directory.
    #[error("`.` and `..` are no names")]
    Dots,
    /// A character that would need escaping somewhere.
    #[error("a name holds letters, digits and `. _ - @ + /`, not `{}`", .0.escape_default())]
    Character(char),
    /// More bytes than a file name may have.
    #[error("a name has at most {LONGEST} bytes")]
    TooLong,
}

/// The longest name, in bytes.
const LONGEST: usize = 255;

impl SecretName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SecretName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let allowed = |char: char| char.is_ascii_alphanumeric() || "._-@+/".contains(char);
        if let Some(wrong) = text.chars().find(|char| !allowed(*char)) {
            return Err(NameError::Character(wrong));
        }
        if text.len() > LONGEST {
            return Err(NameError::TooLong);
        }
        for part in text.split('/') {
            match part {
                "" => return Err(NameError::Empty),
                "." | ".." => return Err(NameError::Dots),
                _ => {}
            }
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
