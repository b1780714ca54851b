//! What every provider of the registry is held to. A provider joins with a fixture and a line in `walk.rs`.

mod azkv;
mod bao;
mod bao_logins;
mod bws;
mod cases;
mod connect;
mod env;
mod exec;
mod file;
mod fixture;
mod infisical;
mod oci;
mod onepassword;
mod op_core;
mod op_program;
mod report;
mod store;
mod toy;
mod trial;
mod vault;
mod walk;
