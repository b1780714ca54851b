//! The rotation of one secret: where it is kept and who uses it is put together here.

use clap::ArgMatches;
use locket_compose::Project;
use locket_compose::rotate::{self, Kept, Refused, Rotation, Way};
use locket_core::Environment;

use super::super::files::random_value;
use super::super::links::refuse_leading_out;
use super::super::project::{Asked, Docker, kept_apart, silence};
use super::command::{Configured, RotateArgs};
use super::engine::Compose;
use super::journal::{Files, Journal, Means};
use super::keeper::{File, Followed, Keeper, Swarm};
use super::recipe::Shell;
use super::steps::Work;
use super::swarm::{Manager, Seen};
use super::{steps, subject, variables};
use crate::context::Context;
use crate::report::{self, Failure};

/// All that is known before a secret is named.
pub(super) struct Rotator<'a> {
    pub(super) args: &'a RotateArgs,
    pub(super) matches: &'a ArgMatches,
    pub(super) context: &'a Context,
    pub(super) configured: Configured,
    pub(super) project: Option<&'a Project>,
    /// The project's directory, or the caller's where there is none.
    pub(super) directory: &'a std::path::Path,
}

/// Where services run that a rotation is about.
struct Ground<'a> {
    shell: &'a dyn Shell,
    compose: Option<&'a Compose>,
}

