//! Where a value is in force, and who has to start again when it changes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::kept::{Extent, Kept, References};
use crate::images::{self, Image, Recipe, Role};
use crate::model::{Grant, Origin, Project, Service, Words};

/// The label of a service whose value nobody knows how to change: a program that does.
pub const EXEC_LABEL: &str = "locket.rotate.exec";

/// What is to be rotated.
pub struct Asked<'a> {
    /// What its user calls it.
    pub secret: &'a str,
    /// Where it is kept.
    pub kept: &'a Kept,
    /// Secrets of the project that are made of it.
    pub derived: &'a [String],
    /// Whether its user names a program that changes it inside.
    pub has_exec: bool,
    /// The places that a text refers to.
    pub references: References<'a>,
}

/// What the rotation of one secret has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// The secret.
    pub secret: String,
    /// Where its value is kept.
    pub kept: Kept,
    /// Where the value is in force and has to be changed first.
    pub inside: Vec<Inside>,
    /// A program that changes it, as a label says.
    pub exec: Option<String>,
    /// Secrets that are made of this one, with their files.
    pub derived: Vec<(String, PathBuf)>,
    /// The services that start again, each behind those that it depends on.
    pub dependents: Vec<Dependent>,
}

/// A value inside a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inside {
    /// The service.
    pub service: String,
    /// How its password is changed.
    pub recipe: Recipe,
    /// Whose password it is.
    pub user: String,
    /// The database that is asked, where that matters.
    pub database: String,
}

/// A service that starts again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependent {
    /// Its name.
    pub service: String,
    /// How it comes by the new value.
    pub way: Way,
}

/// How a service comes by a new value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// It reads a file when it starts.
    Restart,
    /// Its container was made with the value, and is made anew.
    Recreate,
    /// The same, behind a provider that gives the value.
    Provide,
}

/// Why a secret cannot be rotated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The project has no such secret; the nearest that it has.
    Unknown(Option<String>),
    /// It is kept where it cannot be changed: where instead.
    Elsewhere(&'static str),
    /// Nothing in the project refers to it, so that nobody knows where it is in force.
    Unused,
    /// A service keeps data behind it, and nobody knows how to change it there: the service and its image.
    Unchangeable(String, String),
}

/// Decides what the rotation of a secret has to do.
///
/// # Errors
/// It cannot be rotated.
pub fn plan(project: &Project, asked: &Asked<'_>) -> Result<Rotation, Refused> {
    let value = Value::of(project, asked);
    let exec = project.services.iter().find_map(|service| {
        value.way(service)?;
        let label = service.labels.iter().find(|label| label.name == EXEC_LABEL)?;
        label.value.as_ref().map(|text| text.value.clone())
    });
    let mut inside = Vec::new();
    let mut waiting: BTreeMap<&str, Way> = BTreeMap::new();
    // Servers whose container was made with the value: they take the new one now, and are made anew at the end.
    let mut last = Vec::new();
    for service in &project.services {
        let Some(way) = value.way(service) else {
            continue;
        };
        waiting.insert(&service.name, way);
        let Some(image) = service
            .image
            .as_ref()
            .and_then(|image| images::find(&image.value))
        else {
            continue;
        };
        if asked.has_exec || exec.is_some() {
            continue;
        }
        for role in value.roles(service, image) {
            match (image.recipe, role) {
                (Some(recipe), Some(role)) => {
                    let one = within(service, image, recipe, role);
                    if !inside.contains(&one) {
                        inside.push(one);
                    }
                    if waiting.remove(service.name.as_str()).is_some()
                        && role == Role::Server
                        && way == Way::Recreate
                    {
                        last.push(Dependent {
                            service: service.name.clone(),
                            way,
                        });
                    }
                }
                _ if image.database => {
                    return Err(Refused::Unchangeable(service.name.clone(), image.title.clone()));
                }
                _ => {}
            }
        }
    }
    let is_definition = project
        .secrets
        .iter()
        .any(|secret| value.aliases.contains(secret.name.as_str()));
    if waiting.is_empty() && inside.is_empty() && !is_definition && !asked.has_exec {
        return Err(Refused::Unused);
    }
    let derived = asked.derived.iter().filter_map(|name| {
        let Origin::File { path, .. } = &project.secret(name)?.origin else {
            return None;
        };
        Some((name.clone(), path.clone()))
    });
    let names = waiting.keys().copied().collect();
    let dependents = ordered(project, &names).into_iter().map(|service| Dependent {
        way: waiting.get(service.as_str()).copied().unwrap_or(Way::Restart),
        service,
    });
    Ok(Rotation {
        secret: asked.secret.to_owned(),
        kept: asked.kept.clone(),
        inside,
        exec,
        derived: derived.collect(),
        dependents: dependents.chain(last).collect(),
    })
}

