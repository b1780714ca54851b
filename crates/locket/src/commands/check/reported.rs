//! One finding in whatever file, ready to be shown: its text is covered where it could hold a value.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use locket_compose::Project;
use locket_compose::check::{Checked, Fix, Rule, shown};
use locket_core::{Diagnostic, Span};

/// One finding.
#[derive(Clone, Debug)]
pub(super) struct Reported {
    pub(super) rule: &'static Rule,
    pub(super) path: PathBuf,
    /// The file's text, as it may be shown.
    pub(super) text: Arc<[u8]>,
    pub(super) span: Span,
    /// What is wrong, as a lower-case fragment.
    pub(super) message: String,
    /// What to do, as sentences.
    pub(super) help: String,
    /// What it is about, whatever line that stands in.
    pub(super) subject: String,
    pub(super) fix: Option<Repair>,
}

/// What puts it right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Repair {
    pub(super) fix: Fix,
    /// The file that a replacement is in.
    pub(super) path: PathBuf,
    /// The directory of its project, which no link may lead out of.
    pub(super) project: PathBuf,
    /// The command that does it, where one does.
    pub(super) command: Option<String>,
}

impl Reported {
    /// The findings of a project.
    pub(super) fn of_project(project: &Project, checked: &Checked, from: &Path) -> Vec<Self> {
        let mut texts: Vec<(locket_compose::SourceId, Arc<[u8]>)> = Vec::new();
        checked
            .findings
            .iter()
            .map(|finding| {
                let id = finding.place.source;
                let known = texts.iter().find(|(known, _)| *known == id);
                let text = known.map(|(_, text)| text.clone()).unwrap_or_else(|| {
                    let text: Arc<[u8]> = shown(project, checked, id).into();
                    texts.push((id, text.clone()));
                    text
                });
                let path = project.sources.get(id).path.clone();
                Self {
                    rule: finding.rule,
                    text,
                    span: finding.place.span,
                    message: finding.message.clone(),
                    help: finding.help.clone(),
                    subject: finding.subject.clone(),
                    fix: finding.fix.clone().map(|fix| Repair {
                        command: fix.command(from),
                        path: path.clone(),
                        project: project.directory.clone(),
                        fix,
                    }),
                    path,
                }
            })
            .collect()
    }

    /// A mistake in a text that is no Compose file.
    pub(super) fn of_diagnostic(
        rule: &'static Rule,
        path: &Path,
        text: &Arc<[u8]>,
        subject: &str,
        found: &Diagnostic,
    ) -> Self {
        Self {
            rule,
            path: path.to_owned(),
            text: text.clone(),
            span: found.span,
            message: found.message.clone(),
            help: found.help.clone().unwrap_or_else(|| rule.cure.to_owned()),
            subject: subject.to_owned(),
            fix: None,
        }
    }

    /// Sorts by file and place, and leaves each finding once.
    pub(super) fn sort(found: &mut Vec<Self>) {
        found.sort_by(|one, other| one.key().cmp(&other.key()));
        found.dedup_by(|one, other| one.key() == other.key());
    }

    fn key(&self) -> (&Path, Span, &'static str, &str, &str) {
        (&self.path, self.span, self.rule.id, &self.subject, &self.message)
    }

    /// The path as the caller would write it.
    pub(super) fn shown_path(&self, from: &Path) -> String {
        self.path
            .strip_prefix(from)
            .unwrap_or(&self.path)
            .display()
            .to_string()
    }

    /// What to do, with the command where there is one.
    pub(super) fn advice(&self) -> String {
        match self.fix.as_ref().and_then(|repair| repair.command.as_ref()) {
            Some(command) => format!("{}\n{command}", self.help),
            None => self.help.clone(),
        }
    }
}
