//! `locket systemd`: units printed, installed or removed. What they say is `crate::systemd`'s.

use std::collections::BTreeSet;
#[cfg(feature = "command-rotate")]
use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::Command as Program;
use std::time::Duration;

use clap::parser::ValueSource;
use clap::{ArgGroup, ArgMatches, Args, ValueEnum, ValueHint};
use locket_core::plan::{Place, Plan};
use locket_core::{Action, Environment, sync_map};
use locket_engine::telemetry::{AuditTarget, Outlets};

use super::{Command, arguments};
use crate::context::{Context, Style};
use crate::exit::Exit;
use crate::options::{Layers, values};
use crate::report::{self, Cause, Failure, Problem};
use crate::settings::{self, Form, RunSettings, SyncSettings};
use crate::systemd::{MARK, Needs, Purpose, Unit, Units, Unsayable, Widened};
use crate::{cli, output};

pub(super) const COMMAND: Command = Command {
    name: "systemd",
    about: "Print, install or remove units for systemd",
    arguments: |command| {
        let command = SystemdArgs::augment_args(command);
        command.group(ArgGroup::new("deed").args(["install", "uninstall", "out"]))
    },
    run,
};

/// What `StateDirectory=` of the services makes, whatever else may be written to.
const STATE: &str = "/var/lib/locket";

/// Where the configuration is when none is named.
const CONFIG: &str = "/etc/locket/locket.toml";

/// Options that only some units are made of, by their identity, and the purposes of those.
const OF_SOME: &[(&str, &[Purpose])] = &[
    ("map", &[Purpose::Sync]),
    ("mount", &[Purpose::Sync, Purpose::Run]),
    ("size", &[Purpose::Sync, Purpose::Run]),
    ("every", &[Purpose::Sync]),
    ("jitter", &[Purpose::Sync]),
    ("write", &[Purpose::Sync, Purpose::Run]),
    ("owners", &[Purpose::Sync, Purpose::Run]),
];

/// Where a machine's own units stand.
const SYSTEM: &str = "/etc/systemd/system";

#[derive(Args)]
struct SystemdArgs {
    /// What the units are for
    #[arg(value_name = "FOR", default_values = ["sync"])]
    purposes: Vec<Purpose>,
    /// Write them to /etc/systemd/system and let systemd read them
    #[arg(long)]
    install: bool,
    /// Stop them, and remove those that `--install` wrote
    #[arg(long)]
    uninstall: bool,
    /// Enable and start what is installed, too
    #[arg(long, requires = "install")]
    now: bool,
    /// Only say what `--install` or `--uninstall` would do
    #[arg(long)]
    dry_run: bool,
    /// Write them to this directory and do nothing else
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    out: Option<PathBuf>,
    /// The program that they start [default: this one]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    program: Option<PathBuf>,
    /// The map of `sync`
    #[arg(long, value_name = "FILE", default_value = "/etc/locket/map.csv", value_hint = ValueHint::FilePath)]
    map: PathBuf,
    /// The configuration of the services [default: /etc/locket/locket.toml]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,
    /// Where memory for secrets is mounted
    #[arg(long, value_name = "DIR", default_value = "/run/secrets", value_hint = ValueHint::DirPath)]
    mount: PathBuf,
    /// How large that may grow
    #[arg(long, value_name = "SIZE", default_value = "8M", value_parser = size)]
    size: String,
    /// How often the timer of `sync` fires
    #[arg(long, value_name = "DUR", default_value = "6h", value_parser = |text: &str| told(values::positive_duration(text)))]
    every: Duration,
    /// Up to this much is added to --every, so that a fleet does not ask at once
    #[arg(long, value_name = "DUR", default_value = "5m", value_parser = |text: &str| told(values::duration(text)))]
    jitter: Duration,
    /// A directory outside the mount that the services write to; those of the map and the configuration are found
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    write: Vec<PathBuf>,
    /// Allow what it takes to give outputs to other users; a configuration that does so is noticed
    #[arg(long)]
    owners: bool,
}

