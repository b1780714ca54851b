//! The table of provider settings by their prefixes: flags, configuration tables and docs walk it.

use std::ffi::OsStr;

use locket_core::{Diagnostic, Environment};
use locket_providers::{KINDS, ProviderKind, Setting, SettingKind};

use crate::options::values;

/// The settings that share a prefix.
#[derive(Debug)]
pub(crate) struct Section {
    /// What stands before the dot, and the name of the table.
    pub(crate) prefix: &'static str,
    /// The people's name of the first provider with this prefix.
    pub(crate) title: &'static str,
    /// The settings, each once.
    pub(crate) settings: Vec<&'static Setting>,
}

/// A credential that another provider may use.
#[derive(Debug)]
pub(crate) struct Loan {
    /// The prefix.
    pub(crate) prefix: &'static str,
    /// The setting under that prefix.
    pub(crate) setting: &'static Setting,
    /// The provider that may use it, when it is the chosen one.
    pub(crate) to: &'static str,
}

/// `op.token-file` serves Connect when that is the chosen provider and has no token of its own.
static OP_TOKEN: Loan = Loan {
    prefix: "op",
    setting: &Setting {
        name: "token-file",
        env: &[],
        kind: SettingKind::Credential,
        summary: "File with the token of op-connect where `connect.token-file` is not given",
    },
    to: "op-connect",
};

/// Every provider of this build.
pub(crate) fn kinds() -> &'static [&'static ProviderKind] {
    KINDS
}

/// The credentials that are lent.
pub(crate) fn loans() -> impl Iterator<Item = &'static Loan> {
    [&OP_TOKEN]
        .into_iter()
        .filter(|loan| ProviderKind::by_name(loan.to).is_some())
}

/// Every prefix with its settings, in the order of the registry. What only named instances are told has none.
pub(crate) fn sections() -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    for kind in kinds().iter().filter(|kind| !kind.named_only) {
        for setting in kind.all_settings() {
            add(&mut sections, kind.prefix, kind.title, setting);
        }
    }
    for loan in loans() {
        add(&mut sections, loan.prefix, "1Password", loan.setting);
    }
    sections
}

/// Whether some provider of this build reads the settings of `prefix` as its own.
pub(crate) fn is_owned(prefix: &str) -> bool {
    kinds().iter().any(|kind| kind.prefix == prefix)
}

/// The name under which a credential's value itself would be given, or a reference to it: without `-file`.
pub(crate) fn literal_name(setting: &'static Setting) -> Option<&'static str> {
    match setting.kind {
        SettingKind::Credential => setting.name.strip_suffix("-file"),
        _ => None,
    }
}

/// The name under which the service manager gives the value of a credential of `of`, a prefix or an instance.
pub(crate) fn credential_name(of: &str, setting: &'static Setting) -> Option<String> {
    literal_name(setting).map(|name| format!("{CREDENTIALS}{of}.{name}"))
}

/// What the names of all of them begin with.
pub(crate) const CREDENTIALS: &str = "locket.";

/// Whether `text` is what the setting wants.
///
/// # Errors
/// It is not, with what to write instead.
pub(crate) fn check_text(setting: &Setting, text: &str) -> Result<(), Diagnostic> {
    match setting.kind {
        SettingKind::Text | SettingKind::Command | SettingKind::List | SettingKind::Table => Ok(()),
        SettingKind::Path | SettingKind::CredentialPath | SettingKind::Credential if text.is_empty() => {
            Err(Diagnostic::error(0..0, "the path is empty").help("Name a file, or leave the setting out."))
        }
        SettingKind::Path | SettingKind::CredentialPath | SettingKind::Credential => Ok(()),
        SettingKind::Choice(words) => {
            let words: Vec<_> = words.iter().map(|word| (*word, ())).collect();
            // Oracle's own programs write such words with low lines.
            values::word(&text.replace('_', "-"), &words)
        }
        SettingKind::Duration => values::positive_duration(text).map(drop),
        SettingKind::Count => match text.trim().parse::<usize>() {
            Ok(count) if count > 0 => Ok(()),
            _ => Err(Diagnostic::error(
                0..text.len(),
                format!("`{text}` is not a whole number above zero"),
            )
            .help("Write it in digits.")),
        },
    }
}

/// The variables that providers read, without the `_FILE` forms.
pub(crate) fn variables() -> impl Iterator<Item = &'static str> {
    let settings = kinds().iter().flat_map(|kind| kind.all_settings());
    settings.flat_map(|setting| setting.env).copied()
}

/// The environment for other programs: without the variables that hold our credentials, or that name their files, and
/// without those that are `named` for credentials, which [`super::ProviderSettings::without_credentials`] knows.
pub(crate) fn without_credentials(environment: &Environment, named: &[String]) -> Environment {
    let settings = kinds().iter().flat_map(|kind| kind.all_settings());
    let credentials: Vec<_> = settings
        .flat_map(|setting| setting.env.iter().map(|name| (setting.kind, *name)))
        .flat_map(|(kind, name)| match kind {
            SettingKind::Credential => vec![name.to_owned(), format!("{name}_FILE")],
            SettingKind::CredentialPath => vec![name.to_owned()],
            _ => Vec::new(),
        })
        .collect();
    let is_ours = |name: &OsStr| {
        let mut ours = credentials.iter().chain(named);
        ours.any(|ours| name == ours.as_str())
    };
    environment.iter().filter(|(name, _)| !is_ours(name)).collect()
}

fn add(sections: &mut Vec<Section>, prefix: &'static str, title: &'static str, setting: &'static Setting) {
    let section = match sections.iter_mut().find(|section| section.prefix == prefix) {
        Some(section) => section,
        None => {
            sections.push(Section {
                prefix,
                title,
                settings: Vec::new(),
            });
            let last = sections.len() - 1;
            &mut sections[last]
        }
    };
    if !section.settings.iter().any(|known| known.name == setting.name) {
        section.settings.push(setting);
    }
}
