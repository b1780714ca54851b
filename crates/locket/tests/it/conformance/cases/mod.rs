//! The promises, each with its check.

mod batches;
mod cancelling;
mod credentials;
mod faults;
mod hanging;
mod reading;
mod table;
mod wildcards;

pub(crate) use table::{CASES, Case, Demand, TELLS_NOTHING};