/// The value in a project, under all the names that it goes by there.
struct Value<'a> {
    kept: &'a Kept,
    references: References<'a>,
    /// Secrets of the project that hold it, or something made of it.
    aliases: BTreeSet<&'a str>,
    /// Those whose value is copied into a container when it is made.
    copied: BTreeSet<&'a str>,
    /// Those that hold it as it is.
    whole: BTreeSet<&'a str>,
    /// Services that stand in for a provider which gives it.
    providers: BTreeSet<&'a str>,
}

impl<'a> Value<'a> {
    fn of(project: &'a Project, asked: &Asked<'a>) -> Self {
        let mut value = Self {
            kept: asked.kept,
            references: asked.references,
            aliases: asked
                .derived
                .iter()
                .filter_map(|name| Some(project.secret(name)?.name.as_str()))
                .collect(),
            copied: BTreeSet::new(),
            whole: BTreeSet::new(),
            providers: BTreeSet::new(),
        };
        for secret in &project.secrets {
            let extent = match &secret.origin {
                Origin::File { path, .. } => {
                    (*asked.kept == Kept::File(path.clone())).then_some(Extent::Whole)
                }
                Origin::External(object) => {
                    (*asked.kept == Kept::Swarm(object.clone())).then_some(Extent::Whole)
                }
                Origin::Environment(variable) => {
                    let extent = project
                        .variables
                        .get(&variable.value)
                        .and_then(|text| value.extent(text));
                    if extent.is_some() {
                        value.copied.insert(&secret.name);
                    }
                    extent
                }
                Origin::Content(_) | Origin::Driver(_) | Origin::Nothing => None,
            };
            if extent.is_some() {
                value.aliases.insert(&secret.name);
            }
            if extent == Some(Extent::Whole) {
                value.whole.insert(&secret.name);
            }
        }
        let gives = |service: &&Service| {
            let options = service.provider.iter().flat_map(|provider| &provider.options);
            let mut texts = options.filter_map(|option| Some(option.value.as_ref()?.value.as_str()));
            // `NAME=TEMPLATE`, or whatever else an option takes.
            texts.any(|text| {
                let behind = text.split_once('=').map_or(text, |(_, behind)| behind);
                value.extent(text).or_else(|| value.extent(behind)).is_some()
            })
        };
        let providers = project.services.iter().filter(gives);
        value.providers = providers.map(|service| service.name.as_str()).collect();
        value
    }

    /// How much of a text the value is.
    fn extent(&self, text: &str) -> Option<Extent> {
        let found = (self.references)(text).into_iter();
        found
            .filter(|(kept, _)| kept == self.kept)
            .map(|(_, extent)| extent)
            .next()
    }

    /// How a service comes by the value; `None` for one that has nothing to do with it.
    fn way(&self, service: &Service) -> Option<Way> {
        if service.provider.is_some() {
            return None;
        }
        let granted = service.secrets.iter().filter_map(|grant| {
            let name = grant.source.as_str();
            let way = match self.copied.contains(name) {
                true => Way::Recreate,
                false => Way::Restart,
            };
            self.aliases.contains(name).then_some(way)
        });
        let held = texts(service)
            .any(|text| self.extent(text).is_some())
            .then_some(Way::Recreate);
        let given = service
            .depends_on
            .iter()
            .any(|dependency| self.providers.contains(dependency.service.as_str()))
            .then_some(Way::Provide);
        granted.chain(held).chain(given).max()
    }