/// Refuses what no unit for `purposes` is made of.
fn nothing_unused(matches: &ArgMatches, purposes: &BTreeSet<Purpose>) -> Result<(), Failure> {
    let unused = OF_SOME.iter().filter(|(option, users)| {
        matches.value_source(option) == Some(ValueSource::CommandLine)
            && !users.iter().any(|user| purposes.contains(user))
    });
    let problems = unused.map(|(option, users)| {
        let users = users.iter().filter_map(ValueEnum::to_possible_value);
        let users: Vec<_> = users.map(|user| format!("`{}`", user.get_name())).collect();
        Problem::Told {
            message: format!("--{option}: no unit that is asked for is made of it"),
            help: Some(format!(
                "Name {}, which it is about, or leave it out.",
                users.join(" or ")
            )),
        }
    });
    let problems: Vec<_> = problems.collect();
    match problems.is_empty() {
        true => Ok(()),
        false => Err(Failure::new(Cause::Usage, problems)),
    }
}

fn told<T>(parsed: Result<T, locket_core::Diagnostic>) -> Result<T, String> {
    parsed.map_err(|wrong| match wrong.help {
        Some(help) => format!("{}. {help}", wrong.message),
        None => wrong.message,
    })
}

/// A size as tmpfs takes it: `8M`, `1G` or, of the machine's memory, `10%`.
fn size(text: &str) -> Result<String, String> {
    let number = text.trim_end_matches(['k', 'K', 'm', 'M', 'g', 'G', '%']);
    let is_size = number.parse::<u64>().is_ok_and(|number| number > 0) && text.len() - number.len() <= 1;
    match is_size {
        true => Ok(text.to_owned()),
        false => Err("write a number with k, M, G or %, such as 8M".to_owned()),
    }
}

fn run(matches: &ArgMatches, context: &Context) -> Result<Exit, Failure> {
    let args: SystemdArgs = arguments(matches)?;
    let purposes: BTreeSet<Purpose> = args.purposes.iter().copied().collect();
    nothing_unused(matches, &purposes)?;
    let parts = args.units(context)?;
    let units = parts.of(&purposes).map_err(|wrong| unsayable(&wrong))?;
    let enabled = parts.enabled(&purposes).map_err(|wrong| unsayable(&wrong))?;
    if !args.uninstall {
        parts.widened(&purposes).iter().for_each(wide);
    }
    let deed = Deed {
        directory: args
            .out
            .as_ref()
            .map(|directory| context.directory.join(directory)),
        is_dry: args.dry_run,
    };
    match (args.install, args.uninstall, &deed.directory) {
        (true, ..) => deed.install(&units, &enabled, args.now)?,
        (_, true, _) => {
            let directory = Path::new(SYSTEM);
            let needed = mount_is_needed(&parts, &purposes, directory).map_err(|wrong| unsayable(&wrong))?;
            deed.uninstall(directory, &units, &enabled, &needed)?;
        }
        (.., Some(directory)) => deed.write(directory, &units)?,
        _ => {
            let each = units
                .iter()
                .map(|unit| format!("# {SYSTEM}/{}\n{unit}", unit.name()));
            output::text(&each.collect::<Vec<_>>().join("\n"))?;
        }
    }
    Ok(Exit::Done)
}

/// Units that start this program with `words` in `directory` every day, to rotate secrets of `project`; the timer is the
/// last. `credentials` are those of providers with names of their own.
///
/// # Errors
/// No unit can say the directory, the program or a word.
#[cfg(feature = "command-rotate")]
pub(super) fn rotation(
    project: &str,
    directory: &Path,
    words: &[OsString],
    credentials: &BTreeSet<String>,
) -> Result<Vec<Unit>, Failure> {
    let program = this_program()?;
    crate::systemd::rotation(&program, project, directory, words, credentials)
        .map_err(|wrong| unsayable(&wrong))
}

fn this_program() -> Result<PathBuf, Failure> {
    std::env::current_exe().map_err(|error| {
        Failure::work(format!("this program's own path is not known: {error}"))
            .help("Name it with `--program`.")
    })
}

fn unsayable(wrong: &Unsayable) -> Failure {
    Failure::usage(format!("no unit can say this: {wrong}"))
        .help("Name files by absolute paths of ordinary characters.")
}

