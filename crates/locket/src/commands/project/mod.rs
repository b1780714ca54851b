//! What the commands that work on a Compose project share: its files, its secret files, and the program `docker`.

mod disk;
mod docker;
mod secret_files;
mod template;

pub(super) use disk::{Disk, read_text, write_text};
pub(super) use docker::{Answer, Docker};
pub(super) use secret_files::{Made, SecretFiles, random_value};
pub(super) use template::{references, render};
