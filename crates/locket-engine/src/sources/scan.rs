//! The plan's outputs as they are on disk now; templates are parsed once for each content.

use std::collections::BTreeSet;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use locket_core::plan::{OutputSettings, Plan, Source};
use rustc_hash::FxHashMap;

use super::error::{SourceError, Trouble};
use super::listing::{Listed, Listing, Listings};
use super::parse::{From, Located, Parsed, parse, read};
use super::target::{Target, root_of};
use super::variables::{self, EnvFiles};
use super::walk;
use crate::instances::Instances;
use crate::resolve::SecretKey;
use crate::tasks;

/// One output of this moment.
#[derive(Clone, Debug)]
pub struct Found {
    /// Where it goes.
    pub target: Target,
    /// Where its template comes from.
    pub source: Source,
    /// How it is written.
    pub settings: Arc<OutputSettings>,
    /// The template, or why there is none.
    pub template: Result<Arc<Parsed>, Arc<SourceError>>,
    /// What it is to the round.
    pub role: Role,
    /// Its place among the secrets of the plan; zero for what a map makes.
    pub rank: usize,
}

/// What an output is to the round.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// A file.
    #[default]
    File,
    /// The file of one key of a wildcard.
    Key {
        /// The wildcard's own place among the outputs.
        listing: Target,
        /// The key.
        key: Arc<str>,
    },
    /// A wildcard itself: it is asked for, and nothing is written.
    Listing(Arc<Listing>),
    /// A variable whose value is the path of a file that holds what was rendered.
    VariableFile,
}

/// Everything there is at this moment.
#[derive(Debug, Default)]
pub struct Scan {
    /// The outputs.
    pub found: Vec<Found>,
    /// What is left out, and why.
    pub trouble: Vec<Trouble>,
    /// What could not be looked at, and why: nothing that was made of a template there, or below it, is deleted.
    pub unseen: Vec<Trouble>,
    /// Destination roots whose source is gone, or has lost every template at once: nothing of theirs is deleted.
    pub withheld: Vec<Arc<Path>>,
}

/// Looks at the sources of a plan, again and again.
pub struct Scanner {
    plan: Plan,
    instances: Arc<Instances>,
    settings: Vec<Arc<OutputSettings>>,
    files: FxHashMap<PathBuf, Known>,
    inline: Option<Vec<Found>>,
    env_files: EnvFiles,
    listings: Listings,
    /// Whether a template may have a second path, so that the path of a change does not tell all that it changes.
    has_links: bool,
    round: u64,
}

/// What a file was when it was last read.
struct Known {
    stamp: Stamp,
    settings: Arc<OutputSettings>,
    template: Parse,
    round: u64,
}

/// What came of a text.
type Parse = Result<Arc<Parsed>, Arc<SourceError>>;

/// A text that was read, and what its file was then; or why it could not be read.
type Read = Result<(Stamp, Parse), Arc<SourceError>>;

/// Changes with every write, rename or touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Found {
    /// The secrets that its template names; none if it cannot be used.
    pub fn keys(&self) -> &[SecretKey] {
        self.template.as_ref().map_or(&[], |parsed| &parsed.keys)
    }
}

impl Scanner {
    /// A scanner of `plan`, whose references `instances` understand.
    pub fn new(plan: Plan, instances: Arc<Instances>) -> Self {
        let settings = plan
            .maps
            .iter()
            .map(|map| &map.settings)
            .chain(plan.secrets.iter().map(|secret| &secret.settings))
            .cloned()
            .map(Arc::new)
            .collect();
        Self {
            plan,
            instances,
            settings,
            files: FxHashMap::default(),
            inline: None,
            env_files: EnvFiles::default(),
            listings: Listings::default(),
            has_links: false,
            round: 0,
        }
    }

    /// The plan it scans.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Takes out every template that it has read.
    pub fn take_templates(&mut self) -> Vec<Arc<Parsed>> {
        let known = std::mem::take(&mut self.files).into_values();
        known.filter_map(|known| known.template.ok()).collect()
    }

    /// Takes over what the wildcards gave when they were last read.
    pub fn know(&mut self, listed: Listed) {
        self.listings.know(listed);
    }

    /// Looks at every source. Files whose stamp is unchanged are not read again.
    pub fn scan(&mut self) -> Scan {
        self.round += 1;
        self.has_links = false;
        let mut scan = Scan::default();
        for index in 0..self.plan.maps.len() {
            self.scan_map(index, &mut scan);
        }
        let inline = match self.inline.take() {
            Some(inline) => inline,
            None => self.inline_secrets(&mut Located::default()),
        };
        scan.found.extend(inline.iter().cloned());
        self.inline = Some(inline);
        for index in 0..self.plan.secrets.len() {
            if matches!(self.plan.secrets[index].source, Source::File(_)) {
                self.scan_secret_file(index, &mut scan);
            }
        }
        let settings = &self.settings[self.plan.maps.len()..];
        self.env_files.scan(
            &self.plan,
            settings,
            &self.instances,
            &mut Located::default(),
            &mut scan.found,
        );
        self.listings
            .scan(&self.plan, settings, &self.instances, &mut scan.found);
        variables::settle(&self.plan, &mut scan.found);
        let round = self.round;
        self.files.retain(|_, known| known.round == round);
        scan
    }

