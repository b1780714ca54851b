use super::World;
use crate::support::eventually;

/// What a task says when it starts: its secret, and that it stays.
const APP: &str = "cat /run/secrets/db; echo; exec sleep 100000";

impl World {
    /// A swarm of one node.
    pub(super) fn swarm(&self) {
        self.engine
            .run(&["swarm", "init", "--advertise-addr", "127.0.0.1"]);
    }

    pub(super) fn service(&self, name: &str, secret: &str) {
        let source = format!("source={secret},target=db");
        self.engine.run(&[
            "service",
            "create",
            "--detach",
            "--name",
            name,
            "--secret",
            &source,
            "--restart-delay",
            "1s",
            "busybox",
            "sh",
            "-c",
            APP,
        ]);
    }

    pub(super) fn logs(&self, service: &str) -> String {
        self.engine.run(&["service", "logs", "--raw", service])
    }

    pub(super) fn tasks(&self, service: &str) -> String {
        let format = "{{.CurrentState}} {{.Error}}";
        self.engine
            .run(&["service", "ps", "--no-trunc", "--format", format, service])
    }
}

#[test]
fn each_task_gets_the_value_of_its_start_and_no_object_is_made_for_it() {
    let Some(world) = World::new() else { return };
    world.swarm();
    let base = world.scene.base().display().to_string();
    world.scene.write(
        "locket.toml",
        format!(
            "[swarm]\nallow = [\"file://{base}/secrets/*\", {{ reference = \"file://{base}/own/*\", service = \"own_*\" }}]\n"
        ),
    );
    let plugin = world.plugin_with(&[
        "--config",
        &world.place("locket.toml"),
        "--audit-log",
        &world.place("audit"),
    ]);
    let reference = world.secret("db", "one");
    let create = |name: &str, labels: &[&str]| {
        let mut arguments = vec!["secret", "create", "--driver", "locket"];
        arguments.extend(labels.iter().flat_map(|label| ["--label", label]));
        arguments.push(name);
        world.engine.run(&arguments);
    };
    create("db", &[&format!("locket.ref={reference}")]);
    world.service("web", "db");
    eventually("the task says it", || world.logs("web").contains("one"));
    world.secret("db", "two");
    world
        .engine
        .run(&["service", "update", "--detach", "--force", "web"]);
    eventually("the next task says the new one", || {
        world.logs("web").contains("two")
    });
    assert_eq!(world.engine.run(&["secret", "ls", "--quiet"]).lines().count(), 1);

    // Templates, and a value that a node may keep for all tasks of the secret.
    create(
        "url",
        &[
            &format!("locket.template=postgres://app:{{{{ {reference} | url }}}}@db/app"),
            "locket.reuse=true",
        ],
    );
    world.service("worker", "url");
    eventually("it is rendered", || {
        world.logs("worker").contains("postgres://app:two@db/app")
    });

    // What may not be had, each with its reason where people look.
    world.scene.write("own/key", "mine");
    world.scene.write("other/key", "not yours");
    let refused = [
        (
            "outside",
            format!("locket.ref=file://{base}/other/key"),
            "is not allowed for the service outside",
        ),
        (
            "foreign",
            format!("locket.ref=file://{base}/own/key"),
            "is not allowed for the service foreign",
        ),
        (
            "around",
            format!("locket.ref=file://{base}/secrets/../other/key"),
            "without `.`, `..`",
        ),
        (
            "typo",
            format!("locket.reff={reference}"),
            "Did you mean `locket.ref`?",
        ),
        (
            "missing",
            format!("locket.ref=file://{base}/secrets/none"),
            "secrets/none",
        ),
    ];
    for (name, label, reason) in &refused {
        create(name, &[label]);
        world.service(name, name);
        // The engine tells the people of the service only that there is no secret.
        eventually("the task does not start", || world.tasks(name).contains("Failed"));
        plugin.says(reason);
        assert_eq!(world.logs(name), "");
        world.engine.run(&["service", "rm", name]);
    }
    create("own", &[&refused[1].1]);
    world.service("own_app", "own");
    eventually("its own service has it", || {
        world.logs("own_app").contains("mine")
    });

    let audit = world.scene.read("audit").unwrap();
    let lines: Vec<serde_json::Value> = audit
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let handed: Vec<_> = lines.iter().filter(|line| line["event"] == "hand-out").collect();
    let of = |secret: &str, outcome: &str| {
        let lines = handed
            .iter()
            .filter(|line| line["target"] == secret && line["outcome"] == outcome);
        lines.count()
    };
    assert!(
        of("db", "ok") >= 2 && of("outside", "refused") >= 1 && of("missing", "failed") >= 1,
        "{audit}"
    );
    assert_eq!(handed[0]["service"], "web");
    assert_eq!(handed[0]["reference"], reference.as_str());
    assert!(!audit.contains("\"one\"") && !audit.contains("\"two\""));
}

