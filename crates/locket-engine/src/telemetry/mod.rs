//! What others may follow of the agent's work: an audit log and metrics. Neither ever holds a value.

mod audit;
mod destination;
mod fingerprint;
mod metrics;
mod server;
#[cfg(test)]
mod tests;
mod trail;

pub use audit::{AuditError, AuditTarget};
pub(crate) use audit::{AuditLog, Health, OpenedLog, Record};
pub use fingerprint::Fingerprints;
pub(crate) use metrics::{Board, Snapshot};
pub(crate) use server::{Server, bind};
pub use trail::{HandOut, Outcome, Trail};

use std::net::SocketAddr;

/// What a run is told about its audit log and metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outlets {
    /// Where each read, write and notification is written down.
    pub audit: Option<AuditTarget>,
    /// Where metrics are served.
    pub metrics: Option<SocketAddr>,
}

/// The socket of systemd's journal (systemd's "Native Journal Protocol").
pub const JOURNAL_SOCKET: &str = "/run/systemd/journal/socket";
