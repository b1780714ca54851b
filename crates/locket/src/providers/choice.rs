//! `--provider`, and which provider serves a scheme that several could.

use locket_core::Diagnostic;
use locket_providers::{ConfigError, ProviderKind};

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
        let mut candidates = candidates(scheme, kinds);
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

    /// What is missing where several could serve `scheme` and `--provider` does not say which: each way to one of them.
    /// `None` where it is clear who serves it.
    pub(super) fn nobody_equipped(
        self,
        scheme: &str,
        kinds: &[&'static ProviderKind],
    ) -> Option<ConfigError> {
        let candidates = candidates(scheme, kinds);
        if candidates.len() < 2 || candidates.iter().any(|kind| self.is(kind)) {
            return None;
        }
        let titles: Vec<_> = candidates.iter().map(|kind| kind.title).collect();
        let ways: Vec<_> = candidates.iter().map(|kind| way(kind)).collect();
        Some(ConfigError::new(
            format!(
                "`{scheme}` has no credentials, neither of {}",
                titles.join(" nor of ")
            ),
            format!("Set {}.", ways.join("; or ")),
        ))
    }
}

fn candidates(scheme: &str, kinds: &[&'static ProviderKind]) -> Vec<&'static ProviderKind> {
    let serves = |kind: &&'static ProviderKind| kind.schemes.iter().any(|spec| spec.name == scheme);
    kinds.iter().copied().filter(serves).collect()
}

/// What a provider has to be told before it can be asked: those of its settings that its users know by a variable.
fn way(kind: &ProviderKind) -> String {
    let known = kind.settings.iter().filter_map(|setting| {
        let variable = setting.env.first()?;
        Some(format!("`{}.{}` (or {variable})", kind.prefix, setting.name))
    });
    let known: Vec<_> = known.collect();
    format!("{} for {}", known.join(" and "), kind.title)
}
