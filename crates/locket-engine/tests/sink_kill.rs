//! A writer killed at any instant leaves every output old or new.
//!
//! The writer is this program again, told by a file in its directory. It says on a short pipe what it is about to do,
//! and blocks there when nobody reads on: so most kills fall exactly where the last word says.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "this whole file is a test"
)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use locket_core::SecretBytes;
use locket_core::plan::Access;
use locket_engine::sink::{Phase, Sink};
use locket_engine::sources::Target;
use tempfile::TempDir;
use tracing_subscriber::filter::LevelFilter;

const ACCESS: Access = Access {
    file_mode: 0o640,
    dir_mode: 0o750,
    owner: None,
};
const OUTPUTS: usize = 12;
const SIGN: &str = "to-be-killed";

#[test]
fn a_kill_on_a_disk_leaves_every_output_old_or_new() {
    let kills = kill_again_and_again(&tempfile::tempdir().unwrap(), 150);
    for phase in [Phase::Temporary, Phase::Sync, Phase::Rename] {
        let count = kills.get(phase.name()).copied().unwrap_or_default();
        assert!(count >= 10, "too few kills in {}: {kills:?}", phase.name());
    }
}

#[test]
fn a_kill_in_memory_leaves_every_output_old_or_new() {
    let kills = kill_again_and_again(&tempfile::tempdir_in("/dev/shm").unwrap(), 100);
    for phase in [Phase::Temporary, Phase::Rename] {
        let count = kills.get(phase.name()).copied().unwrap_or_default();
        assert!(count >= 10, "too few kills in {}: {kills:?}", phase.name());
    }
}

/// The writer. By itself it does nothing.
#[test]
#[ignore = "started by the tests above, in a directory of their own"]
fn write_until_killed() {
    if !Path::new(SIGN).exists() {
        return;
    }
    tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_ansi(false)
        .without_time()
        .with_writer(std::io::stderr)
        .init();
    let oldest = generations(Path::new("out")).into_iter().min().unwrap();
    for generation in oldest + 1.. {
        write(Path::new("out"), generation);
    }
}

fn kill_again_and_again(directory: &TempDir, times: u32) -> BTreeMap<String, u32> {
    let out = directory.path().join("out");
    fs::write(directory.path().join(SIGN), "").unwrap();
    write(&out, 0);
    let mut kills = BTreeMap::new();
    let mut dice = 12345_u32;
    for _ in 0..times {
        dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let phase = run_and_kill(directory.path(), 1 + dice / 7 % 90);
        *kills.entry(phase).or_default() += 1;
        check(directory.path(), &out);
    }
    println!("kills by phase: {kills:?}");
    kills
}

/// Starts the writer, reads `words` of what it says, kills it, and gives back its last word.
fn run_and_kill(directory: &Path, words: u32) -> String {
    let (pipe, stderr) = std::io::pipe().unwrap();
    rustix::pipe::fcntl_setpipe_size(&pipe, 4096).unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "write_until_killed", "--ignored", "--nocapture"])
        .current_dir(directory)
        .stdout(Stdio::null())
        .stderr(stderr)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(pipe).lines();
    let mut last = String::new();
    for _ in 0..words {
        last = lines.next().unwrap().unwrap();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What was still in the pipe was said before the kill; a last half line was not said.
    for line in lines.map_while(Result::ok) {
        if line.contains("target=") {
            last = line;
        }
    }
    let phase = last
        .split("phase=\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    phase.unwrap_or("none").to_owned()
}

fn check(directory: &Path, out: &Path) {
    let generations = generations(out);
    let (oldest, newest) = (
        generations.iter().min().unwrap(),
        generations.iter().max().unwrap(),
    );
    assert!(newest - oldest <= 1, "{generations:?}");
    let outside: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name != "out" && name != SIGN)
        .collect();
    assert!(outside.is_empty(), "{outside:?}");
    let mut sink = Sink::new();
    for n in 0..OUTPUTS {
        sink.sweep(&target(out, n)).unwrap();
        let directory = out.join(relative(n));
        for entry in fs::read_dir(directory.parent().unwrap()).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(name.starts_with('f'), "{name} is left over");
        }
    }
}

fn generations(out: &Path) -> Vec<u64> {
    (0..OUTPUTS)
        .map(|n| read_generation(&out.join(relative(n))).unwrap())
        .collect()
}

fn target(out: &Path, n: usize) -> Target {
    Target {
        root: out.into(),
        relative: relative(n).into(),
    }
}

fn relative(n: usize) -> String {
    format!("d{}/f{n}", n % 3)
}

fn write(out: &Path, generation: u64) {
    let mut sink = Sink::new();
    for n in 0..OUTPUTS {
        let bytes = SecretBytes::copy_from(content(generation, n * 1999).as_bytes());
        sink.apply(&target(out, n), &bytes, &ACCESS).unwrap();
    }
    assert_eq!(sink.finish(), []);
}

fn content(generation: u64, size: usize) -> String {
    let letter = char::from(b'a' + (generation % 26) as u8);
    format!("{generation} {} {generation}", letter.to_string().repeat(size))
}

/// The generation of an output, if it is there and whole.
fn read_generation(path: &Path) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let generation = text.split(' ').next()?.parse().ok()?;
    let size = text.split(' ').nth(1)?.len();
    let name: usize = path.file_name()?.to_str()?.strip_prefix('f')?.parse().ok()?;
    (size == name * 1999 && text == content(generation, size)).then_some(generation)
}
