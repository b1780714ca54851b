//! Gives up whatever this run will not need, before the first secret is asked for. It decides what is needed; the
//! kernel does the denying.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use locket_core::plan::{Access, Place as SecretPlace, Source};
use locket_core::{Action, Reach};
use locket_sys::landlock::{self, Confined, Rules, Signals};
use locket_sys::mount::is_mount_point;

use super::setup::{Mode, Sandbox, Setup};
use crate::resolve::SecretKey;
use crate::sink::Sink;
use crate::sources::Scan;
use crate::telemetry::AuditTarget;

/// Where container engines put secrets: templates of a running agent may begin to name files there.
const SECRETS: &str = "/run/secrets";

/// Why a run keeps what it could give up.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Open {
    /// A consumer is told by running a program.
    Notification(Action),
    /// Consumers that may come are told by running a program.
    Consumers,
    /// A provider runs programs.
    Provider(String),
    /// An output stands in the root directory, so that everything would be open.
    RootDirectory(PathBuf),
}

/// Confines the process to what `setup` needs, as far as that can be known. Destinations are made before, since
/// afterwards nothing can be made beside them.
pub(super) fn confine(setup: &Setup, scan: &Scan) {
    if setup.surroundings.sandbox == Sandbox::Off {
        tracing::debug!("the agent is not confined: the sandbox is switched off");
        return;
    }
    let rules = match rules(setup, scan) {
        Ok(rules) => rules,
        Err(open) => {
            tracing::info!("the agent is not confined, since {open}");
            return;
        }
    };
    make_destinations(setup);
    make_state_dir(setup);
    match landlock::confine(&rules) {
        Ok(Confined { version, rules, .. }) => tracing::debug!(
            landlock = %version,
            read = ?rules.read,
            write = ?rules.write,
            "the agent is confined to what this run needs"
        ),
        Err(refused) => tracing::info!("the agent is not confined, since {refused}"),
    }
}

/// What the confined process would have to do for `setup`, a configuration that was read again, and no longer can;
/// `None` if it can carry it out.
pub(super) fn refusal(setup: &Setup) -> Option<String> {
    let confined = landlock::confined()?;
    let lacks = match rules(setup, &Scan::default()) {
        Ok(rules) => confined.lacks(&rules),
        Err(Open::RootDirectory(path)) => vec![format!("write to {}", path.display())],
        Err(open) => vec![format!("run programs, since {open}")],
    };
    (!lacks.is_empty()).then(|| lacks.join(", "))
}

/// Why an agent with `setup` would not confine itself on any kernel, as the end of a sentence; `None` if it would.
pub fn kept_open(setup: &Setup) -> Option<String> {
    match setup.surroundings.sandbox {
        Sandbox::Off => Some("the sandbox is switched off".to_owned()),
        Sandbox::Auto => rules(setup, &Scan::default()).err().map(|open| open.to_string()),
    }
}

fn rules(setup: &Setup, scan: &Scan) -> Result<Rules, Open> {
    let surroundings = &setup.surroundings;
    let mut rules = Rules {
        listen: setup.outlets.metrics.iter().map(SocketAddr::port).collect(),
        ..Rules::default()
    };
    for action in actions(setup) {
        match action {
            Action::Exec { .. } => return Err(Open::Notification(action.clone())),
            Action::Pid { file, .. } => {
                rules.signals = Signals::Anybody;
                follow(file, &mut rules.read);
            }
            other => {
                let reach = setup.notifier.courier.reach(other);
                if reach.runs_programs {
                    return Err(Open::Notification(action.clone()));
                }
                reach.files.iter().for_each(|file| follow(file, &mut rules.read));
                rules.read.extend(reach.fixed);
            }
        }
    }
    // The mount table, and how many threads there are.
    rules.read.insert("/proc/self".into());
    surroundings
        .files
        .iter()
        .for_each(|file| follow(file, &mut rules.read));
    for (name, reach) in &surroundings.instances {
        if reach.runs_programs {
            return Err(Open::Provider(name.to_string()));
        }
        reach.files.iter().for_each(|file| follow(file, &mut rules.read));
        rules.read.extend(reach.fixed.iter().cloned());
        let may_see_more = setup.schedule.mode != Mode::OneShot || surroundings.unseen.is_some();
        if let (Some(referenced), true) = (&reach.referenced, may_see_more) {
            rules.read.insert(SECRETS.into());
            // Relative paths count from there. Whoever starts the agent in the root directory does not mean all of it.
            rules
                .read
                .extend(Some(referenced.base.clone()).filter(|base| base != Path::new("/")));
        }
    }
    for reach in &surroundings.later.consumers {
        if reach.runs_programs {
            return Err(Open::Consumers);
        }
        reach.files.iter().for_each(|file| follow(file, &mut rules.read));
        rules.read.extend(reach.fixed.iter().cloned());
    }
    read_sources(setup, scan, &mut rules);
    for (place, _) in destinations(setup) {
        place.open(&mut rules)?;
    }
    rules.write.extend(setup.state_dir.clone());
    // A log that is rotated is a new file. The journal's socket needs no rule.
    if let Some(AuditTarget::File(path)) = &setup.outlets.audit {
        Place::File(path.clone()).open(&mut rules)?;
    }
    Ok(rules)
}

/// Everybody who may be told.
fn actions(setup: &Setup) -> impl Iterator<Item = &Action> {
    let plan = &setup.plan;
    let of_maps = plan.maps.iter().flat_map(|map| &map.settings.notify);
    let of_secrets = plan.secrets.iter().flat_map(|secret| &secret.settings.notify);
    setup.actions.iter().chain(of_maps).chain(of_secrets)
}