impl Rotator<'_> {
    /// Rotates the secret `name`.
    ///
    /// # Errors
    /// There is none, nobody knows how, or it failed; then everything is as it was, or a hint says how to go on.
    pub(super) fn one(&self, name: &str) -> Result<(), Failure> {
        let named = subject::named(name);
        let planned = self.project.map(|project| self.planned(project, name));
        match (planned, self.followed(name, named.as_ref())) {
            (Some(Ok(plan)), _) => match plan.kept.clone() {
                Kept::Swarm(object) => self.of_swarm(&object, name),
                _ => self.of_project(&plan),
            },
            (_, Some(object)) => self.of_swarm(&object, name),
            (Some(Err(refused)), None) => Err(subject::told(name, refused)),
            (None, None) => match named {
                Some(kept) if self.args.exec.is_some() || self.configured.exec.is_some() => {
                    self.of_project(&alone(name, kept, self.configured.exec.clone()))
                }
                Some(_) => Err(subject::told(name, Refused::Unused)),
                None => self.of_swarm(name, name).map_err(|failure| {
                    failure
                        .help("There is no Compose file here whose secret it could be; `--file` names one.")
                }),
            },
        }
    }

    /// What the rotation of a secret of the project has to do.
    pub(super) fn planned(&self, project: &Project, name: &str) -> Result<Rotation, Refused> {
        self.with_fallback(|has_exec| subject::planned(project, name, has_exec))
    }

    /// What is refused for want of a program has the one of the configuration.
    fn with_fallback(&self, plan: impl Fn(bool) -> Result<Rotation, Refused>) -> Result<Rotation, Refused> {
        match (plan(self.args.exec.is_some()), &self.configured.exec) {
            (Err(Refused::Unchangeable(..) | Refused::Unused), Some(program)) => {
                let mut plan = plan(true)?;
                plan.exec.get_or_insert_with(|| program.clone());
                Ok(plan)
            }
            (planned, _) => planned,
        }
    }

    /// The secret of the swarm that is called so, or has its value from there, as the configuration says.
    fn followed(&self, name: &str, kept: Option<&Kept>) -> Option<String> {
        let mut all = self.configured.swarm.iter();
        let is_it = |secret: &&crate::config::SwarmSecret| {
            secret.name.text == name
                || (kept.is_some() && subject::whole(&secret.template.text).as_ref() == kept)
        };
        all.find(is_it).map(|secret| secret.name.text.clone())
    }

    /// Rotates what a Compose project uses.
    pub(super) fn of_project(&self, plan: &Rotation) -> Result<(), Failure> {
        let keeper = self.keeper(plan)?;
        if self.args.dry_run {
            return self.rehearse(plan, &*keeper);
        }
        let compose = self.compose()?;
        let ground = Ground {
            shell: &compose,
            compose: Some(&compose),
        };
        self.work(plan, &*keeper, &ground)
    }

    /// Rotates what services of a swarm use.
    fn of_swarm(&self, object: &str, name: &str) -> Result<(), Failure> {
        let manager = Manager {
            environment: &self.context.environment,
            docker: self.docker()?,
            clock: self.context.clock.clone(),
            limit: self.args.timeout,
        };
        let seen = manager.look(object)?;
        let kept = Kept::Swarm(object.to_owned());
        let references = |_: &str| Vec::new();
        let project = seen.project()?;
        let planned = self.with_fallback(|has_exec| {
            let asked = rotate::Asked {
                secret: name,
                kept: &kept,
                derived: &[],
                has_exec,
                references: &references,
            };
            rotate::plan(&project, &asked)
        });
        let mut plan = planned.map_err(|refused| subject::told(name, refused))?;
        // The swarm itself moves them, and looks after their health.
        plan.dependents.clear();
        let source = self.source(object, &seen)?;
        let keeper: Box<dyn Keeper + '_> = match &source {
            Some(source) => Box::new(Followed {
                manager: &manager,
                name: object,
                source: &**source,
            }),
            None => Box::new(Swarm {
                manager: &manager,
                seen: &seen,
                name: object,
                shelf: self.shelf(object)?,
            }),
        };
        if self.args.dry_run {
            return self.rehearse(&plan, &*keeper);
        }
        let ground = Ground {
            shell: &manager,
            compose: None,
        };
        self.work(&plan, &*keeper, &ground)
    }

    /// Where the swarm has the value from, when it keeps it equal to something that can be changed; `None` where it is
    /// the swarm's own.
    fn source(&self, object: &str, seen: &Seen) -> Result<Option<Box<dyn Keeper + '_>>, Failure> {
        let mut all = self.configured.swarm.iter();
        let configured = all.find(|secret| secret.name.text == object);
        let followed = configured
            .map(|secret| secret.template.text.as_str())
            .or(seen.follows());
        match followed.map(subject::whole) {
            None => Ok(None),
            Some(Some(Kept::Store(name))) if !seen.is_driven() => self.stored(&name).map(Some),
            Some(_) => Err(Failure::usage(format!(
                "the swarm has {object} from elsewhere: {}",
                followed.unwrap_or_default()
            ))
            .help("Change it there; `locket swarm sync` brings it to the services.")),
        }
    }

    fn shelf(&self, object: &str) -> Result<Files, Failure> {
        let place = kept_apart(&self.context.environment, "rotations").ok_or_else(|| {
            Failure::usage("there is no place for the values while they change")
                .help("Set HOME or XDG_STATE_HOME.")
        })?;
        Ok(Files::beside(&place.join(object)))
    }

    fn keeper<'b>(&'b self, plan: &'b Rotation) -> Result<Box<dyn Keeper + 'b>, Failure> {
        match &plan.kept {
            Kept::File(path) => {
                let derived = plan.derived.iter().map(|(_, path)| path);
                for path in std::iter::once(path).chain(derived) {
                    refuse_leading_out(path, self.directory)?;
                }
                Ok(Box::new(File::new(
                    path,
                    &plan.derived,
                    self.directory,
                    &*self.context.clock,
                )))
            }
            Kept::Store(name) => self.stored(name),
            Kept::Swarm(name) => Err(Failure::usage(format!("{name} is kept by a swarm"))),
        }
    }

    #[cfg(feature = "store")]
    fn stored(&self, name: &str) -> Result<Box<dyn Keeper + '_>, Failure> {
        let (store, name) = super::super::store::secret(self.matches, &self.there(), name)?;
        Ok(Box::new(super::keeper::Stored::new(
            store,
            name,
            &*self.context.clock,
        )))
    }

    #[cfg(not(feature = "store"))]
    fn stored(&self, _: &str) -> Result<Box<dyn Keeper + '_>, Failure> {
        Err(Failure::usage("this build of locket has no store").help("Use the full build."))
    }

    /// As if it was called in the project's directory.
    pub(super) fn there(&self) -> Context {
        Context {
            directory: self.directory.to_owned(),
            ..self.context.clone()
        }
    }

    fn docker(&self) -> Result<Docker, Failure> {
        let context = self.context;
        Docker::find(&context.environment, &context.directory, &self.args.file).ok_or_else(|| {
            Failure::work("there is no program `docker`").help("Install Docker, whose swarm has the secret.")
        })
    }

    fn compose(&self) -> Result<Compose, Failure> {
        let context = self.context;
        match Docker::with_compose(&context.environment, &context.directory, &self.args.file) {
            Asked::There(docker) => Ok(Compose::new(docker, self.args.timeout)),
            Asked::Absent => Err(Failure::work("there is no program `docker` with Compose")
                .help("Install Docker with Compose, which knows and restarts the services of the project.")),
            Asked::Silent(limit) => Err(silence(limit)),
        }
    }

    fn exec<'b>(&'b self, plan: &'b Rotation) -> Option<&'b str> {
        self.args.exec.as_deref().or(plan.exec.as_deref())
    }

    fn work(&self, plan: &Rotation, keeper: &dyn Keeper, ground: &Ground<'_>) -> Result<(), Failure> {
        let (args, name) = (self.args, &plan.secret);
        let journal = Journal(keeper.shelf());
        let mut unfinished = journal.unfinished()?;
        if unfinished.is_some() && journal.values()?.is_none() {
            // The values go first, and only when it has ended: whichever is in force is in force everywhere.
            journal.end()?;
            report::tell(&format!(
                "an earlier rotation of {name} had ended; what it had still kept is gone\n"
            ));
            if args.finish || args.undo {
                return Ok(());
            }
            unfinished = None;
        }
        match (unfinished, args.finish || args.undo) {
            (Some(record), false) => {
                return Err(
                    Failure::work(format!("an earlier rotation of {name} was interrupted"))
                        .help(steps::ways(name, record.means)),
                );
            }
            (None, true) => return Err(Failure::usage(format!("no rotation of {name} was interrupted"))),
            _ => {}
        }
        let is_made_anew = plan
            .dependents
            .iter()
            .any(|dependent| dependent.way != Way::Restart);
        let there = self.there();
        let variables = || -> Result<Option<Environment>, Failure> {
            match is_made_anew {
                true => variables::below_exec(&self.directory.join(".env"), self.matches, &there),
                false => Ok(None),
            }
        };
        let providers = &self.configured.common.providers;
        let environment = providers.without_credentials(&self.context.environment);
        let work = Work {
            plan,
            keeper,
            shell: ground.shell,
            compose: ground.compose,
            variables: &variables,
            clock: &*self.context.clock,
            environment: &environment,
            directory: self.directory,
            exec: self.exec(plan),
            means: match (&self.args.exec, &plan.exec) {
                (Some(_), _) => Means::Given,
                (None, Some(_)) => Means::Configured,
                (None, None) => Means::Recipe,
            },
            limit: args.timeout,
        };
        if args.undo {
            work.undo()?;
            report::tell(&format!("{name} has its old value\n"));
            return Ok(());
        }
        match args.finish {
            true => work.finish()?,
            false => work.rotate(&random_value()?)?,
        }
        report::tell(&format!("{name} has a new value\n"));
        Ok(())
    }

    /// What would be done, in lines.
    fn rehearse(&self, plan: &Rotation, keeper: &dyn Keeper) -> Result<(), Failure> {
        let mut text = String::new();
        match self.exec(plan) {
            Some(program) => {
                let name = program.split_whitespace().next().unwrap_or_default();
                text += &format!("would have {name} change the value\n");
            }
            None => {
                for inside in &plan.inside {
                    text += &format!(
                        "would change the password of {} in {}\n",
                        inside.user, inside.service
                    );
                }
            }
        }
        for line in keeper.rehearse()? {
            text += &format!("{line}\n");
        }
        for dependent in &plan.dependents {
            let deed = match dependent.way {
                Way::Restart => "restart",
                Way::Recreate | Way::Provide => "make anew",
            };
            text += &format!("would {deed} {} and wait until it is well\n", dependent.service);
        }
        report::tell(&text);
        Ok(())
    }
}

/// The rotation of what a program alone knows how to change.
fn alone(name: &str, kept: Kept, exec: Option<String>) -> Rotation {
    Rotation {
        secret: name.to_owned(),
        kept,
        inside: Vec::new(),
        exec,
        derived: Vec::new(),
        dependents: Vec::new(),
    }
}
