//! `locket rotate` on running databases with dependents that hold connections.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use locket_testkit::services::Engine;

use super::running::Project;
use super::{beside, images, printed, said};
use crate::support::{Scene, eventually};

impl Project {
    /// A statement as the administrator, who needs no password.
    pub(super) fn sql(&self, statement: &str) -> String {
        let words = [
            "exec", "-T", "db", "psql", "-XqtA", "-U", "app", "-d", "postgres", "-c", statement,
        ];
        printed(&self.compose(&words))
    }

    /// Whether a password opens the database from outside of it.
    pub(super) fn opens(&self, password: &str) -> bool {
        let variable = format!("PGPASSWORD={password}");
        let words = [
            "exec",
            "-T",
            "-e",
            &variable,
            "db",
            "psql",
            "-XqtA",
            "-w",
            "-h",
            "127.0.0.1",
            "-U",
            "app",
            "-d",
            "postgres",
            "-c",
            "select 1",
        ];
        self.compose(&words).status.success()
    }
}

/// A database with a program that writes a row after the other over one connection, and notes those that were taken.
const SHOP: &str = r#"name: NAME
services:
  db:
    image: postgres:17-alpine
    network_mode: none
    environment: {POSTGRES_USER: app, POSTGRES_DB: postgres, POSTGRES_PASSWORD_FILE: /run/secrets/pw}
    secrets: [pw]
    healthcheck: {test: [CMD-SHELL, "pg_isready -q -h 127.0.0.1 -U app"], interval: 1s, retries: 60}
  app:
    image: postgres:17-alpine
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
        export PGPASSWORD=$$(cat /run/secrets/pw)
        while :; do echo 'insert into rows values (default) returning id;'; sleep 0.05; done |
          psql -XqtA -w -h 127.0.0.1 -U app -d postgres -v ON_ERROR_STOP=1 >>/acked/ids
    healthcheck:
      test: [CMD-SHELL, "PGPASSWORD=$$(cat /run/secrets/pw) psql -XqtA -w -h 127.0.0.1 -U app -d postgres -c 'select 1'"]
      interval: 1s
      retries: 20
secrets:
  pw: {file: ./secrets/pw.txt}
"#;

/// Remembers the first value that it saw, and is ill with any other.
const FRAGILE: &str = r#"
  fragile:
    image: busybox
    network_mode: none
    depends_on: [app]
    stop_grace_period: 0s
    secrets: [pw]
    command: [sh, -c, "test -f /pinned || cp /run/secrets/pw /pinned; exec sleep 1000"]
    healthcheck: {test: [CMD-SHELL, "cmp -s /pinned /run/secrets/pw"], interval: 1s, retries: 2}
secrets:
"#;

fn shop(name: &str, text: &str) -> Option<Project> {
    // Of its own, since tests beside this one give theirs as arguments.
    let project = Project::new(
        &text.replace("NAME", name),
        &[("pw", &format!("first-of-{name}"))],
    )?;
    images::postgres(project.engine)?;
    project.up(&["db"]);
    project.sql("create table rows (id serial primary key)");
    Some(project)
}

