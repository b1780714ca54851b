//! The login methods, one file each.

mod approle;
mod cert;
mod choose;

mod login;
mod signed;
mod token;
mod userpass;
mod wrapping;

pub(super) use choose::{METHODS, authority, home_paths};
pub(super) use signed::SERVICE_ACCOUNT;