impl SystemdArgs {
    fn units(&self, context: &Context) -> Result<Units, Failure> {
        let program = match &self.program {
            Some(program) => context.directory.join(program),
            None => this_program()?,
        };
        let asked = Needs {
            write: self
                .write
                .iter()
                .map(|path| context.directory.join(path))
                .collect(),
            owners: self.owners,
            ..Needs::default()
        };
        let map = context.directory.join(&self.map);
        let named = self.config.as_ref().map(|config| context.directory.join(config));
        let mut units = Units {
            program,
            mount: context.directory.join(&self.mount),
            size: self.size.clone(),
            every: self.every,
            jitter: self.jitter,
            run: asked.clone(),
            sync: asked,
            map,
            config: named.clone().unwrap_or_else(|| PathBuf::from(CONFIG)),
            config_of_sync: named,
            credentials: BTreeSet::new(),
        };
        units.look_at_map();
        units.look_at_config(context);
        Ok(units)
    }
}

impl Units {
    /// A map that is there says where its files go. One with mistakes is told by `sync`.
    fn look_at_map(&mut self) {
        let map = match fs::read(&self.map).map(|text| sync_map::parse(&text)) {
            Ok(Ok(map)) => Some(map),
            Ok(Err(_)) => {
                unknown(&self.map, "locket sync");
                None
            }
            Err(_) => None,
        };
        for row in map.into_iter().flat_map(|map| map.rows) {
            if let Some(directory) = row.path.parent() {
                self.sync.write_to(directory);
            }
            self.sync.signals |= matches!(row.action, Some(Action::Pid { .. }));
        }
    }

    /// A configuration that is there says where outputs go and whose they are. One with mistakes is told by `run`.
    fn look_at_config(&mut self, context: &Context) {
        let Some(config) = self.config.to_str().filter(|_| self.config.exists()) else {
            return;
        };
        // The service has another environment and directory than whoever installs it.
        let apart = Context {
            environment: Environment::default(),
            directory: PathBuf::from("/"),
            ..context.clone()
        };
        let run = told_by(&["run", "--config", config], &apart, |layers| {
            RunSettings::settle(layers, Form::Look, &apart)
        });
        let sync = told_by(&["sync", "--config", config], &apart, |layers| {
            SyncSettings::settle(layers, &apart)
        });
        if let Some(Err(_)) = run {
            return unknown(&self.config, "locket plan --config");
        }
        if let Some(Ok(settings)) = run {
            self.run.of_run(&settings);
            self.credentials
                .extend(settings.common.providers.credential_names());
        }
        if let Some(Ok(settings)) = sync {
            self.sync.of_sync(&settings);
        }
    }
}

