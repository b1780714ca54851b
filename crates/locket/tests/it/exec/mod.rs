//! `locket exec` and `locket env` with the real binary.

mod alone;
mod env_files;
mod leased;
mod masked;
mod supervised;
mod terminal;
