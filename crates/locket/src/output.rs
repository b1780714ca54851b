//! Standard output: the one place that writes it. It belongs to the user's bytes, never to messages.

use std::io::{self, ErrorKind, Write};

use locket_core::SecretBytes;

use crate::report::Failure;

/// Writes `text` as it is.
///
/// # Errors
/// Standard output cannot be written. A reader that has seen enough and left is no error.
pub(crate) fn text(text: &str) -> Result<(), Failure> {
    write(&mut io::stdout().lock(), text.as_bytes())
}

/// Writes the exact bytes of a value that the user asked to see.
///
/// # Errors
/// Standard output cannot be written.
pub(crate) fn secret(value: &SecretBytes) -> Result<(), Failure> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the user asked for this value on standard output"
    )]
    let bytes = value.expose();
    // Not through the buffer of `Stdout`, which would keep a copy for the life of the process.
    write(&mut unbuffered()?, bytes)
}

fn unbuffered() -> Result<std::fs::File, Failure> {
    use std::os::fd::AsFd;
    let owned = io::stdout().as_fd().try_clone_to_owned();
    owned.map(Into::into).map_err(|error| cannot_write(&error))
}

fn write(to: &mut dyn Write, bytes: &[u8]) -> Result<(), Failure> {
    match to.write_all(bytes).and_then(|()| to.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(cannot_write(&error)),
        _ => Ok(()),
    }
}

fn cannot_write(error: &io::Error) -> Failure {
    Failure::work(format!("standard output cannot be written: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Full(ErrorKind);

    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_left_is_no_error_and_a_full_disk_is() {
        assert!(write(&mut Full(ErrorKind::BrokenPipe), b"x").is_ok());
        assert!(write(&mut Full(ErrorKind::StorageFull), b"x").is_err());
    }
}