/// What the files tell the command of `line`; `None` where this program is without it.
fn told_by<T>(
    line: &[&str],
    context: &Context,
    settle: impl FnOnce(&mut Layers<'_>) -> T,
) -> Option<Result<T, Failure>> {
    let line = std::iter::once("locket").chain(line.iter().copied());
    let matches = cli::parser(Style::Plain).try_get_matches_from(line).ok()?;
    let (_, matches) = matches.subcommand()?;
    Some(settings::load(matches, context, settle).map(settings::Loaded::quietly))
}

/// What is not there cannot be allowed for alone.
fn wide(widened: &Widened) {
    let (unit, missing) = (widened.unit, widened.missing.display());
    report::tell(&match &widened.allowed {
        Some(allowed) => format!(
            "warning: {missing} is not there, so that {unit} may write to all of {}; make the directory, then the \
             units again\n",
            allowed.display()
        ),
        None => format!(
            "warning: {missing} is not there, and {unit} may not make it; make the directory, then the units again\n"
        ),
    });
}

/// What stands in a file with mistakes cannot be allowed for.
fn unknown(file: &Path, shows: &str) {
    let file = file.display();
    report::tell(&format!(
        "warning: {file} has mistakes, so that the units do not allow for what stands in it; `{shows} {file}` shows \
         them. Make the units again once they are gone.\n"
    ));
}

impl Needs {
    fn of_run(&mut self, settings: &RunSettings) {
        self.of_plan(&settings.plan);
        self.of_outlets(&settings.outlets);
        self.signals |= settings.actions.iter().any(is_signal);
        if let Some(labels) = &settings.labels {
            self.write_to(&labels.out);
            self.owners |= labels.outputs.access.owner.is_some();
        }
    }

    /// Beside what the map says.
    fn of_sync(&mut self, settings: &SyncSettings) {
        self.owners |= settings.output.access.owner.is_some();
        self.of_outlets(&settings.run.outlets);
        // Its own lies in that of `run`, where requests are counted for both.
        let kept = settings.run.state_dir.parent();
        if let Some(directory) = kept.filter(|directory| !directory.starts_with(STATE)) {
            self.write_to(directory);
        }
    }

    /// The audit log is made in its directory, and again when it is rotated.
    fn of_outlets(&mut self, outlets: &Outlets) {
        if let Some(AuditTarget::File(path)) = &outlets.audit
            && let Some(directory) = path.parent()
        {
            self.write_to(directory);
        }
    }

    fn of_plan(&mut self, plan: &Plan) {
        for map in &plan.maps {
            match (map.source.is_dir(), map.destination.parent()) {
                (false, Some(parent)) => self.write_to(parent),
                _ => self.write_to(&map.destination),
            }
        }
        let files = plan.secrets.iter().filter(|secret| secret.place == Place::File);
        files.for_each(|secret| self.write_to(secret.output(&plan.out).0));
        let of_maps = plan.maps.iter().map(|map| &map.settings);
        let all = of_maps.chain(plan.secrets.iter().map(|secret| &secret.settings));
        for settings in all {
            self.owners |= settings.access.owner.is_some();
            self.signals |= settings.notify.iter().any(is_signal);
        }
    }
}

fn is_signal(action: &Action) -> bool {
    matches!(action, Action::Pid { .. })
}

/// The units in `directory` that go on needing the mount when those for `purposes` are gone.
fn mount_is_needed(
    units: &Units,
    purposes: &BTreeSet<Purpose>,
    directory: &Path,
) -> Result<Needed, Unsayable> {
    let (line, others) = units.sharing_the_mount(purposes)?;
    let needs = |name: &&str| {
        let text = fs::read_to_string(directory.join(name)).unwrap_or_default();
        text.lines().any(|its| its == line)
    };
    Ok(Needed {
        mount: units.mount_name()?,
        by: others.into_iter().filter(needs).collect(),
    })
}

/// The mount, and who keeps it from being removed.
struct Needed {
    mount: String,
    by: Vec<&'static str>,
}

impl Needed {
    /// Of those `units` in `directory` that came from here, what has to stay and what goes.
    fn part<'a>(&self, units: &'a [Unit], directory: &Path) -> (Vec<&'a Unit>, Vec<&'a Unit>) {
        let has_to_stay = |unit: &&Unit| unit.name() == self.mount && !self.by.is_empty();
        let ours = |unit: &&Unit| is_ours(&directory.join(unit.name())).unwrap_or(false);
        units.iter().filter(ours).partition(has_to_stay)
    }
}

/// How units come to the machine.
pub(super) struct Deed {
    /// Another directory than the machine's.
    pub(super) directory: Option<PathBuf>,
    /// Whether it is only told.
    pub(super) is_dry: bool,
}

impl Deed {
    fn install(&self, units: &[Unit], enabled: &[String], now: bool) -> Result<(), Failure> {
        self.write(Path::new(SYSTEM), units)?;
        self.systemctl(&["daemon-reload"])?;
        let enable = [&["enable", "--now", "--"], &*strs(enabled)].concat();
        match now {
            true => self.systemctl(&enable),
            false => output::text(&format!("next: systemctl {}\n", enable.join(" "))),
        }
    }

    fn uninstall(
        &self,
        directory: &Path,
        units: &[Unit],
        enabled: &[String],
        needed: &Needed,
    ) -> Result<(), Failure> {
        let (kept, ours) = needed.part(units, directory);
        for unit in &kept {
            let path = directory.join(unit.name());
            let by = needed.by.join(" and ");
            output::text(&format!("kept {}, which {by} needs\n", path.display()))?;
        }
        if ours.is_empty() {
            let what = if kept.is_empty() { "it" } else { "the rest" };
            let directory = directory.display();
            return output::text(&format!("nothing of {what} is installed in {directory}\n"));
        }
        let is_there = |name: &&String| ours.iter().any(|unit| unit.name() == **name);
        let enabled: Vec<_> = enabled.iter().filter(is_there).cloned().collect();
        // The mount goes last: it is in use while the others run.
        for name in enabled.iter().rev() {
            self.systemctl(&["disable", "--now", "--", name])?;
        }
        for unit in ours {
            let path = directory.join(unit.name());
            if !self.is_dry {
                fs::remove_file(&path).map_err(|error| failed("remove", &path, &error))?;
            }
            self.say("removed", "remove", &path)?;
        }
        self.systemctl(&["daemon-reload"])
    }

