use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use locket_core::Environment;

use super::*;
use crate::{Files, Project, Request, Unreadable, load};

struct Disk(BTreeMap<PathBuf, String>);

impl Files for Disk {
    fn read(&self, path: &Path) -> Result<String, Unreadable> {
        self.0.get(path).cloned().ok_or(Unreadable::Missing)
    }

    fn exists(&self, path: &Path) -> bool {
        self.0.contains_key(path)
    }
}

fn project(files: &[(&str, &str)]) -> Project {
    let files = files
        .iter()
        .map(|(name, text)| (Path::new("/p").join(name), (*text).to_owned()));
    let request = Request {
        directory: "/p".into(),
        ..Request::default()
    };
    let project = load(&request, &Disk(files.collect()), &Environment::default()).unwrap();
    assert!(project.mistakes.is_empty(), "{:?}", project.mistakes);
    project
}

fn planned(files: &[(&str, &str)]) -> Plan {
    plan(&project(files), &Options::default(), &|_| None)
}

/// What a plan wants, in short lines.
fn told(plan: &Plan) -> Vec<String> {
    let mut lines: Vec<_> = plan
        .secrets
        .iter()
        .map(|secret| {
            let value = match &secret.value {
                Value::Random => "random".to_owned(),
                Value::Present(text) => format!("present {}", text.as_str()),
                Value::Template { text, .. } => format!("template {text}"),
            };
            format!("{} = {value} for {:?}", secret.name, secret.readers)
        })
        .collect();
    lines.extend(
        plan.left
            .iter()
            .map(|left| format!("left {}: {}", left.service, left.variable)),
    );
    lines
}

