//! A writer killed at any instant leaves every output old or new.
//!
//! The writer is this program again, told by a file in its directory. Once it says on a short pipe what it is about to
//! do, and blocks there when nobody reads on, so that kills fall exactly between two steps; once it says nothing and
//! is killed at any time, within a step too.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "this whole file is a test"
)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Lines, PipeReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use locket_core::SecretBytes;
use locket_core::plan::Access;
use locket_engine::sink::{Phase, Sink};
use locket_engine::sources::Target;
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
    let directory = tempfile::tempdir().unwrap();
    kill_between_steps(
        directory.path(),
        120,
        &[Phase::Temporary, Phase::Sync, Phase::Rename],
    );
    kill_at_any_time(directory.path(), 60);
}

#[test]
fn a_kill_in_memory_leaves_every_output_old_or_new() {
    let directory = tempfile::tempdir_in("/dev/shm").unwrap();
    kill_between_steps(directory.path(), 80, &[Phase::Temporary, Phase::Rename]);
    kill_at_any_time(directory.path(), 60);
}

/// The writer. By itself it does nothing.
#[test]
#[ignore = "started by the tests above, in a directory of their own"]
fn write_until_killed() {
    let Ok(level) = fs::read_to_string(SIGN) else {
        return;
    };
    tracing_subscriber::fmt()
        .with_max_level(level.parse::<LevelFilter>().unwrap())
        .with_ansi(false)
        .without_time()
        .with_writer(std::io::stderr)
        .init();
    tracing::info!("begin");
    let oldest = generations(Path::new("out")).into_iter().min().unwrap();
    for generation in oldest + 1.. {
        write(Path::new("out"), generation);
    }
}

/// Kills between two steps so many times, and again until every phase was to come next ten times: where a kill lands is
/// the scheduler's to say.
fn kill_between_steps(directory: &Path, times: u32, phases: &[Phase]) {
    let mut kills: BTreeMap<String, u32> = BTreeMap::new();
    for seed in 0.. {
        let last_words = kill_again_and_again(directory, LevelFilter::TRACE, seed, times, |words, chance| {
            let mut last = String::new();
            for _ in 0..chance % 90 {
                last = words.next().unwrap().unwrap();
            }
            last
        });
        for last in last_words {
            let phase = last
                .split("phase=\"")
                .nth(1)
                .and_then(|rest| rest.split('"').next());
            *kills.entry(phase.unwrap_or("none").to_owned()).or_default() += 1;
        }
        let hits = |phase: &Phase| kills.get(phase.name()).copied().unwrap_or_default();
        if phases.iter().all(|phase| hits(phase) >= 10) {
            println!("kills by phase: {kills:?}");
            return;
        }
        assert!(seed < 20, "too few kills in a phase: {kills:?}");
    }
}

fn kill_at_any_time(directory: &Path, times: u32) {
    kill_again_and_again(directory, LevelFilter::INFO, 0, times, |words, chance| {
        let begin = words.next().unwrap().unwrap();
        std::thread::sleep(Duration::from_micros(u64::from(chance % 20_000)));
        begin
    });
}

/// Starts the writer, waits as `until` says, kills it, and looks at what it left; gives back its last words.
fn kill_again_and_again(
    directory: &Path,
    level: LevelFilter,
    seed: u32,
    times: u32,
    until: impl Fn(&mut Lines<BufReader<PipeReader>>, u32) -> String,
) -> Vec<String> {
    let out = directory.join("out");
    fs::write(directory.join(SIGN), level.to_string()).unwrap();
    if !out.exists() {
        write(&out, 0);
    }
    let mut dice = 12345_u32.wrapping_add(seed);
    let kill = |_| {
        dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (pipe, stderr) = std::io::pipe().unwrap();
        rustix::pipe::fcntl_setpipe_size(&pipe, 4096).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "write_until_killed", "--ignored", "--nocapture"])
            .current_dir(directory)
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .unwrap();
        let mut words = BufReader::new(pipe).lines();
        let mut last = until(&mut words, dice / 7);
        child.kill().unwrap();
        child.wait().unwrap();
        // What was still in the pipe was said before the kill; a last half line was not said.
        for word in words.map_while(Result::ok) {
            if word.contains("target=") {
                last = word;
            }
        }
        check(directory, &out);
        last
    };
    (0..times).map(kill).collect()
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
        relative: Path::new(&relative(n)).into(),
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
