//! The signals that a supervisor minds.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::error::RunError;
use crate::tasks;

/// Those that are passed on to the program, by number, beside the real-time signals.
const PASSED_ON: [i32; 11] = [
    libc_signal::HUP,
    libc_signal::INT,
    libc_signal::QUIT,
    libc_signal::TERM,
    libc_signal::USR1,
    libc_signal::USR2,
    libc_signal::ALRM,
    libc_signal::VTALRM,
    libc_signal::PROF,
    libc_signal::IO,
    libc_signal::PWR,
];

mod libc_signal {
    pub(super) const HUP: i32 = 1;
    pub(super) const INT: i32 = 2;
    pub(super) const QUIT: i32 = 3;
    pub(super) const USR1: i32 = 10;
    pub(super) const USR2: i32 = 12;
    pub(super) const ALRM: i32 = 14;
    pub(super) const TERM: i32 = 15;
    pub(super) const VTALRM: i32 = 26;
    pub(super) const PROF: i32 = 27;
    pub(super) const IO: i32 = 29;
    pub(super) const PWR: i32 = 30;
}

/// Signals as they come in.
#[derive(Debug)]
pub struct Signals {
    passed_on: mpsc::UnboundedReceiver<i32>,
    child: Signal,
    resized: Signal,
}

impl Signals {
    /// Listens from now on. What this process was started to ignore stays ignored.
    ///
    /// # Errors
    /// The system has no room for it.
    pub fn listen() -> Result<Self, RunError> {
        let failed = |error: std::io::Error| RunError::own("signals cannot be received", &error);
        let ignored = locket_sys::child::ignored_signals();
        let (sender, passed_on) = mpsc::unbounded_channel();
        for number in PASSED_ON
            .into_iter()
            .chain(locket_sys::child::real_time_signals())
        {
            if ignored & (1 << (number - 1)) != 0 {
                continue;
            }
            let mut one = signal(SignalKind::from_raw(number)).map_err(failed)?;
            let sender = sender.clone();
            tasks::beside(async move { while one.recv().await.is_some() && sender.send(number).is_ok() {} });
        }
        Ok(Self {
            passed_on,
            child: signal(SignalKind::child()).map_err(failed)?,
            resized: signal(SignalKind::window_change()).map_err(failed)?,
        })
    }

    /// The next signal that is meant for the program.
    pub async fn next(&mut self) -> i32 {
        match self.passed_on.recv().await {
            Some(number) => number,
            None => std::future::pending().await,
        }
    }

    /// What happens next: a signal for the program, a child that changed, a window that did.
    pub(super) async fn any(&mut self) -> Received {
        tokio::select! {
            Some(number) = self.passed_on.recv() => Received::PassedOn(number),
            _ = self.child.recv() => Received::Child,
            _ = self.resized.recv() => Received::Resized,
        }
    }
}

/// What came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// A signal for the program.
    PassedOn(i32),
    /// A child ended, stopped or goes on.
    Child,
    /// The terminal's window has another size.
    Resized,
}
