//! Where the value of a secret is kept, beside the services that hold it.

use std::path::PathBuf;

use locket_core::suggest;

use super::plan::Refused;
use crate::model::{Origin, Project};

/// Where the value of a secret is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// In a file.
    File(PathBuf),
    /// In the embedded store, under this name.
    Store(String),
    /// By the swarm, under this name.
    Swarm(String),
}

/// How much of a text a reference is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// The text is the value alone.
    Whole,
    /// The value is in it.
    Part,
}

/// The places that a text refers to.
pub type References<'a> = &'a dyn Fn(&str) -> Vec<(Kept, Extent)>;

/// Where the project keeps the secret `name`: one of its own secrets, or one that its variables refer to.
///
/// # Errors
/// There is none of this name, or it is kept nowhere where it could be changed.
pub fn kept(project: &Project, name: &str, references: References<'_>) -> Result<Kept, Refused> {
    if let Some(definition) = project.secret(name) {
        return match &definition.origin {
            Origin::File { path, .. } => Ok(Kept::File(path.clone())),
            Origin::External(object) => Ok(Kept::Swarm(object.clone())),
            Origin::Environment(variable) => {
                let text = project.variables.get(&variable.value).unwrap_or_default();
                let whole = references(text)
                    .into_iter()
                    .find(|(_, extent)| *extent == Extent::Whole);
                whole.map(|(kept, _)| kept).ok_or(Refused::Elsewhere(
                    "it comes from a variable of whoever calls Compose",
                ))
            }
            Origin::Content(_) => Err(Refused::Elsewhere("it stands in the Compose file itself")),
            Origin::Driver(_) => Err(Refused::Elsewhere("a driver of the swarm gives it")),
            Origin::Nothing => Err(Refused::Elsewhere("it says not where it comes from")),
        };
    }
    let referred: Vec<_> = referred(project, references);
    match referred.iter().find(|kept| kept.name() == name) {
        Some(kept) => Ok(kept.clone()),
        None => {
            let own = project.secrets.iter().map(|secret| secret.name.clone());
            let names: Vec<_> = own.chain(referred.iter().map(Kept::name)).collect();
            let near = suggest::nearest(name, names.iter().map(String::as_str));
            Err(Refused::Unknown(near.map(str::to_owned)))
        }
    }
}

/// Every place that variables of the project, and what its services are given, refer to.
pub fn referred(project: &Project, references: References<'_>) -> Vec<Kept> {
    let of_files = project.env_texts.iter().flat_map(|text| &text.variables);
    let of_files = of_files.filter_map(|variable| Some(variable.value.as_ref()?.value.as_str()));
    let of_services = project.services.iter().flat_map(super::plan::texts);
    let mut found = Vec::new();
    for (kept, _) in of_files.chain(of_services).flat_map(references) {
        if !found.contains(&kept) {
            found.push(kept);
        }
    }
    found
}

impl Kept {
    /// What people call the secret: the name of its file without the ending, or its name there.
    pub fn name(&self) -> String {
        match self {
            Self::File(path) => path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            Self::Store(name) | Self::Swarm(name) => name.clone(),
        }
    }
}
