//! What is measured.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::process::{Running, command, median, time};
use crate::server;
use crate::table::Table;

pub(crate) const TEMPLATES: usize = 1_000;
const REFERENCES: usize = 5;
pub(crate) const SECRETS: usize = 500;
/// As many connections as the provider uses unless told otherwise.
pub(crate) const CONNECTIONS: usize = 32;

/// The programs that are measured.
pub(crate) struct Binaries<'a> {
    /// The release binary.
    pub(crate) locket: &'a Path,
    /// A static program that reads a file and writes it out.
    pub(crate) bare: &'a Path,
}

/// One reference, cold, beside a bare static process that does the same.
pub(crate) fn cold_start(binaries: &Binaries<'_>, table: &mut Table) {
    let dir = scratch();
    let secret = dir.path().join("secret");
    fs::write(&secret, "value").unwrap();
    let reference = format!("file://{}", secret.display());
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..200 {
        ours.push(time(
            command(binaries.locket)
                .args(["get", &reference])
                .current_dir(dir.path()),
        ));
        theirs.push(time(command(binaries.bare).arg(&secret).current_dir(dir.path())));
    }
    let (ours, theirs) = (median(ours), median(theirs));
    let more = ours.saturating_sub(theirs);
    table.gate(
        "cold start, one reference",
        millis(ours),
        format!("bare static process {}", millis(theirs)),
        format!("+ 3 ms (is + {})", millis(more)),
        more <= Duration::from_millis(3),
    );
}

/// A thousand templates, five references each, five hundred distinct secrets: a whole process, with its start, the
/// reading of templates, a round and its end.
pub(crate) fn inject(binaries: &Binaries<'_>, delay: u64, table: &mut Table) {
    let server = server::start(Duration::from_millis(delay));
    let dir = scratch();
    write_templates(dir.path());
    let address = server.address().to_string();
    let (mut ours, mut unchanged) = (Vec::new(), Vec::new());
    let (mut theirs, mut sockets) = (Vec::new(), Vec::new());
    for turn in 0..5 {
        let out = format!("out{turn}");
        let once = |out: &str| {
            let map = format!("in:{out}");
            let mut command = command(binaries.locket);
            command.args(["inject", "--map", &map]).current_dir(dir.path());
            command.env("BAO_ADDR", server.url()).env("BAO_TOKEN", "t");
            time(&mut command)
        };
        server.forget();
        ours.push(once(&out));
        let reads = server
            .requests()
            .iter()
            .filter(|request| request.path.contains("/data/"))
            .count();
        assert_eq!(reads, SECRETS, "one request for each distinct secret");
        unchanged.push(once(&out));
        let bare = |reader: &str| {
            let mut bare = command(&std::env::current_exe().unwrap());
            let numbers = [SECRETS, CONNECTIONS, TEMPLATES].map(|number| number.to_string());
            bare.args(["bare-round", reader, &address])
                .args(&numbers)
                .arg(dir.path().join(format!("{reader}{turn}")));
            time(&mut bare)
        };
        theirs.push(bare("client"));
        sockets.push(bare("sockets"));
    }
    let (ours, theirs, sockets) = (median(ours), median(theirs), median(sockets));
    let times = |theirs: Duration| format!("x {:.2}", ours.as_secs_f64() / theirs.as_secs_f64());
    table.report(
        format!("`inject` from start to end, 1,000 templates, 500 secrets, {delay} ms server"),
        millis(ours),
        format!(
            "a process with a bare client and writes {}: {}; with raw sockets {}: {}",
            millis(theirs),
            times(theirs),
            millis(sockets),
            times(sockets)
        ),
    );
    table.report(
        format!("the same, unchanged, {delay} ms server"),
        millis(median(unchanged)),
        "nothing is written",
    );
}

/// What one template of [`inject`] renders to after so many rotations.
pub(crate) fn output_of_a_round(rotations: usize) -> String {
    (0..REFERENCES)
        .map(|index| {
            format!(
                "key{index} = {}\n",
                server::value_of(&format!("s{index}"), rotations)
            )
        })
        .collect()
}

pub(crate) fn write_templates(dir: &Path) {
    fs::create_dir(dir.join("in")).unwrap();
    for template in 0..TEMPLATES {
        let text: String = (0..REFERENCES)
            .map(|index| {
                let secret = (template * REFERENCES + index) % SECRETS;
                format!("key{index} = {{{{ bao://kv/s{secret}/value }}}}\n")
            })
            .collect();
        fs::write(dir.join("in").join(template.to_string()), text).unwrap();
    }
}

