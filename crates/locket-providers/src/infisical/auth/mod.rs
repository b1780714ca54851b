//! The ways to log in, each of which proves who is asking with one post.

mod aws;
mod choose;
mod login;
mod metadata;
mod signed;
mod sigv4;
mod token;
mod universal;

pub(super) use choose::{METHODS, authority};
pub(super) use signed::SERVICE_ACCOUNT;

pub(super) use aws::TOKEN_FILE as AWS_TOKEN_FILE;
