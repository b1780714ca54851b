//! As whom vaults are read: an application with a secret, certificate or federated token, the machine, or whoever is
//! logged in with the Azure CLI.

mod choose;
mod cli;
mod entra;
mod managed;

use std::sync::Arc;
use std::time::Duration;

use locket_core::{FetchCx, ProviderError};

use super::challenge::Challenge;
use super::wire::Token;
use crate::http::{Authority, Grant};

use cli::Cli;
use entra::Entra;
use managed::Managed;

pub(super) use choose::{METHODS, identity, touched};

/// One way to be somebody.
#[derive(Debug)]
pub(super) enum Identity {
    Entra(Arc<Entra>),
    Managed(Arc<Managed>),
    Cli(Arc<Cli>),
}

impl Identity {
    /// What hands out the tokens that a challenge asks for.
    ///
    /// # Errors
    /// The vault is in another tenant than the one that is set.
    pub(super) fn authority(&self, challenge: &Challenge) -> Result<Box<dyn Authority>, ProviderError> {
        let resource = challenge.resource.clone();
        let tenant = challenge.tenant.clone();
        Ok(match self {
            Self::Entra(entra) => Box::new(entra.login(resource, tenant)?),
            Self::Managed(managed) => Box::new(managed.login(resource)),
            Self::Cli(cli) => Box::new(cli.login(resource, tenant)),
        })
    }

    /// What to look at when a vault refuses a fresh token, as a sentence.
    pub(super) fn advice(&self) -> &'static str {
        match self {
            Self::Entra(_) => {
                "Check `azkv.tenant-id` and `azkv.client-id`: the vault takes tokens of its own tenant alone."
            }
            Self::Managed(_) => "Check that the vault is in the tenant of this machine's identity.",
            Self::Cli(_) => {
                "Check `az account show`: the vault takes tokens of its own tenant alone; `az login --tenant TENANT` changes it."
            }
        }
    }
}

/// A token as the cache takes it: asked for anew when two thirds of its time are gone.
fn granted(token: Token, cx: &FetchCx) -> Grant {
    let now = cx.clock.wall().duration_since(std::time::SystemTime::UNIX_EPOCH);
    let left = |ends: Duration| ends.checked_sub(now.unwrap_or_default());
    let lasts = token.lasts.or_else(|| left(token.ends?));
    let grant = Grant::new(token.value).renewable();
    match lasts {
        Some(lasts) => grant.lasting(lasts),
        None => grant,
    }
}

#[cfg(test)]
pub(super) mod tests {
    //! Azure Arc's agent keeps its keys where only root can put files: a test has them elsewhere.

    use std::path::Path;
    use std::sync::Arc;

    use super::managed::{Host, Managed};
    use crate::BuildCx;
    use crate::http::{Authority, Client, Endpoint};

    pub(in crate::azkv) fn arc(cx: &BuildCx<'_>, endpoint: &str, keys: &Path) -> impl Authority + use<> {
        let managed = Arc::new(Managed {
            local: Client::new(cx).unwrap(),
            client_id: None,
            host: Host::Arc {
                endpoint: Endpoint::parse("test", endpoint).unwrap(),
                keys: keys.to_owned(),
            },
        });
        managed.login("https://vault.example".to_owned())
    }
}
