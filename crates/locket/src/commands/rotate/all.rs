//! Every secret that has grown old, each for itself: one that fails is told, and the others go on.

use std::path::Path;
use std::time::{Duration, SystemTime};

use locket_compose::rotate::Kept;

use super::one::Rotator;
use super::subject;
use crate::exit::Exit;
use crate::report::{self, Failure};

pub(super) fn all(rotator: &Rotator<'_>) -> Result<Exit, Failure> {
    let Some(project) = rotator.project else {
        return Err(no_project());
    };
    let now = rotator.context.clock.wall();
    let mut exit = Exit::Done;
    for (name, kept) in subject::every(project) {
        let tell = |failure: &Failure| report::tell(&failure.draw(rotator.context.style));
        let changed = match &kept {
            // It changes with the secret that it is made of.
            Kept::File(path) if path.with_extension("tmpl").exists() => continue,
            Kept::File(path) => changed(path).map(Some),
            Kept::Store(name) => rotator.changed_in_store(name),
            Kept::Swarm(_) => continue,
        };
        match changed {
            Ok(Some(changed)) if !is_older(changed, now, rotator.args.older_than) => continue,
            Ok(_) => {}
            Err(failure) => {
                tell(&failure);
                exit = Exit::Failed;
                continue;
            }
        }
        let plan = match rotator.planned(project, &name) {
            Ok(plan) => plan,
            Err(refused) => {
                tell(&subject::told(&name, refused));
                exit = Exit::Failed;
                continue;
            }
        };
        if plan.inside.is_empty() && plan.exec.is_none() && rotator.args.exec.is_none() {
            report::tell(&format!(
                "{name} is left alone: where else its value is in force is not known; `locket rotate {name}` changes it all the same\n"
            ));
            continue;
        }
        if let Err(failure) = rotator.of_project(&plan) {
            tell(&failure);
            exit = Exit::Failed;
        }
    }
    Ok(exit)
}

/// What is told where there is nothing to look through for secrets that have grown old.
pub(super) fn no_project() -> Failure {
    Failure::usage("there is no Compose file here").help("`--file` names one.")
}

fn is_older(changed: SystemTime, now: SystemTime, than: Duration) -> bool {
    now.duration_since(changed).unwrap_or_default() >= than
}

fn changed(path: &Path) -> Result<SystemTime, Failure> {
    std::fs::metadata(path)
        .and_then(|there| there.modified())
        .map_err(|error| super::super::files::unreadable(path, &error))
}

impl Rotator<'_> {
    /// When the secret `name` of the store was last changed; `None` where the store does not say.
    #[cfg(feature = "store")]
    fn changed_in_store(&self, name: &str) -> Result<Option<SystemTime>, Failure> {
        let (store, name) = super::super::store::secret(self.matches, &self.there(), name)?;
        let listed = store.list().map_err(super::super::store::failed)?;
        let found = listed.into_iter().find(|listed| listed.name == name);
        found.map(|listed| listed.updated).ok_or_else(|| {
            Failure::work(format!("{} holds no `{name}`", store.path().display()))
                .help(format!("Add it with `locket store set {name}`."))
        })
    }

    #[cfg(not(feature = "store"))]
    fn changed_in_store(&self, name: &str) -> Result<Option<SystemTime>, Failure> {
        Err(Failure::usage(format!(
            "this build of locket has no store, so store://{name} is left alone"
        )))
    }
}
