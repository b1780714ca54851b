//! What it costs to run a program with secrets.

use std::fs;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::process::{Running, command, median, time};
use crate::scenes::Binaries;
use crate::table::Table;

/// Put out by the program whose output is masked, in bytes.
const OUTPUT: usize = 256 << 20;

const SECRETS: usize = 100;

/// `exec … -- true` beside `true`, and what a supervisor keeps in memory.
pub(crate) fn exec(binaries: &Binaries<'_>, table: &mut Table) {
    let dir = scratch(1);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..200 {
        ours.push(time(
            command(binaries.locket)
                .args(["exec", "-e", "A={{ file://s/0 }}", "--", "/bin/true"])
                .current_dir(dir.path()),
        ));
        theirs.push(time(command("/bin/true".as_ref()).current_dir(dir.path())));
    }
    let (ours, theirs) = (median(ours), median(theirs));
    let more = ours.saturating_sub(theirs);
    table.gate(
        "exec, one variable, cold",
        millis(ours),
        format!("the program alone {}", millis(theirs)),
        format!("+ 3 ms (is + {})", millis(more)),
        more <= Duration::from_millis(3),
    );
    let supervisor = command(binaries.locket)
        .args([
            "exec",
            "--watch",
            "-e",
            "A={{ file://s/0 }}",
            "--",
            "sh",
            "-c",
            "echo > up; exec sleep 60",
        ])
        .current_dir(dir.path())
        .spawn()
        .expect("locket starts");
    let supervisor = Running(supervisor);
    while !dir.path().join("up").exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
    // What was needed for the start only is given back in time.
    std::thread::sleep(Duration::from_secs(5));
    // Kilobytes of 1,024 bytes, of which the bound knows nothing: the most that it ever had is held against it.
    let megabytes = |name: &str| (supervisor.number(name) * 1024) as f64 / 1e6;
    let peak = megabytes("VmHWM");
    table.gate(
        "a supervised program",
        format!("{peak:.1} MB resident at most"),
        format!("{:.1} MB after five seconds", megabytes("VmRSS")),
        "10 MB",
        peak <= 10.0,
    );
}

/// Masked output beside a relay that only copies, through pipes of the same size.
pub(crate) fn mask(binaries: &Binaries<'_>, table: &mut Table) {
    let dir = scratch(SECRETS);
    let this = std::env::current_exe().expect("this program");
    let variables: Vec<_> = (0..SECRETS)
        .map(|index| format!("S{index}={{{{ file://s/{index} }}}}"))
        .collect();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        let mut masked = command(binaries.locket);
        masked.args(["exec", "--mask"]);
        masked.args(variables.iter().flat_map(|variable| ["-e", variable]));
        masked.arg("--").arg(&this).arg("produce").current_dir(dir.path());
        ours.push(drained(&mut masked));
        let mut bare = command(&this);
        theirs.push(drained(bare.arg("relay")));
    }
    let (ours, theirs) = (median(ours), median(theirs));
    let ratio = theirs.as_secs_f64() / ours.as_secs_f64();
    let speed = |took: Duration| format!("{:.0} MB/s", OUTPUT as f64 / 1e6 / took.as_secs_f64());
    table.gate(
        format!("masked output, {SECRETS} secrets, through pipes"),
        speed(ours),
        format!("a relay that copies {}", speed(theirs)),
        format!("x 0.8 (is x {ratio:.2})"),
        ratio >= 0.8,
    );
}

/// Puts out what looks like a log.
pub(crate) fn produce() {
    let line = b"2026-01-01T00:00:00Z INFO request id=7f3a9c10 path=/api/v1/items status=200 bytes=48213 took=12ms\n";
    let chunk: Vec<u8> = line.iter().copied().cycle().take(64 << 10).collect();
    let mut out = std::io::stdout().lock();
    for _ in 0..OUTPUT / chunk.len() {
        out.write_all(&chunk).expect("somebody reads");
    }
}

/// Copies the output of [`produce`], and nothing else.
pub(crate) fn relay() {
    let this = std::env::current_exe().expect("this program");
    let mut child = Command::new(this)
        .arg("produce")
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut from = child.stdout.take().expect("a pipe");
    let mut out = std::io::stdout().lock();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match from.read(&mut buffer).expect("a pipe can be read") {
            0 => break,
            count => out.write_all(&buffer[..count]).expect("somebody reads"),
        }
    }
    child.wait().expect("it ends");
}

/// How long a command takes until all it puts out was read.
fn drained(command: &mut Command) -> Duration {
    let start = Instant::now();
    let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
    let mut from = child.stdout.take().expect("a pipe");
    let (mut buffer, mut total) = (vec![0; 256 << 10], 0);
    loop {
        match from.read(&mut buffer).expect("a pipe can be read") {
            0 => break,
            count => total += count,
        }
    }
    let status = child.wait().expect("it ends");
    assert!(
        status.success() && total == OUTPUT,
        "{command:?}: {status}, {total} bytes"
    );
    start.elapsed()
}

/// A directory with secrets of 32 letters and digits.
fn scratch(count: usize) -> TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    fs::create_dir(dir.path().join("s")).expect("a directory");
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    for index in 0..count {
        let secret: String = (0..32)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                char::from(b"abcdefghijklmnopqrstuvwxyzABCDEF0123456789"[(state >> 33) as usize % 42])
            })
            .collect();
        fs::write(dir.path().join("s").join(index.to_string()), secret).expect("a file");
    }
    dir
}

fn millis(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1000.0)
}
