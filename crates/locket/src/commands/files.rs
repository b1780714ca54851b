//! Files that belong to people: read as text, and written through the one writer with the mode and owner that they have.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use data_encoding::BASE64;
use locket_core::SecretBytes;
use locket_core::plan::{Access, Owner};
use locket_engine::sink::Sink;
use locket_engine::sources::Target;
use zeroize::Zeroizing;

use crate::report::Failure;

/// Bytes of a new secret, before they are text.
const RANDOM_BYTES: usize = 32;

/// A new value: 32 random bytes in base64, without a line end.
///
/// # Errors
/// The system has no random bytes.
pub(super) fn random_value() -> Result<SecretBytes, Failure> {
    let mut bytes = Zeroizing::new([0_u8; RANDOM_BYTES]);
    let mut filled = 0;
    while filled < RANDOM_BYTES {
        let more = rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty());
        filled +=
            more.map_err(|error| Failure::work(format!("the system gives no random bytes: {error}")))?;
    }
    Ok(SecretBytes::new(BASE64.encode(bytes.as_slice()).into_bytes()))
}

/// The text of the file at `path`. Anything but a regular file is refused: a pipe would keep us waiting for a writer.
///
/// # Errors
/// It cannot be read, or is no text.
pub(super) fn text_of(path: &Path) -> std::io::Result<String> {
    let no_wait = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let mut file = OpenOptions::new().read(true).custom_flags(no_wait).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::other("it is no regular file"));
    }
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(text)
}

/// The text at `path`; `None` when nothing is there.
///
/// # Errors
/// It cannot be read.
pub(super) fn read_text(path: &Path) -> Result<Option<String>, Failure> {
    match text_of(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(path, &error)),
    }
}

/// Puts `text` at `path`, as [`rewrite`] does.
///
/// # Errors
/// As for [`rewrite`].
pub(super) fn write_text(path: &Path, text: &str) -> Result<(), Failure> {
    rewrite(path, &SecretBytes::copy_from(text.as_bytes()))
}

/// Gives the file at `path` another content. It keeps its mode and owner, and a link stays one: what it leads to gets
/// the content. A file that was not there is readable by everybody.
///
/// # Errors
/// It cannot be written; what was there is there still.
pub(super) fn rewrite(path: &Path, bytes: &SecretBytes) -> Result<(), Failure> {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let present = std::fs::metadata(&path).ok();
    let access = Access {
        file_mode: present.as_ref().map_or(0o644, |there| there.mode() & 0o7777),
        dir_mode: 0o755,
        owner: present.map(|there| Owner {
            uid: there.uid(),
            gid: Some(there.gid()),
        }),
    };
    write(&path, bytes, &access)
}

/// Puts `bytes` at `path` in one step; a link there is replaced.
///
/// # Errors
/// They cannot be written; what was there is there still.
pub(super) fn write(path: &Path, bytes: &SecretBytes, access: &Access) -> Result<(), Failure> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Failure::usage(format!("{} is no file", path.display())));
    };
    let target = Target {
        root: parent.into(),
        relative: Path::new(name).into(),
    };
    let mut sink = Sink::new();
    let written = sink.apply(&target, bytes, access);
    let late = sink.finish().into_iter().next();
    match (written, late) {
        (Ok(_), None) => Ok(()),
        (Err(error), _) | (_, Some(error)) => Err(Failure::work(error.to_string()).help(error.hint())),
    }
}

pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::work(format!("{} cannot be read: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use super::*;

    #[test]
    fn a_new_value_is_thirty_two_bytes_in_base64_without_a_line_end() {
        let (one, other) = (random_value().unwrap(), random_value().unwrap());
        assert_eq!(one.len(), 44);
        assert_ne!(one, other);
        #[expect(clippy::disallowed_methods, reason = "its form is looked at")]
        let decoded = BASE64.decode(one.expose()).unwrap();
        assert_eq!(decoded.len(), 32);
    }

    #[test]
    fn a_file_keeps_its_mode_and_a_link_stays_one() {
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("file"), directory.path().join("link"));
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        symlink("file", &link).unwrap();
        write_text(&link, "new").unwrap();
        assert_eq!(fs::read_link(&link).unwrap(), Path::new("file"));
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o640);
    }

    #[test]
    fn root_takes_no_file_away_from_its_owner() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "old").unwrap();
        if chown(&file, Some(1234), Some(4321)).is_err() {
            // Only root gives files away, and only then one could be taken.
            return;
        }
        write_text(&file, "new").unwrap();
        let there = fs::metadata(&file).unwrap();
        assert_eq!((there.uid(), there.gid()), (1234, 4321));
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
    }
}