    /// Writes what is not there yet or says something else. Files of others are refused before anything is written.
    ///
    /// # Errors
    /// They cannot be written, or somebody else's stand there.
    pub(super) fn write(&self, directory: &Path, units: &[Unit]) -> Result<(), Failure> {
        for unit in units {
            let path = directory.join(unit.name());
            match is_ours(&path) {
                Ok(false) => {
                    return Err(
                        Failure::work(format!("{} is not from `locket systemd`", path.display()))
                            .help("Move it away, or print the units and compare: `locket systemd`."),
                    );
                }
                Ok(true) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(failed("read", &path, &error)),
            }
        }
        for unit in units {
            let path = directory.join(unit.name());
            let text = unit.to_string();
            if fs::read_to_string(&path).is_ok_and(|present| present == text) {
                output::text(&format!("unchanged {}\n", path.display()))?;
                continue;
            }
            if !self.is_dry {
                replace(&path, &text).map_err(|error| failed("write", &path, &error))?;
            }
            self.say("wrote", "write", &path)?;
        }
        Ok(())
    }

    fn say(&self, done: &str, to_do: &str, path: &Path) -> Result<(), Failure> {
        let word = if self.is_dry {
            format!("would {to_do}")
        } else {
            done.to_owned()
        };
        output::text(&format!("{word} {}\n", path.display()))
    }

    fn systemctl(&self, arguments: &[&str]) -> Result<(), Failure> {
        let shown = format!("systemctl {}", arguments.join(" "));
        if self.is_dry {
            return output::text(&format!("would run {shown}\n"));
        }
        let status = Program::new("systemctl")
            .args(arguments)
            .status()
            .map_err(|error| {
                Failure::work(format!("systemctl cannot be run: {error}"))
                    .help("`--out DIR` writes the units for a machine with systemd.")
            })?;
        match status.success() {
            true => output::text(&format!("ran {shown}\n")),
            false => Err(Failure::work(format!("`{shown}` ended with {status}"))
                .help("Its own message stands above; `journalctl -xe` may say more.")),
        }
    }
}

fn strs(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

/// Whether the unit at `path` came from here.
fn is_ours(path: &Path) -> io::Result<bool> {
    Ok(fs::read_to_string(path)?.starts_with(MARK))
}

/// The whole file or what was there before: systemd may read it at any time.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(directory)?;
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    // The name of no unit, so that systemd does not look at it.
    let beside = directory.join(format!(".{name}.locket"));
    fs::write(&beside, text)?;
    fs::rename(&beside, path)
}

