use std::os::unix::fs::MetadataExt;

use crate::support::{Mount, Scene};

/// One round over a good and a bad template; exit code, log, both outputs.
fn round(scene: &Scene, policy: &str) -> (Option<i32>, String, Option<String>, Option<String>) {
    scene.write("secrets/a", "v");
    scene.write("in/good", "x={{ file://secrets/a }}");
    scene.write("in/bad", "x={{ file://secrets/nowhere }}");
    let done = scene
        .locket(["inject", "--map", "in:out", "--on-error", policy])
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&done.stderr).into_owned();
    (
        done.status.code(),
        log,
        scene.read("out/good"),
        scene.read("out/bad"),
    )
}

#[test]
fn a_missing_secret_never_leaves_its_placeholder() {
    for policy in ["keep", "error"] {
        let (code, log, good, bad) = round(&Scene::new(), policy);
        assert_eq!(
            (code, good.as_deref(), bad),
            (Some(4), Some("x=v"), None),
            "{policy}: {log}"
        );
        assert!(log.contains("file://secrets/nowhere"), "{log}");
    }
}

#[test]
fn an_outage_keeps_the_good_output_of_an_earlier_run() {
    let scene = Scene::new();
    scene.write("out/bad", "x=earlier");
    let (code, _, _, bad) = round(&scene, "keep");
    assert_eq!((code, bad.as_deref()), (Some(4), Some("x=earlier")));
}

#[test]
fn an_ignored_output_is_skipped_with_a_warning() {
    let (code, log, good, bad) = round(&Scene::new(), "ignore");
    assert_eq!(
        (code, good.as_deref(), bad),
        (Some(0), Some("x=v"), None),
        "{log}"
    );
    assert!(log.contains("out/bad"), "{log}");
}

#[test]
fn passthrough_puts_out_the_text_and_fails() {
    let (code, log, good, bad) = round(&Scene::new(), "passthrough");
    let text = "x={{ file://secrets/nowhere }}";
    assert_eq!(
        (code, good.as_deref(), bad.as_deref()),
        (Some(4), Some("x=v"), Some(text)),
        "{log}"
    );
}

#[test]
fn the_same_reference_twice_and_an_empty_tag_are_no_trouble() {
    let scene = Scene::new();
    scene.write("secrets/a", "v");
    scene.write(
        "in/t",
        "{{}} {{ file://secrets/a }} {{ file://secrets/a }} {{ .Values.x }} \\{{ file://x }}",
    );
    assert!(
        scene
            .locket(["inject", "--map", "in:out"])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(
        scene.read("out/t").as_deref(),
        Some("{{}} v v {{ .Values.x }} {{ file://x }}")
    );
}

#[test]
fn a_typo_is_shown_with_its_place_and_the_near_name() {
    let scene = Scene::new();
    scene.write(
        "in/t",
        "a: 1\nb: {{ fiel://secrets/a }}\nc: {{ file://secrets/a | bas64 }}\n",
    );
    let done = scene.locket(["inject", "--map", "in:out"]).output().unwrap();
    let log = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(4), "{log}");
    for expected in ["in/t:2:", "in/t:3:", "`file`", "`base64`"] {
        assert!(log.contains(expected), "{expected} is not in {log}");
    }
}

