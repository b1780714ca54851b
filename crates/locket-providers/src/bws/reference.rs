//! `bws://UUID` and `bws://project/key`. Asks nobody.

use std::fmt;
use std::sync::Arc;

use locket_core::{Diagnostic, Locator, Reference};

/// What a reference asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The secret of this id.
    Id(Uuid),
    /// The secret of this key in a project.
    Key { project: Project, key: String },
    /// Every secret of a project.
    Every(Project),
}

/// How a reference names a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Project {
    Id(Uuid),
    Name(String),
}

/// A UUID in the spelling of the server: lower case, with hyphens.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Uuid(Arc<str>);

/// Turns a reference into a locator that carries a [`Wanted`].
///
/// # Errors
/// The reference can never name a secret.
pub(super) fn parse(reference: &Reference) -> Result<Locator, Vec<Diagnostic>> {
    reference.check_options(&[])?;
    let wanted = match &parts(reference)?[..] {
        [id] => match Uuid::parse(id) {
            Some(id) => Wanted::Id(id),
            None => return Err(wrong(reference, "a project or a key is missing")),
        },
        [project, key] => Wanted::Key {
            project: Project::parse(project),
            key: key.clone(),
        },
        _ => return Err(wrong(reference, "this reference has too many parts")),
    };
    Ok(Locator::new(wanted.to_string(), "", wanted))
}

/// Turns `project/` of a `REF/*` into a locator for all secrets of a project.
///
/// # Errors
/// It can never name a project.
pub(super) fn parse_every(reference: &Reference) -> Result<Locator, Vec<Diagnostic>> {
    let of_project = || {
        vec![
            Diagnostic::error(reference.span(), "`*` stands for all secrets of a project")
                .help("Write `bws://project/*`."),
        ]
    };
    reference.check_options(&[])?;
    if !reference.locator().ends_with('/') {
        return Err(of_project());
    }
    let with_key = reference.with_key("key");
    match &parts(&with_key)?[..] {
        [project, _] => {
            let wanted = Wanted::Every(Project::parse(project));
            Ok(Locator::every(wanted.to_string(), "", wanted))
        }
        _ => Err(of_project()),
    }
}

impl Project {
    fn parse(text: &str) -> Self {
        match Uuid::parse(text) {
            Some(id) => Self::Id(id),
            None => Self::Name(text.to_owned()),
        }
    }
}

impl Uuid {
    /// A UUID with hyphens, in either case; `None` for anything else.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut groups = text.split('-');
        let shaped = [8, 4, 4, 4, 12].iter().all(|length| {
            groups.next().is_some_and(|group| {
                group.len() == *length && group.bytes().all(|byte| byte.is_ascii_hexdigit())
            })
        });
        (shaped && groups.next().is_none()).then(|| Self(text.to_ascii_lowercase().into()))
    }

    /// Its text.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

fn parts(reference: &Reference) -> Result<Vec<String>, Vec<Diagnostic>> {
    let parts: Vec<String> = reference.segments().into_iter().map(Into::into).collect();
    match parts.iter().any(|part| part.trim().is_empty()) {
        true => Err(wrong(reference, "a part of this reference is empty")),
        false => Ok(parts),
    }
}

fn wrong(reference: &Reference, message: &str) -> Vec<Diagnostic> {
    let scheme = reference.scheme();
    vec![Diagnostic::error(reference.span(), message).help(format!(
        "Write `{scheme}://project/key`, or `{scheme}://` and the id of a secret; a slash in a name is `%2F`."
    ))]
}

impl fmt::Display for Wanted {
    /// Equal texts are the same read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Key { project, key } => write!(f, "{project}/{}", encoded(key)),
            Self::Every(project) => write!(f, "{project}/"),
        }
    }
}

impl fmt::Display for Project {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Name(name) => f.write_str(&encoded(name)),
        }
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn encoded(text: &str) -> String {
    text.replace('%', "%25").replace('/', "%2F")
}
