//! Fetches 1Password's own core and makes it ready to be hosted: `cargo xtask op-core`.

mod fetch;
mod glue;

pub(crate) use fetch::{COMPILED, component, install_client, make};
