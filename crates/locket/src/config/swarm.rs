//! `[plugin]` and `[swarm]`: where the plugin of the engine is, and what a swarm may ask it for.

use std::collections::BTreeMap;

use locket_docker::allow::{Allowance, Grant};
use toml::de::DeValue;

use super::reader::{Numbers, Reader};
use crate::options::Given;

/// `[swarm]`.
#[derive(Clone, Debug, Default)]
pub(crate) struct SwarmTable {
    /// `allow`: what labels may ask for; nothing when it is left out.
    pub(crate) allow: Option<Allowance>,
    /// `[[swarm.secret]]`: what `swarm sync` keeps.
    pub(crate) secrets: Vec<SwarmSecret>,
}

/// A secret that `swarm sync` keeps.
#[derive(Clone, Debug)]
pub(crate) struct SwarmSecret {
    /// `name`: its name, to which versions are added.
    pub(crate) name: Given,
    /// `template`: what it holds.
    pub(crate) template: Given,
    /// `target`: the file in containers that are given it anew.
    pub(crate) target: Option<Given>,
    /// `services`: those that get it.
    pub(crate) services: Vec<Given>,
}

/// Reads `[plugin]`.
pub(super) fn read_plugin(reader: &mut Reader<'_>) -> BTreeMap<&'static str, Given> {
    let keys = ["socket", "runtime-dir"];
    let help = "Name a path, or leave it out.";
    let given = keys.map(|key| reader.filled(key, help).map(|given| (key, given)));
    given.into_iter().flatten().collect()
}

/// Reads `[swarm]`.
pub(super) fn read_swarm(reader: &mut Reader<'_>) -> SwarmTable {
    SwarmTable {
        allow: read_allow(reader),
        secrets: read_secrets(reader),
    }
}

const SECRET_FORM: &str = "Write `[[swarm.secret]]` with `name` and `template`, and with `services` and `target` where they are needed.";

fn read_secrets(reader: &mut Reader<'_>) -> Vec<SwarmSecret> {
    let Some(value) = reader.value("secret") else {
        return Vec::new();
    };
    let entries = value
        .get_ref()
        .as_array()
        .map(|entries| entries.iter().collect::<Vec<_>>());
    let mut secrets = Vec::new();
    for entry in entries.unwrap_or_else(|| vec![value]) {
        let Some(table) = entry.get_ref().as_table() else {
            reader.found(entry, "`secret` is written as a table of its own", SECRET_FORM);
            continue;
        };
        let (name, template, target, services) = reader.inside("[[swarm.secret]]", table, read_swarm_secret);
        match (name, template) {
            (Some(name), Some(template)) => secrets.push(SwarmSecret {
                name,
                template,
                target,
                services,
            }),
            // What is there and wrong was reported already.
            _ if table.contains_key("name") && table.contains_key("template") => {}
            _ => reader.found(entry, "this secret has no `name` or no `template`", SECRET_FORM),
        }
    }
    secrets
}

type Parts = (Option<Given>, Option<Given>, Option<Given>, Vec<Given>);

/// Reads the keys of a `[[swarm.secret]]`.
pub(super) fn read_swarm_secret(reader: &mut Reader<'_>) -> Parts {
    (
        reader.text("name", Numbers::Refused),
        reader.filled(
            "template",
            "Write what the secret shall hold, with a reference in it.",
        ),
        reader.text("target", Numbers::Refused),
        reader.texts("services"),
    )
}

/// The keys of a grant that is written as a table.
pub(super) const ALLOW: [&str; 2] = ["reference", "service"];

const FORM: &str = "Write `allow = [\"bao://kv/shop/**\"]`, or `{ reference = \"bao://kv/shop/**\", service = \"shop_*\" }` in \
                    the place of a text.";

/// Reads `allow` of `[swarm]` or `[labels]`: what labels may ask for.
pub(super) fn read_allow(reader: &mut Reader<'_>) -> Option<Allowance> {
    let value = reader.value("allow")?;
    let Some(entries) = value.get_ref().as_array() else {
        reader.found(value, "`allow` is a list of patterns", FORM);
        return None;
    };
    let mut allowance = Allowance::default();
    for entry in entries.iter() {
        let (reference, service) = match entry.get_ref() {
            DeValue::String(text) => (Some(text.to_string()), None),
            DeValue::Table(table) => {
                let text = |key: &str| {
                    let value = table.get(key)?;
                    value.get_ref().as_str().map(str::to_owned)
                };
                let is_known = table
                    .iter()
                    .all(|(key, value)| ALLOW.contains(&key.get_ref().as_ref()) && value.get_ref().is_str());
                (text("reference").filter(|_| is_known), text("service"))
            }
            _ => (None, None),
        };
        let Some(reference) = reference else {
            reader.found(entry, "this is no pattern of references", FORM);
            continue;
        };
        match Grant::parse(&reference, service.as_deref()) {
            Ok(grant) => allowance.add(grant),
            Err(wrong) => reader.found(
                entry,
                wrong.message,
                wrong.help.unwrap_or_else(|| FORM.to_owned()),
            ),
        }
    }
    Some(allowance)
}
