use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::time::Duration;

use locket_testkit::services::OpenBao;
use locket_testkit::{Fault, Faults, Rule};
use serde_json::json;
use tempfile::TempDir;

use crate::support::locket;

const KILLS: usize = 200;
const OUTPUTS: usize = 60;
const FILLER: usize = 3_000;

/// How far the write of an output had come when the agent died.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Moment {
    Fetch,
    Write,
    Rename,
    Between,
}

fn text(value: &str) -> String {
    format!("{value}\n{}\n{value} end\n", "x".repeat(FILLER))
}

/// The value in an output that is whole; panics at anything else.
fn whole(output: &str) -> &str {
    let value = output.lines().next().unwrap_or_default();
    assert!(value.starts_with("value-"), "{output:?}");
    assert_eq!(output, text(value), "torn");
    value
}

#[test]
fn a_kill_at_any_instant_leaves_every_output_old_or_new_and_whole() {
    let Some(bao) = OpenBao::start() else { return };
    let proxy = Faults::before(&bao.url());
    proxy.inject(Rule::new(Fault::Slow(Duration::from_millis(3))).on("*/data/*"));
    // In memory, where outputs belong; the sink's own test does the same on a disk.
    let dir = TempDir::new_in("/dev/shm").unwrap();
    let path = |name: &str| dir.path().join(name);
    fs::create_dir(path("in")).unwrap();
    // Paths of different lengths, so that the pipe is full at different steps.
    let run_to = |map: &str, arguments: &[&str]| {
        let mut command = locket();
        command
            .current_dir(dir.path())
            .args(["run", "--map", map, "--debounce", "1ms"])
            .args(arguments);
        command
            .env("BAO_ADDR", proxy.url())
            .env("BAO_TOKEN", bao.root_token());
        command
    };
    let run = |arguments: &[&str]| run_to("in:out", arguments);
    let rotate = |turn: usize| bao.put("app", &json!({ "a": format!("value-{turn}") }));
    let edit = |turn: usize| {
        for index in 0..OUTPUTS {
            let reference = "{{ bao://secret/app/a }}";
            // A comment-like option keeps the output equal while the template differs.
            let tag = if turn.is_multiple_of(2) {
                reference
            } else {
                "{{ bao://secret/app/a | trim }}"
            };
            fs::write(path("next"), text(tag)).unwrap();
            fs::rename(path("next"), path("in").join(index.to_string())).unwrap();
        }
    };
    rotate(0);
    edit(0);
    assert!(
        run(&["--mode", "one-shot"])
            .stderr(Stdio::null())
            .status()
            .unwrap()
            .success()
    );
    let mut moments: BTreeMap<Moment, usize> = BTreeMap::new();
    for turn in 1..=KILLS {
        rotate(turn);
        // The agent cannot run far ahead of a reader of the smallest pipe there is: it waits inside a step.
        let (reader, writer) = std::io::pipe().unwrap();
        rustix::pipe::fcntl_setpipe_size(&writer, 4_096).unwrap();
        let map = format!("in:{}out", "./".repeat(turn % 23));
        let mut child = run_to(&map, &["--log-level", "trace", "--log-format", "json"])
            .stdout(Stdio::null())
            .stderr(writer)
            .spawn()
            .unwrap();
        let mut log = BufReader::with_capacity(256, reader);
        edit(turn);
        // A third dies while it fetches; the others as soon as a random one of the writes was announced.
        let wanted = if turn.is_multiple_of(3) {
            0
        } else {
            1 + (turn * 7) % (OUTPUTS * 3)
        };
        let mut seen = Vec::new();
        if wanted == 0 {
            // What it says until then must not fill the pipe.
            let mut line = String::new();
            while proxy.request_count() == 0 && log.read_line(&mut line).unwrap() > 0 {}
        }
        let mut line = String::new();
        while seen.len() < wanted && log.read_line(&mut line).unwrap() > 0 {
            seen.extend(phase(&line));
            line.clear();
        }
        if wanted > 0 {
            // Lets it run until the pipe is full, so that it dies where it waits.
            std::thread::sleep(Duration::from_millis(2));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let mut rest = String::new();
        log.read_to_string(&mut rest).unwrap();
        seen.extend(rest.lines().filter_map(phase));
        proxy.forget();
        let moment = match seen.last().map(String::as_str) {
            None => Moment::Fetch,
            Some("temporary" | "sync") => Moment::Write,
            Some("rename") => Moment::Rename,
            Some(_) => Moment::Between,
        };
        *moments.entry(moment).or_default() += 1;
        for index in 0..OUTPUTS {
            let output =
                fs::read_to_string(path("out").join(index.to_string())).expect("an output is absent");
            whole(&output);
        }
        for entry in fs::read_dir(dir.path()).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(
                ["in", "out"].contains(&name.as_str()),
                "something was written elsewhere: {name}"
            );
        }
    }
    println!("kills by what they interrupted: {moments:?}");
    for moment in [Moment::Fetch, Moment::Write, Moment::Rename] {
        assert!(
            moments.get(&moment).is_some_and(|count| *count >= 20),
            "{moment:?}: {moments:?}"
        );
    }
    assert!(
        run(&["--mode", "one-shot"])
            .stderr(Stdio::null())
            .status()
            .unwrap()
            .success()
    );
    let mut names: Vec<_> = fs::read_dir(path("out"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names.len(), OUTPUTS, "leftovers: {names:?}");
    for index in 0..OUTPUTS {
        let output = fs::read_to_string(path("out").join(index.to_string())).unwrap();
        assert_eq!(whole(&output), format!("value-{KILLS}"));
    }
}

fn phase(line: impl AsRef<str>) -> Option<String> {
    let event: serde_json::Value = serde_json::from_str(line.as_ref()).ok()?;
    event["fields"]["phase"]
        .as_str()
        .or(event["phase"].as_str())
        .map(str::to_owned)
}
