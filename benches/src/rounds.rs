//! A round of an agent that runs: every secret has changed, and every output follows.

use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::process::{Pid, Signal, kill_process};

use crate::process::{Running, command, median};
use crate::scenes::{Binaries, CONNECTIONS, SECRETS, TEMPLATES, millis, scratch, write_templates};
use crate::server::{self, Rotation};
use crate::table::Table;

const TURNS: usize = 9;

/// A round of the agent's own timer, and one that SIGHUP starts, which reads configuration and templates again on top.
///
/// Both sides are seen from outside and in the same way, by a watch on their outputs; and both have read the same secrets
/// before, over connections that they keep.
pub(crate) fn round(binaries: &Binaries<'_>, delay: u64, table: &mut Table) {
    let rotation = Arc::new(Rotation::default());
    let server = server::start_rotating(Duration::from_millis(delay), rotation.clone());
    let dir = scratch();
    write_templates(dir.path());
    let path = |name: &str| dir.path().join(name);
    for name in ["timer", "signal", "bare"] {
        fs::create_dir(path(name)).unwrap();
    }
    let agent = |out: &str, refresh: &str| {
        let map = format!("in:{out}");
        let mut agent = command(binaries.locket);
        agent.args(["run", "--map", &map, "--refresh", refresh]);
        agent.current_dir(dir.path());
        agent.env("BAO_ADDR", server.url()).env("BAO_TOKEN", "t");
        let agent = Running(agent.spawn().unwrap());
        await_outputs(&path(out));
        agent
    };
    let turn = |out: &str, begin: &mut dyn FnMut(usize)| {
        // Whatever the round before left to do is done.
        std::thread::sleep(Duration::from_millis(300));
        let seen = Seen::in_directory(&path(out));
        server.forget();
        let now = rotation.rotate();
        let begun = Instant::now();
        begin(now);
        let ended = seen.all();
        let requests = server.requests();
        let reads = requests.iter().filter(|request| request.path.contains("/data/"));
        assert_eq!(reads.count(), SECRETS, "one request for each distinct secret");
        let first = fs::read_to_string(path(out).join("0")).unwrap();
        assert!(first.contains(&server::value_of("s0", now)), "{first}");
        (ended - rotation.first_read().unwrap(), ended - begun)
    };

    let timer = {
        let _agent = agent("timer", "2s");
        median((0..TURNS).map(|_| turn("timer", &mut |_| ()).0).collect())
    };
    let signal = {
        let agent = agent("signal", "off");
        let pid = Pid::from_child(&agent.0);
        let mut signal = |_| kill_process(pid, Signal::HUP).unwrap();
        median((0..TURNS).map(|_| turn("signal", &mut signal).1).collect())
    };
    let bare = {
        let mut bare = command(&std::env::current_exe().unwrap());
        bare.args(["bare-round", "agent", &server.address().to_string()]);
        bare.args([SECRETS, CONNECTIONS, TEMPLATES].map(|number| number.to_string()));
        bare.arg(path("bare")).stdin(Stdio::piped());
        let mut bare = Running(bare.spawn().unwrap());
        let mut orders = bare.0.stdin.take().unwrap();
        let mut order = |rotations| writeln!(orders, "{rotations}").unwrap();
        order(0);
        await_outputs(&path("bare"));
        median((0..TURNS).map(|_| turn("bare", &mut order).0).collect())
    };

    let ratio = timer.as_secs_f64() / bare.as_secs_f64();
    table.gate(
        format!("round: 500 rotated secrets, 1,000 outputs of 5 each, {delay} ms server"),
        millis(timer),
        format!("bare client and writes {}", millis(bare)),
        format!("x 1.5 (is x {ratio:.2})"),
        ratio <= 1.5,
    );
    table.report(
        format!("the same from SIGHUP, which reads the templates again, {delay} ms server"),
        millis(signal),
        format!("x {:.2}", signal.as_secs_f64() / bare.as_secs_f64()),
    );
}

fn await_outputs(directory: &Path) {
    while fs::read_dir(directory).unwrap().count() < TEMPLATES {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What the kernel says of the outputs in one directory.
struct Seen(OwnedFd);

impl Seen {
    fn in_directory(directory: &Path) -> Self {
        let events = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).unwrap();
        inotify::add_watch(&events, directory, WatchFlags::MOVED_TO).unwrap();
        Self(events)
    }

    /// Waits until each output has been replaced; gives when it was.
    fn all(&self) -> Instant {
        let mut buffer = vec![MaybeUninit::uninit(); 1 << 16];
        let mut events = inotify::Reader::new(&self.0, &mut buffer);
        let mut seen = HashSet::new();
        let until = Instant::now() + Duration::from_secs(30);
        while seen.len() < TEMPLATES {
            assert!(Instant::now() < until, "{} outputs were replaced", seen.len());
            match events.next() {
                Ok(event) => {
                    assert!(!event.events().contains(ReadFlags::QUEUE_OVERFLOW));
                    let name = event.file_name().and_then(|name| name.to_str().ok());
                    seen.extend(name.and_then(|name| name.parse::<usize>().ok()));
                }
                Err(rustix::io::Errno::AGAIN) => std::thread::sleep(Duration::from_micros(300)),
                Err(error) => panic!("{error}"),
            }
        }
        Instant::now()
    }
}
