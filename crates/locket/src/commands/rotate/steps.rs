//! The rotation of one secret, step by step, and the way back from each.

use std::path::Path;
use std::process::Command as Program;
use std::time::Duration;

use locket_compose::rotate::{Dependent, Inside, Rotation};
use locket_core::action::split_words;
use locket_core::{Clock, Environment, SecretBuilder, SecretBytes};

use super::super::limited;
use super::engine::{Compose, State};
use super::journal::{Journal, Means, Record, Step};
use super::keeper::Keeper;
use super::recipe::{self, Shell};
use crate::report::{self, Failure, Problem};

/// All that the rotation of one secret needs.
pub(super) struct Work<'a> {
    pub(super) plan: &'a Rotation,
    /// Where the value is kept.
    pub(super) keeper: &'a dyn Keeper,
    /// Where programs run beside the services that it is in force in.
    pub(super) shell: &'a dyn Shell,
    /// Where dependents run; a swarm looks after its own.
    pub(super) compose: Option<&'a Compose>,
    /// The variables that containers are made with, as they are now.
    pub(super) variables: &'a dyn Fn() -> Result<Option<Environment>, Failure>,
    pub(super) clock: &'a dyn Clock,
    /// What the program of the user inherits.
    pub(super) environment: &'a Environment,
    /// The project's directory.
    pub(super) directory: &'a Path,
    /// The program that changes the value inside, instead of a recipe.
    pub(super) exec: Option<&'a str>,
    /// Where that program is named.
    pub(super) means: Means,
    /// How long that program may take, and a dependent to be well.
    pub(super) limit: Duration,
}

