//! One agent that serves what containers ask for by their labels, on a real engine.

use std::fs;

use locket_testkit::services::Engine;

use super::{all, docker, engine};
use crate::support::{Agent, Scene, eventually};

const CONFIGURATION: &str = r#"
[labels]
allow = [
    "file:///SECRETS/shared/**",
    { reference = "file:///SECRETS/**", service = "labels-one/*" },
]
"#;

/// Prints a line for each HUP.
const CONSUMER: &str = "trap 'echo told' HUP; trap exit TERM; echo ready; while :; do sleep 0.1; done";

struct Stage {
    engine: &'static Engine,
    scene: Scene,
}

impl Stage {
    fn new() -> Option<Self> {
        let engine = engine()?;
        let scene = Scene::new();
        let secrets = scene.path("secrets").display().to_string();
        let configuration = CONFIGURATION.replace("/SECRETS", &secrets);
        scene.write("locket.toml", configuration.replace("file:////", "file:///"));
        scene.write("secrets/shared/a", "first");
        scene.write("secrets/own", "of one");
        Some(Self { engine, scene })
    }

    fn agent(&self) -> Agent {
        let mut locket = self
            .scene
            .locket(["run", "--docker-labels", "--out", "out", "--refresh", "off"]);
        locket.env(
            "DOCKER_HOST",
            format!("unix://{}", self.engine.socket().display()),
        );
        Agent::start(&mut locket)
    }

    fn file(&self, name: &str) -> String {
        format!("{{{{ file://{}/{name} }}}}", self.scene.path("secrets").display())
    }

    /// A project of Compose with one service that asks for `secrets`.
    fn up(&self, project: &str, secrets: &[(&str, String)]) {
        let mut labels: Vec<_> = secrets
            .iter()
            .map(|(name, template)| format!("      locket.secret.{name}: \"{template}\"\n"))
            .collect();
        labels.push("      locket.signal: HUP\n".to_owned());
        let file = format!(
            "name: {project}\nservices:\n  web:\n    image: busybox\n    network_mode: none\n    command: [\"sh\", \"-c\", \
             \"{CONSUMER}\"]\n    labels:\n{}",
            labels.concat()
        );
        self.scene.write(&format!("{project}/compose.yaml"), file);
        let up = self.compose(project, &["up", "--detach"]);
        assert!(up.0, "{}", up.1);
    }

    fn compose(&self, project: &str, arguments: &[&str]) -> (bool, String) {
        let mut command = docker(self.engine, &self.scene.path(project), &["compose"]);
        let output = command.args(arguments).output().unwrap();
        (output.status.success(), all(&output))
    }

    /// How often the containers of `project` printed `word`.
    fn said(&self, project: &str, word: &str) -> usize {
        self.compose(project, &["logs", "--no-log-prefix"])
            .1
            .matches(word)
            .count()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for project in ["labels-one", "labels-two", "labels-three", "labels-none"] {
            if self.scene.path(project).exists() {
                self.compose(project, &["down", "--timeout", "1"]);
            }
        }
    }
}

#[test]
fn one_agent_serves_projects_that_come_change_and_go() {
    let Some(stage) = Stage::new() else { return };
    stage.up(
        "labels-one",
        &[("a", stage.file("shared/a")), ("own", stage.file("own"))],
    );
    let agent = stage.agent();
    stage.scene.becomes("out/labels-one/web/a", "first");
    stage.scene.becomes("out/labels-one/web/own", "of one");

    // Others appear; a label that may not ask for something gets nothing, and its neighbours all.
    stage.up(
        "labels-two",
        &[("a", stage.file("shared/a")), ("own", stage.file("own"))],
    );
    stage.up("labels-three", &[("b", format!("b={}", stage.file("shared/a")))]);
    stage.scene.becomes("out/labels-two/web/a", "first");
    stage.scene.becomes("out/labels-three/web/b", "b=first");
    agent.says("the label locket.secret.own of labels-two/web gets nothing");
    assert!(!stage.scene.path("out/labels-two/web/own").exists());

    // A rotation reaches all of them, and tells each once. Who was told of its first files while it was starting, or
    // before, may not have listened yet.
    let projects = ["labels-one", "labels-two", "labels-three"];
    for project in ["labels-two", "labels-three"] {
        agent.says(&format!("compose:{project}/web:SIGHUP"));
    }
    eventually("all of them listen", || {
        projects.iter().all(|project| stage.said(project, "ready") == 1)
    });
    let words = |project: &str| {
        agent
            .log()
            .matches(&format!("compose:{project}/web:SIGHUP"))
            .count()
    };
    assert_eq!(projects.map(words), [1; 3], "{}", agent.log());
    let before = projects.map(|project| stage.said(project, "told"));
    fs::write(stage.scene.path("secrets/shared/a"), "second").unwrap();
    agent.signal("HUP");
    for (file, text) in [
        ("labels-one/web/a", "second"),
        ("labels-two/web/a", "second"),
        ("labels-three/web/b", "b=second"),
    ] {
        stage.scene.becomes(&format!("out/{file}"), text);
    }
    eventually("each is told once", || {
        let now = projects.map(|project| stage.said(project, "told"));
        now == before.map(|count| count + 1)
    });
    assert_eq!(projects.map(words), [2; 3], "{}", agent.log());

    // One changes what it asks for, another leaves.
    stage.up("labels-three", &[("c", stage.file("shared/a"))]);
    stage.scene.becomes("out/labels-three/web/c", "second");
    let down = stage.compose("labels-two", &["down", "--timeout", "1"]);
    assert!(down.0, "{}", down.1);
    eventually("what nobody asks for any more is gone", || {
        ["labels-two/web/a", "labels-three/web/b"]
            .iter()
            .all(|file| !stage.scene.path("out").join(file).exists())
    });
    assert_eq!(
        stage.scene.read("out/labels-one/web/a").as_deref(),
        Some("second")
    );
    let (_, log) = agent.stop();
    assert!(!log.contains("of one"), "no value is logged: {log}");
    assert!(log.contains("labels-one/web/own"), "while its file is: {log}");
}

#[test]
fn without_a_pattern_labels_get_nothing_and_the_agent_says_so() {
    let Some(stage) = Stage::new() else { return };
    fs::remove_file(stage.scene.path("locket.toml")).unwrap();
    let bare = "store://anything".to_owned();
    stage.up("labels-none", &[("b", stage.file("shared/a")), ("bare", bare)]);
    let agent = stage.agent();
    agent.says("labels of containers get nothing: no file has `[labels]`");
    agent.says("the label locket.secret.b of labels-none/web gets nothing");
    agent.says("the label locket.secret.bare of labels-none/web gets nothing");
    assert!(!stage.scene.path("out/labels-none").exists());
}

#[test]
fn an_engine_that_is_down_costs_nothing_that_is_in_place() {
    let Some(stage) = Stage::new() else { return };
    stage.scene.write("out/kept/by/others", "x");
    let mut locket = stage.scene.locket(["run", "--docker-labels", "--out", "out"]);
    locket.args(["--secret", "own={{ file://secrets/own }}"]);
    locket.env(
        "DOCKER_HOST",
        format!("unix://{}", stage.scene.path("no.sock").display()),
    );
    let agent = Agent::start(&mut locket);
    agent.says("does not listen: start it, or set DOCKER_HOST");
    stage.scene.becomes("out/own", "of one");
    assert_eq!(stage.scene.read("out/kept/by/others").as_deref(), Some("x"));
}
