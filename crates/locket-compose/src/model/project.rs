//! The whole of a project.

use std::path::PathBuf;

use super::{Definition, Service};
use crate::load::{Mistake, Variables};
use crate::place::{Place, Sources};

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
    /// Everything that was read.
    pub sources: Sources,
    /// Everything that Compose would refuse.
    pub mistakes: Vec<Mistake>,
    /// What `${NAME}` stands for at the top.
    pub variables: Variables,
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
    pub options: Vec<super::Variable>,
    /// Whether it exists already.
    pub is_external: bool,
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
