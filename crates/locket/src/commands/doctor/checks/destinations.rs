//! Whether outputs can be written, and whether they stay in memory.

use std::path::{Path, PathBuf};

use locket_core::plan::Plan;
use locket_engine::preview::Foreseen;
use locket_engine::sink::{Facts, inspect};
use locket_engine::sources::PlanError;
use locket_sys::mount::Filesystem;

use super::super::finding::{Check, Finding, Scene, Settled};

pub(super) const CHECK: Check = Check {
    name: "destination",
    look,
};

fn look(scene: &Scene<'_>) -> Vec<Finding> {
    let Settled { run, foreseen } = match scene.look_ahead() {
        Ok(settled) => settled,
        Err(findings) => return findings,
    };
    let places = places(&run.plan);
    if places.is_empty() {
        return vec![Finding::good("none: there is nothing to render")];
    }
    let each = places.iter().map(|place| {
        if let Some(refused) = refused(place, foreseen) {
            return refused;
        }
        // A place is looked at through a file in it, or through itself where it is one.
        let target = match place.is_file() {
            true => place.clone(),
            false => place.join("file"),
        };
        match inspect(&target) {
            Ok(facts) => judge(place, facts),
            Err(error) => Finding::bad(error.to_string(), error.hint()),
        }
    });
    each.chain(unwritable(foreseen)).collect()
}

/// Why a run would refuse to write to `place`.
fn refused(place: &Path, foreseen: &Foreseen) -> Option<Finding> {
    let mut errors = foreseen.refused.iter();
    let error = errors
        .find(|error| matches!(error, PlanError::NotWritable { destination, .. } if destination == place))?;
    Some(Finding::bad(error.to_string(), error.hint()))
}

/// The outputs that could not be written though their destination can.
fn unwritable(foreseen: &Foreseen) -> impl Iterator<Item = Finding> {
    foreseen
        .unwritable()
        .map(|(_, reason, hint)| Finding::bad(reason, hint))
}

fn places(plan: &Plan) -> Vec<PathBuf> {
    let mut places: Vec<_> = plan.maps.iter().map(|map| map.destination.clone()).collect();
    if !plan.secrets.is_empty() {
        places.push(plan.out.clone());
    }
    places.sort();
    places.dedup();
    places
}

fn judge(place: &Path, facts: Facts) -> Finding {
    let shown = place.display();
    if facts.read_only {
        return Finding::bad(
            format!("{shown} is on a read-only mount"),
            "Mount it writable for the agent, and read-only for its readers.",
        );
    }
    if !facts.permitted && !facts.in_place {
        return Finding::bad(
            format!("{shown} cannot be written by this user"),
            "Let this user make files there, or run as the user that owns it.",
        );
    }
    if facts.in_place {
        return Finding::weak(
            format!(
                "{shown} is itself a mount point: it is written in place, where a kill can leave it torn"
            ),
            "Mount its directory instead of the single file.",
        );
    }
    match facts.filesystem {
        Filesystem::Memory => Finding::good(format!("{shown} is in memory")),
        Filesystem::Local => Finding::weak(
            format!("{shown} is on a disk, which keeps what was deleted"),
            "Mount a tmpfs there.",
        ),
        Filesystem::Remote => Finding::weak(
            format!("{shown} is on a file system of another machine"),
            "Mount a tmpfs there.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::finding::Health;
    use super::*;

    #[test]
    fn what_cannot_be_written_is_bad_and_what_stays_on_a_disk_is_weak() {
        let good = Facts {
            filesystem: Filesystem::Memory,
            read_only: false,
            permitted: true,
            in_place: false,
        };
        let state = |facts| judge(Path::new("/run/app"), facts).state;
        assert_eq!(state(good), Health::Good);
        assert_eq!(
            state(Facts {
                filesystem: Filesystem::Local,
                ..good
            }),
            Health::Weak
        );
        assert_eq!(
            state(Facts {
                in_place: true,
                ..good
            }),
            Health::Weak
        );
        assert_eq!(
            state(Facts {
                read_only: true,
                ..good
            }),
            Health::Bad
        );
        assert_eq!(
            state(Facts {
                permitted: false,
                ..good
            }),
            Health::Bad
        );
    }
}
