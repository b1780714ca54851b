//! `ocid1.TYPE.REALM.[REGION].….UNIQUE`: Oracle's names for everything.

/// An identifier, as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ocid(String);

impl Ocid {
    /// Takes `text` for an identifier; `None` when it cannot be one.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        let ocid = Self(text.to_owned());
        let is_whole = text.starts_with("ocid1.")
            && text.bytes().all(fits)
            && !ocid.kind().is_empty()
            && !ocid.realm().is_empty()
            && !text.ends_with('.')
            && text.split('.').count() >= 5;
        is_whole.then_some(ocid)
    }

    /// What it is of: `vaultsecret`, `vault`, …
    pub(super) fn kind(&self) -> &str {
        self.part(1)
    }

    /// The realm, such as `oc1`.
    pub(super) fn realm(&self) -> &str {
        self.part(2)
    }

    /// The region, by its name or its key; many identifiers have none.
    pub(super) fn region(&self) -> Option<&str> {
        Some(self.part(3)).filter(|region| !region.is_empty())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    fn part(&self, index: usize) -> &str {
        self.0.split('.').nth(index).unwrap_or_default()
    }
}

impl std::fmt::Display for Ocid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
