//! Whose updates of a service `swarm sync` brings to their end: its own, and nobody else's.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use locket_core::{Environment, SecretBytes};
use locket_docker::engine::{Client, Endpoint};
use locket_docker::swarm::{Outcome, Sync, Wanted};
use locket_testkit::fakes::docker::Swarm;
use locket_testkit::services::Engine;
use locket_testkit::{Request, Response, Server, TokioClock};
use serde_json::{Value, json};

use crate::support::{Scene, eventually};

/// What one run did.
struct Run {
    outcome: Outcome,
    said: Vec<String>,
    /// What it asked the engine, as `METHOD PATH`.
    asked: Vec<String>,
}

impl Run {
    /// How often it asked for this.
    fn times(&self, question: &str) -> usize {
        self.asked.iter().filter(|asked| *asked == question).count()
    }

    /// How many of its questions came before this one.
    fn before(&self, question: &str) -> &[String] {
        let at = self.asked.iter().position(|asked| asked == question);
        &self.asked[..at.unwrap_or_else(|| panic!("{question}: {:?}", self.asked))]
    }
}

/// One run for the secret `db` against whatever answers so.
async fn run(answer: impl Fn(Request) -> Response + Send + std::marker::Sync + 'static) -> Run {
    let server = Server::start(answer);
    let endpoint = Endpoint::Tcp {
        address: server.address().to_string(),
        tls: None,
    };
    let client = Client::new(endpoint, &Environment::default()).unwrap();
    let said = RefCell::new(Vec::new());
    let tell = |line: &str| said.borrow_mut().push(line.to_owned());
    let sync = Sync {
        client: &client,
        clock: Arc::new(TokioClock::new()),
        timeout: Duration::from_secs(30),
        tell: &tell,
    };
    let wanted = Wanted {
        left_out: Vec::new(),
        name: "db".to_owned(),
        target: "db".to_owned(),
        services: Vec::new(),
        digest: "two".to_owned(),
    };
    let outcome = sync.bring(&wanted, &SecretBytes::new(b"value".to_vec())).await;
    let requests = server.requests();
    let asked = requests
        .iter()
        .map(|request| format!("{} {}", request.method, request.path));
    Run {
        outcome,
        said: said.take(),
        asked: asked.collect(),
    }
}

/// A swarm with both versions of `db`, of which the second is wanted.
fn versions() -> Swarm {
    let swarm = Swarm::new();
    for (version, digest) in [(1, "one"), (2, "two")] {
        let labels = json!({
            "locket.sync": "db",
            "locket.version": version.to_string(),
            "locket.digest": digest,
        });
        swarm.add_secret(json!({
            "ID": format!("id{version}"),
            "Version": { "Index": version },
            "Spec": { "Name": format!("db.v{version}"), "Labels": labels },
        }));
    }
    swarm
}

/// The spec of the service `web` with a version of `db`, as the engine gives it.
fn spec(image: &str, version: u64) -> Value {
    let reference = json!({
        "File": { "Name": "password", "UID": "0", "GID": "0", "Mode": 292 },
        "SecretID": format!("id{version}"),
        "SecretName": format!("db.v{version}"),
    });
    json!({
        "Name": "web",
        "Labels": {},
        "TaskTemplate": {
            "ContainerSpec": { "Image": image, "Isolation": "default", "Secrets": [reference] },
            "Placement": {},
            "ForceUpdate": 0,
            "Runtime": "container",
        },
        "Mode": { "Replicated": { "Replicas": 2 } },
        "UpdateConfig": { "Parallelism": 1, "FailureAction": "pause", "Order": "start-first" },
    })
}

