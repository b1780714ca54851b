//! What an earlier run wrote: names that stay, and what can no longer be told from the project, since its plain values
//! have been taken out of it.

use std::collections::BTreeMap;

use super::decision::{Change, Variable};
use super::start::{self, Start};
use crate::model::{Project, Service, Words};

const PLACE: &str = "/run/secrets/";

/// The override of an earlier run.
#[derive(Clone, Debug, Default)]
pub struct Earlier {
    services: BTreeMap<String, Known>,
}

#[derive(Clone, Debug)]
struct Known {
    /// Variables that name secret files.
    variables: Vec<Variable>,
    secrets: Vec<String>,
    start: Option<Start>,
    health: Option<Vec<String>>,
}

impl Earlier {
    /// Reads it from the override alone.
    pub fn of(project: &Project) -> Self {
        let given = project
            .services
            .iter()
            .filter(|service| !service.secrets.is_empty());
        Self {
            services: given
                .map(|service| (service.name.clone(), known(service)))
                .collect(),
        }
    }

    /// The services that were given secrets.
    pub fn services(&self) -> impl Iterator<Item = &str> {
        self.services.keys().map(String::as_str)
    }

    /// The secret that `variable` of a service names the file of.
    pub(super) fn secret(&self, service: &str, variable: &str) -> Option<&str> {
        let known = self.services.get(service)?;
        let found = known.variables.iter().find(|known| known.name == variable)?;
        found.value.split_once(PLACE).map(|(_, name)| name)
    }

    /// Puts what is missing in the changes of the service `name` there again. Gives the secrets that come with it.
    pub(super) fn keep(&self, name: &str, change: &mut Change) -> Vec<String> {
        let Some(known) = self.services.get(name) else {
            return Vec::new();
        };
        for variable in &known.variables {
            if !change.variables.iter().any(|there| there.name == variable.name) {
                change.variables.push(variable.clone());
            }
        }
        if change.start.is_none() {
            change.start.clone_from(&known.start);
        }
        if change.health.is_none() {
            change.health.clone_from(&known.health);
        }
        let mut kept = Vec::new();
        for secret in &known.secrets {
            if !change.secrets.contains(secret) {
                change.secrets.push(secret.clone());
                kept.push(secret.clone());
            }
        }
        kept
    }
}

fn known(service: &Service) -> Known {
    let variables: Vec<Variable> = service
        .environment
        .iter()
        .filter_map(|variable| {
            let value = variable.value.as_ref()?.value.clone();
            value.contains(PLACE).then(|| Variable {
                name: variable.name.clone(),
                value,
            })
        })
        .collect();
    let written =
        |words: &Words| -> Vec<String> { words.words.iter().map(|word| word.written.clone()).collect() };
    let start = service.entrypoint.as_ref().map(|entrypoint| Start {
        entrypoint: written(entrypoint),
        command: service.command.as_ref().map(written).unwrap_or_default(),
    });
    // A start command that no shell runs is not kept, nor a secret that only it read.
    let broken: Vec<String> = start
        .iter()
        .flat_map(|start| &start.entrypoint)
        .flat_map(|word| start::misassigned(word))
        .map(str::to_owned)
        .collect();
    let is_read = |secret: &String| {
        let is_named = |variable: &Variable| {
            variable
                .value
                .split_once(PLACE)
                .is_some_and(|(_, name)| name == secret)
        };
        !broken.contains(secret) || variables.iter().any(is_named)
    };
    let secrets = service.secrets.iter().map(|grant| grant.source.clone());
    Known {
        secrets: secrets.filter(is_read).collect(),
        start: start.filter(|_| broken.is_empty()),
        health: service
            .healthcheck
            .as_ref()
            .and_then(|health| health.test.as_ref())
            .map(written),
        variables,
    }
}
