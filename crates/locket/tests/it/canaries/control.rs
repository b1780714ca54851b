//! The search finds what it should: a program that leaks in every form and at every place is caught at each.

use std::process::Command;

use data_encoding::{BASE64, BASE64URL, HEXLOWER, HEXUPPER};

use super::world::{World, run};

/// A value in every form that a leak may take.
fn forms(value: &[u8]) -> Vec<(&'static str, String)> {
    let text = String::from_utf8_lossy(value).into_owned();
    let url = value.iter().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(*byte).to_string(),
        other => format!("%{other:02X}"),
    });
    vec![
        ("plain", text.clone()),
        ("base64", BASE64.encode(value)),
        (
            "base64 of more",
            BASE64.encode(&[b"user:".as_slice(), value].concat()),
        ),
        ("base64url", BASE64URL.encode(value)),
        ("hex", HEXLOWER.encode(value)),
        ("HEX", HEXUPPER.encode(value)),
        ("URL", url.collect()),
        ("JSON", serde_json::to_string(&text).unwrap()),
        ("Debug", format!("{text:?}")),
        ("bytes", format!("{value:?}")),
    ]
}

/// A program that leaks its first argument somewhere.
const PLACES: &[(&str, &str)] = &[
    ("standard output", "printf '%s' \"$1\""),
    ("standard error", "printf 'error: %s.' \"$1\" >&2"),
    ("a temporary file", "printf '%s' \"$1\" > tmp/leak"),
    (
        "the state",
        "mkdir -p state/dir && printf '%s' \"$1\" > state/dir/leak",
    ),
    (
        "the home",
        "mkdir -p home/.cache && printf '%s' \"$1\" > home/.cache/leak",
    ),
    ("shared memory", "printf '%s' \"$1\" > /dev/shm/$LEAK"),
    ("the working directory", "printf '%s' \"$1\" > leak"),
];

#[test]
fn a_leak_in_any_form_at_any_place_is_found() {
    let world = World::new();
    // Shared memory is searched by every test at once: this leak must be nobody else's.
    let shared = format!("locket-test-{}", std::process::id());
    for name in ["text", "awkward"] {
        for (form, leak) in forms(world.canary(name).bytes()) {
            for (place, script) in PLACES {
                let ran = run(
                    Command::new("sh")
                        .args(["-c", script, "sh", &leak])
                        .env("LEAK", &shared)
                        .current_dir(world.scene.base()),
                    None,
                );
                assert!(ran.status.success(), "{place}");
                let found = [
                    world.found_in("standard output", &ran.stdout),
                    world.found_in("standard error", &ran.stderr),
                ]
                .into_iter()
                .flatten()
                .chain(world.found_in_files())
                .count();
                for left in ["tmp/leak", "state/dir/leak", "home/.cache/leak", "leak"] {
                    let _ = std::fs::remove_file(world.scene.path(left));
                }
                let _ = std::fs::remove_file(format!("/dev/shm/{shared}"));
                assert_eq!(found, 1, "{name} as {form} at {place}");
            }
        }
    }
    assert_eq!(
        world.found_in_files(),
        Vec::<String>::new(),
        "otherwise nothing is found"
    );
}
