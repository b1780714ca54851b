//! The units themselves, each written once: the mount, and services for `sync`, `run` and `plugin`.

use std::collections::BTreeSet;
#[cfg(feature = "command-rotate")]
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use locket_engine::sources::settled;

use super::grammar::{self, Unsayable};
use super::unit::Unit;
use crate::providers::{credential_name, sections};

/// What units are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Purpose {
    /// A timer that puts the secrets of a map in place and tells containers
    Sync,
    /// An agent that stays
    Run,
    /// The volume and Swarm secret driver of Docker
    Plugin,
}

/// What units are made of.
#[derive(Clone, Debug)]
pub(crate) struct Units {
    /// The program.
    pub(crate) program: PathBuf,
    /// Where the tmpfs is mounted.
    pub(crate) mount: PathBuf,
    /// How large it may grow, as `size=` of tmpfs says it.
    pub(crate) size: String,
    /// The map of `sync`.
    pub(crate) map: PathBuf,
    /// The configuration of `run` and `plugin`.
    pub(crate) config: PathBuf,
    /// That of `sync`, which looks for one itself where none is named.
    pub(crate) config_of_sync: Option<PathBuf>,
    /// How often the timer fires.
    pub(crate) every: Duration,
    /// Up to this much is added.
    pub(crate) jitter: Duration,
    /// What the agent that stays is allowed beside.
    pub(crate) run: Needs,
    /// What `sync` is allowed beside.
    pub(crate) sync: Needs,
    /// The names of credentials that providers with names of their own may be given, beside those of every provider.
    pub(crate) credentials: BTreeSet<String>,
}

/// What a service is allowed beside what every agent needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    /// Directories that somebody named for it.
    pub(crate) write: BTreeSet<PathBuf>,
    /// Directories that a map or a configuration says it writes to. They need not be there, or outside the mount.
    pub(crate) found: BTreeSet<PathBuf>,
    /// Its outputs belong to others.
    pub(crate) owners: bool,
    /// It signals processes that are not root's.
    pub(crate) signals: bool,
}

/// A directory that is not there yet, so that its service has to be allowed more than it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Widened {
    /// The service's unit.
    pub(crate) unit: &'static str,
    /// The directory.
    pub(crate) missing: PathBuf,
    /// The nearest one above it that is there; `None` where that is the root, which no service may write to.
    pub(crate) allowed: Option<PathBuf>,
}

/// The unit of `sync` that is started.
const SYNC: &str = "locket-sync.service";

/// The unit of `run`.
const RUN: &str = "locket.service";

/// By which a service needs the mount.
const REQUIRES: &str = "RequiresMountsFor";

/// Where further variables of the services stand.
const ENVIRONMENT: &str = "-/etc/locket/environment";

/// What an agent does not need, and which of it the kernel can forbid. No memory is made executable but by the core of
/// 1Password, so that MemoryDenyWriteExecute= is missing.
const HARDENING: &[(&str, &str)] = &[
    ("NoNewPrivileges", "yes"),
    ("ProtectSystem", "strict"),
    ("ProtectHome", "read-only"),
    ("PrivateTmp", "yes"),
    ("PrivateDevices", "yes"),
    ("PrivateMounts", "yes"),
    ("ProtectClock", "yes"),
    ("ProtectHostname", "yes"),
    ("ProtectKernelLogs", "yes"),
    ("ProtectKernelModules", "yes"),
    ("ProtectKernelTunables", "yes"),
    ("ProtectControlGroups", "yes"),
    ("ProtectProc", "invisible"),
    ("ProcSubset", "pid"),
    ("RemoveIPC", "yes"),
];

/// The same for what works without a mount name space of its own.
const HARDENING_OF_ALL: &[(&str, &str)] = &[
    ("RestrictAddressFamilies", "AF_UNIX AF_INET AF_INET6"),
    ("RestrictNamespaces", "yes"),
    ("RestrictRealtime", "yes"),
    ("RestrictSUIDSGID", "yes"),
    ("LockPersonality", "yes"),
    ("KeyringMode", "private"),
    ("SystemCallArchitectures", "native"),
    ("SystemCallErrorNumber", "EPERM"),
    ("UMask", "0077"),
    ("LimitCORE", "0"),
    ("LimitMEMLOCK", "64M"),
];

