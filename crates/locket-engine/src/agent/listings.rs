//! Wildcards in a round: their answers become keys for the next scan; they themselves are never written.

use locket_core::ErrorKind;
use locket_core::template::Resolution;

use super::dispatch::Agent;
use super::outputs::{Stage, Standing};
use super::report::{Trouble, TroubleKind};
use crate::sources::{Role, Target};
use crate::watch::Change;

impl Agent {
    /// Takes over the keys of a wildcard that was answered.
    pub(super) fn relist(&mut self, target: &Target) {
        let Some(output) = self.outputs.get(target) else {
            return;
        };
        let (Role::Listing(listing), Ok(parsed)) = (&output.found.role, &output.found.template) else {
            return;
        };
        let Some(answer) = parsed.keys.first().map(|key| self.resolver.answer(key)) else {
            return;
        };
        let Some(keys) = listing.keys(&answer) else {
            return;
        };
        let known = self.listed.get(target);
        if keys.is_empty() && known.is_some_and(|known| !known.is_empty()) {
            tracing::warn!(
                "every key of {} is gone at once; nothing is deleted. Is it the right one?",
                listing.wildcard
            );
        } else if known != Some(&keys) {
            self.listed.insert(target.clone(), keys);
            self.look_at(Change::All);
        }
    }

    /// Whether an output is the file of a key that is there no longer; the next scan will say so.
    pub(super) fn has_vanished(&self, target: &Target) -> bool {
        let role = self.outputs.get(target).map(|output| &output.found.role);
        let Some(Role::Key { listing, key }) = role else {
            return false;
        };
        let is_listed = |keys: &Vec<String>| keys.binary_search_by(|known| known.as_str().cmp(key)).is_ok();
        !self.listed.get(listing).is_some_and(is_listed)
    }

    /// What there is to say about a wildcard, once it was answered. Whether `target` is one.
    pub(super) fn settle_listing(&mut self, target: &Target) -> bool {
        let wall = self.clock.wall();
        let Some(output) = self.outputs.get_mut(target) else {
            return false;
        };
        let Role::Listing(listing) = &output.found.role else {
            return false;
        };
        let (resolutions, mut troubles) = output.resolutions(&self.resolver);
        let shown = listing.wildcard.to_string();
        let unresolved = |reason: String, hint: Option<String>| Trouble {
            reference: Some(shown.clone()),
            reason,
            hint,
            kind: TroubleKind::Unresolved,
        };
        for trouble in &mut troubles {
            trouble.reference = Some(shown.clone());
        }
        match resolutions.first() {
            Some(Resolution::Value(fetched)) => {
                troubles.extend(
                    listing
                        .wildcard
                        .keys(fetched)
                        .err()
                        .map(|reason| unresolved(reason, None)),
                );
            }
            Some(Resolution::Failed(error)) => {
                let is_missing =
                    error.kind == ErrorKind::NotFound && listing.wildcard.reference().is_optional();
                if !is_missing {
                    troubles.push(unresolved(error.to_string(), error.hint.clone()));
                }
            }
            None => {}
        }
        let advice =
            "Leave the key out with `exclude`, give the names a `prefix`, or name its secret by itself.";
        let refused = listing.refused.iter();
        troubles.extend(refused.map(|reason| unresolved(reason.clone(), Some(advice.to_owned()))));
        let is_whole = troubles.iter().all(|trouble| trouble.kind == TroubleKind::Stale);
        output.stage = Stage::Settled;
        output.standing = if is_whole {
            Standing::Good
        } else {
            Standing::Unknown
        };
        if troubles.is_empty() {
            output.last_success = Some(wall);
        }
        output.troubles = troubles;
        true
    }
}
