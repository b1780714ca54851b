//! Oracle Cloud's vaults: secret bundles over the retrieval API, with requests signed here.
//!
//! Sources: the API reference (`/api/#/en/secretretrieval/20190301`), the page on request signatures
//! (`/iaas/Content/API/Concepts/signingrequests.htm`), and what Oracle's Python client 2.189.0 sends.

mod client;
mod config;
mod identity;
mod locator;
mod ocid;
mod profile;
mod provider;
mod region;
mod signature;
mod wire;

pub(crate) use config::KIND;

#[cfg(test)]
mod tests;
