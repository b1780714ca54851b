//! A Bitwarden with Secrets Manager that holds what a test puts into it, sealed as the real one's clients seal it.
//!
//! It speaks the protocol of the identity server and of the API as far as a machine account reads; the vendor's
//! library for Python is the judge of that in every test run, its program `bws` in the lane for slow clients; both stand
//! in `tests/it` of the crate `locket`.

mod seal;
mod server;
mod session;

pub use server::Bitwarden;