fn failed(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::work(format!("cannot {what} {}: {error}", path.display()))
        .help("Installing units takes root; `--out DIR` writes them elsewhere.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    /// What `locket systemd ARGUMENTS` makes its units of.
    fn units(directory: &Path, more: &[&str]) -> Units {
        let line: Vec<_> = ["systemd"].iter().chain(more).copied().collect();
        let args: SystemdArgs = arguments(&testing::matches(&line)).unwrap();
        args.units(&testing::context(directory, &[])).unwrap()
    }

    /// The values of `key` in the unit of this name.
    fn values(units: &Units, unit: &str, key: &str) -> Vec<String> {
        let all = units
            .of(&[Purpose::Sync, Purpose::Run, Purpose::Plugin].into())
            .unwrap();
        let unit = all.iter().find(|known| known.name() == unit).unwrap().to_string();
        let values = unit
            .lines()
            .filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        values
            .flat_map(str::split_whitespace)
            .map(str::to_owned)
            .collect()
    }

    const SERVICES: [&str; 2] = ["locket.service", "locket-sync.service"];

    #[test]
    fn the_mount_stays_while_a_service_of_another_purpose_needs_it() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        let both = BTreeSet::from([Purpose::Sync, Purpose::Run]);
        let units = units(at, &["sync", "run", "--mount", "/run/kept"]);
        let deed = Deed {
            directory: None,
            is_dry: false,
        };
        deed.write(at, &units.of(&both).unwrap()).unwrap();
        let parted = |units: &Units, purposes: &BTreeSet<Purpose>| {
            let all = units.of(purposes).unwrap();
            let needed = mount_is_needed(units, purposes, at).unwrap();
            let (kept, gone) = needed.part(&all, at);
            let names = |units: Vec<&Unit>| {
                let names = units.iter().map(|unit| unit.name().to_owned());
                names.collect::<Vec<_>>()
            };
            (names(kept), names(gone), needed.by)
        };
        let mount = || vec!["run-kept.mount".to_owned()];
        assert_eq!(
            parted(&units, &[Purpose::Run].into()),
            (
                mount(),
                vec!["locket.service".to_owned()],
                vec!["locket-sync.service"]
            )
        );
        let (kept, gone, _) = parted(&units, &[Purpose::Sync].into());
        assert_eq!((kept, gone.len()), (mount(), 2));
        let (kept, gone, _) = parted(&units, &both);
        assert_eq!((kept, gone.len()), (vec![], 4), "nobody is left who needs it");
        fs::remove_file(at.join("locket-sync.service")).unwrap();
        let (kept, gone, _) = parted(&units, &[Purpose::Run].into());
        assert_eq!((kept, gone.len()), (vec![], 2), "nobody else is installed");
    }

    #[test]
    fn a_mount_that_no_other_service_names_goes() {
        let directory = tempfile::tempdir().unwrap();
        let line = "RequiresMountsFor=/run/other\n";
        fs::write(directory.path().join("locket-sync.service"), line).unwrap();
        let by = |mount: &str| {
            let units = units(directory.path(), &["run", "--mount", mount]);
            let purposes = BTreeSet::from([Purpose::Run]);
            mount_is_needed(&units, &purposes, directory.path()).unwrap().by
        };
        assert!(by("/run/mine").is_empty());
        assert_eq!(by("/run/other"), ["locket-sync.service"]);
    }

    #[test]
    fn what_a_configuration_writes_to_and_whose_it_is_are_allowed_in_both_services() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        for name in ["log", "state", "labels"] {
            fs::create_dir(at.join(name)).unwrap();
        }
        let file = at.join("locket.toml");
        let allowed = |text: &str| {
            fs::write(&file, text).unwrap();
            units(at, &["sync", "run", "--config", "locket.toml"])
        };
        let under = |name: &str| {
            let path = fs::canonicalize(at.join(name)).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let nothing = allowed("");
        let told = allowed(
            "[run]\naudit-log = 'log/audit'\nstate-dir = 'state'\nuser = 4242\ndocker-labels = true\n\
             out = 'labels'\n[labels]\nallow = ['store://x']\n",
        );
        for service in SERVICES {
            let key = "ReadWritePaths";
            assert_eq!(values(&nothing, service, key), ["/run/secrets"]);
            let paths = values(&told, service, key);
            assert!(paths.contains(&under("log")), "{service}: {paths:?}");
            let key = "CapabilityBoundingSet";
            assert!(values(&nothing, service, key).is_empty());
            assert!(
                values(&told, service, key).contains(&"CAP_CHOWN".to_owned()),
                "{service}"
            );
        }
        let [run, sync] = SERVICES.map(|service| values(&told, service, "ReadWritePaths"));
        assert!(run.contains(&under("labels")) && !sync.contains(&under("labels")));
        // The unit of `run` names a state directory of its own.
        assert!(sync.contains(&under("state")) && !run.contains(&under("state")));
    }

    #[test]
    fn a_provider_with_a_name_of_its_own_finds_its_credential() {
        let directory = tempfile::tempdir().unwrap();
        let loaded = |text: &str, unit: &str| {
            fs::write(directory.path().join("locket.toml"), text).unwrap();
            let units = units(
                directory.path(),
                &["sync", "run", "plugin", "--config", "locket.toml"],
            );
            values(&units, unit, "LoadCredential")
        };
        let name = |of: &str| format!("locket.{of}.token");
        for unit in SERVICES.iter().chain(&["locket-plugin.service"]) {
            let named = loaded("[providers.prod]\ntype = 'bao'\n", unit);
            assert!(
                named.contains(&name("prod")) && named.contains(&name("bao")),
                "{named:?}"
            );
            assert!(!loaded("", unit).contains(&name("prod")));
        }
    }
}
