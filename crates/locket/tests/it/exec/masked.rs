//! `--mask` through pipes.

use std::process::Output;

use crate::support::Scene;

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
    let script = "echo \"$URL\" | cut -d: -f3 | cut -d@ -f1; echo 'part of a document'; cat \"$F\" out/f; echo of";
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
