use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use super::World;
use crate::support::{eventually, locket};

/// What a task does: it says its secret, and stays.
const APP: &str = "cat /run/secrets/password; echo; exec sleep 100000";

impl World {
    fn sync(&self, more: &[&str]) -> Command {
        let mut command = locket();
        command
            .args(["swarm", "sync", "--config", &self.place("locket.toml")])
            .args(more)
            .env(
                "DOCKER_HOST",
                format!("unix://{}", self.engine.socket().display()),
            );
        command
    }

    /// One run, with its exit code and both its outputs.
    fn synced(&self, more: &[&str]) -> (i32, String) {
        told(self.sync(more).output().unwrap())
    }

    /// The names of all secrets, in order.
    fn objects(&self) -> Vec<String> {
        let names = self.engine.run(&["secret", "ls", "--format", "{{.Name}}"]);
        let mut names: Vec<_> = names.lines().map(str::to_owned).collect();
        names.sort();
        names
    }

    /// The secrets that a service's tasks are given, as `NAME>FILE`.
    fn given(&self, service: &str) -> String {
        let format =
            "{{range .Spec.TaskTemplate.ContainerSpec.Secrets}}{{.SecretName}}>{{.File.Name}} {{end}}";
        self.engine
            .run(&["service", "inspect", "--format", format, service])
            .trim()
            .to_owned()
    }

    /// A service of the secret `db`, which sync has made.
    fn app(&self, name: &str, more: &[&str], script: &str) {
        let objects = self.objects();
        let newest = objects.iter().rfind(|name| name.starts_with("db.v")).unwrap();
        let secret = format!("source={newest},target=password");
        let mut arguments = vec![
            "service", "create", "--detach", "--name", name, "--secret", &secret,
        ];
        arguments.extend(["--update-order", "start-first", "--update-monitor", "1s"]);
        arguments.extend(more);
        arguments.extend(["busybox", "sh", "-c", script]);
        self.engine.run(&arguments);
        eventually("it runs", || self.tasks(name).contains("Running"));
    }

    fn keep_db(&self) {
        let reference = self.secret("db", "one");
        self.scene.write(
            "locket.toml",
            format!("[[swarm.secret]]\nname = \"db\"\ntemplate = \"{reference}\"\n"),
        );
    }
}

fn told(output: Output) -> (i32, String) {
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (output.status.code().unwrap_or(-1), text.concat())
}

