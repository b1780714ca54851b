//! What holds for any input: the bodies of the fuzz targets, and of tests that replay what those found.
//!
//! Each takes the bytes that a fuzzer makes up and fails by a panic. Compiled for tests and fuzzing only.

#[cfg(feature = "exec")]
pub use crate::exec::properties::exec_answers;
#[cfg(feature = "onepassword")]
pub use crate::onepassword::properties::openssh;
#[cfg(feature = "store")]
pub use crate::store::properties::{dotenv, store_document, store_file};

/// A target by the name of its program in `fuzz/`.
pub type Target = (&'static str, fn(&[u8]));

/// Every target of this crate.
pub const TARGETS: &[Target] = &[
    #[cfg(feature = "exec")]
    ("exec-answers", exec_answers),
    #[cfg(feature = "onepassword")]
    ("openssh", openssh),
    #[cfg(feature = "store")]
    ("store-document", store_document),
    #[cfg(feature = "store")]
    ("store-file", store_file),
    #[cfg(feature = "store")]
    ("dotenv", dotenv),
];

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod replay;

#[cfg(test)]
#[test]
fn every_seed_and_every_former_finding_holds() {
    replay::all(TARGETS);
}
