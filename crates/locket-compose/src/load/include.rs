//! `include`: other projects, each with its own directory and variables, whose parts become parts of this one.

use std::path::{Path, PathBuf};

use super::find::parent;
use super::loader::{Loader, Scope};
use crate::place::join;
use crate::yaml::{Entry, Map, Node, Value};

/// Longer chains are circles by way of links.
const DEEPEST: usize = 24;

/// Files that each include the next one twice would be read two to the power of their number times.
const MOST_INCLUDED: usize = 1000;

/// What an included project brings.
const SECTIONS: [&str; 5] = ["services", "secrets", "configs", "volumes", "networks"];

impl Loader<'_> {
    /// Adds to `document` what it includes.
    pub(super) fn include(
        &mut self,
        document: &mut Node,
        path: &Path,
        scope: &Scope,
        trail: &mut Vec<PathBuf>,
    ) {
        let Value::Map(root) = &mut document.value else {
            return;
        };
        let Some(include) = root.remove("include") else {
            return;
        };
        trail.push(path.to_owned());
        for item in include.node.as_list().unwrap_or_default() {
            if let Some(included) = self.included(item, scope, trail) {
                self.import(root, &included);
            }
        }
        trail.pop();
    }

    /// One item of the list: a path, or a map with paths, a directory and files of variables.
    fn included(&mut self, item: &Node, scope: &Scope, trail: &mut Vec<PathBuf>) -> Option<Node> {
        let paths = match item.get("path") {
            Some(paths) => words(paths),
            None => words(item),
        };
        let paths: Vec<_> = paths
            .iter()
            .map(|path| join(&scope.base, Path::new(path)))
            .collect();
        let Some(first) = paths.first() else {
            self.wrong(
                item.place,
                "this includes nothing",
                "Write the path of a Compose file.",
            );
            return None;
        };
        if trail.len() > DEEPEST || paths.iter().any(|path| trail.contains(path)) {
            self.wrong(
                item.place,
                "this file includes itself",
                "Remove one of the steps of the circle.",
            );
            return None;
        }
        let before = self.included;
        self.included += paths.len();
        if self.included > MOST_INCLUDED {
            // Said where it is noticed first; what comes after is left out as well.
            if before <= MOST_INCLUDED {
                self.wrong(
                    item.place,
                    format!("this project includes files more than {MOST_INCLUDED} times"),
                    "Include each file once: what it brings counts for the whole project.",
                );
            }
            return None;
        }
        let base = match item.get("project_directory").and_then(Node::as_str) {
            Some(directory) => join(&scope.base, Path::new(directory)),
            None => parent(first),
        };
        let mut inner = Scope {
            variables: scope.variables.clone(),
            base,
        };
        match item.get("env_file") {
            Some(files) => {
                for file in words(files).iter().rev() {
                    let path = join(&scope.base, Path::new(file));
                    if let Err(why) = inner.variables.add_file(&path, self) {
                        let wrong = format!("{} cannot be read: {why}", path.display());
                        self.wrong(files.place, wrong, "Paths count from the file that includes.");
                    }
                }
            }
            None => {
                let path = inner.base.join(".env");
                if self.files.exists(&path) && inner.base != scope.base {
                    let _ = inner.variables.add_file(&path, self);
                }
            }
        }
        match self.merged(&paths, &inner, trail) {
            Ok(node) => Some(node),
            Err(error) => {
                self.wrong(
                    item.place,
                    error.to_string(),
                    "Paths count from the file that includes.",
                );
                None
            }
        }
    }

    fn import(&mut self, root: &mut Map, included: &Node) {
        for section in SECTIONS {
            let Some(theirs) = included.as_map().and_then(|map| map.entry(section)) else {
                continue;
            };
            if root.get(section).is_none_or(Node::is_null) {
                root.set(theirs.clone());
                continue;
            }
            let Some(Value::Map(ours)) = root.get_mut(section).map(|node| &mut node.value) else {
                continue;
            };
            for entry in theirs.node.as_map().map_or(&[][..], |map| &map.0) {
                match ours.entry(&entry.key) {
                    None => ours.0.push(entry.clone()),
                    Some(own) if is_same(&own.node, &entry.node) => {}
                    Some(Entry { key, key_place, .. }) => {
                        let (message, place) =
                            (format!("`{key}` is also in a file that is included"), *key_place);
                        self.wrong(place, message, "Give one of the two another name.");
                    }
                }
            }
        }
    }
}

/// Whether two values are the same, wherever they stand.
fn is_same(one: &Node, other: &Node) -> bool {
    match (&one.value, &other.value) {
        (Value::Null, Value::Null) => true,
        (Value::Scalar(one), Value::Scalar(other)) => one.text == other.text,
        (Value::List(one), Value::List(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        (Value::Map(one), Value::Map(other)) => {
            one.0.len() == other.0.len()
                && one.0.iter().all(|entry| {
                    other
                        .get(&entry.key)
                        .is_some_and(|node| is_same(&entry.node, node))
                })
        }
        _ => false,
    }
}

/// A word, or a list of words.
fn words(node: &Node) -> Vec<String> {
    match &node.value {
        Value::Scalar(scalar) => vec![scalar.text.clone()],
        Value::List(list) => list.iter().filter_map(Node::as_str).map(str::to_owned).collect(),
        Value::Null | Value::Map(_) => Vec::new(),
    }
}
