//! Maps are merged, lists appended, words replaced; some fields have rules of their own.

use crate::yaml::{Edit, Entry, Map, Node, Value};

/// What an override file makes of the files before it. Services are in their canonical form in both.
pub(crate) fn merge_files(base: &mut Node, over: Node) {
    merge(base, over, &mut Vec::new());
}

/// What a service makes of the one that it extends.
pub(crate) fn merge_service(base: &mut Node, over: Node) {
    merge(base, over, &mut vec!["services".to_owned(), String::new()]);
}

fn merge(base: &mut Node, over: Node, path: &mut Vec<String>) {
    if over.edit == Some(Edit::Override) || replaces(path) {
        *base = over;
        return;
    }
    match (&mut base.value, over.value) {
        // A field without a value changes nothing, but a variable without one is inherited.
        (Value::Map(_) | Value::List(_), Value::Null) => {}
        (Value::Map(base), Value::Map(over)) => merge_maps(base, over, path),
        (Value::List(base), Value::List(over)) => {
            base.extend(over);
            if let Some(identity) = identity(path) {
                keep_last(base, identity);
            }
        }
        (_, value) => {
            *base = Node {
                value,
                place: over.place,
                edit: None,
            }
        }
    }
}

fn merge_maps(base: &mut Map, over: Map, path: &mut Vec<String>) {
    for entry in over.0 {
        if entry.node.edit == Some(Edit::Reset) {
            base.remove(&entry.key);
            continue;
        }
        path.push(entry.key.clone());
        match base.get_mut(&entry.key) {
            Some(known) if is_variable(path) => {
                *known = entry.node;
                if let Some(known) = base.0.iter_mut().find(|known| known.key == entry.key) {
                    known.key_place = entry.key_place;
                }
            }
            Some(known) => merge(known, entry.node, path),
            None => base.0.push(entry),
        }
        path.pop();
    }
}

/// Whether a later value stands alone although it could be merged.
fn replaces(path: &[String]) -> bool {
    let path: Vec<_> = path.iter().map(String::as_str).collect();
    matches!(
        path[..],
        ["services", _, "command" | "entrypoint"] | ["services", _, "healthcheck", "test"]
    )
}

/// Whether this is a name with its value, which also may be no value.
fn is_variable(path: &[String]) -> bool {
    let path: Vec<_> = path.iter().map(String::as_str).collect();
    matches!(
        path[..],
        ["services", _, "environment" | "labels" | "annotations", _]
            | ["services", _, "build", "args" | "labels", _]
    )
}

/// What makes two items of this list the same, of which the later one counts.
fn identity(path: &[String]) -> Option<fn(&Node) -> Option<String>> {
    let path: Vec<_> = path.iter().map(String::as_str).collect();
    match path[..] {
        ["services", _, "env_file"] => Some(|item| Some(item.get("path")?.as_str()?.to_owned())),
        ["services", _, "secrets"] => Some(|item| granted_at(item, "/run/secrets/")),
        ["services", _, "configs"] => Some(|item| granted_at(item, "/")),
        ["services", _, "volumes"] => Some(mounted_at),
        [
            "services",
            _,
            "cap_add" | "cap_drop" | "expose" | "profiles" | "tmpfs" | "devices",
        ] => Some(|item| item.as_str().map(str::to_owned)),
        _ => None,
    }
}

/// A target counts as it is written: to Compose `name` and `/run/secrets/name` are two.
fn granted_at(item: &Node, below: &str) -> Option<String> {
    match item.get("target").and_then(Node::as_str) {
        Some(target) => Some(target.to_owned()),
        None => Some(format!("{below}{}", item.get("source")?.as_str()?)),
    }
}

fn mounted_at(item: &Node) -> Option<String> {
    if let Some(target) = item.get("target") {
        return target.as_str().map(str::to_owned);
    }
    let short = item.as_str()?;
    let (first, rest) = short_source(short);
    let target = rest.and_then(|rest| rest.split(':').next()).unwrap_or(first);
    Some(target.trim_end_matches('/').to_owned())
}

/// `SOURCE:REST` of a short mount, or the target alone. One letter before a path is a drive to Compose, everywhere.
pub(crate) fn short_source(short: &str) -> (&str, Option<&str>) {
    let bytes = short.as_bytes();
    let has_drive = bytes.first().is_some_and(u8::is_ascii_alphabetic)
        && bytes.get(1) == Some(&b':')
        && matches!(bytes.get(2), Some(b'/' | b'\\'));
    let from = if has_drive { 2 } else { 0 };
    match short[from..].find(':') {
        Some(at) => (&short[..from + at], Some(&short[from + at + 1..])),
        None => (short, None),
    }
}

/// Of items that are the same the last one counts, in the place of the first.
fn keep_last(list: &mut Vec<Node>, identity: fn(&Node) -> Option<String>) {
    let mut kept: Vec<(Option<String>, Node)> = Vec::with_capacity(list.len());
    for item in list.drain(..) {
        let name = identity(&item);
        match kept
            .iter_mut()
            .find(|(known, _)| name.is_some() && *known == name)
        {
            Some((_, known)) => *known = item,
            None => kept.push((name, item)),
        }
    }
    list.extend(kept.into_iter().map(|(_, item)| item));
}

/// Removes what `!reset` marks where there is nothing to merge it with.
pub(crate) fn without_resets(node: &mut Node) {
    match &mut node.value {
        Value::Map(map) => {
            map.0.retain(|Entry { node, .. }| node.edit != Some(Edit::Reset));
            map.0.iter_mut().for_each(|entry| without_resets(&mut entry.node));
        }
        Value::List(list) => {
            list.retain(|node| node.edit != Some(Edit::Reset));
            list.iter_mut().for_each(without_resets);
        }
        Value::Null | Value::Scalar(_) => {}
    }
}
