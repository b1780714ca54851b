//! What a rotation has to do: where the value is in force, and who has to start again, in which order.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use locket_core::suggest;

use crate::images::{self, Image, Recipe, Role};
use crate::model::{Definition, Origin, Project, Service};

/// The label of a service whose value nobody knows how to change: a program that does.
pub const EXEC_LABEL: &str = "locket.rotate.exec";

/// What the rotation of one secret has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// The secret.
    pub secret: String,
    /// Its file.
    pub path: PathBuf,
    /// Where the value is in force and has to be changed first.
    pub inside: Option<Inside>,
    /// A program that changes it, as a label says.
    pub exec: Option<String>,
    /// Secrets that are made of this one, with their files.
    pub derived: Vec<(String, PathBuf)>,
    /// The services that start again, each behind those that it depends on.
    pub dependents: Vec<String>,
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

/// Why a secret cannot be rotated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The project has no such secret; the nearest that it has.
    Unknown(Option<String>),
    /// It has no file: where it comes from instead.
    Elsewhere(&'static str),
    /// A service keeps data behind it, and nobody knows how to change it there: the service and its image.
    Unchangeable(String, String),
}

/// Decides what the rotation of `name` has to do. `derived` are the secrets that are made of it.
///
/// # Errors
/// It cannot be rotated.
pub fn plan(project: &Project, name: &str, derived: &[String], has_exec: bool) -> Result<Rotation, Refused> {
    let Some(definition) = project.secret(name) else {
        let names = project.secrets.iter().map(|secret| secret.name.as_str());
        return Err(Refused::Unknown(suggest::nearest(name, names).map(str::to_owned)));
    };
    let path = file_of(definition)?;
    let derived: Vec<_> = derived
        .iter()
        .filter_map(|name| {
            let definition = project.secret(name)?;
            Some((name.clone(), file_of(definition).ok()?))
        })
        .collect();
    let holders: Vec<&Service> = project.users_of(name).collect();
    let exec = holders.iter().find_map(|service| {
        let label = service.labels.iter().find(|label| label.name == EXEC_LABEL)?;
        label.value.as_ref().map(|text| text.value.clone())
    });
    let mut inside = None;
    for service in &holders {
        let Some(image) = service
            .image
            .as_ref()
            .and_then(|image| images::find(&image.value))
        else {
            continue;
        };
        let Some(role) = role(service, image, name) else {
            continue;
        };
        match (image.recipe, has_exec || exec.is_some()) {
            (_, true) => {}
            (Some(recipe), false) => inside = Some(within(service, image, recipe, role)),
            (None, false) if image.database => {
                return Err(Refused::Unchangeable(service.name.clone(), image.title.clone()));
            }
            (None, false) => {}
        }
    }
    let derived_names = derived.clone();
    let mut waiting: BTreeSet<&str> = holders.iter().map(|service| service.name.as_str()).collect();
    for (derived, _) in &derived_names {
        waiting.extend(project.users_of(derived).map(|service| service.name.as_str()));
    }
    if let Some(inside) = &inside {
        waiting.remove(inside.service.as_str());
    }
    Ok(Rotation {
        secret: name.to_owned(),
        path,
        inside,
        exec,
        derived,
        dependents: ordered(project, &waiting),
    })
}

