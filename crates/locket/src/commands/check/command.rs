//! What `check` is told, and its exit code.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{ArgMatches, Args, ValueEnum, ValueHint};
use locket_compose::check::{self, Options};
use locket_compose::{LoadError, Project, Request, load};
use locket_engine::Instances;

use super::super::{Command, arguments};
use super::baseline::Baseline;
use super::disk::Disk;
use super::reported::Reported;
use super::subjects::Subjects;
use super::{draw, fix, resolve, texts};
use crate::context::Context;
use crate::exit::Exit;
use crate::options::{self, table, values};
use crate::report::Failure;
use crate::{output, providers};

pub(in super::super) const COMMAND: Command = Command {
    name: "check",
    about: "Find what is wrong with the secrets of a Compose project, of templates and of maps",
    arguments: |command| {
        let command = options::add_flags(CheckArgs::augment_args(command), table::ASKING);
        providers::add_flags(options::add_flags(command, table::EVERY))
    },
    run,
};

#[derive(Args)]
struct CheckArgs {
    /// Compose files, directories with one, env files, maps (`.csv`), configuration files (`.toml`) and templates;
    /// without any the project of this directory
    #[arg(value_hint = ValueHint::AnyPath)]
    files: Vec<PathBuf>,
    /// Report secret files that were not changed for longer, such as `90d`
    #[arg(long, value_name = "DURATION", value_parser = max_age)]
    max_age: Option<Duration>,
    /// Ask the providers whether every reference has a value
    #[arg(long)]
    resolve: bool,
    /// Put right what can be put right without asking, then check again
    #[arg(long)]
    fix: bool,
    /// How findings are printed
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Form,
    /// Leave out the findings that this file knows
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    baseline: Option<PathBuf>,
    /// Write the findings to the file of `--baseline` instead of printing them
    #[arg(long, requires = "baseline", conflicts_with_all = ["fix", "format"])]
    write_baseline: bool,
}

/// How findings are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    /// For people, each at its place.
    Text,
    /// One JSON document.
    Json,
    /// SARIF 2.1.0, which code hosts read.
    Sarif,
    /// Commands of GitHub's workflows, which become annotations.
    Github,
}

/// Fixing one thing can bring another to light, such as a new file in an open directory.
const MOST_ROUNDS: usize = 3;

fn run(matches: &ArgMatches, context: &Context) -> Result<Exit, Failure> {
    let args: CheckArgs = arguments(matches)?;
    let subjects = Subjects::sort(&args.files, context)?;
    let mut round = look(&args, &subjects, matches, context)?;
    if args.fix {
        let mut refused = Vec::new();
        for _ in 0..MOST_ROUNDS {
            if !fix::apply(&round.found, &mut refused, &context.directory, context.style)? {
                break;
            }
            round = look(&args, &subjects, matches, context)?;
        }
    }
    if args.resolve {
        let found = resolve::ask(&round.texts, &round.instances, round.request_timeout, context)?;
        round.found.extend(found);
        Reported::sort(&mut round.found);
    }
    let baseline = args.baseline.as_ref().map(|path| context.directory.join(path));
    if let Some(path) = baseline {
        if args.write_baseline {
            Baseline::of(&round.found, &context.directory).write(&path)?;
            return Ok(Exit::Done);
        }
        let known = Baseline::read(&path)?;
        round
            .found
            .retain(|reported| !known.knows(reported, &context.directory));
    }
    output::text(&draw::draw(&round.found, round.ignored, args.format, context))?;
    match round.found.is_empty() {
        true => Ok(Exit::Done),
        false => Ok(Exit::Failed),
    }
}

fn max_age(text: &str) -> Result<Duration, String> {
    values::duration(text).map_err(|wrong| wrong.message)
}

/// What one look brings.
struct Round {
    found: Vec<Reported>,
    ignored: usize,
    texts: Vec<texts::Tagged>,
    instances: Arc<Instances>,
    request_timeout: Duration,
}

fn look(
    args: &CheckArgs,
    subjects: &Subjects,
    matches: &ArgMatches,
    context: &Context,
) -> Result<Round, Failure> {
    let settled = texts::configuration(subjects, matches, context);
    let instances = settled.instances;
    let mut found = settled.found;
    let mut tagged = settled.tagged;
    let mut ignored = 0;
    let disk = Disk::default();
    let options = Options {
        max_age: args.max_age,
        is_root: rustix::process::geteuid().is_root(),
        schemes: instances.schemes().clone(),
    };
    for files in &subjects.projects {
        let Some(project) = project(files, subjects, context, &disk)? else {
            continue;
        };
        let checked = check::check(&project, &disk, &options);
        ignored += checked.ignored.len();
        found.extend(Reported::of_project(&project, &checked, &context.directory));
        if args.resolve {
            tagged.extend(texts::of_project(&project, &checked));
        }
    }
    for note in disk.notes() {
        tracing::warn!("{note}");
    }
    texts::files(subjects, &instances, context, &mut found, &mut tagged)?;
    Reported::sort(&mut found);
    Ok(Round {
        found,
        ignored,
        texts: tagged,
        instances,
        request_timeout: settled.request_timeout,
    })
}

/// The project of `files`; `None` where nobody named one, and there is none.
fn project(
    files: &[PathBuf],
    subjects: &Subjects,
    context: &Context,
    disk: &Disk,
) -> Result<Option<Project>, Failure> {
    let is_directory = files.first().is_some_and(|path| path.is_dir());
    let request = match is_directory {
        true => Request {
            directory: files[0].clone(),
            ..Request::default()
        },
        false => Request {
            directory: context.directory.clone(),
            files: files.to_vec(),
            ..Request::default()
        },
    };
    match load(&request, disk, &context.environment) {
        Ok(project) => Ok(Some(project)),
        Err(LoadError::NoFile(_)) if subjects.has_others() => Ok(None),
        Err(error @ LoadError::NoFile(_)) => Err(Failure::usage(error.to_string())
            .help("Name the files to check, or call `locket check` in the directory of a project.")),
        Err(error) => Err(Failure::work(error.to_string())),
    }
}
