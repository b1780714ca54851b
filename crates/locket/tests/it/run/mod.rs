//! `locket run` as its users meet it.

mod confined;
mod editing;
mod faults;
mod kill;
mod memory;
mod notify;
mod outage;
mod policy;
mod quiet;
mod sidecar;
mod transcript;
mod whole;
