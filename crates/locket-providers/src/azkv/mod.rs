//! Azure Key Vault: secrets over its REST API, with tokens of Microsoft Entra or of the machine.
//!
//! Sources: the references of the Key Vault and of the identity platform's APIs
//! (`/rest/api/keyvault/secrets`, `/entra/identity-platform/v2-oauth2-client-creds-grant-flow`), and what Microsoft's
//! Python clients (`azure-keyvault-secrets` 4.12.0, `azure-identity` 1.27.0) send.

mod challenge;
mod client;
mod cloud;
mod config;
mod identity;
mod locator;
mod provider;
mod wire;

pub(crate) use config::KIND;

#[cfg(test)]
mod tests;
