//! What `init` is told, and the order of its steps.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgMatches, Args, ValueHint};
use locket_compose::init::{self, DEFAULT_PROGRAMS, Fresh, ImageFacts, Options, Plan};

use super::super::project::{Disk, Docker, lock};
use super::super::{Command, arguments};
use super::apply::{self, Outcome};
use super::ask::{self, Asking};
use super::found::{Found, project};
use crate::context::Context;
use crate::exit::Exit;
use crate::report::{self, Failure};

pub(in super::super) const COMMAND: Command = Command {
    name: "init",
    about: "Give a Compose project secret files, and have its services read them",
    arguments: InitArgs::augment_args,
    run,
};

/// How long another one in the same directory is waited for.
const OTHERS: Duration = Duration::from_secs(10);

#[derive(Args)]
pub(super) struct InitArgs {
    /// The project's directory, which is made if it is not there
    #[arg(value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
    pub(super) directory: PathBuf,

    /// Explain each step, and ask; without a terminal the flags answer
    #[arg(long)]
    pub(super) guided: bool,

    /// A Compose file, instead of those that Compose finds; repeatable
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) file: Vec<PathBuf>,

    /// A program to begin with where there is no Compose file; repeatable [default: postgres, redis, grafana]
    #[arg(long, value_name = "PROGRAM")]
    pub(super) with: Vec<String>,

    /// Only this service; repeatable
    #[arg(long, value_name = "SERVICE")]
    pub(super) service: Vec<String>,

    /// Another secret file, for no service in particular; repeatable
    #[arg(long, value_name = "NAME")]
    pub(super) also: Vec<String>,

    /// A secret that gets a new value instead of the project's plain one, or `all`; repeatable
    #[arg(long = "new", value_name = "NAME|all")]
    pub(super) fresh: Vec<String>,

    /// A secret that is left as it is; repeatable
    #[arg(long, value_name = "NAME")]
    pub(super) skip: Vec<String>,

    /// Say what would be done, and do nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

fn run(matches: &ArgMatches, context: &Context) -> Result<Exit, Failure> {
    let args: InitArgs = arguments(matches)?;
    let directory = context.directory.join(&args.directory);
    if !args.dry_run {
        std::fs::create_dir_all(&directory)
            .map_err(|error| Failure::work(format!("{} cannot be made: {error}", directory.display())))?;
    }
    // Two at once would make two values for one secret.
    let _only = lock(&directory, OTHERS)?;
    let asking = Asking::of(args.guided);
    let found = Found::look(&directory, &args.file)?;
    let mut disk = Disk::default();
    let mut base = found.base.clone();
    let earlier = found.earlier(&disk, &context.environment);
    let mut protect: BTreeSet<String> = earlier.services().map(str::to_owned).collect();
    if base.is_empty() {
        let programs = ask::programs(&args.with, asking)?;
        if !programs.is_empty() {
            let path = directory.join("compose.yaml");
            disk.drafts.insert(path.clone(), init::starter(&programs));
            base.push(path);
            protect.extend(programs);
        }
    } else if !args.with.is_empty() {
        return Err(
            Failure::usage("there is a Compose file already, so nothing is begun")
                .help("Add the service to it, then run `locket init` again without `--with`."),
        );
    }
    let mut options = Options {
        only: args.service.clone(),
        fresh: match args.fresh.iter().any(|name| name == "all") {
            true => Fresh::All,
            false => Fresh::Named(args.fresh.clone()),
        },
        skip: args.skip.clone(),
        protect,
        more: checked(&args.also)?,
        earlier,
    };
    let docker = Docker::find(&context.environment, &directory, &[]);
    let inspect = |image: &str| -> Option<ImageFacts> { docker.as_ref()?.inspect(image) };
    let plan = match base.is_empty() {
        true => Plan {
            secrets: Vec::new(),
            ..Plan::default()
        },
        false => {
            let project = project(&base, &directory, &disk, &context.environment)?;
            refuse_unknown(&options, &project)?;
            let plan = init::plan(&project, &options, &inspect);
            match ask::secrets(&plan, &mut options, asking)? {
                true => init::plan(&project, &options, &inspect),
                false => plan,
            }
        }
    };
    let outcome = Outcome {
        directory: &directory,
        found: &found,
        disk: &disk,
        plan: &plan,
        more: &options.more,
        base: &base,
    };
    if args.dry_run || !ask::go_on(asking)? {
        report::tell(&outcome.forecast()?);
        return Ok(Exit::Done);
    }
    apply::apply(&outcome, context)?;
    Ok(Exit::Done)
}

/// Names that can be names of files.
fn checked(names: &[String]) -> Result<Vec<String>, Failure> {
    let allowed = |char: char| char.is_ascii_alphanumeric() || "_-.".contains(char);
    for name in names {
        if name.is_empty() || name.starts_with('.') || !name.chars().all(allowed) {
            return Err(Failure::usage(format!("`{name}` is not the name of a secret"))
                .help("Write letters, digits and `_ - .`, like `session_key`."));
        }
    }
    Ok(names.to_vec())
}

fn refuse_unknown(options: &Options, project: &locket_compose::Project) -> Result<(), Failure> {
    match options.unknown(project).into_iter().next() {
        None => Ok(()),
        Some((name, near)) => {
            let failure = Failure::usage(format!("the project has no service `{name}`"));
            Err(match near {
                Some(near) => failure.help(format!("Did you mean `{near}`?")),
                None => failure,
            })
        }
    }
}

/// What a project begins with when nobody says.
pub(super) fn default_programs() -> Vec<String> {
    DEFAULT_PROGRAMS.iter().map(|name| (*name).to_owned()).collect()
}
