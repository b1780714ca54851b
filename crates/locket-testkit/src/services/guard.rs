//! Servers that end with their owner, however that one ended.

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command};

/// Runs a command until that ends or standard input does, so that no server outlives a test process.
const GUARD: &str = r#"
    exec 3<&0
    "$@" </dev/null 3<&- & child=$!
    { cat <&3 >/dev/null; kill -KILL $child; } 2>/dev/null &
    wait $child
"#;

/// A shell that runs what is added as arguments, and kills it when its standard input, to be piped, is closed.
pub(super) fn guarded(name: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", GUARD, name]);
    command
}

/// Ends what [`guarded`] started.
pub(super) fn end(guard: &mut Child) {
    drop(guard.stdin.take());
    // The guard ends with its child; there is nothing to be done about one that is gone already.
    let _ = guard.wait();
}

/// A port that nobody listens on.
pub(super) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("its address").port()
}
