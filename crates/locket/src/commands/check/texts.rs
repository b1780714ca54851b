//! What is no Compose file: the configuration, templates, files of variables, maps.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::ArgMatches;
use locket_compose::Project;
use locket_compose::check::{self, Checked, Rule};
use locket_core::template::TemplateOptions;
use locket_core::{Diagnostic, Environment, Span, env_file, sync_map};
use locket_engine::Instances;
use locket_engine::once;
use locket_engine::preview::{Foreseen, foresee};
use locket_engine::sources::{Parsed, SourceError};
use locket_sys::mount::{Filesystem, filesystem, is_mount_point};

use super::reported::Reported;
use super::subjects::Subjects;
use crate::config;
use crate::context::Context;
use crate::options::Layers;
use crate::report::{Failure, Problem};
use crate::settings::{self, Common, Form, RunSettings};

/// The file that mistakes are put down to where none of the configuration has them.
const LOCAL: &str = "locket.toml";

/// A text with references, for those who ask for them.
#[derive(Clone, Debug)]
pub(super) struct Tagged {
    pub(super) path: PathBuf,
    /// The file's text, as it may be shown.
    pub(super) text: Arc<[u8]>,
    /// The part of it that is a template, as it was written.
    pub(super) template: String,
    /// Where that stands.
    pub(super) span: Span,
    pub(super) subject: String,
}

/// What the configuration says, and what is wrong with it.
pub(super) struct Settled {
    pub(super) instances: Arc<Instances>,
    pub(super) request_timeout: Duration,
    pub(super) found: Vec<Reported>,
    pub(super) tagged: Vec<Tagged>,
}

/// Reads the configuration: the files that were named, else the one that lies here.
pub(super) fn configuration(subjects: &Subjects, matches: &ArgMatches, context: &Context) -> Settled {
    let context = &with_configurations(subjects, context);
    let loaded = settings::load_quietly(matches, context, |layers| {
        RunSettings::settle(layers, Form::Look, context)
    });
    match loaded {
        Ok(loaded) => {
            let settings = loaded.open(context);
            let instances = settings.common.providers.instances(context);
            let mut found = Vec::new();
            let mut tagged = Vec::new();
            let has_maps = !settings.plan.maps.is_empty() || !settings.plan.secrets.is_empty();
            if has_maps && is_wanted(subjects) {
                let foreseen = foresee(&settings.plan, &instances, &context.clock);
                let file = config::places(matches, context).pop();
                let file = file.unwrap_or_else(|| context.directory.join(LOCAL));
                found.extend(refused(&foreseen, &file, context));
                plan(&foreseen, &mut found, &mut tagged);
            }
            Settled {
                request_timeout: settings.common.request_timeout,
                instances,
                found,
                tagged,
            }
        }
        Err(failure) => {
            let found = failure
                .problems()
                .iter()
                .flat_map(|problem| mistakes(problem, context))
                .collect();
            // What a run without any configuration would know.
            let mut layers = Layers::new(matches, context, &[]);
            let common = Common::settle(&mut layers);
            Settled {
                instances: common.providers.instances(context),
                request_timeout: common.request_timeout,
                found,
                tagged: Vec::new(),
            }
        }
    }
}

/// Whether the templates of the configuration are to be checked, too.
fn is_wanted(subjects: &Subjects) -> bool {
    !subjects.configurations.is_empty() || subjects.is_default()
}

/// The same surroundings, in which the named files are the configuration.
fn with_configurations(subjects: &Subjects, context: &Context) -> Context {
    if subjects.configurations.is_empty() {
        return context.clone();
    }
    let escaped = |path: &PathBuf| {
        let text = path.to_string_lossy();
        text.replace(';', "\\;").replace(',', "\\,").replace('"', "\\\"")
    };
    let list: Vec<_> = subjects.configurations.iter().map(escaped).collect();
    let named = [("LOCKET_CONFIG".into(), list.join(";").into())];
    let inherited = context
        .environment
        .iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    Context {
        environment: inherited.chain(named).collect::<Environment>(),
        ..context.clone()
    }
}

/// A mistake of the configuration as findings.
fn mistakes(problem: &Problem, context: &Context) -> Vec<Reported> {
    let rule = rule("configuration-mistake");
    match problem {
        Problem::Shown { source, findings } => {
            let text = covered(&source.text);
            let path = context.directory.join(&source.name);
            findings
                .iter()
                .map(|found| Reported::of_diagnostic(rule, &path, &text, &found.message, found))
                .collect()
        }
        Problem::Told { message, help } => {
            let found = Diagnostic {
                help: help.clone(),
                ..Diagnostic::error(Span::default(), message.clone())
            };
            let text: Arc<[u8]> = Arc::default();
            let path = context.directory.join(LOCAL);
            vec![Reported::of_diagnostic(rule, &path, &text, message, &found)]
        }
    }
}

