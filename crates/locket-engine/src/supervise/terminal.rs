//! The terminal that a program is started at.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::process::{Pid, Signal};
use rustix::stdio;
use rustix::termios::{OptionalActions, Termios};

/// The terminal of this process, where its group is the foreground group.
#[derive(Debug)]
pub(super) struct OwnTerminal {
    terminal: OwnedFd,
    group: Pid,
}

/// The standard streams, which outlive everything.
pub(super) fn streams() -> [BorrowedFd<'static>; 3] {
    [stdio::stdin(), stdio::stdout(), stdio::stderr()]
}

impl OwnTerminal {
    /// The first standard stream that is a terminal whose foreground group this process is in.
    pub(super) fn find() -> Option<Self> {
        let group = locket_sys::child::own_group()?;
        let streams = streams();
        let own = streams
            .iter()
            .find(|stream| rustix::termios::tcgetpgrp(stream) == Ok(group))?;
        let terminal = own.try_clone_to_owned().ok()?;
        Some(Self { terminal, group })
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.terminal.as_fd()
    }

    /// Lets `group` have it.
    pub(super) fn give_to(&self, group: Pid) {
        if let Err(error) = locket_sys::child::become_foreground(self.as_fd(), group) {
            tracing::debug!("the terminal could not be handed over: {error}");
        }
    }

    /// Takes it back.
    pub(super) fn take_back(&self) {
        self.give_to(self.group);
    }

    /// Stops this process as its program was, until somebody lets it go on. Whether it has the terminal then.
    pub(super) fn stop_with_program(&self) -> bool {
        self.take_back();
        let _ = rustix::process::kill_process(rustix::process::getpid(), Signal::STOP);
        rustix::termios::tcgetpgrp(&self.terminal) == Ok(self.group)
    }
}

/// A terminal that passes every key on, until this is dropped.
#[derive(Debug)]
pub(super) struct Raw {
    terminal: OwnedFd,
    before: Termios,
}

impl Raw {
    pub(super) fn set(terminal: BorrowedFd<'_>) -> rustix::io::Result<Self> {
        let before = rustix::termios::tcgetattr(terminal)?;
        let mut raw = before.clone();
        raw.make_raw();
        rustix::termios::tcsetattr(terminal, OptionalActions::Drain, &raw)?;
        let terminal = rustix::io::fcntl_dupfd_cloexec(terminal, 3)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = rustix::termios::tcsetattr(&self.terminal, OptionalActions::Drain, &self.before);
    }
}

/// Gives `to` the window size of `from`.
pub(super) fn copy_size(from: BorrowedFd<'_>, to: BorrowedFd<'_>) {
    if let Ok(size) = rustix::termios::tcgetwinsize(from) {
        let _ = rustix::termios::tcsetwinsize(to, size);
    }
}
