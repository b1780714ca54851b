//! What holds for any input: the bodies of the fuzz targets, and of tests that replay what those found.
//!
//! Each takes the bytes that a fuzzer makes up and fails by a panic. Compiled for tests and fuzzing only.

mod check;
mod env_file;
mod json;
mod lists;
mod reference;
mod sync_map;
mod template;
#[cfg(test)]
mod tests;

pub use env_file::env_file;
pub use json::json_path;
pub use lists::lists;
pub use reference::reference;
pub use sync_map::sync_map;
pub use template::template;

/// A target by the name of its program in `fuzz/`.
pub type Target = (&'static str, fn(&[u8]));

/// Every target of this crate.
pub const TARGETS: &[Target] = &[
    ("reference", reference),
    ("template", template),
    ("lists", lists),
    ("env-file", env_file),
    ("json-path", json_path),
    ("sync-map", sync_map),
];