#[test]
fn a_refusal_stands_with_its_reason_where_the_tasks_of_a_service_are_listed() {
    let Some(world) = World::new() else { return };
    world.swarm();
    let base = world.scene.base().display().to_string();
    let allow = format!("[swarm]\nallow = [\"file://{base}/secrets/*\"]\n");
    world.scene.write("locket.toml", allow);
    let _plugin = world.plugin_with(&["--config", &world.place("locket.toml")]);
    world.scene.write("other/key", "not yours");
    let create = |name: &str, label: &str, more: &[&str]| {
        let mut arguments = vec!["secret", "create", "--driver", "locket", "--label", label];
        arguments.extend(more);
        arguments.push(name);
        world.engine.run(&arguments);
    };
    let expanded = ["--template-driver", "golang"];
    for (name, reference, reason) in [
        ("refused", "other/key", "is not allowed for the service refused"),
        ("missing", "secrets/none", "secrets/none"),
    ] {
        create(name, &format!("locket.ref=file://{base}/{reference}"), &expanded);
        world.service(name, name);
        eventually("the reason is where people look", || {
            world.tasks(name).contains(reason)
        });
        assert_eq!(world.logs(name), "", "nothing of it started");
        world.engine.run(&["service", "rm", name]);
    }

    // The control: without the template the engine says only that there is no secret.
    create("plain", &format!("locket.ref=file://{base}/other/key"), &[]);
    world.service("plain", "plain");
    eventually("the task does not start", || {
        world.tasks("plain").contains("Failed")
    });
    assert!(!world.tasks("plain").contains("is not allowed"));

    // A value is not expanded, whatever it looks like.
    let value = r#"a {{ env "HOME" }} {{{ "b" }}"#;
    let tricky = world.secret("tricky", value);
    create("tricky", &format!("locket.ref={tricky}"), &expanded);
    world.service("tricky", "tricky");
    eventually("it arrives as it is", || world.logs("tricky").contains(value));
    create("bare", &format!("locket.ref={tricky}"), &[]);
    world.service("bare", "bare");
    eventually("it does without a template, too", || {
        world.logs("bare").contains(value)
    });
}

#[test]
fn a_running_service_gets_another_secret_of_the_driver_in_the_place_of_its_own() {
    let Some(world) = World::new() else { return };
    world.swarm();
    let base = world.scene.base().display().to_string();
    let allow = format!("[swarm]\nallow = [\"file://{base}/secrets/*\"]\n");
    world.scene.write("locket.toml", allow);
    let _plugin = world.plugin_with(&["--config", &world.place("locket.toml")]);
    for name in ["old", "new"] {
        let label = format!("locket.ref={}", world.secret(name, &format!("the {name} one")));
        world
            .engine
            .run(&["secret", "create", "--driver", "locket", "--label", &label, name]);
    }
    world.service("web", "old");
    eventually("the task has it", || world.logs("web").contains("the old one"));
    let update = |change: &[&str]| {
        world
            .engine
            .run(&[&["service", "update", "--detach"], change, &["web"]].concat());
    };
    update(&["--secret-rm", "old", "--secret-add", "source=new,target=db"]);
    eventually("the next task has the other", || {
        world.logs("web").contains("the new one")
    });
    // Nobody uses it any more.
    world.engine.run(&["secret", "rm", "old"]);
    update(&[
        "--secret-rm",
        "new",
        "--args",
        "sh -c '[ -e /run/secrets/db ] || echo empty; exec sleep 100000'",
    ]);
    eventually("the last task has none", || world.logs("web").contains("empty"));
    world.engine.run(&["secret", "rm", "new"]);
}

#[test]
fn a_provider_that_hangs_holds_up_no_other_service() {
    let Some(world) = World::new() else { return };
    world.swarm();
    let base = world.scene.base().display().to_string();
    world.scene.write(
        "locket.toml",
        format!(
            "[swarm]\nallow = [\"file://{base}/secrets/*\", \"slow://**\"]\n\
             [providers.slow]\ntype = \"exec\"\ncommand = [\"/bin/sh\", \"-c\", \"sleep 1000\"]\n"
        ),
    );
    let plugin = world.plugin_with(&["--config", &world.place("locket.toml")]);
    let quick = world.secret("quick", "at once");
    for (name, reference) in [("slow", "slow://never"), ("quick", &quick)] {
        let label = format!("locket.ref={reference}");
        world
            .engine
            .run(&["secret", "create", "--driver", "locket", "--label", &label, name]);
    }
    world.service("waiting", "slow");
    world.service("going", "quick");
    eventually("the other service runs", || {
        world.logs("going").contains("at once")
    });
    plugin.says("slow://never: the provider gave no answer in time");
    assert!(world.logs("waiting").is_empty());
}
