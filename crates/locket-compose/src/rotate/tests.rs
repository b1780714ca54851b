//! Plans of rotations, on projects in memory.

use std::path::Path;

use locket_core::Environment;

use super::*;
use crate::images::Recipe;
use crate::{Files, Project, Request, Unreadable, load};

struct Texts(&'static str, &'static str);

impl Files for Texts {
    fn read(&self, path: &Path) -> Result<String, Unreadable> {
        match path.file_name().and_then(|name| name.to_str()) {
            Some("compose.yaml") => Ok(self.0.to_owned()),
            Some(".env") => Ok(self.1.to_owned()),
            _ => Err(Unreadable::Missing),
        }
    }

    fn exists(&self, path: &Path) -> bool {
        path.ends_with("compose.yaml") || (path.ends_with(".env") && !self.1.is_empty())
    }
}

fn project(text: &'static str, env: &'static str) -> Project {
    let request = Request {
        directory: "/p".into(),
        ..Request::default()
    };
    load(&request, &Texts(text, env), &Environment::default()).unwrap()
}

/// Knows `{{ store://NAME }}` alone.
fn references(text: &str) -> Vec<(Kept, Extent)> {
    let mut found = Vec::new();
    for part in text.split("{{ store://").skip(1) {
        let name = part.split([' ', '}']).next().unwrap_or_default();
        let extent = match text == format!("{{{{ store://{name} }}}}") {
            true => Extent::Whole,
            false => Extent::Part,
        };
        found.push((Kept::Store(name.to_owned()), extent));
    }
    found
}

fn planned(project: &Project, name: &str, derived: &[&str], has_exec: bool) -> Result<Rotation, Refused> {
    let kept = kept(project, name, &references)?;
    let derived: Vec<_> = derived.iter().map(|name| (*name).to_owned()).collect();
    let asked = Asked {
        secret: name,
        kept: &kept,
        derived: &derived,
        has_exec,
        references: &references,
    };
    plan(project, &asked)
}

fn dependents(plan: &Rotation) -> Vec<(&str, Way)> {
    plan.dependents
        .iter()
        .map(|dependent| (dependent.service.as_str(), dependent.way))
        .collect()
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
    let plan = planned(&project(SHOP, ""), "pw", &["url"], false).unwrap();
    let [inside] = plan.inside.as_slice() else {
        panic!("{plan:?}")
    };
    assert_eq!((inside.service.as_str(), inside.recipe), ("db", Recipe::Postgres));
    assert_eq!((inside.user.as_str(), inside.database.as_str()), ("app", "app"));
    assert_eq!(
        dependents(&plan),
        [
            ("jobs", Way::Restart),
            ("api", Way::Restart),
            ("web", Way::Restart)
        ]
    );
    assert_eq!(plan.derived, [("url".to_owned(), "/p/secrets/url.txt".into())]);
    assert_eq!(plan.kept, Kept::File("/p/secrets/pw.txt".into()));
}

#[test]
fn a_start_command_tells_whose_password_a_file_is() {
    let plan = planned(&project(SHOP, ""), "cache", &[], false).unwrap();
    assert_eq!(plan.inside.len(), 1, "who only logs in is none");
    assert_eq!(plan.inside[0].recipe, Recipe::Redis);
    assert_eq!(dependents(&plan), [("client", Way::Restart)]);
}

#[test]
fn what_nobody_can_change_is_refused_unless_a_program_can() {
    let shop = project(SHOP, "");
    assert_eq!(
        planned(&shop, "docs", &[], false),
        Err(Refused::Unchangeable("docs".into(), "MongoDB".into()))
    );
    assert!(planned(&shop, "docs", &[], true).is_ok());
    assert_eq!(
        planned(&shop, "mail", &[], false).unwrap().exec.as_deref(),
        Some("change-mail")
    );
    assert_eq!(
        planned(&shop, "pv", &[], false),
        Err(Refused::Unknown(Some("pw".into())))
    );
    assert_eq!(
        planned(&shop, "swarm", &[], false).unwrap().kept,
        Kept::Swarm("swarm".into())
    );
}

#[test]
fn one_secret_of_two_users_and_two_servers_is_changed_for_each() {
    let text = "services:
  one:
    image: mariadb:11
    environment: {MARIADB_USER: app, MARIADB_PASSWORD_FILE: /run/secrets/pw, MARIADB_ROOT_PASSWORD_FILE: /run/secrets/pw}
    secrets: [pw]
  two:
    image: postgres:17
    environment: {POSTGRES_PASSWORD_FILE: /run/secrets/pw}
    secrets: [pw]
secrets:
  pw: {file: ./pw.txt}
";
    let plan = planned(&project(text, ""), "pw", &[], false).unwrap();
    let users: Vec<_> = plan
        .inside
        .iter()
        .map(|inside| (inside.service.as_str(), inside.user.as_str()))
        .collect();
    assert_eq!(users, [("one", "root"), ("one", "app"), ("two", "postgres")]);
    assert_eq!(plan.dependents, []);
}

/// What `migrate --to store` leaves, with a provider beside it.
const STORED: &str = "services:
  web:
    image: shop
    depends_on: [db]
    environment: {DATABASE_URL: 'postgres://app:${PG_PASSWORD}@db/app'}
  db:
    image: postgres:17
    environment: {POSTGRES_USER: app, POSTGRES_PASSWORD: '${PG_PASSWORD}'}
  jobs:
    image: shop
    secrets: [pg]
  cache:
    image: redis:7
    command: redis-server --requirepass ${CACHE}
  vault:
    provider: {type: locket, options: {env: ['PW={{ store://pg/password }}']}}
  late:
    image: shop
    depends_on: [vault]
  other:
    image: shop
    environment: {KEY: '${OTHER}'}
secrets:
  pg: {environment: PG_PASSWORD}
";

const STORED_ENV: &str =
    "PG_PASSWORD={{ store://pg/password }}\nCACHE={{ store://cache }}\nOTHER={{ store://pg/password2 }}\n";

#[test]
fn a_value_of_the_store_is_followed_through_variables_secrets_and_providers() {
    let shop = project(STORED, STORED_ENV);
    for name in ["pg/password", "pg"] {
        let plan = planned(&shop, name, &[], false).unwrap();
        assert_eq!(plan.kept, Kept::Store("pg/password".into()));
        assert_eq!(plan.inside.len(), 1, "{plan:?}");
        assert_eq!(plan.inside[0].service, "db");
        assert_eq!(
            dependents(&plan),
            [
                ("web", Way::Recreate),
                ("jobs", Way::Recreate),
                ("late", Way::Provide)
            ]
        );
    }
}

#[test]
fn a_server_that_was_made_with_the_value_is_made_anew_when_everybody_has_the_new_one() {
    let plan = planned(&project(STORED, STORED_ENV), "cache", &[], false).unwrap();
    assert_eq!(plan.inside[0].service, "cache");
    assert_eq!(dependents(&plan), [("cache", Way::Recreate)]);
}

#[test]
fn what_nothing_refers_to_is_refused() {
    let shop = project(STORED, STORED_ENV);
    let asked = |has_exec| {
        let kept = Kept::Store("nobody".into());
        let asked = Asked {
            secret: "store://nobody",
            kept: &kept,
            derived: &[],
            has_exec,
            references: &references,
        };
        plan(&shop, &asked)
    };
    assert_eq!(asked(false), Err(Refused::Unused));
    assert!(asked(true).is_ok());
    assert_eq!(
        planned(&shop, "cash", &[], false),
        Err(Refused::Unknown(Some("cache".into())))
    );
}
