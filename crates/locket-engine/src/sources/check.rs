//! What is wrong with a plan before anything is asked or written.

use std::collections::{BTreeSet, HashSet};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use locket_core::plan::{OnError, Plan, Source};
use rustc_hash::FxHashMap;
use rustix::fs::{Access, access};

use super::error::SourceError;
use super::scan::{Found, Scan};

/// Why a plan is refused at the start: exit code 2.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A source is not there.
    #[error("the source {} cannot be found: {reason}", path.display())]
    NoSource {
        /// The source.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// Two templates have one output.
    #[error("{first} and {second} would both be written to {}", target.display())]
    SameTarget {
        /// The output.
        target: PathBuf,
        /// The one template.
        first: String,
        /// The other.
        second: String,
    },
    /// An output would be a template.
    #[error("the destination {} lies inside the source {}", destination.display(), source_root.display())]
    InsideSource {
        /// The destination.
        destination: PathBuf,
        /// The source around it.
        source_root: PathBuf,
    },
    /// An output would take the place of a template that is a file of its own.
    #[error("{} is a template, and what is made of {of} would be written over it", target.display())]
    OverSource {
        /// The output.
        target: PathBuf,
        /// What it would be made of.
        of: String,
    },
    /// An option of directories on a map of a single file.
    #[error("`{option}` is given for {}, which is a file", path.display())]
    NotADirectory {
        /// The option.
        option: &'static str,
        /// The source.
        path: PathBuf,
    },
    /// Two maps share a directory that one of them switches as a whole.
    #[error("{} is switched as a whole by one map and written by another", destination.display())]
    SharedDirectory {
        /// The directory.
        destination: PathBuf,
    },
    /// A directory is to be switched as a whole, and to hold templates that could not be rendered.
    #[error("`atomic` and `on-error = passthrough` are both given for {}", destination.display())]
    HalfRendered {
        /// The directory.
        destination: PathBuf,
    },
    /// Nothing can be written there.
    #[error("the destination {} cannot be written: {reason}", destination.display())]
    NotWritable {
        /// The destination.
        destination: PathBuf,
        /// What the system said.
        reason: String,
    },
}

impl PlanError {
    /// The path that is not as it should be, where the plan itself may be right.
    pub fn place(&self) -> Option<&Path> {
        match self {
            Self::NoSource { path, .. } => Some(path),
            Self::NotWritable { destination, .. } => Some(destination),
            Self::SameTarget { .. }
            | Self::InsideSource { .. }
            | Self::OverSource { .. }
            | Self::NotADirectory { .. }
            | Self::SharedDirectory { .. }
            | Self::HalfRendered { .. } => None,
        }
    }

    /// What to do, as a sentence.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoSource { .. } => {
                "Check the path before the `:` of the map, and that its volume is mounted."
            }
            Self::SameTarget { .. } => "Give each template a destination of its own.",
            Self::InsideSource { .. } => "Choose a destination outside of every source.",
            Self::OverSource { .. } => "Choose another name or directory for the output.",
            Self::NotADirectory { .. } => "Leave the option out, or map the directory around the file.",
            Self::HalfRendered { .. } => {
                "Leave one of the two out: a directory that is switched as a whole has no half-finished state."
            }
            Self::SharedDirectory { .. } => "Give the map with `atomic` a destination of its own.",
            Self::NotWritable { .. } => {
                "Mount it writable (no `:ro` on the agent's own output) and let the agent's user write to it."
            }
        }
    }
}

/// Everything that is wrong with `plan`, whose first scan is `scan`.
pub fn check(plan: &Plan, scan: &Scan) -> Vec<PlanError> {
    let mut errors = Vec::new();
    for map in &plan.maps {
        if let Err(error) = std::fs::metadata(&map.source) {
            errors.push(PlanError::NoSource {
                path: map.source.clone(),
                reason: error.to_string(),
            });
        }
    }
    for map in plan.maps.iter().filter(|map| map.source.is_file()) {
        let settings = &map.settings;
        let given = [
            ("atomic", settings.atomic),
            ("include", !settings.select.include.is_empty()),
            ("exclude", !settings.select.exclude.is_empty()),
        ];
        errors.extend(
            given
                .into_iter()
                .filter(|(_, is_given)| *is_given)
                .map(|(option, _)| PlanError::NotADirectory {
                    option,
                    path: map.source.clone(),
                }),
        );
    }
    errors.extend(conflicts(plan, scan).into_iter().map(|conflict| conflict.error));
    for destination in destinations(plan) {
        if let Err(reason) = writable(&settled(&destination)) {
            errors.push(PlanError::NotWritable { destination, reason });
        }
    }
    errors
}

/// Keeps apart what a plan must not write and a start would have refused: a template may come that was not there then, or
/// another plan. No output of a conflict has a template any more, so that what is in place stays.
pub(crate) fn refuse_conflicts(plan: &Plan, scan: &mut Scan) {
    for Conflict { error, outputs } in conflicts(plan, scan) {
        let error = Arc::new(SourceError::Refused(error));
        for index in outputs {
            scan.found[index].template = Err(error.clone());
        }
    }
}

/// Something that a plan would write over what it must not.
struct Conflict {
    error: PlanError,
    /// The outputs that are not to be written, by their places in the scan.
    outputs: Vec<usize>,
}