/// A service in the middle of an update, as the engine describes it.
fn service(present: &Value, previous: &Value, state: &str) -> Value {
    json!({
        "ID": "web",
        "Version": { "Index": 41 },
        "CreatedAt": "2030-01-02T03:04:05.000000001Z",
        "UpdatedAt": "2030-01-02T03:05:05.000000001Z",
        "Spec": present,
        "PreviousSpec": previous,
        "Endpoint": { "Spec": {} },
        "UpdateStatus": {
            "State": state,
            "StartedAt": "2030-01-02T03:05:05.000000001Z",
            "Message": "update paused due to failure or early termination of task 1",
        },
    })
}

const LOOK: &str = "GET /services/web";
const CHANGE: &str = "POST /services/web/update";
const REMOVE: &str = "DELETE /secrets/id1";

#[tokio::test]
async fn an_update_of_another_that_is_paused_or_under_way_is_left_alone() {
    for state in ["paused", "updating", "rollback_started"] {
        let swarm = versions();
        let there = service(&spec("broken", 2), &spec("app", 2), state);
        swarm.put_service(there.clone());
        // Nobody would wait for so long.
        swarm.end_updates_at_look(1000);
        let answering = swarm.clone();
        let run = run(move |request| answering.answer(&request)).await;
        assert_eq!(run.outcome.failed, Vec::<String>::new(), "{state}");
        assert_eq!((run.times(LOOK), run.times(CHANGE)), (0, 0), "{state}");
        assert_eq!(swarm.service("web"), there, "{state}");
        // It was there for something, and did that.
        assert_eq!(run.said, ["removed db.v1"], "{state}");
    }
}

#[tokio::test]
async fn a_paused_update_to_another_version_is_rolled_back_and_loses_no_object() {
    let swarm = versions();
    let before = spec("app", 1);
    swarm.put_service(service(&spec("app", 2), &before, "paused"));
    let answering = swarm.clone();
    let run = run(move |request| answering.answer(&request)).await;
    let [failed] = &run.outcome.failed[..] else {
        panic!("{:?}", run.outcome)
    };
    assert!(
        failed.starts_with("web: its update failed and was rolled back: update paused due to failure"),
        "{failed}"
    );
    assert_eq!(run.times(CHANGE), 1);
    assert_eq!(swarm.service("web")["Spec"], before);
    assert_eq!(run.times(REMOVE), 0);
    assert_eq!(swarm.secrets(), ["db.v1", "db.v2"]);
}

#[tokio::test]
async fn an_update_to_another_version_is_waited_for_before_the_old_object_goes() {
    let swarm = versions();
    swarm.put_service(service(&spec("app", 2), &spec("app", 1), "updating"));
    swarm.end_updates_at_look(3);
    let answering = swarm.clone();
    let run = run(move |request| answering.answer(&request)).await;
    assert_eq!(run.outcome.failed, Vec::<String>::new());
    let looks = run.before(REMOVE).iter().filter(|asked| *asked == LOOK).count();
    assert_eq!(looks, 3, "{:?}", run.asked);
    assert_eq!(run.times(CHANGE), 0, "it goes well as it is");
    assert_eq!(swarm.secrets(), ["db.v2"]);
}

#[tokio::test]
async fn a_service_of_an_older_version_is_moved_and_waited_for_whatever_update_it_is_in() {
    let swarm = versions();
    swarm.put_service(service(&spec("other", 1), &spec("app", 1), "paused"));
    swarm.end_updates_at_look(2);
    let answering = swarm.clone();
    let run = run(move |request| answering.answer(&request)).await;
    assert_eq!(run.said, ["updated web with db.v2", "removed db.v1"]);
    assert_eq!((run.times(CHANGE), run.times(LOOK)), (1, 2));
    assert_eq!(swarm.service("web")["Spec"], spec("other", 2));
}

