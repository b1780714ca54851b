//! Asking for a secret on a terminal: nothing of it is shown, and the terminal is left as it was found.

use std::io;
use std::os::fd::BorrowedFd;

use locket_core::{SecretBuilder, SecretBytes};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios};
use zeroize::Zeroizing;

use crate::report::{self, Failure};

/// The line that the user types after `question`, without its end.
///
/// Signals are keys while the question stands: a Ctrl-C is read like any other byte and ends it, so that there is no
/// moment in which the process could die and leave the terminal mute.
///
/// # Errors
/// The user gives up, types nothing, or pastes more than one line; or the terminal fails.
pub(crate) fn secret(terminal: BorrowedFd<'_>, question: &str) -> Result<SecretBytes, Failure> {
    let quiet = Quiet::start(terminal).map_err(|error| failed(&error))?;
    report::tell(question);
    let line = read_line(terminal);
    let rest = line.is_ok() && more_follows(terminal);
    drop(quiet);
    report::tell("\n");
    match line? {
        _ if rest => Err(Failure::usage("more than one line was pasted")
            .help("Give a value of several lines on standard input: `locket store set NAME < FILE`.")),
        line if line.is_empty() => Err(Failure::usage("nothing was typed")),
        line => Ok(line),
    }
}

/// A terminal that shows nothing and interprets nothing. What was typed ahead is discarded at both ends: before, it
/// was not meant as the secret; after, the shell must not run the rest of a paste.
struct Quiet<'a> {
    terminal: BorrowedFd<'a>,
    before: Termios,
}

impl<'a> Quiet<'a> {
    fn start(terminal: BorrowedFd<'a>) -> rustix::io::Result<Self> {
        let before = rustix::termios::tcgetattr(terminal)?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(
            LocalModes::ECHO
                | LocalModes::ECHONL
                | LocalModes::ICANON
                | LocalModes::ISIG
                | LocalModes::IEXTEN,
        );
        quiet.special_codes[SpecialCodeIndex::VMIN] = 1;
        quiet.special_codes[SpecialCodeIndex::VTIME] = 0;
        rustix::termios::tcsetattr(terminal, OptionalActions::Flush, &quiet)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        let _ = rustix::termios::tcsetattr(self.terminal, OptionalActions::Flush, &self.before);
    }
}

const INTERRUPT: u8 = 0x03;
const END_OF_INPUT: u8 = 0x04;
const BACKSPACE: u8 = 0x08;
const KILL_LINE: u8 = 0x15;
const QUIT: u8 = 0x1c;
const DELETE: u8 = 0x7f;

fn read_line(terminal: BorrowedFd<'_>) -> Result<SecretBytes, Failure> {
    // Longer than any line that a person types; a paste that fills it is refused below.
    let mut line = Zeroizing::new(Vec::with_capacity(64 << 10));
    let mut byte = Zeroizing::new([0]);
    while line.len() < line.capacity() {
        match rustix::io::read(terminal, byte.as_mut_slice()) {
            Ok(0) => return Err(gave_up()),
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(failed(&error)),
        }
        match byte[0] {
            b'\r' | b'\n' => return Ok(finish(&line)),
            INTERRUPT | QUIT => return Err(gave_up()),
            END_OF_INPUT if line.is_empty() => return Err(gave_up()),
            END_OF_INPUT => return Ok(finish(&line)),
            BACKSPACE | DELETE => remove_character(&mut line),
            KILL_LINE => line.clear(),
            other => line.push(other),
        }
    }
    Err(Failure::usage("the line is too long").help("Give the value on standard input instead."))
}

/// Removes the last character, which in UTF-8 may be several bytes.
fn remove_character(line: &mut Vec<u8>) {
    while let Some(byte) = line.pop() {
        if byte & 0xc0 != 0x80 {
            break;
        }
    }
}

fn finish(line: &[u8]) -> SecretBytes {
    let mut value = SecretBuilder::with_capacity(line.len());
    value.extend(line);
    value.finish()
}

/// Whether more input comes at once: nobody types the next line that fast, so it was pasted.
fn more_follows(terminal: BorrowedFd<'_>) -> bool {
    let wait = Timespec {
        tv_sec: 0,
        tv_nsec: 50_000_000,
    };
    let mut waiting = [PollFd::from_borrowed_fd(terminal, PollFlags::IN)];
    matches!(rustix::event::poll(&mut waiting, Some(&wait)), Ok(1..))
}

fn gave_up() -> Failure {
    Failure::work("the question was not answered")
}

fn failed(error: &rustix::io::Errno) -> Failure {
    Failure::work(format!(
        "the terminal cannot be asked: {}",
        io::Error::from(*error)
    ))
}
