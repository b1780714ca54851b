//! Starting programs as a supervisor does: in a group of their own, at the terminal or at a new one, with files that
//! only they get.

use std::collections::BTreeSet;
use std::io;
use std::ops::RangeInclusive;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::io::FdFlags;
use rustix::process::{Pid, Signal};
use rustix::pty::OpenptFlags;

/// Which terminal a program gets.
#[derive(Debug)]
pub enum Terminal<'a> {
    /// None of ours: its group stays in the background, if there is a terminal at all.
    Leave,
    /// This one, of which its group becomes the foreground group.
    Foreground(BorrowedFd<'a>),
    /// This one, in a session of its own.
    Session(BorrowedFd<'a>),
}

/// Starts `command` in a process group of its own. It is told to end (`SIGTERM`) when the calling thread is gone. It
/// inherits `files` beside its standard streams, each under its present number.
///
/// # Errors
/// The program cannot be started, or the system refuses one of the rest.
pub fn spawn(command: &mut Command, terminal: &Terminal<'_>, files: &[OwnedFd]) -> io::Result<Child> {
    let parent = std::process::id();
    let numbers: Vec<RawFd> = files.iter().map(AsRawFd::as_raw_fd).collect();
    let (foreground, session) = match terminal {
        Terminal::Leave => (None, None),
        Terminal::Foreground(terminal) => (Some(terminal.as_raw_fd()), None),
        Terminal::Session(terminal) => (None, Some(terminal.as_raw_fd())),
    };
    let prepare = move || {
        if let Some(terminal) = session {
            rustix::process::setsid()?;
            // SAFETY: the caller holds the file open until the program is started; this is a copy of its table.
            #[expect(unsafe_code, reason = "only numbers may be used between fork and exec")]
            let terminal = unsafe { BorrowedFd::borrow_raw(terminal) };
            rustix::process::ioctl_tiocsctty(terminal)?;
        } else {
            rustix::process::setpgid(None, None)?;
        }
        if let Some(terminal) = foreground {
            // SAFETY: as above.
            #[expect(unsafe_code, reason = "only numbers may be used between fork and exec")]
            let terminal = unsafe { BorrowedFd::borrow_raw(terminal) };
            become_foreground(terminal, rustix::process::getpid())?;
        }
        rustix::process::set_parent_process_death_signal(Some(Signal::TERM))?;
        // Whoever was to be told may have gone before that.
        if rustix::process::getppid().is_none_or(|now| now.as_raw_nonzero().get().unsigned_abs() != parent) {
            return Err(io::ErrorKind::NotFound.into());
        }
        for number in &numbers {
            // SAFETY: as above.
            #[expect(unsafe_code, reason = "only numbers may be used between fork and exec")]
            let file = unsafe { BorrowedFd::borrow_raw(*number) };
            rustix::io::fcntl_setfd(file, FdFlags::empty())?;
        }
        Ok(())
    };
    // SAFETY: what runs between fork and exec allocates nothing, locks nothing and makes plain system calls.
    #[expect(unsafe_code, reason = "the program's own process sets its group and terminal")]
    let command = unsafe { command.pre_exec(prepare) };
    command.spawn()
}

/// Replaces this process by `command`, which inherits `files` under their present numbers.
pub fn replace(command: &mut Command, files: &[OwnedFd]) -> io::Error {
    for file in files {
        if let Err(error) = rustix::io::fcntl_setfd(file, FdFlags::empty()) {
            return error.into();
        }
    }
    command.exec()
}

/// Makes `group` the foreground group of `terminal`, also out of the background.
///
/// # Errors
/// The terminal is none of this session's.
pub fn become_foreground(terminal: BorrowedFd<'_>, group: Pid) -> rustix::io::Result<()> {
    let set = |action| {
        // SAFETY: a disposition without a handler is set; nobody else of this process changes that of this signal.
        #[expect(unsafe_code, reason = "rustix sets no dispositions")]
        let _before = unsafe { libc::signal(libc::SIGTTOU, action) };
    };
    // Whoever is in the background would be stopped by what follows.
    set(libc::SIG_IGN);
    let result = rustix::termios::tcsetpgrp(terminal, group);
    set(libc::SIG_DFL);
    result
}

/// The process group of this process; `None` where its leader is in another namespace, as for the first process of one.
pub fn own_group() -> Option<Pid> {
    // SAFETY: the call takes nothing and cannot fail.
    #[expect(unsafe_code, reason = "rustix takes zero for impossible")]
    let group = unsafe { libc::getpgrp() };
    Pid::from_raw(group)
}

/// The real-time signals of programs; the C library keeps some before these to itself.
pub fn real_time_signals() -> RangeInclusive<i32> {
    libc::SIGRTMIN()..=libc::SIGRTMAX()
}

/// Sends the signal with this number to every process of `group`.
///
/// # Errors
/// There is no such signal, or nobody whom it may be sent to.
pub fn signal_group(group: Pid, number: i32) -> rustix::io::Result<()> {
    let signal = if real_time_signals().contains(&number) {
        // SAFETY: the C library itself says that it leaves this one to programs.
        #[expect(unsafe_code, reason = "rustix does not know which real-time signals are kept")]
        let signal = unsafe { Signal::from_raw_unchecked(number) };
        signal
    } else {
        Signal::from_named_raw(number).ok_or(rustix::io::Errno::INVAL)?
    };
    rustix::process::kill_process_group(group, signal)
}

/// A new pseudo-terminal: its two ends, the program's second.
///
/// # Errors
/// The system has none.
pub fn open_terminal() -> rustix::io::Result<(OwnedFd, OwnedFd)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let ours = rustix::pty::openpt(flags)?;
    rustix::pty::grantpt(&ours)?;
    rustix::pty::unlockpt(&ours)?;
    let theirs = rustix::pty::ioctl_tiocgptpeer(ours.as_fd(), flags)?;
    Ok((ours, theirs))
}

