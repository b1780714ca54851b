//! The one table of providers. Help, flags, configuration keys, docs and completions walk it.

use std::path::Path;
use std::sync::Arc;

use locket_core::schemes::Fragment;
use locket_core::{Clock, Environment, Parse, Provider, Reach, Scheme, Schemes};

use crate::settings::{self, Credential, Setting, SettingKind, Settings};

/// Every provider of this build, in the order of the reference pages.
pub static KINDS: &[&ProviderKind] = &[
    #[cfg(feature = "store")]
    &crate::store::KIND,
    &crate::file::KIND,
    &crate::env::KIND,
    #[cfg(feature = "connect")]
    &crate::connect::KIND,
    #[cfg(feature = "op")]
    &crate::op::KIND,
    #[cfg(feature = "bao")]
    &crate::bao::BAO,
    #[cfg(feature = "bao")]
    &crate::bao::VAULT,
    #[cfg(feature = "bws")]
    &crate::bws::KIND,
    #[cfg(feature = "infisical")]
    &crate::infisical::KIND,
    #[cfg(feature = "azkv")]
    &crate::azkv::KIND,
    #[cfg(feature = "oci")]
    &crate::oci::KIND,
    #[cfg(feature = "exec")]
    &crate::exec::KIND,
];

/// One kind of secret manager.
#[derive(Debug)]
pub struct ProviderKind {
    /// Its name for `--provider` and `type = "…"`.
    pub name: &'static str,
    /// The people's name for it.
    pub title: &'static str,
    /// What it reads, as a sentence without a full stop.
    pub summary: &'static str,
    /// What people choose it by.
    pub facts: Facts,
    /// The words that start its references; the first is the usual one.
    pub schemes: &'static [SchemeSpec],
    /// What stands before the dot in its settings, and the name of its table in the configuration file.
    pub prefix: &'static str,
    /// Its own settings, beside those that every provider has.
    pub settings: &'static [Setting],
    /// Whether the settings of an HTTP client (`ca-file`, `timeout`, `proxy`, …) apply.
    pub network: bool,
    /// Whether nothing but a table `[providers.NAME]` makes an instance: there are no flags and no table of the
    /// prefix, and behind its scheme the name of an instance comes first (`exec://NAME/locator`).
    pub named_only: bool,
    /// Whether its instances start other programs. Those inherit whatever this process is confined to (Landlock,
    /// say), and may need more than locket itself.
    pub runs_programs: bool,
    /// What of this machine it touches beside what [`ProviderKind::reach`] adds to it: [`touches_nothing`] for most.
    pub touches: fn(&BuildCx<'_>) -> Reach,
    /// Turns a reference into the provider's own form, without asking anybody.
    pub parse: Parse,
    /// The same for `REF/*`, of which it gets the reference without its `*`: a [`locket_core::Locator::every`]. `None` where the
    /// provider cannot tell all keys of anything.
    pub parse_every: Option<Parse>,
    /// Makes an instance. Contacts nobody and looks at no credential's value: logins happen with the first read.
    pub build: fn(&BuildCx<'_>) -> Result<Arc<dyn Provider>, ConfigError>,
}

/// What people choose a provider by, for the table of the reference pages: fragments without a full stop, empty where
/// there is nothing of the kind.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// The ways to log in, the usual one first.
    pub logins: &'static [&'static str],
    /// What one request reads.
    pub batching: &'static str,
    /// How a reference names a version.
    pub versions: &'static str,
    /// What is leased, renewed and given back.
    pub leases: &'static str,
    /// What it was tried against.
    pub verified: &'static str,
    /// Requests a day that are granted to everybody, where that is few: the `daily-budget` unless the user gives one.
    pub daily_budget: Option<usize>,
}

/// One word that starts a provider's references.
#[derive(Clone, Copy, Debug)]
pub struct SchemeSpec {
    /// The word before `://`.
    pub name: &'static str,
    /// Whether it counts without braces.
    pub bare: bool,
    /// What a fragment means.
    pub fragment: Fragment,
}