#[test]
fn binary_secrets_and_trailing_newlines_survive() {
    let scene = Scene::new();
    let bytes = b"\0\xff\xfe binary \r\n\n";
    scene.write("secrets/a", bytes);
    scene.write("in/whole", "{{ file://secrets/a }}\n");
    scene.write(
        "in/part",
        [b"<\0".as_slice(), b"{{ file://secrets/a }}", b"\xff>"].concat(),
    );
    assert!(
        scene
            .locket(["inject", "--map", "in:out"])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(std::fs::read(scene.path("out/whole")).unwrap(), bytes);
    assert_eq!(
        std::fs::read(scene.path("out/part")).unwrap(),
        [b"<\0".as_slice(), bytes, b"\xff>"].concat()
    );
}

#[test]
fn inline_secrets_go_to_the_output_directory() {
    let scene = Scene::new();
    scene.write("secrets/a", "v");
    let arguments = [
        "inject",
        "--out",
        "out",
        "--secret",
        "one={{ file://secrets/a }}",
        "--secret",
        "two=x {{file://secrets/a}}",
    ];
    assert!(scene.locket(arguments).status().unwrap().success());
    assert_eq!(
        (scene.read("out/one").as_deref(), scene.read("out/two").as_deref()),
        (Some("v"), Some("x v"))
    );
    let before = std::fs::metadata(scene.path("out/one")).unwrap();
    assert!(scene.locket(arguments).status().unwrap().success());
    let after = std::fs::metadata(scene.path("out/one")).unwrap();
    assert_eq!(
        (before.ino(), before.mtime_nsec()),
        (after.ino(), after.mtime_nsec())
    );
}

#[test]
fn an_output_that_is_a_mount_point_is_told_by_run_once_and_by_check() {
    let scene = Scene::new();
    for (file, text) in [
        ("secrets/a", "v"),
        ("in/a", "{{ file://secrets/a }}"),
        ("in/b", "{{ file://secrets/a }}"),
        ("elsewhere", "old"),
        ("out/a", ""),
        ("locket.toml", "[[map]]\nsource = 'in'\ndestination = 'out'\n"),
    ] {
        scene.write(file, text);
    }
    let _mount = Mount::bind_file(&scene.path("elsewhere"), &scene.path("out/a"));
    let agent = scene.watch(&[]);
    scene.becomes("elsewhere", "v");
    scene.write("in/a", "x={{ file://secrets/a }}");
    scene.becomes("elsewhere", "x=v");
    let (_, log) = agent.stop();
    let told: Vec<_> = log.lines().filter(|line| line.contains("mount point")).collect();
    assert_eq!(told.len(), 1, "{log}");
    assert!(told[0].contains("out/a is itself a mount point"), "{log}");
    // Also where nothing of it has to be written.
    let again = scene.locket(["inject", "--map", "in:out"]).output().unwrap();
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    assert_eq!(said.matches("mount point").count(), 1, "{said}");
    let checked = scene.locket(["check", "locket.toml"]).output().unwrap();
    let said = String::from_utf8_lossy(&[checked.stdout, checked.stderr].concat()).into_owned();
    assert!(said.contains("out/a is itself a mount point"), "{said}");
    assert!(!said.contains("out/b is itself"), "{said}");
}

#[test]
fn a_healthy_agent_stays_healthy_beside_a_configuration_that_was_broken_since() {
    let scene = Scene::new();
    scene.write("in/good", "x");
    let check = |words: &[&str]| {
        let mut health = scene.locket(["healthcheck", "--config", "broken.toml"].iter().chain(words));
        let done = health.output().unwrap();
        let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
        (done.status.code(), said)
    };
    let _agent = scene.watch(&[]);
    scene.state_becomes("ready");
    let named = ["--status-file", "status"];
    for text in [
        "[run]\nmodee = 'watch'\n",
        "[run\n",
        "[run]\nmax-stale = 'soon'\n",
    ] {
        scene.write("broken.toml", text);
        let (code, said) = check(&named);
        assert_eq!(code, Some(0), "{text}: {said}");
        assert!(said.contains("the configuration has mistakes"), "{text}: {said}");
        let (code, said) = check(&[]);
        assert_eq!(code, Some(1), "{text}: {said}");
        assert!(
            said.contains("it is not said which agent is meant"),
            "{text}: {said}"
        );
    }
    // What can be read of it counts; what was typed just now has to be right.
    scene.write("broken.toml", "[run]\nstatus-file = 'status'\nmodee = 'watch'\n");
    assert_eq!(check(&[]).0, Some(0));
    assert_eq!(check(&["--status-file", "none"]).0, Some(1));
    assert_eq!(check(&["--max-stale", "soon"]).0, Some(2));
}

#[test]
fn a_healthy_agent_is_told_from_a_failed_and_a_dead_one() {
    let scene = Scene::new();
    scene.write("secrets/a", "v");
    scene.write("in/t", "{{ file://secrets/a }}");
    let check = || {
        scene
            .locket(["healthcheck", "--status-file", "status"])
            .output()
            .unwrap()
    };
    assert_eq!(check().status.code(), Some(1), "there is no agent yet");
    let agent = scene.watch(&[]);
    scene.state_becomes("ready");
    assert_eq!(check().status.code(), Some(0));
    scene.write("in/bad", "{{ file://secrets/nowhere }}");
    scene.state_becomes("failed");
    let failed = check();
    assert_eq!(failed.status.code(), Some(1));
    let said = String::from_utf8_lossy(&[failed.stdout, failed.stderr].concat()).into_owned();
    assert!(
        said.contains("file://secrets/nowhere") && said.contains("out/bad"),
        "{said}"
    );
    std::fs::remove_file(scene.path("in/bad")).unwrap();
    scene.state_becomes("ready");
    assert_eq!(check().status.code(), Some(0), "health is cleared");
    let (status, _) = agent.stop();
    assert_eq!(status.code(), Some(0));
    assert_eq!(check().status.code(), Some(1), "the agent is dead");
}
