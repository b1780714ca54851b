//! Locked memory for secret values, left out of core dumps and wiped when given back.

use zeroize::Zeroize;

/// A byte string of fixed length in locked memory.
pub struct LockedBytes(Box<[u8]>);

impl LockedBytes {
    /// Copies `plain` into locked memory.
    pub fn copy_from(plain: &[u8]) -> Self {
        Self(plain.into())
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for LockedBytes {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}
