//! What a reference's options make of a field or file.

use locket_core::provider::Derive;
use locket_core::{Fetched, ProviderError, SecretBytes};

use super::item::{Field, File, Malformed};
use super::openssh::to_openssh;
use super::reference::View;

impl Field<'_> {
    /// What of the field is wanted.
    ///
    /// # Errors
    /// The field has no such thing.
    pub(crate) fn view(&self, view: View) -> Result<Fetched, ProviderError> {
        let text = |text: &str| Ok(Fetched::new(SecretBytes::copy_from(text.as_bytes())));
        match view {
            View::Value => Ok(Fetched::new(self.value()?)),
            View::Otp => self.code(),
            View::OpenSsh => Ok(Fetched::new(self.openssh()?)),
            View::Type => text(&self.kind),
            View::Id => text(&self.id),
            View::Purpose => text(&self.purpose),
            View::Title => text(if self.label.is_empty() {
                &self.id
            } else {
                &self.label
            }),
            View::Size => Err(ProviderError::invalid("only files have the attribute `size`")),
        }
    }

    /// The seed, from which each code is computed when it is needed; without a seed the server's own code.
    #[expect(
        clippy::disallowed_methods,
        reason = "only the beginning is looked at, to tell a seed from other text"
    )]
    fn code(&self) -> Result<Fetched, ProviderError> {
        let seed = self.value()?;
        if self.kind == "OTP" && !seed.is_empty() || seed.expose().starts_with(b"otpauth://") {
            return Ok(Fetched {
                derive: Derive::Totp,
                ..Fetched::new(seed)
            });
        }
        match self.server_code() {
            // It has no lease: one is read anew before its end, when the next code is not there yet, and asking every
            // half minute would use up what accounts may ask in a day.
            Some(code) => Ok(Fetched::new(code?)),
            None if self.kind == "OTP" => Err(ProviderError::not_found("the one-time password has no value")),
            None => Err(ProviderError::invalid("the field is no one-time password").hint(
                "Leave `attribute=otp` away and use the filter `totp` if the field holds a base32 key.",
            )),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the key is written in another format")]
    fn openssh(&self) -> Result<SecretBytes, ProviderError> {
        if let Some(ready) = self.ready_openssh() {
            return Ok(ready?);
        }
        to_openssh(self.value()?.expose()).map_err(|error| {
            ProviderError::invalid(format!("the field cannot be given in OpenSSH format: {error}"))
                .hint("Use the field that holds the private key, usually `private key`.")
        })
    }
}

impl File {
    /// What of the file is wanted, where the item tells it; `None` for the content.
    ///
    /// # Errors
    /// Files have no such thing.
    pub(crate) fn view(&self, view: View) -> Result<Option<String>, ProviderError> {
        match view {
            View::Value => Ok(None),
            View::Id => Ok(Some(self.id.clone())),
            View::Title => Ok(Some(self.name.clone())),
            View::Size => Ok(Some(self.size.to_string())),
            View::Otp | View::Type | View::Purpose | View::OpenSsh => Err(ProviderError::invalid(format!(
                "`{}` is a file, which has no `{}`",
                self.name,
                view.name()
            ))),
        }
    }
}

impl From<Malformed> for ProviderError {
    fn from(_: Malformed) -> Self {
        Self::unavailable("a value of the item is not the text that 1Password sends")
    }
}