#[test]
fn a_running_postgres_takes_a_new_password_and_its_dependent_loses_no_row() {
    let Some(project) = shop("locket-rotate-postgres", SHOP) else {
        return;
    };
    project.up(&["app"]);
    eventually("a row was written", || project.acked().len() > 3);
    let dry = project.rotate(&["pw", "--dry-run"]).output().unwrap();
    assert!(
        said(&dry).contains("would change the password of app in db"),
        "{}",
        said(&dry)
    );
    assert!(said(&dry).contains("would restart app"), "{}", said(&dry));
    let old = project.secret("pw");
    assert_eq!(old, "first-of-locket-rotate-postgres");

    // Every command line of the machine, for as long as it runs.
    let is_over = AtomicBool::new(false);
    let (rotated, seen) = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut seen = BTreeSet::new();
            while !is_over.load(Ordering::Relaxed) {
                for entry in fs::read_dir("/proc").unwrap().flatten() {
                    seen.extend(fs::read(entry.path().join("cmdline")));
                }
            }
            seen
        });
        let rotated = project.rotate(&["pw"]).output().unwrap();
        is_over.store(true, Ordering::Relaxed);
        (rotated, watcher.join().unwrap())
    });
    assert!(rotated.status.success(), "{}", said(&rotated));
    let new = project.secret("pw");
    assert_eq!(new.len(), 44);
    assert!(project.opens(&new) && !project.opens(&old));
    let lines: Vec<_> = seen
        .iter()
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .collect();
    assert!(
        lines
            .iter()
            .any(|line| line.contains("psql") && line.contains("exec")),
        "the watcher saw it happen"
    );
    let logs = said(&project.compose(&["logs"]));
    assert!(
        logs.contains("ALTER USER") || logs.contains("ALTER ROLE"),
        "statements are logged: {logs}"
    );
    for value in [old.as_str(), new.as_str()] {
        assert!(!lines.iter().any(|line| line.contains(value)), "in an argument");
        assert!(!logs.contains(value) && !said(&rotated).contains(value));
    }
    // It goes on with the new one, and every row that it was told of is there.
    let count = project.acked().len();
    eventually("more rows are written", || project.acked().len() > count + 3);
    let acked = project.acked();
    let there: BTreeSet<String> = project
        .sql("select id from rows")
        .lines()
        .map(str::to_owned)
        .collect();
    assert!(acked.is_subset(&there), "{:?}", acked.difference(&there));
    assert_eq!(project.leftovers(), [""; 0]);
    // The start after the next one finds the same password in the file.
    let young = project.rotate(&["--all"]).output().unwrap();
    assert!(
        young.status.success() && project.secret("pw") == new,
        "{}",
        said(&young)
    );
    let old = project.rotate(&["--all", "--older-than", "0s"]).output().unwrap();
    assert!(
        old.status.success() && project.secret("pw") != new,
        "{}",
        said(&old)
    );
}

#[test]
fn everything_is_as_before_when_a_dependent_stays_ill() {
    let text = SHOP.replace("\nsecrets:\n", FRAGILE);
    let Some(project) = shop("locket-rotate-back", &text) else {
        return;
    };
    project.up(&["app", "fragile"]);
    let rotated = project.rotate(&["pw", "--timeout", "8s"]).output().unwrap();
    assert_eq!(rotated.status.code(), Some(1), "{}", said(&rotated));
    assert!(
        said(&rotated).contains("fragile was not well within 8s"),
        "{}",
        said(&rotated)
    );
    assert!(
        said(&rotated).contains("The old value is in force again."),
        "{}",
        said(&rotated)
    );
    assert_eq!(project.secret("pw"), "first-of-locket-rotate-back");
    assert!(project.opens("first-of-locket-rotate-back"));
    assert_eq!(project.leftovers(), [""; 0]);
    project.up(&["app", "fragile"]);
}

