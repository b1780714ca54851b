//! The only types that may hold a secret value.
//!
//! Neither can be printed, serialised or cloned; both are wiped when dropped. `expose` is the single way in, and
//! clippy refuses it outside of the places that say why they need it.

use std::fmt;

use locket_sys::arena::LockedBytes;
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// An immutable secret value, of any bytes, in locked memory that is left out of core dumps.
pub struct SecretBytes(LockedBytes);

/// A secret value under construction. Growing it leaves no copy behind.
pub struct SecretBuilder(Vec<u8>);

impl SecretBytes {
    /// Takes over `plain`, wiping the memory it came in.
    pub fn new(mut plain: Vec<u8>) -> Self {
        let value = Self::copy_from(&plain);
        plain.zeroize();
        value
    }

    /// Copies `plain`; the caller answers for wiping its own copy.
    pub fn copy_from(plain: &[u8]) -> Self {
        Self(LockedBytes::copy_from(plain))
    }

    /// The value itself. Allowed in sinks, signers, filters and wire code only.
    pub fn expose(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.0.as_slice().len()
    }

    /// Whether the value has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the value is exactly `other`, in time that depends on the lengths alone.
    pub fn matches(&self, other: &[u8]) -> bool {
        self.0.as_slice().ct_eq(other).into()
    }
}

impl PartialEq for SecretBytes {
    fn eq(&self, other: &Self) -> bool {
        self.matches(other.0.as_slice())
    }
}

impl Eq for SecretBytes {}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBytes(…)")
    }
}

impl From<SecretBuilder> for SecretBytes {
    fn from(builder: SecretBuilder) -> Self {
        builder.finish()
    }
}

impl SecretBuilder {
    /// An empty builder with room for `capacity` bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    /// Appends bytes. When the room does not suffice, the old memory is wiped before it is given back.
    pub fn extend(&mut self, bytes: &[u8]) {
        if self.0.capacity() - self.0.len() < bytes.len() {
            let mut grown = Vec::with_capacity((self.0.len() + bytes.len()).max(self.0.capacity() * 2));
            grown.extend_from_slice(&self.0);
            self.0.zeroize();
            self.0 = grown;
        }
        self.0.extend_from_slice(bytes);
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing was appended yet.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The finished value.
    pub fn finish(mut self) -> SecretBytes {
        SecretBytes::new(std::mem::take(&mut self.0))
    }
}

impl Drop for SecretBuilder {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for SecretBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBuilder(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_never_shows_the_value() {
        let secret = SecretBytes::copy_from(b"hunter2-canary");
        assert!(!format!("{secret:?}").contains("hunter2"));
        assert!(
            secret.matches(b"hunter2-canary"),
            "the value is there all the same"
        );
    }

    #[test]
    fn a_builder_grows_past_its_capacity() {
        let mut builder = SecretBuilder::with_capacity(2);
        for _ in 0..100 {
            builder.extend(b"abc");
        }
        assert_eq!(builder.len(), 300);
        assert!(builder.finish().matches("abc".repeat(100).as_bytes()));
    }

    #[test]
    fn equality_minds_content_and_length() {
        assert_eq!(SecretBytes::copy_from(b"a"), SecretBytes::copy_from(b"a"));
        assert_ne!(SecretBytes::copy_from(b"a"), SecretBytes::copy_from(b"b"));
        assert_ne!(SecretBytes::copy_from(b"a"), SecretBytes::copy_from(b"aa"));
    }
}