/// Whose secret `name` is in `service`, when the service is where it is in force.
fn role(service: &Service, image: &Image, name: &str) -> Option<Role> {
    let grant = service.secrets.iter().find(|grant| grant.source == name)?;
    let path = grant.secret_path();
    let by_file = image.secrets.iter().find(|secret| {
        let file = secret.file.as_deref().and_then(|file| service.variable(file));
        file.and_then(|variable| variable.value.as_ref())
            .is_some_and(|text| text.value.strip_prefix(secret.prefix.as_str()) == Some(path.as_str()))
    });
    if let Some(secret) = by_file {
        return secret.role;
    }
    // A start command says which file it reads, and what for: others of the image may read it to log in.
    let start = image.start.as_ref()?;
    let secret = image.secrets.iter().find(|secret| secret.file.is_none())?;
    let purpose = start.config.as_ref().unwrap_or(&secret.variable);
    let mut words = service
        .entrypoint
        .iter()
        .chain(&service.command)
        .map(crate::model::Words::text);
    words
        .any(|text| text.contains(&path) && text.contains(purpose.as_str()))
        .then_some(secret.role?)
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
    let (user, database) = match (recipe, role) {
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

fn file_of(definition: &Definition) -> Result<PathBuf, Refused> {
    match &definition.origin {
        Origin::File { path, .. } => Ok(path.clone()),
        Origin::Environment(_) => Err(Refused::Elsewhere(
            "it comes from a variable of whoever calls Compose",
        )),
        Origin::Content(_) => Err(Refused::Elsewhere("it stands in the Compose file itself")),
        Origin::External(_) | Origin::Driver(_) => Err(Refused::Elsewhere("the swarm keeps it")),
        Origin::Nothing => Err(Refused::Elsewhere("it says not where it comes from")),
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use locket_core::Environment;

    use super::*;
    use crate::{Files, Request, Unreadable, load};

    struct One(&'static str);

    impl Files for One {
        fn read(&self, path: &Path) -> Result<String, Unreadable> {
            match path.ends_with("compose.yaml") {
                true => Ok(self.0.to_owned()),
                false => Err(Unreadable::Missing),
            }
        }

        fn exists(&self, path: &Path) -> bool {
            path.ends_with("compose.yaml")
        }
    }

    fn project(text: &'static str) -> Project {
        let request = Request {
            directory: "/p".into(),
            ..Request::default()
        };
        load(&request, &One(text), &Environment::default()).unwrap()
    }

    const SHOP: &str = "services:
  web:
    image: shop
    depends_on: [api]
    secrets: [pw]
  api:
    image: shop
    depends_on: [db, jobs]
    secrets: [url]
  jobs:
    image: shop
    depends_on: [db]
    secrets: [pw]
  db:
    image: postgres:17
    environment: {POSTGRES_USER: app, POSTGRES_PASSWORD_FILE: /run/secrets/pw}
    secrets: [pw]
  cache:
    image: redis:7
    entrypoint: [sh, -c, 'redis-server --requirepass $$(cat /run/secrets/cache)']
    secrets: [cache]
  client:
    image: redis:7
    entrypoint: [sh, -c, 'redis-cli -a $$(cat /run/secrets/cache)']
    secrets: [cache]
  docs:
    image: mongo
    environment: {MONGO_INITDB_ROOT_PASSWORD_FILE: /run/secrets/docs}
    secrets: [docs]
  mail:
    image: exim
    secrets: [mail]
    labels: {locket.rotate.exec: change-mail}
secrets:
  pw: {file: ./secrets/pw.txt}
  url: {file: ./secrets/url.txt}
  cache: {file: ./secrets/cache.txt}
  docs: {file: ./secrets/docs.txt}
  mail: {file: ./secrets/mail.txt}
  swarm: {external: true}
";

    #[test]
    fn the_value_is_changed_where_it_is_in_force_and_dependents_follow_in_order() {
        let plan = plan(&project(SHOP), "pw", &["url".to_owned()], false).unwrap();
        let inside = plan.inside.unwrap();
        assert_eq!((inside.service.as_str(), inside.recipe), ("db", Recipe::Postgres));
        assert_eq!((inside.user.as_str(), inside.database.as_str()), ("app", "app"));
        assert_eq!(plan.dependents, ["jobs", "api", "web"]);
        assert_eq!(plan.derived, [("url".to_owned(), "/p/secrets/url.txt".into())]);
    }

    #[test]
    fn a_start_command_tells_whose_password_a_file_is() {
        let plan = plan(&project(SHOP), "cache", &[], false).unwrap();
        assert_eq!(plan.inside.unwrap().recipe, Recipe::Redis);
        assert_eq!(plan.dependents, ["client"], "who only logs in is none");
    }

    #[test]
    fn what_nobody_can_change_is_refused_unless_a_program_can() {
        let shop = project(SHOP);
        assert_eq!(
            plan(&shop, "docs", &[], false),
            Err(Refused::Unchangeable("docs".into(), "MongoDB".into()))
        );
        assert!(plan(&shop, "docs", &[], true).is_ok());
        assert_eq!(
            plan(&shop, "mail", &[], false).unwrap().exec.as_deref(),
            Some("change-mail")
        );
        assert_eq!(
            plan(&shop, "pv", &[], false),
            Err(Refused::Unknown(Some("pw".into())))
        );
        assert!(matches!(
            plan(&shop, "swarm", &[], false),
            Err(Refused::Elsewhere(_))
        ));
    }
}