#[test]
fn a_rotation_that_was_killed_is_finished_or_undone() {
    let Some(project) = shop("locket-rotate-kill", SHOP) else {
        return;
    };
    project.up(&["app"]);
    for (way, is_new) in [("--undo", false), ("--finish", true)] {
        let before = project.secret("pw");
        let mut child = project.rotate(&["pw"]).spawn().unwrap();
        eventually("the files are written", || {
            project
                .scene
                .read("secrets/.pw.txt.rotation")
                .is_some_and(|record| record.contains("dependents"))
        });
        child.kill().unwrap();
        child.wait().unwrap();
        let refused = project.rotate(&["pw"]).output().unwrap();
        assert!(
            said(&refused).contains("was interrupted") && !refused.status.success(),
            "{}",
            said(&refused)
        );
        let settled = project.rotate(&["pw", way]).output().unwrap();
        assert!(settled.status.success(), "{way}: {}", said(&settled));
        let after = project.secret("pw");
        assert_eq!(after != before, is_new, "{way}");
        assert!(project.opens(&after), "{way}");
        assert_eq!(project.leftovers(), [""; 0]);
        let again = project.rotate(&["pw", way]).output().unwrap();
        assert_eq!(again.status.code(), Some(2), "{way} once");
    }
    // Killed while it removed what it had kept: nothing is claimed of a value that is in force already.
    let value = project.secret("pw");
    for way in ["--undo", "--finish"] {
        project
            .scene
            .write("secrets/.pw.txt.rotation", r#"{"step":"dependents"}"#);
        let told = project.rotate(&["pw", way]).output().unwrap();
        assert!(told.status.success(), "{way}: {}", said(&told));
        assert!(said(&told).contains("had ended"), "{way}: {}", said(&told));
        assert!(
            !said(&told).contains("has its old value"),
            "{way}: {}",
            said(&told)
        );
        assert_eq!(project.secret("pw"), value, "{way}");
        assert_eq!(project.leftovers(), [""; 0], "{way}");
    }
}

#[test]
fn a_running_redis_takes_a_new_password_and_forgets_the_old_one() {
    let text = r#"name: locket-rotate-redis
services:
  cache:
    image: redis:7-alpine
    network_mode: none
    command: redis-server --save "" --requirepass of-the-first-day
    healthcheck:
      test: [CMD-SHELL, "redis-cli ping"]
      interval: 1s
  app:
    image: redis:7-alpine
    network_mode: "service:cache"
    depends_on: [cache]
    stop_grace_period: 1s
    secrets: [redis_password]
    entrypoint:
      - sh
      - -c
      - |
        export REDISCLI_AUTH=$$(cat /run/secrets/redis_password)
        while :; do echo 'incr n'; sleep 0.05; done | redis-cli >/acked/n
    volumes: ["./acked:/acked"]
secrets:
  redis_password: {file: ./secrets/redis_password.txt}
"#;
    let Some(project) = Project::new(text, &[]) else {
        return;
    };
    let Some(()) = images::redis(project.engine) else {
        return;
    };
    // The file comes from the command line of the project.
    let made = beside(project.engine, project.scene.base(), &["init"])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", said(&made));
    assert_eq!(project.secret("redis_password"), "of-the-first-day");
    project.up(&["cache", "app"]);
    let ask = |password: &str, words: &[&str]| {
        let variable = format!("REDISCLI_AUTH={password}");
        let exec = ["exec", "-T", "-e", &variable, "cache", "redis-cli"];
        let words: Vec<_> = exec.iter().chain(words).copied().collect();
        said(&project.compose(&words))
    };
    eventually("it counts", || {
        ask("of-the-first-day", &["get", "n"])
            .trim()
            .parse::<u32>()
            .is_ok()
    });
    let rotated = project.rotate(&["redis_password"]).output().unwrap();
    assert!(rotated.status.success(), "{}", said(&rotated));
    let new = project.secret("redis_password");
    assert!(ask(&new, &["ping"]).contains("PONG"), "{}", ask(&new, &["ping"]));
    assert!(
        ask("of-the-first-day", &["ping"]).contains("NOAUTH"),
        "{}",
        ask("of-the-first-day", &["ping"])
    );
    let count = ask(&new, &["get", "n"]).trim().parse::<u32>().unwrap();
    eventually("it goes on counting", || {
        ask(&new, &["get", "n"])
            .trim()
            .parse::<u32>()
            .is_ok_and(|n| n > count)
    });
    // A restart of the server reads the same password from the file.
    project.compose(&["restart", "cache"]);
    eventually("it is back", || ask(&new, &["ping"]).contains("PONG"));
}

#[test]
fn what_nobody_knows_how_to_change_is_refused_and_a_program_can_change_it() {
    let scene = Scene::empty();
    scene.write(
        "compose.yaml",
        "services:\n  docs:\n    image: mongo\n    environment: {MONGO_INITDB_ROOT_PASSWORD_FILE: /run/secrets/docs}\n    secrets: [docs]\nsecrets:\n  docs: {file: ./secrets/docs.txt}\n  other: {external: true}\n",
    );
    scene.write("secrets/docs.txt", "of-the-first-day");
    // It is asked for nothing but its version.
    scene.write("bin/docker", "#!/bin/sh\nexit 0\n");
    fs::set_permissions(scene.path("bin/docker"), fs::Permissions::from_mode(0o755)).unwrap();
    let told = |words: &[&str]| {
        let mut locket = scene.locket(["rotate"].iter().chain(words));
        locket.env("PATH", format!("{}:/usr/bin:/bin", scene.path("bin").display()));
        locket.output().unwrap()
    };
    for (words, reason) in [
        (&["docs"][..], "how MongoDB changes it is not known"),
        (&["docks"], "Did you mean `docs`?"),
        (
            &["store://docs"],
            "nothing here says where store://docs is in force",
        ),
        (
            &["docs", "--exec", "true", "--finish"],
            "no rotation of docs was interrupted",
        ),
    ] {
        let refused = told(words);
        assert!(
            refused.status.code() == Some(2) && said(&refused).contains(reason),
            "{words:?}: {}",
            said(&refused)
        );
    }
    let dry = told(&["docs", "--exec", "change-it now", "--dry-run"]);
    assert!(
        said(&dry).contains("would have change-it change the value"),
        "{}",
        said(&dry)
    );
    scene.write("locket.toml", "[rotate]\nexec = \"/usr/bin/change-anything\"\n");
    for (words, program) in [
        (&["docs", "--dry-run"][..], "/usr/bin/change-anything"),
        (&["docs", "--dry-run", "--exec", "change-it now"], "change-it"),
    ] {
        let dry = told(words);
        let line = format!("would have {program} change the value");
        assert!(said(&dry).contains(&line), "{}", said(&dry));
    }
    fs::remove_file(scene.path("locket.toml")).unwrap();
    fs::create_dir(scene.path("units")).unwrap();
    assert!(told(&["--schedule", "units"]).status.success());
    let timer = fs::read_dir(scene.path("units"))
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|ending| ending == "timer"))
        .unwrap();
    assert!(fs::read_to_string(&timer).unwrap().contains("OnCalendar=daily"));
    // Whose unit it is not, it leaves alone.
    fs::write(&timer, "[Timer]\n").unwrap();
    let refused = told(&["--schedule", "units"]);
    assert!(
        !refused.status.success() && said(&refused).contains("is not from"),
        "{}",
        said(&refused)
    );
    assert_eq!(
        scene.read("secrets/docs.txt").as_deref(),
        Some("of-the-first-day")
    );
    let Some(engine) = Engine::shared() else { return };
    // The program fails, and is told of both values the other way round.
    scene.write(
        "change",
        "#!/bin/sh\ncat >>told\n! grep -q '\"new\":\"of-the-first-day\"' told && exit 1\nexit 0\n",
    );
    fs::set_permissions(scene.path("change"), fs::Permissions::from_mode(0o755)).unwrap();
    let failed = beside(engine, scene.base(), &["rotate", "docs", "--exec", "./change"])
        .output()
        .unwrap();
    assert_eq!(failed.status.code(), Some(1), "{}", said(&failed));
    assert_eq!(scene.read("told").unwrap().lines().count(), 2);
    assert_eq!(
        scene.read("secrets/docs.txt").as_deref(),
        Some("of-the-first-day")
    );
    scene.write("change", "#!/bin/sh\ncat >told\n");
    let done = beside(engine, scene.base(), &["rotate", "docs", "--exec", "./change"])
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", said(&done));
    assert_eq!(scene.read("secrets/docs.txt").unwrap().len(), 44);
}

