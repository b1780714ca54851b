//! The real OpenBao server.

mod admin;
mod server;

pub use admin::Admin;
pub use server::{Audited, OpenBao, OpenBaoBuilder, program};
