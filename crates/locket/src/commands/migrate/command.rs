//! What `migrate` is told, and the order of its steps: nothing is written before the result is known to mean the same.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::{ArgMatches, Args, ValueEnum, ValueHint};
use locket_compose::init::DIRECTORY;
use locket_compose::migrate::{self, Edit, Migration};
use locket_compose::{Project, Request, load};
use locket_core::words::counted;
use locket_core::{Environment, SecretBytes};

use super::super::files::{read_text, write_text};
use super::super::init::{IGNORED_BY, ignore, project};
use super::super::links::refuse_leading_out;
use super::super::project::{Asked, CONFIG_LIMIT, Disk, Docker, SecretFiles, silence};
use super::super::{Command, arguments};
use super::{backup, diff};
use crate::context::Context;
use crate::exit::Exit;
use crate::options::{self, table};
use crate::report::{self, Failure};
use crate::{output, providers};

pub(in super::super) const COMMAND: Command = Command {
    name: "migrate",
    about: "Move plain values of a Compose project out, and put references in their place",
    arguments: |command| {
        let command = options::add_flags(MigrateArgs::augment_args(command), table::EVERY);
        providers::add_flags(command)
    },
    run,
};

#[derive(Args)]
struct MigrateArgs {
    /// Do it; without this the changes are only shown
    #[arg(long)]
    apply: bool,

    /// Where the values go
    #[arg(long, value_name = "PLACE", default_value = "files")]
    to: Destination,

    /// Where the files are kept as they were; outside of any repository [default: ~/.local/state/locket/backups]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    backup: Option<PathBuf>,

