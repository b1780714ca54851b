//! `locket rotate` of secrets of a swarm, in the database that they are in force in and in all services that have them.

use std::io::Write;
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

use locket_testkit::services::Engine;

use super::{beside, images, said};
use crate::support::{Scene, eventually};

struct World {
    engine: Engine,
    /// Where the database listens: services of a swarm have no name space of another in common, so they have the
    /// machine's loopback.
    port: String,
    scene: Scene,
}

impl World {
    fn new() -> Option<Self> {
        let engine = Engine::start()?;
        // The image that others share is another engine's.
        images::make_postgres(&engine)?;
        engine.run(&["swarm", "init", "--advertise-addr", "127.0.0.1"]);
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        Some(Self {
            engine,
            port: format!("PGPORT={}", free.local_addr().unwrap().port()),
            scene: Scene::empty(),
        })
    }

    fn ours(&self, arguments: &[&str]) -> Command {
        let mut command = beside(&self.engine, self.scene.base(), arguments);
        command
            .env("HOME", self.scene.base())
            .env("LOCKET_IDENTITY_FILE", self.scene.path("identity.txt"));
        command
    }

    fn output(&self, arguments: &[&str]) -> Output {
        self.ours(arguments).output().unwrap()
    }

    /// What a program of ours does with `input` on its standard input.
    fn give(mut command: Command, input: &str) {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
    }

    fn secret(&self, name: &str, value: &str) {
        let mut command = self.engine.docker();
        command.args(["secret", "create", name, "-"]);
        Self::give(command, value);
    }

    fn service(&self, name: &str, secret: &str, more: &[&str]) {
        let secret = format!("source={secret},target=pw");
        let mut arguments = vec![
            "service",
            "create",
            "--detach",
            "--name",
            name,
            "--network",
            "host",
        ];
        arguments.extend(["--env", &self.port, "--env", "LISTEN=127.0.0.1"]);
        arguments.extend(["--env", "POSTGRES_USER=app", "--env", "POSTGRES_DB=postgres"]);
        arguments.extend([
            "--secret",
            &secret,
            "--update-monitor",
            "1s",
            "--health-interval",
            "1s",
        ]);
        arguments.extend(["--stop-grace-period", "2s", "--restart-delay", "1s"]);
        arguments.extend(more);
        self.engine.run(&arguments);
        eventually("it runs", || self.container(name).is_some());
    }

    fn database(&self, secret: &str) {
        self.service(
            "db",
            secret,
            &[
                "--env",
                "POSTGRES_PASSWORD_FILE=/run/secrets/pw",
                "--mount",
                "type=volume,source=data,target=/var/lib/postgresql",
                "--health-cmd",
                "pg_isready -q -h 127.0.0.1 -U app",
                // While it is set up, it must not be killed.
                "--health-retries",
                "100",
                "postgres:17-alpine",
            ],
        );
    }

    /// Logs in again and again, and is well while that works.
    fn client(&self, name: &str, secret: &str) {
        let login =
            "PGPASSWORD=$(cat /run/secrets/pw) psql -XqtA -w -h 127.0.0.1 -U app -d postgres -c 'select 1'";
        self.service(
            name,
            secret,
            &[
                "--health-cmd",
                login,
                "--health-retries",
                "20",
                "--entrypoint",
                "sleep",
                "postgres:17-alpine",
                "100000",
            ],
        );
    }

    /// The healthy container of a service.
    fn container(&self, service: &str) -> Option<String> {
        let label = format!("label=com.docker.swarm.service.name={service}");
        let words = ["ps", "--quiet", "--filter", &label, "--filter", "health=healthy"];
        let text = self.engine.run(&words);
        text.lines().next().map(str::to_owned)
    }

    fn value(&self, service: &str) -> String {
        let mut value = String::new();
        eventually("a container has it", || {
            let Some(container) = self.container(service) else {
                return false;
            };
            let mut command = self.engine.docker();
            let output = command
                .args(["exec", &container, "cat", "/run/secrets/pw"])
                .output()
                .unwrap();
            value = String::from_utf8_lossy(&output.stdout).into_owned();
            output.status.success()
        });
        value
    }

    fn opens(&self, password: &str) -> bool {
        let variable = format!("PGPASSWORD={password}");
        let mut works = false;
        eventually("the database can be asked", || {
            let Some(container) = self.container("db") else {
                return false;
            };
            let mut command = self.engine.docker();
            command.args(["exec", "--env", &variable, &container, "psql", "-XqtA", "-w"]);
            command.args(["-h", "127.0.0.1", "-U", "app", "-d", "postgres", "-c", "select 1"]);
            works = command.output().unwrap().status.success();
            true
        });
        works
    }