/// Two projects, each with a secret that a program changes: `here/compose.yaml` and `prod.yaml` beside it.
fn two_projects() -> Scene {
    let scene = Scene::empty();
    for (file, name) in [("here/compose.yaml", "of_here"), ("prod.yaml", "of_prod")] {
        scene.write(
            file,
            format!(
                "name: {name}\nservices:\n  docs:\n    image: mongo\n    secrets: [{name}]\n\
                 secrets:\n  {name}: {{file: ./secrets/{name}.txt}}\n"
            ),
        );
    }
    scene.write("here/secrets/of_here.txt", "of-the-first-day");
    scene.write("secrets/of_prod.txt", "of-the-first-day");
    scene
}

/// `locket rotate WORDS` in the directory of the first project.
fn rotate_here(scene: &Scene, words: &[&str]) -> Output {
    let mut locket = scene.locket(["rotate"].iter().chain(words));
    locket.current_dir(scene.path("here")).output().unwrap()
}

/// The line of a unit that says what is started, without its name.
fn started(units: &Output) -> String {
    let text = String::from_utf8_lossy(&units.stdout);
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("ExecStart="));
    lines
        .next()
        .unwrap_or_else(|| panic!("{}", said(units)))
        .to_owned()
}

#[test]
fn the_secrets_of_a_compose_file_that_is_named_are_rotated() {
    let scene = two_projects();
    let dry = ["--exec", "change-it", "--dry-run"];
    let named = rotate_here(
        &scene,
        &[&["of_prod", "--file", "../prod.yaml"], &dry[..]].concat(),
    );
    assert!(
        named.status.success() && said(&named).contains("would have change-it change the value"),
        "{}",
        said(&named)
    );
    let unnamed = rotate_here(&scene, &[&["of_prod"], &dry[..]].concat());
    assert!(!unnamed.status.success(), "the control: {}", said(&unnamed));
}

