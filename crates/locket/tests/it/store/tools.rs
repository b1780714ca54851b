//! The store beside the tools that share its format: `age` and `rage` read what locket writes, and the other way round.

use std::path::Path;
use std::process::Command;

use locket_testkit::services::find;

use super::{Ran, User, feed};

/// Runs a foreign tool.
fn run(program: &Path, directory: &Path, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(directory);
    let ran: Ran = feed(command, input).succeeds();
    ran.0.stdout
}

fn read_by(program: &Path) {
    let user = User::with_store();
    user.set("db/password", b"pa\"ss\n");
    user.set("key", b"\x00\xff");
    let identity = user.identity();
    let plain = run(
        program,
        &user.project(),
        &["-d", "-i", identity.to_str().unwrap(), "locket.store"],
        b"",
    );
    let plain: serde_json::Value = serde_json::from_slice(&plain).unwrap();
    assert_eq!(plain["secrets"]["db/password"]["value"], "pa\"ss\n");
    assert_eq!(plain["secrets"]["key"]["base64"], "AP8=");
    assert!(plain["recipients"][0].as_str().unwrap().starts_with("age1"));
}

/// Armored or not, made by hand and with an identity that the tool made.
fn written_by(program: &Path, keygen: &Path) {
    for armor in [&["-a"][..], &[]] {
        let user = User::new();
        run(keygen, &user.project(), &["-o", "key.txt"], b"");
        let text = std::fs::read_to_string(user.project().join("key.txt")).unwrap();
        let public = text
            .lines()
            .find_map(|line| line.split("public key: ").nth(1))
            .unwrap();
        let plain = format!(
            r#"{{"locket-store": 1, "recipients": ["{public}"], "secrets": {{"a": {{"value": "by hand"}}}}}}"#
        );
        let arguments = [armor, &["-e", "-r", public, "-o", "locket.store"]].concat();
        run(program, &user.project(), &arguments, plain.as_bytes());
        let ours = |arguments: &[&str]| user.store([arguments, &["--identity-file", "key.txt"]].concat());
        assert_eq!(ours(&["get", "a"]).succeeds().0.stdout, b"by hand");
        user.feed(["set", "b", "--identity-file", "key.txt"], b"added")
            .succeeds();
        let again = run(
            program,
            &user.project(),
            &["-d", "-i", "key.txt", "locket.store"],
            b"",
        );
        let again: serde_json::Value = serde_json::from_slice(&again).unwrap();
        assert_eq!(again["secrets"]["a"]["value"], "by hand");
        assert_eq!(again["secrets"]["b"]["value"], "added");
    }
}

#[test]
fn age_reads_the_store_with_our_identity() {
    let Some(age) = find("age") else { return };
    read_by(&age);
}

#[test]
fn rage_reads_the_store_with_our_identity() {
    let Some(rage) = find("bin/rage") else { return };
    read_by(&rage);
}

#[test]
fn a_store_written_by_age_is_read_and_rewritten() {
    let (Some(age), Some(keygen)) = (find("age"), find("age-keygen")) else {
        return;
    };
    written_by(&age, &keygen);
}

#[test]
fn a_store_written_by_rage_is_read_and_rewritten() {
    let (Some(rage), Some(keygen)) = (find("bin/rage"), find("bin/rage-keygen")) else {
        return;
    };
    written_by(&rage, &keygen);
}

#[test]
fn an_env_file_encrypted_by_age_is_imported() {
    let Some(age) = find("age") else { return };
    let user = User::with_store();
    let own = user.store(["rekey"]).succeeds().stdout();
    let sealed = run(
        &age,
        &user.project(),
        &["-e", "-r", own.trim()],
        b"TOKEN=from age\n",
    );
    user.feed(["import", "-"], &sealed).succeeds();
    assert_eq!(user.get("TOKEN"), b"from age");
}
