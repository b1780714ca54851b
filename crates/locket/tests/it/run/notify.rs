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
