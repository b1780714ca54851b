//! Notices that files may have changed. What has changed in them, if anything, is for others to read and compare.

mod chain;
mod debounce;
mod mounts;
mod poll;
mod tree;
mod watcher;

pub use debounce::Change;
pub use watcher::{WatchMode, Watcher};

#[cfg(test)]
mod tests;
