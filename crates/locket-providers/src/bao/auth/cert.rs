//! Cert: the certificate that the connection shows is the credential.

use std::path::PathBuf;
use std::sync::Arc;

use locket_core::{BoxFuture, FetchCx, ProviderError};
use zeroize::Zeroizing;

use super::login::Method;
use crate::bao::client::Api;
use crate::bao::wire::{self, Member};
use crate::{BuildCx, ConfigError};

/// A client certificate.
#[derive(Debug)]
pub(super) struct Cert {
    /// The server's name for the certificate; without it, whichever matches.
    name: Option<String>,
    files: Vec<PathBuf>,
}

impl Cert {
    /// The certificate that the settings describe.
    ///
    /// # Errors
    /// A file is missing, or there is no TLS to show it in.
    pub(super) fn new(cx: &BuildCx<'_>) -> Result<Self, ConfigError> {
        let mut files = Vec::new();
        for name in ["client-cert-file", "client-key-file"] {
            let Some(path) = cx.settings.path(name, cx.base_dir) else {
                return Err(ConfigError::new(
                    format!("`{}` logs in by certificate and has no `{name}`", cx.instance),
                    "Set `client-cert-file` and `client-key-file` to PEM files.",
                ));
            };
            files.push(path);
        }
        if cx
            .settings
            .text("url")
            .is_some_and(|url| url.starts_with("http://"))
        {
            return Err(ConfigError::new(
                format!(
                    "`{}` logs in by certificate, and its `url` is without TLS",
                    cx.instance
                ),
                "Give an address that starts with `https://`: a certificate is shown in TLS only.",
            ));
        }
        Ok(Self {
            name: cx.settings.text("role").map(str::to_owned),
            files,
        })
    }
}

impl Method for Cert {
    fn name(&self) -> &'static str {
        "certificate"
    }

    fn body<'a>(
        &'a self,
        _: &'a Arc<Api>,
        _: &'a FetchCx,
    ) -> BoxFuture<'a, Result<Zeroizing<Vec<u8>>, ProviderError>> {
        Box::pin(async { wire::object(self.name.as_deref().map(|name| ("name", Member::Plain(name)))) })
    }

    fn advice(&self) -> String {
        "Check that `client-cert-file` is trusted by an entry of the method (`role` names one), has not expired, and that `auth-mount` and `namespace` are right; a proxy that ends TLS hides the certificate."
            .to_owned()
    }

    fn source(&self) -> Vec<PathBuf> {
        self.files.clone()
    }
}
