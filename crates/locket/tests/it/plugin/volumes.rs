use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Stdio;

use locket_testkit::canary::{Canary, assert_absent};

use super::{World, signal};
use crate::support::eventually;

#[test]
fn a_volume_holds_its_secrets_as_the_options_say() {
    let Some(world) = World::new() else { return };
    let _plugin = world.plugin();
    let db = world.secret("db", "hunter2\n");
    world
        .scene
        .write("in/app.conf", format!("password = {{{{ {db} | trim }}}}\n"));
    let template = world.scene.path("in/app.conf").display().to_string();
    let text = format!("{{{{ {db} }}}}");
    world.create(
        "vol",
        &[
            ("secret.db", &text),
            ("template", &template),
            ("size", "512k"),
            ("user", "1000:1001"),
            ("mode", "0750"),
            ("file-mode", "0440"),
        ],
    );
    world.start("app", "vol");
    assert_eq!(world.read("app", "db"), "hunter2");
    assert_eq!(world.read("app", "app.conf"), "password = hunter2");
    let seen = world
        .engine
        .run(&["exec", "app", "stat", "-c", "%a %u %g", "/v", "/v/db"]);
    assert_eq!(seen, "750 1000 1001\n440 1000 1001");
    let table = world.mounts();
    assert!(
        table[0].contains("size=512k") && table[0].contains("noexec") && table[0].contains("nosuid"),
        "{table:?}"
    );
    let inspected = world.engine.run(&["volume", "inspect", "vol"]);
    assert!(inspected.contains("\"state\": \"ready\""), "{inspected}");
    world.stop("app");
    assert!(world.mounts().is_empty());
    world.engine.run(&["volume", "rm", "vol"]);
    assert_eq!(world.engine.run(&["volume", "ls", "--quiet"]), "");

    // What nobody says is as the engine has it for its own secrets, and any user of a container reads it.
    world.create("plain", &[("secret.db", &text), ("flags", "ro")]);
    world.start("other", "plain");
    let seen = world
        .engine
        .run(&["exec", "other", "stat", "-c", "%a %u", "/v", "/v/db"]);
    assert_eq!(seen, "755 0\n444 0");
    let read = world
        .engine
        .run(&["exec", "--user", "4242", "other", "cat", "/v/db"]);
    assert_eq!(read, "hunter2");
    let mut write = world.engine.docker();
    let refused = write.args(["exec", "other", "touch", "/v/new"]).output().unwrap();
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("Read-only file system"),
        "{refused:?}"
    );
}

#[test]
fn containers_get_new_values_again_when_what_stopped_that_is_over() {
    let Some(world) = World::new() else { return };
    let plugin = world.plugin();
    let db = world.secret("db", "one");
    let template = format!("password = {{{{ {db} | trim }}}}\n");
    world.scene.write("in/app.conf", &template);
    let path = world.place("in/app.conf");
    world.create("vol", &[("template", &path), ("refresh", "1s")]);
    world.start("app", "vol");
    plugin.stop();
    std::fs::remove_file(world.scene.path("in/app.conf")).unwrap();
    world.secret("db", "two");
    let plugin = world.plugin();
    plugin.says("vol is not kept fresh any more");
    assert_eq!(
        world.read("app", "app.conf"),
        "password = one",
        "the old file stays"
    );
    world.scene.write("in/app.conf", &template);
    signal(plugin.id, "HUP");
    eventually("the new value is there", || {
        world.read("app", "app.conf") == "password = two"
    });
    world.secret("db", "three");
    eventually("and the next one", || {
        world.read("app", "app.conf") == "password = three"
    });
}

#[test]
fn two_containers_share_a_volume_whatever_happens_to_the_plugin_between() {
    let Some(world) = World::new() else { return };
    let plugin = world.plugin();
    let db = world.secret("db", "one");
    world.create(
        "vol",
        &[("secret.db", &format!("{{{{ {db} }}}}")), ("refresh", "1s")],
    );
    world.start("first", "vol");
    plugin.kill();
    assert_eq!(world.read("first", "db"), "one", "it needs no plugin to read");
    let plugin = world.plugin();
    world.start("second", "vol");
    plugin.kill();
    let plugin = world.plugin();
    world.stop("first");
    assert_eq!(world.read("second", "db"), "one");
    assert_eq!(world.mounts().len(), 1);
    // A rotated secret reaches a volume that an earlier plugin mounted.
    world.secret("db", "two");
    eventually("the value is new", || world.read("second", "db") == "two");
    plugin.kill();
    let plugin = world.plugin();
    world.stop("second");
    assert!(world.mounts().is_empty(), "{}", plugin.log());
    world.start("third", "vol");
    assert_eq!(world.read("third", "db"), "two");
    let log = plugin.stop();
    assert!(log.contains("what is mounted stays"), "{log}");
    assert!(
        !world.engine.plugins().join("locket.sock").exists(),
        "the engine would wait for it"
    );
    assert_eq!(world.read("third", "db"), "two");
}

