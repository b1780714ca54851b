//! Every variable that locket reads as an option or a setting.

use std::collections::BTreeMap;

use locket_providers::SettingKind;

use super::markdown::{code, codes, table};
use crate::options::table as options;
use crate::providers::kinds;

/// What a variable gives to an option or a setting.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Gives {
    /// What the flag would say.
    Text,
    /// The credential itself, in place of the file that the flag names.
    Credential,
}

/// The variables in the order of the alphabet, each with what it stands for.
pub(super) fn variables() -> String {
    let mut rows: BTreeMap<String, Vec<(Gives, String)>> = BTreeMap::new();
    let mut add = |name: String, gives: Gives, flag: String| {
        let known = rows.entry(name).or_default();
        if !known.iter().any(|(_, known)| *known == flag) {
            known.push((gives, flag));
        }
    };
    for opt in options::all() {
        for name in opt.variables {
            add((*name).to_owned(), Gives::Text, format!("--{}", opt.name));
        }
    }
    for kind in kinds() {
        for setting in kind.all_settings() {
            for name in setting.env {
                let flag = format!("--{}.{}", kind.prefix, setting.name);
                if setting.kind == SettingKind::Credential {
                    add(format!("{name}_FILE"), Gives::Text, flag.clone());
                    add((*name).to_owned(), Gives::Credential, flag);
                } else {
                    add((*name).to_owned(), Gives::Text, flag);
                }
            }
        }
    }
    let rows = rows.iter().map(|(name, uses)| {
        let gives = match uses.iter().map(|(gives, _)| gives).max() {
            Some(Gives::Credential) => "the credential itself",
            _ => "",
        };
        let flags = codes(uses.iter().map(|(_, flag)| flag.as_str()));
        [code(name), flags, gives.to_owned()]
    });
    table(["variable", "stands for", "and holds"], rows)
}
