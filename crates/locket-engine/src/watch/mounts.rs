//! Notices that a file system came or went where the roots are, of which inotify says nothing.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use locket_sys::mount::mounts_near;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The mount table. The kernel marks it as urgent to read whenever it changes (proc(5), `/proc/PID/mounts`).
#[derive(Debug)]
pub(super) struct Mounts {
    table: AsyncFd<File>,
    near: Vec<Vec<u8>>,
}

impl Mounts {
    /// `None` where there is no such table.
    pub(super) fn new(places: &[&Path]) -> Option<Self> {
        let file = File::open("/proc/thread-self/mountinfo").ok()?;
        #[expect(
            deprecated,
            reason = "the new form is unsafe for the sake of types that change their descriptor; a `File` keeps its own"
        )]
        let table = AsyncFd::with_interest(file, Interest::PRIORITY).ok()?;
        let mut mounts = Self {
            table,
            near: Vec::new(),
        };
        mounts.has_changed(places);
        Some(mounts)
    }

    /// Waits until anything was mounted or unmounted anywhere. Loses nothing when dropped half-way.
    pub(super) async fn changed(&self) {
        match self.table.ready(Interest::PRIORITY).await {
            Ok(mut guard) => guard.clear_ready(),
            Err(_) => std::future::pending().await,
        }
    }

    /// Whether something else than before is mounted near `places`.
    pub(super) fn has_changed(&mut self, places: &[&Path]) -> bool {
        let mut table = Vec::new();
        let mut file = self.table.get_ref();
        if file.rewind().and_then(|()| file.read_to_end(&mut table)).is_err() {
            return true;
        }
        let near = mounts_near(&table, places);
        let has_changed = near != self.near;
        self.near = near;
        has_changed
    }
}
