//! What programs that locket runs are given: arguments, environment, standard input.

use crate::support::{Agent, eventually};

use super::world::World;

/// Writes down what it was given, and what its parent was.
const RECORDER: &str = "#!/bin/sh\n\
    { tr '\\0' '\\n' < /proc/$$/cmdline; echo; tr '\\0' '\\n' < /proc/$$/environ; env; cat; } >> told/all\n\
    tr '\\0' '\\n' < /proc/$PPID/cmdline >> told/all\n\
    echo done >> told/all\n";

#[test]
fn programs_that_are_run_are_given_names_and_no_secret() {
    let world = World::new();
    let scene = &world.scene;
    scene.write("told/all", "");
    scene.write("recorder", RECORDER);
    let mut command = world.command(&[
        "run",
        "--map",
        "in:out",
        "--notify",
        "exec:sh ./recorder 'an argument'",
        "--state-dir",
        "state/dir",
        "--debounce",
        "30ms",
    ]);
    let agent = Agent::start(&mut command);
    eventually("the program has run", || {
        scene.read("told/all").unwrap().contains("done\n")
    });
    scene.write("in/all", "again {{ store://text }}");
    eventually("the program has run again", || {
        scene.read("told/all").unwrap().matches("done\n").count() == 2
    });
    let (_, log) = agent.stop();
    let told = scene.read("told/all").unwrap();
    for control in [
        "an argument",
        "LOCKET_CHANGED=",
        "LOCKET_LOG_LEVEL=trace",
        "/out/all",
    ] {
        assert!(
            told.contains(control),
            "the recorder does not see {control}: {told}"
        );
    }
    let leaks: Vec<_> = world
        .found_in("what programs are given", told.as_bytes())
        .into_iter()
        .chain(world.found_in("the log", log.as_bytes()))
        .chain(world.found_in_files())
        .collect();
    assert!(leaks.is_empty(), "{}", leaks.join("\n"));
}
