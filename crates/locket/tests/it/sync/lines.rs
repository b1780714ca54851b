//! The lines and exit codes, word for word.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Output;

use crate::support::Scene;

/// One round; its paths are told as BASE.
pub(super) fn sync(scene: &Scene, more: &[&str]) -> (i32, String, String) {
    let arguments = ["sync", "map.csv", "--state-dir", "state", "--log-level", "error"];
    told(
        scene,
        &scene.locket(arguments.iter().chain(more)).output().unwrap(),
    )
}

fn told(scene: &Scene, output: &Output) -> (i32, String, String) {
    let base = scene.base().display().to_string();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&base, "BASE");
    (
        output.status.code().unwrap_or(-1),
        text(&output.stdout),
        text(&output.stderr),
    )
}

/// A map whose `BASE` is the scene's directory.
pub(super) fn map(scene: &Scene, text: &str) {
    let base = scene.base().display().to_string();
    scene.write("map.csv", text.replace("BASE", &base));
}

fn mode(scene: &Scene, name: &str) -> u32 {
    fs::metadata(scene.path(name)).unwrap().permissions().mode() & 0o7777
}

#[test]
fn each_change_is_one_line_and_the_exit_code_tells_of_it() {
    let scene = Scene::new();
    scene.write("secrets/db", "hunter2\n");
    scene.write("secrets/api", b"\x00\xff\r\n\x00");
    map(
        &scene,
        "# reference,path,mode,container,signal\nfile://secrets/db,BASE/out/db,0640,,\n\
         {{ file://secrets/api }},BASE/out/api\n\
         \"postgres://app:{{ file://secrets/db | trim | url }}@db/app\",BASE/out/url,0400,,\n",
    );
    insta::assert_debug_snapshot!("first", sync(&scene, &[]));
    assert_eq!(
        scene.read("out/db").as_deref(),
        Some("hunter2\n"),
        "bytes as they are"
    );
    assert_eq!(fs::read(scene.path("out/api")).unwrap(), b"\x00\xff\r\n\x00");
    assert_eq!(
        scene.read("out/url").as_deref(),
        Some("postgres://app:hunter2@db/app")
    );
    assert_eq!(
        [
            mode(&scene, "out/db"),
            mode(&scene, "out/api"),
            mode(&scene, "out/url")
        ],
        [0o640, 0o600, 0o400]
    );

    insta::assert_debug_snapshot!("nothing-changed", sync(&scene, &[]));
    fs::set_permissions(scene.path("out/db"), fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(
        sync(&scene, &[]).0,
        0,
        "a mode that was put right is no change of the value"
    );
    assert_eq!(mode(&scene, "out/db"), 0o640);

    scene.write("secrets/api", "rotated");
    insta::assert_debug_snapshot!("rotated", sync(&scene, &[]));
}

#[test]
fn a_row_that_fails_is_told_and_the_others_go_on() {
    let scene = Scene::new();
    scene.write("secrets/a", "1");
    fs::create_dir(scene.path("a-directory")).unwrap();
    map(
        &scene,
        "file://secrets/missing,BASE/out/missing\nfile://secrets/a,BASE/out/a\n\
         x {{ file://secrets/missing }} {{ file://secrets/a }},BASE/out/both\nfile://secrets/a,BASE/a-directory\n",
    );
    insta::assert_debug_snapshot!("failing", sync(&scene, &[]));
    assert_eq!(scene.read("out/a").as_deref(), Some("1"));
    scene.write("out/missing", "the last good value");
    let (code, out, errors) = sync(&scene, &[]);
    assert_eq!((code, out.as_str()), (1, ""), "{errors}");
    assert_eq!(scene.read("out/missing").as_deref(), Some("the last good value"));
}

#[test]
fn bad_lines_are_all_refused_with_their_numbers_before_anything_is_written() {
    let scene = Scene::new();
    scene.write("secrets/a", "1");
    map(
        &scene,
        "file://secrets/a,BASE/out/good\nfile://secrets/a,out/relative\nfile://secrets/a,BASE/out/mode,0688\n\
         file://secrets/a,BASE/out/good\nfile://secrets/a,BASE/out/x,,web,HPU\n",
    );
    insta::assert_debug_snapshot!("bad-lines", sync(&scene, &[]));
    assert!(!scene.path("out").exists());
    map(
        &scene,
        "file://secrets/a,BASE/out/good\nfiel://secrets/a,BASE/out/x\nno reference at all,BASE/out/y\n\
         {{ file://secrets/a | trm }},BASE/out/z\n",
    );
    insta::assert_debug_snapshot!("bad-references", sync(&scene, &[]));
    assert!(!scene.path("out").exists());
    map(&scene, "file://secrets/a,BASE/out/good\n");
    assert_eq!(
        sync(&scene, &[]).0,
        3,
        "the control: without the mistakes it is written"
    );
}

#[test]
fn mistakes_of_lines_and_of_references_are_told_in_one_go() {
    let scene = Scene::new();
    scene.write("secrets/a", "1");
    map(
        &scene,
        "file://secrets/a,relative\nnoref,BASE/out/x\nfile://secrets/a,BASE/out/y,9\nfile://secrets/a,BASE/out/z\n",
    );
    let (code, out, errors) = sync(&scene, &[]);
    assert_eq!((code, out.as_str()), (2, ""), "{errors}");
    let places: Vec<_> = (1..=4)
        .filter(|line| errors.contains(&format!("map.csv:{line}:")))
        .collect();
    assert_eq!(places, [1, 2, 3], "{errors}");
    let told = ["is a relative path", "this is not a reference", "is not a mode"];
    let at: Vec<_> = told.iter().map(|text| errors.find(text)).collect();
    assert!(
        at.is_sorted() && at[0].is_some(),
        "in the order of the lines: {errors}"
    );
    assert!(!scene.path("out").exists());
}

#[test]
fn marks_of_other_systems_are_named_and_nothing_is_written() {
    let scene = Scene::new();
    scene.write("secrets/a", "1");
    for (text, name) in [
        ("file://secrets/a,BASE/out/a\r\n", "CR LF"),
        ("\u{feff}file://secrets/a,BASE/out/a\n", "byte order mark"),
    ] {
        map(&scene, text);
        let (code, out, errors) = sync(&scene, &[]);
        assert_eq!((code, out.as_str()), (2, ""), "{errors}");
        assert!(errors.contains(name), "{errors}");
        assert!(!scene.path("out").exists());
    }
}

#[test]
fn a_missing_map_is_named_with_what_to_do() {
    let scene = Scene::new();
    let (code, _, errors) = sync(&scene, &[]);
    assert_eq!(code, 2);
    assert!(errors.contains("the map BASE/map.csv does not exist"), "{errors}");
    let (code, _, errors) = told(&scene, &scene.locket(["sync"]).output().unwrap());
    assert_eq!(code, 2);
    assert!(
        errors.contains("/etc/locket/map.csv") && errors.contains("/etc/oci-secretsync/map.csv"),
        "{errors}"
    );
}

#[test]
fn the_program_does_the_same_under_the_name_of_the_script() {
    let scene = Scene::new();
    scene.write("secrets/a", "1");
    map(&scene, "file://secrets/a,BASE/out/a\n");
    let named = |words: &[&str]| {
        let mut command = std::process::Command::new(scene.path("oci-secretsync"));
        command.env_clear().current_dir(scene.base()).args(words);
        told(&scene, &command.output().unwrap())
    };
    symlink(env!("CARGO_BIN_EXE_locket"), scene.path("oci-secretsync")).unwrap();
    let (code, out, errors) = named(&["map.csv", "--state-dir", "state"]);
    assert_eq!(
        (code, out.as_str()),
        (3, "Updated BASE/out/a from file://secrets/a\n"),
        "{errors}"
    );
    // What it says of itself can be typed.
    let (code, help, _) = named(&["--help"]);
    assert!(
        code == 0 && help.contains("Usage: oci-secretsync [OPTIONS] [MAP]\n"),
        "{help}"
    );
    assert!(help.contains("--bao.url"), "it knows every provider: {help}");
    let (code, _, errors) = named(&["sync", "map.csv"]);
    assert!(
        code == 2 && errors.contains("Usage: oci-secretsync [OPTIONS] [MAP]\n"),
        "{errors}"
    );
    let (code, version, _) = named(&["--version"]);
    assert_eq!(
        (code, version),
        (0, format!("oci-secretsync {}\n", env!("CARGO_PKG_VERSION")))
    );
}
