//! What the log and the health check are told, by flag, variable and file.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Output;
use std::time::{Duration, SystemTime};

use serde_json::json;

use crate::support::Scene;

/// `locket COMMAND` with one more flag, variable, or line in `[run]`.
fn told(
    scene: &Scene,
    arguments: &[&str],
    flag: &[&str],
    variable: Option<(&str, &str)>,
    line: &str,
) -> Output {
    let file = scene.path("layer.toml");
    fs::write(&file, format!("[run]\n{line}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let mut command = scene.locket(arguments.iter().chain(flag));
    command
        .env("LOCKET_CONFIG", &file)
        .envs(variable)
        .output()
        .unwrap()
}

/// The same setting in each layer.
fn layers(scene: &Scene, arguments: &[&str], option: &str, variable: &str, text: &str) -> Vec<Output> {
    let flag = format!("--{option}={text}");
    vec![
        told(scene, arguments, &[&flag], None, ""),
        told(scene, arguments, &[], Some((variable, text)), ""),
        told(scene, arguments, &[], None, &format!("{option} = '{text}'")),
    ]
}

fn log(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const INJECT: &[&str] = &["inject", "--map", "in:out", "--state-dir", "state"];

#[test]
fn the_log_says_as_much_as_it_was_told_to_by_every_layer() {
    let scene = Scene::new();
    scene.write("in/a", "text");
    let counted = |level: &str| {
        let outputs = layers(&scene, INJECT, "log-level", "LOCKET_LOG_LEVEL", level);
        let lines: Vec<_> = outputs.iter().map(|output| log(output).lines().count()).collect();
        // What is written in the first call is unchanged in the others.
        lines[1..].to_vec()
    };
    let (off, info, debug) = (counted("off"), counted("info"), counted("debug"));
    assert_eq!(off, [0, 0]);
    assert!(info.iter().all(|lines| *lines > 0), "{info:?}");
    assert!(debug.iter().min() > info.iter().max(), "{debug:?} {info:?}");
    assert_eq!(
        log(&told(
            &scene,
            INJECT,
            &["--log-level=off"],
            Some(("LOCKET_LOG_LEVEL", "trace")),
            ""
        )),
        ""
    );
}

#[test]
fn a_machine_reads_the_log_line_by_line() {
    let scene = Scene::new();
    scene.write("in/a", "text");
    for output in layers(&scene, INJECT, "log-format", "LOCKET_LOG_FORMAT", "json") {
        let log = log(&output);
        assert!(log.lines().count() > 0);
        for line in log.lines() {
            let line: serde_json::Value =
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            assert!(line["level"].is_string(), "{line}");
        }
    }
}

#[test]
fn an_old_secret_is_unhealthy_from_the_age_that_every_layer_can_say() {
    let scene = Scene::new();
    #[expect(
        clippy::disallowed_methods,
        reason = "the program that judges it reads the real clock"
    )]
    let hour_ago =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap() - Duration::from_secs(3600);
    let status = json!({
        "state": "done", "pid": 1, "started": hour_ago.as_secs(), "last_success": hour_ago.as_secs(), "outputs": 1,
        "failing": [{ "target": "/out/a", "reference": "x://y", "reason": "gone", "since": hour_ago.as_secs(), "last_success": hour_ago.as_secs() }],
    });
    scene.write("status", status.to_string());
    let healthcheck = ["healthcheck", "--status-file", "status"];
    let codes = |limit: &str| -> Vec<_> {
        let outputs = layers(&scene, &healthcheck, "max-stale", "LOCKET_MAX_STALE", limit);
        outputs.iter().map(|output| output.status.code()).collect()
    };
    assert_eq!(codes("30m"), [Some(1); 3]);
    assert_eq!(codes("2h"), [Some(0); 3]);
    let without = told(&scene, &healthcheck, &[], None, "");
    assert_eq!(without.status.code(), Some(0), "{}", log(&without));
}