    fn objects(&self) -> Vec<String> {
        let names = self.engine.run(&["secret", "ls", "--format", "{{.Name}}"]);
        let mut names: Vec<_> = names.lines().map(str::to_owned).collect();
        names.sort();
        names
    }

    /// What is left of a rotation in the directory for what must not be in a repository.
    fn leftovers(&self) -> usize {
        std::fs::read_dir(self.scene.path(".local/state/locket/rotations"))
            .map(Iterator::count)
            .unwrap_or_default()
    }
}

#[test]
fn a_secret_of_the_swarm_is_changed_in_its_database_and_reaches_every_service() {
    let Some(world) = World::new() else { return };
    world.secret("pw", "of-the-first-day");
    world.database("pw");
    world.client("web", "pw");
    assert!(world.opens("of-the-first-day"));
    let dry = world.output(&["rotate", "pw", "--dry-run"]);
    for told in [
        "would change the password of app in db",
        "would create pw.v1",
        "would update web with pw.v1",
    ] {
        assert!(said(&dry).contains(told), "{}", said(&dry));
    }
    assert_eq!(world.objects(), ["pw"]);
    let rotated = world.output(&["rotate", "pw"]);
    assert!(rotated.status.success(), "{}", said(&rotated));
    assert_eq!(world.objects(), ["pw", "pw.v1"], "what was made by hand stays");
    let new = world.value("web");
    assert_eq!(new.len(), 44);
    assert_eq!(world.value("db"), new);
    assert!(world.opens(&new) && !world.opens("of-the-first-day"));
    assert!(!said(&rotated).contains(&new));
    assert_eq!(world.leftovers(), 0);

    // A stack's file names it, too; and who is not well with it brings the old one back.
    world.scene.write(
        "compose.yaml",
        "services: {web: {image: shop, secrets: [login]}}\nsecrets: {login: {external: true, name: pw}}\n",
    );
    world.service(
        "fragile",
        "pw.v1",
        &[
            "--health-cmd",
            &format!("test \"$(cat /run/secrets/pw)\" = '{new}'"),
            "--health-retries",
            "2",
            "busybox",
            "sleep",
            "100000",
        ],
    );
    let failed = world.output(&["rotate", "login", "--timeout", "60s"]);
    assert_eq!(failed.status.code(), Some(1), "{}", said(&failed));
    assert!(
        said(&failed).contains("The old value is in force again."),
        "{}",
        said(&failed)
    );
    for service in ["db", "web", "fragile"] {
        assert_eq!(world.value(service), new, "{service}");
    }
    assert!(world.opens(&new));
    assert_eq!(world.leftovers(), 0);
}

#[test]
fn a_secret_that_the_swarm_has_from_the_store_is_changed_in_both() {
    let Some(world) = World::new() else { return };
    assert!(world.output(&["store", "init"]).status.success());
    World::give(world.ours(&["store", "set", "db/password"]), "of-the-first-day");
    world.scene.write(
        "locket.toml",
        "[[swarm.secret]]\nname = \"pw\"\ntemplate = \"store://db/password\"\n\n[[swarm.secret]]\nname = \"other\"\ntemplate = \"bao://secret/other#value\"\n",
    );
    world.secret("other", "of-another");
    let synced = world.output(&["swarm", "sync"]);
    assert!(said(&synced).contains("created pw.v1"), "{}", said(&synced));
    world.database("pw.v1");
    for name in ["pw", "store://db/password"] {
        let old = world.value("db");
        let rotated = world.output(&["rotate", name]);
        assert!(rotated.status.success(), "{}", said(&rotated));
        let stored = world.output(&["store", "get", "db/password"]);
        let new = String::from_utf8_lossy(&stored.stdout).into_owned();
        assert_eq!(world.value("db"), new);
        assert!(new != old && world.opens(&new) && !world.opens(&old));
        // The next run has nothing to do for it.
        let again = world.output(&["swarm", "sync"]);
        assert!(!said(&again).contains("pw"), "{}", said(&again));
    }
    for (name, reason) in [
        (
            "other",
            "the swarm has other from elsewhere: bao://secret/other#value",
        ),
        ("nobody", "the swarm has no secret `nobody`"),
    ] {
        let refused = world.output(&["rotate", name]);
        assert!(
            refused.status.code() == Some(2) && said(&refused).contains(reason),
            "{}",
            said(&refused)
        );
    }
}
