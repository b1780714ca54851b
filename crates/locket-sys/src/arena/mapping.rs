//! One anonymous mapping with the flags that secrets need. It does not know what is kept in it.

use std::ptr::NonNull;

use rustix::io;
use rustix::mm::{Advice, MapFlags, MlockFlags, ProtFlags};

/// Readable and writable memory of its own, zero at first, given back when dropped.
pub(super) struct Mapping {
    base: NonNull<u8>,
    length: usize,
    locked: bool,
}

// SAFETY: the mapping belongs to this value alone and is tied to no thread.
#[expect(unsafe_code, reason = "a raw address is not Send by itself")]
unsafe impl Send for Mapping {}

impl Mapping {
    /// Maps at least `length` bytes, rounded up to whole pages.
    ///
    /// # Errors
    /// The system has no address space or memory left. Being refused the lock is no error: see [`Self::is_locked`].
    pub(super) fn new(length: usize) -> io::Result<Self> {
        let page = rustix::param::page_size();
        let length = length.checked_next_multiple_of(page).ok_or(io::Errno::NOMEM)?;
        #[expect(unsafe_code, reason = "the allocator below every secret")]
        // SAFETY: an anonymous mapping at an address of the kernel's choice overlaps nothing that exists.
        let base = unsafe {
            rustix::mm::mmap_anonymous(
                std::ptr::null_mut(),
                length,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )
        }?;
        let base = NonNull::new(base.cast()).ok_or(io::Errno::NOMEM)?;
        let mut mapping = Self {
            base,
            length,
            locked: false,
        };
        // A kernel without one of these still serves; the process is made non-dumpable besides.
        let _ = mapping.advise(Advice::LinuxDontDump);
        let _ = mapping.advise(Advice::LinuxWipeOnFork);
        mapping.locked = mapping.lock().is_ok();
        Ok(mapping)
    }

    /// The first byte.
    pub(super) fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Its size in bytes.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// Whether the system agreed never to write these pages to swap.
    pub(super) fn is_locked(&self) -> bool {
        self.locked
    }

    fn advise(&self, advice: Advice) -> io::Result<()> {
        #[expect(unsafe_code, reason = "keeps secrets out of core dumps and forks")]
        // SAFETY: the range is ours, and neither advice takes memory away from this process.
        unsafe {
            rustix::mm::madvise(self.base.as_ptr().cast(), self.length, advice)
        }
    }

    /// Locks pages as they are first touched, so that untouched ones cost no memory.
    fn lock(&self) -> io::Result<()> {
        #[expect(unsafe_code, reason = "keeps secrets out of swap")]
        // SAFETY: the range is ours.
        let on_fault =
            unsafe { rustix::mm::mlock_with(self.base.as_ptr().cast(), self.length, MlockFlags::ONFAULT) };
        on_fault.or_else(|_| {
            #[expect(unsafe_code, reason = "keeps secrets out of swap where mlock2 does not exist")]
            // SAFETY: as above.
            unsafe {
                rustix::mm::mlock(self.base.as_ptr().cast(), self.length)
            }
        })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        #[expect(unsafe_code, reason = "gives the memory back")]
        // SAFETY: the range is ours, and whoever kept an address into it has dropped it: see `LockedBytes`.
        let _ = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), self.length) };
    }
}
