//! Leases: what is renewed, read anew and revoked, and when. All times are of the engine's clock, and nothing of a
//! lease is ever written down.

mod calls;
mod ledger;
#[cfg(test)]
mod ledger_tests;

pub(crate) use calls::{Called, end, end_each, renew, revoke};
pub(crate) use ledger::{Due, Ledger, Reread, Revocation};
