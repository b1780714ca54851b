//! Runs every family over a project.

use std::collections::HashSet;
use std::time::Duration;

use locket_core::Schemes;

use super::credentials;
use super::{
    Checked, Finding, Surroundings, definitions, dependencies, file_variables, ignore, mistakes, outputs,
    references, secret_files, shown,
};
use crate::model::Project;

/// What is wished.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Report secrets that were not changed for longer.
    pub max_age: Option<Duration>,
    /// Whether commands that need root can be advised without more ado.
    pub is_root: bool,
    /// What a reference may begin with.
    pub schemes: Schemes,
}

/// Everything that is wrong in `project`, as far as it can be seen without asking anybody.
pub fn check(project: &Project, surroundings: &dyn Surroundings, options: &Options) -> Checked {
    let mut scene = Scene {
        project,
        surroundings,
        options,
        found: Vec::new(),
    };
    mistakes::look(&mut scene);
    definitions::look(&mut scene);
    dependencies::look(&mut scene);
    credentials::look(&mut scene);
    file_variables::look(&mut scene);
    secret_files::look(&mut scene);
    references::look(&mut scene);
    outputs::look(&mut scene);
    let mut found = scene.found;
    // A file that is reached in two ways has each of its lines once.
    let mut seen = HashSet::new();
    found.retain(|finding| {
        let path = &project.sources.get(finding.place.source).path;
        seen.insert((
            finding.rule.id,
            path.clone(),
            finding.place.span,
            finding.subject.clone(),
        ))
    });
    found.sort_by(|one, other| {
        let key = |finding: &Finding| {
            (
                project.sources.get(finding.place.source).path.clone(),
                finding.place.span,
            )
        };
        key(one).cmp(&key(other))
    });
    let (ignored, findings) = ignore::split(project, found);
    Checked {
        findings,
        ignored,
        values: shown::values(project),
    }
}

/// What the families look at, and where they put what they find.
pub(super) struct Scene<'a> {
    pub(super) project: &'a Project,
    pub(super) surroundings: &'a dyn Surroundings,
    pub(super) options: &'a Options,
    pub(super) found: Vec<Finding>,
}

impl Scene<'_> {
    pub(super) fn add(&mut self, finding: Finding) {
        self.found.push(finding);
    }

    /// `path` as the project's own files would write it.
    pub(super) fn shown_path(&self, path: &std::path::Path) -> String {
        let below = path.strip_prefix(&self.project.directory).unwrap_or(path);
        below.display().to_string()
    }
}
