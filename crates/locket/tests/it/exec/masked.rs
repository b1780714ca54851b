//! `--mask` through pipes.

use std::process::{Output, Stdio};

use crate::support::{Scene, eventually};

fn masked(scene: &Scene, options: &[&str], script: &str) -> Output {
    let command = ["--", "sh", "-c", script];
    let words = ["exec", "--mask"].iter().chain(options).chain(&command);
    scene.locket(words).output().unwrap()
}

fn scene() -> Scene {
    let scene = Scene::new();
    scene.write("secrets/a", "hunter2-canary");
    scene.write("secrets/short", "true");
    scene.write("secrets/json", r#"{"pass":"part of a document","user":"u"}"#);
    scene
}

#[test]
fn secrets_are_hidden_on_both_streams_in_every_form() {
    let scene = scene();
    let script = r#"
        echo "out $A"; echo "err $A" >&2
        printf 'hunt'; sleep 0.2; printf 'er2-canary!\n'
        printf %s "$A" | base64; printf 'user:%s' "$A" | base64; printf %s "$A" | od -An -tx1 | tr -d ' \n'; echo
        echo "postgres://u:$URL"; exit 9"#;
    let options = [
        "-e",
        "A={{ file://secrets/a }}",
        "-e",
        "URL=x{{ file://secrets/a | url }}@h",
    ];
    let ran = masked(&scene, &options, script);
    let (shown, said) = (
        String::from_utf8_lossy(&ran.stdout),
        String::from_utf8_lossy(&ran.stderr),
    );
    assert_eq!(ran.status.code(), Some(9), "{said}");
    assert!(
        shown.starts_with("out ********\n********!\n********\n"),
        "{shown}"
    );
    assert_eq!(said, "err ********\n");
    for hidden in ["hunter", "aHVudGVyMi1jYW5hcnk", "68756e746572322d63616e617279"] {
        assert!(!shown.contains(hidden), "{hidden}: {shown}");
    }
    let plain = scene
        .locket(["exec", "-e", "A={{ file://secrets/a }}", "--", "sh", "-c", script])
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&plain.stdout).contains("68756e746572322d63616e617279"));
}

#[test]
fn the_part_of_a_document_that_is_used_is_hidden() {
    let scene = scene();
    let ran = masked(
        &scene,
        &["-e", "A=<{{ file://secrets/json#pass }}>"],
        "echo \"$A\"; echo 'part of a document'",
    );
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "********\n********\n");
}

#[test]
fn what_a_filter_takes_out_of_a_secret_is_hidden() {
    let scene = scene();
    let url = "URL=postgres://u:{{ file://secrets/json | json \"pass\" | url }}@h/db";
    let script =
        "echo \"$URL\" | cut -d: -f3 | cut -d@ -f1; echo 'part of a document'; cat \"$F\" out/f; echo of";
    let options = [
        "-e",
        url,
        "--as-file",
        "F={{ file://secrets/coded | base64-decode }}",
        "--secret",
        "f=<{{ file://secrets/json | json \"pass\" | upper }}>",
        "--out",
        "out",
    ];
    scene.write("secrets/coded", "aW5uZXItY2FuYXJ5");
    let ran = masked(&scene, &options, script);
    let shown = String::from_utf8_lossy(&ran.stdout);
    assert_eq!(shown, "********\n********\n********<********>of\n", "{ran:?}");
}

#[test]
fn a_rotated_secret_is_hidden_whatever_the_program_is_told() {
    // The program shows its file as often as it can, so that it sees each value as soon as it is in place.
    let script = r#"trap 'echo told' HUP; trap '' TERM
        while [ ! -e stop ]; do cat out/s; echo; cat out/s >> seen; echo >> seen; done"#;
    for on_change in ["signal:HUP", "none", "restart"] {
        let scene = Scene::new();
        scene.write("secrets/s", "first-secret-value");
        let words = [
            "exec",
            "--mask",
            "--refresh",
            "100ms",
            "--on-change",
            on_change,
            "--secret",
            "s={{ file://secrets/s }}",
            "--out",
            "out",
            "--",
            "sh",
            "-c",
            script,
        ];
        let shown = scene.path("shown");
        let mut command = scene.locket(words);
        command
            .stdout(std::fs::File::create(&shown).unwrap())
            .stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let has_seen = |value: &str| scene.read("seen").is_some_and(|seen| seen.contains(value));
        for value in ["first", "second", "third"] {
            eventually(&format!("{value} is seen"), || has_seen(value));
            let next = match value {
                "first" => "second-secret-value",
                "second" => "third-secret-value",
                _ => break,
            };
            scene.write("secrets/s", next);
        }
        scene.write("stop", "");
        assert!(child.wait().unwrap().success(), "{on_change}");
        let shown = scene.read("shown").unwrap();
        assert!(!shown.contains("secret"), "{on_change}: {shown}");
        assert!(shown.contains("********"), "{on_change}: {shown}");
    }
}

#[test]
fn a_secret_that_comes_up_later_is_hidden() {
    let scene = Scene::new();
    scene.write("in/plain", "plain");
    let script = "while [ ! -e out/t ]; do sleep 0.02; done; cat out/plain out/t";
    let words = ["--watch", "--map", "in:out", "--on-change", "none"];
    let command = ["--", "sh", "-c", script];
    let child = scene
        .locket(["exec", "--mask"].iter().chain(&words).chain(&command))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    eventually("the plain file is there", || scene.read("out/plain").is_some());
    scene.write("secrets/late", "late-canary");
    scene.write("in/t", "<{{ file://secrets/late }}>");
    let ran = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "plain<********>");
}

#[test]
fn a_secret_that_could_be_any_word_is_refused_unless_that_is_meant() {
    let scene = scene();
    let refused = masked(&scene, &["-e", "A={{ file://secrets/short }}"], "echo $A");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(125), "{said}");
    assert!(
        said.contains("the value of A has fewer than 6 bytes") && said.contains("--mask-short"),
        "{said}"
    );
    assert!(refused.stdout.is_empty() && !said.contains("true"));
    let shown = masked(
        &scene,
        &["--mask-short", "-e", "A={{ file://secrets/short }}"],
        "echo \"it is $A\"",
    );
    assert_eq!(String::from_utf8_lossy(&shown.stdout), "it is ********\n");
}

#[test]
fn everything_arrives_that_a_program_puts_out() {
    let scene = scene();
    let ran = masked(
        &scene,
        &["-e", "A={{ file://secrets/a }}"],
        "head -c 3000000 /dev/zero | tr '\\0' x; echo $A; seq 1 20000 >&2",
    );
    assert_eq!(ran.stdout.len(), 3_000_000 + "********\n".len());
    assert!(ran.stderr.ends_with(b"\n19999\n20000\n"));
}
