//! The socket that the engine finds the plugin by: private, taken over from a plugin that is dead, removed at the end.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use locket_engine::state_dir;

/// A socket that is listened on. Dropped, it is removed, if it still is this one: the engine waits for one that nobody
/// listens on.
#[derive(Debug)]
pub struct Socket {
    path: PathBuf,
    identity: (u64, u64),
}

/// Shows other plugins that a state directory is in use, as long as it lives.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "it is held, not read")] File);

/// Why there is no socket or lock.
#[derive(Debug)]
pub enum SocketError {
    /// Another plugin listens there.
    Taken(PathBuf),
    /// Another plugin uses the directory.
    Locked(PathBuf),
    /// The system refuses.
    Io(PathBuf, io::Error),
}

impl Socket {
    /// Listens at `path`, which only its owner may open. A socket whose plugin is dead is replaced in one step.
    ///
    /// # Errors
    /// Another plugin lives there, something else is there, or the system refuses.
    pub fn bind(path: &Path) -> Result<(Self, UnixListener), SocketError> {
        let failed = |error| SocketError::Io(path.to_owned(), error);
        match UnixStream::connect(path) {
            Ok(_) => return Err(SocketError::Taken(path.to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                use std::os::unix::fs::FileTypeExt;
                let kind = fs::symlink_metadata(path).map_err(failed)?.file_type();
                if !kind.is_socket() {
                    return Err(failed(io::Error::other("there is something else than a socket")));
                }
            }
            Err(error) => return Err(failed(error)),
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        // The engine takes every name that ends in `.sock` for a plugin, and nobody may open a socket that is not
        // private yet: it gets its name when it is.
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{}", std::process::id()));
        let next = PathBuf::from(name);
        let _ = fs::remove_file(&next);
        let listener = UnixListener::bind(&next).map_err(failed)?;
        let placed = fs::set_permissions(&next, fs::Permissions::from_mode(0o600))
            .and_then(|()| fs::metadata(&next))
            .and_then(|metadata| fs::rename(&next, path).map(|()| (metadata.dev(), metadata.ino())));
        match placed {
            Ok(identity) => {
                let path = path.to_owned();
                Ok((Self { path, identity }, listener))
            }
            Err(error) => {
                let _ = fs::remove_file(&next);
                Err(failed(error))
            }
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let present = fs::symlink_metadata(&self.path);
        if present.is_ok_and(|present| (present.dev(), present.ino()) == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Lock {
    /// Takes the state directory, which is made if need be.
    ///
    /// # Errors
    /// Another plugin has it, or the system refuses.
    pub fn take(directory: &Path) -> Result<Self, SocketError> {
        let path = directory.join("plugin.lock");
        let failed = |error| SocketError::Io(path.clone(), error);
        state_dir::make(directory).map_err(failed)?;
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        Self::locked(file, &path, directory)
    }

    /// Takes a directory that is there, and in which every name is somebody's.
    ///
    /// # Errors
    /// Another plugin has it, or the system refuses.
    pub fn hold(directory: &Path) -> Result<Self, SocketError> {
        let failed = |error| SocketError::Io(directory.to_owned(), error);
        let file = File::open(directory).map_err(failed)?;
        Self::locked(file, directory, directory)
    }

    fn locked(file: File, path: &Path, directory: &Path) -> Result<Self, SocketError> {
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(fs::TryLockError::WouldBlock) => Err(SocketError::Locked(directory.to_owned())),
            Err(fs::TryLockError::Error(error)) => Err(SocketError::Io(path.to_owned(), error)),
        }
    }
}

impl SocketError {
    /// What to do, as a sentence.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Taken(_) => {
                "Stop the plugin that listens there, or name another `--socket`: its file name is the driver's name."
            }
            Self::Locked(_) => {
                "Stop the other plugin, or give this one a `--state-dir` and a `--runtime-dir` of its own."
            }
            Self::Io(..) => "Run the plugin as root, or name another place.",
        }
    }
}

impl fmt::Display for SocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken(path) => write!(f, "another plugin listens at {}", path.display()),
            Self::Locked(path) => write!(f, "another plugin uses the directory {}", path.display()),
            Self::Io(path, error) => write!(f, "{} cannot be used: {error}", path.display()),
        }
    }
}

impl std::error::Error for SocketError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_plugins_socket_is_taken_over_and_a_living_ones_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/locket.sock");
        fs::create_dir(directory.path().join("deep")).unwrap();
        drop(UnixListener::bind(&path).unwrap());
        let (socket, listener) = Socket::bind(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().mode();
        assert_eq!(mode & 0o7777, 0o600);
        assert!(matches!(Socket::bind(&path), Err(SocketError::Taken(_))));
        drop((socket, listener));
        assert!(!path.exists());
        let (first, _listener) = Socket::bind(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let (_second, _other) = Socket::bind(&path).unwrap();
        drop(first);
        assert!(path.exists(), "another's socket is left");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_in_the_way_is_not_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("locket.sock");
        fs::write(&path, "mine").unwrap();
        assert!(matches!(Socket::bind(&path), Err(SocketError::Io(..))));
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    }

    #[test]
    fn a_state_directory_has_one_plugin() {
        let directory = tempfile::tempdir().unwrap();
        let first = Lock::take(directory.path()).unwrap();
        assert!(matches!(
            Lock::take(directory.path()),
            Err(SocketError::Locked(_))
        ));
        drop(first);
        assert!(Lock::take(directory.path()).is_ok());
    }
}
