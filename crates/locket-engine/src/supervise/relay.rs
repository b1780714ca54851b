//! What a program puts out, on its way past the mask: through a pipe where ours is one, through a pseudo-terminal where
//! ours is a terminal.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use locket_sys::child::open_terminal;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::termios::isatty;
use tokio::task::JoinHandle;

use super::error::RunError;
use super::terminal::{Raw, copy_size, streams};
use crate::mask::{Hidden, Masker};
use crate::tasks;

/// So long a possible beginning of a secret is held on a terminal, where somebody waits for a prompt.
const TERMINAL_HOLD: Duration = Duration::from_millis(50);

/// So long output may still come after the program ended, when something else holds its other end.
const LAST_WORDS: Duration = Duration::from_secs(2);

const BUFFER: usize = 64 << 10;

/// The relays of one program.
#[derive(Debug)]
pub(super) struct Relay {
    outputs: Vec<JoinHandle<()>>,
    /// Ours and the program's end of the pseudo-terminal, if there is one.
    terminal: Option<(OwnedFd, Option<OwnedFd>)>,
    /// The terminal as it was.
    raw: Option<Raw>,
    /// Wakes the relay of keys when it is closed.
    keys: Option<OwnedFd>,
}

impl Relay {
    /// Sets the standard streams of `command`, and relays what will come from it.
    ///
    /// # Errors
    /// There are no pipes or terminals.
    pub(super) fn set(command: &mut Command, hidden: &Arc<Hidden>) -> Result<Self, RunError> {
        let failed =
            |error: &dyn std::fmt::Display| RunError::own("the program's output cannot be relayed", error);
        let masks = hidden.masks().map_err(RunError::Own)?;
        let mut relay = Self {
            outputs: Vec::new(),
            terminal: None,
            raw: None,
            keys: None,
        };
        let [stdin, stdout, stderr] = streams();
        if isatty(stdout) || isatty(stderr) {
            let (ours, theirs) = open_terminal().map_err(|error| failed(&error))?;
            let shown = if isatty(stdout) { stdout } else { stderr };
            copy_size(shown, ours.as_fd());
            if let Ok(settings) = rustix::termios::tcgetattr(shown) {
                let _ = rustix::termios::tcsetattr(&theirs, rustix::termios::OptionalActions::Now, &settings);
            }
            let duplicate = |fd: &OwnedFd| fd.try_clone().map_err(|error| failed(&error));
            if isatty(stdin) {
                command.stdin(duplicate(&theirs)?);
                relay.raw = Raw::set(stdin).ok();
                let (wake, sleeper) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
                    .map_err(|error| failed(&error))?;
                relay.keys = Some(sleeper);
                relay.keys(wake, duplicate(&ours)?);
            }
            if isatty(stdout) {
                command.stdout(duplicate(&theirs)?);
            }
            if isatty(stderr) {
                command.stderr(duplicate(&theirs)?);
            }
            let (from, masker) = (duplicate(&ours)?, Masker::new(masks.clone()));
            relay.output(from, shown, masker, hidden.clone(), Some(TERMINAL_HOLD));
            relay.terminal = Some((ours, Some(theirs)));
        }
        for (stream, set) in [
            (
                stdout,
                Command::stdout::<Stdio> as fn(&mut Command, Stdio) -> &mut Command,
            ),
            (stderr, Command::stderr::<Stdio>),
        ] {
            if isatty(stream) {
                continue;
            }
            let (from, to) =
                rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(|error| failed(&error))?;
            // A larger pipe wakes this process less often; it is no matter if the system has none.
            let _ = rustix::pipe::fcntl_setpipe_size(&to, BUFFER * 4);
            set(command, to.into());
            relay.output(from, stream, Masker::new(masks.clone()), hidden.clone(), None);
        }
        Ok(relay)
    }