    /// A Compose file, instead of those that Compose finds; repeatable
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Destination {
    /// A file for each, in `secrets/`
    Files,
    /// The embedded store, locket.store, which is safe to commit
    Store,
}

fn run(matches: &ArgMatches, context: &Context) -> Result<Exit, Failure> {
    let args: MigrateArgs = arguments(matches)?;
    let before = project(
        &args.file,
        &context.directory,
        &Disk::default(),
        &context.environment,
    )?;
    let directory = before.directory.clone();
    let env_path = directory.join(".env");
    let env_text = read_text(&env_path)?.unwrap_or_default();
    let reference = |name: &str| match args.to {
        Destination::Files => format!("{{{{ file://{DIRECTORY}/{name}.txt }}}}"),
        Destination::Store => format!("{{{{ store://{name} }}}}"),
    };
    let parts = parts(&before, &context.environment);
    let migration = migrate::plan(&before, &parts, (&env_path, &env_text), &reference);
    let read = |path: &Path| read_text(path).ok().flatten().unwrap_or_default();
    for (place, why) in &migration.left {
        report::tell(&format!("{place} stays: {why}\n"));
    }
    if migration.moved.is_empty() && migration.edits.is_empty() {
        report::tell(match migration.left.is_empty() {
            true => "no plain values were found\n",
            false => "no plain values were found that can move by themselves\n",
        });
        return Ok(Exit::Done);
    }
    let texts = migration.texts(&read);
    if let Some(text) = texts.get(&env_path) {
        let misread = migration.misread(&env_text, text, &context.environment, &reference);
        refuse_misread(&env_path, &misread)?;
    }
    prove(&before, &migration, &texts, &args, context)?;
    refuse_links(&directory, &texts, args.to)?;
    output::text(&shown(&migration, &directory, &read))?;
    if !args.apply {
        report::tell(&format!(
            "{} would move; `locket migrate --apply` does it\n",
            counted(migration.moved.len(), "value")
        ));
        return Ok(Exit::Done);
    }
    let work = Work {
        matches,
        args: &args,
        context,
        directory: &directory,
        migration: &migration,
        texts: &texts,
    };
    work.apply(&read)?;
    Ok(Exit::Done)
}

/// Each Compose file of a project by itself. One that is no project alone has nothing that others do not show.
fn parts(project: &Project, environment: &Environment) -> Vec<Project> {
    let sources = project.sources.iter().map(|(_, source)| source.path.clone());
    let is_yaml = |path: &PathBuf| {
        path.extension()
            .is_some_and(|ending| ending == "yaml" || ending == "yml")
    };
    let files: BTreeSet<PathBuf> = sources.filter(is_yaml).collect();
    let alone = files.into_iter().filter_map(|file| {
        let request = Request {
            files: vec![file],
            ..Request::default()
        };
        load(&request, &Disk::default(), environment).ok()
    });
    alone.collect()
}

/// The project with the new texts, and the values where `locket exec` puts them, is the same one.
fn prove(
    before: &Project,
    migration: &Migration,
    texts: &BTreeMap<PathBuf, String>,
    args: &MigrateArgs,
    context: &Context,
) -> Result<(), Failure> {
    let disk = Disk {
        drafts: texts.clone(),
    };
    let given = given(migration, &context.environment);
    let after = project(&args.file, &context.directory, &disk, &given)?;
    match migrate::differences(before, &after).as_slice() {
        [] => Ok(()),
        found => Err(Failure::work(format!(
            "the project would not be the same: {} would differ",
            found.join(", ")
        ))
        .help("Nothing was changed. Write the values there on one line, without anchors, and try again.")),
    }
}

/// A file of variables that would say something else than it has to is not written.
fn refuse_misread(path: &Path, misread: &[String]) -> Result<(), Failure> {
    match misread {
        [] => Ok(()),
        names => Err(Failure::work(format!(
            "{} would not say what it has to: {}",
            path.display(),
            names.join(", ")
        ))
        .help("Nothing was changed. Write each variable there as NAME=VALUE on a line of its own, and try again.")),
    }
}

/// What a link would have written outside of the project is refused before anything is shown or written.
fn refuse_links(directory: &Path, texts: &BTreeMap<PathBuf, String>, to: Destination) -> Result<(), Failure> {
    for path in texts.keys() {
        refuse_leading_out(path, directory)?;
    }
    if to == Destination::Files {
        for name in IGNORED_BY {
            refuse_leading_out(&directory.join(name), directory)?;
        }
        SecretFiles::of(directory).open_mode()?;
    }
    Ok(())
}

/// The environment below `locket exec --env .env`.
fn given(migration: &Migration, environment: &Environment) -> Environment {
    let moved = migration
        .moved
        .iter()
        .map(|moved| (moved.variable.as_str().into(), moved.value.as_str().into()));
    let inherited = environment
        .iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    inherited
        .chain(moved)
        .collect::<Vec<(std::ffi::OsString, std::ffi::OsString)>>()
        .into_iter()
        .collect()
}

fn shown(migration: &Migration, directory: &Path, read: &dyn Fn(&Path) -> String) -> String {
    let mut by_file: BTreeMap<&Path, Vec<&Edit>> = BTreeMap::new();
    for edit in &migration.edits {
        by_file.entry(&edit.path).or_default().push(edit);
    }
    let files = by_file.into_iter().map(|(path, edits)| {
        let name = path.strip_prefix(directory).unwrap_or(path);
        diff::lines(name, &read(path), &edits)
    });
    files.collect()
}

struct Work<'a> {
    #[cfg_attr(
        not(feature = "store"),
        expect(dead_code, reason = "the store is asked through it")
    )]
    matches: &'a ArgMatches,
    args: &'a MigrateArgs,
    context: &'a Context,
    directory: &'a Path,
    migration: &'a Migration,
    texts: &'a BTreeMap<PathBuf, String>,
}

