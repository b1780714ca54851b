//! Servers that stand in for services that cannot run here.

pub mod azure;
pub mod bitwarden;
pub mod connect;
pub mod docker;
pub mod infisical;
pub mod oci;
pub mod onepassword;
pub mod op_program;
pub mod token_review;
