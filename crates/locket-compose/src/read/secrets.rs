//! Definitions of secrets and configs, and the grants of services.

use crate::load::Loader;
use crate::model::{Definition, Grant, Origin, Text};
use crate::yaml::{Entry, Kind, Node, Scalar};

pub(super) fn definition(loader: &mut Loader<'_>, entry: &Entry) -> Definition {
    Definition {
        name: entry.key.clone(),
        place: entry.key_place,
        origin: origin(loader, entry),
    }
}

fn origin(loader: &Loader<'_>, entry: &Entry) -> Origin {
    let node = &entry.node;
    let of = |field: &str| node.get(field).and_then(text);
    let external = node.get("external");
    let is_external = external.is_some_and(|node| node.as_str() == Some("true") || node.as_map().is_some());
    if let Some(text) = of("file") {
        let path = loader.resolve(text.place.source, &text.value);
        Origin::File { path, text }
    } else if let Some(text) = of("environment") {
        Origin::Environment(text)
    } else if let Some(text) = of("content") {
        Origin::Content(text)
    } else if is_external {
        let named = external.and_then(|node| node.get("name")).and_then(Node::as_str);
        let named = named.or_else(|| node.get("name")?.as_str());
        Origin::External(named.unwrap_or(&entry.key).to_owned())
    } else if let Some(text) = of("driver") {
        Origin::Driver(text.value)
    } else {
        Origin::Nothing
    }
}

/// The grants of a canonical list.
pub(super) fn grants(loader: &mut Loader<'_>, list: Option<&Node>) -> Vec<Grant> {
    let items = list.and_then(Node::as_list).unwrap_or_default();
    items.iter().filter_map(|item| grant(loader, item)).collect()
}

fn grant(loader: &mut Loader<'_>, item: &Node) -> Option<Grant> {
    let Some(source) = item.get("source").filter(|node| node.as_str().is_some()) else {
        loader.wrong(
            item.place,
            "this names no secret",
            "Write a name, or `source: NAME`.",
        );
        return None;
    };
    let of = |field: &str| item.get(field).and_then(Node::as_str).map(str::to_owned);
    Some(Grant {
        source: source.as_str().unwrap_or_default().to_owned(),
        place: source.place,
        target: of("target"),
        mode: item.get("mode").and_then(Node::as_scalar).and_then(mode),
        uid: of("uid"),
        gid: of("gid"),
    })
}

/// A number is the mode itself; a text is read as octal.
fn mode(scalar: &Scalar) -> Option<u32> {
    match scalar.kind {
        Kind::Number => scalar.text.parse().ok(),
        _ => u32::from_str_radix(scalar.text.trim_start_matches("0o"), 8).ok(),
    }
}

/// A node as a text of the model.
pub(super) fn text(node: &Node) -> Option<Text> {
    let scalar = node.as_scalar()?;
    Some(Text {
        value: scalar.text.clone(),
        written: scalar.written.clone(),
        place: node.place,
    })
}
