//! Compose has several forms for many things. Here each gets one, so that merging and reading know only that.

use crate::place::Place;
use crate::yaml::{Entry, Map, Node, Scalar, Value};

/// Puts every field of a service that has several forms into the one that is read.
pub(crate) fn canonical_service(service: &mut Node) {
    let Value::Map(fields) = &mut service.value else {
        return;
    };
    for Entry { key, node, .. } in &mut fields.0 {
        match key.as_str() {
            "environment" | "labels" | "annotations" => canonical_pairs(node),
            "env_file" => canonical_list(node, "path"),
            "secrets" | "configs" => canonical_list(node, "source"),
            "tmpfs" | "profiles" | "dns" => canonical_list(node, ""),
            "depends_on" => canonical_dependencies(node),
            "build" => canonical_build(node),
            "extends" => canonical_word(node, "service"),
            _ => {}
        }
    }
}

/// The variables that `node` lists as a map or as `NAME=VALUE`; without a value they are inherited.
pub(crate) fn pairs(node: &Node) -> Vec<Entry> {
    match &node.value {
        Value::Map(map) => map.0.clone(),
        Value::List(list) => {
            let mut map = Map::default();
            list.iter().filter_map(pair).for_each(|entry| map.set(entry));
            map.0
        }
        Value::Null | Value::Scalar(_) => Vec::new(),
    }
}

fn canonical_pairs(node: &mut Node) {
    if node.as_list().is_some() {
        node.value = Value::Map(Map(pairs(node)));
    }
}

/// `NAME=VALUE` as a key and its value, each with its own place where the text stands as it was written.
fn pair(item: &Node) -> Option<Entry> {
    let scalar = item.as_scalar()?;
    let (key, value) = match scalar.text.split_once('=') {
        Some((key, value)) => (key, Some(value)),
        None => (scalar.text.as_str(), None),
    };
    let written = scalar.written.split_once('=');
    let (key_place, value_place) = places(item.place, &scalar.written);
    let node = match value {
        None => Node::new(Value::Null, value_place),
        Some(value) => {
            let scalar = Scalar {
                written: written.map_or(value, |(_, written)| written).to_owned(),
                ..Scalar::text(value)
            };
            Node::new(Value::Scalar(scalar), value_place)
        }
    };
    Some(Entry {
        key: key.to_owned(),
        key_place,
        node,
    })
}

/// Where the halves of `NAME=VALUE` stand: exact when it is in one line and nothing in it is escaped.
fn places(whole: Place, written: &str) -> (Place, Place) {
    let length = whole.span.end - whole.span.start;
    let quote = match length.checked_sub(written.len()) {
        Some(0) => 0,
        Some(2) => 1,
        _ => return (whole, whole),
    };
    match written.find('=') {
        None => (whole, whole),
        Some(at) => (
            whole.part(quote, quote + at),
            whole.part(quote + at + 1, length - quote),
        ),
    }
}

/// A word or a list, as a list; a word in it becomes a map with `field`, where there is one.
fn canonical_list(node: &mut Node, field: &str) {
    if let Value::Scalar(scalar) = &node.value {
        let item = Node::new(Value::Scalar(scalar.clone()), node.place);
        node.value = Value::List(vec![item]);
    }
    if let (Value::List(list), false) = (&mut node.value, field.is_empty()) {
        list.iter_mut().for_each(|item| canonical_word(item, field));
    }
}

/// A word becomes a map in which it is `field`.
fn canonical_word(node: &mut Node, field: &str) {
    if let Value::Scalar(scalar) = &node.value {
        let entry = Entry {
            key: field.to_owned(),
            key_place: node.place,
            node: Node::new(Value::Scalar(scalar.clone()), node.place),
        };
        node.value = Value::Map(Map(vec![entry]));
    }
}

fn canonical_dependencies(node: &mut Node) {
    let Value::List(list) = &node.value else {
        return;
    };
    let mut map = Map::default();
    for item in list {
        if let Some(name) = item.as_str() {
            map.set(Entry {
                key: name.to_owned(),
                key_place: item.place,
                node: Node::new(Value::Map(Map::default()), item.place),
            });
        }
    }
    node.value = Value::Map(map);
}

fn canonical_build(node: &mut Node) {
    canonical_word(node, "context");
    if let Value::Map(map) = &mut node.value {
        for Entry { key, node, .. } in &mut map.0 {
            match key.as_str() {
                "args" | "labels" => canonical_pairs(node),
                "secrets" => canonical_list(node, "source"),
                _ => {}
            }
        }
    }
}