    /// Looks at the files at `changed` only, whose outputs `found` are, and gives these anew.
    ///
    /// That is possible while nothing but the content of templates changed, which is what edits do; where more did, or
    /// may have, it is none, and only [`Scanner::scan`] tells.
    pub fn look_again(&mut self, changed: &BTreeSet<PathBuf>, mut found: Vec<Found>) -> Option<Vec<Found>> {
        if self.has_links {
            return None;
        }
        let mut looked = FxHashMap::default();
        for path in changed {
            match fs::symlink_metadata(path) {
                Ok(metadata) if self.is_template(path, &metadata) => {
                    looked.insert(path.as_path(), metadata);
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound && self.is_passing(path) => {}
                _ => return None,
            }
        }
        for found in &mut found {
            let (Source::File(path), Role::File) = (&found.source, &found.role) else {
                return None;
            };
            // Whether that still holds, only all outputs together tell.
            if matches!(found.template.as_deref(), Err(error) if error.is_refusal()) {
                return None;
            }
            found.template = self.file(path, looked.get(path.as_path())?, &found.settings);
        }
        Some(found)
    }

    /// Whether there is a file where one was, and under this name alone.
    fn is_template(&self, path: &Path, metadata: &Metadata) -> bool {
        metadata.is_file() && metadata.nlink() == 1 && self.files.contains_key(path)
    }

    /// Whether a path that leads to nothing never led to a template: an editor's own file has come and gone there.
    fn is_passing(&self, path: &Path) -> bool {
        let is_within = |root: &Path| path.starts_with(root) && path != root;
        let mut sources = self.plan.secrets.iter().map(|secret| &secret.source);
        self.plan.maps.iter().any(|map| is_within(&map.source))
            && !self.files.keys().any(|known| known.starts_with(path))
            && !sources.any(|source| match source {
                Source::File(file) | Source::EnvFile(file) => file.starts_with(path),
                Source::Inline { .. } | Source::Every { .. } => false,
            })
    }

    fn scan_map(&mut self, index: usize, scan: &mut Scan) {
        let map = &self.plan.maps[index];
        let (source, destination) = (map.source.clone(), map.destination.clone());
        let settings = self.settings[index].clone();
        let metadata = match fs::metadata(&source) {
            Ok(metadata) => metadata,
            Err(error) => {
                // What is gone was a directory or a file: the root of its outputs is either of these.
                scan.withheld.push(root_of(&destination, &source).root);
                scan.withheld.push(destination.into());
                scan.trouble.push(Trouble {
                    path: source,
                    reason: format!("the source cannot be found: {error}"),
                });
                return;
            }
        };
        if !metadata.is_dir() {
            let target = root_of(&destination, &source);
            let template = self.file(&source, &metadata, &settings);
            scan.found.push(Found {
                target,
                source: Source::File(source),
                settings,
                template,
                role: Role::File,
                rank: 0,
            });
            return;
        }
        let root: Arc<Path> = destination.into();
        let mut relative = match walk::files(&source, &mut scan.trouble) {
            Ok(files) => {
                self.has_links |= files.has_links;
                scan.unseen.extend(files.unseen);
                files.relative
            }
            Err(error) => {
                scan.withheld.push(root);
                scan.trouble.push(Trouble {
                    path: source,
                    reason: format!("the source cannot be listed: {error}"),
                });
                return;
            }
        };
        relative.retain(|path| settings.select.takes(&path.to_string_lossy()));
        let paths: Vec<_> = relative.iter().map(|relative| source.join(relative)).collect();
        let templates = self.files(&paths, &settings);
        let before = scan.found.len();
        scan.found.reserve(paths.len());
        for ((relative, path), template) in relative.iter().zip(paths).zip(templates) {
            // Gone since it was listed.
            if matches!(&template, Err(error) if error.is_absence()) {
                continue;
            }
            scan.found.push(Found {
                target: Target {
                    root: root.clone(),
                    relative: relative.as_path().into(),
                },
                source: Source::File(path),
                settings: settings.clone(),
                template,
                role: Role::File,
                rank: 0,
            });
        }
        if scan.found.len() == before {
            scan.withheld.push(root);
        }
    }

    fn scan_secret_file(&mut self, index: usize, scan: &mut Scan) {
        let secret = &self.plan.secrets[index];
        let Source::File(path) = secret.source.clone() else {
            return;
        };
        let settings = self.settings[self.plan.maps.len() + index].clone();
        let target = variables::target(secret, &self.plan.out);
        let role = variables::role(secret);
        match fs::metadata(&path) {
            Ok(metadata) => {
                let template = self.file(&path, &metadata, &settings);
                scan.found.push(Found {
                    target,
                    source: Source::File(path),
                    settings,
                    template,
                    role,
                    rank: index,
                });
            }
            Err(error) => {
                let template = Err(Arc::new(SourceError::unreadable(&path, &error)));
                scan.found.push(Found {
                    target,
                    source: Source::File(path),
                    settings,
                    template,
                    role,
                    rank: index,
                });
            }
        }
    }

    fn inline_secrets(&self, located: &mut Located) -> Vec<Found> {
        let settings = &self.settings[self.plan.maps.len()..];
        let secrets = self.plan.secrets.iter().zip(settings).enumerate();
        secrets
            .filter_map(|(rank, (secret, settings))| {
                let Source::Inline { text, .. } = &secret.source else {
                    return None;
                };
                let name = secret.source.shown();
                Some(Found {
                    target: variables::target(secret, &self.plan.out),
                    template: parse(
                        &name,
                        &text.as_bytes().into(),
                        &settings.template,
                        &self.instances,
                        located,
                    ),
                    source: secret.source.clone(),
                    settings: settings.clone(),
                    role: variables::role(secret),
                    rank,
                })
            })
            .collect()
    }

    fn file(&mut self, path: &Path, metadata: &Metadata, settings: &Arc<OutputSettings>) -> Parse {
        if let Some(template) = self.known(path, metadata, settings) {
            return template;
        }
        let read = self.read(path, settings, &mut Located::default());
        self.keep(path, settings, read)
    }

    /// [`Scanner::file`] for many files, read side by side.
    fn files(&mut self, paths: &[PathBuf], settings: &Arc<OutputSettings>) -> Vec<Parse> {
        let known: Vec<_> = paths
            .iter()
            .map(|path| {
                // What was never read is read now, whatever it is.
                let metadata = self.files.contains_key(path).then(|| fs::metadata(path));
                self.known(path, &metadata?.ok()?, settings)
            })
            .collect();
        let unknown: Vec<&Path> = paths
            .iter()
            .zip(&known)
            .filter(|(_, known)| known.is_none())
            .map(|(path, _)| path.as_path())
            .collect();
        self.files.reserve(unknown.len());
        let scanner = &*self;
        let (read, _) =
            tasks::side_by_side(&unknown, Located::default(), Located::default, |located, path| {
                scanner.read(path, settings, located)
            });
        let mut read = read.into_iter();
        let templates = paths.iter().zip(known);
        templates
            .filter_map(|(path, known)| match known {
                Some(template) => Some(template),
                None => Some(self.keep(path, settings, read.next()?)),
            })
            .collect()
    }

    /// What a file holds that is as it was when it was last read.
    fn known(&mut self, path: &Path, metadata: &Metadata, settings: &OutputSettings) -> Option<Parse> {
        let known = self.files.get_mut(path)?;
        let is_same = known.stamp == Stamp::of(metadata) && known.settings.template == settings.template;
        is_same.then(|| {
            known.round = self.round;
            known.template.clone()
        })
    }

    fn read(&self, path: &Path, settings: &OutputSettings, located: &mut Located) -> Read {
        let (text, metadata) = read(path, From::File, self.plan.max_file_size).map_err(Arc::new)?;
        let name = path.display().to_string();
        let template = parse(&name, &text.into(), &settings.template, &self.instances, located);
        Ok((Stamp::of(&metadata), template))
    }

    /// Remembers what was read of a file. One that could not be read is tried again each time.
    fn keep(&mut self, path: &Path, settings: &Arc<OutputSettings>, read: Read) -> Parse {
        let before = self.files.remove(path);
        let (stamp, template) = read?;
        // An unchanged content is the same template, whatever happened to the file.
        let template = match (before, template) {
            (
                Some(Known {
                    template: Ok(old),
                    settings: before,
                    ..
                }),
                Ok(new),
            ) if before.template == settings.template && old.template.source() == new.template.source() => {
                Ok(old)
            }
            (_, template) => template,
        };
        let known = Known {
            stamp,
            settings: settings.clone(),
            template: template.clone(),
            round: self.round,
        };
        self.files.insert(path.to_owned(), known);
        template
    }
}

impl std::fmt::Debug for Scanner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scanner")
            .field("files", &self.files.len())
            .finish_non_exhaustive()
    }
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}