/// The templates, and the files that they name now.
fn read_sources(setup: &Setup, scan: &Scan, rules: &mut Rules) {
    let files = setup
        .plan
        .secrets
        .iter()
        .filter_map(|secret| match &secret.source {
            Source::File(path) | Source::EnvFile(path) => Some(path),
            Source::Inline { .. } | Source::Every { .. } => None,
        });
    for source in setup.plan.maps.iter().map(|map| &map.source).chain(files) {
        follow(source, &mut rules.read);
    }
    let parsed = scan.found.iter().filter_map(|found| found.template.as_ref().ok());
    let keys = parsed.flat_map(|parsed| &parsed.keys);
    // Templates name the same files again and again.
    let named: BTreeSet<_> = keys
        .chain(&setup.surroundings.credentials)
        .filter_map(|key| referenced(setup, key))
        .collect();
    named.iter().for_each(|path| follow(path, &mut rules.read));
}

/// The file that a reference names, if its provider reads files.
fn referenced(setup: &Setup, key: &SecretKey) -> Option<PathBuf> {
    let reach: &Reach = setup.surroundings.instances.get(&key.instance)?;
    let referenced = reach.referenced.as_ref()?;
    let path = (referenced.path)(&key.locator)?;
    Some(referenced.base.join(path))
}

/// Lets `path` be read, now and after somebody has saved it by a rename: with the directory that it is in. A file
/// that is itself a mount point stays the same file, and nobody means the root directory.
fn follow(path: &Path, read: &mut BTreeSet<PathBuf>) {
    let real = path.canonicalize();
    if let Ok(real) = &real {
        if real.is_dir() || is_mount_point(real).unwrap_or(false) {
            read.insert(real.clone());
            return;
        }
        read.insert(real.clone());
    }
    let parents = [
        real.ok().as_deref().and_then(Path::parent).map(Path::to_owned),
        path.parent().map(Path::to_owned),
    ];
    read.extend(
        parents
            .into_iter()
            .flatten()
            .filter(|parent| parent != Path::new("/")),
    );
}

/// Where outputs go, and how what is missing on the way is made.
fn destinations(setup: &Setup) -> impl Iterator<Item = (Place, &Access)> {
    let plan = &setup.plan;
    let of_maps = plan.maps.iter().map(|map| {
        let destination = map.destination.clone();
        let place = match map.source.is_dir() {
            true => Place::Directory(destination),
            false => Place::File(destination),
        };
        (place, &map.settings.access)
    });
    let files = plan
        .secrets
        .iter()
        .filter(|secret| secret.place == SecretPlace::File);
    let of_secrets = files.map(|secret| {
        let (directory, _) = secret.output(&plan.out);
        (Place::Directory(directory.to_owned()), &secret.settings.access)
    });
    let later = setup.surroundings.later.outputs.iter();
    let later = later.map(|(directory, access)| (Place::Directory(directory.clone()), access));
    of_maps.chain(of_secrets).chain(later)
}

/// Where outputs of one map or secret go.
enum Place {
    /// Into this directory.
    Directory(PathBuf),
    /// To this file, which is replaced through its directory.
    File(PathBuf),
}

impl Place {
    fn directory(&self) -> &Path {
        match self {
            Self::Directory(path) => path,
            Self::File(path) => path
                .parent()
                .filter(|parent| !parent.as_os_str().is_empty())
                .unwrap_or(Path::new(".")),
        }
    }

    fn open(&self, rules: &mut Rules) -> Result<(), Open> {
        let directory = self.directory();
        match self {
            // A file that is a mount point is written in place; beside it, leftovers are only looked for.
            Self::File(file) if is_mount_point(file).unwrap_or(false) => {
                rules.write.insert(file.clone());
                rules.list.insert(directory.to_owned());
            }
            _ if directory.canonicalize().is_ok_and(|real| real == Path::new("/")) => {
                return Err(Open::RootDirectory(directory.to_owned()));
            }
            _ => {
                rules.write.insert(directory.to_owned());
            }
        }
        Ok(())
    }
}

/// Makes the directories of destinations that are missing. What cannot be made is told by the round that needs it.
fn make_destinations(setup: &Setup) {
    let mut sink = Sink::new();
    for (place, access) in destinations(setup) {
        let root = place.directory().into();
        if let Err(error) = sink.make_root(&root, access) {
            tracing::debug!("{error}");
        }
    }
    sink.finish();
}

/// Makes the state directory if this run keeps anything there.
fn make_state_dir(setup: &Setup) {
    let is_used = setup.outlets.audit.is_some()
        || actions(setup).next().is_some()
        || !setup.surroundings.later.consumers.is_empty()
        || setup.instances.has_budgets();
    if let Some(directory) = setup.state_dir.as_deref().filter(|_| is_used)
        && let Err(error) = crate::state_dir::make(directory)
    {
        tracing::debug!(
            "the state directory {} cannot be made: {error}",
            directory.display()
        );
    }
}

impl fmt::Display for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Notification(action) => write!(f, "`{action}` runs a program, which may need anything"),
            Self::Consumers => {
                f.write_str("containers are told by running `podman`, which may need anything")
            }
            Self::Provider(name) => write!(f, "`{name}://` runs programs, which may need anything"),
            Self::RootDirectory(path) => write!(
                f,
                "outputs go to {}, so that everything would be open; give them a directory of their own",
                path.display()
            ),
        }
    }
}
