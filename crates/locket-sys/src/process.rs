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

/// Marks every open file but the three standard ones close-on-exec, those too that the process inherited, so that no
/// program it starts gets them.
///
/// # Errors
/// The kernel refuses, and does not tell which files are open.
pub fn close_files_on_exec() -> std::io::Result<()> {
    const FIRST: libc::c_uint = 3;
    const CLOSE_RANGE_CLOEXEC: libc::c_uint = 1 << 2;
    // SAFETY: the call takes numbers only, and a flag of a file is changed, no file is closed.
    #[expect(unsafe_code, reason = "rustix has no such call")]
    let answer = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            FIRST,
            libc::c_uint::MAX,
            CLOSE_RANGE_CLOEXEC,
        )
    };
    if answer == 0 { Ok(()) } else { mark_each(FIRST) }
}

/// The same on kernels before 5.11.
fn mark_each(first: libc::c_uint) -> std::io::Result<()> {
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let number = entry?.file_name().to_str().and_then(|name| name.parse().ok());
        let Some(fd) = number.filter(|fd: &libc::c_int| fd.unsigned_abs() >= first) else {
            continue;
        };
        // SAFETY: fcntl(2) with these arguments reads no memory; a number that is no open file any more is an error.
        #[expect(unsafe_code, reason = "the file belongs to nobody in this process")]
        let _ = unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
    Ok(())
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
