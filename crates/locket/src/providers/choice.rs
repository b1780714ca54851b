//! `--provider`, and which provider serves a scheme that several could.

use locket_core::Diagnostic;
use locket_providers::ProviderKind;

use super::sections::kinds;
use crate::options::values::alternatives;

/// What `--provider` says.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Choice(pub(crate) Option<&'static ProviderKind>);

impl Choice {
    /// Parses the name of a provider.
    ///
    /// # Errors
    /// This build has none of this name.
    pub(crate) fn parse(text: &str) -> Result<Self, Diagnostic> {
        let names = || kinds().iter().map(|kind| kind.name);
        match ProviderKind::by_name(text.trim()) {
            Some(kind) => Ok(Self(Some(kind))),
            None => Err(
                Diagnostic::error(0..text.len(), format!("this build has no provider `{text}`"))
                    .help(format!("The providers are {}.", alternatives(names())))
                    .did_you_mean(text, names()),
            ),
        }
    }

    /// Whether this provider was chosen.
    pub(crate) fn is(self, kind: &ProviderKind) -> bool {
        self.0.is_some_and(|chosen| chosen.name == kind.name)
    }

    /// The provider that serves `scheme`: the chosen one, else the one with credentials. Of several with credentials
    /// the first of the registry wins, and the others are returned beside it.
    pub(super) fn for_scheme(
        self,
        scheme: &str,
        kinds: &[&'static ProviderKind],
        has_credential: impl Fn(&ProviderKind) -> bool,
    ) -> Option<(&'static ProviderKind, Vec<&'static ProviderKind>)> {
        let serves = |kind: &&'static ProviderKind| kind.schemes.iter().any(|spec| spec.name == scheme);
        let mut candidates: Vec<_> = kinds.iter().copied().filter(serves).collect();
        if let Some(chosen) = candidates.iter().copied().find(|kind| self.is(kind)) {
            return Some((chosen, Vec::new()));
        }
        if candidates.len() > 1 {
            let equipped: Vec<_> = candidates
                .iter()
                .copied()
                .filter(|kind| has_credential(kind))
                .collect();
            match equipped.is_empty() {
                true => candidates.truncate(1),
                false => candidates = equipped,
            }
        }
        let (served, others) = candidates.split_first()?;
        Some((served, others.to_vec()))
    }
}
