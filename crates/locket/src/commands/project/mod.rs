//! What the commands that work on a Compose project share: its files, its secret files, and the program `docker`.

mod disk;
mod docker;
mod secret_files;
mod template;

pub(super) use disk::Disk;
pub(super) use docker::{Answer, Docker};
pub(super) use secret_files::{Made, SecretFiles};
pub(super) use template::{references, render};