/// Landlock's calls, which systemd 252 counts to no group, are how the agent confines itself further.
const SYSTEM_CALLS: &str = "@system-service landlock_create_ruleset landlock_add_rule landlock_restrict_self";

impl Units {
    /// The units for `purposes`, each once, in the order in which they are to be started.
    ///
    /// # Errors
    /// A path or text that no unit can hold.
    pub(crate) fn of(&self, purposes: &BTreeSet<Purpose>) -> Result<Vec<Unit>, Unsayable> {
        let mut units = Vec::new();
        if purposes.iter().any(|purpose| *purpose != Purpose::Plugin) {
            units.push(self.mount()?);
        }
        for purpose in purposes {
            match purpose {
                Purpose::Sync => units.extend([self.sync()?, self.timer()]),
                Purpose::Run => units.push(self.run()?),
                Purpose::Plugin => units.push(self.plugin()?),
            }
        }
        Ok(units)
    }

    /// The names of those units for `purposes` that are enabled; the others are started by them.
    pub(crate) fn enabled(&self, purposes: &BTreeSet<Purpose>) -> Result<Vec<String>, Unsayable> {
        let units = self.of(purposes)?;
        let names = units
            .iter()
            .filter(|unit| unit.to_string().contains("\n[Install]\n"));
        Ok(names.map(|unit| unit.name().to_owned()).collect())
    }

    /// The units beside those for `purposes` that cannot do without the mount, and the line by which one that is
    /// installed says so.
    ///
    /// # Errors
    /// The mount's path is one that no unit can hold.
    pub(crate) fn sharing_the_mount(
        &self,
        purposes: &BTreeSet<Purpose>,
    ) -> Result<(String, Vec<&'static str>), Unsayable> {
        let users = [(Purpose::Sync, SYNC), (Purpose::Run, RUN)].into_iter();
        let others = users.filter(|(purpose, _)| !purposes.contains(purpose));
        let line = format!("{REQUIRES}={}", grammar::listed(&self.mount)?);
        Ok((line, others.map(|(_, unit)| unit).collect()))
    }

    /// The file name of the unit that makes the mount.
    ///
    /// # Errors
    /// The mount's path is one that no unit can hold.
    pub(crate) fn mount_name(&self) -> Result<String, Unsayable> {
        grammar::mount_name(&self.mount)
    }

    /// What the services for `purposes` are allowed for the sake of directories that are not there yet.
    pub(crate) fn widened(&self, purposes: &BTreeSet<Purpose>) -> Vec<Widened> {
        let services = [(Purpose::Sync, SYNC, &self.sync), (Purpose::Run, RUN, &self.run)];
        let asked = services
            .into_iter()
            .filter(|(purpose, ..)| purposes.contains(purpose));
        asked
            .flat_map(|(_, unit, needs)| {
                let missing = self.outside(needs).filter(|path| !path.is_dir());
                missing.map(move |path| Widened {
                    unit,
                    allowed: there(&path),
                    missing: path,
                })
            })
            .collect()
    }

    /// What `needs` found that is neither in the mount nor in a directory that somebody named.
    fn outside(&self, needs: &Needs) -> impl Iterator<Item = PathBuf> {
        let mount = settled(&self.mount);
        let known: Vec<_> = std::iter::once(mount)
            .chain(needs.write.iter().map(|path| settled(path)))
            .collect();
        let found = needs.found.iter().map(|path| settled(path));
        found.filter(move |path| !known.iter().any(|known| path.starts_with(known)))
    }

    fn mount(&self) -> Result<Unit, Unsayable> {
        let size = grammar::text(&self.size)?;
        Ok(Unit::new(grammar::mount_name(&self.mount)?)
            .section("Unit")
            .set("Description", "Memory for secrets")
            .because("Containers that bind it get this file system and not the directory below it.")
            .set("Before", "docker.service podman.service")
            .section("Mount")
            .set("What", "tmpfs")
            .set("Where", grammar::path(&self.mount)?)
            .set("Type", "tmpfs")
            .set("Options", format!("mode=0700,noexec,nosuid,nodev,size={size}"))
            .section("Install")
            .set("WantedBy", "multi-user.target"))
    }

