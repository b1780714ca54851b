//! Whoever is logged in with the Azure CLI: the program is asked for a token, and again before that ends.

use std::ffi::OsString;
use std::process::Stdio;
use std::sync::Arc;

use locket_core::{BoxFuture, FetchCx, ProviderError, SecretBytes};
use tokio::process::Command;
use zeroize::Zeroizing;

use super::granted;
use crate::azkv::wire;
use crate::http::{Authority, Grant};

/// Numbers of Entra that say that it cannot answer for now. The Azure CLI advises to log in after these as well.
/// Source: <https://learn.microsoft.com/entra/identity-platform/reference-error-codes>.
const PASSING: [u32; 5] = [90_006, 90_012, 90_024, 90_033, 90_055];

/// The Azure CLI of this machine.
#[derive(Debug)]
pub(in crate::azkv) struct Cli {
    pub(super) program: OsString,
    /// What it gets: where its login is, and how it reaches the network.
    pub(super) environment: Vec<(OsString, OsString)>,
    /// The tenant of the vault unless given.
    pub(super) tenant: Option<String>,
}

/// Logins for one resource in one tenant.
#[derive(Debug)]
pub(super) struct Login {
    cli: Arc<Cli>,
    resource: String,
    tenant: Option<String>,
}

impl Cli {
    pub(super) fn login(self: &Arc<Self>, resource: String, tenant: Option<String>) -> Login {
        Login {
            cli: self.clone(),
            resource,
            tenant: self.tenant.clone().or(tenant),
        }
    }
}

impl Login {
    async fn log_in(&self, cx: &FetchCx) -> Result<Grant, ProviderError> {
        let mut command = Command::new(&self.cli.program);
        command
            .args([
                "account",
                "get-access-token",
                "--output",
                "json",
                "--resource",
                &self.resource,
            ])
            .args(self.tenant.iter().flat_map(|tenant| ["--tenant", tenant]))
            .env_clear()
            .envs(self.cli.environment.iter().map(|(name, value)| (name, value)))
            .env("AZURE_CORE_NO_COLOR", "true")
            // Nothing that lies in the caller's directory is to be taken for a part of it.
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let ended = tokio::time::timeout(cx.remaining(), command.output());
        let ended = ended
            .await
            .map_err(|_| ProviderError::unavailable("`az account get-access-token` gave no token in time"))?;
        let output = ended.map_err(|error| {
            ProviderError::auth(format!("`az` cannot be run: {error}"))
                .hint("Install the Azure CLI, or use another `azkv.auth`.")
        })?;
        let token = Zeroizing::new(output.stdout);
        if output.status.success() {
            return Ok(granted(wire::token(&token, "`az account get-access-token`")?, cx));
        }
        let told = String::from_utf8_lossy(&output.stderr);
        Err(match needs_login(&told) {
            true => ProviderError::auth("nobody is logged in with the Azure CLI, or the login has ended")
                .hint(match &self.tenant {
                    Some(tenant) => format!("Log in with `az login --tenant {tenant}`."),
                    None => "Log in with `az login`.".to_owned(),
                }),
            // It had no network, say, or was killed, which passes: a login would not help.
            false => ProviderError::unavailable(format!(
                "`az account get-access-token` ended with {}",
                output.status
            ))
            .hint("Run it by hand to see why; without a network it gives no token."),
        })
    }
}

/// Whether the program wants its user to log in. What it says may repeat what it was given: only the sentence and the
/// number that matter are looked for.
fn needs_login(told: &str) -> bool {
    match entra_number(told) {
        Some(number) => !PASSING.contains(&number),
        None => told.contains("az login"),
    }
}

/// The number by which Entra calls its refusal, as in `AADSTS700082`.
fn entra_number(told: &str) -> Option<u32> {
    let (_, number) = told.split_once("AADSTS")?;
    let digits = number.split(|letter: char| !letter.is_ascii_digit()).next()?;
    digits.parse().ok()
}

impl Authority for Login {
    fn login<'a>(&'a self, cx: &'a FetchCx) -> BoxFuture<'a, Result<Grant, ProviderError>> {
        Box::pin(self.log_in(cx))
    }

    fn renew<'a>(
        &'a self,
        _: &'a SecretBytes,
        cx: &'a FetchCx,
    ) -> BoxFuture<'a, Result<Grant, ProviderError>> {
        Box::pin(self.log_in(cx))
    }
}
