use std::os::unix::fs::MetadataExt;

use super::World;

#[test]
fn a_damaged_state_is_refused_loudly_and_left_as_it_is() {
    let Some(world) = World::new() else { return };
    let reference = world.secret("a", "value");
    let plugin = world.plugin();
    world.create("vol", &[("secret.a", &format!("{{{{ {reference} }}}}"))]);
    assert_eq!(std::fs::metadata(world.state()).unwrap().mode() & 0o7777, 0o600);
    plugin.stop();
    let good = std::fs::read(world.state()).unwrap();
    std::fs::write(world.state(), &good[..good.len() / 2]).unwrap();
    let refused = world.command(&[]).output().unwrap();
    let told = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{told}");
    assert!(
        told.contains("volumes.json are damaged") && told.contains("Put a copy of it back"),
        "{told}"
    );
    assert_eq!(std::fs::read(world.state()).unwrap(), &good[..good.len() / 2]);
    std::fs::write(world.state(), &good).unwrap();
    let _plugin = world.plugin();
    world.start("app", "vol");
    assert_eq!(world.read("app", "a"), "value");
}

#[test]
fn a_second_plugin_is_refused_and_the_first_one_goes_on() {
    let Some(world) = World::new() else { return };
    let _plugin = world.plugin();
    let reference = world.secret("a", "value");
    let refused = world.command(&[]).output().unwrap();
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(told.contains("another plugin uses the directory"), "{told}");
    let path = |name: &str| world.scene.path(name).display().to_string();
    let (state, socket, runtime) = (path("other"), path("other.sock"), path("mounts"));
    let with = |words: &[&str]| {
        let mut command = world.engine.inside(env!("CARGO_BIN_EXE_locket"));
        let refused = command.args(["plugin", "--state-dir", &state]).args(words);
        let refused = refused.output().unwrap();
        assert_eq!(refused.status.code(), Some(1));
        String::from_utf8_lossy(&refused.stderr).into_owned()
    };
    // It would take the mounts of the first one for leftovers.
    let told = with(&["--socket", &socket]);
    assert!(told.contains("another plugin uses the directory"), "{told}");
    let told = with(&["--runtime-dir", &runtime]);
    assert!(told.contains("another plugin listens at"), "{told}");
    let runtime = path("in");
    std::fs::create_dir_all(world.scene.path("in")).unwrap();
    std::fs::write(world.scene.path("in/file"), "").unwrap();
    let mode = || std::fs::metadata(world.scene.path("in")).unwrap().mode();
    let before = mode();
    let told = with(&["--socket", &socket, "--runtime-dir", &runtime]);
    assert!(told.contains("file is no volume"), "{told}");
    assert_eq!(mode(), before, "nobody is shut out of it");
    world.create("vol", &[("secret.a", &format!("{{{{ {reference} }}}}"))]);
    world.start("app", "vol");
    assert_eq!(world.read("app", "a"), "value");
}
