//! Landlock as the kernel enforces it. Each scene confines a process of its own.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test without the harness: it fails by panicking, prints, and its processes are told what to do"
)]

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use locket_sys::landlock::{
    Refused, Rules, Signals, confine, confined, denies_reading, denies_writing, version,
};

/// Says to a process of this program which of [`SCENES`] it plays. Without it, it is the test.
const SCENE: &str = "LOCKET_TEST_SCENE";

/// Where it plays.
const GROUND: &str = "LOCKET_TEST_GROUND";

const SCENES: &[(&str, fn())] = &[
    (
        "a confined process reads and writes only what its rules name",
        files,
    ),
    (
        "a confined process starts no program and listens and signals nowhere",
        the_rest,
    ),
    ("ports and signals that rules name stay allowed", exceptions),
    (
        "threads that run already are counted, and nothing is denied then",
        threads,
    ),
];

/// The standard harness runs each test on a thread beside its own; here each has a process with one thread.
fn main() {
    if let Ok(scene) = std::env::var(SCENE) {
        let (_, play) = SCENES.iter().find(|(name, _)| *name == scene).unwrap();
        return play();
    }
    if let Err(refused) = version() {
        eprintln!("skipped: {refused}");
        return;
    }
    let ground = std::env::temp_dir().join(format!("locket-landlock-{}", std::process::id()));
    let failed: Vec<_> = SCENES.iter().filter(|(name, _)| !plays(name, &ground)).collect();
    let _ = fs::remove_dir_all(ground);
    assert!(failed.is_empty(), "{failed:?}");
}

fn plays(name: &str, ground: &Path) -> bool {
    let mut process = Command::new(std::env::current_exe().unwrap());
    let status = process.env(SCENE, name).env(GROUND, ground).status().unwrap();
    eprintln!("{name}: {status}");
    status.success()
}

/// A scratch directory with directories and files in it.
struct Ground(PathBuf);

impl Ground {
    fn new() -> Self {
        let path = PathBuf::from(std::env::var_os(GROUND).unwrap());
        for directory in ["read", "write", "outside"] {
            fs::create_dir_all(path.join(directory)).unwrap();
            fs::write(path.join(directory).join("file"), "old").unwrap();
        }
        Self(path)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn rules(&self) -> Rules {
        Rules {
            read: [self.at("read"), self.at("not there")].into(),
            write: [self.at("write")].into(),
            ..Rules::default()
        }
    }
}

/// Writes as the sink does: a file beside the other, renamed over it.
fn replace(file: &Path) -> std::io::Result<()> {
    let beside = file.with_extension("new");
    fs::write(&beside, "new")?;
    fs::rename(&beside, file)
}

fn files() {
    let ground = Ground::new();
    for name in ["read/file", "outside/file"] {
        assert!(fs::read(ground.at(name)).is_ok(), "the control of {name}");
    }
    assert!(replace(&ground.at("outside/file")).is_ok(), "the control");
    let confined = confine(&ground.rules()).unwrap();
    assert_eq!(confined.rules.read.len(), 1, "what is not there is left out");

    assert!(fs::read(ground.at("read/file")).is_ok());
    assert!(fs::read(ground.at("outside/file")).is_err());
    assert!(fs::read_dir(ground.at("outside")).is_err());
    assert!(replace(&ground.at("write/file")).is_ok());
    assert!(fs::create_dir(ground.at("write/sub")).is_ok());
    assert!(replace(&ground.at("write/sub/file")).is_ok());
    assert!(replace(&ground.at("read/file")).is_err());
    assert!(replace(&ground.at("outside/file")).is_err());
    assert!(fs::remove_file(ground.at("outside/file")).is_err());
    assert!(fs::create_dir(ground.at("beside")).is_err());
    // Neither a second name nor a link opens what is closed.
    assert!(fs::hard_link(ground.at("outside/file"), ground.at("write/name")).is_err());
    std::os::unix::fs::symlink(ground.at("outside/file"), ground.at("write/link")).unwrap();
    assert!(fs::read(ground.at("write/link")).is_err());
    let elsewhere = std::thread::scope(|scope| {
        scope
            .spawn(|| fs::read(ground.at("outside/file")).is_ok())
            .join()
            .unwrap()
    });
    assert!(!elsewhere, "a thread made afterwards is bound, too");

    assert!(denies_reading(&ground.at("outside/file")) && denies_writing(&ground.at("outside")));
    assert!(!denies_reading(&ground.at("nothing here")), "another reason");
    let more = Rules {
        read: [ground.at("read/deep"), ground.at("write"), ground.at("outside")].into(),
        write: [ground.at("write/sub"), ground.at("read")].into(),
        ..Rules::default()
    };
    let lacks = confined.lacks(&more);
    assert_eq!(lacks.len(), 2, "{lacks:?}");
    assert!(
        lacks[0].ends_with("outside") && lacks[1].ends_with("read"),
        "{lacks:?}"
    );
}

fn the_rest() {
    let parent = rustix::process::getppid().unwrap();
    let signal = || rustix::process::test_kill_process(parent);
    let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let run = || Command::new("/bin/true").status();
    assert!(
        signal().is_ok() && listen().is_ok() && run().is_ok(),
        "the control"
    );
    let version = confine(&Rules::default()).unwrap().version;
    assert!(run().is_err());
    assert_eq!(listen().is_err(), version.limits_listening());
    assert_eq!(signal().is_err(), version.limits_signals());
}

fn exceptions() {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let rules = Rules {
        listen: [port].into(),
        signals: Signals::Anybody,
        ..Rules::default()
    };
    let confined = confine(&rules).unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    assert!(
        std::net::TcpStream::connect(listener.local_addr().unwrap()).is_ok(),
        "connections go out"
    );
    assert!(rustix::process::test_kill_process(rustix::process::getppid().unwrap()).is_ok());
    let more = Rules {
        listen: [port, 1].into(),
        ..Rules::default()
    };
    let expected = if confined.version.limits_listening() { 1 } else { 0 };
    assert_eq!(confined.lacks(&more).len(), expected);
}

fn threads() {
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || stopped.recv());
        let refused = confine(&Rules::default()).unwrap_err();
        assert!(matches!(refused, Refused::Threads(2)), "{refused}");
        assert!(confined().is_none() && fs::read("/proc/version").is_ok());
        drop(stop);
    });
}
