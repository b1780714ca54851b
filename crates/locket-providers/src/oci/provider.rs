//! Reads secrets: each is one request, however often it is named.

use locket_core::{BoxFuture, Capability, ErrorKind, FetchCx, Fetched, Locator, Provider, ProviderError};

use super::client::Client;
use super::locator::{Item, Version};
use super::ocid::Ocid;
use super::wire;
use crate::batch::{Answers, once_more};

/// Requests in flight at once, far below what the service throttles.
const MAX_CONCURRENT: usize = 16;

/// The vaults of Oracle Cloud, as one identity sees them.
#[derive(Debug)]
pub(super) struct OciVault {
    client: Client,
    /// Where names without a vault are.
    vault: Option<Ocid>,
    max_concurrent: usize,
}

impl OciVault {
    pub(super) fn new(client: Client, vault: Option<Ocid>, max_concurrent: Option<usize>) -> Self {
        Self {
            client,
            vault,
            max_concurrent: max_concurrent.unwrap_or(MAX_CONCURRENT),
        }
    }

    async fn fetch_all(&self, batch: &[Locator], cx: &FetchCx) -> Answers {
        let mut answers = Answers::with_capacity(batch.len());
        // All locators of one item come one after another, and a secret has no parts: they are equal.
        for same in batch.chunk_by(|one, other| one.item() == other.item()) {
            let read = self.fetch_one(&same[0], cx).await;
            answers.extend(
                same[1..]
                    .iter()
                    .map(|_| read.as_ref().map(once_more).map_err(Clone::clone)),
            );
            answers.push(read);
        }
        answers
    }

    async fn fetch_one(&self, locator: &Locator, cx: &FetchCx) -> Result<Fetched, ProviderError> {
        let Some(item) = locator.typed::<Item>() else {
            return Err(ProviderError::invalid(
                "this reference was read by another provider",
            ));
        };
        match self.client.bundle(item, self.vault.as_ref(), cx).await {
            Ok(response) => wire::bundle(&response),
            Err(error) if error.kind == ErrorKind::Denied && !item.is_current() => {
                Err(self.without_version(item, error, cx).await)
            }
            Err(error) => Err(error),
        }
    }

    /// A refusal of one version: where the secret itself can be read, it is the version that does not exist.
    async fn without_version(&self, item: &Item, error: ProviderError, cx: &FetchCx) -> ProviderError {
        match self.client.bundle(&item.current(), self.vault.as_ref(), cx).await {
            Err(other) if other.kind == ErrorKind::Denied => error,
            Err(other) => other,
            Ok(_) => {
                let secret = &item.secret;
                let missing = ProviderError::not_found(match (&item.version, item.stage) {
                    (Some(Version::Number(number)), _) => {
                        format!("{secret} has no version {number} that can be read")
                    }
                    (Some(Version::Name(name)), _) => {
                        format!("{secret} has no version named `{name}` that can be read")
                    }
                    (None, Some(stage)) => format!("{secret} has no {stage} version"),
                    (None, None) => return error,
                });
                missing.hint(
                    "The secret itself can be read; the console lists its versions. One whose deletion is scheduled is not given out.",
                )
            }
        }
    }
}

impl Provider for OciVault {
    fn capability(&self) -> Capability {
        Capability {
            items_per_call: 1,
            max_concurrent: self.max_concurrent,
            local: false,
        }
    }

    fn rest(&self) {
        self.client.rest();
    }

    fn fetch<'a>(
        &'a self,
        batch: &'a [Locator],
        cx: &'a FetchCx,
    ) -> BoxFuture<'a, Vec<Result<Fetched, ProviderError>>> {
        Box::pin(self.fetch_all(batch, cx))
    }
}
