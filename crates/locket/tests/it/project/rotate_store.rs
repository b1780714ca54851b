//! `locket rotate` of what a project has from the embedded store: containers are made with it, below `locket exec`.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::process::{Output, Stdio};

use super::running::Project;
use super::{beside, images, printed, said};
use crate::support::eventually;

/// What `migrate --to store` leaves of a project with its password in variables.
const SHOP: &str = r#"name: NAME
services:
  db:
    image: postgres:17-alpine
    network_mode: none
    environment: {POSTGRES_USER: app, POSTGRES_DB: postgres, POSTGRES_PASSWORD: "${PG_PASSWORD}"}
    healthcheck: {test: [CMD-SHELL, "pg_isready -q -h 127.0.0.1 -U app"], interval: 1s, retries: 60}
  app:
    image: postgres:17-alpine
    network_mode: "service:db"
    depends_on: {db: {condition: service_healthy}}
    restart: unless-stopped
    stop_grace_period: 1s
    environment: {PGPASSWORD: "${PG_PASSWORD}"}
    volumes: ["./acked:/acked"]
    entrypoint:
      - sh
      - -c
      - |
        while :; do echo 'insert into rows values (default) returning id;'; sleep 0.05; done |
          psql -XqtA -w -h 127.0.0.1 -U app -d postgres -v ON_ERROR_STOP=1 >>/acked/ids
    healthcheck:
      test: [CMD-SHELL, "psql -XqtA -w -h 127.0.0.1 -U app -d postgres -c 'select 1'"]
      interval: 1s
      retries: 20
  fragile:
    profiles: [fragile]
    image: busybox
    network_mode: none
    stop_grace_period: 0s
    environment: {PW: "${PG_PASSWORD}"}
    volumes: ["./acked:/acked"]
    command: [sh, -c, "test -f /acked/pinned || echo $$PW >/acked/pinned; exec sleep 1000"]
    healthcheck: {test: [CMD-SHELL, "test $$PW = $$(cat /acked/pinned)"], interval: 1s, retries: 2}
"#;

impl Project {
    fn ours(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = beside(self.engine, self.scene.base(), arguments);
        command.env("LOCKET_IDENTITY_FILE", self.scene.path("identity.txt"));
        command
    }

    fn output(&self, arguments: &[&str]) -> Output {
        self.ours(arguments).output().unwrap()
    }

    fn stored(&self, name: &str) -> String {
        printed(&self.output(&["store", "get", name]))
    }

    /// Starts services as their user does.
    fn start(&self, services: &[&str]) {
        let words = [
            "exec", "--env", ".env", "--", "docker", "compose", "up", "--detach", "--wait",
        ];
        let words: Vec<_> = words.iter().chain(services).copied().collect();
        let up = self.output(&words);
        assert!(up.status.success(), "{}", said(&up));
    }

    fn names(&self) -> String {
        printed(&self.output(&["store", "list"]))
    }
}

fn shop(name: &str) -> Option<Project> {
    let project = Project::new(&SHOP.replace("NAME", name), &[])?;
    images::postgres(project.engine)?;
    let made = project.output(&["store", "init"]);
    assert!(made.status.success(), "{}", said(&made));
    let mut set = project
        .ours(&["store", "set", "pg"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    set.stdin
        .take()
        .unwrap()
        .write_all(format!("first-of-{name}").as_bytes())
        .unwrap();
    assert!(set.wait().unwrap().success());
    project.scene.write(".env", "PG_PASSWORD={{ store://pg }}\n");
    project.start(&["db"]);
    project.sql("create table rows (id serial primary key)");
    Some(project)
}

#[test]
fn a_password_in_the_store_is_changed_in_its_database_and_containers_are_made_anew() {
    let Some(project) = shop("locket-rotate-store") else {
        return;
    };
    project.start(&["app"]);
    eventually("a row was written", || project.acked().len() > 3);
    let dry = project.output(&["rotate", "pg", "--dry-run"]);
    for told in [
        "would change the password of app in db",
        "would write pg into ",
        "would make anew app",
    ] {
        assert!(said(&dry).contains(told), "{}", said(&dry));
    }
    let old = project.stored("pg");
    assert_eq!(old, "first-of-locket-rotate-store");
    let rotated = project.output(&["rotate", "pg"]);
    assert!(rotated.status.success(), "{}", said(&rotated));
    let new = project.stored("pg");
    assert_eq!(new.len(), 44);
    assert!(project.opens(&new) && !project.opens(&old));
    assert!(!said(&rotated).contains(&new) && !said(&rotated).contains(&old));
    let count = project.acked().len();
    eventually("more rows are written", || project.acked().len() > count + 3);
    let acked = project.acked();
    let there = project.sql("select id from rows");
    let there: BTreeSet<_> = there.lines().map(str::to_owned).collect();
    assert!(acked.is_subset(&there), "{:?}", acked.difference(&there));
    assert_eq!(project.names(), "pg", "nothing of the rotation stays");
    for entry in fs::read_dir(project.scene.base()).unwrap().flatten() {
        let bytes = fs::read(entry.path()).unwrap_or_default();
        assert!(
            !bytes.windows(new.len()).any(|window| window == new.as_bytes()),
            "{:?}",
            entry.path()
        );
    }
    // By its whole name, and when it has grown old.
    let young = project.output(&["rotate", "--all"]);
    assert!(
        young.status.success() && project.stored("pg") == new,
        "{}",
        said(&young)
    );
    let aged = project.output(&["rotate", "--all", "--older-than", "0s"]);
    assert!(aged.status.success(), "{}", said(&aged));
    let newer = project.stored("pg");
    assert!(newer != new && project.opens(&newer));
    let named = project.output(&["rotate", "store://pg"]);
    assert!(named.status.success(), "{}", said(&named));
    assert!(project.opens(&project.stored("pg")));
}

#[test]
fn the_store_has_the_old_value_again_when_a_dependent_stays_ill() {
    let Some(project) = shop("locket-rotate-store-back") else {
        return;
    };
    project.start(&["app", "fragile"]);
    let rotated = project.output(&["rotate", "pg", "--timeout", "8s"]);
    assert_eq!(rotated.status.code(), Some(1), "{}", said(&rotated));
    assert!(
        said(&rotated).contains("The old value is in force again."),
        "{}",
        said(&rotated)
    );
    assert_eq!(project.stored("pg"), "first-of-locket-rotate-store-back");
    assert!(project.opens("first-of-locket-rotate-store-back"));
    assert_eq!(project.names(), "pg");
    project.start(&["app", "fragile"]);
}

#[test]
fn a_killed_rotation_of_the_store_keeps_both_values_in_it_and_is_finished_or_undone() {
    let Some(project) = shop("locket-rotate-store-kill") else {
        return;
    };
    project.start(&["app"]);
    for (way, is_new) in [("--undo", false), ("--finish", true)] {
        let before = project.stored("pg");
        let mut child = project.ours(&["rotate", "pg"]).spawn().unwrap();
        eventually("the store has the new value", || project.stored("pg") != before);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(
            project.names(),
            ".rotation/pg/new\n.rotation/pg/old\n.rotation/pg/record\npg"
        );
        let refused = project.output(&["rotate", "pg"]);
        assert!(
            said(&refused).contains("was interrupted") && !refused.status.success(),
            "{}",
            said(&refused)
        );
        let settled = project.output(&["rotate", "pg", way]);
        assert!(settled.status.success(), "{way}: {}", said(&settled));
        let after = project.stored("pg");
        assert_eq!(after != before, is_new, "{way}");
        assert!(project.opens(&after), "{way}");
        assert_eq!(project.names(), "pg");
    }
}
