//! Clients for servers that hold no secrets: container engines, and consumers that are told of changes. Names and trust
//! are those of the providers; what is asked, and what an answer means, is the caller's.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use locket_core::Environment;

use super::dns::Resolver;
use super::tls::TlsFiles;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The files with which a server and its client know each other.
#[derive(Clone, Debug)]
pub struct Identity {
    /// PEM certificates of those that the server's is issued by.
    pub ca: PathBuf,
    /// The client's certificate and its key, both PEM.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// A client to be built. It follows no redirect.
///
/// # Errors
/// A file of `identity` cannot be used; with its path.
pub fn client(
    identity: Option<&Identity>,
    environment: &Environment,
) -> Result<reqwest::ClientBuilder, String> {
    let tls = match identity {
        Some(Identity { ca, client }) => TlsFiles::of(Some(ca.clone()), client.clone(), environment),
        None => TlsFiles::of(None, None, environment),
    };
    let tls = tls.config_at_once().map_err(|error| error.to_string())?;
    Ok(reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .dns_resolver(Arc::new(Resolver))
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(None)
        .user_agent(concat!("locket/", env!("CARGO_PKG_VERSION"))))
}
