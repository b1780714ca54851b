//! The JSON schema of the configuration file, for editors. The readers themselves are asked which keys they know: each
//! reads an empty table, and what it looked for is what may stand there.

use std::path::Path;
use std::sync::Arc;

use locket_core::Span;
use locket_providers::{Setting, SettingKind};
use serde_json::{Map, Value, json};
use toml::de::DeTable;

use super::entries::{read_every, read_map, read_notify, read_secret};
use super::file::read_options;
use super::providers::read_settings;
use super::reader::{Numbers, Reader, Reading, Wanted};
use super::rotate::read_rotate;
use super::swarm::{read_allow, read_plugin, read_swarm};
use crate::options::{Key, Opt, Shape, table};
use crate::providers::{kinds, literal_name, sections};
use crate::report::SourceText;

/// The schema, in the draft that editors understand (<https://json-schema.org/draft-07/schema>).
pub(crate) fn schema() -> Value {
    let mut properties = Map::new();
    let mut add = |name: &str, schema| properties.insert(name.to_owned(), schema);
    for (name, key) in [("run", Key::Run), ("exec", Key::Exec)] {
        let keys = known(|reader| drop(read_options(reader, key)));
        add(name, table_of(&keys, |name, wanted| option(key, name, wanted)));
    }
    for (name, keys, forms) in [
        (
            "map",
            known(|reader| drop(read_map(reader, Span::default()))),
            &[["source", "destination"]][..],
        ),
        (
            "secret",
            secret(),
            &[["name", "template"], ["name", "file"], ["from", "from"]],
        ),
        (
            "notify",
            known(|reader| drop(read_notify(reader, Span::default()))),
            &[["action", "action"]],
        ),
    ] {
        let mut entry = table_of(&keys, |_, wanted| value(wanted));
        let forms = forms.iter().map(|[one, other]| match one == other {
            true => json!({ "required": [one] }),
            false => json!({ "required": [one, other] }),
        });
        entry["oneOf"] = forms.collect();
        add(name, json!({ "type": "array", "items": entry }));
    }
    for section in sections() {
        let keys = known(|reader| drop(read_settings(reader, &section.settings)));
        let described = table_of(&keys, |name, wanted| setting(&section.settings, name, wanted));
        add(section.prefix, described);
    }
    add("providers", instances());
    let plain = |_: &str, wanted| value(wanted);
    add(
        "plugin",
        table_of(&known(|reader| drop(read_plugin(reader))), plain),
    );
    let mut swarm = table_of(&known(|reader| drop(read_swarm(reader))), plain);
    swarm["properties"]["allow"] = grants();
    let text = json!({ "type": "string" });
    swarm["properties"]["secret"] = json!({
        "type": "array",
        "items": {
            "type": "object",
            "additionalProperties": false,
            "required": ["name", "template"],
            "properties": {
                "name": text,
                "template": { "type": "string", "minLength": 1 },
                "target": text,
                "services": { "type": ["string", "array"], "items": text },
            },
        },
    });
    add("swarm", swarm);
    let rotate = known(|reader| drop(read_rotate(reader)));
    add("rotate", table_of(&rotate, plain));
    let mut labels = table_of(&known(|reader| drop(read_allow(reader))), plain);
    labels["properties"]["allow"] = grants();
    add("labels", labels);
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "locket.toml",
        "description": "The configuration of locket",
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
    })
}

/// What `allow` grants: references, all services or those of a pattern.
fn grants() -> Value {
    let text = json!({ "type": "string" });
    let limited = json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["reference"],
        "properties": { "reference": text, "service": text },
    });
    json!({ "type": "array", "items": { "anyOf": [text, limited] } })
}

