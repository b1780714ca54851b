//! What `rotate` is told.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::{ArgGroup, ArgMatches, Args, ValueHint};
use locket_compose::Project;
use locket_compose::model::Origin;
use locket_compose::rotate::{self, Refused, Rotation};
use locket_core::SecretBytes;

use super::super::files::{random_value, write_text};
use super::super::init::project;
use super::super::project::{Disk, Docker};
use super::super::{Command, arguments};
use super::engine::Compose;
use super::journal::Journal;
use super::steps::{self, Work};
use super::timer;
use crate::context::Context;
use crate::exit::Exit;
use crate::output;
use crate::report::{self, Failure};

pub(in super::super) const COMMAND: Command = Command {
    name: "rotate",
    about: "Change a password inside its service, then in its file, then in what depends on it",
    arguments: |command| {
        let command = RotateArgs::augment_args(command);
        command
            .group(
                ArgGroup::new("which")
                    .args(["name", "all", "schedule"])
                    .required(true),
            )
            .group(
                ArgGroup::new("rest")
                    .args(["finish", "undo"])
                    .conflicts_with_all(["all", "schedule", "dry_run"]),
            )
    },
    run,
};

#[derive(Args)]
struct RotateArgs {
    /// A secret of the Compose project
    name: Option<String>,

    /// Every secret whose value is in force in a service that can be told, or that a program changes
    #[arg(long)]
    all: bool,

    /// With `--all`: only those whose file was last changed longer ago
    #[arg(long, value_name = "DUR", default_value = "90d", value_parser = humantime::parse_duration)]
    older_than: Duration,

    /// Print units for systemd that do this every day, or write them to a directory
    #[arg(long, value_name = "DIR", num_args = 0..=1, default_missing_value = "-")]
    schedule: Option<PathBuf>,

    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,

    /// Go on with a rotation that was interrupted
    #[arg(long)]
    finish: bool,

    /// Put the old value in force again after a rotation that was interrupted
    #[arg(long)]
    undo: bool,

    /// A program that changes the value inside; both values come as JSON on its standard input
    #[arg(long, value_name = "COMMAND")]
    exec: Option<String>,

    /// How long each service may take to be well after its restart
    #[arg(long, value_name = "DUR", default_value = "2m", value_parser = humantime::parse_duration)]
    timeout: Duration,

    /// A Compose file, instead of those that Compose finds; repeatable
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: Vec<PathBuf>,
}

fn run(matches: &ArgMatches, context: &Context) -> Result<Exit, Failure> {
    let args: RotateArgs = arguments(matches)?;
    if let Some(place) = &args.schedule {
        return schedule(place, &args, context);
    }
    let project = project(
        &args.file,
        &context.directory,
        &Disk::default(),
        &context.environment,
    )?;
    match &args.name {
        Some(name) => {
            let plan = planned(&project, name, args.exec.is_some())?;
            one(&plan, &project, &args, context)?;
        }
        None => return all(&project, &args, context),
    }
    Ok(Exit::Done)
}

fn planned(project: &Project, name: &str, has_exec: bool) -> Result<Rotation, Failure> {
    let derived = match project.secret(name).map(|secret| &secret.origin) {
        Some(Origin::File { path, .. }) => steps::derived(&project.directory, path),
        _ => Vec::new(),
    };
    rotate::plan(project, name, &derived, has_exec).map_err(|refused| match refused {
        Refused::Unknown(near) => {
            let failure = Failure::usage(format!("the project has no secret `{name}`"));
            match near {
                Some(near) => failure.help(format!("Did you mean `{near}`?")),
                None => failure.help("`locket check` lists the secrets of a project."),
            }
        }
        Refused::Elsewhere(why) => Failure::usage(format!("{name} has no file that could be changed: {why}"))
            .help("Change it where it comes from."),
        Refused::Unchangeable(service, image) => Failure::usage(format!(
            "{name} is a password of {service}, and how {image} changes it is not known"
        ))
        .help(format!(
            "Changed in the file alone it would lock everybody out. Name a program that changes it inside with `--exec`, or in the label {} of {service}.",
            rotate::EXEC_LABEL
        )),
    })
}

