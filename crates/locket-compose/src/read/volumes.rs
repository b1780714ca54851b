//! Named volumes, and what is mounted.

use super::secrets::text;
use super::service::variables;
use crate::load::Loader;
use crate::merge::short_source;
use crate::model::{Mount, MountKind, Text, VolumeDefinition};
use crate::yaml::{Entry, Node};

pub(super) fn definition(entry: &Entry) -> VolumeDefinition {
    let node = &entry.node;
    VolumeDefinition {
        name: entry.key.clone(),
        place: entry.key_place,
        driver: node.get("driver").and_then(Node::as_str).map(str::to_owned),
        options: node.get("driver_opts").map(variables).unwrap_or_default(),
        is_external: node.get("external").and_then(Node::as_str) == Some("true"),
    }
}

pub(super) fn mount(loader: &Loader<'_>, item: &Node) -> Option<Mount> {
    match text(item) {
        Some(short) => Some(short_mount(loader, &short)),
        None => long_mount(loader, item),
    }
}

/// `SOURCE:TARGET[:MODE]` or `TARGET`.
fn short_mount(loader: &Loader<'_>, short: &Text) -> Mount {
    let (first, rest) = short_source(&short.value);
    let (second, options) = match rest {
        None => (None, ""),
        Some(rest) => rest
            .split_once(':')
            .map_or((Some(rest), ""), |(target, options)| (Some(target), options)),
    };
    let kind = match second {
        None => MountKind::Anonymous,
        Some(_) if first.starts_with(['.', '/', '~']) || first.contains(':') => bind(loader, first, short),
        Some(_) => MountKind::Volume(first.to_owned()),
    };
    Mount {
        kind,
        target: second.unwrap_or(first).trim_end_matches('/').to_owned(),
        is_read_only: options.split(',').any(|option| option == "ro"),
        place: short.place,
    }
}

fn long_mount(loader: &Loader<'_>, item: &Node) -> Option<Mount> {
    let target = item.get("target")?.as_str()?;
    let source = item.get("source").and_then(text);
    let kind = match (item.get("type").and_then(Node::as_str), source) {
        (Some("bind"), Some(source)) => bind(loader, &source.value, &source),
        (Some("volume") | None, Some(source)) => MountKind::Volume(source.value),
        (Some("volume") | None, None) => MountKind::Anonymous,
        (Some("tmpfs"), _) => MountKind::Tmpfs,
        _ => MountKind::Other,
    };
    Some(Mount {
        kind,
        target: target.trim_end_matches('/').to_owned(),
        is_read_only: item.get("read_only").and_then(Node::as_str) == Some("true"),
        place: item.place,
    })
}

fn bind(loader: &Loader<'_>, path: &str, written: &Text) -> MountKind {
    MountKind::Bind {
        path: match path.contains(":/") || path.contains(":\\") {
            // A drive of another system.
            true => path.into(),
            false => loader.resolve(written.place.source, path),
        },
        text: Text {
            value: path.to_owned(),
            ..written.clone()
        },
    }
}
