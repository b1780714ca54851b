//! Carries out a plan: the files, the override, the ignore lists; then Compose is asked whether it agrees.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use locket_compose::init::{self, DIRECTORY, Left, Plan, Planned, Stamp, Value};
use locket_core::SecretBytes;

use super::super::files::{random_value, read_text, write_text};
use super::super::links::refuse_leading_out;
use super::super::project::{Asked, Disk, Docker, Made, SecretFiles, render};
use super::found::Found;
use crate::context::Context;
use crate::report::{self, Failure};

/// What is to come about, and where.
#[derive(Debug)]
pub(super) struct Outcome<'a> {
    pub(super) directory: &'a Path,
    pub(super) found: &'a Found,
    /// With the Compose file that is made, where there was none.
    pub(super) disk: &'a Disk,
    pub(super) plan: &'a Plan,
    /// Secrets that were asked for by name.
    pub(super) more: &'a [String],
    pub(super) base: &'a [PathBuf],
}

/// Lists in which the directory must not be missing.
pub(in super::super) const IGNORED_BY: &[&str] = &[".gitignore", ".dockerignore"];

const AS_IT_SHOULD_BE: &str = "everything is as it should be\n";

pub(super) fn apply(outcome: &Outcome<'_>, context: &Context) -> Result<(), Failure> {
    let mut done = Vec::new();
    let files = SecretFiles::of(outcome.directory);
    outcome.open_mode()?;
    // Before there is anything to be committed by mistake.
    for name in IGNORED_BY {
        if ignore(&outcome.directory.join(name))? {
            done.push(format!("{name} keeps {DIRECTORY}/ out"));
        }
    }
    if files.make_directory()? {
        done.push(format!("{DIRECTORY}/ is its owner's alone"));
    }
    for planned in &outcome.plan.secrets {
        let made = make(planned, &files, outcome.directory, context)?;
        done.extend(told(planned, made, &files));
    }
    for name in outcome.more {
        if !outcome.is_planned(name)
            && files.make(name, random_value, &std::collections::BTreeSet::new(), false)? == Made::New
        {
            done.push(format!("{DIRECTORY}/{name}.txt has a new value"));
        }
    }
    for (path, text) in &outcome.disk.drafts {
        write_text(path, text)?;
        done.push(format!(
            "{} is there to begin with",
            shown(path, outcome.directory)
        ));
    }
    write_override(outcome, context, &mut done)?;
    for line in &done {
        report::tell(&format!("{line}\n"));
    }
    for left in &outcome.plan.left {
        report::tell(&format!("{}\n", left_line(left)));
    }
    if done.is_empty() {
        report::tell(AS_IT_SHOULD_BE);
    }
    Ok(())
}

impl Outcome<'_> {
    /// The mode of the directory that would change, after a look whether a link leads anywhere else: that is refused before
    /// anything is changed.
    fn open_mode(&self) -> Result<Option<u32>, Failure> {
        for name in IGNORED_BY {
            refuse_leading_out(&self.directory.join(name), self.directory)?;
        }
        SecretFiles::of(self.directory).open_mode()
    }

    /// Whether the project itself wants a secret of this name.
    fn is_planned(&self, name: &str) -> bool {
        self.plan.secrets.iter().any(|planned| planned.name == name)
    }

    /// What would be done, in lines.
    ///
    /// # Errors
    /// It would be refused.
    pub(super) fn forecast(&self) -> Result<String, Failure> {
        let mut text = String::new();
        let files = SecretFiles::of(self.directory);
        if let Some(mode) = self.open_mode()? {
            let _ = writeln!(
                text,
                "would make {DIRECTORY}/ its owner's alone, whose mode is {mode:o}"
            );
        }
        for name in IGNORED_BY {
            if completed(&self.directory.join(name))?.is_some() {
                let _ = writeln!(text, "would have {name} keep {DIRECTORY}/ out");
            }
        }
        let planned = self.plan.secrets.iter();
        let planned = planned.map(|planned| (&planned.name, kind(planned)));
        let more = self.more.iter().filter(|name| !self.is_planned(name));
        for (name, what) in planned.chain(more.map(|name| (name, "a new value".to_owned()))) {
            if !files.path(name).exists() {
                let _ = writeln!(text, "would make {DIRECTORY}/{name}.txt: {what}");
            }
        }
        for path in self.disk.drafts.keys() {
            let _ = writeln!(text, "would make {}", shown(path, self.directory));
        }
        let fresh = init::write(self.plan);
        if self.found.present.as_ref().map(|(_, text)| text) != Some(&fresh) && !self.plan.changes.is_empty()
        {
            let _ = writeln!(text, "would write {}", shown(&self.found.place, self.directory));
            for change in &self.plan.changes {
                let _ = writeln!(text, "  {} reads {}", change.service, change.secrets.join(", "));
            }
        }
        for left in &self.plan.left {
            let _ = writeln!(text, "{}", left_line(left));
        }
        if text.is_empty() {
            text.push_str(AS_IT_SHOULD_BE);
        }
        Ok(text)
    }
}

fn make(
    planned: &Planned,
    files: &SecretFiles,
    directory: &Path,
    context: &Context,
) -> Result<Made, Failure> {
    let value = || match &planned.value {
        Value::Random => random_value(),
        Value::Present(text) => Ok(SecretBytes::copy_from(text.as_bytes())),
        Value::Template { text, .. } => {
            let path = files.template(&planned.name);
            if !path.exists() {
                write_text(&path, text)?;
            }
            render(
                &planned.name,
                text.as_bytes(),
                directory,
                context.clock.wall(),
                &|path| match std::fs::read(path) {
                    Ok(bytes) => Ok(Some(SecretBytes::new(bytes))),
                    Err(_) => Ok(None),
                },
            )
        }
    };
    files.make(&planned.name, value, &planned.readers, planned.owner_only)
}

