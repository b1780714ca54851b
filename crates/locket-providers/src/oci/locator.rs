//! `oci://SECRET-OCID`, `oci://VAULT-OCID/NAME` and `oci://NAME`, each with `?stage=` and `?version=`.

use std::fmt;

use locket_core::{Diagnostic, Locator, Reference, suggest};

use super::ocid::Ocid;

/// The rotation states that can be asked for.
const STAGES: &[&str] = &["CURRENT", "PENDING", "LATEST", "PREVIOUS", "DEPRECATED"];

/// What one request reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) secret: Secret,
    /// The current one unless given, or unless a version is.
    pub(super) stage: Option<&'static str>,
    pub(super) version: Option<Version>,
}

/// Which secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Secret {
    Id(Ocid),
    /// By its name in a vault; without one in the vault of the settings.
    Named {
        vault: Option<Ocid>,
        name: String,
    },
}

/// Which version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// Counted by the vault.
    Number(u64),
    /// Named by whoever made it.
    Name(String),
}

impl Item {
    /// What is asked for when neither stage nor version is.
    pub(super) const CURRENT: &'static str = "CURRENT";

    /// The same secret as it is now.
    pub(super) fn current(&self) -> Self {
        Self {
            secret: self.secret.clone(),
            stage: Some(Self::CURRENT),
            version: None,
        }
    }

    /// Whether it is about the secret as it is now.
    pub(super) fn is_current(&self) -> bool {
        self.version.is_none() && self.stage == Some(Self::CURRENT)
    }
}

/// Turns a reference into the secret bundle to read.
///
/// # Errors
/// The reference can never name one.
pub(super) fn parse(reference: &Reference) -> Result<Locator, Vec<Diagnostic>> {
    let span = reference.span();
    let mut found = reference
        .check_options(&["stage", "version"])
        .err()
        .unwrap_or_default();
    let secret = secret(reference).map_err(|wrong| found.push(wrong));
    let version = match reference.option("version") {
        None => None,
        Some("" | "0") => {
            found.push(Diagnostic::error(span, "`version` is not a version").help(
                "Versions are counted from 1, or have names; leave the option out for the current one.",
            ));
            None
        }
        Some(text) => Some(match text.parse() {
            Ok(number) => Version::Number(number),
            Err(_) => Version::Name(text.to_owned()),
        }),
    };
    let stage = match reference.option("stage") {
        None if version.is_some() => None,
        None => Some(Item::CURRENT),
        Some(text) => {
            let known = STAGES
                .iter()
                .copied()
                .find(|stage| stage.eq_ignore_ascii_case(text));
            if known.is_none() {
                let wrong = Diagnostic::error(span, format!("`{text}` is no stage of a secret"))
                    .help(format!("The stages are {}.", STAGES.join(", ")));
                found.push(
                    match suggest::nearest(&text.to_uppercase(), STAGES.iter().copied()) {
                        Some(near) => wrong.help(format!("Did you mean `{near}`?")),
                        None => wrong,
                    },
                );
            }
            known
        }
    };
    match secret {
        Ok(secret) if found.is_empty() => {
            let item = Item {
                secret,
                stage,
                version,
            };
            Ok(Locator::new(item.to_string(), "", item))
        }
        _ => Err(found),
    }
}

fn secret(reference: &Reference) -> Result<Secret, Diagnostic> {
    let scheme = reference.scheme();
    let wrong = |message: String| {
        Diagnostic::error(reference.span(), message).help(format!(
            "Write `{scheme}://` and the secret's OCID, or `{scheme}://VAULT-OCID/NAME`."
        ))
    };
    let segments = reference.segments();
    let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
    match segments[..] {
        [id] if id.starts_with("ocid1.") => match Ocid::parse(id) {
            Some(ocid) if ocid.kind() == "vaultsecret" => Ok(Secret::Id(ocid)),
            Some(ocid) if ocid.kind() == "vault" => Err(wrong(
                "this is the OCID of a vault, and no secret in it is named".to_owned(),
            )),
            Some(ocid) => Err(wrong(format!(
                "this is the OCID of a `{}`, which is no secret",
                ocid.kind()
            ))),
            None => Err(wrong("this is no whole OCID".to_owned())),
        },
        [name] if is_name(name) => Ok(Secret::Named {
            vault: None,
            name: name.to_owned(),
        }),
        [vault, name] if is_name(name) => match Ocid::parse(vault) {
            Some(vault) if vault.kind() == "vault" => Ok(Secret::Named {
                vault: Some(vault),
                name: name.to_owned(),
            }),
            _ => Err(wrong(format!("`{vault}` is not the OCID of a vault"))),
        },
        _ => Err(wrong("this names no secret of a vault".to_owned())),
    }
}

/// What Oracle takes for a secret's name: letters, digits and a few marks.
fn is_name(text: &str) -> bool {
    !matches!(text, "" | "." | "..") && !text.contains(['/', '\0'])
}

impl fmt::Display for Item {
    /// Equal texts are the same read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.secret {
            Secret::Id(ocid) => write!(f, "{ocid}")?,
            Secret::Named { vault, name } => {
                if let Some(vault) = vault {
                    write!(f, "{vault}/")?;
                }
                write!(f, "{}", name.replace('%', "%25").replace('?', "%3F"))?;
            }
        }
        let mut separator = '?';
        if let Some(stage) = self.stage.filter(|_| !self.is_current()) {
            write!(f, "{separator}stage={stage}")?;
            separator = '&';
        }
        if let Some(version) = &self.version {
            write!(f, "{separator}version={version}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(ocid) => write!(f, "`{ocid}`"),
            Self::Named { name, .. } => write!(f, "`{name}`"),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}