/// The signals that this process was started with ignored, as a bit each, the first for signal 1.
pub fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}

/// A child whose end is for whoever started it to learn. As long as that is not waited for, its number is no other's, so
/// that it can be sent signals; [`zombies`] says nothing of it.
#[derive(Debug)]
pub struct Claim(Pid);

static CLAIMED: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

impl Claim {
    /// Claims a child that was just started.
    pub fn on(child: Pid) -> Self {
        claimed().insert(child.as_raw_pid());
        Self(child)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        claimed().remove(&self.0.as_raw_pid());
    }
}

fn claimed() -> MutexGuard<'static, BTreeSet<i32>> {
    CLAIMED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Children of this process that ended and were not waited for, but for those that somebody has a [`Claim`] on.
///
/// # Errors
/// `/proc` cannot be read.
pub fn zombies() -> io::Result<Vec<Pid>> {
    let own = std::process::id().to_string();
    let mut zombies = Vec::new();
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
            .and_then(Pid::from_raw)
        else {
            continue;
        };
        let Ok(stat) = std::fs::read(entry.path().join("stat")) else {
            continue;
        };
        // The name in parentheses may hold anything; what follows its end is plain.
        let stat = String::from_utf8_lossy(&stat);
        let mut fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
        let is_ours = fields.next() == Some("Z") && fields.next() == Some(own.as_str());
        if is_ours && !claimed().contains(&pid.as_raw_pid()) {
            zombies.push(pid);
        }
    }
    Ok(zombies)
}

#[cfg(test)]
mod tests {
    use rustix::process::{WaitId, WaitIdOptions, waitid};

    use super::*;

    #[test]
    fn a_child_that_ended_is_nobodys_unless_somebody_claims_it() {
        let mut child = Command::new("true").spawn().unwrap();
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).unwrap();
        let is_told = || zombies().unwrap().contains(&pid);
        assert!(is_told());
        let claim = Claim::on(pid);
        assert!(!is_told());
        drop(claim);
        assert!(is_told());
        child.wait().unwrap();
        assert!(!is_told());
    }
}
