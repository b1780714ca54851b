use crate::support::Scene;

/// The lines that a notification has written so far.
fn told(scene: &Scene) -> Vec<String> {
    scene
        .read("told")
        .unwrap_or_default()
        .lines()
        .map(str::to_owned)
        .collect()
}

#[test]
fn consumers_are_told_once_for_each_change_and_not_otherwise() {
    let scene = Scene::new();
    scene.write("secrets/a", "1");
    for index in 0..20 {
        scene.write(&format!("in/{index}"), "{{ file://secrets/a }}");
    }
    let action = "exec:sh -c 'echo change >> told'";
    let agent = scene.watch(&["--notify", action, "--state-dir", "state"]);
    crate::support::eventually("the first change is told", || told(&scene).len() == 1);
    agent.signal("HUP");
    agent.says("reload:");
    scene.write("secrets/a", "2");
    agent.signal("HUP");
    crate::support::eventually("the second change is told", || told(&scene).len() == 2);
    scene.write("in/3", "{{ file://secrets/a }}");
    scene.write("in/4", "x {{ file://secrets/a }}");
    crate::support::eventually("the edit is told", || told(&scene).len() == 3);
    let (_, log) = agent.stop();
    assert_eq!(told(&scene).len(), 3, "{log}");
}

#[test]
fn a_change_made_while_the_agent_was_down_is_told() {
    let scene = Scene::new();
    scene.write("secrets/a", "1");
    scene.write("in/t", "{{ file://secrets/a }}");
    let inject = || {
        let action = "exec:sh -c 'echo change >> told'";
        let arguments = [
            "inject",
            "--map",
            "in:out",
            "--notify",
            action,
            "--state-dir",
            "state",
        ];
        assert!(scene.locket(arguments).status().unwrap().success());
    };
    inject();
    assert_eq!(told(&scene).len(), 1);
    inject();
    assert_eq!(told(&scene).len(), 1, "nothing changed");
    scene.write("secrets/a", "2");
    inject();
    assert_eq!(told(&scene).len(), 2);
}

#[test]
fn a_single_round_whose_consumer_was_not_told_fails() {
    let scene = Scene::new();
    let inject = |action: &str| {
        let words = ["inject", "--secret", "x=1", "--out", "out", "--notify", action];
        let more = ["--notify-timeout", "50ms", "--state-dir", "state"];
        scene.locket(words.iter().chain(&more)).output().unwrap()
    };
    let failed = inject("exec:false");
    let log = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert_eq!(failed.status.code(), Some(1), "{log}");
    assert!(log.contains("exec:false was not told"), "{log}");
    assert_eq!(scene.read("out/x").as_deref(), Some("1"), "the file is in place");
    assert_eq!(inject("exec:false").status.code(), Some(1), "it is still owed");
    std::fs::remove_dir_all(scene.path("state")).unwrap();
    std::fs::remove_file(scene.path("out/x")).unwrap();
    assert_eq!(inject("exec:true").status.code(), Some(0));
}