    fn sync(&self) -> Result<Unit, Unsayable> {
        let mut words = vec![grammar::file(&self.program)?, "sync"];
        if let Some(config) = &self.config_of_sync {
            words.extend(["--config", grammar::file(config)?]);
        }
        words.push(grammar::file(&self.map)?);
        let command = grammar::command(words)?;
        let unit = self
            .service(SYNC, "Secrets of a map put in place (locket)")?
            .section("Service")
            .set("Type", "oneshot")
            .set("ExecStart", command)
            .because("3 says that something changed.")
            .set("SuccessExitStatus", "0 3")
            .set("TimeoutStartSec", "10min");
        let unit = surroundings(unit, &self.credentials)
            .set("StateDirectory", "locket")
            .set("StateDirectoryMode", "0700");
        self.hardened(unit, &self.sync)
    }

    fn timer(&self) -> Unit {
        let span = |span| humantime::format_duration(span).to_string();
        Unit::new("locket-sync.timer")
            .section("Unit")
            .set(
                "Description",
                "When the secrets of a map are looked at again (locket)",
            )
            .section("Timer")
            .set("OnBootSec", "2min")
            .set("OnUnitActiveSec", span(self.every))
            .set("RandomizedDelaySec", span(self.jitter))
            .set("Persistent", "true")
            .section("Install")
            .set("WantedBy", "timers.target")
    }

    fn run(&self) -> Result<Unit, Unsayable> {
        let (program, config) = (grammar::file(&self.program)?, grammar::file(&self.config)?);
        let command = grammar::command([program, "run", "--config", config])?;
        let unit = self
            .service(RUN, "Secrets in place and fresh (locket)")?
            .section("Service")
            .because("It is ready when every secret is in place: what is ordered after it finds them.")
            .set("Type", "notify")
            .set("NotifyAccess", "main")
            .because("The state directory and the status file are those of the two settings below.")
            .set(
                "ExecStart",
                format!("{command} --state-dir %S/locket --status-file %t/locket-run/status"),
            )
            .set("ExecReload", "/bin/kill -HUP $MAINPID")
            .set("Restart", "on-failure")
            .set("RestartSec", "10s")
            .because("A mistake in the configuration does not mend itself.")
            .set("RestartPreventExitStatus", "2")
            .because("A provider may be down for a while when the machine starts.")
            .set("TimeoutStartSec", "10min")
            .set("WatchdogSec", "60s");
        let unit = surroundings(unit, &self.credentials)
            .set("StateDirectory", "locket")
            .set("StateDirectoryMode", "0700")
            .because(
                "Not /run/locket: volumes of the plugin stand there, and this one goes with the service.",
            )
            .set("RuntimeDirectory", "locket-run")
            .set("RuntimeDirectoryMode", "0755");
        let unit = self.hardened(unit, &self.run)?;
        Ok(unit.section("Install").set("WantedBy", "multi-user.target"))
    }

    fn plugin(&self) -> Result<Unit, Unsayable> {
        let (program, config) = (grammar::file(&self.program)?, grammar::file(&self.config)?);
        let command = grammar::command([program, "plugin", "--config", config])?;
        let unit = Unit::new("locket-plugin.service")
            .section("Unit")
            .set(
                "Description",
                "Secrets as volumes and Swarm secrets of Docker (locket)",
            )
            .set("Wants", "network-online.target")
            .set("After", "network-online.target")
            .because("The engine asks for its drivers while it starts, and waits for each.")
            .set("Before", "docker.service")
            .section("Service")
            .set("Type", "notify")
            .set("NotifyAccess", "main")
            .set("ExecStart", command)
            .set("ExecReload", "/bin/kill -HUP $MAINPID")
            .set("Restart", "always")
            .set("RestartSec", "1s")
            .set("RestartPreventExitStatus", "2")
            .set("WatchdogSec", "60s");
        let unit = surroundings(unit, &self.credentials)
            .because(
                "Nothing here may give the service a mount name space of its own (ProtectSystem=, PrivateTmp= and\n\
                 the like): containers would not see what it mounts.",
            )
            .set("CapabilityBoundingSet", "CAP_SYS_ADMIN CAP_CHOWN CAP_FOWNER CAP_DAC_OVERRIDE")
            .set("NoNewPrivileges", "yes")
            .set_all(HARDENING_OF_ALL)
            .set("SystemCallFilter", format!("{SYSTEM_CALLS} @mount @chown"));
        Ok(unit.section("Install").set("WantedBy", "multi-user.target"))
    }

