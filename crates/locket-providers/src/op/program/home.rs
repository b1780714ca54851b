//! A directory of our own for the program's configuration, which wants one that nobody else can read.

use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use locket_core::Environment;

/// An empty directory with mode 0700, removed with everything in it when dropped.
#[derive(Debug)]
pub(super) struct Home(PathBuf);

impl Home {
    /// Makes one in `TMPDIR`, else in memory, else in `/tmp`.
    ///
    /// # Errors
    /// None of these can be written to.
    pub(super) fn make(environment: &Environment) -> io::Result<Self> {
        let own = environment.get_os("TMPDIR").map(PathBuf::from);
        let places = own.into_iter().chain(["/dev/shm", "/tmp"].map(PathBuf::from));
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for place in places.filter(|place| place.is_absolute()) {
            match make_in(&place) {
                Ok(home) => return Ok(home),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // What cannot be removed holds no secret: the program keeps the number that it gave this device in it.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn make_in(place: &Path) -> io::Result<Home> {
    let mut random = [0; 8];
    rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
    let path = place.join(format!("locket-op-{}", HEXLOWER.encode(&random)));
    std::fs::DirBuilder::new().mode(0o700).create(&path)?;
    Ok(Home(path))
}
