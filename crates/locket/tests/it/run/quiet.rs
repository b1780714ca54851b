//! What an agent does not do.

use std::collections::HashSet;
use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixListener;
use std::time::Duration;

use locket_testkit::Server;

use crate::support::{Agent, Scene};

#[test]
fn park_follows_rotations_and_no_edits() {
    let scene = Scene::new();
    scene.write("secrets/a", "first");
    scene.write("in/t", "x={{ file://secrets/a }}");
    let agent = scene.watch(&["--mode", "park", "--refresh", "300ms"]);
    scene.becomes("out/t", "x=first");
    scene.write("in/t", "edited={{ file://secrets/a }}");
    scene.write("secrets/a", "second");
    scene.becomes("out/t", "x=second");
    scene.state_becomes("ready");
    let (status, log) = agent.stop();
    assert!(status.success(), "{log}");
}

#[test]
fn a_stop_in_the_middle_of_a_round_ends_the_agent_and_loses_nothing() {
    let scene = Scene::new();
    let server = Server::blackhole();
    scene.write("secrets/a", "v");
    scene.write("in/good", "{{ file://secrets/a }}");
    scene.write("in/hanging", "{{ bao://kv/a/b }}");
    let url = server.url();
    let mut command = scene.locket(["run", "--map", "in:out", "--bao.url", &url]);
    let agent = Agent::start(command.env("BAO_TOKEN", "t"));
    scene.becomes("out/good", "v");
    server.wait_for_connections(1, Duration::from_secs(30));
    let (status, log) = agent.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    assert_eq!(scene.read("out/good").as_deref(), Some("v"));
    assert_eq!(scene.read("out/hanging"), None);
}

#[test]
fn a_running_agent_listens_nowhere() {
    let scene = Scene::new();
    scene.write("secrets/a", "v");
    scene.write("in/t", "{{ file://secrets/a }}");
    let agent = scene.watch(&[]);
    scene.state_becomes("ready");
    assert_eq!(listening(agent.id()), Vec::<String>::new());

    let _sockets = (
        TcpListener::bind("127.0.0.1:0").unwrap(),
        UdpSocket::bind("127.0.0.1:0").unwrap(),
        UnixListener::bind(scene.path("socket")).unwrap(),
    );
    let ours = listening(std::process::id());
    for table in ["tcp", "udp", "unix"] {
        assert!(ours.contains(&table.to_owned()), "{table} is not in {ours:?}");
    }
}

/// The tables of the kernel in which a process has a socket that others can reach (proc(5)).
fn listening(process: u32) -> Vec<String> {
    let sockets: HashSet<String> = fs::read_dir(format!("/proc/{process}/fd"))
        .unwrap()
        .filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
        .filter_map(|target| {
            let target = target.to_string_lossy().into_owned();
            Some(target.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())
        })
        .collect();
    let mut tables = Vec::new();
    for table in ["tcp", "tcp6", "udp", "udp6", "unix"] {
        let text = fs::read_to_string(format!("/proc/{process}/net/{table}")).unwrap_or_default();
        let is_open = text.lines().skip(1).any(|line| {
            let fields: Vec<_> = line.split_whitespace().collect();
            let (inode, reachable) = match table {
                // Flags with SO_ACCEPTCON.
                "unix" => (fields.get(6), fields.get(3) == Some(&"00010000")),
                // The state LISTEN.
                "tcp" | "tcp6" => (fields.get(9), fields.get(3) == Some(&"0A")),
                _ => (fields.get(9), true),
            };
            reachable && inode.is_some_and(|inode| sockets.contains(*inode))
        });
        if is_open {
            tables.push(table.to_owned());
        }
    }
    tables
}