#[test]
fn a_hundred_volumes_are_mounted_at_once() {
    let Some(world) = World::new() else { return };
    let _plugin = world.plugin();
    let mut arguments = vec!["run".to_owned(), "--rm".to_owned()];
    for number in 0..100 {
        let reference = world.secret(&format!("s{number}"), &format!("value {number}\n"));
        world.create(
            &format!("v{number}"),
            &[("secret.s", &format!("{{{{ {reference} }}}}"))],
        );
        arguments.push("--volume".to_owned());
        arguments.push(format!("v{number}:/v/{number}"));
    }
    arguments.extend(["busybox", "sh", "-c", "cat /v/*/s | sort -u | wc -l"].map(str::to_owned));
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    assert_eq!(world.engine.run(&arguments), "100");
    assert!(world.mounts().is_empty());
}

#[test]
fn a_provider_that_hangs_holds_up_its_own_volume_only_and_that_not_for_ever() {
    let Some(world) = World::new() else { return };
    world.scene.write(
        "slow.toml",
        "[providers.slow]\ntype = \"exec\"\ncommand = [\"/bin/sh\", \"-c\", \"sleep 1000\"]\n",
    );
    let _plugin = world.plugin();
    let config = world.scene.path("slow.toml").display().to_string();
    world.create("slow", &[("secret.a", "{{ slow://never }}"), ("config", &config)]);
    let reference = world.secret("b", "at once");
    world.create("quick", &[("secret.b", &format!("{{{{ {reference} }}}}"))]);
    let mut hanging = world.engine.docker();
    let hanging = hanging
        .args(["run", "--rm", "--volume", "slow:/v", "busybox", "true"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let state = || {
        world
            .engine
            .run(&["volume", "inspect", "--format", "{{.Status.state}}", "slow"])
    };
    eventually("it waits", || state() == "starting");
    // All of this would stand behind it.
    assert_eq!(world.engine.run(&["volume", "ls", "--quiet"]), "quick\nslow");
    world.start("other", "quick");
    assert_eq!(world.read("other", "b"), "at once");
    assert_eq!(state(), "starting", "the slow one still waits");
    let failed = hanging.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&failed.stderr);
    assert!(!failed.status.success());
    assert!(
        told.contains("the volume slow has no values") && told.contains("slow://never"),
        "{told}"
    );
    eventually("nothing of it is left", || world.mounts().len() == 1);
}

#[test]
fn a_missing_secret_fails_the_container_by_name_and_the_next_try_finds_it() {
    let Some(world) = World::new() else { return };
    let _plugin = world.plugin();
    let reference = format!("file://{}", world.scene.path("secrets/late").display());
    world.create("vol", &[("secret.late", &format!("{{{{ {reference} }}}}"))]);
    let mut command = world.engine.docker();
    let output = command
        .args(["run", "--rm", "--volume", "vol:/v", "busybox", "true"])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains(&reference) && told.contains("late"), "{told}");
    world.secret("late", "there");
    world.start("app", "vol");
    assert_eq!(world.read("app", "late"), "there");
}

#[test]
fn an_unmount_that_was_lost_leaves_nothing_mounted() {
    let Some(world) = World::new() else { return };
    let plugin = world.plugin();
    let reference = world.secret("a", "value");
    let text = format!("{{{{ {reference} }}}}");
    world.create("lost", &[("secret.a", &text)]);
    world.create("used", &[("secret.a", &text)]);
    world.start("gone", "lost");
    world.start("stays", "used");
    plugin.kill();
    // The engine tries for a while to tell, and then forgets.
    world.stop("gone");
    assert_eq!(world.mounts().len(), 2);
    let plugin = world.plugin();
    plugin.says("no container uses lost any more");
    eventually("it is taken away", || world.mounts().len() == 1);
    assert_eq!(world.read("stays", "a"), "value");
    world.start("again", "lost");
    assert_eq!(world.read("again", "a"), "value");
}

