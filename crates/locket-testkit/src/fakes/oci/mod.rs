//! A tenancy of Oracle Cloud: the service that gives secrets, the one that makes tokens of certificates, and the
//! metadata service of one instance.
//!
//! Every signature is verified. Oracle's Python client is the judge of the protocol, in `tests/it` of the crate `locket`.

mod identities;
mod server;
mod signature;
mod vault;

pub use identities::{ApiKey, Session};
pub use server::Oci;
