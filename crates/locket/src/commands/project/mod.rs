//! What the commands that work on a Compose project share: its files, its secret files, and the program `docker`.

mod disk;
mod docker;
mod lock;
mod secret_files;
mod template;

pub(super) use disk::Disk;
#[cfg(feature = "command-migrate")]
pub(super) use docker::CONFIG_LIMIT;
#[cfg(any(feature = "command-migrate", feature = "command-rotate"))]
pub(super) use docker::silence;
#[cfg(feature = "command-rotate")]
pub(super) use docker::{Answer, WORK_LIMIT};
pub(super) use docker::{Asked, Docker};
pub(super) use lock::lock;
#[cfg(any(feature = "command-migrate", feature = "command-rotate"))]
pub(super) use secret_files::kept_apart;
pub(super) use secret_files::{Made, SecretFiles};
#[cfg(feature = "command-rotate")]
pub(super) use template::places;
pub(super) use template::{references, render};
