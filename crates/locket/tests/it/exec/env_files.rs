//! Env files beside Compose: what `docker compose config` makes of them, `locket env` makes, too.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output};

use locket_testkit::services::find;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::Value;

use crate::support::Scene;

/// What both inherit.
const INHERITED: [(&str, &str); 2] = [("INH", "inherited"), ("EMPTY", "")];

#[test]
fn env_files_mean_what_they_mean_to_compose() {
    let Some(compose) = find("engine/cli-plugins/docker-compose") else {
        return;
    };
    let mut differences = String::new();
    let mut check = |text: &str| {
        let (ours, theirs) = (by_locket(text), by_compose(&compose, text));
        if ours != theirs {
            let _ = writeln!(
                differences,
                "{text:?}\n  locket:  {ours:?}\n  compose: {theirs:?}"
            );
        }
        theirs.is_some()
    };
    let mut readable = 0;
    for text in CORPUS {
        readable += usize::from(check(text));
    }
    assert!(
        readable > CORPUS.len() / 2,
        "only {readable} of the texts can be read"
    );
    // And whatever else chance brings.
    let piece = prop_oneof![
        Just("A"),
        Just("B"),
        Just("INH"),
        Just("="),
        Just("="),
        Just(": "),
        Just("\n"),
        Just("\n"),
        Just(" "),
        Just("#"),
        Just(" #"),
        Just("\""),
        Just("'"),
        Just("\\"),
        Just("\\n"),
        Just("\\$"),
        Just("$"),
        Just("$$"),
        Just("${"),
        Just("}"),
        Just("${A}"),
        Just("$A"),
        Just("${INH:-x}"),
        Just("${X-y}"),
        Just("${EMPTY:+z}"),
        Just(":-"),
        Just("{"),
        Just("x"),
        Just("1"),
        Just("é"),
        Just("export "),
        Just("\t"),
        Just("\\0101"),
    ];
    let texts = prop::collection::vec(piece, 0..12).prop_map(|pieces| format!("A={}\n", pieces.concat()));
    let mut runner = TestRunner::deterministic();
    for _ in 0..60 {
        let text = texts.new_tree(&mut runner).unwrap().current();
        check(&text);
    }
    assert!(differences.is_empty(), "{differences}");
}

const CORPUS: &[&str] = &[
    "A=1\nB=${A}x\n",
    "INH\n",
    "NOPE\n",
    "A= # c\n",
    "A=#c\n",
    "A=x #c\n",
    "A=x# c\n",
    "INH=mine\nB=$INH\n",
    "A=\"x\" B=\"y\"\n",
    "A=\"x\"foo\n",
    "A: y\n",
    "A=\\01 \n",
    "A=\"\\01\\0101\\x\\a\\f\\v\\b\\r\\t\\c\"\n",
    "A=\"a\\$b$$c\"\n",
    "A=a\\$INH\n",
    "A='$INH \\n'\n",
    "A=${1}\n",
    "A=$1 $\n",
    "A=${INH:+y}${X:-d${INH}}z}\n",
    "A=${X:?no}\n",
    "A=${X?}\n",
    "A=\"l1\nl2\"\nB=2\n",
    "export A=1\n export  B=2\n",
    "A B=1\n",
    "A=\"unterminated\nB=1\n",
    "A=1\r\nB=2\r\n",
    "\u{feff}A=1\n",
    "A=a\tb\t#c\n",
    "A=${EMPTY:-e}${EMPTY-f}\n",
    "A = 5\n",
    "A=\"x\"#c\n",
    "A={\"a\":\"${INH}\"}\n",
    "A='it\\'s'\n",
    "A=${INH\n",
    "A=${X:-a\nb}\n",
    "A=\"${X:-a\nb}\"\n",
    "A.b-c=1\n",
    "A=\n\nB=2",
    "A=\"a\\\\nb\"\n",
    "A=$INH.x-$INH_y\n",
    "A=${INH:-x}}\n",
    "A=${X:-{a}b}\n",
    "A=${X:-${Y:-q}}r}\n",
    "# comment\n\n  # another\nA=1 # third\n",
    "A=-1\nB=true\nA=2\n",
    "A=   spaced   out   \n",
    "A=\"  kept  \"\n",
    "A='multi\nline' # c\nB=1\n",
];

/// The variables as Compose reads them; `None` when it refuses the file.
fn by_compose(compose: &Path, text: &str) -> Option<Value> {
    let scene = Scene::new();
    scene.write("x.env", text);
    scene.write("compose.yaml", "services: {a: {image: busybox, env_file: x.env}}");
    let output = Command::new(compose)
        .args(["config", "--format", "json"])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", scene.base())
        .envs(INHERITED)
        .current_dir(scene.base())
        .output()
        .unwrap();
    let mut config: Value = parsed(&output)?;
    let mut variables = config["services"]["a"]["environment"].take();
    let Some(map) = variables.as_object_mut() else {
        return Some(serde_json::json!({}));
    };
    // A variable without a name is none that a program could have.
    if map.contains_key("") {
        return None;
    }
    for value in map.values_mut() {
        // The project that it prints could be read again.
        let plain = value.as_str().unwrap_or_default().replace("$$", "$");
        *value = plain.into();
    }
    Some(variables)
}

/// The variables as locket reads them.
fn by_locket(text: &str) -> Option<Value> {
    let scene = Scene::new();
    scene.write("x.env", text);
    let output = scene
        .locket(["env", "-e", "x.env", "--format", "json"])
        .envs(INHERITED)
        .output()
        .unwrap();
    parsed(&output)
}

fn parsed(output: &Output) -> Option<Value> {
    let json = output
        .status
        .success()
        .then(|| serde_json::from_slice(&output.stdout));
    json.map(|json| json.expect("JSON"))
}
