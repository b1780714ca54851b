//! Public and private keys as text. A private key is never echoed, whatever is wrong with it.

use std::fmt;
use std::str::FromStr;

use age::secrecy::ExposeSecret;
use locket_core::{SecretBuilder, SecretBytes};

/// A public key that the store is encrypted to: X25519, `age1…`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Recipient(age::x25519::Recipient);

/// Why a text is no recipient that the store can have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecipientError {
    /// A private key stands where a public one belongs.
    #[error("this is a private key, not a recipient")]
    PrivateKey,
    /// A kind of key that this build cannot encrypt to.
    #[error("`{key}` is {kind}, and the store takes X25519 recipients only")]
    Kind {
        /// The key, which is public.
        key: String,
        /// What it is.
        kind: &'static str,
    },
    /// A key with a typing error.
    #[error("`{0}` is no recipient: the key is incomplete or mistyped")]
    Malformed(String),
    /// No key at all. It may be a secret in the wrong place, so it is not repeated.
    #[error("this is no recipient")]
    NoKey,
}

/// Private keys that may open the store.
pub(super) struct Identities {
    /// The one that new stores are for.
    first: age::x25519::Identity,
    rest: Vec<age::x25519::Identity>,
}

/// Why a text holds no usable private keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum IdentityError {
    /// There is no key in it.
    #[error("holds no identity")]
    None,
    /// It is locked by a passphrase.
    #[error("is protected by a passphrase, which an agent cannot be asked for")]
    Passphrase,
    /// A key of a kind that this build cannot use.
    #[error("holds {kind} in line {line}, and the store opens with X25519 identities only")]
    Kind {
        /// Line, from 1.
        line: usize,
        /// What it is.
        kind: &'static str,
    },
    /// A line that is no key.
    #[error("holds no valid identity in line {line}")]
    Malformed {
        /// Line, from 1.
        line: usize,
    },
}

impl RecipientError {
    /// What to do about it, as a sentence.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::PrivateKey => {
                "Give the public key, `age1…`; `age-keygen -y` shows it. If this went into a shell's history, replace the key."
            }
            Self::Kind { .. } => "Make a key with `age-keygen` and give its public key, `age1…`.",
            Self::Malformed(_) | Self::NoKey => "A recipient is the line `age1…` that `age-keygen -y` shows.",
        }
    }
}

impl Recipient {
    pub(super) fn as_age(&self) -> &dyn age::Recipient {
        &self.0
    }
}

impl FromStr for Recipient {
    type Err = RecipientError;

    fn from_str(text: &str) -> Result<Self, RecipientError> {
        if text.to_ascii_uppercase().starts_with("AGE-") {
            return Err(RecipientError::PrivateKey);
        }
        if let Ok(key) = text.parse() {
            return Ok(Self(key));
        }
        let kind = match text {
            _ if text.starts_with("age1pq1") => "a post-quantum key",
            _ if text.starts_with("age1tag1") || text.starts_with("age1tagpq1") => "a hardware key",
            _ if text.starts_with("ssh-") || text.starts_with("ecdsa-") => "an SSH key",
            // Bech32 has no `1` after its separator: what follows a second one is a plugin's.
            _ if text.strip_prefix("age1").is_some_and(|rest| rest.contains('1')) => "a plugin's key",
            _ if text.starts_with("age1") => return Err(RecipientError::Malformed(text.into())),
            _ => return Err(RecipientError::NoKey),
        };
        Err(RecipientError::Kind {
            key: text.into(),
            kind,
        })
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Identities {
    /// The keys in an identity file's text: one a line, `#` starts a comment.
    pub(super) fn parse(text: &[u8]) -> Result<Self, IdentityError> {
        if text.starts_with(b"age-encryption.org/") || text.starts_with(b"-----BEGIN AGE ENCRYPTED FILE-----")
        {
            return Err(IdentityError::Passphrase);
        }
        let (mut first, mut rest) = (None, Vec::new());
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let key = parse_identity(line, index + 1)?;
            match first {
                None => first = Some(key),
                Some(_) => rest.push(key),
            }
        }
        let first = first.ok_or(IdentityError::None)?;
        Ok(Self { first, rest })
    }

    /// A new key.
    pub(super) fn generate() -> Self {
        Self {
            first: age::x25519::Identity::generate(),
            rest: Vec::new(),
        }
    }

    /// The public key of the first private key.
    pub(super) fn own(&self) -> Recipient {
        Recipient(self.first.to_public())
    }

    /// All public keys, in the file's order.
    pub(super) fn recipients(&self) -> Vec<Recipient> {
        self.keys().map(|key| Recipient(key.to_public())).collect()
    }

    pub(super) fn as_age(&self) -> impl Iterator<Item = &dyn age::Identity> {
        self.keys().map(|key| key as &dyn age::Identity)
    }

    /// The text of an identity file, in the form that `age-keygen` gives it.
    pub(super) fn to_text(&self, created: &str) -> SecretBytes {
        let mut text = SecretBuilder::with_capacity(256);
        for key in self.keys() {
            let private = key.to_string();
            let public = key.to_public().to_string();
            for part in [
                "# created: ",
                created,
                "\n# public key: ",
                &public,
                "\n",
                private.expose_secret(),
                "\n",
            ] {
                text.extend(part.as_bytes());
            }
        }
        text.finish()
    }

    fn keys(&self) -> impl Iterator<Item = &age::x25519::Identity> {
        std::iter::once(&self.first).chain(&self.rest)
    }
}

fn parse_identity(line: &[u8], number: usize) -> Result<age::x25519::Identity, IdentityError> {
    let key = std::str::from_utf8(line).ok().and_then(|text| text.parse().ok());
    key.ok_or_else(|| {
        let kind = match line {
            _ if line.starts_with(b"AGE-SECRET-KEY-PQ-") => "a post-quantum identity",
            _ if line.starts_with(b"AGE-PLUGIN-") => "a plugin's identity",
            _ if line.starts_with(b"-----BEGIN ") => "an SSH or PEM key",
            _ => return IdentityError::Malformed { line: number },
        };
        IdentityError::Kind { line: number, kind }
    })
}