fn told(planned: &Planned, made: Made, files: &SecretFiles) -> Option<String> {
    let name = &planned.name;
    let readers = match planned.services.is_empty() {
        true => String::new(),
        false => format!(", read by {}", planned.services.join(", ")),
    };
    let path = files.directory().join(format!("{name}.txt"));
    let mut line = match made {
        Made::Kept => return None,
        Made::Opened => format!("{DIRECTORY}/{name}.txt can be read by its services now"),
        Made::New => format!("{DIRECTORY}/{name}.txt has {}{readers}", kind(planned)),
    };
    let us = rustix::process::geteuid().as_raw();
    let is_owned = std::fs::metadata(path).is_ok_and(|file| {
        planned
            .readers
            .iter()
            .all(|reader| std::os::unix::fs::MetadataExt::uid(&file) == *reader)
    });
    if planned.owner_only && !is_owned {
        let reader = planned.readers.first().copied().unwrap_or(us);
        line +=
            &format!(". Its service wants it to be its own: `sudo chown {reader} {DIRECTORY}/{name}.txt`");
    }
    Some(line)
}

fn kind(planned: &Planned) -> String {
    match (&planned.value, &planned.found) {
        (Value::Random, _) => "a new value".to_owned(),
        (Value::Present(_), Some(found)) => format!("the value of {found}"),
        (Value::Present(_), None) => "its present value".to_owned(),
        (Value::Template { of, .. }, _) => format!("an address with {of} in it"),
    }
}

fn left_line(left: &Left) -> String {
    format!(
        "{}: {} stays as it is: {}",
        left.service, left.variable, left.reason
    )
}

/// Adds the directory to a list unless it is in it. Says whether it was not.
pub(in super::super) fn ignore(path: &Path) -> Result<bool, Failure> {
    if let Some(directory) = path.parent() {
        refuse_leading_out(path, directory)?;
    }
    match completed(path)? {
        Some(text) => write_text(path, &text).map(|()| true),
        None => Ok(false),
    }
}

/// The list with the directory in it, unless it is in it already.
fn completed(path: &Path) -> Result<Option<String>, Failure> {
    let text = read_text(path)?.unwrap_or_default();
    let is_in = text.lines().any(|line| {
        let line = line.trim();
        let line = line.strip_prefix('/').unwrap_or(line);
        matches!(line.strip_prefix(DIRECTORY), Some("" | "/" | "/*" | "/**"))
    });
    let between = match text.is_empty() || text.ends_with('\n') {
        true => "",
        false => "\n",
    };
    Ok((!is_in).then(|| format!("{text}{between}{DIRECTORY}/\n")))
}

/// Writes the override unless it is there, and takes it back when Compose refuses the project with it.
fn write_override(outcome: &Outcome<'_>, context: &Context, done: &mut Vec<String>) -> Result<(), Failure> {
    let fresh = init::write(outcome.plan);
    let place = &outcome.found.place;
    let name = shown(place, outcome.directory);
    match &outcome.found.present {
        Some((_, text)) if *text == fresh => return Ok(()),
        None if outcome.plan.changes.is_empty() => return Ok(()),
        Some((Stamp::Edited | Stamp::Foreign, _)) => {
            done.push(format!(
                "{name} was edited by hand and stays as it is; move it away and run this again to have it made anew"
            ));
            return Ok(());
        }
        _ => {}
    }
    write_text(place, &fresh)?;
    let files: Vec<_> = outcome.base.iter().chain([place]).cloned().collect();
    match Docker::with_compose(&context.environment, outcome.directory, &files) {
        Asked::Absent => done.push(format!(
            "{name} has the services read their files; there is no Docker Compose to check it"
        )),
        Asked::Silent(limit) => done.push(format!(
            "{name} has the services read their files; docker did not answer within {}, so Compose has not checked it: run \
             `docker compose config --quiet`",
            humantime::format_duration(limit)
        )),
        Asked::There(docker) => {
            let refused = match docker.validate() {
                Ok(Ok(())) => None,
                Ok(Err(told)) => Some(
                    Failure::work(format!("Compose refuses the project: {told}"))
                        .help("The override was taken back. Correct the project, then run this again."),
                ),
                Err(failure) => Some(failure.help(
                    "The override was taken back. Ask `docker info` whether the engine answers, then run this again.",
                )),
            };
            if let Some(failure) = refused {
                take_back(outcome)?;
                return Err(failure);
            }
            done.push(format!(
                "{name} has the services read their files, and Compose accepts it"
            ));
        }
    }
    if !outcome.found.is_read {
        let list: Vec<_> = files.iter().map(|file| shown(file, outcome.directory)).collect();
        done.push(format!(
            "Compose does not read {name} by itself: put `COMPOSE_FILE={}` into .env",
            list.join(":")
        ));
    }
    Ok(())
}

/// Puts the override in place that was there before, if any.
fn take_back(outcome: &Outcome<'_>) -> Result<(), Failure> {
    let place = &outcome.found.place;
    match &outcome.found.present {
        Some((_, text)) => write_text(place, text),
        None => {
            let _ = std::fs::remove_file(place);
            Ok(())
        }
    }
}

fn shown(path: &Path, directory: &Path) -> String {
    path.strip_prefix(directory).unwrap_or(path).display().to_string()
}