impl Work<'_> {
    /// Puts `new` in force everywhere, or leaves everything as it was.
    ///
    /// # Errors
    /// The old value is in force; or, where the way back failed as well, a hint says how to go on.
    pub(super) fn rotate(&self, new: &SecretBytes) -> Result<(), Failure> {
        let running = self.look()?;
        let old = self.keeper.value()?;
        self.look_inside(&old, new)?;
        self.look_at_variables(&running)?;
        let journal = Journal(self.keeper.shelf());
        journal.begin(&old, new, self.means)?;
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
        let journal = Journal(self.keeper.shelf());
        let Some((old, new)) = journal.values()? else {
            return Err(Failure::work("the values of the interrupted rotation are gone").help(self.way_out()));
        };
        self.refuse_without_program(journal.unfinished()?)?;
        let running = self.running()?;
        self.forward(&journal, &old, &new, &running)
            .map_err(|failure| failure.help(self.way_out()))
    }

    /// Puts the old value in force again after a rotation that was interrupted.
    ///
    /// # Errors
    /// Some step of it fails; it can be tried again.
    pub(super) fn undo(&self) -> Result<(), Failure> {
        let journal = Journal(self.keeper.shelf());
        let Some((old, new)) = journal.values()? else {
            return Err(Failure::work("the values of the interrupted rotation are gone"));
        };
        // Before that step it has not been run.
        self.refuse_without_program(journal.unfinished()?.filter(|record| record.step >= Step::Inside))?;
        self.back(&journal, &old, &new)
            .map_err(|failure| self.advised(failure))
    }

    /// What a program changed inside can be changed by that program alone: without it, the value that is put in force
    /// elsewhere would be another one.
    fn refuse_without_program(&self, record: Option<Record>) -> Result<(), Failure> {
        let is_missing = match record.map(|record| record.means) {
            None | Some(Means::Recipe) => false,
            Some(Means::Configured) => self.exec.is_none(),
            Some(Means::Given) => self.means != Means::Given,
        };
        match is_missing {
            false => Ok(()),
            true => Err(Failure::usage(format!(
                "a program changes {} inside, and it is not named",
                self.plan.secret
            ))
            .help(ways(&self.plan.secret, Means::Given))),
        }
    }

    /// With the way out as advice, unless the failure brings advice of its own.
    fn advised(&self, failure: Failure) -> Failure {
        let has_advice = matches!(
            failure.problems().last(),
            Some(Problem::Told { help: Some(_), .. })
        );
        match has_advice {
            true => failure,
            false => failure.help(self.way_out()),
        }
    }

    fn way_out(&self) -> String {
        ways(&self.plan.secret, self.means)
    }

    /// Every dependent must be well before anything changes; those that do not run are left alone.
    fn look(&self) -> Result<Vec<&Dependent>, Failure> {
        if self.exec.is_none() {
            for inside in &self.plan.inside {
                self.shell.reach(&inside.service)?;
            }
        }
        for (compose, dependent) in self.dependents() {
            let service = &dependent.service;
            if compose.state(service)? == State::Unhealthy {
                return Err(Failure::work(format!("{service} is not well already"))
                    .help("Mend it first: after the rotation nobody could tell whose fault it is."));
            }
        }
        self.running()
    }

    /// Every service must be able to take both values, and the old one must let in whoever changes it: a rotation that
    /// cannot begin must not leave a record that can be neither finished nor undone.
    fn look_inside(&self, old: &SecretBytes, new: &SecretBytes) -> Result<(), Failure> {
        if self.exec.is_some() {
            return Ok(());
        }
        for inside in &self.plan.inside {
            recipe::in_force(inside, old)?;
            recipe::in_force(inside, new)?;
            if !recipe::admits(self.shell, inside, old)? {
                let (name, service) = (&self.plan.secret, &inside.service);
                return Err(Failure::work(format!(
                    "{service} does not open with the value that is kept of {name}, so nothing is changed"
                ))
                .help(
                    "Check that the service is ready, and that what is kept is the password in force there.",
                ));
            }
        }
        Ok(())
    }

    /// The containers' variables are had once before anything changes, and anew with the value that is then in force: a
    /// provider that cannot be asked must not be the reason to go back.
    fn look_at_variables(&self, running: &[&Dependent]) -> Result<(), Failure> {
        match self.compose.is_some() && !running.is_empty() {
            true => (self.variables)().map(drop),
            false => Ok(()),
        }
    }

    fn dependents(&self) -> impl Iterator<Item = (&Compose, &Dependent)> {
        let compose = self.compose.into_iter();
        compose.flat_map(|compose| {
            self.plan
                .dependents
                .iter()
                .map(move |dependent| (compose, dependent))
        })
    }

    fn running(&self) -> Result<Vec<&Dependent>, Failure> {
        let mut running = Vec::new();
        for (compose, dependent) in self.dependents() {
            match compose.state(&dependent.service)? {
                State::Absent => {
                    let service = &dependent.service;
                    report::tell(&format!("{service} does not run and is left alone\n"));
                }
                _ => running.push(dependent),
            }
        }
        Ok(running)
    }

    fn forward(
        &self,
        journal: &Journal<'_>,
        old: &SecretBytes,
        new: &SecretBytes,
        running: &[&Dependent],
    ) -> Result<(), Failure> {
        journal.reach(Step::Inside, self.means)?;
        self.change_inside(old, new)?;
        journal.reach(Step::Kept, self.means)?;
        self.keeper.keep(new)?;
        journal.reach(Step::Dependents, self.means)?;
        if let Some(compose) = self.compose {
            let variables = (self.variables)()?;
            for dependent in running {
                compose.renew(dependent, variables.as_ref(), self.limit, self.clock)?;
                report::tell(&format!("{} is well with the new value\n", dependent.service));
            }
        }
        if self.exec.is_none() {
            for inside in &self.plan.inside {
                recipe::drop_value(self.shell, inside, old, new)?;
            }
        }
        journal.end()
    }

    fn back(&self, journal: &Journal<'_>, old: &SecretBytes, new: &SecretBytes) -> Result<(), Failure> {
        let step = journal.unfinished()?.map_or(Step::Prepared, |record| record.step);
        if step >= Step::Inside {
            match self.exec {
                Some(program) => self.run(program, new, old)?,
                None => self.restore_inside(journal, old, new)?,
            }
        }
        if step >= Step::Kept {
            self.keeper.keep(old)?;
        }
        if let (Some(compose), true) = (self.compose, step >= Step::Dependents) {
            let variables = (self.variables)()?;
            for dependent in self.running()? {
                // Whichever of them was the reason may be ill with the old value, too.
                if let Err(failure) = compose.renew(dependent, variables.as_ref(), self.limit, self.clock) {
                    report::tell(&failure.draw(crate::context::Style::Plain));
                }
            }
        }
        journal.end()
    }

    /// Gives every service the old value again, and tries it there.
    fn restore_inside(
        &self,
        journal: &Journal<'_>,
        old: &SecretBytes,
        new: &SecretBytes,
    ) -> Result<(), Failure> {
        for inside in &self.plan.inside {
            // What it answers proves nothing: a service may refuse what is in force already, or agree and change nothing.
            let _ = recipe::set(self.shell, inside, old, &[old, new]);
            if !recipe::opens(self.shell, inside, old)? {
                return Err(self.astray(journal, inside, new));
            }
            recipe::drop_value(self.shell, inside, new, old)?;
        }
        Ok(())
    }

    /// What is in force in a service that did not go back to the old value.
    fn astray(&self, journal: &Journal<'_>, inside: &Inside, new: &SecretBytes) -> Failure {
        let (name, service) = (&self.plan.secret, &inside.service);
        match recipe::opens(self.shell, inside, new) {
            Ok(true) => Failure::work(format!(
                "{service} did not take the old value of {name} again: the new one is in force there"
            ))
            .help(format!(
                "`locket rotate {name} --finish` puts the new value in force everywhere."
            )),
            Ok(false) => Failure::work(format!(
                "{service} opens neither with the old value of {name} nor with the new one"
            ))
            .help(format!(
                "Both are kept in {}. Give {} one of them in {service}, then run `locket rotate {name} --undo` if it is the old one, `--finish` if it is the new one.",
                journal.0.shown(),
                inside.user
            )),
            Err(failure) => failure,
        }
    }

    fn change_inside(&self, old: &SecretBytes, new: &SecretBytes) -> Result<(), Failure> {
        if let Some(program) = self.exec {
            return self.run(program, old, new);
        }
        for inside in &self.plan.inside {
            recipe::set(self.shell, inside, new, &[old, new])?;
            if !recipe::opens(self.shell, inside, new)? {
                return Err(Failure::work(format!(
                    "{} does not open with the new value",
                    inside.service
                )));
            }
            report::tell(&format!("{} takes the new value\n", inside.service));
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
        let mut command = Program::new(name);
        command
            .args(&words[1..])
            .env_clear()
            .envs(self.environment.iter())
            .env("LOCKET_SECRET", &self.plan.secret)
            .current_dir(self.directory);
        let message = message(&self.plan.secret, old, new);
        match limited::status(command, Some(&message), self.limit).map_err(failed)? {
            Some(status) if status.success() => Ok(()),
            Some(_) => Err(Failure::work(format!("{name} could not change the value"))),
            None => Err(Failure::work(format!(
                "{name} did not end within {} and was killed",
                humantime::format_duration(self.limit)
            ))
            .help("`--timeout` gives it more time.")),
        }
    }
}

/// How to go on with an interrupted rotation of the secret `name`.
pub(super) fn ways(name: &str, means: Means) -> String {
    let (exec, which) = match means {
        Means::Given => (
            " --exec COMMAND",
            " COMMAND is the program that changes the value inside.",
        ),
        Means::Recipe | Means::Configured => ("", ""),
    };
    format!(
        "Run `locket rotate {name} --finish{exec}` to put the new value in force, or `locket rotate {name} --undo{exec}` for the old one.{which}"
    )
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
