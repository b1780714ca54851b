//! What is mounted into a service.

use std::path::PathBuf;

use super::Text;
use crate::place::Place;

/// One entry of a service's `volumes:`.
#[derive(Clone, Debug)]
pub struct Mount {
    /// What is mounted.
    pub kind: MountKind,
    /// Where in the container.
    pub target: String,
    /// Whether the service cannot write there.
    pub is_read_only: bool,
    /// Where the entry stands.
    pub place: Place,
}

/// What is mounted.
#[derive(Clone, Debug)]
pub enum MountKind {
    /// A file or directory of this machine.
    Bind {
        /// The path, joined with the directory that it counts from.
        path: PathBuf,
        /// The path as it was written.
        text: Text,
    },
    /// A volume with this name at the top of the file.
    Volume(String),
    /// A volume without a name.
    Anonymous,
    /// Memory.
    Tmpfs,
    /// A pipe, an image, or what else there is.
    Other,
}