    /// What the services that write to the mount have in common.
    fn service(&self, name: &str, description: &str) -> Result<Unit, Unsayable> {
        Ok(Unit::new(name)
            .section("Unit")
            .set("Description", description)
            .set("Wants", "network-online.target")
            .set("After", "network-online.target")
            .set(REQUIRES, grammar::listed(&self.mount)?))
    }

    fn hardened(&self, unit: Unit, needs: &Needs) -> Result<Unit, Unsayable> {
        let named = needs.write.iter().filter(|path| !path.starts_with(&self.mount));
        let outside = named
            .cloned()
            .chain(self.outside(needs).filter_map(|path| there(&path)));
        let outside: BTreeSet<_> = outside.collect();
        let paths = std::iter::once(&self.mount)
            .chain(&outside)
            .map(|path| grammar::listed(path))
            .collect::<Result<Vec<_>, _>>()?;
        let mut capabilities: Vec<&str> = Vec::new();
        if needs.owners {
            capabilities.extend(["CAP_CHOWN", "CAP_FOWNER", "CAP_DAC_OVERRIDE"]);
        }
        capabilities.extend(needs.signals.then_some("CAP_KILL"));
        let unit = unit
            .because("What it writes to; everything else is read-only.")
            .set("ReadWritePaths", paths.join(" "))
            .because(match needs.owners {
                true => "Its outputs belong to others.",
                false => "`--owners` adds what it takes to give outputs to other users.",
            })
            .set("CapabilityBoundingSet", capabilities.join(" "))
            .set_all(HARDENING)
            .set_all(HARDENING_OF_ALL)
            .set("SystemCallFilter", SYSTEM_CALLS)
            .set("SystemCallFilter", "~@privileged @resources");
        Ok(match needs.owners {
            true => unit.set("SystemCallFilter", "@chown"),
            false => unit,
        })
    }
}

/// The units that start `program` with `words` in `directory` every day, to rotate secrets. Each project has its own.
/// `credentials` are those of providers with names of their own.
///
/// # Errors
/// A path or word that no unit can hold.
#[cfg(feature = "command-rotate")]
pub(crate) fn rotation(
    program: &Path,
    project: &str,
    directory: &Path,
    words: &[OsString],
    credentials: &BTreeSet<String>,
) -> Result<Vec<Unit>, Unsayable> {
    let mut command = vec![grammar::file(program)?];
    for word in words {
        command.push(grammar::word(word)?);
    }
    let name = match project {
        "" => "locket-rotate".to_owned(),
        project => format!("locket-rotate-{project}"),
    };
    let service = Unit::new(format!("{name}.service"))
        .section("Unit")
        .set(
            "Description",
            format!("Old secrets of {} rotated (locket)", grammar::path(directory)?),
        )
        .set("Wants", "network-online.target docker.service")
        .set("After", "network-online.target docker.service")
        .section("Service")
        .set("Type", "oneshot")
        .set("WorkingDirectory", grammar::path(directory)?)
        .set("ExecStart", grammar::command(command)?)
        .because("Each dependent has its own time to become well; this is for all of them.")
        .set("TimeoutStartSec", "1h");
    let service = surroundings(service, credentials)
        .because("It has `docker` do its work, so that little can be taken from it.")
        .set("NoNewPrivileges", "yes")
        .set("UMask", "0077")
        .set("LimitCORE", "0");
    let timer = Unit::new(format!("{name}.timer"))
        .section("Unit")
        .set("Description", "When old secrets are rotated (locket)")
        .section("Timer")
        .set("OnCalendar", "daily")
        .set("RandomizedDelaySec", "1h")
        .set("Persistent", "true")
        .section("Install")
        .set("WantedBy", "timers.target");
    Ok(vec![service, timer])
}