#[test]
fn the_project_of_the_guide_gets_its_three_secrets() {
    let names: Vec<_> = DEFAULT_PROGRAMS.iter().map(|name| (*name).to_owned()).collect();
    let project = project(&[("compose.yaml", &starter(&names))]);
    let options = Options {
        protect: names.into_iter().collect(),
        ..Options::default()
    };
    let plan = plan(&project, &options, &|_| None);
    assert_eq!(
        told(&plan),
        [
            "postgres_password = random for {}",
            "redis_password = random for {}",
            "grafana_admin_password = random for {472}",
        ]
    );
    let text = write(&plan);
    for line in [
        "      POSTGRES_PASSWORD_FILE: /run/secrets/postgres_password",
        "      GF_SECURITY_ADMIN_PASSWORD__FILE: /run/secrets/grafana_admin_password",
        "        requirepass \"$$(sed 's/[\\\\\"]/\\\\&/g' /run/secrets/redis_password)\"",
        "    file: ./secrets/redis_password.txt",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert_eq!(stamp(&text), Stamp::Ours);
    assert_eq!(stamp(&format!("{text}# mine\n")), Stamp::Edited);
    assert_eq!(stamp("services: {}\n"), Stamp::Foreign);
}

#[test]
fn present_values_are_kept_and_equal_ones_are_one_secret() {
    let plan = planned(&[(
        "compose.yaml",
        "services:
  app:
    image: nextcloud
    environment:
      POSTGRES_PASSWORD: hunter2
      SMTP_PASSWORD: of-the-mail
  db:
    image: postgres:17
    environment:
      - POSTGRES_PASSWORD=hunter2
      - POSTGRES_USER=app
",
    )]);
    assert_eq!(
        told(&plan),
        [
            "postgres_password = present hunter2 for {33}",
            "smtp_password = present of-the-mail for {33}",
        ]
    );
    let [app, db] = plan.changes.as_slice() else {
        panic!("{plan:?}")
    };
    assert_eq!(
        app.unset,
        [
            Unset::Removed("POSTGRES_PASSWORD".into()),
            Unset::Removed("SMTP_PASSWORD".into())
        ]
    );
    assert_eq!(
        db.unset,
        [Unset::Emptied("POSTGRES_PASSWORD".into())],
        "a list loses nothing"
    );
    assert!(!write(&plan).contains("hunter2"));
}

#[test]
fn an_address_becomes_a_template_of_the_password_in_it() {
    let plan = planned(&[(
        "compose.yaml",
        "services:
  db:
    image: postgres:17
    environment: {POSTGRES_PASSWORD: 'p@ss/w'}
  feeds:
    image: miniflux/miniflux:latest
    environment: {DATABASE_URL: 'postgres://app:p%40ss%2Fw@db/app?sslmode=disable'}
",
    )]);
    assert_eq!(
        told(&plan),
        [
            "postgres_password = present p@ss/w for {}",
            "miniflux_database_url = template postgres://app:{{ file://secrets/postgres_password.txt | url }}@db/app?sslmode=disable for {65534}",
        ]
    );
    assert_eq!(plan.changes[1].secrets, ["miniflux_database_url"]);
}

#[test]
fn an_image_that_reads_no_file_gets_a_start_command_without_the_value() {
    let plan = planned(&[(
        "compose.yaml",
        "services:
  cache:
    image: redis:7
    command: redis-server --appendonly yes --requirepass hunter2
  queue:
    image: rabbitmq:4-management
    environment: {RABBITMQ_DEFAULT_PASS: hunter3, RABBITMQ_DEFAULT_USER: app}
",
    )]);
    let [cache, queue] = plan.changes.as_slice() else {
        panic!("{plan:?}")
    };
    let start = cache.start.as_ref().unwrap();
    assert_eq!(start.command, ["redis-server", "--appendonly", "yes"]);
    assert_eq!(start.entrypoint.last().unwrap(), "docker-entrypoint.sh");
    let start = queue.start.as_ref().unwrap();
    assert!(start.entrypoint[2].starts_with("RABBITMQ_DEFAULT_PASS=\"$$(cat /run/secrets/rabbitmq_password)\" || exit 1\nexport RABBITMQ_DEFAULT_PASS\n"));
    assert_eq!(start.command, ["rabbitmq-server"]);
    assert_eq!(queue.unset, [Unset::Removed("RABBITMQ_DEFAULT_PASS".into())]);
    assert_eq!(
        told(&plan),
        [
            "redis_password = present hunter2 for {}",
            "rabbitmq_password = present hunter3 for {}"
        ]
    );
    let text = write(&plan);
    assert!(!text.contains("hunter"), "{text}");
}

#[test]
fn an_unknown_image_is_asked_what_it_starts_and_left_alone_when_nobody_knows() {
    let files = [(
        "compose.yaml",
        "services:
  app:
    image: example/app
    environment: {API_TOKEN: abcdef123, LOG_LEVEL: debug}
  own:
    build: .
    environment: {API_TOKEN: abcdef456}
  told:
    build: .
    entrypoint: [/app/run]
    environment: {API_TOKEN: abcdef789}
",
    )];
    let plan = planned(&files);
    assert_eq!(
        told(&plan),
        [
            "api_token = present abcdef789 for {}",
            "left app: API_TOKEN",
            "left own: API_TOKEN"
        ]
    );
    let facts = |_: &str| {
        Some(ImageFacts {
            user: Some(1234),
            entrypoint: vec!["/start".into()],
            command: vec!["$HOME".into()],
        })
    };
    let plan = super::plan(&project(&files), &Options::default(), &facts);
    assert_eq!(told(&plan)[0], "api_token = present abcdef123 for {1234}");
    let start = plan.changes[0].start.as_ref().unwrap();
    assert_eq!(
        (start.entrypoint[3].as_str(), start.command[0].as_str()),
        ("/start", "$$HOME")
    );
}

#[test]
fn a_service_with_a_variable_that_no_shell_can_set_gets_no_start_command() {
    let files = [(
        "compose.yaml",
        "services:
  app:
    image: example/app
    entrypoint: [/app/run]
    environment:
      spring.datasource.password: hunter2
      app-token: hunter3
      API_TOKEN: hunter5
  plain:
    image: example/app
    entrypoint: [/app/run]
    environment: {spring.profiles.active: prod, DB_PASSWORD: hunter7}
  learnt:
    image: example/learnt
    environment: {spring.mail.password: hunter6}
  other:
    image: example/app
    entrypoint: [/app/run]
    environment: {SAME_PASSWORD: hunter2}
",
    )];
    let facts = |_: &str| {
        Some(ImageFacts {
            user: None,
            entrypoint: vec!["/start".into()],
            command: Vec::new(),
        })
    };
    let plan = plan(&project(&files), &Options::default(), &facts);
    assert_eq!(
        told(&plan),
        [
            "same_password = present hunter2 for {}",
            "left app: spring.datasource.password",
            "left app: app-token",
            "left app: API_TOKEN",
            "left plain: DB_PASSWORD",
            "left learnt: spring.mail.password",
        ]
    );
    assert!(plan.left[0].reason.contains("SPRING_DATASOURCE_PASSWORD"));
    assert!(plan.left[3].reason.contains("`spring.profiles.active`"));
    let [other] = plan.changes.as_slice() else {
        panic!("{plan:?}")
    };
    assert_eq!(other.unset, [Unset::Removed("SAME_PASSWORD".into())]);
}

#[test]
fn a_start_command_of_an_earlier_run_that_no_shell_runs_is_not_kept() {
    let files = [(
        "compose.yaml",
        "services:
  app:
    image: example/app
    entrypoint: [/app/run]
    environment: {spring.datasource.password: hunter2}
",
    )];
    let earlier = project(&[(
        "compose.yaml",
        "services:
  app:
    image: example/app
    entrypoint:
      - /bin/sh
      - -ec
      - |
        spring.datasource.password=\"$$(cat /run/secrets/spring_datasource_password)\" || exit 1
        export spring.datasource.password
        exec \"$$0\" \"$$@\"
      - /app/run
    secrets: [spring_datasource_password]
secrets:
  spring_datasource_password: {file: ./secrets/spring_datasource_password.txt}
",
    )]);
    let options = Options {
        earlier: Earlier::of(&earlier),
        ..Options::default()
    };
    let plan = plan(&project(&files), &options, &|_| None);
    assert!(plan.changes.is_empty(), "{plan:?}");
    assert_eq!(told(&plan), ["left app: spring.datasource.password"]);
}

#[test]
fn a_health_check_reads_the_file_when_its_variable_is_gone() {
    let plan = planned(&[(
        "compose.yaml",
        "services:
  db:
    image: mysql:8.4
    environment: {MYSQL_ROOT_PASSWORD: hunter2}
    healthcheck:
      test: mysqladmin ping -p$$MYSQL_ROOT_PASSWORD && echo $$MYSQL_ROOT_PASSWORD_NOT
  other:
    image: mysql:8.4
    environment: {MYSQL_ROOT_PASSWORD: hunter3}
    healthcheck:
      test: [CMD, mysqladmin, ping, '-p$MYSQL_ROOT_PASSWORD']
",
    )]);
    assert_eq!(
        plan.changes[0].health.as_deref().unwrap(),
        [
            "CMD-SHELL",
            "mysqladmin ping -p$$(cat /run/secrets/mysql_root_password) && echo $$MYSQL_ROOT_PASSWORD_NOT"
        ]
    );
    assert_eq!(plan.left.len(), 1);
    assert_eq!(plan.left[0].variable, "healthcheck");
}

#[test]
fn what_is_no_credential_or_comes_from_a_file_already_is_left_alone() {
    let plan = planned(&[(
        "compose.yaml",
        "services:
  db:
    image: postgres:17
    environment: {POSTGRES_PASSWORD_FILE: /run/secrets/pw}
    secrets: [pw]
  open:
    image: postgres:17
    environment: {POSTGRES_HOST_AUTH_METHOD: trust}
  cache:
    image: redis
    environment: {REDIS_PASSWORD: '${REDIS_PASSWORD:-}'}
  hashed:
    image: mariadb
    environment: {MARIADB_ROOT_PASSWORD_HASH_FILE: /run/secrets/hash}
  sso:
    image: ghcr.io/goauthentik/server
    environment: {AUTHENTIK_SECRET_KEY: 'file:///run/secrets/key'}
secrets:
  pw: {file: ./secrets/pw.txt}
  other: {file: ./elsewhere.txt}
",
    )]);
    assert_eq!(told(&plan), ["pw = random for {}"], "its file may be missing");
    assert!(plan.changes.is_empty(), "{:?}", plan.changes);
}

#[test]
fn values_of_env_files_are_emptied_since_compose_removes_none() {
    let plan = planned(&[
        (
            "compose.yaml",
            "services:
  db:
    image: postgres:17
    env_file: db.env
  vault:
    image: vaultwarden/server
    environment:
      - ADMIN_TOKEN=abcdef
      - DOMAIN=https://${HOST:-x}
",
        ),
        ("db.env", "POSTGRES_PASSWORD=hunter2\n"),
    ]);
    assert_eq!(
        plan.changes[0].unset,
        [Unset::Emptied("POSTGRES_PASSWORD".into())]
    );
    // Both set, one of them empty, keeps this one from starting.
    assert_eq!(plan.changes[1].unset, []);
    assert_eq!(
        plan.changes[1].instead.as_deref().unwrap(),
        [("DOMAIN".to_owned(), Some("https://${HOST:-x}".to_owned()))]
    );
}

#[test]
fn users_decide_which_services_secrets_and_values_are_meant() {
    let files = [(
        "compose.yaml",
        "services:
  a:
    image: postgres
    environment: {POSTGRES_PASSWORD: hunter2}
  b:
    image: grafana/grafana
    user: '1000:0'
    environment: {GF_SECURITY_ADMIN_PASSWORD: hunter3, GF_DATABASE_PASSWORD: hunter2}
",
    )];
    let project = project(&files);
    let with = |options: Options| told(&plan(&project, &options, &|_| None));
    assert_eq!(
        with(Options {
            only: vec!["a".into()],
            ..Options::default()
        }),
        ["postgres_password = present hunter2 for {}"]
    );
    assert_eq!(
        with(Options {
            skip: vec!["grafana_admin_password".into()],
            fresh: Fresh::Named(vec!["postgres_password".into()]),
            more: vec!["session_key".into()],
            ..Options::default()
        }),
        [
            "postgres_password = random for {1000}",
            "session_key = random for {}"
        ]
    );
    let options = Options {
        only: vec!["c".into()],
        ..Options::default()
    };
    assert_eq!(options.unknown(&project).len(), 1);
}

#[test]
fn what_an_earlier_run_decided_stays_when_the_plain_values_are_gone() {
    let db = "  db:\n    image: postgres:17\n    environment:\n      POSTGRES_PASSWORD: hunter2\n";
    let app = "  app:\n    image: nextcloud\n    environment:\n      POSTGRES_PASSWORD: hunter2\n      SMTP_PASSWORD: hunter3\n";
    let queue = "  queue:\n    image: rabbitmq\n    environment:\n      RABBITMQ_DEFAULT_PASS: hunter4\n";
    let before = format!("services:\n{db}{app}{queue}");
    let first = planned(&[("compose.yaml", &before)]);
    let text = write(&first);
    let options = Options {
        earlier: Earlier::of(&project(&[("compose.yaml", &text)])),
        ..Options::default()
    };
    let without: String = before
        .lines()
        .filter(|line| !line.contains("hunter"))
        .map(|line| format!("{line}\n"))
        .collect();
    let cleaned = without.replace("    environment:\n", "");
    for later in [
        before.as_str(),
        cleaned.as_str(),
        &before.replace("hunter2\n    image", "x"),
    ] {
        let second = plan(&project(&[("compose.yaml", later)]), &options, &|_| None);
        let names = |plan: &Plan| -> BTreeSet<String> {
            plan.secrets.iter().map(|secret| secret.name.clone()).collect()
        };
        assert_eq!(names(&second), names(&first));
        for (one, other) in first.changes.iter().zip(&second.changes) {
            assert_eq!(
                (&one.variables, &one.secrets, &one.start),
                (&other.variables, &other.secrets, &other.start)
            );
        }
    }
    let again = plan(&project(&[("compose.yaml", &before)]), &options, &|_| None);
    assert_eq!(write(&again), text);
}
