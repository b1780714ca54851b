//! The whole of a project.

use std::path::PathBuf;

use locket_core::env_file;

use super::{Definition, Service, Text, Variable};
use crate::load::{Mistake, Variables};
use crate::place::{Place, SourceId, Sources};

/// A project as Compose would see it, with the place of everything.
#[derive(Clone, Debug)]
pub struct Project {
    /// Its name.
    pub name: String,
    /// The directory that relative paths of its files count from.
    pub directory: PathBuf,
    /// Its services, in the order in which they were written.
    pub services: Vec<Service>,
    /// `secrets:` at the top.
    pub secrets: Vec<Definition>,
    /// `configs:` at the top.
    pub configs: Vec<Definition>,
    /// `volumes:` at the top.
    pub volumes: Vec<VolumeDefinition>,
    /// Every file of variables that was read, in that order; one that several services name is there several times.
    pub env_texts: Vec<EnvText>,
    /// Everything that was read.
    pub sources: Sources,
    /// Everything that Compose would refuse.
    pub mistakes: Vec<Mistake>,
    /// What `${NAME}` stands for at the top.
    pub variables: Variables,
}

/// A file of variables.
#[derive(Clone, Debug)]
pub struct EnvText {
    /// Its text.
    pub source: SourceId,
    /// Its variables, with the place of each name and value.
    pub variables: Vec<Variable>,
}

/// A volume with a name.
#[derive(Clone, Debug)]
pub struct VolumeDefinition {
    /// Its name.
    pub name: String,
    /// Where the name stands.
    pub place: Place,
    /// Its driver; none is the engine's own.
    pub driver: Option<String>,
    /// The options of the driver.
    pub options: Vec<Variable>,
    /// Whether it exists already.
    pub is_external: bool,
}

impl EnvText {
    /// The variables of `text` with their places.
    pub(crate) fn new(source: SourceId, text: &str, read: &[env_file::Variable]) -> Self {
        let variables = read
            .iter()
            .map(|variable| {
                let whole = Place::new(source, variable.span);
                let statement = text
                    .get(variable.span.start..variable.span.end)
                    .unwrap_or_default();
                let at = statement.find(['=', ':']);
                let behind = at.map_or("", |at| &statement[at + 1..]);
                let written = behind.trim();
                let start = statement.len() - behind.trim_start().len();
                let name = statement.find(&variable.name).unwrap_or_default();
                Variable {
                    name: variable.name.clone(),
                    place: whole.part(name, name + variable.name.len()),
                    value: Some(Text {
                        value: variable.template.clone(),
                        written: written.to_owned(),
                        place: whole.part(start, start + written.len()),
                    }),
                }
            })
            .collect();
        Self { source, variables }
    }
}

impl Project {
    /// The service `name`.
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.name == name)
    }

    /// The secret `name`.
    pub fn secret(&self, name: &str) -> Option<&Definition> {
        self.secrets.iter().find(|secret| secret.name == name)
    }

    /// The volume `name`.
    pub fn volume(&self, name: &str) -> Option<&VolumeDefinition> {
        self.volumes.iter().find(|volume| volume.name == name)
    }

    /// Who gets the secret `name`.
    pub fn users_of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Service> {
        let gets = move |service: &&Service| service.secrets.iter().any(|grant| grant.source == name);
        self.services.iter().filter(gets)
    }
}

impl VolumeDefinition {
    /// Whether it is memory: `driver_opts: {type: tmpfs}`.
    pub fn is_tmpfs(&self) -> bool {
        let is = |name: &str, value: &str| {
            self.options.iter().any(|option| {
                option.name == name && option.value.as_ref().is_some_and(|text| text.value == value)
            })
        };
        is("type", "tmpfs")
    }
}