/// Variables and credentials, of all providers and of those in `named`.
fn surroundings(unit: Unit, named: &BTreeSet<String>) -> Unit {
    let unit = unit.because("Settings of providers, a line each: NAME=value. No secrets.");
    let unit = unit.set("EnvironmentFile", ENVIRONMENT).because(
        "Credentials of providers: a file of this name in /etc/credstore, 0600, is all it takes. For an encrypted one\n\
         `systemctl edit` a line LoadCredentialEncrypted= of the same name (systemd-creds(1)).",
    );
    let names: BTreeSet<_> = sections()
        .iter()
        .flat_map(|section| {
            let settings = section.settings.iter();
            settings
                .filter_map(|setting| credential_name(section.prefix, setting))
                .collect::<Vec<_>>()
        })
        .chain(named.iter().cloned())
        .collect();
    names
        .iter()
        .fold(unit, |unit, name| unit.set("LoadCredential", name))
}

impl Needs {
    /// It writes to `path`, as a map or a configuration says.
    pub(crate) fn write_to(&mut self, path: &Path) {
        self.found.insert(path.to_owned());
    }
}

/// The directory in which `path` can be made: itself, or the nearest that is there. No service is given the root.
fn there(path: &Path) -> Option<PathBuf> {
    let there = path.ancestors().find(|ancestor| ancestor.is_dir());
    there.filter(|path| *path != Path::new("/")).map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(mount: PathBuf) -> Units {
        Units {
            program: "/usr/bin/locket".into(),
            mount,
            size: "8M".to_owned(),
            map: "/etc/locket/map.csv".into(),
            config: "/etc/locket/locket.toml".into(),
            config_of_sync: None,
            every: Duration::from_secs(1),
            jitter: Duration::ZERO,
            run: Needs::default(),
            sync: Needs::default(),
            credentials: BTreeSet::new(),
        }
    }

    /// What the service of `sync` may write to.
    fn writable(units: &Units) -> String {
        let unit = units.sync().unwrap().to_string();
        let paths = unit.lines().find_map(|line| line.strip_prefix("ReadWritePaths="));
        paths.unwrap().to_owned()
    }

    #[test]
    fn a_mount_that_is_not_made_yet_opens_nothing_above_it() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path().canonicalize().unwrap();
        std::fs::create_dir(at.join("there")).unwrap();
        std::os::unix::fs::symlink(&at, at.join("link")).unwrap();
        let sync = BTreeSet::from([Purpose::Sync]);
        let mut units = units(at.join("run/secrets"));
        let mount = at.join("run/secrets").display().to_string();
        for inside in [
            "run/secrets",
            "run/secrets/syn",
            "run/./secrets/a/b",
            "link/run/secrets/c",
        ] {
            units.sync.write_to(&at.join(inside));
        }
        assert_eq!(writable(&units), mount);
        assert_eq!(units.widened(&sync), []);

        // A neighbour is no part of it.
        units.sync.write_to(&at.join("there"));
        let there = format!("{mount} {}", at.join("there").display());
        assert_eq!(writable(&units), there);
        assert_eq!(units.widened(&sync), []);
    }

    #[test]
    fn a_service_that_is_allowed_more_than_it_needs_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path().canonicalize().unwrap();
        let mut units = units("/run/secrets".into());
        units.sync.write_to(&at.join("missing/deep"));
        units.sync.write_to(Path::new("/missing/of/the/root"));
        assert_eq!(writable(&units), format!("/run/secrets {}", at.display()));
        let widened = |missing: PathBuf, allowed| Widened {
            unit: "locket-sync.service",
            missing,
            allowed,
        };
        let mut told = vec![
            widened(at.join("missing/deep"), Some(at.clone())),
            widened("/missing/of/the/root".into(), None),
        ];
        told.sort_by(|one, other| one.missing.cmp(&other.missing));
        assert_eq!(units.widened(&[Purpose::Sync].into()), told);
        assert_eq!(
            units.widened(&[Purpose::Run].into()),
            [],
            "that one writes nothing"
        );

        // Whoever names a directory means it, there or not.
        units.sync.write.insert(at.join("missing"));
        units.sync.write.insert("/missing".into());
        assert_eq!(units.widened(&[Purpose::Sync].into()), []);
        let named = format!("/run/secrets /missing {}", at.join("missing").display());
        assert_eq!(writable(&units), named);
    }
}
