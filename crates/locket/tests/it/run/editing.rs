use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use crate::support::{Agent, Mount, Scene, eventually, run};

/// A scene with one template and an agent that has rendered it.
fn edited() -> (Scene, Agent) {
    let scene = Scene::new();
    scene.write("secrets/a", "v");
    scene.write("in/t", "one {{ file://secrets/a }}\n");
    let agent = scene.watch(&[]);
    scene.becomes("out/t", "one v\n");
    (scene, agent)
}

#[test]
fn an_editor_saving_by_rename_keeps_the_output_and_stays_watched() {
    let (scene, _agent) = edited();
    for round in 0..3 {
        let text = |step: &str| format!("{step}{round} {{{{ file://secrets/a }}}}\n");
        // sed -i writes a new file and renames it over the old one.
        scene.write("in/t", text("start"));
        scene.becomes("out/t", &format!("start{round} v\n"));
        run(Command::new("sed")
            .args(["-i", "s/start/sed/"])
            .arg(scene.path("in/t")));
        scene.becomes("out/t", &format!("sed{round} v\n"));
        // vim moves the old file away, writes the new one, then removes the backup.
        fs::rename(scene.path("in/t"), scene.path("in/t~")).unwrap();
        scene.write("in/t", text("vim"));
        fs::remove_file(scene.path("in/t~")).unwrap();
        scene.becomes("out/t", &format!("vim{round} v\n"));
        // mv from elsewhere, as deployment tools do.
        scene.write("next", text("mv"));
        run(Command::new("mv").arg(scene.path("next")).arg(scene.path("in/t")));
        scene.becomes("out/t", &format!("mv{round} v\n"));
    }
}

#[test]
fn new_subdirectories_are_followed() {
    let (scene, _agent) = edited();
    for depth in ["sub", "sub/deeper", "sub/deeper/deepest"] {
        scene.write(&format!("in/{depth}/new"), "{{ file://secrets/a }}");
        scene.becomes(&format!("out/{depth}/new"), "v");
        scene.write(&format!("in/{depth}/new"), "edited {{ file://secrets/a }}");
        scene.becomes(&format!("out/{depth}/new"), "edited v");
    }
    // A whole tree that arrives at once.
    scene.write("tree/x/y", "{{ file://secrets/a }}");
    fs::rename(scene.path("tree"), scene.path("in/tree")).unwrap();
    scene.becomes("out/tree/x/y", "v");
}

#[test]
fn a_directory_that_is_mounted_in_two_places_is_followed_in_both() {
    let scene = Scene::new();
    scene.write("secrets/a", "v");
    scene.write("in/sub/t", "one {{ file://secrets/a }}");
    let _mount = Mount::bind(&scene.path("in"), &scene.path("mirror"));
    let _agent = scene.watch(&["--map", "mirror:out2"]);
    for text in ["one", "two", "three"] {
        scene.write("in/sub/t", format!("{text} {{{{ file://secrets/a }}}}"));
        scene.becomes("out/sub/t", &format!("{text} v"));
        scene.becomes("out2/sub/t", &format!("{text} v"));
    }
}

#[test]
fn a_map_of_a_single_file_survives_renames() {
    let scene = Scene::new();
    scene.write("secrets/a", "v");
    scene.write("t", "one {{ file://secrets/a }}");
    let arguments = ["run", "--map", "t:deep/down/o", "--debounce", "30ms"];
    let _agent = Agent::start(&mut scene.locket(arguments));
    scene.becomes("deep/down/o", "one v");
    for round in 0..3 {
        scene.write("next", format!("{round} {{{{ file://secrets/a }}}}"));
        fs::rename(scene.path("next"), scene.path("t")).unwrap();
        scene.becomes("deep/down/o", &format!("{round} v"));
    }
}

#[test]
fn a_template_that_is_gone_takes_its_output_with_it_after_a_while() {
    let scene = Scene::new();
    for name in ["a", "b"] {
        scene.write(&format!("in/{name}"), "text");
    }
    let _agent = scene.watch(&["--delete-after", "200ms"]);
    scene.becomes("out/a", "text");
    scene.becomes("out/b", "text");
    fs::remove_file(scene.path("in/a")).unwrap();
    eventually("the output is gone", || scene.read("out/a").is_none());
    assert_eq!(scene.read("out/b").as_deref(), Some("text"));
}

#[test]
fn an_unmounted_source_deletes_nothing() {
    let scene = Scene::new();
    let mount = Mount::tmpfs(&scene.path("in"), "1M");
    for name in ["a", "b"] {
        scene.write(&format!("in/{name}"), "text");
    }
    let agent = scene.watch(&["--delete-after", "100ms"]);
    scene.becomes("out/a", "text");
    scene.becomes("out/b", "text");
    mount.detach();
    agent.signal("HUP");
    agent.says("nothing is deleted");
    // The positive control: a mount that comes back is followed, and a single deletion in it is carried out.
    let _mount = Mount::tmpfs(&scene.path("in"), "1M");
    scene.write("in/b", "back");
    agent.signal("HUP");
    scene.becomes("out/b", "back");
    eventually(
        "the output of the template that did not come back is gone",
        || scene.read("out/a").is_none(),
    );
}

#[test]
fn ten_thousand_templates_start_and_one_edit_changes_one_output() {
    let scene = Scene::new();
    scene.write("secrets/a", "v");
    for index in 0..10_000 {
        scene.write(&format!("in/{}/{index}", index % 100), "{{ file://secrets/a }} x");
    }
    let agent = scene.watch(&[]);
    scene.state_becomes("ready");
    let stamps = || -> Vec<(u64, i64)> {
        (0..10_000)
            .map(|index| fs::metadata(scene.path(&format!("out/{}/{index}", index % 100))).unwrap())
            .map(|metadata| (metadata.ino(), metadata.mtime_nsec()))
            .collect()
    };
    let before = stamps();
    scene.write("in/42/142", "{{ file://secrets/a }} y");
    scene.becomes("out/42/142", "v y");
    let after = stamps();
    let changed: Vec<_> = (0..10_000)
        .filter(|index| before[*index] != after[*index])
        .collect();
    assert_eq!(changed, [142], "{}", agent.log());
}

#[test]
fn with_too_few_watches_it_polls_says_so_and_loses_no_edit() {
    // The limit of a user namespace, so that nobody else on the machine has it.
    let script = "echo 100 > /proc/sys/user/max_inotify_watches && exec \"$@\"";
    let limited = |command: &Command| {
        let mut limited = Command::new("unshare");
        limited.args(["--user", "--map-root-user", "sh", "-c", script, "sh"]);
        limited.arg(command.get_program()).args(command.get_args());
        let variables = command.get_envs();
        limited
            .env_clear()
            .envs(variables.filter_map(|(name, value)| Some((name, value?))));
        limited
    };
    if !limited(Command::new("true").env("PATH", "/usr/bin:/bin"))
        .status()
        .unwrap()
        .success()
    {
        eprintln!("not tested: this user may make no user namespace");
        return;
    }
    let scene = Scene::new();
    for index in 0..200 {
        scene.write(&format!("in/{index}/t"), "one");
    }
    let agent = Agent::start(limited(&scene.watching(&[])).current_dir(scene.base()));
    scene.state_becomes("ready");
    agent.says("max_user_watches");
    for index in [0, 57, 150, 199] {
        scene.write(&format!("in/{index}/t"), "two");
    }
    for index in [0, 57, 150, 199] {
        scene.becomes(&format!("out/{index}/t"), "two");
    }
    scene.write("in/late/t", "three");
    scene.becomes("out/late/t", "three");
}
