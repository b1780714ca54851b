//! `locket check`: the troubles that the guides tell of, files of every kind, and the model beside Compose.

pub(crate) mod beside_compose;
mod files;
mod forms;
mod troubles;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::Scene;

/// A scene that others of this machine can look into, as they can into most directories.
fn open_scene() -> Scene {
    let scene = Scene::new();
    mode(scene.base(), 0o755);
    scene
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn check(scene: &Scene, more: &[&str]) -> Output {
    let mut words = vec!["check"];
    words.extend(more);
    scene.locket(words).output().unwrap()
}

/// The findings, after a look whether the exit code agrees with them.
fn findings(scene: &Scene, more: &[&str]) -> Vec<Value> {
    let mut words = vec!["--format", "json"];
    words.extend(more);
    let output = check(scene, &words);
    let document: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {}", String::from_utf8_lossy(&output.stderr));
    });
    let findings = document["findings"].as_array().unwrap().clone();
    assert_eq!(
        output.status.code(),
        Some(i32::from(!findings.is_empty())),
        "{findings:#?}"
    );
    findings
}

fn ids(findings: &[Value]) -> Vec<&str> {
    findings
        .iter()
        .map(|finding| finding["id"].as_str().unwrap())
        .collect()
}

/// Runs a command that a finding shows, as a person would.
fn by_hand(scene: &Scene, command: &str) {
    let output = Command::new("sh")
        .args(["-c", command])
        .current_dir(scene.base())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{command}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn git(scene: &Scene, arguments: &[&str]) {
    let output = Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@example.com"])
        .args(arguments)
        .current_dir(scene.base())
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
