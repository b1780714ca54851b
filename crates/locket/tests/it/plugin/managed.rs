//! The plugin as the engine itself keeps it: made of the static release, enabled, killed, disabled.

use std::fs;
use std::path::Path;

use locket_testkit::services::release;

use super::World;
use crate::docker::deploy::deploy;
use crate::support::eventually;

impl World {
    /// The plugin, given to the engine and enabled; its configuration is the directory `etc` of the scene.
    fn managed(&self, binary: &Path) {
        let home = self.scene.path("managed");
        fs::create_dir_all(home.join("rootfs")).unwrap();
        fs::copy(binary, home.join("rootfs/locket")).unwrap();
        fs::copy(deploy().join("plugin/config.json"), home.join("config.json")).unwrap();
        fs::create_dir_all(self.scene.path("etc")).unwrap();
        self.engine
            .run(&["plugin", "create", "locket", &home.display().to_string()]);
        let source = |name: &str, path: &str| format!("{name}.source={path}");
        self.engine.run(&[
            "plugin",
            "set",
            "locket",
            &source("config", &self.place("etc")),
            &source("engine", &self.engine.socket().display().to_string()),
            "LOCKET_LOG_LEVEL=info",
        ]);
        self.engine.run(&["plugin", "enable", "locket"]);
    }

    /// How often the managed plugin has begun to listen.
    fn starts(&self) -> usize {
        self.engine
            .log()
            .matches("listening at /run/docker/plugins")
            .count()
    }

    fn state_of(&self, volume: &str) -> String {
        self.engine
            .run(&["volume", "inspect", "--format", "{{json .Status}}", volume])
    }
}

/// Kills every plugin that the engine runs. The processes that are seen are the engine's own.
const KILL: &str = r#"
    for process in /proc/[0-9]*; do
        case "$(tr '\0' ' ' <"$process/cmdline")" in
            "/locket plugin"*) kill -KILL "${process#/proc/}"; echo killed ;;
        esac
    done 2>/dev/null
"#;

#[test]
fn a_managed_plugin_keeps_volumes_fresh_and_says_what_it_cannot_keep() {
    let (Some(binary), Some(world)) = (release(), World::new()) else {
        return;
    };
    world.managed(&binary);
    world.scene.write("etc/db", "one");
    world.create(
        "vol",
        &[("secret.db", "{{ file:///etc/locket/db }}"), ("refresh", "1s")],
    );
    world.start("app", "vol");
    assert_eq!(world.read("app", "db"), "one");
    world.scene.write("etc/db", "two");
    eventually("the value is new", || world.read("app", "db") == "two");

    // Killed, it is started by the engine, and finds what it had mounted.
    let starts = world.starts();
    let killed = world.engine.inside("sh").args(["-c", KILL]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&killed.stdout).trim(), "killed");
    eventually("it is started again", || world.starts() > starts);
    assert_eq!(world.read("app", "db"), "two");
    world.scene.write("etc/db", "three");
    eventually("the value is new", || world.read("app", "db") == "three");
    assert!(world.state_of("vol").contains(r#""mounts":1"#));

    // What is in use is not disabled, unless by force.
    let refused = world
        .engine
        .docker()
        .args(["plugin", "disable", "locket"])
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("is in use"));
    assert_eq!(world.read("app", "db"), "three");
    assert!(!world.mounts().is_empty());
    world.engine.run(&["plugin", "disable", "--force", "locket"]);
    assert!(world.mounts().is_empty(), "the engine takes away what is mounted");
    assert_eq!(
        world.read("app", "db"),
        "three",
        "the container keeps what it has"
    );
    world.engine.run(&["plugin", "enable", "locket"]);
    assert_eq!(world.engine.run(&["volume", "ls", "--quiet"]), "vol");
    eventually("it is told what is not kept fresh any more", || {
        let state = world.state_of("vol");
        state.contains(r#""state":"stale""#) && state.contains("start them again")
    });
    assert!(world.engine.log().contains("vol: containers that run"));
    world.engine.run(&["restart", "--time", "1", "app"]);
    world.scene.write("etc/db", "four");
    eventually("the value is new", || world.read("app", "db") == "four");
    assert!(world.state_of("vol").contains(r#""state":"ready""#));

    world.stop("app");
    assert!(world.mounts().is_empty());
    world.engine.run(&["volume", "rm", "vol"]);
    world.engine.run(&["plugin", "disable", "locket"]);
    world.engine.run(&["plugin", "rm", "locket"]);
}

#[test]
fn a_managed_plugin_hands_out_swarm_secrets() {
    let (Some(binary), Some(world)) = (release(), World::new()) else {
        return;
    };
    world.scene.write("etc/db", "one");
    world
        .scene
        .write("etc/locket.toml", "[swarm]\nallow = [\"file:///etc/locket/*\"]\n");
    world.managed(&binary);
    world.swarm();
    let label = "locket.ref=file:///etc/locket/db";
    world
        .engine
        .run(&["secret", "create", "--driver", "locket", "--label", label, "db"]);
    world.service("web", "db");
    eventually("the task has it", || world.logs("web").contains("one"));
    world.scene.write("etc/db", "two");
    world
        .engine
        .run(&["service", "update", "--detach", "--force", "web"]);
    eventually("the next task has the new one", || {
        world.logs("web").contains("two")
    });
    world.engine.run(&["service", "rm", "web"]);
    world.engine.run(&["plugin", "disable", "--force", "locket"]);
}

#[test]
fn the_managed_plugin_mounts_and_keeps_its_state_where_the_engine_shares_it() {
    let text = fs::read_to_string(deploy().join("plugin/config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_str(&text).unwrap();
    let shared = config["propagatedMount"].as_str().unwrap();
    for option in ["--runtime-dir=", "--state-dir="] {
        let words = config["entrypoint"].as_array().unwrap().iter();
        let given = words.filter_map(|word| word.as_str()?.strip_prefix(option));
        let given: Vec<_> = given.collect();
        assert_eq!(given.len(), 1, "{option}");
        assert!(given[0].starts_with(&format!("{shared}/")), "{given:?}");
    }
    // Every variable that may be set is one that the program reads, by itself or as programs usually do.
    let usual = ["HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE"];
    let reference = fs::read_to_string(deploy().join("../docs/reference/environment.md")).unwrap();
    for variable in config["env"].as_array().unwrap() {
        let name = variable["name"].as_str().unwrap();
        let is_known = usual.contains(&name) || reference.contains(&format!("`{name}`"));
        assert!(is_known, "{name}");
        assert!(
            variable["value"].is_null(),
            "{name} is not set unless somebody does"
        );
    }
}