#[test]
fn an_engine_that_was_killed_leaves_nothing_mounted_and_starts_as_fast_as_ever() {
    let Some(world) = World::new() else { return };
    let plugin = world.plugin();
    let reference = world.secret("a", "value");
    world.create("vol", &[("secret.a", &format!("{{{{ {reference} }}}}"))]);
    world.start("app", "vol");
    world.engine.restart("KILL");
    assert_eq!(world.engine.run(&["volume", "ls", "--quiet"]), "vol");
    eventually("the container is dead", || {
        world
            .engine
            .run(&["inspect", "--format", "{{.State.Running}}", "app"])
            == "false"
    });
    plugin.says("no container uses vol any more");
    eventually("nothing is mounted", || world.mounts().is_empty());
    world.engine.run(&["start", "app"]);
    assert_eq!(world.read("app", "a"), "value");
    world.engine.restart("TERM");
    eventually("it was unmounted", || world.mounts().is_empty());
    // Removed while the plugin still counts a mount.
    world.engine.run(&["start", "app"]);
    world.engine.restart("KILL");
    eventually("the container is dead", || {
        world
            .engine
            .run(&["inspect", "--format", "{{.State.Running}}", "app"])
            == "false"
    });
    world.stop("app");
    world.engine.run(&["volume", "rm", "vol"]);
    assert!(world.mounts().is_empty());
}

#[test]
fn an_engine_that_is_restarted_under_running_containers_finds_them_as_they_were() {
    let Some(world) = World::with(&["--live-restore"]) else {
        return;
    };
    let _plugin = world.plugin();
    let reference = world.secret("a", "one");
    world.create(
        "vol",
        &[("secret.a", &format!("{{{{ {reference} }}}}")), ("refresh", "1s")],
    );
    world.start("app", "vol");
    world.engine.restart("KILL");
    assert_eq!(world.read("app", "a"), "one");
    world.secret("a", "two");
    eventually("the value is new", || world.read("app", "a") == "two");
    world.stop("app");
    assert!(world.mounts().is_empty());
}

#[test]
fn mistakes_in_options_are_told_when_the_volume_is_made() {
    let Some(world) = World::new() else { return };
    let _plugin = world.plugin();
    for (options, told) in [
        (
            &[("secret.a", "{{ env://A }}"), ("sise", "1M")][..],
            "Did you mean `size`?",
        ),
        (&[("secret.a", "{{ fiel:///a }}")], "fiel"),
        (&[("secret.a", "{{ bao://kv/a/b }}")], "BAO_ADDR"),
        (&[], "nothing to put into the volume"),
        (&[("secret.a", "{{ env://A }}"), ("bao.token", "x")], "-file"),
    ] {
        let (done, shown) = world.try_create("vol", options);
        assert!(!done && shown.contains(told), "{options:?}: {shown}");
    }
    assert_eq!(world.engine.run(&["volume", "ls", "--quiet"]), "");
    // As some clients write it.
    let answer = ask(&world, "/VolumeDriver.Create", r#"{"Name":"vol","Opts":null}"#);
    assert!(answer.contains("nothing to put into the volume"), "{answer}");
    assert!(ask(&world, "/VolumeDriver.Get", r#"{"Name":"none"}"#).contains("there is no volume none"));
    assert!(ask(&world, "/VolumeDriver.Get", "nonsense").contains("is not of its protocol"));
    assert!(ask(&world, "/NetworkDriver.Join", "{}").starts_with("HTTP/1.1 404"));
    let capabilities = ask(&world, "/VolumeDriver.Capabilities", "{}");
    assert!(
        capabilities.contains(r#"{"Capabilities":{"Scope":"local"}}"#),
        "{capabilities}"
    );
}

fn ask(world: &World, path: &str, body: &str) -> String {
    let mut stream = UnixStream::connect(world.engine.plugins().join("locket.sock")).unwrap();
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: plugin\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn no_value_is_where_others_look() {
    let Some(world) = World::new() else { return };
    let canary = Canary::text("volume");
    let plugin = world.plugin_with(&["--audit-log", &world.place("state/audit")]);
    let reference = world.secret("a", canary.as_str());
    world.create("vol", &[("secret.a", &format!("{{{{ {reference} }}}}"))]);
    world.start("app", "vol");
    assert!(
        canary.find(world.read("app", "a")).is_some(),
        "the search finds it where it is"
    );
    for command in [
        &["volume", "inspect", "vol"][..],
        &["inspect", "app"],
        &["volume", "ls"],
    ] {
        assert_absent([&canary], &format!("{command:?}"), world.engine.run(command));
    }
    let state = world.scene.path("state");
    assert!(
        world
            .scene
            .read("state/audit")
            .unwrap()
            .contains("\"event\":\"write\"")
    );
    assert!(canary.find_below(&state).unwrap().is_none());
    world.scene.write("state/volumes/vol/leak", canary.as_str());
    assert!(
        canary.find_below(&state).unwrap().is_some(),
        "the search looks there"
    );
    assert_absent([&canary], "the log", plugin.log());
}