    /// The pseudo-terminal that is to control the program's session.
    pub(super) fn session(&self) -> Option<BorrowedFd<'_>> {
        let (_, theirs) = self.terminal.as_ref()?;
        theirs.as_ref().map(AsFd::as_fd)
    }

    /// Whether the program has a terminal that is ours.
    pub(super) fn has_terminal(&self) -> bool {
        self.terminal.is_some()
    }

    /// The program has its ends; ours are closed, so that the last of them is seen to go.
    pub(super) fn started(&mut self) {
        if let Some((_, theirs)) = &mut self.terminal {
            theirs.take();
        }
    }

    /// The window has another size.
    pub(super) fn resized(&self) {
        if let Some((ours, _)) = &self.terminal {
            let streams = streams();
            if let Some(stream) = streams.iter().skip(1).find(|stream| isatty(stream)) {
                copy_size(*stream, ours.as_fd());
            }
        }
    }

    /// Waits until everything that the program put out has arrived.
    pub(super) async fn finish(self) {
        let Self {
            outputs,
            terminal,
            raw,
            keys,
        } = self;
        let all = futures_util::future::join_all(outputs);
        if tokio::time::timeout(LAST_WORDS, all).await.is_err() {
            tracing::debug!("something the program left behind still holds its output");
        }
        drop((keys, terminal, raw));
    }

    fn output(
        &mut self,
        from: OwnedFd,
        to: BorrowedFd<'static>,
        masker: Masker,
        hidden: Arc<Hidden>,
        hold: Option<Duration>,
    ) {
        self.outputs.push(tasks::blocking(move || {
            if let Err(error) = relay(&from, to, masker, &hidden, hold) {
                tracing::debug!("the relay ended: {error}");
            }
        }));
    }

    /// Passes keys on to the program until `wake` says that it is over.
    fn keys(&self, wake: OwnedFd, to: OwnedFd) {
        let _detached = tasks::blocking(move || {
            let [stdin, ..] = streams();
            let mut buffer = [0; 4096];
            loop {
                let mut ready = [
                    PollFd::new(&stdin, PollFlags::IN),
                    PollFd::new(&wake, PollFlags::IN),
                ];
                match rustix::event::poll(&mut ready, None) {
                    Err(rustix::io::Errno::INTR) => continue,
                    Err(_) => return,
                    Ok(_) if !ready[1].revents().is_empty() => return,
                    Ok(_) => {}
                }
                let Ok(count) = rustix::io::read(stdin, &mut buffer) else {
                    return;
                };
                if count == 0 || write_all(to.as_fd(), &buffer[..count]).is_err() {
                    return;
                }
            }
        });
    }
}

fn relay(
    from: &OwnedFd,
    to: BorrowedFd<'_>,
    mut masker: Masker,
    hidden: &Hidden,
    hold: Option<Duration>,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    let mut out = Vec::with_capacity(BUFFER + 64);
    loop {
        if let Some(hold) = hold.filter(|_| masker.is_holding())
            && !is_readable(from, hold)?
        {
            masker.flush(&mut out);
            write_all(to, &out)?;
            out.clear();
        }
        let count = match rustix::io::read(from, &mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(rustix::io::Errno::INTR) => continue,
            // The program's end of a pseudo-terminal is closed.
            Err(rustix::io::Errno::IO) => break,
            Err(error) => return Err(error.into()),
        };
        // What cannot be hidden is not put out.
        let masks = hidden.masks().map_err(io::Error::other)?;
        masker.turn_to(&masks, &mut out);
        masker.feed(&buffer[..count], &mut out);
        // Whoever read our output may be gone; the program is told by its own pipe then.
        write_all(to, &out)?;
        out.clear();
    }
    masker.flush(&mut out);
    write_all(to, &out)
}

fn is_readable(file: &OwnedFd, within: Duration) -> io::Result<bool> {
    let timeout = Timespec {
        tv_sec: within.as_secs().cast_signed(),
        tv_nsec: within.subsec_nanos().into(),
    };
    let mut ready = [PollFd::new(file, PollFlags::IN)];
    Ok(rustix::event::poll(&mut ready, Some(&timeout))? > 0)
}

fn write_all(to: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(to, bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(rustix::io::Errno::INTR) => {}
            // Somebody else made the stream non-blocking.
            Err(rustix::io::Errno::AGAIN) => {
                let mut ready = [PollFd::new(&to, PollFlags::OUT)];
                rustix::event::poll(&mut ready, None)?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