/// What keeps a run of the configuration in `file` from beginning, or an output from its place, as far as that lies in
/// the project: paths elsewhere are those of a container, or of a machine, for which `doctor` looks.
fn refused(foreseen: &Foreseen, file: &Path, context: &Context) -> Vec<Reported> {
    let is_ours = |path: &Path| path.starts_with(&context.directory);
    let report = |message: String, help: &str| {
        let found = Diagnostic::error(Span::default(), message).help(help);
        let rule = rule("configuration-mistake");
        Reported::of_diagnostic(rule, file, &Arc::default(), &found.message, &found)
    };
    let whole = foreseen
        .refused
        .iter()
        .filter(|error| error.place().is_none_or(is_ours))
        .map(|error| report(error.to_string(), error.hint()));
    let outputs = foreseen
        .unwritable()
        .filter(|(output, ..)| is_ours(&output.path))
        .map(|(_, reason, hint)| report(reason.to_owned(), hint));
    let left_out = foreseen.left_out().map(|trouble| {
        let message = format!("{} is left out: {}", trouble.path.display(), trouble.reason);
        report(message, "Put that right, or take it out of the source.")
    });
    whole.chain(outputs).chain(left_out).collect()
}

/// The templates that the configuration names, and where their outputs go.
fn plan(foreseen: &Foreseen, found: &mut Vec<Reported>, tagged: &mut Vec<Tagged>) {
    for output in &foreseen.scan.found {
        let path = output.target.path();
        match &output.template {
            Ok(parsed) => {
                let name = PathBuf::from(output.source.shown());
                if !parsed.template.references().is_empty() {
                    tagged.push(Tagged::of_template(&name, parsed));
                }
                let subject = path.display().to_string();
                let mut report = |id: &str, wrong: String| {
                    let text: Arc<[u8]> = parsed.template.source().into();
                    let diagnostic = Diagnostic::error(Span::default(), wrong);
                    found.push(Reported::of_diagnostic(
                        rule(id),
                        &name,
                        &text,
                        &subject,
                        &diagnostic,
                    ));
                };
                if !is_memory(&path) {
                    let wrong = format!("secrets are written to {subject}, which is on a disk");
                    report("output-on-disk", wrong);
                }
                if is_mount_point(&path).unwrap_or(false) {
                    let wrong = format!("{subject} is itself a mount point, and is written in place");
                    report("output-in-place", wrong);
                }
            }
            Err(error) => found.extend(of_source(error, &path)),
        }
    }
}

/// Everything that was named and is neither a Compose file nor the configuration.
///
/// # Errors
/// A file cannot be read.
pub(super) fn files(
    subjects: &Subjects,
    instances: &Arc<Instances>,
    context: &Context,
    found: &mut Vec<Reported>,
    tagged: &mut Vec<Tagged>,
) -> Result<(), Failure> {
    for path in &subjects.templates {
        let text = read(path)?;
        match once::parse(
            &path.to_string_lossy(),
            &text,
            &TemplateOptions::default(),
            instances,
        ) {
            Ok(parsed) => tagged.push(Tagged::of_template(path, &parsed)),
            Err(error) => found.extend(of_source(&error, path)),
        }
    }
    for path in &subjects.env_files {
        env(path, &read(path)?, instances, context, found, tagged);
    }
    for path in &subjects.maps {
        map(path, read(path)?, instances, found, tagged);
    }
    Ok(())
}

/// A file of variables.
fn env(
    path: &Path,
    text: &[u8],
    instances: &Arc<Instances>,
    context: &Context,
    found: &mut Vec<Reported>,
    tagged: &mut Vec<Tagged>,
) {
    let shown = covered(text);
    let plain = String::from_utf8_lossy(text);
    let variables = match env_file::parse(&plain, &context.environment) {
        Ok(variables) => variables,
        Err(wrong) => {
            let report = |wrong: &Diagnostic| {
                Reported::of_diagnostic(rule("bad-reference"), path, &shown, &wrong.message, wrong)
            };
            found.extend(wrong.iter().map(report));
            return;
        }
    };
    for (place, subject, message) in check::env_credentials(&plain, &variables) {
        let wrong = Diagnostic::error(place, message);
        let rule = rule("env-file-credential");
        let reported = Reported::of_diagnostic(rule, path, &shown, &subject, &wrong);
        if !check::is_ignored(&plain, place.start, rule.id) {
            found.push(Reported {
                help: rule.cure.to_owned(),
                ..reported
            });
        }
    }
    for variable in variables
        .iter()
        .filter(|variable| variable.template.contains("{{"))
    {
        let written = plain
            .get(variable.span.start..variable.span.end)
            .unwrap_or_default();
        let at = written.find("{{").unwrap_or_default();
        let entry = Tagged {
            path: path.to_owned(),
            text: shown.clone(),
            template: written[at..].to_owned(),
            span: Span::new(variable.span.start + at, variable.span.end),
            subject: variable.name.clone(),
        };
        part(entry, instances, found, tagged);
    }
}