#[test]
fn no_link_of_a_project_leads_rotate_to_the_secrets_of_another() {
    let scene = two_projects();
    fs::rename(scene.path("here/secrets"), scene.path("victim")).unwrap();
    symlink("../victim", scene.path("here/secrets")).unwrap();
    let dry = ["of_here", "--exec", "change-it", "--dry-run"];
    for words in [&dry[..], &dry[..3]] {
        let refused = rotate_here(&scene, words);
        assert_eq!(refused.status.code(), Some(1), "{words:?}: {}", said(&refused));
        assert!(
            said(&refused).contains("here/secrets is a link that leads out"),
            "{words:?}: {}",
            said(&refused)
        );
    }
    let there = fs::read_dir(scene.path("victim")).unwrap().count();
    assert_eq!(there, 1, "nothing beside the value");
    // A link that stays in the project is a directory of it.
    fs::remove_file(scene.path("here/secrets")).unwrap();
    fs::rename(scene.path("victim"), scene.path("here/kept")).unwrap();
    symlink("kept", scene.path("here/secrets")).unwrap();
    let inside = rotate_here(&scene, &dry);
    assert!(inside.status.success(), "{}", said(&inside));
}

#[test]
fn a_schedule_says_every_option_again_that_decides_what_is_rotated_and_how() {
    let scene = two_projects();
    scene.write("locket.toml", "");
    scene.write("token", "");
    let plain = started(&rotate_here(&scene, &["--schedule"]));
    assert!(plain.ends_with("locket rotate --all --older-than 90d"), "{plain}");
    let words = [
        "--schedule",
        "--older-than",
        "45d",
        "--file",
        "../prod.yaml",
        "--exec",
        "./change it",
        "--timeout",
        "10m",
        "--provider",
        "bao",
        "--token-file",
        "../token",
        "--config",
        "../locket.toml",
        "--bao.url",
        "https://bao.example",
        "--bao-ca-file",
        "ca.pem",
        "--request-timeout",
        "7s",
        "--deadline",
        "70s",
        "--log-level",
        "debug",
    ];
    let units = rotate_here(&scene, &words);
    let line = started(&units);
    let here = scene.path("here").display().to_string();
    for word in [
        " rotate --all --older-than 45d ",
        &format!(" --file={here}/../prod.yaml"),
        " \"--exec=./change it\"",
        " --timeout=10m",
        " --provider=bao",
        &format!(" --token-file={here}/../token"),
        &format!(" --config={here}/../locket.toml"),
        " --bao.url=https://bao.example",
        &format!(" --bao.ca-file={here}/ca.pem"),
        " --request-timeout=7s",
        " --deadline=70s",
        " --log-level=debug",
    ] {
        assert!(line.contains(word), "{word}: {line}");
    }
    assert!(!line.contains("schedule"), "{line}");
    assert!(
        said(&units).contains("# locket-rotate-of_prod.service"),
        "{}",
        said(&units)
    );
    // What stands there does it: a shell reads these words as systemd does.
    let line = line.replace("45d", "0s");
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &format!("{line} --dry-run")])
        .env_clear()
        .current_dir("/");
    let rehearsed = shell.output().unwrap();
    assert!(
        said(&rehearsed).contains("would have ./change change the value")
            && said(&rehearsed).contains("of_prod.txt")
            && !said(&rehearsed).contains("of_here"),
        "{}",
        said(&rehearsed)
    );
}

#[test]
fn a_mistake_in_what_a_schedule_would_say_is_told_at_once() {
    let scene = two_projects();
    for (words, told) in [
        (["--schedule", "--config=gone.toml"], "gone.toml"),
        (["--schedule", "--deadline=soon"], "--deadline"),
    ] {
        let refused = rotate_here(&scene, &words);
        assert_eq!(refused.status.code(), Some(2), "{words:?}: {}", said(&refused));
        assert!(said(&refused).contains(told), "{}", said(&refused));
        assert!(refused.stdout.is_empty(), "{}", said(&refused));
    }
}