fn conflicts(plan: &Plan, scan: &Scan) -> Vec<Conflict> {
    let targets = settled_targets(scan);
    let below = |directory: &Path| {
        let directory = settled(directory);
        let targets = targets.iter().enumerate();
        let below =
            targets.filter(|(_, target)| target.as_ref().is_some_and(|it| it.starts_with(&directory)));
        below.map(|(index, _)| index).collect()
    };
    let mut conflicts = Vec::new();
    for destination in shared(plan) {
        conflicts.push(Conflict {
            outputs: below(&destination),
            error: PlanError::SharedDirectory { destination },
        });
    }
    for map in &plan.maps {
        if map.settings.atomic && map.settings.on_error == OnError::Passthrough {
            let destination = map.destination.clone();
            conflicts.push(Conflict {
                outputs: below(&destination),
                error: PlanError::HalfRendered { destination },
            });
        }
    }
    let templates = single_files(plan);
    let mut writers: FxHashMap<&Path, usize> = FxHashMap::default();
    for (index, found) in scan.found.iter().enumerate() {
        let Some(target) = &targets[index] else { continue };
        // A link there that leads to a template may be the way to it, so that it is not to be replaced, either.
        if !templates.is_empty()
            && (templates.contains(target) || target.is_symlink() && templates.contains(&settled(target)))
        {
            conflicts.push(Conflict {
                error: PlanError::OverSource {
                    target: found.target.path(),
                    of: found.source.shown(),
                },
                outputs: vec![index],
            });
        }
        if let Some(first) = writers.insert(target, index) {
            conflicts.push(Conflict {
                error: PlanError::SameTarget {
                    target: target.clone(),
                    first: scan.found[first].source.shown(),
                    second: found.source.shown(),
                },
                outputs: vec![first, index],
            });
        }
    }
    for destination in destinations(plan) {
        let real = settled(&destination);
        for map in plan.maps.iter().filter(|map| map.source.is_dir()) {
            if real.starts_with(settled(&map.source)) {
                conflicts.push(Conflict {
                    outputs: below(&destination),
                    error: PlanError::InsideSource {
                        destination: destination.clone(),
                        source_root: map.source.clone(),
                    },
                });
            }
        }
    }
    conflicts
}

/// Which file each output of a scan is; none for a variable.
fn settled_targets(scan: &Scan) -> Vec<Option<PathBuf>> {
    let mut parents: FxHashMap<PathBuf, PathBuf> = FxHashMap::default();
    let mut settle = |found: &Found| {
        // A link at the target itself is replaced and not followed: the directory decides which file it is.
        let path = found.target.path();
        match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => match parents.get(parent) {
                Some(real) => real.join(name),
                None => {
                    let real = settled(parent);
                    let target = real.join(name);
                    parents.insert(parent.to_owned(), real);
                    target
                }
            },
            _ => settled(&path),
        }
    };
    let found = scan.found.iter();
    found
        .map(|found| (!found.target.is_variable()).then(|| settle(found)))
        .collect()
}

/// Where the plan writes to.
fn destinations(plan: &Plan) -> BTreeSet<PathBuf> {
    let maps = plan.maps.iter().map(|map| map.destination.clone());
    let secrets = plan.secret_directories().into_iter().map(Path::to_owned);
    maps.chain(secrets).collect()
}

/// Where the templates are that are files of their own. Those below a directory lie inside a source.
fn single_files(plan: &Plan) -> HashSet<PathBuf> {
    let maps = plan.maps.iter().map(|map| &map.source);
    let secrets = plan.secrets.iter().filter_map(|secret| match &secret.source {
        Source::File(path) | Source::EnvFile(path) => Some(path),
        Source::Inline { .. } | Source::Every { .. } => None,
    });
    let files = maps.filter(|source| !source.is_dir()).chain(secrets);
    files.map(|path| settled(path)).collect()
}

/// The directories of atomic maps that something else of the plan writes to.
fn shared(plan: &Plan) -> Vec<PathBuf> {
    let mut roots: Vec<_> = plan.maps.iter().map(|map| settled(&map.destination)).collect();
    roots.extend(plan.secret_directories().into_iter().map(settled));
    let maps = plan.maps.iter().enumerate();
    maps.filter(|(_, map)| map.settings.atomic)
        .filter(|(index, _)| {
            let others = roots.iter().enumerate().filter(|(other, _)| other != index);
            let own = &roots[*index];
            others.into_iter().any(|(_, root)| root.starts_with(own))
        })
        .map(|(_, map)| map.destination.clone())
        .collect()
}

/// The path with links resolved as far as it exists, and `.` and `..` taken out of the rest.
pub fn settled(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut rest = Vec::new();
    let mut at = path.as_path();
    let mut base = loop {
        match (at.canonicalize(), at.parent(), at.components().next_back()) {
            (Ok(real), ..) => break real,
            (Err(_), Some(parent), Some(last)) => {
                rest.push(last);
                at = parent;
            }
            _ => break at.to_owned(),
        }
    };
    for component in rest.into_iter().rev() {
        match component {
            Component::ParentDir => {
                base.pop();
            }
            Component::CurDir => {}
            other => base.push(other),
        }
    }
    base
}

/// Whether files can be made at `path`, or in the nearest directory above it that exists.
fn writable(path: &Path) -> Result<(), String> {
    let mut at = path;
    loop {
        match std::fs::metadata(at) {
            // A file is replaced through its directory, unless it is a mount point of its own.
            Ok(metadata) if !metadata.is_dir() && at == path && access(at, Access::WRITE_OK).is_ok() => {
                return Ok(());
            }
            Ok(metadata) if !metadata.is_dir() && at != path => {
                return Err(format!("{} is not a directory", at.display()));
            }
            Ok(metadata) if metadata.is_dir() => {
                return access(at, Access::WRITE_OK | Access::EXEC_OK)
                    .map_err(|error| format!("{} in {}", std::io::Error::from(error), at.display()));
            }
            _ => match at.parent() {
                Some(parent) => at = parent,
                None => return Ok(()),
            },
        }
    }
}
