//! Loads WebAssembly that was compiled ahead of time: the one unsafe step of hosting it. It knows nothing of what the
//! module does, and gives a module nothing.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use wasmtime::{Engine, Module};

pub use config::{MEMORY, TARGET, config, engine};
pub use wasmtime;

mod config;

/// Why a module is not loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be opened.
    #[error("{} cannot be read: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Somebody else than this user and root could put code of their own into the file.
    #[error("{} can be changed by others than this user and root", path.display())]
    Untrusted {
        /// The file.
        path: PathBuf,
    },
    /// The file holds no module, or one for another release or machine.
    #[error("{} is no module for this program", path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
    },
}

/// Loads the module in the file at `path`, which is machine code that runs in this process.
///
/// # Errors
/// The file cannot be read, could be changed by others, or does not fit.
pub fn load(engine: &Engine, path: &Path) -> Result<Module, LoadError> {
    let unreadable = |error| LoadError::Unreadable {
        path: path.to_owned(),
        error,
    };
    // Not waiting: a pipe is opened at once, and is no file.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = rustix::fs::open(path, flags, Mode::empty());
    let file = file.map_err(|error| unreadable(error.into()))?;
    let file = File::from(file);
    let metadata = file.metadata().map_err(unreadable)?;
    let ours = [0, rustix::process::geteuid().as_raw()];
    let is_trusted = metadata.is_file() && ours.contains(&metadata.uid()) && metadata.mode() & 0o022 == 0;
    if !is_trusted {
        return Err(LoadError::Untrusted {
            path: path.to_owned(),
        });
    }
    deserialize(engine, file).map_err(|_| LoadError::Unfit {
        path: path.to_owned(),
    })
}

#[expect(
    unsafe_code,
    reason = "machine code from a file is trusted as the program itself is"
)]
fn deserialize(engine: &Engine, file: File) -> wasmtime::Result<Module> {
    // SAFETY: the file is code as much as this program's own file is. Only this user and root can write to it, which
    // the descriptor that is used here was asked about, and both can replace the program as well. Whoever installs it
    // makes it with the compiler of this release; another release's is refused by its header.
    unsafe { Module::deserialize_open_file(engine, file) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_that_others_can_write_to_is_not_run() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("module");
        std::fs::write(&path, "no module").unwrap();
        let mode = |mode| std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        let engine = engine().unwrap();
        let error = || load(&engine, &path).err().unwrap();
        for open in [0o664, 0o646] {
            mode(open);
            assert!(matches!(error(), LoadError::Untrusted { .. }), "{open:o}");
        }
        mode(0o644);
        assert!(
            matches!(error(), LoadError::Unfit { .. }),
            "it was looked at, and is no module"
        );
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(error(), LoadError::Unreadable { .. }));
    }

    #[test]
    fn a_pipe_is_no_module_and_nobody_waits_for_its_writer() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, Mode::RUSR).unwrap();
        let refused = load(&engine().unwrap(), &path);
        assert!(matches!(refused, Err(LoadError::Untrusted { .. })));
    }

    #[test]
    fn a_directory_is_no_module() {
        let directory = tempfile::tempdir().unwrap();
        let engine = engine().unwrap();
        assert!(matches!(
            load(&engine, directory.path()),
            Err(LoadError::Untrusted { .. })
        ));
    }
}
