//! The integration tests in one binary: one link, one start.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot be set up fails, with the place"
)]

mod azkv_official_client;
mod azkv_run;
mod bao_leases;
mod bao_wrapping;
mod beside_others;
mod bitwarden_official_client;
mod canaries;
mod check;
mod conformance;
mod connect_official_client;
mod connect_run;
mod diagnoses;
mod docker;
mod documents;
mod every_provider;
mod exec;
mod infisical_machine_logins;
mod infisical_official_client;
mod install;
mod links;
mod logging;
mod oci_official_client;
mod oci_run;
mod op_run;
mod openbao;
mod plan;
mod plugin;
mod project;
mod providers;
mod readme;
mod reference;
mod run;
mod schema;
mod seeds_map;
mod store;
mod support;
mod sync;
mod systemd;