#[test]
fn a_new_value_is_a_new_object_that_services_get_under_the_same_name() {
    let Some(world) = World::new() else { return };
    world.swarm();
    world.keep_db();
    let configs = || world.engine.run(&["config", "ls", "--format", "{{.Name}}"]);
    let (code, said) = world.synced(&["--dry-run"]);
    assert_eq!((code, said.trim()), (3, "would create db.v1"));
    assert_eq!(configs().trim(), "", "nothing in the swarm was made");
    let (code, said) = world.synced(&[]);
    assert_eq!((code, said.trim()), (3, "created db.v1"));
    assert_eq!(configs().lines().count(), 1, "the key of digests");
    world.app("web", &[], APP);
    world.app("worker", &[], APP);
    assert_eq!(world.synced(&[]), (0, String::new()), "nothing is new");

    world.secret("db", "two");
    let (code, said) = world.synced(&["--dry-run"]);
    let dry =
        "would create db.v2\nwould update web with db.v2\nwould update worker with db.v2\nwould remove db.v1";
    let sorted = |text: &str| {
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!((code, sorted(&said)), (3, sorted(dry)));
    assert_eq!(world.objects(), ["db.v1"]);
    let (code, said) = world.synced(&[]);
    assert_eq!(code, 3, "{said}");
    assert_eq!(
        sorted(&said),
        sorted(
            &dry.replace("would create", "created")
                .replace("would update", "updated")
                .replace("would remove", "removed")
        )
    );
    assert_eq!(world.objects(), ["db.v2"]);
    for service in ["web", "worker"] {
        assert_eq!(world.given(service), "db.v2>password");
        assert!(world.logs(service).contains("two"));
    }
    let labels = world.engine.run(&["secret", "inspect", "db.v2"]);
    assert!(!labels.contains("two") && !labels.contains("dHdv"), "{labels}");
}

#[test]
fn rotation_loses_no_request_of_a_service_under_load() {
    let Some(world) = World::new() else { return };
    world.swarm();
    world.keep_db();
    assert_eq!(world.synced(&[]).0, 3);
    world
        .engine
        .run(&["network", "create", "--driver", "overlay", "--attachable", "app"]);
    // Whoever is told to end answers whom it has, and only then ends.
    let serve = "httpd -p 80 -h /run/secrets; trap 'sleep 2; exit' TERM; while :; do sleep 1 & wait; done";
    world.app(
        "web",
        &[
            "--replicas",
            "2",
            "--network",
            "app",
            "--endpoint-mode",
            "dnsrr",
            "--update-parallelism",
            "1",
            "--stop-grace-period",
            "10s",
        ],
        serve,
    );
    let ask = r"printf 'GET /password HTTP/1.0\r\n\r\n' | nc -w 10 web 80 | tail -n 1";
    let script = format!(
        "until [ \"$({ask})\" = one ]; do sleep 0.1; done; echo BEGIN; while :; do echo \"got $({ask})\"; sleep 0.02; done"
    );
    world.engine.run(&[
        "run",
        "--detach",
        "--name",
        "client",
        "--network",
        "app",
        "busybox",
        "sh",
        "-c",
        &script,
    ]);
    let answers = || {
        let log = world.engine.run(&["logs", "client"]);
        let (_, since) = log.split_once("BEGIN\n").unwrap_or_default();
        since.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let count = |value: &str| answers().iter().filter(|line| *line == value).count();
    eventually("the load is on", || count("got one") > 20);
    world.secret("db", "two");
    let (code, said) = world.synced(&[]);
    assert_eq!(code, 3, "{said}");
    assert_eq!(world.objects(), ["db.v2"]);
    let now = count("got two");
    eventually("answers are new", || count("got two") > now + 20);
    let lost: Vec<_> = answers()
        .into_iter()
        .filter(|line| !matches!(line.as_str(), "got one" | "got two"))
        .collect();
    assert!(lost.is_empty(), "of {} requests: {lost:?}", answers().len());
}

#[test]
fn a_run_that_is_killed_at_any_step_is_finished_by_the_next_one() {
    let Some(world) = World::new() else { return };
    world.swarm();
    world.keep_db();
    assert_eq!(world.synced(&[]).0, 3);
    world.app("web", &[], APP);
    world.app("worker", &[], APP);
    for kill_at in 1..=5 {
        let value = format!("value {kill_at}");
        world.secret("db", &value);
        let mut child = world
            .sync(&["--log-level", "debug"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let mut steps = 0;
        for line in lines {
            steps += usize::from(line.contains("swarm") && line.contains("step"));
            if steps == kill_at {
                break;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(
            steps > 0 && steps <= 4,
            "create, two moves and a removal: {steps}"
        );
        let (code, said) = world.synced(&[]);
        assert!(code == 0 || code == 3, "{kill_at}: {said}");
        assert_eq!(world.objects().len(), 1, "killed at step {kill_at}: {said}");
        for service in ["web", "worker"] {
            assert!(
                world.logs(service).contains(&value),
                "killed at step {kill_at}: {said}"
            );
        }
        assert_eq!(world.synced(&[]).0, 0);
    }
}

#[test]
fn two_runs_at_once_do_the_work_once() {
    let Some(world) = World::new() else { return };
    world.swarm();
    world.keep_db();
    assert_eq!(world.synced(&[]).0, 3);
    world.app("web", &[], APP);
    world.secret("db", "two");
    let mut runs: Vec<_> = (0..2)
        .map(|_| {
            world
                .sync(&[])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for run in runs.drain(..) {
        let (code, said) = told(run.wait_with_output().unwrap());
        assert!(code == 0 || code == 3, "{said}");
    }
    assert_eq!(world.objects(), ["db.v2"]);
    assert_eq!(world.given("web"), "db.v2>password");
    assert_eq!(
        world.logs("web").lines().filter(|line| *line == "two").count(),
        1,
        "one new task"
    );
}

#[test]
fn an_update_that_fails_is_rolled_back_and_keeps_its_old_object() {
    let Some(world) = World::new() else { return };
    world.swarm();
    world.keep_db();
    assert_eq!(world.synced(&[]).0, 3);
    let picky =
        "grep -q bad /run/secrets/password && exit 1; cat /run/secrets/password; echo; exec sleep 100000";
    world.app(
        "web",
        &["--restart-condition", "none", "--update-monitor", "3s"],
        picky,
    );
    world.secret("db", "bad");
    let (code, said) = world.synced(&[]);
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("ERR: web: its update failed and was rolled back"),
        "{said}"
    );
    assert_eq!(world.given("web"), "db.v1>password");
    assert!(world.objects().contains(&"db.v1".to_owned()));
    eventually("the old one runs", || world.tasks("web").contains("Running"));
    world.secret("db", "good");
    let (code, said) = world.synced(&[]);
    assert_eq!(code, 3, "{said}");
    assert_eq!(world.objects(), ["db.v3"]);
    eventually("the new one runs", || world.logs("web").contains("good"));
}

#[test]
fn labels_of_services_ask_for_what_they_may_and_driven_secrets_reach_new_tasks() {
    let Some(world) = World::new() else { return };
    world.swarm();
    let (own, other) = (world.secret("own", "mine"), world.secret("other", "not yours"));
    world
        .scene
        .write("locket.toml", format!("[swarm]\nallow = [\"{own}\"]\n"));
    let _plugin = world.plugin_with(&["--config", &world.place("locket.toml")]);
    let labels = [
        format!("locket.secret.key={own}"),
        format!("locket.secret.no={other}"),
    ];
    let script = "cat /run/secrets/*; echo; exec sleep 100000";
    world.engine.run(&[
        "service", "create", "--detach", "--name", "web", "--label", &labels[0], "--label", &labels[1],
        "busybox", "sh", "-c", script,
    ]);
    let (code, said) = world.synced(&[]);
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("created web.key.v1") && said.contains("updated web with web.key.v1"),
        "{said}"
    );
    assert!(
        said.contains("ERR: web.no:") && said.contains("is not allowed for the service web"),
        "{said}"
    );
    assert_eq!(world.given("web"), "web.key.v1>key");
    eventually("it is there", || world.logs("web").contains("mine"));
    world.engine.run(&["service", "rm", "web"]);

    let label = format!("locket.ref={own}");
    world.engine.run(&[
        "secret", "create", "--driver", "locket", "--label", &label, "driven",
    ]);
    world.service("app", "driven");
    eventually("it is given", || world.logs("app").contains("mine"));
    assert_eq!(world.synced(&[]).0, 3, "what its tasks have is not known");
    assert_eq!(world.synced(&[]), (0, String::new()));
    world.secret("own", "new");
    let (code, said) = world.synced(&[]);
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("updated app with driven"), "{said}");
    eventually("the next task has it", || world.logs("app").contains("new"));
    assert_eq!(world.synced(&[]).0, 0);

    world.scene.write(
        "locket.toml",
        format!("[swarm]\nallow = [{{ reference = \"{own}\", service = \"app\" }}]\n"),
    );
    world.engine.run(&[
        "service", "create", "--detach", "--name", "stranger", "--secret", "driven", "busybox", "sh", "-c",
        script,
    ]);
    world.secret("own", "last");
    let (code, said) = world.synced(&[]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("is not allowed for the service stranger"), "{said}");
    assert!(
        said.contains("updated app with driven") && !said.contains("updated stranger"),
        "one that may not have it holds up nobody: {said}"
    );
    eventually("the next task has it", || world.logs("app").contains("last"));
}

#[test]
fn an_update_that_does_not_end_in_time_is_told_and_loses_no_object() {
    let Some(world) = World::new() else { return };
    world.swarm();
    world.keep_db();
    assert_eq!(world.synced(&[]).0, 3);
    world.app("web", &["--update-monitor", "60s"], APP);
    world.secret("db", "two");
    let (code, said) = world.synced(&["--timeout", "2s"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("its update was not over after 2s"), "{said}");
    assert_eq!(world.objects(), ["db.v1", "db.v2"]);
}
