//! The public cloud and those apart from it: where their vaults are, and where their logins.

use crate::ConfigError;

/// One of Microsoft's clouds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cloud {
    /// What follows the name of a vault in its host's name.
    pub(super) suffix: &'static str,
    /// The host that logs in.
    pub(super) authority: &'static str,
}

/// Every name of every cloud: short, and as the Azure CLI calls it.
const CLOUDS: &[(&[&str], Cloud)] = &[
    (
        &["public", "AzureCloud"],
        Cloud {
            suffix: "vault.azure.net",
            authority: "https://login.microsoftonline.com",
        },
    ),
    (
        &["china", "AzureChinaCloud"],
        Cloud {
            suffix: "vault.azure.cn",
            authority: "https://login.chinacloudapi.cn",
        },
    ),
    (
        &["usgov", "AzureUSGovernment"],
        Cloud {
            suffix: "vault.usgovcloudapi.net",
            authority: "https://login.microsoftonline.us",
        },
    ),
];

impl Cloud {
    /// The cloud of this name; the public one without a name.
    ///
    /// # Errors
    /// There is none of it.
    pub(super) fn named(name: Option<&str>) -> Result<Self, ConfigError> {
        let Some(name) = name else {
            return Ok(CLOUDS[0].1);
        };
        let is_it = |known: &&str| known.eq_ignore_ascii_case(name.trim());
        let found = CLOUDS.iter().find(|(names, _)| names.iter().any(is_it));
        found.map(|(_, cloud)| *cloud).ok_or_else(|| {
            ConfigError::new(
                format!("`{name}` in `cloud` is no cloud that is known here"),
                "Write `public`, `china` or `usgov`; for another one name vaults by their full host names, and set `azkv.authority-host`.",
            )
        })
    }
}