/// What an instance is made of.
#[derive(Debug)]
pub struct BuildCx<'a> {
    /// The instance's name, for messages: a scheme's name unless the user gave another.
    pub instance: &'a str,
    /// Its settings, from all layers.
    pub settings: &'a Settings,
    /// The environment, for what is not a setting (`HOME`, `HTTPS_PROXY`, …).
    pub environment: &'a Environment,
    /// Where relative paths count from.
    pub base_dir: &'a Path,
    /// The time.
    pub clock: &'a Arc<dyn Clock>,
}

/// Why an instance cannot be made: exit code 2.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ConfigError {
    /// What is wrong, as a lower-case fragment.
    pub message: String,
    /// What to do, as a sentence.
    pub hint: Option<String>,
}

impl ConfigError {
    /// An error with advice.
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: Some(hint.into()),
        }
    }
}

impl Facts {
    /// Those of what is on this machine and needs no login.
    pub const LOCAL: Self = Self {
        logins: &[],
        batching: "",
        versions: "",
        leases: "",
        verified: "the real thing",
        daily_budget: None,
    };
}

impl ProviderKind {
    /// The kind of this name.
    pub fn by_name(name: &str) -> Option<&'static Self> {
        KINDS.iter().copied().find(|kind| kind.name == name)
    }

    /// Everything it can be told: its own settings, then those of every provider with a network. A setting of its
    /// own stands in for the common one of that name, to add the variables that its users know.
    pub fn all_settings(&self) -> impl Iterator<Item = &'static Setting> {
        let own = self.settings;
        let common: &'static [Setting] = if self.network { settings::NETWORK } else { &[] };
        let is_own = move |setting: &&Setting| own.iter().all(|mine| mine.name != setting.name);
        own.iter().chain(common.iter().filter(is_own))
    }

    /// What of this machine an instance touches: what its kind says, the files that its settings name, and what a
    /// network needs.
    pub fn reach(&self, cx: &BuildCx<'_>) -> Reach {
        let mut reach = (self.touches)(cx);
        reach.runs_programs |= self.runs_programs;
        for setting in self.all_settings() {
            let named = match setting.kind {
                SettingKind::Path | SettingKind::CredentialPath => {
                    cx.settings.path(setting.name, cx.base_dir)
                }
                SettingKind::Credential => match cx.settings.credential(setting.name) {
                    Some(Credential::File(path)) => Some(cx.base_dir.join(path)),
                    Some(Credential::Value(_)) | None => None,
                },
                _ => None,
            };
            reach.files.extend(named);
        }
        #[cfg(feature = "http")]
        if self.network {
            crate::http::add_reach(&mut reach, cx.environment);
        }
        reach
    }
}

/// Touches nothing but the files that its settings name.
pub fn touches_nothing(_: &BuildCx<'_>) -> Reach {
    Reach::default()
}

/// The schemes of all providers in this build.
pub fn schemes() -> Schemes {
    Schemes::new(KINDS.iter().flat_map(|kind| kind.schemes).map(|spec| Scheme {
        name: spec.name.into(),
        bare: spec.bare,
        fragment: spec.fragment,
    }))
}

#[cfg(test)]
mod tests {
    use super::KINDS;

    #[test]
    fn every_provider_with_a_network_has_an_authority_a_certificate_and_a_proxy() {
        let local: Vec<_> = KINDS.iter().filter(|kind| !kind.network).collect();
        // Whoever is not on this list asks over a network.
        for kind in local {
            assert!(
                ["store", "file", "env", "exec"].contains(&kind.name),
                "{}",
                kind.name
            );
            assert!(kind.all_settings().all(|setting| setting.name != "proxy"));
        }
        for kind in KINDS.iter().filter(|kind| kind.network) {
            for name in ["ca-file", "client-cert-file", "client-key-file", "proxy"] {
                assert!(
                    kind.all_settings().any(|setting| setting.name == name),
                    "{} has no {name}",
                    kind.name
                );
            }
        }
    }
}
