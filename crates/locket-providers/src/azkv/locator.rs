//! `VAULT/SECRET[/VERSION]`, `HOST/SECRET[/VERSION]` and `SECRET`.

use std::fmt;

use locket_core::{Diagnostic, Locator, Reference};

/// What one request reads, or all secrets of a vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    /// The name of a vault or of its host; that of the settings unless given.
    pub(super) vault: Option<String>,
    pub(super) what: What,
}

/// What of the vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    Secret {
        name: String,
        /// The current one unless given.
        version: Option<String>,
    },
    Every,
}

/// Turns a reference into the secret to read.
///
/// # Errors
/// The reference can never name one.
pub(super) fn parse(reference: &Reference) -> Result<Locator, Vec<Diagnostic>> {
    let mut found = reference.check_options(&[]).err().unwrap_or_default();
    let scheme = reference.scheme();
    let wrong = |message: String| {
        Diagnostic::error(reference.span(), message).help(format!(
            "Write `{scheme}://vault-name/secret` or `{scheme}://vault-name/secret/version`."
        ))
    };
    let segments = reference.segments();
    let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
    let (vault, name, version) = match segments[..] {
        [name] => (None, name, None),
        [vault, name] => (Some(vault), name, None),
        [vault, name, version] => (Some(vault), name, Some(version)),
        _ => {
            found.push(wrong(
                "this names more than a vault, a secret and a version".to_owned(),
            ));
            return Err(found);
        }
    };
    if let Some(vault) = vault.filter(|vault| !is_vault(vault)) {
        found.push(wrong(format!(
            "`{vault}` is neither the name of a vault nor of a host"
        )));
    }
    if !is_name(name) {
        found.push(wrong(match name.contains(['_', '.']) {
            true => format!("`{name}` cannot name a secret: Key Vault takes letters, digits and `-` only"),
            false => format!("`{name}` cannot name a secret"),
        }));
    }
    if let Some(version) = version.filter(|version| !is_name(version)) {
        found.push(wrong(format!("`{version}` cannot be a version")));
    }
    if !found.is_empty() {
        return Err(found);
    }
    let item = Item {
        vault: vault.map(str::to_owned),
        what: What::Secret {
            name: name.to_owned(),
            version: version.map(str::to_owned),
        },
    };
    Ok(Locator::new(item.to_string(), "", item))
}

/// Turns the vault of a `REF/*` into all its secrets.
///
/// # Errors
/// It is no vault.
pub(super) fn parse_every(reference: &Reference) -> Result<Locator, Vec<Diagnostic>> {
    let wrong = || {
        let help = format!(
            "Write `{}://vault-name/*` for all secrets of a vault.",
            reference.scheme()
        );
        vec![Diagnostic::error(reference.span(), "`*` stands for all secrets of a vault").help(help)]
    };
    reference.check_options(&[])?;
    let segments = reference.segments();
    match segments.iter().map(AsRef::as_ref).collect::<Vec<&str>>()[..] {
        [vault, ""] if is_vault(vault) => {
            let item = Item {
                vault: Some(vault.to_owned()),
                what: What::Every,
            };
            Ok(Locator::every(item.to_string(), "", item))
        }
        _ => Err(wrong()),
    }
}

/// Names of vaults have letters, digits and hyphens; hosts dots as well, and perhaps a port.
fn is_vault(text: &str) -> bool {
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let is_label = |label: &str| is_name(label) && !label.starts_with('-');
    host.split('.').all(is_label) && port.is_none_or(|port| host.contains('.') && port.parse::<u16>().is_ok())
}

/// What names and versions are made of.
fn is_name(text: &str) -> bool {
    (1..=127).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

impl fmt::Display for Item {
    /// Equal texts are the same read: the case of names means nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(vault) = &self.vault {
            write!(f, "{}/", vault.to_ascii_lowercase())?;
        }
        match &self.what {
            What::Secret { name, version } => {
                f.write_str(&name.to_ascii_lowercase())?;
                match version {
                    Some(version) => write!(f, "/{}", version.to_ascii_lowercase()),
                    None => Ok(()),
                }
            }
            What::Every => f.write_str("*"),
        }
    }
}
