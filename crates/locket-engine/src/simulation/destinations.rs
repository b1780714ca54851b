//! What is at the destinations, as far as the model knows: every write of the agent shows in its trace.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use locket_core::plan::OnError;

use super::invariant::{Broken, Invariant};
use super::text::{ItemName, Shown};
use super::world::World;
use crate::sink::Phase;

/// The files at the destinations.
#[derive(Debug)]
pub(super) struct Destinations {
    pub(super) root: PathBuf,
    pub(super) table: BTreeMap<PathBuf, Held>,
}

/// What is known of one path.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// The file's content, if there is a file.
    pub(super) content: Option<String>,
    /// Whether the agent put it there.
    pub(super) is_ours: bool,
    /// Whether it is the template's own text.
    pub(super) is_placeholder: bool,
    /// When somebody else was last at it.
    pub(super) foreign_at: Duration,
    /// Whether something stands in the way of a file.
    pub(super) is_blocked: bool,
    /// Whether the running agent wrote it or found it as it should be.
    pub(super) is_confirmed: bool,
    /// The newest version of each item that it ever showed.
    versions: BTreeMap<ItemName, u64>,
    replaced: Option<String>,
}

impl Destinations {
    pub(super) fn new(root: &Path) -> Self {
        Self {
            root: root.join("out"),
            table: BTreeMap::new(),
        }
    }

    pub(super) fn begin_life(&mut self) {
        for held in self.table.values_mut() {
            held.is_confirmed = false;
        }
    }

    pub(super) fn held(&mut self, path: &Path) -> &mut Held {
        self.table.entry(path.to_owned()).or_default()
    }

    /// Somebody else was at `path`.
    pub(super) fn meddle(&mut self, path: &Path, now: Duration) {
        let content = read(path);
        let held = self.held(path);
        held.is_ours = false;
        held.is_placeholder = false;
        held.foreign_at = now;
        held.content = content;
    }
}

/// The content of a regular file.
pub(super) fn read(path: &Path) -> Option<String> {
    let metadata = fs::symlink_metadata(path).ok()?;
    metadata.is_file().then(|| fs::read_to_string(path).unwrap())
}

impl World {
    /// The agent says how far a write has come.
    pub(super) fn on_phase(&mut self, phase: &str, path: &Path) {
        if phase == Phase::Rename.name() {
            self.destinations.held(path).replaced = read(path);
        } else if phase == Phase::Settled.name()
            && let Err(Broken { invariant, detail }) = self.on_written(path)
        {
            self.fail(invariant, format!("{}: {detail}", path.display()));
        }
    }

    fn on_written(&mut self, path: &Path) -> Result<(), Broken> {
        let now = self.now();
        let content = read(path).unwrap_or_default();
        let short = path.strip_prefix(&self.root).unwrap_or(path).display();
        let line = format!("wrote {short}: {}", content.replace('\n', "|"));
        let Some(asked) = self.sources.outputs.get(path) else {
            return Err(Broken::new(Invariant::Outside, "nobody asked for it"));
        };
        let held = self.destinations.table.entry(path.to_owned()).or_default();
        let replaced = held.replaced.take();
        if replaced.as_ref() == Some(&content) {
            return Err(Broken::new(
                Invariant::Rewrite,
                "the same content was written again",
            ));
        }
        let texts = asked.texts.iter().rev();
        let found = texts
            .clone()
            .filter(|text| !text.is_wrong)
            .find_map(|text| text.explain(&content));
        held.is_placeholder = found.is_none();
        let Some(found) = found else {
            if !texts.clone().any(|text| text.bytes == content) {
                return Err(Broken::new(
                    Invariant::Whole,
                    format!("it is no rendering: {content:?}"),
                ));
            }
            if replaced.is_some() || self.drill.settings(asked.map).on_error != OnError::Passthrough {
                return Err(Broken::new(
                    Invariant::Placeholder,
                    "it holds its template's text",
                ));
            }
            self.accept(path, content, now, &line);
            return Ok(());
        };
        for (item, shown) in found {
            let &[shown] = shown.as_slice() else {
                return Err(Broken::new(
                    Invariant::Coherent,
                    format!("it shows {shown:?} of {item:?}"),
                ));
            };
            let Shown::Version(version) = shown else { continue };
            if version > self.vault.items[&item].version {
                return Err(Broken::new(
                    Invariant::Whole,
                    format!("{item:?} has no version {version}"),
                ));
            }
            let newest = held.versions.entry(item.clone()).or_default();
            if version < *newest {
                let detail = format!("it goes back to version {version} of {item:?}");
                return Err(Broken::new(Invariant::Forward, detail));
            }
            *newest = version;
        }
        self.accept(path, content, now, &line);
        Ok(())
    }

    fn accept(&mut self, path: &Path, content: String, now: Duration, line: &str) {
        self.trace(line);
        let map = self.sources.outputs[path].map;
        let held = self.destinations.held(path);
        held.content = Some(content);
        held.is_ours = true;
        held.is_confirmed = true;
        self.consumers.owe(self.drill.consumers(map), path, now, None);
    }
}