/// A map of `locket sync`.
fn map(
    path: &Path,
    text: Vec<u8>,
    instances: &Arc<Instances>,
    found: &mut Vec<Reported>,
    tagged: &mut Vec<Tagged>,
) {
    let text: Arc<[u8]> = text.into();
    let rows = match sync_map::parse(&text) {
        Ok(map) => map.rows,
        Err(mistaken) => {
            let report = |wrong: &Diagnostic| {
                Reported::of_diagnostic(rule("bad-reference"), path, &text, &wrong.message, wrong)
            };
            found.extend(mistaken.found.iter().map(report));
            mistaken.rows
        }
    };
    for row in rows {
        let subject = row.path.display().to_string();
        if !is_memory(&row.path) {
            let wrong = Diagnostic::error(row.span, format!("{subject} is on a disk"));
            let on_disk = rule("output-on-disk");
            found.push(Reported {
                help: on_disk.cure.to_owned(),
                ..Reported::of_diagnostic(on_disk, path, &text, &subject, &wrong)
            });
        }
        let parsed = crate::providers::template_of(&row.reference, instances.schemes());
        match parsed {
            Ok(template) => tagged.push(Tagged {
                path: path.to_owned(),
                text: text.clone(),
                template: String::from_utf8_lossy(template.source()).into_owned(),
                span: row.span,
                subject,
            }),
            Err(wrong) => {
                for wrong in wrong {
                    let wrong = row.place(wrong, &text);
                    found.push(Reported::of_diagnostic(
                        rule("bad-reference"),
                        path,
                        &text,
                        &subject,
                        &wrong,
                    ));
                }
            }
        }
    }
}

/// The texts with references of a project.
pub(super) fn of_project(project: &Project, checked: &Checked) -> Vec<Tagged> {
    check::references(project)
        .into_iter()
        .map(|(subject, text)| {
            let source = project.sources.get(text.place.source);
            Tagged {
                path: source.path.clone(),
                text: check::shown(project, checked, text.place.source).into(),
                template: text.written.clone(),
                span: text.place.span,
                subject,
            }
        })
        .collect()
}

/// A part of a text: its mistakes at their places, or the part itself.
fn part(entry: Tagged, instances: &Arc<Instances>, found: &mut Vec<Reported>, tagged: &mut Vec<Tagged>) {
    let options = TemplateOptions::default();
    match once::parse(&entry.subject, entry.template.as_bytes(), &options, instances) {
        Ok(_) => tagged.push(entry),
        Err(error) => {
            if let SourceError::Template { found: wrong, .. } = &*error {
                for wrong in wrong {
                    let wrong = wrong.clone().shifted(entry.span.start);
                    let rule = rule("bad-reference");
                    found.push(Reported::of_diagnostic(
                        rule,
                        &entry.path,
                        &entry.text,
                        &entry.subject,
                        &wrong,
                    ));
                }
            }
        }
    }
}

impl Tagged {
    fn of_template(path: &Path, parsed: &Parsed) -> Self {
        let source = parsed.template.source();
        Self {
            path: path.to_owned(),
            text: source.into(),
            template: String::from_utf8_lossy(source).into_owned(),
            span: Span::new(0, source.len()),
            subject: String::new(),
        }
    }
}

/// A text that is no template.
fn of_source(error: &SourceError, path: &Path) -> Vec<Reported> {
    let rule = rule("bad-reference");
    match error {
        SourceError::Template { name, text, found } => {
            let path = Path::new(name);
            found
                .iter()
                .map(|found| Reported::of_diagnostic(rule, path, text, &found.message, found))
                .collect()
        }
        other => {
            let wrong = Diagnostic::error(Span::default(), other.to_string()).help(other.hint());
            let text: Arc<[u8]> = Arc::default();
            vec![Reported::of_diagnostic(rule, path, &text, &wrong.message, &wrong)]
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| {
        Failure::work(format!("{} cannot be read: {error}", path.display()))
            .help("Let this user read it, or name another file.")
    })
}

/// A text of names and values without its values.
fn covered(text: &[u8]) -> Arc<[u8]> {
    let mut text = text.to_vec();
    check::cover_lines(&mut text);
    text.into()
}

fn is_memory(path: &Path) -> bool {
    path.ancestors()
        .find_map(|path| std::fs::File::open(path).ok())
        .is_some_and(|file| filesystem(&file).is_ok_and(|kind| kind == Filesystem::Memory))
}

fn rule(id: &str) -> &'static Rule {
    Rule::find(id).unwrap_or(check::RULES[0])
}
