//! Providers, their schemes and settings, from the registry.

use locket_providers::{ProviderKind, SchemeSpec, SettingKind};

use super::markdown::{code, codes, table};
use crate::providers::{kinds, sections};

/// Every provider with its page.
pub(super) fn index() -> String {
    let rows = kinds().iter().map(|kind| {
        let schemes: Vec<_> = schemes(kind).collect();
        [
            format!("[{}](providers/{}.md)", kind.title, folder(kind)),
            code(kind.name),
            codes(schemes.iter().map(String::as_str)),
            match kind.all_settings().next() {
                Some(_) if kind.named_only => code("[providers.NAME]"),
                Some(_) => code(&format!("[{}]", kind.prefix)),
                None => String::new(),
            },
            kind.summary.to_owned(),
        ]
    });
    table(
        [
            "provider",
            "`--provider`",
            "references",
            "settings",
            "what it reads",
        ],
        rows,
    )
}

/// What people choose a provider by.
pub(super) fn facts() -> String {
    let rows = kinds().iter().map(|kind| {
        let facts = kind.facts;
        [
            code(kind.name),
            facts.logins.join(", "),
            facts.batching.to_owned(),
            facts.versions.to_owned(),
            facts.leases.to_owned(),
            facts
                .daily_budget
                .map(|budget| budget.to_string())
                .unwrap_or_default(),
            facts.verified.to_owned(),
        ]
    });
    table(
        [
            "provider",
            "logins",
            "one request reads",
            "versions",
            "leases",
            "requests a day",
            "verified with",
        ],
        rows,
    )
}

/// The words that references begin with, each with the pages of whoever may serve it.
pub(super) fn words() -> String {
    let mut rows: Vec<(&SchemeSpec, Vec<String>)> = Vec::new();
    for kind in kinds() {
        for scheme in kind.schemes {
            let page = format!("[{}](providers/{}.md)", kind.title, folder(kind));
            match rows.iter_mut().find(|(known, _)| known.name == scheme.name) {
                Some((_, pages)) => pages.push(page),
                None => rows.push((scheme, vec![page])),
            }
        }
    }
    let rows = rows.into_iter().map(|(scheme, pages)| {
        let without_braces = match scheme.bare {
            true => "counts, too",
            false => "left alone",
        };
        [code(scheme.name), pages.join(", "), without_braces.to_owned()]
    });
    table(["scheme", "provider", "without braces"], rows)
}

/// The settings under a prefix; `None` if no provider has it.
pub(super) fn settings(prefix: &str) -> Option<String> {
    if let Some(kind) = kinds()
        .iter()
        .find(|kind| kind.named_only && kind.prefix == prefix)
    {
        let rows = kind
            .all_settings()
            .map(|setting| [code(setting.name), setting.summary.to_owned()]);
        return Some(table(["setting", "meaning"], rows));
    }
    let section = sections().into_iter().find(|section| section.prefix == prefix)?;
    let rows = section.settings.iter().map(|setting| {
        let variables = setting.env.iter().map(|name| match setting.kind {
            SettingKind::Credential => format!("`{name}`, `{name}_FILE`"),
            _ => code(name),
        });
        let variables: Vec<_> = variables.collect();
        let words = match setting.kind {
            SettingKind::Choice(words) => format!(": {}", codes(words.iter().copied())),
            _ => String::new(),
        };
        [
            code(&format!("{prefix}.{}", setting.name)),
            variables.join(", "),
            format!("{}{words}", setting.summary),
        ]
    });
    Some(table(["setting", "variables", "meaning"], rows))
}

/// Where a provider's code and its page are.
pub(super) fn folder(kind: &ProviderKind) -> &'static str {
    match kind.prefix {
        // One provider with two sets of variables.
        "vault" => "bao",
        prefix => prefix,
    }
}

fn schemes(kind: &ProviderKind) -> impl Iterator<Item = String> {
    kind.schemes.iter().map(|scheme| format!("{}://", scheme.name))
}
