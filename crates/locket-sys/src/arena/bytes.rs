//! The handle that owns a piece of locked memory. The only code that reads or writes what arenas hold.

use std::ptr::NonNull;

use zeroize::Zeroize;

use super::mapping::Mapping;
use super::pool::{LARGEST_SHARED, Place, pool};

/// A byte string of fixed length in locked memory, wiped when dropped.
///
/// Up to 32 KiB it shares an arena with others, above it has a mapping of its own. Past `RLIMIT_MEMLOCK` the memory
/// is ordinary, and [`super::status`] says so.
pub struct LockedBytes {
    memory: Memory,
    length: usize,
}

enum Memory {
    /// No bytes, no memory.
    Nothing,
    /// A part of an arena.
    Shared { place: Place, start: NonNull<u8> },
    /// Too long to share.
    Own(Mapping),
    /// The system refused a mapping; better there than not at all.
    Heap(Box<[u8]>),
}

// SAFETY: the bytes belong to this value alone, are never written after construction, and are tied to no thread.
#[expect(unsafe_code, reason = "a raw address is not Send by itself")]
unsafe impl Send for LockedBytes {}
// SAFETY: as above; shared access only reads.
#[expect(unsafe_code, reason = "a raw address is not Sync by itself")]
unsafe impl Sync for LockedBytes {}

impl LockedBytes {
    /// Copies `plain` into locked memory.
    pub fn copy_from(plain: &[u8]) -> Self {
        let mut bytes = Self {
            memory: Memory::reserve(plain.len()),
            length: plain.len(),
        };
        bytes.as_mut_slice().copy_from_slice(plain);
        bytes
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        match &self.memory {
            Memory::Nothing => &[],
            Memory::Heap(bytes) => bytes,
            Memory::Shared { .. } | Memory::Own(_) => {
                #[expect(unsafe_code, reason = "the one place where locked bytes are read")]
                // SAFETY: `start` points at `length` bytes that this value alone owns until it is dropped; mappings
                // begin as zeros, so all of them are initialised.
                unsafe {
                    std::slice::from_raw_parts(self.memory.start().as_ptr(), self.length)
                }
            }
        }
    }

    fn as_mut_slice(&mut self) -> &mut [u8] {
        let start = self.memory.start();
        match &mut self.memory {
            Memory::Nothing => &mut [],
            Memory::Heap(bytes) => bytes,
            Memory::Shared { .. } | Memory::Own(_) => {
                #[expect(unsafe_code, reason = "the one place where locked bytes are written")]
                // SAFETY: as in `as_slice`, and `&mut self` rules out every other access.
                unsafe {
                    std::slice::from_raw_parts_mut(start.as_ptr(), self.length)
                }
            }
        }
    }
}

impl Memory {
    fn reserve(length: usize) -> Self {
        if length == 0 {
            return Self::Nothing;
        }
        if length <= LARGEST_SHARED {
            if let Ok((place, start)) = pool().take(length) {
                return Self::Shared { place, start };
            }
        } else if let Ok(mapping) = Mapping::new(length) {
            pool().count(mapping.length(), mapping.is_locked());
            return Self::Own(mapping);
        }
        pool().count(length, false);
        Self::Heap(vec![0; length].into_boxed_slice())
    }

    fn start(&self) -> NonNull<u8> {
        match self {
            Self::Shared { start, .. } => *start,
            Self::Own(mapping) => mapping.base(),
            Self::Nothing | Self::Heap(_) => NonNull::dangling(),
        }
    }
}

impl Drop for LockedBytes {
    fn drop(&mut self) {
        self.as_mut_slice().zeroize();
        match &self.memory {
            Memory::Nothing => {}
            Memory::Shared { place, .. } => pool().give_back(place),
            Memory::Own(mapping) => pool().discount(mapping.length(), mapping.is_locked()),
            Memory::Heap(bytes) => pool().discount(bytes.len(), false),
        }
    }
}

#[cfg(test)]
mod tests;
