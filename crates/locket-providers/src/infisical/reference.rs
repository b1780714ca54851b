//! `infisical:///KEY?env=&path=&project_id=&type=`. Asks nobody.

use std::fmt;

use locket_core::{Diagnostic, Locator, Reference};

/// What a reference asks for; what it leaves out, the settings say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The secret's name; `None` for every secret of the folder.
    pub(super) key: Option<String>,
    pub(super) environment: Option<String>,
    /// Absolute, without a slash at the end.
    pub(super) path: Option<String>,
    pub(super) project: Option<String>,
    pub(super) sharing: Option<Sharing>,
}

/// Whose value of a secret is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sharing {
    /// Everybody's.
    Shared,
    /// That of the user whose token it is.
    Personal,
}

/// How [`Sharing`] is written.
pub(super) const SHARINGS: &[&str] = &["shared", "personal"];

const OPTIONS: &[&str] = &["env", "path", "project_id", "type"];

/// Turns a reference into a locator that carries a [`Wanted`].
///
/// # Errors
/// The reference can never name a secret.
pub(super) fn parse(reference: &Reference) -> Result<Locator, Vec<Diagnostic>> {
    let key = reference
        .locator()
        .strip_prefix('/')
        .filter(|key| !key.is_empty());
    let wanted = wanted(reference, key.is_some_and(|key| !key.contains('/')))?;
    let key = reference.segments().pop().map(String::from);
    let wanted = Wanted { key, ..wanted };
    Ok(Locator::new(wanted.to_string(), "", wanted))
}

/// Turns the `/` of a `REF/*` into a locator for all secrets of a folder.
///
/// # Errors
/// It can never name a folder.
pub(super) fn parse_every(reference: &Reference) -> Result<Locator, Vec<Diagnostic>> {
    let wanted = wanted(reference, reference.locator() == "/")?;
    if wanted.sharing == Some(Sharing::Personal) {
        return Err(vec![
            Diagnostic::error(reference.span(), "`*` stands for the shared secrets of a folder")
                .help("Leave `type=personal` out, or name the personal secrets one by one."),
        ]);
    }
    Ok(Locator::every(wanted.to_string(), "", wanted))
}

impl Sharing {
    /// The meaning of a word, if it has one.
    pub(super) fn parse(word: &str) -> Option<Self> {
        match word {
            "shared" => Some(Self::Shared),
            "personal" => Some(Self::Personal),
            _ => None,
        }
    }
}

/// A path of folders as the server wants it: absolute, no slash at the end. `None` for what is no such path.
pub(super) fn folder_path(text: &str) -> Option<String> {
    let parts: Vec<_> = text.trim_matches('/').split('/').collect();
    if parts == [""] {
        return Some("/".to_owned());
    }
    let is_good = |part: &&str| !matches!(*part, "" | "." | "..");
    parts.iter().all(is_good).then(|| format!("/{}", parts.join("/")))
}

fn wanted(reference: &Reference, is_well_formed: bool) -> Result<Wanted, Vec<Diagnostic>> {
    let span = reference.span();
    let mut wrong = reference.check_options(OPTIONS).err().unwrap_or_default();
    if !is_well_formed {
        wrong.push(
            Diagnostic::error(span, "this is not the name of a secret").help(
                "Write `infisical:///KEY`, with three slashes; folders go into the option: `infisical:///KEY?path=/a/b`.",
            ),
        );
    }
    let mut option = |name: &str| {
        let text = reference.option(name)?;
        if text.trim().is_empty() {
            wrong.push(
                Diagnostic::error(span, format!("`{name}` is empty"))
                    .help("Leave it out to take the one of the settings."),
            );
        }
        Some(text.to_owned())
    };
    let [environment, path, project, sharing] = ["env", "path", "project_id", "type"].map(&mut option);
    let path = path.map(|path| {
        folder_path(&path).unwrap_or_else(|| {
            wrong.push(
                Diagnostic::error(span, "`path` is not a path of folders")
                    .help("Write it like `path=/app/db`."),
            );
            path
        })
    });
    let sharing = sharing.and_then(|word| {
        let sharing = Sharing::parse(&word);
        if sharing.is_none() {
            wrong.push(
                Diagnostic::error(span, format!("`{word}` is no type of secret"))
                    .help("The types are `shared` and `personal`.")
                    .did_you_mean(&word, SHARINGS.iter().copied()),
            );
        }
        sharing
    });
    match wrong.is_empty() {
        true => Ok(Wanted {
            key: None,
            environment,
            path,
            project,
            sharing,
        }),
        false => Err(wrong),
    }
}

impl fmt::Display for Wanted {
    /// Equal texts are the same read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |text: &Option<String>| match text {
            Some(text) => text.replace('%', "%25").replace('&', "%26").replace('*', "%2A"),
            None => "*".to_owned(),
        };
        let [project, environment, path, key] =
            [&self.project, &self.environment, &self.path, &self.key].map(part);
        write!(f, "{project}&{environment}&{path}&{key}")?;
        match self.sharing {
            None => Ok(()),
            Some(Sharing::Shared) => f.write_str("&shared"),
            Some(Sharing::Personal) => f.write_str("&personal"),
        }
    }
}