    /// Whose secret it is in `service`, where it is in force there; `None` for somebody whom nobody knows.
    fn roles(&self, service: &Service, image: &Image) -> Vec<Option<Role>> {
        let grants = service.secrets.iter();
        let paths: Vec<_> = grants
            .filter(|grant| self.whole.contains(grant.source.as_str()))
            .map(Grant::secret_path)
            .collect();
        let text_of = |name: &str| {
            let value = service.variable(name)?.value.as_ref()?;
            Some(value.value.as_str())
        };
        let by_variable = image.secrets.iter().filter(|secret| {
            let file = secret.file.as_deref().and_then(text_of);
            let path = file.and_then(|text| text.strip_prefix(secret.prefix.as_str()));
            let value = text_of(&secret.variable).and_then(|text| self.extent(text));
            path.is_some_and(|text| paths.iter().any(|path| path == text)) || value == Some(Extent::Whole)
        });
        let roles: Vec<_> = by_variable.map(|secret| secret.role).collect();
        if !roles.is_empty() {
            return roles;
        }
        // A start command says which file it reads, and what for: others of the image may read it to log in.
        let Some(start) = &image.start else {
            return Vec::new();
        };
        let Some(secret) = image.secrets.iter().find(|secret| secret.file.is_none()) else {
            return Vec::new();
        };
        let purpose = start.config.as_ref().unwrap_or(&secret.variable);
        let mut words = service.entrypoint.iter().chain(&service.command).map(Words::text);
        let is_read = words.any(|text| {
            let is_named = paths.iter().any(|path| text.contains(path.as_str()));
            text.contains(purpose.as_str()) && (is_named || self.extent(&text).is_some())
        });
        match is_read {
            true => vec![secret.role],
            false => Vec::new(),
        }
    }
}

/// What a container is made with that may hold a value.
pub(super) fn texts(service: &Service) -> impl Iterator<Item = &str> {
    let test = service.healthcheck.iter().filter_map(|check| check.test.as_ref());
    let words = service.entrypoint.iter().chain(&service.command).chain(test);
    let words = words.flat_map(|words| words.words.iter().map(|word| word.value.as_str()));
    let variables = service.resolved.iter().chain(&service.labels);
    let values = variables.filter_map(|variable| Some(variable.value.as_ref()?.value.as_str()));
    values.chain(words)
}

fn within(service: &Service, image: &Image, recipe: Recipe, role: Role) -> Inside {
    let value = |name: &str| {
        let variable = service.variable(name)?;
        variable
            .value
            .as_ref()
            .map(|text| text.value.clone())
            .filter(|value| !value.is_empty())
    };
    let named = || image.user.as_deref().and_then(value);
    let has_users = image.secrets.iter().any(|secret| secret.role == Some(Role::User));
    let (user, database) = match (recipe, role) {
        // Where the image makes a user of its own, the variable names that one.
        (Recipe::Postgres, Role::Superuser) if has_users => ("postgres".to_owned(), "postgres".to_owned()),
        (Recipe::Postgres, _) => {
            let user = named().unwrap_or_else(|| "postgres".to_owned());
            let database = value("POSTGRES_DB").unwrap_or_else(|| user.clone());
            (user, database)
        }
        (Recipe::Mysql, Role::Superuser) => ("root".to_owned(), String::new()),
        (Recipe::Mysql, _) => {
            let user = named()
                .or_else(|| value("MYSQL_USER"))
                .unwrap_or_else(|| "root".to_owned());
            (user, String::new())
        }
        (Recipe::Redis, _) => ("default".to_owned(), String::new()),
    };
    Inside {
        service: service.name.clone(),
        recipe,
        user,
        database,
    }
}

/// `names`, each behind those of them that it depends on; services in a circle in the order of the project.
fn ordered(project: &Project, names: &BTreeSet<&str>) -> Vec<String> {
    let mut after: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for service in &project.services {
        let mut reached = BTreeSet::new();
        let mut open = vec![service];
        while let Some(service) = open.pop() {
            for dependency in &service.depends_on {
                if reached.insert(dependency.service.as_str()) {
                    open.extend(project.service(&dependency.service));
                }
            }
        }
        after.insert(&service.name, reached);
    }
    let mut left: Vec<&str> = project
        .services
        .iter()
        .map(|service| service.name.as_str())
        .filter(|name| names.contains(name))
        .collect();
    let mut ordered = Vec::new();
    while !left.is_empty() {
        let free = left.iter().position(|name| {
            let waits =
                |other: &&str| other != name && after.get(name).is_some_and(|after| after.contains(other));
            !left.iter().any(waits)
        });
        ordered.push(left.remove(free.unwrap_or(0)).to_owned());
    }
    ordered
}
