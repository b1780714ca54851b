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

/// A helper that answers for `given/file`, writes down what it is given, and tells the value wherever it should not.
const CARELESS: &str = r#"#!/bin/sh
{ tr '\0' '\n' < /proc/$$/cmdline; tr '\0' '\n' < /proc/$$/environ; } >> told/helper
value=$(cat given/file)
while IFS= read -r request; do
    printf '%s\n' "$request" >> told/helper
    echo "careless: the value is $value" >&2
    echo "careless: answered" >&2
    number=${request#*'"id":'}
    number=${number%%[!0-9]*}
    printf '{"id":%s,"item":0,"base64":"%s"}\n' "$number" "$(printf %s "$value" | base64 -w 0)"
    printf '{"id":%s,"item":1,"error":"denied","message":"nobody may know %s"}\n' "$number" "$value"
done
"#;

#[test]
fn a_helper_is_given_names_and_what_it_tells_of_values_is_left_out() {
    let world = World::new();
    let scene = &world.scene;
    scene.write("told/helper", "");
    scene.write("careless", CARELESS);
    scene.write(
        "helpers.toml",
        "[providers.careless]\ntype = \"exec\"\ncommand = [\"sh\", \"./careless\", \"an argument\"]\n\
         env = { GIVEN = \"by the configuration\" }\n",
    );
    for format in ["text", "json"] {
        let ran = world.locket(
            &[
                "inject",
                "--config",
                "helpers.toml",
                "--log-format",
                format,
                "--secret",
                "helped={{ careless://a }}",
                "--secret",
                "refused={{ careless://b }}",
                "--out",
                "out",
            ],
            None,
        );
        let log = String::from_utf8_lossy(&ran.stderr);
        let told = scene.read("told/helper").unwrap();
        for (text, control) in [
            (&*told, "an argument"),
            (&*told, "GIVEN=by the configuration"),
            (&*told, "PATH="),
            (&*told, "\"locator\":\"a\""),
            (&*log, "careless: answered"),
            (&*log, "the line is left out"),
            (&*log, "careless://b"),
        ] {
            assert!(text.contains(control), "{control} is not told: {text}");
        }
        let helped = std::fs::read(scene.path("out/helped")).unwrap();
        assert!(world.found_in("the output", &helped).is_some());
        let leaks: Vec<_> = world
            .found_in("what the helper is given", told.as_bytes())
            .into_iter()
            .chain(world.found_in("the log", &ran.stderr))
            .chain(world.found_in("standard output", &ran.stdout))
            .chain(world.found_in_files())
            .collect();
        assert!(leaks.is_empty(), "{}\n{log}", leaks.join("\n"));
    }
}