/// Ten megabytes with a hundred thousand occurrences of a thousand references.
pub(crate) fn large_template(binaries: &Binaries<'_>, table: &mut Table) {
    let dir = scratch();
    fs::create_dir(dir.path().join("s")).unwrap();
    for index in 0..1_000 {
        fs::write(dir.path().join(format!("s/{index}")), format!("value-of-{index}")).unwrap();
    }
    let filler = "x".repeat(75);
    let text: String = (0..100_000)
        .map(|index| format!("{filler} {{{{ file://s/{} }}}}\n", index % 1_000))
        .collect();
    fs::write(dir.path().join("t"), &text).unwrap();
    let render = |turn: usize| {
        let map = format!("t:o{turn}");
        time(
            command(binaries.locket)
                .args(["inject", "--map", &map, "--max-file-size", "20M"])
                .current_dir(dir.path()),
        )
    };
    let copy = |turn: usize| {
        let start = Instant::now();
        let bytes = fs::read(dir.path().join("t")).unwrap();
        fs::write(dir.path().join(format!("c{turn}")), bytes).unwrap();
        start.elapsed()
    };
    let ours = median((0..5).map(render).collect());
    let theirs = median((0..5).map(copy).collect());
    let size = text.len() as f64 / 1e6;
    table.report(
        format!("template of {size:.0} MB, 100,000 occurrences of 1,000 references"),
        millis(ours),
        format!("copying the file {}", millis(theirs)),
    );
}

/// From the rename of a saved template to the rename of its output.
pub(crate) fn edit_to_output(binaries: &Binaries<'_>, table: &mut Table) {
    let dir = scratch();
    fs::create_dir(dir.path().join("in")).unwrap();
    let template = dir.path().join("in/t");
    let output = dir.path().join("out/t");
    fs::write(&template, "start").unwrap();
    let debounce = Duration::from_millis(50);
    let mut command = command(binaries.locket);
    command
        .args(["run", "--map", "in:out", "--debounce", "50ms"])
        .current_dir(dir.path());
    let _agent = Running(command.spawn().unwrap());
    await_text(&output, "start");
    let mut times = Vec::new();
    for turn in 0..30 {
        let text = format!("edit {turn}");
        let next = dir.path().join("next");
        fs::write(&next, &text).unwrap();
        let start = Instant::now();
        fs::rename(&next, &template).unwrap();
        await_text(&output, &text);
        times.push(start.elapsed().saturating_sub(debounce));
    }
    table.report(
        "edit to output, without the debounce",
        millis(median(times)),
        "debounce 50 ms",
    );
}

/// An agent with a thousand templates that has nothing to do.
pub(crate) fn idle(binaries: &Binaries<'_>, table: &mut Table) {
    let server = server::start(Duration::ZERO);
    let dir = scratch();
    write_templates(dir.path());
    let mut command = command(binaries.locket);
    command.args(["run", "--map", "in:out"]).current_dir(dir.path());
    command.env("BAO_ADDR", server.url()).env("BAO_TOKEN", "t");
    let agent = Running(command.spawn().unwrap());
    let last = dir.path().join(format!("out/{}", TEMPLATES - 1));
    while !last.exists() {
        std::thread::sleep(Duration::from_millis(20));
    }
    // Threads and connections that a round leaves behind are given back in time.
    std::thread::sleep(Duration::from_secs(100));
    let resident = agent.number("VmRSS") as f64 / 1024.0;
    let before = agent.switches();
    std::thread::sleep(Duration::from_secs(20));
    let woken = agent.switches() - before;
    table.gate(
        "idle memory, 1,000 templates watched",
        format!("{resident:.1} MiB"),
        format!("peak {:.1} MiB", agent.number("VmHWM") as f64 / 1024.0),
        "10 MB",
        resident * 1.048_576 <= 10.0,
    );
    table.gate("idle wake-ups in 20 s", woken.to_string(), "", "none", woken == 0);
}

fn await_text(path: &Path, text: &str) {
    let until = Instant::now() + Duration::from_secs(30);
    while fs::read(path).ok().as_deref() != Some(text.as_bytes()) {
        assert!(Instant::now() < until, "{} never became {text:?}", path.display());
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// In memory, as outputs are.
pub(crate) fn scratch() -> TempDir {
    TempDir::new_in("/dev/shm").expect("there is a /dev/shm")
}

pub(crate) fn millis(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}