#[test]
fn no_schedule_is_made_where_there_is_nothing_to_rotate() {
    let scene = Scene::empty();
    fs::create_dir(scene.path("empty")).unwrap();
    let told = |words: &[&str]| {
        let mut locket = scene.locket(["rotate"].iter().chain(words));
        locket.current_dir(scene.path("empty")).output().unwrap()
    };
    let refused = [told(&["--all"]), told(&["--schedule"])];
    for refused in &refused {
        assert_eq!(refused.status.code(), Some(2), "{}", said(refused));
        assert!(refused.stdout.is_empty(), "{}", said(refused));
    }
    assert_eq!(said(&refused[0]), said(&refused[1]));
    assert!(said(&refused[1]).contains("there is no Compose file here"));
}

#[test]
fn a_provider_with_a_name_of_its_own_finds_its_credential_in_a_schedule() {
    let scene = two_projects();
    let credential = "LoadCredential=locket.prod.token\n";
    assert!(!said(&rotate_here(&scene, &["--schedule"])).contains(credential));
    scene.write("here/locket.toml", "[providers.prod]\ntype = \"bao\"\n");
    let units = rotate_here(&scene, &["--schedule"]);
    assert!(
        units.status.success() && said(&units).contains(credential),
        "{}",
        said(&units)
    );
}

