//! `locket rotate` on a running MariaDB, whose statements are logged, with a dependent that holds a connection.

use std::collections::BTreeSet;

use super::running::Project;
use super::{images, printed, said};
use crate::support::eventually;

const SHOP: &str = r#"name: NAME
services:
  db:
    image: mariadb:11
    network_mode: none
    environment:
      MARIADB_USER: app
      MARIADB_DATABASE: app
      MARIADB_PASSWORD_FILE: /run/secrets/pw
      MARIADB_ROOT_PASSWORD_FILE: /run/secrets/root
    secrets: [pw, root]
    healthcheck:
      test: [CMD-SHELL, "MYSQL_PWD=$$(cat /run/secrets/pw) mariadb --no-defaults -h 127.0.0.1 -u app -e 'select 1'"]
      interval: 1s
      retries: 60
  app:
    image: mariadb:11
    network_mode: "service:db"
    depends_on: {db: {condition: service_healthy}}
    restart: unless-stopped
    stop_grace_period: 1s
    secrets: [pw]
    volumes: ["./acked:/acked"]
    entrypoint:
      - sh
      - -c
      - |
        export MYSQL_PWD=$$(cat /run/secrets/pw)
        while :; do echo 'insert into t values (null); select last_insert_id();'; sleep 0.05; done |
          mariadb --no-defaults --batch --skip-column-names --unbuffered -h 127.0.0.1 -u app app >>/acked/ids
    healthcheck:
      test: [CMD-SHELL, "MYSQL_PWD=$$(cat /run/secrets/pw) mariadb --no-defaults -h 127.0.0.1 -u app -e 'select 1'"]
      interval: 1s
      retries: 20
  fragile:
    profiles: [fragile]
    image: busybox
    network_mode: none
    stop_grace_period: 0s
    secrets: [pw]
    command: [sh, -c, "test -f /pinned || cp /run/secrets/pw /pinned; exec sleep 1000"]
    healthcheck: {test: [CMD-SHELL, "cmp -s /pinned /run/secrets/pw"], interval: 1s, retries: 2}
secrets:
  pw: {file: ./secrets/pw.txt}
  root: {file: ./secrets/root.txt}
"#;

impl Project {
    /// A statement as a user from outside, or at the server's own socket.
    fn mariadb(&self, user: &str, password: &str, more: &[&str]) -> std::process::Output {
        let variable = format!("MYSQL_PWD={password}");
        let words = [
            "exec",
            "-T",
            "-e",
            &variable,
            "db",
            "mariadb",
            "--no-defaults",
            "-N",
            "-B",
            "-u",
            user,
        ];
        let words: Vec<_> = words.iter().chain(more).copied().collect();
        self.compose(&words)
    }

    fn lets_in(&self, user: &str, password: &str, more: &[&str]) -> bool {
        let words: Vec<_> = more.iter().chain(&["-e", "select 1"]).copied().collect();
        self.mariadb(user, password, &words).status.success()
    }
}

const OUTSIDE: &[&str] = &["-h", "127.0.0.1"];

fn shop(name: &str, password: &str) -> Option<Project> {
    let of_root = format!("root-of-{name}");
    let project = Project::new(
        &SHOP.replace("NAME", name),
        &[("pw", password), ("root", &of_root)],
    )?;
    images::mariadb(project.engine)?;
    project.up(&["db"]);
    let table = project.mariadb(
        "root",
        &of_root,
        &["app", "-e", "create table t (id int auto_increment primary key)"],
    );
    assert!(table.status.success(), "{}", said(&table));
    Some(project)
}

#[test]
fn a_running_mariadb_takes_a_new_password_and_its_dependent_loses_no_row() {
    let Some(project) = shop("locket-rotate-mariadb", "it's \\first\\") else {
        return;
    };
    project.up(&["app"]);
    eventually("a row was written", || project.acked().len() > 3);
    let old = project.secret("pw");
    let rotated = project.rotate(&["pw"]).output().unwrap();
    assert!(rotated.status.success(), "{}", said(&rotated));
    let new = project.secret("pw");
    assert_eq!(new.len(), 44);
    assert!(project.lets_in("app", &new, OUTSIDE) && !project.lets_in("app", &old, OUTSIDE));
    let count = project.acked().len();
    eventually("more rows are written", || project.acked().len() > count + 3);
    let of_root = project.secret("root");
    let acked = project.acked();
    let there = printed(&project.mariadb("root", &of_root, &["app", "-e", "select id from t"]));
    let there: BTreeSet<_> = there.lines().map(str::to_owned).collect();
    assert!(acked.is_subset(&there), "{:?}", acked.difference(&there));
    assert_eq!(project.leftovers(), [""; 0]);

    // Root is two users, and nothing of it is in the log of statements.
    let rotated = project.rotate(&["root"]).output().unwrap();
    assert!(rotated.status.success(), "{}", said(&rotated));
    let newer = project.secret("root");
    for place in [&[][..], OUTSIDE] {
        assert!(project.lets_in("root", &newer, place) && !project.lets_in("root", &of_root, place));
    }
    let log = printed(&project.compose(&["exec", "-T", "db", "cat", "/var/lib/mysql/statements.log"]));
    assert!(log.contains("create table t"), "statements are logged");
    assert!(!log.contains(&newer));
}

#[test]
fn a_mariadb_has_its_old_password_again_when_a_dependent_stays_ill() {
    // As an editor leaves it: the image reads it without its line end.
    let old = "it's \\first\\\n";
    let Some(project) = shop("locket-rotate-mariadb-back", old) else {
        return;
    };
    project.up(&["app", "fragile"]);
    let rotated = project.rotate(&["pw", "--timeout", "8s"]).output().unwrap();
    assert_eq!(rotated.status.code(), Some(1), "{}", said(&rotated));
    for told in [
        "fragile was not well within 8s",
        "The old value is in force again.",
    ] {
        assert!(said(&rotated).contains(told), "{}", said(&rotated));
    }
    assert_eq!(project.secret("pw"), old);
    assert!(project.lets_in("app", old.trim_end(), OUTSIDE));
    assert_eq!(project.leftovers(), [""; 0]);
    project.up(&["app", "fragile"]);
}