impl Work<'_> {
    fn apply(&self, read: &dyn Fn(&Path) -> String) -> Result<(), Failure> {
        let place = match &self.args.backup {
            Some(place) => self.context.directory.join(place),
            None => backup::place(&self.context.environment)?,
        };
        let before: Vec<(PathBuf, String)> = self
            .texts
            .keys()
            .filter(|path| path.exists())
            .map(|path| (path.clone(), read(path)))
            .collect();
        let docker = self.docker()?;
        let said = docker.as_ref().map(config).transpose()?;
        let kept = backup::make(&place, self.directory, &before, self.context.clock.wall())?;
        let mut made = Made::default();
        if let Err(failure) = self.write(&mut made, docker.zip(said)) {
            self.restore(&before);
            made.remove();
            return Err(failure);
        }
        report::tell(&format!(
            "{} values moved; the files as they were are in {}, which you should remove when all is well\n",
            self.migration.moved.len(),
            kept.display()
        ));
        report::tell("start the project with `locket exec --env .env -- docker compose up`\n");
        Ok(())
    }

    /// Writes the values and the files, and asks Compose whether the project is the same. `made` is what was not there
    /// before, also where it fails.
    fn write(&self, made: &mut Made, asked: Option<(Docker, Answer)>) -> Result<(), Failure> {
        self.store(made)?;
        for (path, text) in self.texts {
            write_text(path, text)?;
        }
        let Some((docker, said)) = asked else {
            return Ok(());
        };
        let environment = given(self.migration, &self.context.environment);
        let as_before = match self.args.to {
            Destination::Files => "The files are as they were.",
            Destination::Store => "The files are as they were; the store has the values, too.",
        };
        let now = config(&docker.with(environment)).map_err(|failure| failure.help(as_before))?;
        if now != said {
            return Err(
                Failure::work("`docker compose config` says something else than before").help(as_before),
            );
        }
        report::tell("`docker compose config` says the same as before\n");
        Ok(())
    }

    /// Every value into its new place; one that is there already with another value is not overwritten.
    fn store(&self, made: &mut Made) -> Result<(), Failure> {
        match self.args.to {
            Destination::Files => {
                let files = SecretFiles::of(self.directory);
                for list in IGNORED_BY {
                    let path = self.directory.join(list);
                    let before = read_text(&path)?;
                    if ignore(&path)? {
                        made.lists.push((path, before));
                    }
                }
                made.directory = (!files.directory().exists()).then(|| files.directory().to_owned());
                files.make_directory()?;
                for moved in &self.migration.moved {
                    let value = SecretBytes::copy_from(moved.value.as_bytes());
                    match files.read(&moved.secret)? {
                        Some(present) if present == value => continue,
                        Some(_) => {
                            return Err(taken(&moved.secret, &format!("{DIRECTORY}/{}.txt", moved.secret)));
                        }
                        None => {}
                    }
                    files.make(&moved.secret, || Ok(value), &BTreeSet::new(), false)?;
                    made.secrets.push(files.path(&moved.secret));
                }
                Ok(())
            }
            Destination::Store => self.store_in_store(),
        }
    }

    #[cfg(feature = "store")]
    fn store_in_store(&self) -> Result<(), Failure> {
        let context = Context {
            directory: self.directory.to_owned(),
            ..self.context.clone()
        };
        let moved = self.migration.moved.iter();
        let secrets = moved.map(|moved| {
            (
                moved.secret.clone(),
                SecretBytes::copy_from(moved.value.as_bytes()),
            )
        });
        super::super::store::add(self.matches, &context, secrets)
    }

    #[cfg(not(feature = "store"))]
    fn store_in_store(&self) -> Result<(), Failure> {
        Err(Failure::usage("this build of locket has no store").help("Use `--to files`, or the full build."))
    }

    /// `None` where there is no Compose to be asked.
    fn docker(&self) -> Result<Option<Docker>, Failure> {
        let context = self.context;
        match Docker::with_compose(&context.environment, &context.directory, &self.args.file) {
            Asked::There(docker) => Ok(Some(docker)),
            Asked::Absent => Ok(None),
            Asked::Silent(limit) => Err(silence(limit)),
        }
    }

    fn restore(&self, before: &[(PathBuf, String)]) {
        for path in self.texts.keys() {
            match before.iter().find(|(known, _)| known == path) {
                Some((path, text)) => {
                    let _ = write_text(path, text);
                }
                None => {
                    let _ = std::fs::remove_file(path);
                }
            }
        }
    }
}

/// What a migration made beside the project's own files, for one that does not come to its end.
#[derive(Default)]
struct Made {
    secrets: Vec<PathBuf>,
    /// Their directory, where there was none.
    directory: Option<PathBuf>,
    /// Lists of what is ignored that were changed, as they were.
    lists: Vec<(PathBuf, Option<String>)>,
}

impl Made {
    /// Removes it again.
    fn remove(&self) {
        for path in &self.secrets {
            let _ = std::fs::remove_file(path);
        }
        if let Some(directory) = &self.directory {
            // Something of others may be in it by now.
            let _ = std::fs::remove_dir(directory);
        }
        for (path, before) in &self.lists {
            let _ = match before {
                Some(text) => write_text(path, text).is_ok(),
                None => std::fs::remove_file(path).is_ok(),
            };
        }
    }
}

/// What Compose makes of a project. It holds every value.
type Answer = zeroize::Zeroizing<Vec<u8>>;

fn taken(name: &str, place: &str) -> Failure {
    Failure::work(format!("{place} is there already with another value")).help(format!(
        "Move it away, or rename the variable whose secret would be called {name}."
    ))
}

fn config(docker: &Docker) -> Result<Answer, Failure> {
    let answer = docker.compose(["config", "--format", "json"], None, CONFIG_LIMIT)?;
    match answer.is_good {
        true => Ok(zeroize::Zeroizing::new(answer.stdout)),
        false => Err(Failure::work(format!(
            "Compose refuses the project: {}",
            answer.stderr.trim()
        ))),
    }
}
