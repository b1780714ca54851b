//! The rotation of one secret, step by step, and the way back from each.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command as Program, Stdio};
use std::time::Duration;

use locket_compose::rotate::Rotation;
use locket_core::action::split_words;
use locket_core::{Clock, Environment, SecretBuilder, SecretBytes};

use super::super::project::{SecretFiles, render};
use super::engine::{Compose, State};
use super::journal::{Journal, Step};
use super::recipe;
use crate::report::{self, Failure};

/// All that the rotation of one secret needs.
pub(super) struct Work<'a> {
    pub(super) plan: &'a Rotation,
    pub(super) compose: &'a Compose,
    pub(super) clock: &'a dyn Clock,
    pub(super) environment: &'a Environment,
    /// The project's directory.
    pub(super) directory: &'a Path,
    /// The program that changes the value inside, instead of a recipe.
    pub(super) exec: Option<&'a str>,
    /// How long a dependent may take to be well.
    pub(super) limit: Duration,
}

impl Work<'_> {
    /// Puts `new` in force everywhere, or leaves everything as it was.
    ///
    /// # Errors
    /// The old value is in force; or, where the way back failed as well, a hint says how to go on.
    pub(super) fn rotate(&self, new: &SecretBytes) -> Result<(), Failure> {
        let running = self.look()?;
        let old = std::fs::read(&self.plan.path)
            .map(SecretBytes::new)
            .map_err(|error| {
                Failure::work(format!("{} cannot be read: {error}", self.plan.path.display()))
            })?;
        let journal = Journal::of(&self.plan.path);
        journal.begin(&old, new)?;
        self.forward(&journal, &old, new, &running).map_err(|failure| {
            report::tell(&format!("{}: going back to the old value\n", self.plan.secret));
            match self.back(&journal, &old, new) {
                Ok(()) => failure.help("The old value is in force again."),
                Err(worse) => {
                    report::tell(&worse.draw(crate::context::Style::Plain));
                    failure.help(self.way_out())
                }
            }
        })
    }

    /// Goes on with a rotation that was interrupted.
    ///
    /// # Errors
    /// As for [`Work::rotate`], but without the way back.
    pub(super) fn finish(&self) -> Result<(), Failure> {
        let journal = Journal::of(&self.plan.path);
        let (old, new) = journal.values()?;
        let running = self.running()?;
        self.forward(&journal, &old, &new, &running)
            .map_err(|failure| failure.help(self.way_out()))
    }

    /// Puts the old value in force again after a rotation that was interrupted.
    ///
    /// # Errors
    /// Some step of it fails; it can be tried again.
    pub(super) fn undo(&self) -> Result<(), Failure> {
        let journal = Journal::of(&self.plan.path);
        match journal.values() {
            Ok((old, new)) => self
                .back(&journal, &old, &new)
                .map_err(|failure| failure.help(self.way_out())),
            // Killed before both values were kept, or after the last step: nothing is to be undone.
            Err(_) => journal.end(),
        }
    }

    fn way_out(&self) -> String {
        let name = &self.plan.secret;
        format!(
            "Run `locket rotate {name} --finish` to put the new value in force, or `locket rotate {name} --undo` for the old one."
        )
    }

    /// Every dependent must be well before anything changes; those that do not run are left alone.
    fn look(&self) -> Result<Vec<&str>, Failure> {
        if let Some(inside) = &self.plan.inside
            && matches!(
                self.compose.state(&inside.service)?,
                State::Absent | State::Unhealthy
            )
        {
            return Err(Failure::work(format!(
                "{} does not run well, so its password cannot be changed",
                inside.service
            ))
            .help(format!(
                "Start it with `docker compose up --detach --wait {}`.",
                inside.service
            )));
        }
        for service in &self.plan.dependents {
            if self.compose.state(service)? == State::Unhealthy {
                return Err(Failure::work(format!("{service} is not well already"))
                    .help("Mend it first: after the rotation nobody could tell whose fault it is."));
            }
        }
        self.running()
    }

    fn running(&self) -> Result<Vec<&str>, Failure> {
        let mut running = Vec::new();
        for service in &self.plan.dependents {
            match self.compose.state(service)? {
                State::Absent => report::tell(&format!("{service} does not run and is left alone\n")),
                _ => running.push(service.as_str()),
            }
        }
        Ok(running)
    }

    fn forward(
        &self,
        journal: &Journal,
        old: &SecretBytes,
        new: &SecretBytes,
        running: &[&str],
    ) -> Result<(), Failure> {
        journal.reach(Step::Inside)?;
        self.change_inside(old, new)?;
        journal.reach(Step::Files)?;
        self.write(new)?;
        journal.reach(Step::Dependents)?;
        for service in running {
            self.compose.restart(service, self.limit, self.clock)?;
            report::tell(&format!("{service} is well with the new value\n"));
        }
        if let (Some(inside), None) = (&self.plan.inside, self.exec) {
            recipe::drop_value(self.compose, inside, old, new)?;
        }
        journal.end()
    }

    fn back(&self, journal: &Journal, old: &SecretBytes, new: &SecretBytes) -> Result<(), Failure> {
        let step = journal.unfinished()?.unwrap_or(Step::Prepared);
        if step >= Step::Inside {
            match (&self.plan.inside, self.exec) {
                (Some(inside), None) => {
                    recipe::set(self.compose, inside, old, &[old, new])?;
                    recipe::drop_value(self.compose, inside, new, old)?;
                }
                (_, Some(program)) => self.run(program, new, old)?,
                (None, None) => {}
            }
        }
        if step >= Step::Files {
            self.write(old)?;
        }
        if step >= Step::Dependents {
            for service in self.running()? {
                // Whichever of them was the reason may be ill with the old value, too.
                if let Err(failure) = self.compose.restart(service, self.limit, self.clock) {
                    report::tell(&failure.draw(crate::context::Style::Plain));
                }
            }
        }
        journal.end()
    }

    fn change_inside(&self, old: &SecretBytes, new: &SecretBytes) -> Result<(), Failure> {
        match (&self.plan.inside, self.exec) {
            (_, Some(program)) => self.run(program, old, new),
            (Some(inside), None) => {
                recipe::set(self.compose, inside, new, &[old, new])?;
                match recipe::opens(self.compose, inside, new)? {
                    true => {
                        report::tell(&format!("{} takes the new value\n", inside.service));
                        Ok(())
                    }
                    false => Err(Failure::work(format!(
                        "{} does not open with the new value",
                        inside.service
                    ))),
                }
            }
            (None, None) => Ok(()),
        }
    }

    /// Puts `value` into the secret's file, and into those that are made of it.
    fn write(&self, value: &SecretBytes) -> Result<(), Failure> {
        SecretFiles::rewrite(&self.plan.path, value)?;
        let files = SecretFiles::of(self.directory);
        for (name, path) in &self.plan.derived {
            let text = std::fs::read(files.template(name))
                .map_err(|error| Failure::work(format!("the template of {name} cannot be read: {error}")))?;
            let content = |path: &Path| -> Result<Option<SecretBytes>, Failure> {
                Ok(std::fs::read(path).ok().map(SecretBytes::new))
            };
            let rendered = render(name, &text, self.directory, self.clock.wall(), &content)?;
            SecretFiles::rewrite(path, &rendered)?;
        }
        Ok(())
    }

    /// Runs the user's program: a JSON object with both values comes on its standard input.
    fn run(&self, program: &str, old: &SecretBytes, new: &SecretBytes) -> Result<(), Failure> {
        let words = split_words(program).filter(|words| !words.is_empty());
        let Some(words) = words else {
            return Err(Failure::usage(format!("`{program}` is no command")));
        };
        let name = &words[0];
        let failed = |error: std::io::Error| Failure::work(format!("{name} cannot be run: {error}"));
        let mut child = Program::new(name)
            .args(&words[1..])
            .env_clear()
            .envs(crate::providers::without_credentials(self.environment).iter())
            .env("LOCKET_SECRET", &self.plan.secret)
            .current_dir(self.directory)
            .stdin(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        if let Some(mut stdin) = child.stdin.take() {
            let message = message(&self.plan.secret, old, new);
            #[expect(
                clippy::disallowed_methods,
                reason = "a program is told on its standard input"
            )]
            let _ = stdin.write_all(message.expose());
        }
        match child.wait().map_err(failed)?.success() {
            true => Ok(()),
            false => Err(Failure::work(format!("{name} could not change the value"))),
        }
    }
}