#[test]
fn a_program_that_was_interrupted_is_named_in_the_way_out_and_called_on_it() {
    let scene = Scene::empty();
    scene.write(
        "compose.yaml",
        "services:\n  api: {image: shop, secrets: [api]}\nsecrets:\n  api: {file: ./secrets/api.txt}\n",
    );
    scene.write("secrets/api.txt", "of-the-first-day");
    scene.write("bin/docker", "#!/bin/sh\nexit 0\n");
    scene.write("hang", "");
    scene.write(
        "change",
        "#!/bin/sh\ncat >>told\necho printed\nwhile [ -e hang ]; do sleep 0.05; done\n",
    );
    for program in ["bin/docker", "change"] {
        fs::set_permissions(scene.path(program), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let rotate = |words: &[&str]| {
        let mut locket = scene.locket(["rotate", "api"].iter().chain(words));
        locket.env("PATH", format!("{}:/usr/bin:/bin", scene.path("bin").display()));
        locket
    };
    let exec = ["--exec", "./change"];
    let mut first = rotate(&exec).stdout(Stdio::null()).spawn().unwrap();
    let told = || scene.read("told").unwrap_or_default().lines().count();
    eventually("the program has both values", || told() == 1);
    first.kill().unwrap();
    first.wait().unwrap();
    let again = rotate(&exec).output().unwrap();
    let way = "`locket rotate api --undo --exec COMMAND`";
    assert!(said(&again).contains(way), "{}", said(&again));
    for word in ["--undo", "--finish"] {
        let refused = rotate(&[word]).output().unwrap();
        assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
        assert!(said(&refused).contains(way), "{}", said(&refused));
        assert!(scene.path("secrets/.api.txt.new").exists());
    }
    // It hangs on the way back as well.
    let hangs = rotate(&["--undo", "--timeout=200ms"])
        .args(exec)
        .output()
        .unwrap();
    assert_eq!(hangs.status.code(), Some(1), "{}", said(&hangs));
    assert!(
        said(&hangs).contains("./change did not end within 200ms"),
        "{}",
        said(&hangs)
    );
    assert_eq!(String::from_utf8_lossy(&hangs.stdout), "printed\n");
    fs::remove_file(scene.path("hang")).unwrap();
    let undone = rotate(&["--undo"]).args(exec).output().unwrap();
    assert!(undone.status.success(), "{}", said(&undone));
    assert!(!scene.path("secrets/.api.txt.new").exists());
    let last = scene.read("told").unwrap().lines().last().unwrap().to_owned();
    assert!(last.contains("\"new\":\"of-the-first-day\""), "{last}");
}

#[test]
fn a_provider_that_cannot_be_asked_ends_a_rotation_before_anything_changes() {
    let scene = Scene::empty();
    scene.write(
        "compose.yaml",
        "services:\n  app: {image: shop, environment: {TOKEN: \"${TOKEN}\", OTHER: \"${OTHER}\"}}\n",
    );
    scene.write(
        ".env",
        "TOKEN={{ file://secrets/app.txt }}\nOTHER={{ file://gone.txt }}\n",
    );
    scene.write("secrets/app.txt", "of-the-first-day");
    scene.write(
        "bin/docker",
        "#!/bin/sh\n[ \"$2\" = ps ] && echo '{\"State\":\"running\"}'\nexit 0\n",
    );
    scene.write("change", "#!/bin/sh\ncat >>told\n");
    for program in ["bin/docker", "change"] {
        fs::set_permissions(scene.path(program), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let rotate = || {
        let mut locket = scene.locket(["rotate", "app", "--exec", "./change", "--deadline=2s"]);
        locket.env("PATH", format!("{}:/usr/bin:/bin", scene.path("bin").display()));
        locket.output().unwrap()
    };
    let failed = rotate();
    assert!(!failed.status.success(), "{}", said(&failed));
    assert!(said(&failed).contains("gone.txt"), "{}", said(&failed));
    assert_eq!(scene.read("told"), None, "{}", said(&failed));
    scene.write("gone.txt", "there");
    let done = rotate();
    assert!(done.status.success(), "{}", said(&done));
    assert_ne!(scene.read("secrets/app.txt").unwrap(), "of-the-first-day");
}

#[test]
fn what_variables_say_of_a_schedule_is_told_to_be_missing_in_it() {
    let scene = two_projects();
    let told = |words: &[&str]| {
        let mut locket = scene.locket(["rotate", "--schedule"].iter().chain(words));
        locket
            .current_dir(scene.path("here"))
            .env("COMPOSE_FILE", "../prod.yaml");
        said(&locket.output().unwrap())
    };
    let warned = told(&[]);
    assert!(warned.contains("where COMPOSE_FILE is set"), "{warned}");
    let named = told(&["--file", "../prod.yaml"]);
    assert!(!named.contains("warning"), "{named}");
}

#[test]
fn units_of_a_schedule_are_only_told_with_dry_run() {
    let scene = two_projects();
    let dry = rotate_here(&scene, &["--schedule", "units", "--dry-run"]);
    assert!(
        dry.status.success() && said(&dry).contains("would write"),
        "{}",
        said(&dry)
    );
    assert!(!scene.path("here/units").exists());
    let written = rotate_here(&scene, &["--schedule", "units"]);
    assert!(written.status.success(), "{}", said(&written));
    assert!(scene.path("here/units/locket-rotate-of_here.timer").exists());
}

#[test]
fn an_age_beside_the_name_of_a_secret_is_refused() {
    let scene = two_projects();
    let words = ["of_here", "--exec", "change-it", "--dry-run"];
    let refused = rotate_here(&scene, &[&words[..], &["--older-than", "90d"]].concat());
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    assert!(
        said(&refused).contains("--older-than: of_here is named") && said(&refused).contains("`--all`"),
        "{}",
        said(&refused)
    );
    let named = rotate_here(&scene, &words);
    assert!(named.status.success(), "the control: {}", said(&named));
}

#[test]
fn two_rotations_at_once_come_one_after_the_other() {
    let Some(engine) = Engine::shared() else { return };
    let scene = Scene::empty();
    scene.write(
        "compose.yaml",
        "services: {}\nsecrets:\n  docs: {file: ./secrets/docs.txt}\n",
    );
    scene.write("secrets/docs.txt", "of-the-first-day");
    scene.write(
        "change",
        "#!/bin/sh\ncat >>told\nuntil [ -e go ]; do sleep 0.05; done\n",
    );
    fs::set_permissions(scene.path("change"), fs::Permissions::from_mode(0o755)).unwrap();
    let told = || scene.read("told").unwrap_or_default().lines().count();
    let rotate = |more: &[&str]| {
        let words = [&["rotate", "docs", "--exec", "./change"], more].concat();
        beside(engine, scene.base(), &words)
    };
    let mut first = rotate(&[]).spawn().unwrap();
    eventually("the first one changes the value", || told() == 1);
    let (mut second, undo) = (rotate(&[]).spawn().unwrap(), rotate(&["--undo"]).spawn().unwrap());
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(told(), 1, "what is under way is not taken for interrupted");
    scene.write("go", "");
    assert!(first.wait().unwrap().success() && second.wait().unwrap().success());
    let undone = undo.wait_with_output().unwrap();
    assert_eq!(undone.status.code(), Some(2), "there is nothing to undo");
    let changes: Vec<serde_json::Value> = scene
        .read("told")
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(changes.len(), 2);
    assert_eq!(changes[0]["old"], "of-the-first-day");
    assert_eq!(changes[1]["old"], changes[0]["new"], "one goes on from the other");
    assert_eq!(changes[1]["new"], scene.read("secrets/docs.txt").unwrap());
}