fn one(plan: &Rotation, project: &Project, args: &RotateArgs, context: &Context) -> Result<(), Failure> {
    let exec = args.exec.as_deref().or(plan.exec.as_deref());
    let unfinished = Journal::of(&plan.path).unfinished()?;
    let name = &plan.secret;
    match (unfinished, args.finish || args.undo) {
        (Some(_), false) => {
            return Err(Failure::work(format!("an earlier rotation of {name} was interrupted")).help(format!(
                "`locket rotate {name} --finish` puts the new value in force, `locket rotate {name} --undo` the old one."
            )));
        }
        (None, true) => return Err(Failure::usage(format!("no rotation of {name} was interrupted"))),
        _ => {}
    }
    if args.dry_run {
        report::tell(&told(plan, exec));
        return Ok(());
    }
    let Some(docker) = Docker::find(&context.environment, &context.directory, &args.file) else {
        return Err(Failure::work("there is no program `docker`")
            .help("Install Docker with Compose, which knows and restarts the services of the project."));
    };
    let compose = Compose::new(docker);
    let work = Work {
        plan,
        compose: &compose,
        clock: &*context.clock,
        environment: &context.environment,
        directory: &project.directory,
        exec,
        limit: args.timeout,
    };
    if args.finish {
        work.finish()?;
    } else if args.undo {
        work.undo()?;
        report::tell(&format!("{name} has its old value\n"));
        return Ok(());
    } else {
        let new: SecretBytes = random_value()?;
        work.rotate(&new)?;
    }
    report::tell(&format!("{name} has a new value\n"));
    Ok(())
}

/// Each for itself: one that fails is told, and the others go on.
fn all(project: &Project, args: &RotateArgs, context: &Context) -> Result<Exit, Failure> {
    let now = context.clock.wall();
    let mut exit = Exit::Done;
    for secret in &project.secrets {
        let Origin::File { path, .. } = &secret.origin else {
            continue;
        };
        let changed = std::fs::metadata(path).and_then(|there| there.modified());
        let age = |changed: SystemTime| now.duration_since(changed).unwrap_or_default();
        match changed.map(age) {
            Ok(age) if age >= args.older_than => {}
            Ok(_) => continue,
            Err(error) => {
                report::tell(&format!(
                    "{}: {} cannot be read: {error}\n",
                    secret.name,
                    path.display()
                ));
                exit = Exit::Failed;
                continue;
            }
        }
        let template = path.with_extension("tmpl");
        if template.exists() {
            // It changes with the secret that it is made of.
            continue;
        }
        let plan = match planned(project, &secret.name, args.exec.is_some()) {
            Ok(plan) => plan,
            Err(failure) => {
                report::tell(&failure.draw(context.style));
                exit = Exit::Failed;
                continue;
            }
        };
        if plan.inside.is_none() && plan.exec.is_none() && args.exec.is_none() {
            report::tell(&format!(
                "{} is left alone: where else its value is in force is not known; `locket rotate {0}` changes it all the same\n",
                secret.name
            ));
            continue;
        }
        if let Err(failure) = one(&plan, project, args, context) {
            report::tell(&failure.draw(context.style));
            exit = Exit::Failed;
        }
    }
    Ok(exit)
}

/// What would be done, in lines.
fn told(plan: &Rotation, exec: Option<&str>) -> String {
    let mut text = String::new();
    match (exec, &plan.inside) {
        (Some(program), _) => {
            let name = program.split_whitespace().next().unwrap_or_default();
            text += &format!("would have {name} change the value\n");
        }
        (None, Some(inside)) => {
            text += &format!(
                "would change the password of {} in {}\n",
                inside.user, inside.service
            );
        }
        (None, None) => {}
    }
    text += &format!("would write {}\n", plan.path.display());
    for (_, path) in &plan.derived {
        text += &format!("would write {}\n", path.display());
    }
    for service in &plan.dependents {
        text += &format!("would restart {service} and wait until it is well\n");
    }
    text
}

fn schedule(place: &std::path::Path, args: &RotateArgs, context: &Context) -> Result<Exit, Failure> {
    let program = std::env::current_exe()
        .map_err(|error| Failure::work(format!("where this program stands cannot be told: {error}")))?;
    let older_than = humantime::format_duration(args.older_than)
        .to_string()
        .replace(' ', "");
    let units = timer::units(&program, &context.directory, &older_than);
    if place == std::path::Path::new("-") {
        for (name, text) in &units {
            output::text(&format!("# {name}\n{text}\n"))?;
        }
        return Ok(Exit::Done);
    }
    for (name, text) in &units {
        write_text(&context.directory.join(place).join(name), text)?;
    }
    report::tell("`systemctl daemon-reload`, then `systemctl enable --now locket-rotate.timer`, starts it\n");
    Ok(Exit::Done)
}