/// `{"name":…,"old":…,"new":…}`, a value that is no text as base64 under `old_base64`, `new_base64`.
fn message(name: &str, old: &SecretBytes, new: &SecretBytes) -> SecretBytes {
    let mut message = SecretBuilder::with_capacity(512);
    message.extend(b"{\"name\":");
    message.extend(&serde_json::to_vec(name).unwrap_or_default());
    for (key, value) in [("old", old), ("new", new)] {
        #[expect(
            clippy::disallowed_methods,
            reason = "a program is told on its standard input"
        )]
        let bytes = value.expose();
        let (key, text) = match std::str::from_utf8(bytes) {
            Ok(text) => (
                key.to_owned(),
                zeroize::Zeroizing::new(serde_json::to_vec(text).unwrap_or_default()),
            ),
            Err(_) => {
                let encoded = zeroize::Zeroizing::new(data_encoding::BASE64.encode(bytes));
                (
                    format!("{key}_base64"),
                    zeroize::Zeroizing::new(serde_json::to_vec(encoded.as_str()).unwrap_or_default()),
                )
            }
        };
        message.extend(format!(",\"{key}\":").as_bytes());
        message.extend(&text);
    }
    message.extend(b"}\n");
    message.finish()
}

/// The secrets of the project that are made of the file `path`: those whose template names it.
pub(super) fn derived(directory: &Path, path: &Path) -> Vec<String> {
    let files = SecretFiles::of(directory);
    let Ok(entries) = std::fs::read_dir(files.directory()) else {
        return Vec::new();
    };
    let mut names: Vec<_> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|template| template.extension().is_some_and(|ending| ending == "tmpl"))
        .filter(|template| {
            let text = std::fs::read(template).unwrap_or_default();
            super::super::project::references(&text, directory)
                .iter()
                .any(|named: &PathBuf| named == path)
        })
        .filter_map(|template| Some(template.file_stem()?.to_string_lossy().into_owned()))
        .collect();
    names.sort();
    names
}
