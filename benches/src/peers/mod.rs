//! The same jobs by other tools, side by side in one run.
//!
//! Usage: `locket-bench peers DIRECTORY LOCKET BAO OTHER SOPS`: where the page and its pictures go, our binary,
//! OpenBao's (for `bao agent`), that of the other tool that is named locket (for 1Password Connect), and that of sops
//! (for `sops exec-env`). `cargo xtask peers` does it.

mod jobs;
mod measured;
mod page;
mod scene;
mod sections;
mod tools;

pub(crate) use sections::main;
