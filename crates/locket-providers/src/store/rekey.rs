//! Changing who can open the store.

use std::time::SystemTime;

use locket_core::ProviderError;
use zeroize::Zeroizing;

use super::Store;
use super::disk::Locked;
use super::keys::{Identities, Recipient};
use super::operations::timestamp;

/// A change of recipients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rekey {
    /// Who can open it from now on.
    pub add: Vec<Recipient>,
    /// Who cannot any more. What they have read they still know, and earlier copies still open to them.
    pub remove: Vec<Recipient>,
    /// What happens to the writer's own key.
    pub own_key: OwnKey,
}

/// What a rekey does to the writer's own key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OwnKey {
    /// It stays.
    #[default]
    Keep,
    /// A new one takes its place among the recipients and comes first in the identity file. The old one stays in
    /// the file, so that earlier copies of the store can still be read.
    Renew,
}

impl Store {
    /// Encrypts the store afresh to other recipients, and says to whom.
    ///
    /// # Errors
    /// Nobody would be able to write it any more, a recipient to be removed is none, or a file cannot be written.
    pub fn rekey(&self, change: &Rekey, now: SystemTime) -> Result<Vec<Recipient>, ProviderError> {
        let (locked, mut document, identities) = self.open_locked()?;
        let mut recipients = self.present(&document.recipients, &identities)?;
        for gone in &change.remove {
            if !recipients.contains(gone) {
                return Err(ProviderError::invalid(format!(
                    "{gone} is not a recipient of {}",
                    self.path().display()
                ))
                .hint(format!("The recipients are {}.", listed(&recipients))));
            }
        }
        recipients.retain(|known| !change.remove.contains(known));
        for added in &change.add {
            if !recipients.contains(added) {
                recipients.push(added.clone());
            }
        }
        if change.own_key == OwnKey::Renew {
            // The new key is on disk before anything is encrypted to it.
            let renewed = self.renew_identity(now)?;
            let old = identities.recipients();
            let place = recipients
                .iter()
                .position(|known| old.contains(known))
                .unwrap_or(0);
            recipients.retain(|known| !old.contains(known));
            recipients.insert(place.min(recipients.len()), renewed);
        } else if !identities.recipients().iter().any(|own| recipients.contains(own)) {
            return Err(
                ProviderError::invalid("this would lock out the key that makes the change")
                    .hint("Let another recipient remove it."),
            );
        }
        document.recipients = recipients.iter().map(ToString::to_string).collect();
        locked.replace(&self.seal(&document, &recipients)?)?;
        Ok(recipients)
    }

    /// The recipients so far. A store written by hand may have none listed: then it is the writer's alone.
    fn present(&self, listed: &[String], identities: &Identities) -> Result<Vec<Recipient>, ProviderError> {
        if listed.is_empty() {
            return Ok(vec![identities.own()]);
        }
        let parsed = listed.iter().map(|text| {
            text.parse::<Recipient>().map_err(|error| {
                ProviderError::invalid(format!("in {}: {error}", self.path().display())).hint(error.hint())
            })
        });
        parsed.collect()
    }

    /// Puts a new key first in the identity file.
    fn renew_identity(&self, now: SystemTime) -> Result<Recipient, ProviderError> {
        let Some(path) = self.identity().path() else {
            return Err(ProviderError::invalid(
                "the identity comes from a variable or another provider, where it cannot be replaced",
            )
            .hint(
                "Make a key with `age-keygen`, add it with `--add`, and remove the old one with `--remove`.",
            ));
        };
        let renewed = Identities::generate();
        let locked = Locked::acquire(path, self.patience())?;
        let old = self.identity().read_file(path)?;
        let text = renewed.to_text(&timestamp(now));
        #[expect(
            clippy::disallowed_methods,
            reason = "the private keys go into the identity file"
        )]
        locked.replace(&Zeroizing::new([text.expose(), &old.bytes].concat()))?;
        Ok(renewed.own())
    }
}

fn listed(recipients: &[Recipient]) -> String {
    recipients
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}