#[tokio::test]
async fn an_update_that_another_begins_while_it_is_waited_for_is_not_rolled_back() {
    let swarm = versions();
    swarm.put_service(service(&spec("app", 1), &spec("app", 1), "completed"));
    swarm.end_updates_at_look(1000);
    let answering = swarm.clone();
    let looks = AtomicUsize::new(0);
    let theirs = service(&spec("broken", 2), &spec("app", 2), "paused");
    let expected = theirs.clone();
    let run = run(move |request| {
        let is_look = request.method == "GET" && request.path == "/services/web";
        if is_look && looks.fetch_add(1, Ordering::Relaxed) == 1 {
            answering.put_service(theirs.clone());
        }
        answering.answer(&request)
    })
    .await;
    assert_eq!(run.outcome.failed, Vec::<String>::new());
    assert_eq!((run.times(LOOK), run.times(CHANGE)), (2, 1), "{:?}", run.asked);
    assert_eq!(swarm.service("web"), expected);
}

#[tokio::test]
async fn an_update_of_a_secret_with_a_driver_is_rolled_back_only_if_it_gave_another_value() {
    let given = |image: &str, digest: &str| {
        let mut spec = spec(image, 0);
        spec["Labels"]["locket.given.db"] = json!(digest);
        spec
    };
    for (present, previous, rolled_back) in [
        (given("broken", "two"), given("app", "two"), 0),
        (given("app", "two"), given("app", "one"), 1),
    ] {
        let swarm = Swarm::new();
        swarm.add_secret(json!({
            "ID": "id0",
            "Spec": { "Name": "db", "Labels": { "locket.ref": "file://db" }, "Driver": { "Name": "locket" } },
        }));
        swarm.put_service(service(&present, &previous, "paused"));
        let answering = swarm.clone();
        let run = run(move |request| answering.answer(&request)).await;
        assert_eq!(run.times(CHANGE), rolled_back, "{:?}", run.asked);
        assert_eq!(run.outcome.failed.len(), rolled_back, "{:?}", run.outcome);
    }
}

/// `swarm sync` against a real engine: its exit code and what it said.
fn synced(scene: &Scene, engine: &Engine) -> (i32, String) {
    let mut command = scene.locket(["swarm", "sync", "--config", "locket.toml"]);
    command.env("DOCKER_HOST", format!("unix://{}", engine.socket().display()));
    let output = command.output().unwrap();
    (output.status.code().unwrap_or(-1), super::all(&output))
}

#[test]
fn an_image_that_an_operator_updated_in_vain_stays_as_they_left_it() {
    let Some(engine) = Engine::start() else { return };
    engine.run(&["swarm", "init", "--advertise-addr", "127.0.0.1"]);
    let scene = Scene::new();
    scene.write("db", "one");
    let reference = format!("file://{}", scene.path("db").display());
    scene.write(
        "locket.toml",
        format!("[[swarm.secret]]\nname = \"db\"\ntemplate = \"{reference}\"\n"),
    );
    assert_eq!(synced(&scene, &engine).0, 3);
    engine.run(&[
        "service",
        "create",
        "--detach",
        "--name",
        "web",
        "--secret",
        "source=db.v1,target=password",
        "--restart-condition",
        "none",
        "--update-order",
        "start-first",
        "--update-monitor",
        "3s",
        "busybox",
        "sh",
        "-c",
        "exec sleep 100000",
    ]);
    let inspect = |format: &str| engine.run(&["service", "inspect", "--format", format, "web"]);
    let tasks = || engine.run(&["service", "ps", "--format", "{{.CurrentState}}", "web"]);
    eventually("it runs", || tasks().contains("Running"));
    engine.run(&["service", "update", "--detach", "--args", "sh -c 'exit 1'", "web"]);
    let state = "{{if .UpdateStatus}}{{.UpdateStatus.State}}{{end}}";
    eventually("it is paused", || inspect(state) == "paused");
    assert_eq!(synced(&scene, &engine), (0, String::new()));
    assert_eq!(inspect(state), "paused");
    let arguments = inspect("{{json .Spec.TaskTemplate.ContainerSpec.Args}}");
    assert_eq!(arguments, r#"["sh","-c","exit 1"]"#);
}
