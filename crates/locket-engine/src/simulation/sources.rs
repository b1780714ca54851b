//! The templates as they are on disk, read independently of the engine, and everything they ever were.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use locket_core::plan::Source;

use super::drill::{Drill, SIZE_LIMIT};
use super::text::Text;
use super::vault::INSTANCES;

/// What the sources ask for.
#[derive(Debug)]
pub(super) struct Sources {
    maps: Vec<(PathBuf, PathBuf)>,
    pub(super) outputs: BTreeMap<PathBuf, Asked>,
    /// For each map, since when it has a template, if it has one.
    pub(super) present_since: Vec<Option<Duration>>,
    /// Every file in the sources and its content.
    pub(super) files: BTreeMap<PathBuf, Vec<u8>>,
}

/// One output that was asked for at some time.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) map: usize,
    /// Everything that its template ever was, the newest last.
    pub(super) texts: Vec<Arc<Text>>,
    /// When the newest came, or the template came back.
    pub(super) edited_at: Duration,
    /// Since when there is no template.
    pub(super) gone_since: Option<Duration>,
}

impl Asked {
    pub(super) fn text(&self) -> &Arc<Text> {
        self.texts.last().unwrap()
    }
}

impl Sources {
    pub(super) fn new(root: &Path, drill: &Drill) -> Self {
        let plan = &drill.plan;
        let inline = plan.secrets.iter().enumerate().map(|(number, secret)| {
            let Source::Inline { text, .. } = &secret.source else {
                unreachable!("all secrets are inline");
            };
            let asked = Asked {
                map: plan.maps.len() + number,
                texts: vec![Arc::new(Text::read(text.clone(), &INSTANCES, SIZE_LIMIT))],
                edited_at: Duration::ZERO,
                gone_since: None,
            };
            (plan.out.join(&secret.name), asked)
        });
        for directory in ["in/a", "in/b", "outside", "out"] {
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        fs::write(root.join("outside/victim"), "not ours").unwrap();
        Self {
            maps: plan
                .maps
                .iter()
                .map(|map| (map.source.clone(), map.destination.clone()))
                .collect(),
            outputs: inline.collect(),
            present_since: vec![None; plan.maps.len()],
            files: BTreeMap::new(),
        }
    }

    /// Takes in what is there now.
    pub(super) fn look(&mut self, now: Duration) {
        let mut found = BTreeMap::new();
        for (map, (source, destination)) in self.maps.iter().enumerate() {
            let before = found.len();
            if source.is_dir() {
                let root = source.canonicalize().unwrap();
                walk(
                    &root,
                    source,
                    destination,
                    &mut vec![root.clone()],
                    &mut |target, file| {
                        found.insert(target, (map, fs::read_to_string(file).unwrap()));
                    },
                );
            } else if let Ok(text) = fs::read_to_string(source) {
                found.insert(destination.clone(), (map, text));
            }
            self.present_since[map] = match (found.len() > before, self.present_since[map]) {
                (true, since) => since.or(Some(now)),
                (false, _) => None,
            };
        }
        for (target, asked) in &mut self.outputs {
            if asked.map < self.maps.len() && !found.contains_key(target) && asked.gone_since.is_none() {
                asked.gone_since = Some(now);
            }
        }
        for (target, (map, text)) in found {
            let asked = self.outputs.entry(target).or_insert_with(|| Asked {
                map,
                texts: Vec::new(),
                edited_at: now,
                gone_since: None,
            });
            if asked.gone_since.take().is_some() {
                asked.edited_at = now;
            }
            if asked.texts.last().is_none_or(|last| last.bytes != text) {
                asked
                    .texts
                    .push(Arc::new(Text::read(text, &INSTANCES, SIZE_LIMIT)));
                asked.edited_at = now;
            }
        }
        self.files = Self::all_files(&self.maps);
    }

    /// Whether the files are as they were at the last look.
    pub(super) fn is_untouched(&self) -> bool {
        Self::all_files(&self.maps) == self.files
    }

    fn all_files(maps: &[(PathBuf, PathBuf)]) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut open: Vec<_> = maps.iter().map(|(source, _)| source.clone()).collect();
        while let Some(path) = open.pop() {
            let Ok(metadata) = fs::symlink_metadata(&path) else {
                continue;
            };
            if metadata.is_dir() {
                open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            } else if metadata.is_symlink() {
                files.insert(
                    path.clone(),
                    fs::read_link(&path)
                        .unwrap()
                        .into_os_string()
                        .into_encoded_bytes(),
                );
            } else {
                files.insert(path.clone(), fs::read(&path).unwrap());
            }
        }
        files
    }

    /// The outputs that are asked for now.
    pub(super) fn asked(&self) -> impl Iterator<Item = (&PathBuf, &Asked)> {
        self.outputs
            .iter()
            .filter(|(_, asked)| asked.gone_since.is_none())
    }
}

/// Every template below `directory`: links are followed inside `root` and not in circles; names that begin with `..`
/// are none.
fn walk(
    root: &Path,
    directory: &Path,
    destination: &Path,
    above: &mut Vec<PathBuf>,
    found: &mut impl FnMut(PathBuf, &Path),
) {
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        if name.to_string_lossy().starts_with("..") {
            continue;
        }
        let Ok(real) = entry.path().canonicalize() else {
            continue;
        };
        if !real.starts_with(root) || above.contains(&real) {
            continue;
        }
        if real.is_dir() {
            above.push(real);
            walk(root, &entry.path(), &destination.join(name), above, found);
            above.pop();
        } else {
            found(destination.join(name), &entry.path());
        }
    }
}
