//! The processes of a program: its first one, its group, and whatever was left to this process.

use std::collections::BTreeSet;

use rustix::process::{Pid, WaitId, WaitIdOptions};

/// A program's first process and its group, which has the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Group(Pid);

/// What became of the first process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It ended with this status, as shells count: 128 and the signal that ended it.
    Ended(u8),
    /// It stopped, as for job control.
    Stopped,
    /// It goes on.
    Continued,
}

impl Group {
    /// The group of a child.
    pub(super) fn of(child: &std::process::Child) -> Option<Self> {
        let number = i32::try_from(child.id()).ok()?;
        Pid::from_raw(number).map(Self)
    }

    pub(super) fn pid(self) -> Pid {
        self.0
    }

    /// What became of the first process since somebody asked last.
    pub(super) fn change(self) -> Option<Change> {
        let options =
            WaitIdOptions::EXITED | WaitIdOptions::STOPPED | WaitIdOptions::CONTINUED | WaitIdOptions::NOHANG;
        match rustix::process::waitid(WaitId::Pid(self.0), options) {
            Ok(Some(status)) => {
                if let Some(code) = status.exit_status() {
                    // The kernel keeps eight bits of it.
                    Some(Change::Ended((code & 0xFF) as u8))
                } else if let Some(signal) = status.terminating_signal() {
                    Some(Change::Ended(status_of_signal(signal)))
                } else if status.stopped() {
                    Some(Change::Stopped)
                } else {
                    Some(Change::Continued)
                }
            }
            Ok(None) | Err(_) => None,
        }
    }

    /// Sends a signal to every process of the group; one that is gone needs none.
    pub(super) fn signal(self, number: i32) {
        if let Err(error) = locket_sys::child::signal_group(self.0, number)
            && error != rustix::io::Errno::SRCH
        {
            tracing::warn!("signal {number} could not be sent to the program: {error}");
        }
    }

    /// Whether any process of the group is left, ended ones aside.
    pub(super) fn is_left(self) -> bool {
        // What ended and was left to this process is a member until it is waited for.
        let of_group = WaitId::Pgid(Some(self.0));
        while let Ok(Some(_)) =
            rustix::process::waitid(of_group.clone(), WaitIdOptions::EXITED | WaitIdOptions::NOHANG)
        {}
        rustix::process::test_kill_process_group(self.0).is_ok()
    }
}

/// The status that tells of a death by a signal.
pub(super) fn status_of_signal(number: i32) -> u8 {
    u8::try_from(128 + number).unwrap_or(u8::MAX)
}

/// Waits for processes that were left to this one, as to the first of a container. Programs that this process started
/// are waited for by whoever did so: those of providers are claimed, which may take their time; the others are waited
/// for at once, so that whatever is still there at a second look is nobody's.
#[derive(Debug, Default)]
pub(super) struct Orphans(BTreeSet<i32>);

impl Orphans {
    /// Looks once more. Whether another look is needed.
    pub(super) fn reap(&mut self, but: Option<Group>) -> bool {
        let Ok(zombies) = locket_sys::child::zombies() else {
            return false;
        };
        let mut seen = BTreeSet::new();
        for pid in zombies {
            if but.is_some_and(|group| group.0 == pid) {
                continue;
            }
            if self.0.contains(&pid.as_raw_pid()) {
                let _ =
                    rustix::process::waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
            } else {
                seen.insert(pid.as_raw_pid());
            }
        }
        self.0 = seen;
        !self.0.is_empty()
    }
}
