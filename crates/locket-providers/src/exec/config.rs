//! What an instance is told: which program, with which environment, and its limits.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::{BuildCx, ConfigError, Setting, SettingKind};

/// Settings in `[providers.NAME]`; there are no flags, since a program to run does not belong on a command line that
/// others compose.
pub(super) static SETTINGS: &[Setting] = &[
    Setting {
        name: "command",
        env: &[],
        kind: SettingKind::Command,
        summary: "The program and its arguments, run without a shell",
    },
    Setting {
        name: "env",
        env: &[],
        kind: SettingKind::Table,
        summary: "Table of variables for the helper, beside PATH and HOME",
    },
    Setting {
        name: "pass-env",
        env: &[],
        kind: SettingKind::List,
        summary: "Names of variables of locket's own environment that the helper gets, too",
    },
    Setting {
        name: "timeout",
        env: &[],
        kind: SettingKind::Duration,
        summary: "Time limit of one request, that of `--request-timeout` unless given; a helper that takes longer is killed",
    },
    Setting {
        name: "batch-size",
        env: &[],
        kind: SettingKind::Count,
        summary: "Secrets that one request may name, 100 unless given",
    },
    Setting {
        name: "max-concurrent",
        env: &[],
        kind: SettingKind::Count,
        summary: "Helper processes at once, one unless given",
    },
    Setting {
        name: "daily-budget",
        env: &[],
        kind: SettingKind::Count,
        summary: "Requests a day before refreshes are spread out",
    },
];

/// What is passed on without being asked for: helpers find their programs and their own files by them.
const PASSED: &[&str] = &["PATH", "HOME"];

const TIMEOUT: Duration = Duration::from_secs(10);

const BATCH_SIZE: usize = 100;

/// One configured helper.
pub(super) struct Config {
    /// The instance's name.
    pub(super) name: Arc<str>,
    pub(super) program: String,
    pub(super) arguments: Vec<String>,
    /// The whole environment of the helper.
    pub(super) environment: BTreeMap<OsString, OsString>,
    /// Time limit of one request.
    pub(super) timeout: Duration,
    pub(super) batch_size: usize,
}

impl Config {
    /// Everything that `cx` says, checked.
    pub(super) fn new(cx: &BuildCx<'_>) -> Result<Self, ConfigError> {
        let name = cx.instance;
        let Some((program, arguments)) = cx.settings.list("command").split_first() else {
            return Err(ConfigError::new(
                format!("the provider `{name}` has no `command`"),
                format!("Add `command = [\"PROGRAM\", \"ARGUMENT\"]` to `[providers.{name}]`."),
            ));
        };
        if cx.settings.list("command").iter().any(|word| word.contains('\0')) || program.is_empty() {
            return Err(ConfigError::new(
                format!("the `command` of the provider `{name}` names no program"),
                "Write the program and its arguments as a list of texts.",
            ));
        }
        Ok(Self {
            name: name.into(),
            program: program.clone(),
            arguments: arguments.to_vec(),
            environment: environment(cx)?,
            timeout: cx.settings.duration("timeout")?.unwrap_or(TIMEOUT),
            batch_size: cx.settings.count("batch-size")?.unwrap_or(BATCH_SIZE).max(1),
        })
    }
}

/// What the configuration gives replaces what is passed on.
fn environment(cx: &BuildCx<'_>) -> Result<BTreeMap<OsString, OsString>, ConfigError> {
    let mut environment = BTreeMap::new();
    let wanted = cx.settings.list("pass-env").iter().map(String::as_str);
    for name in PASSED.iter().copied().chain(wanted) {
        check_name(name, "pass-env")?;
        if let Some(value) = cx.environment.get_os(name) {
            environment.insert(name.into(), value.to_owned());
        }
    }
    for (name, value) in cx.settings.table("env") {
        check_name(name, "env")?;
        if value.contains('\0') {
            return Err(ConfigError::new(
                format!("the variable `{name}` in `env` holds a NUL character"),
                "Put it into a file that the helper reads.",
            ));
        }
        environment.insert(name.into(), value.into());
    }
    Ok(environment)
}

fn check_name(name: &str, setting: &str) -> Result<(), ConfigError> {
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err(ConfigError::new(
            format!("`{name}` in `{setting}` cannot be the name of a variable"),
            "Write the name alone.",
        ));
    }
    Ok(())
}

impl fmt::Debug for Config {
    /// Arguments and variables may be more than a log should hold.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("name", &self.name)
            .field("program", &self.program)
            .finish_non_exhaustive()
    }
}
