//! Servers that stand in for services that cannot run here.

pub mod connect;
pub mod token_review;
