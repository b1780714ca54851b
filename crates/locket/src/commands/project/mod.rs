//! What the commands that work on a Compose project share: its files, its secret files, and the program `docker`.

mod disk;
mod docker;
mod secret_files;
mod template;

pub(super) use disk::Disk;
pub(super) use docker::{Answer, Docker};
#[cfg(any(feature = "command-migrate", feature = "command-rotate"))]
pub(super) use secret_files::kept_apart;
pub(super) use secret_files::{Made, SecretFiles};
#[cfg(feature = "command-rotate")]
pub(super) use template::places;
pub(super) use template::{references, render};
