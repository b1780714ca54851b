//! A writer killed at any instant leaves a directory that is switched as a whole in one whole generation.
//!
//! The writer is this program again, told by a file in its directory; it is stopped between two steps, or at any time.

#![expect(clippy::unwrap_used, reason = "this whole file is a test")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use locket_core::SecretBytes;
use locket_core::plan::Access;
use locket_engine::sink::{LINK, Member, Phase, Sink};
use tracing_subscriber::filter::LevelFilter;

const ACCESS: Access = Access {
    file_mode: 0o640,
    dir_mode: 0o750,
    owner: None,
};
const SIGN: &str = "to-be-killed";

#[test]
fn a_kill_on_a_disk_leaves_one_whole_generation() {
    let directory = tempfile::tempdir().unwrap();
    let phases = [
        Phase::Temporary,
        Phase::Sync,
        Phase::Rename,
        Phase::Settled,
        Phase::Link,
        Phase::Sweep,
    ];
    kill_between_steps(directory.path(), 100, &phases);
    kill_at_any_time(directory.path(), 40);
}

#[test]
fn a_kill_in_memory_leaves_one_whole_generation() {
    let directory = tempfile::tempdir_in("/dev/shm").unwrap();
    let phases = [
        Phase::Temporary,
        Phase::Rename,
        Phase::Settled,
        Phase::Link,
        Phase::Sweep,
    ];
    kill_between_steps(directory.path(), 80, &phases);
    kill_at_any_time(directory.path(), 40);
}

/// The writer. By itself it does nothing.
#[test]
#[ignore = "started by the tests above, in a directory of their own"]
fn write_until_killed() {
    let Ok(sign) = fs::read_to_string(SIGN) else {
        return;
    };
    let (level, padding) = sign.split_once(' ').unwrap();
    tracing_subscriber::fmt()
        .with_max_level(level.parse::<LevelFilter>().unwrap())
        .with_ansi(false)
        .without_time()
        .with_writer(std::io::stderr)
        .init();
    // Moves the step at which the pipe is full.
    tracing::info!("begin {}", "x".repeat(padding.parse().unwrap()));
    let present = whole(Path::new("out")).unwrap();
    for generation in present + 1.. {
        write(Path::new("out"), generation);
    }
}

/// Kills so many times, and goes on until every phase was hit: where a kill lands is the scheduler's to say.
fn kill_between_steps(directory: &Path, times: u32, phases: &[Phase]) {
    let mut kills: BTreeMap<String, u32> = BTreeMap::new();
    let mut dice = Dice(12345);
    let lacks = |kills: &BTreeMap<String, u32>| {
        let hits = |phase: &Phase| kills.get(phase.name()).copied().unwrap_or_default();
        phases.iter().any(|phase| hits(phase) < 3)
    };
    for turn in 0..times * 20 {
        if turn >= times && !lacks(&kills) {
            break;
        }
        let steps = dice.next() % 40;
        let padding = dice.next() % 500;
        let last = run_and_kill(directory, LevelFilter::TRACE, padding, |words| {
            let mut last = String::new();
            for _ in 0..steps {
                last = words.next().unwrap().unwrap();
            }
            last
        });
        let phase = last
            .split("phase=\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        *kills.entry(phase.unwrap_or("none").to_owned()).or_default() += 1;
    }
    assert!(!lacks(&kills), "a phase was hardly hit: {kills:?}");
}

fn kill_at_any_time(directory: &Path, times: u32) {
    let mut dice = Dice(777);
    for _ in 0..times {
        let pause = Duration::from_micros(u64::from(dice.next() % 10_000));
        run_and_kill(directory, LevelFilter::INFO, 0, |words| {
            let begin = words.next().unwrap().unwrap();
            std::thread::sleep(pause);
            begin
        });
    }
}

struct Dice(u32);

impl Dice {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.0 / 7
    }
}

/// Starts the writer, waits as `until` says, kills it, and looks at what it left; gives back its last words.
fn run_and_kill(
    directory: &Path,
    level: LevelFilter,
    padding: u32,
    until: impl FnOnce(&mut std::io::Lines<BufReader<std::io::PipeReader>>) -> String,
) -> String {
    let out = directory.join("out");
    fs::write(directory.join(SIGN), format!("{level} {padding}")).unwrap();
    if !out.exists() {
        write(&out, 0);
    }
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
    let mut last = until(&mut words);
    child.kill().unwrap();
    child.wait().unwrap();
    for word in words.map_while(Result::ok) {
        if word.contains("target=") {
            last = word;
        }
    }
    check(&out);
    last
}

/// What readers see is whole; the next start removes what is left over and puts the rest right.
fn check(out: &Path) {
    let generation = whole(out).unwrap();
    Sink::new().sweep_directory(&out.into()).unwrap();
    assert_eq!(
        whole(out),
        Some(generation),
        "sweeping takes nothing that is in use"
    );
    let hidden = |name: &String| name.starts_with('.') && name != LINK;
    let left: Vec<_> = names(out).into_iter().filter(hidden).collect();
    assert_eq!(left.len(), 1, "{left:?} are left over");
    write(out, generation);
    let mut expected: Vec<String> = files(generation)
        .into_iter()
        .map(|(name, _)| name.split('/').next().unwrap().to_owned())
        .collect();
    expected.sort();
    expected.dedup();
    let visible: Vec<_> = names(out)
        .into_iter()
        .filter(|name| !name.starts_with('.'))
        .collect();
    assert_eq!(visible, expected);
    for (name, text) in files(generation) {
        assert_eq!(fs::read_to_string(out.join(&name)).unwrap(), text);
    }
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// The generation that readers see, if all its files are there and are of one.
fn whole(out: &Path) -> Option<u64> {
    let data = out.join(LINK);
    let generation = fs::read_to_string(data.join("f0"))
        .ok()?
        .split(' ')
        .next()?
        .parse()
        .ok()?;
    let is_whole = files(generation)
        .iter()
        .all(|(name, text)| fs::read_to_string(data.join(name)).is_ok_and(|found| found == *text));
    is_whole.then_some(generation)
}

/// The files of a generation: some stay, some come and go.
fn files(generation: u64) -> Vec<(String, String)> {
    let mut files: Vec<_> = (0..6_usize)
        .map(|n| (format!("f{n}"), format!("{generation} {}", "x".repeat(n * 1999))))
        .collect();
    files.push(("sub/g".to_owned(), format!("{generation} sub")));
    files.push((format!("only{}", generation % 3), format!("{generation} only")));
    files
}

fn write(out: &Path, generation: u64) {
    let files = files(generation);
    let values: Vec<_> = files
        .iter()
        .map(|(_, text)| SecretBytes::copy_from(text.as_bytes()))
        .collect();
    let members: Vec<_> = files
        .iter()
        .zip(&values)
        .map(|((name, _), bytes)| Member {
            relative: Path::new(name),
            bytes,
            access: &ACCESS,
        })
        .collect();
    let root: Arc<Path> = out.into();
    Sink::new().apply_directory(&root, &members, &ACCESS).unwrap();
}
