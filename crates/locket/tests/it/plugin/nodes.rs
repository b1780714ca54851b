//! A swarm of two nodes, each on a machine of its own: the plugin is on the manager, the tasks are on the worker.

use std::fs;

use locket_testkit::services::Engine;

use super::World;
use crate::support::eventually;

/// The container of a service's task on a node, where one runs.
fn container(node: &Engine, service: &str) -> Option<String> {
    let name = format!("name={service}.");
    let id = node.run(&["ps", "--quiet", "--filter", &name, "--filter", "status=running"]);
    id.lines().next().map(str::to_owned)
}

/// What its task was given.
fn given(node: &Engine, service: &str) -> Option<String> {
    let id = container(node, service)?;
    let output = node
        .docker()
        .args(["exec", &id, "cat", "/run/secrets/db"])
        .output();
    let output = output.unwrap();
    let is_read = output.status.success();
    is_read.then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

impl World {
    /// A service whose task runs on the worker.
    fn far_service(&self, name: &str) {
        self.engine.run(&[
            "service",
            "create",
            "--detach",
            "--name",
            name,
            "--secret",
            "db",
            "--constraint",
            "node.role==worker",
            "--restart-delay",
            "1s",
            "busybox",
            "sleep",
            "100000",
        ]);
    }
}

#[test]
fn a_task_on_another_node_waits_for_the_managers_plugin_and_nothing_is_lost() {
    let (Some(world), Some(worker)) = (World::new(), Engine::start()) else {
        return;
    };
    let [here, there] = world.engine.connect(&worker);
    world.engine.run(&["swarm", "init", "--advertise-addr", &here]);
    let token = world.engine.run(&["swarm", "join-token", "--quiet", "worker"]);
    worker.run(&[
        "swarm",
        "join",
        "--advertise-addr",
        &there,
        "--token",
        &token,
        &format!("{here}:2377"),
    ]);
    let base = world.scene.base().display().to_string();
    let allow = format!("[swarm]\nallow = [\"file://{base}/secrets/*\"]\n");
    world.scene.write("locket.toml", allow);
    let configured = ["--config", &world.place("locket.toml")];
    let plugin = world.plugin_with(&configured);
    let reference = world.secret("db", "one");
    let label = format!("locket.ref={reference}");
    world
        .engine
        .run(&["secret", "create", "--driver", "locket", "--label", &label, "db"]);

    world.far_service("web");
    world.far_service("steady");
    for service in ["web", "steady"] {
        eventually("the worker's task has the secret", || {
            given(&worker, service).as_deref() == Some("one")
        });
        assert_eq!(container(&world.engine, service), None, "it runs on the worker");
    }
    let sockets = fs::read_dir(worker.plugins()).unwrap().count();
    assert_eq!(sockets, 0, "the worker needs no plugin");

    // A task that ends and one that is new find no plugin, and wait.
    plugin.kill();
    world.secret("db", "two");
    let steady = container(&worker, "steady").unwrap();
    worker.run(&["kill", &container(&worker, "web").unwrap()]);
    world.far_service("late");
    for service in ["web", "late"] {
        eventually("the task could not be started", || {
            let tasks = world.tasks(service);
            tasks.contains("Failed") && tasks.contains("secret")
        });
        assert_eq!(given(&worker, service), None);
    }
    let _plugin = world.plugin_with(&configured);
    for service in ["web", "late"] {
        eventually("the task has the secret of now", || {
            given(&worker, service).as_deref() == Some("two")
        });
    }
    assert_eq!(
        (container(&worker, "steady"), given(&worker, "steady").as_deref()),
        (Some(steady), Some("one")),
        "what ran went on"
    );
    worker.run(&["swarm", "leave"]);
}
