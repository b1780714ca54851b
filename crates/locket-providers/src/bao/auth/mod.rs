//! The login methods, one file each.

mod approle;
mod token;

pub(super) use approle::AppRole;
pub(super) use token::GivenToken;
