//! What systemd's own tools say of the units, without starting any.

use std::fs;
use std::process::Command;

use locket_testkit::services::find;

use crate::support::{Scene, locket};

/// How exposed the unit for `run` may be, of ten.
const EXPOSURE: f64 = 2.0;

fn units(scene: &Scene, more: &[&str]) -> Vec<String> {
    let mut command = scene.locket(["systemd", "sync", "run", "plugin", "--out", "units", "--program"]);
    let output = command
        .arg(env!("CARGO_BIN_EXE_locket"))
        .args(more)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let entries = fs::read_dir(scene.path("units")).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Runs `systemd-analyze` and gives its status and everything it said.
fn analyze(scene: &Scene, arguments: &[&str], names: &[String]) -> Option<(bool, String)> {
    let output = Command::new(find("systemd-analyze")?)
        .args(["--no-pager", "--man=no"])
        .args(arguments)
        .args(names.iter().map(|name| scene.path("units").join(name)))
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    Some((
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    ))
}

/// What is about these units, and not about those of the machine that the tool loads beside.
fn about(said: &str, names: &[String]) -> Vec<String> {
    let ours = |line: &&str| names.iter().any(|name| line.contains(name.as_str()));
    said.lines().filter(ours).map(str::to_owned).collect()
}

#[test]
fn systemd_finds_no_fault_with_any_unit() {
    let scene = Scene::new();
    let names = units(&scene, &[]);
    assert_eq!(
        names,
        [
            "locket-plugin.service",
            "locket-sync.service",
            "locket-sync.timer",
            "locket.service",
            "run-secrets.mount"
        ]
    );
    let again = scene
        .locket(["systemd", "--every", "1h", "--out", "units", "--program"])
        .arg(env!("CARGO_BIN_EXE_locket"))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&again.stdout).into_owned();
    let words: Vec<_> = told.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(
        words,
        ["unchanged", "unchanged", "wrote"],
        "only what says something else"
    );
    let Some((_, said)) = analyze(&scene, &["verify"], &names) else {
        return;
    };
    assert_eq!(about(&said, &names), Vec::<String>::new(), "{said}");

    // Systemd would say so.
    let broken = fs::read_to_string(scene.path("units/locket.service")).unwrap();
    scene.write(
        "units/locket.service",
        broken.replace("RestrictRealtime=yes", "RestrictRealtme=yes"),
    );
    let (_, said) = analyze(&scene, &["verify"], &names).unwrap();
    assert!(
        about(&said, &names)
            .iter()
            .any(|line| line.contains("RestrictRealtme")),
        "{said}"
    );
}

#[test]
fn paths_with_odd_characters_reach_systemd_as_they_are() {
    let scene = Scene::new();
    let odd = scene.path("a b%c$d\"e\\f-g");
    fs::create_dir_all(&odd).unwrap();
    let config = odd.join("locket.toml");
    let config = config.to_str().unwrap();
    let names = units(
        &scene,
        &[
            "--config",
            config,
            "--mount",
            "/run/my-secret%s",
            "--write",
            odd.to_str().unwrap(),
        ],
    );
    assert!(
        names.contains(&"run-my\\x2dsecret\\x25s.mount".to_owned()),
        "{names:?}"
    );
    let Some((_, said)) = analyze(&scene, &["verify"], &names) else {
        return;
    };
    assert_eq!(about(&said, &names), Vec::<String>::new(), "{said}");
    let relative = locket()
        .args(["systemd", "--mount", "/run/a\nb"])
        .output()
        .unwrap();
    assert_eq!(relative.status.code(), Some(2));
}

#[test]
fn the_unit_for_run_exposes_little() {
    let scene = Scene::new();
    units(&scene, &[]);
    let exposure = |text: &str| -> f64 {
        let line = text
            .lines()
            .find(|line| line.contains("Overall exposure level"))
            .unwrap();
        let number = line
            .split(':')
            .next_back()
            .unwrap()
            .split_whitespace()
            .next()
            .unwrap();
        number.parse().unwrap()
    };
    let service = ["locket.service".to_owned()];
    let offline = ["security", "--offline=true"];
    let Some((_, said)) = analyze(&scene, &offline, &service) else {
        return;
    };
    assert!(exposure(&said) <= EXPOSURE, "{said}");
    let sync = ["locket-sync.service".to_owned()];
    let (_, said) = analyze(&scene, &offline, &sync).unwrap();
    assert!(exposure(&said) <= EXPOSURE, "{said}");

    // A unit that gives up nothing is found out.
    scene.write("units/locket.service", "[Service]\nExecStart=/bin/true\n");
    let (_, said) = analyze(&scene, &offline, &service).unwrap();
    assert!(exposure(&said) > 9.0, "{said}");
}

#[test]
fn a_file_with_mistakes_is_no_reason_to_be_silent_about_what_units_lack() {
    let scene = Scene::new();
    let said = |purpose: &str, option: &str, text: &str| {
        scene.write("settings", text);
        let output = scene
            .locket(["systemd", purpose, option, "settings"])
            .output()
            .unwrap();
        assert!(output.status.success() && !output.stdout.is_empty());
        String::from_utf8(output.stderr).unwrap()
    };
    for (purpose, option, right, wrong) in [
        (
            "run",
            "--config",
            "[[secret]]\nname = 'a'\ntemplate = 'x'\n",
            "[[secret]]\nnmae = 'a'\n",
        ),
        (
            "sync",
            "--map",
            "store://a,/run/secrets/a,0400\n",
            "store://a,relative,0400\n",
        ),
    ] {
        assert_eq!(said(purpose, option, right), "");
        let said = said(purpose, option, wrong);
        assert!(
            said.contains("settings has mistakes") && said.contains("shows them"),
            "{said}"
        );
    }
}
