//! The two places that audit lines go to: a file that others may rotate, and systemd's journal.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::audit::{AuditTarget, Line};

/// An open destination.
#[derive(Debug)]
pub(super) enum Destination {
    File(LogFile),
    Journal { socket: UnixDatagram, path: PathBuf },
}

/// A file that only grows.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    /// Device and inode: another one under the path means that the log was rotated.
    identity: (u64, u64),
    /// A line was cut off, so that the next one begins on a line of its own.
    is_torn: bool,
}

impl Destination {
    pub(super) fn open(target: &AuditTarget) -> io::Result<Self> {
        match target {
            AuditTarget::File(path) => LogFile::open(path).map(Self::File),
            AuditTarget::Shared(trail) => Self::open(trail.log().target()),
            AuditTarget::Journal(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(path)?;
                Ok(Self::Journal {
                    socket,
                    path: path.clone(),
                })
            }
        }
    }

    /// Writes one line.
    pub(super) fn write(&mut self, line: &Line) -> io::Result<()> {
        match self {
            Self::File(file) => file.write(&line.json),
            Self::Journal { socket, path } => {
                let entry = entry(line);
                // The journal was restarted: its socket is a new one.
                if socket.send(entry.as_bytes()).is_err() {
                    let again = UnixDatagram::unbound()?;
                    again.connect(path)?;
                    again.send(entry.as_bytes())?;
                    *socket = again;
                }
                Ok(())
            }
        }
    }
}

impl LogFile {
    fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(flags.bits().cast_signed())
            .open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        Ok(Self {
            path: path.to_owned(),
            identity: (metadata.dev(), metadata.ino()),
            file,
            is_torn: false,
        })
    }

    fn write(&mut self, json: &str) -> io::Result<()> {
        let present = std::fs::symlink_metadata(&self.path);
        if !present.is_ok_and(|present| (present.dev(), present.ino()) == self.identity) {
            *self = Self::open(&self.path)?;
        }
        // One write for a line, so that lines of several agents do not mix.
        let line = format!("{}{json}\n", if self.is_torn { "\n" } else { "" });
        let written = self.file.write_all(line.as_bytes());
        self.is_torn = written.is_err();
        written
    }
}

/// A line in the journal's protocol: fields with `=`, since no value of ours holds a line break.
fn entry(line: &Line) -> String {
    let priority = if line.is_failure { 4 } else { 6 };
    format!(
        "MESSAGE={}\nPRIORITY={priority}\nSYSLOG_IDENTIFIER=locket\nLOCKET_EVENT={}\nLOCKET_OUTCOME={}\n",
        line.json, line.event, line.outcome
    )
}
