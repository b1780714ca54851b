//! What the process may do and what may be done to it. Set once, before the first thread and the first secret.

use rustix::io;
use rustix::process::{DumpableBehavior, Resource, Rlimit};

/// How the process is protected at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hardening {
    /// Whether others of the same user may attach to the process, read its memory, or get a core dump of it.
    pub dumpable: bool,
    /// The largest core file in bytes; `None` is no limit.
    pub core_limit: Option<u64>,
    /// Whether neither the process nor its children can gain privileges by set-user-id programs.
    pub no_new_privileges: bool,
}

/// Denies core dumps, tracing and new privileges: [`deny_dumps`] and [`deny_new_privileges`].
///
/// # Errors
/// The kernel refuses one of them; the others are in force all the same.
pub fn harden() -> io::Result<()> {
    deny_dumps().and(deny_new_privileges())
}

/// Makes the process non-dumpable and sets its core limit to zero. A program it starts is dumpable again, but
/// inherits the limit.
///
/// # Errors
/// The kernel refuses one of them; the other is in force all the same.
pub fn deny_dumps() -> io::Result<()> {
    let dumpable = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let limit = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    dumpable.and(rustix::process::setrlimit(Resource::Core, limit))
}

/// Rules out set-user-id and file capabilities for this thread, the threads it makes from now on, and their children
/// (so `sudo` in a child fails).
///
/// # Errors
/// The kernel refuses it.
pub fn deny_new_privileges() -> io::Result<()> {
    rustix::thread::set_no_new_privs(true)
}

/// What is in force for the calling thread.
///
/// # Errors
/// The kernel does not tell.
pub fn hardening() -> io::Result<Hardening> {
    Ok(Hardening {
        dumpable: rustix::process::dumpable_behavior()? != DumpableBehavior::NotDumpable,
        core_limit: rustix::process::getrlimit(Resource::Core).current,
        no_new_privileges: rustix::thread::no_new_privs()?,
    })
}
