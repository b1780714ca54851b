//! One service of the tree.

use super::secrets::{grants, text};
use super::volumes;
use crate::load::Loader;
use crate::merge::pairs;
use crate::model::{
    Build, Condition, Dependency, EnvFile, Healthcheck, Mount, ProviderUse, Service, Text, Variable, Words,
};
use crate::yaml::{Entry, Node, Value};

pub(super) fn service(loader: &mut Loader<'_>, entry: &Entry) -> Option<Service> {
    let node = &entry.node;
    if node.as_map().is_none() {
        let wrong = format!("the service `{}` is no map", entry.key);
        loader.wrong(
            entry.key_place,
            wrong,
            "It needs an `image` or a `build` at least.",
        );
        return None;
    }
    let one = |field: &str| node.get(field).and_then(text);
    let list = |field: &str| -> Vec<Text> {
        let items = node.get(field).and_then(Node::as_list).unwrap_or_default();
        items.iter().filter_map(text).collect()
    };
    let of = |field: &str| node.get(field).map(variables).unwrap_or_default();
    Some(Service {
        name: entry.key.clone(),
        place: entry.key_place,
        body: node.place,
        image: one("image"),
        build: node.get("build").map(|build| read_build(loader, build)),
        user: one("user"),
        container_name: one("container_name"),
        command: node.get("command").and_then(words),
        entrypoint: node.get("entrypoint").and_then(words),
        environment: of("environment"),
        env_files: env_files(loader, node.get("env_file")),
        resolved: Vec::new(),
        secrets: grants(loader, node.get("secrets")),
        configs: grants(loader, node.get("configs")),
        volumes: mounts(loader, node.get("volumes")),
        tmpfs: list("tmpfs"),
        depends_on: dependencies(node.get("depends_on")),
        healthcheck: node.get("healthcheck").map(healthcheck),
        profiles: list("profiles")
            .into_iter()
            .map(|profile| profile.value)
            .collect(),
        labels: of("labels"),
        provider: node.get("provider").and_then(provider),
    })
}

/// A canonical map, or a list, of names and values.
pub(super) fn variables(node: &Node) -> Vec<Variable> {
    pairs(node)
        .into_iter()
        .map(|entry| Variable {
            value: text(&entry.node),
            name: entry.key,
            place: entry.key_place,
        })
        .collect()
}

fn words(node: &Node) -> Option<Words> {
    let (words, is_text) = match &node.value {
        Value::Scalar(_) => (vec![text(node)?], true),
        Value::List(list) => (list.iter().filter_map(text).collect(), false),
        Value::Null | Value::Map(_) => return None,
    };
    Some(Words {
        words,
        is_text,
        place: node.place,
    })
}

fn env_files(loader: &mut Loader<'_>, list: Option<&Node>) -> Vec<EnvFile> {
    let items = list.and_then(Node::as_list).unwrap_or_default();
    items
        .iter()
        .filter_map(|item| {
            let text = item.get("path").and_then(text)?;
            let of = |field: &str| item.get(field).and_then(Node::as_str);
            Some(EnvFile {
                path: loader.resolve(text.place.source, &text.value),
                text,
                is_required: of("required") != Some("false"),
                is_raw: of("format") == Some("raw"),
            })
        })
        .collect()
}

fn mounts(loader: &Loader<'_>, list: Option<&Node>) -> Vec<Mount> {
    let items = list.and_then(Node::as_list).unwrap_or_default();
    items
        .iter()
        .filter_map(|item| volumes::mount(loader, item))
        .collect()
}

fn dependencies(node: Option<&Node>) -> Vec<Dependency> {
    let entries = node.and_then(Node::as_map).map_or(&[][..], |map| &map.0);
    entries
        .iter()
        .map(|entry| {
            let condition_text = entry.node.get("condition").and_then(text);
            let of = |field: &str| entry.node.get(field).and_then(Node::as_str);
            Dependency {
                service: entry.key.clone(),
                place: entry.key_place,
                condition: condition_text.as_ref().map(|text| match text.value.as_str() {
                    "service_started" => Condition::Started,
                    "service_healthy" => Condition::Healthy,
                    "service_completed_successfully" => Condition::Completed,
                    _ => Condition::Unknown,
                }),
                condition_text,
                is_required: of("required") != Some("false"),
                restarts: of("restart") == Some("true"),
            }
        })
        .collect()
}

fn healthcheck(node: &Node) -> Healthcheck {
    let test = node.get("test").and_then(words);
    let is_none = test
        .as_ref()
        .is_some_and(|test| test.words.first().is_some_and(|word| word.value == "NONE"));
    Healthcheck {
        place: node.place,
        is_disabled: is_none || node.get("disable").and_then(Node::as_str) == Some("true"),
        test,
    }
}

fn read_build(loader: &mut Loader<'_>, node: &Node) -> Build {
    let context = node.get("context").and_then(text);
    let is_remote = |text: &Text| text.value.contains("://") || text.value.starts_with("git@");
    Build {
        context: match context {
            None => Some(loader.resolve(node.place.source, ".")),
            Some(text) if is_remote(&text) => None,
            Some(text) => Some(loader.resolve(text.place.source, &text.value)),
        },
        args: node.get("args").map(variables).unwrap_or_default(),
        secrets: grants(loader, node.get("secrets")),
    }
}

fn provider(node: &Node) -> Option<ProviderUse> {
    let mut options = Vec::new();
    for entry in node
        .get("options")
        .and_then(Node::as_map)
        .map_or(&[][..], |map| &map.0)
    {
        let values = match entry.node.as_list() {
            Some(list) => list.iter().filter_map(text).collect(),
            None => text(&entry.node).into_iter().collect::<Vec<_>>(),
        };
        options.extend(values.into_iter().map(|value| Variable {
            name: entry.key.clone(),
            place: entry.key_place,
            value: Some(value),
        }));
    }
    Some(ProviderUse {
        kind: node.get("type").and_then(text)?,
        options,
    })
}