/// A key and what is wanted under it.
pub(super) type Known = (&'static str, Wanted);

/// What `read` looks for in an empty table.
pub(super) fn known(read: impl FnOnce(&mut Reader<'_>)) -> Vec<Known> {
    let mut reading = Reading {
        source: Arc::new(SourceText {
            name: String::new(),
            text: Arc::new([]),
        }),
        base: Path::new("").into(),
        found: Vec::new(),
    };
    let nothing = DeTable::new();
    let mut reader = Reader::new(&mut reading, "", &nothing);
    read(&mut reader);
    reader.known().to_vec()
}

/// The keys of `[[secret]]` in either form.
pub(super) fn secret() -> Vec<Known> {
    let mut keys = known(|reader| drop(read_secret(reader, Span::default())));
    for key in known(|reader| drop(read_every(reader))) {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

/// A table with these keys and no others.
fn table_of(keys: &[Known], describe: impl Fn(&str, Wanted) -> Value) -> Value {
    let properties: Map<_, _> = keys
        .iter()
        .map(|(name, wanted)| ((*name).to_owned(), describe(name, *wanted)))
        .collect();
    json!({ "type": "object", "additionalProperties": false, "properties": properties })
}

/// Every named instance, each with the settings of its type.
fn instances() -> Value {
    let types: Vec<_> = kinds().iter().map(|kind| kind.name).collect();
    let each = kinds().iter().map(|kind| {
        let settings: Vec<_> = kind.all_settings().collect();
        let keys = known(|reader| drop(read_settings(reader, &settings)));
        let mut table = table_of(&keys, |name, wanted| setting(&settings, name, wanted));
        table["properties"]["type"] = json!({ "const": kind.name });
        json!({ "if": { "properties": { "type": { "const": kind.name } } }, "then": table })
    });
    json!({
        "type": "object",
        "additionalProperties": {
            "type": "object",
            "properties": { "type": { "enum": types, "description": "Kind of provider" } },
            "required": ["type"],
            "allOf": each.collect::<Vec<_>>(),
        },
    })
}

/// A key of `[run]` or `[exec]`.
fn option(table: Key, name: &str, wanted: Wanted) -> Value {
    let mut schema = value(wanted);
    let Some(opt) = table::all().find(|opt| opt.name == name && opt.key == table) else {
        return schema;
    };
    schema["description"] = json!(described(opt));
    match opt.shape {
        Shape::Word(words) => schema["enum"] = json!(words),
        Shape::Path => schema["minLength"] = json!(1),
        Shape::Duration => schema["pattern"] = json!(duration(opt.placeholder)),
        Shape::Size => schema["pattern"] = json!(r"^\s*[0-9]+\s*([kKmMgG]([iI]?[bB])?|[bB])?\s*$"),
        // A path as well, or a word.
        _ if opt.name == table::AUDIT_LOG.name => schema["minLength"] = json!(1),
        _ => {}
    }
    schema
}

fn described(opt: &Opt) -> String {
    match opt.default {
        "" => opt.summary.to_owned(),
        default => format!("{}; {default} unless given", opt.summary),
    }
}

/// A key of a provider's table.
fn setting(settings: &[&'static Setting], name: &str, wanted: Wanted) -> Value {
    let mut schema = value(wanted);
    let own = settings.iter().find(|setting| setting.name == name);
    if let Some(setting) = own {
        schema["description"] = json!(setting.summary);
        match setting.kind {
            SettingKind::Choice(_) if wanted == Wanted::Text(Numbers::Truth) => {
                schema["enum"] = json!([true, false, "true", "false"]);
            }
            SettingKind::Choice(words) => schema["enum"] = json!(words),
            SettingKind::Duration => schema["pattern"] = json!(duration("")),
            SettingKind::Count => schema["pattern"] = json!(r"^\s*[0-9]+\s*$"),
            _ => {}
        }
    } else if let Some(setting) = settings
        .iter()
        .find(|setting| literal_name(setting) == Some(name))
    {
        // The file never holds a credential.
        schema["pattern"] = json!(r"://|\{\{");
        schema["description"] = json!(format!(
            "{}, as a reference to a secret of another provider",
            setting.summary
        ));
    }
    schema
}

/// What is wanted, as a schema says it.
fn value(wanted: Wanted) -> Value {
    match wanted {
        Wanted::Text(Numbers::Refused) => json!({ "type": "string" }),
        Wanted::Filled => json!({ "type": "string", "minLength": 1 }),
        Wanted::Text(Numbers::Whole) => json!({ "type": ["string", "integer"] }),
        Wanted::Text(Numbers::Truth) => json!({ "type": ["string", "boolean"] }),
        Wanted::Text(Numbers::Octal) => {
            json!({ "type": ["string", "integer"], "pattern": "^(0o)?[0-7]{3,5}$" })
        }
        Wanted::Texts => json!({ "type": ["string", "array"], "items": { "type": "string" } }),
        Wanted::Table => {
            json!({ "type": "object", "additionalProperties": { "type": ["string", "integer"] } })
        }
        Wanted::Boolean => json!({ "type": "boolean" }),
        // The marks of tags are the only such value.
        Wanted::Own => {
            json!({ "type": "array", "items": { "type": "string" }, "minItems": 2, "maxItems": 2 })
        }
    }
}

/// A time span as people write it, or `off` where the placeholder of an option says so.
fn duration(placeholder: &str) -> String {
    const UNITS: &str = "ns|nsec|us|usec|ms|msec|millis|s|sec|secs|second|seconds|m|min|mins|minute|minutes|h|hr|hrs|hour|hours|d|day|days|w|wk|wks|week|weeks|M|month|months|y|yr|yrs|year|years";
    let spans = format!(r"([0-9]+\s*({UNITS})\s*)+");
    match placeholder.ends_with("off") {
        true => format!(r"^\s*(off\s*|{spans})$"),
        false => format!(r"^\s*{spans}$"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_a_table_stands_in_the_schema() {
        let schema = schema();
        let keys = |table: &Value| -> Vec<String> {
            table["properties"].as_object().unwrap().keys().cloned().collect()
        };
        for (table, key) in [("run", Key::Run), ("exec", Key::Exec)] {
            let known = keys(&schema["properties"][table]);
            let options: Vec<_> = table::all().filter(|opt| opt.key == key).collect();
            assert!(options.len() > 10);
            for opt in options {
                assert!(known.iter().any(|key| key == opt.name), "{}", opt.name);
            }
        }
        for section in sections() {
            let known = keys(&schema["properties"][section.prefix]);
            for setting in section.settings {
                assert!(
                    known.iter().any(|key| key == setting.name),
                    "{}.{}",
                    section.prefix,
                    setting.name
                );
            }
        }
        let map = keys(&schema["properties"]["map"]["items"]);
        assert!(map.iter().any(|key| key == "on-error") && map.iter().any(|key| key == "delimiters"));
        assert!(
            ["include", "exclude", "atomic"]
                .iter()
                .all(|name| map.iter().any(|key| key == name))
        );
        let secret = keys(&schema["properties"]["secret"]["items"]);
        assert!(
            ["name", "from", "prefix"]
                .iter()
                .all(|name| secret.iter().any(|key| key == name))
        );
        assert!(!secret.iter().any(|key| key == "atomic"));
    }
}
