//! Every option that has layers, a row each. Flags, variables, keys, help, docs and tests walk these rows.

use super::opt::{Key, Opt, Shape};
use crate::logging::{LogFormat, LogLevel};

pub(crate) static CONFIG: Opt = Opt::new(
    "config",
    Shape::Paths,
    "Configuration file; a later one wins over an earlier one",
)
.variables(&["LOCKET_CONFIG"])
.key(Key::None)
.default("./locket.toml, else /etc/locket/locket.toml");

pub(crate) static LOG_LEVEL: Opt = Opt::new("log-level", Shape::Word(LogLevel::NAMES), "How much is logged")
    .variables(&["LOCKET_LOG_LEVEL"])
    .placeholder("LEVEL")
    .default("info");

pub(crate) static LOG_FORMAT: Opt = Opt::new(
    "log-format",
    Shape::Word(LogFormat::NAMES),
    "Form of the log lines",
)
.variables(&["LOCKET_LOG_FORMAT"])
.placeholder("FORMAT")
.default("text");

pub(crate) static PROVIDER: Opt = Opt::new(
    "provider",
    Shape::Text,
    "Provider that serves a scheme which several could serve",
)
.variables(&["SECRETS_PROVIDER"])
.placeholder("NAME");

pub(crate) static TOKEN_FILE: Opt = Opt::new(
    "token-file",
    Shape::Path,
    "File with the token of the provider that `--provider` names",
)
.variables(&["LOCKET_TOKEN_FILE"]);

pub(crate) static REQUEST_TIMEOUT: Opt = Opt::new(
    "request-timeout",
    Shape::Duration,
    "Time limit of one request to a provider",
)
.variables(&["LOCKET_REQUEST_TIMEOUT"])
.default("10s");

pub(crate) static DEADLINE: Opt = Opt::new(
    "deadline",
    Shape::Duration,
    "Time in which failing requests are tried again before giving up",
)
.variables(&["LOCKET_DEADLINE"])
.default("60s");

pub(crate) static MAP: Opt = Opt::new(
    "map",
    Shape::List,
    "Render a file of templates to a file, or a directory to a directory",
)
.variables(&["SECRET_MAP"])
.key(Key::Tables("map"))
.placeholder("SRC:DST[:mode=MODE,user=UID]");

pub(crate) static SECRET: Opt = Opt::new(
    "secret",
    Shape::List,
    "Render an inline template to the file NAME in --out",
)
.variables(&["SECRET_VALUES", "LOCKET_SECRETS"])
.key(Key::Tables("secret"))
.placeholder("NAME=TEMPLATE|NAME=@FILE");

pub(crate) static SECRET_FROM: Opt = Opt::new(
    "secret-from",
    Shape::List,
    "A file in --out for every key of a folder, an item or a JSON value (`REF#*`)",
)
.variables(&["LOCKET_SECRET_FROM"])
.key(Key::Tables("secret"))
.placeholder("REF/*");

pub(crate) static OUT: Opt = Opt::new("out", Shape::Path, "Directory for --secret files")
    .variables(&["DEFAULT_SECRET_DIR"])
    .placeholder("DIR")
    .default("destination of the first directory map, else /run/secrets/locket");

pub(crate) static MODE: Opt = Opt::new(
    "mode",
    Shape::Word(&["one-shot", "watch", "park"]),
    "Render and exit, follow edits of templates, or render once and stay up",
)
.variables(&["LOCKET_MODE"])
.placeholder("MODE")
.default("watch");

pub(crate) static REFRESH: Opt = Opt::new(
    "refresh",
    Shape::Duration,
    "Time after which the providers are asked again, or `off`",
)
.variables(&["LOCKET_REFRESH"])
.placeholder("DUR|off")
.default("6h");

pub(crate) static ON_ERROR: Opt = Opt::new(
    "on-error",
    Shape::Word(&["keep", "error", "passthrough", "ignore"]),
    "What happens to an output whose secrets have no value",
)
.aliases(&["inject-failure-policy"])
.variables(&["INJECT_POLICY"])
.placeholder("POLICY")
.default("keep");

pub(crate) static NOTIFY: Opt = Opt::new(
    "notify",
    Shape::List,
    "Tell a consumer about changes: `container:NAME:SIGNAL`, `exec:COMMAND` and others",
)
.variables(&["LOCKET_NOTIFY"])
.key(Key::Tables("notify"))
.placeholder("ACTION");

pub(crate) static NOTIFY_TIMEOUT: Opt = Opt::new(
    "notify-timeout",
    Shape::Duration,
    "How long a notification that fails is tried again",
)
.variables(&["LOCKET_NOTIFY_TIMEOUT"])
.default("5m");

pub(crate) static DEBOUNCE: Opt = Opt::new(
    "debounce",
    Shape::Duration,
    "Quiet time after an edit before it is read",
)
.variables(&["WATCH_DEBOUNCE"])
.default("500ms");

pub(crate) static DELETE_AFTER: Opt = Opt::new(
    "delete-after",
    Shape::Duration,
    "How long a template must be gone before its output follows",
)
.variables(&["LOCKET_DELETE_AFTER"])
.default("10s");

pub(crate) static FILE_MODE: Opt =
    Opt::new("file-mode", Shape::Mode, "Mode of the files, whatever the umask")
        .variables(&["LOCKET_FILE_MODE"])
        .default("0600");

pub(crate) static DIR_MODE: Opt = Opt::new(
    "dir-mode",
    Shape::Mode,
    "Mode of directories that are made on the way",
)
.variables(&["LOCKET_DIR_MODE"])
.default("0700");

pub(crate) static USER: Opt = Opt::new("user", Shape::Text, "Numeric owner of files and directories")
    .variables(&["LOCKET_FILE_OWNER"])
    .placeholder("UID[:GID]")
    .default("own");

pub(crate) static MAX_FILE_SIZE: Opt = Opt::new("max-file-size", Shape::Size, "Larger templates are refused")
    .variables(&["MAX_FILE_SIZE"])
    .default("10M");

pub(crate) static STATUS_FILE: Opt = Opt::new("status-file", Shape::Path, "File that says how the agent is")
    .variables(&["LOCKET_STATUS_FILE"]);

pub(crate) static STATE_DIR: Opt = Opt::new(
    "state-dir",
    Shape::Path,
    "Directory for what must outlive the process, never a value",
)
.variables(&["LOCKET_STATE_DIR"])
.placeholder("DIR")
.default("/var/lib/locket, or $XDG_STATE_HOME/locket");

pub(crate) static CLEANUP: Opt = Opt::new(
    "cleanup",
    Shape::Switch,
    "Remove what this run wrote when it ends; needs a run that stays",
)
.variables(&["LOCKET_CLEANUP"])
.default("false");

pub(crate) static AUDIT_LOG: Opt = Opt::new(
    "audit-log",
    Shape::Text,
    "A JSON line for each read, write and notification, never a value",
)
.variables(&["LOCKET_AUDIT_LOG"])
.placeholder("FILE|journald");

pub(crate) static METRICS: Opt = Opt::new(
    "metrics",
    Shape::Text,
    "Serve metrics for Prometheus at http://ADDR/metrics; `9100` is the loopback interface",
)
.variables(&["LOCKET_METRICS"])
.placeholder("ADDR");

pub(crate) static METRICS_PUBLIC: Opt = Opt::new(
    "metrics-public",
    Shape::Switch,
    "Let --metrics listen on an address that other machines can reach",
)
.variables(&["LOCKET_METRICS_PUBLIC"])
.default("false");

/// That of `sync`, which the file does not give: an agent that reads the same file holds the one there.
pub(crate) static SYNC_STATUS_FILE: Opt = Opt::new(
    "status-file",
    Shape::Path,
    "File that says how this command is; that in `[run]` is for `run`",
)
.variables(STATUS_FILE.variables)
.key(Key::None);

/// That of `sync`, for the same reason.
pub(crate) static SYNC_METRICS: Opt = Opt::new(
    "metrics",
    Shape::Text,
    "Serve metrics of this command at http://ADDR/metrics; `9100` is the loopback interface, `[run]` is for `run`",
)
.variables(METRICS.variables)
.placeholder("ADDR")
.key(Key::None);

/// That of `sync`: beside what an agent keeps, unless it is named.
pub(crate) static SYNC_STATE_DIR: Opt = Opt::new(
    "state-dir",
    Shape::Path,
    "Directory for what must outlive this command, never a value",
)
.variables(STATE_DIR.variables)
.placeholder("DIR")
.key(Key::None)
.default("`sync` in that of `run`");

pub(crate) static SANDBOX: Opt = Opt::new(
    "sandbox",
    Shape::Word(&["auto", "off"]),
    "Whether the agent gives up what it will not need (Landlock)",
)
.variables(&["LOCKET_SANDBOX"])
.placeholder("auto|off")
.default("auto");

pub(crate) static MAX_STALE: Opt = Opt::new(
    "max-stale",
    Shape::Duration,
    "Age from which an unconfirmed secret counts as unhealthy",
)
.variables(&["LOCKET_MAX_STALE"])
.default("no limit");

pub(crate) static ENV: Opt = Opt::new(
    "env",
    Shape::List,
    "An env file, a variable, or a variable made of a template file; a later one wins",
)
.short('e')
.aliases(&["env-file"])
.variables(&["LOCKET_ENV_FILE", "LOCKET_ENV"])
.key(Key::Exec)
.placeholder("FILE|NAME=TEMPLATE|NAME=@FILE");

pub(crate) static ENV_FROM: Opt = Opt::new(
    "env-from",
    Shape::List,
    "A variable for every key of a folder, an item or a JSON value (`REF#*`)",
)
.key(Key::Exec)
.placeholder("REF/*");

pub(crate) static PREFIX: Opt = Opt::new(
    "prefix",
    Shape::Text,
    "What stands before each name of --env-from",
)
.key(Key::Exec);

pub(crate) static ONLY: Opt = Opt::new(
    "only",
    Shape::List,
    "Keys of --env-from that count: names with `*`",
)
.key(Key::Exec)
.placeholder("PATTERN");

pub(crate) static EXCEPT: Opt = Opt::new("except", Shape::List, "Keys of --env-from that do not count")
    .key(Key::Exec)
    .placeholder("PATTERN");

pub(crate) static AS_FILE: Opt = Opt::new(
    "as-file",
    Shape::List,
    "A variable with the path of a file that only the program can read",
)
.key(Key::Exec)
.placeholder("NAME=TEMPLATE|NAME=@FILE");

pub(crate) static ALLOW_NAME: Opt = Opt::new(
    "allow-name",
    Shape::List,
    "A variable that changes which code programs run (`PATH`, `LD_*`, …) and may have a secret as its value all the same",
)
.key(Key::Exec)
.placeholder("NAME");

pub(crate) static RESTART_ON_EDIT: Opt = Opt::new(
    "watch",
    Shape::Switch,
    "Start the program again when an env file or a template changes",
)
.key(Key::Exec)
.default("false");

pub(crate) static RESTART_ON_ROTATION: Opt = Opt::new(
    "refresh",
    Shape::Duration,
    "Ask the providers again after this time, and start the program again when a secret changed",
)
.key(Key::Exec)
.placeholder("DUR|off")
.default("off");

pub(crate) static ON_CHANGE: Opt = Opt::new(
    "on-change",
    Shape::Text,
    "What happens to the program on such a change: `restart`, `signal:NAME` (not with --as-file) or `none`",
)
.key(Key::Exec)
.placeholder("restart|signal:NAME|none")
.default("restart");

pub(crate) static END_TIMEOUT: Opt = Opt::new(
    "timeout",
    Shape::Duration,
    "From asking the program to end until it is killed",
)
.key(Key::Exec)
.default("30s");

pub(crate) static MASK: Opt = Opt::new(
    "mask",
    Shape::Switch,
    "Hide the secrets in what the program puts out",
)
.key(Key::Exec)
.default("false");

pub(crate) static MASK_SHORT: Opt = Opt::new(
    "mask-short",
    Shape::Switch,
    "Hide secrets of fewer than 6 bytes, too, which are refused otherwise",
)
.key(Key::Exec)
.default("false");

pub(crate) static KEEP_CREDENTIALS: Opt = Opt::new(
    "keep-credentials",
    Shape::Switch,
    "Let the program have the credentials of our providers",
)
.key(Key::Exec)
.default("false");

pub(crate) static NO_RENEW: Opt = Opt::new(
    "no-renew",
    Shape::Switch,
    "Do not stay to renew the leases of secrets",
)
.key(Key::Exec)
.default("false");

pub(crate) static DOCKER_LABELS: Opt = Opt::new(
    "docker-labels",
    Shape::Switch,
    "Make files of what containers ask for by labels, as far as `[labels] allow` lets them",
)
.variables(&["LOCKET_DOCKER_LABELS"])
.default("false");

/// What every command takes.
pub(crate) static EVERY: &[&Opt] = &[&CONFIG, &LOG_LEVEL, &LOG_FORMAT];

/// What commands take that read secrets.
pub(crate) static READING: &[&Opt] = &[&PROVIDER, &TOKEN_FILE, &REQUEST_TIMEOUT, &DEADLINE];

/// What commands take that ask once and try nothing again.
pub(crate) static ASKING: &[&Opt] = &[&PROVIDER, &TOKEN_FILE, &REQUEST_TIMEOUT];

/// What `doctor` takes beside: where things are.
pub(crate) static PLACES: &[&Opt] = &[&MAP, &SECRET, &OUT, &MODE, &STATUS_FILE, &STATE_DIR];

/// What `run` takes beside.
pub(crate) static RUN: &[&Opt] = &[
    &MAP,
    &SECRET,
    &SECRET_FROM,
    &OUT,
    &MODE,
    &REFRESH,
    &ON_ERROR,
    &NOTIFY,
    &NOTIFY_TIMEOUT,
    &DEBOUNCE,
    &DELETE_AFTER,
    &FILE_MODE,
    &DIR_MODE,
    &USER,
    &MAX_FILE_SIZE,
    &STATUS_FILE,
    &STATE_DIR,
    &CLEANUP,
    &AUDIT_LOG,
    &METRICS,
    &METRICS_PUBLIC,
    &SANDBOX,
    &DOCKER_LABELS,
];

/// What `inject` takes beside: whatever does not need an agent that stays.
pub(crate) static INJECT: &[&Opt] = &[
    &MAP,
    &SECRET,
    &SECRET_FROM,
    &OUT,
    &ON_ERROR,
    &NOTIFY,
    &NOTIFY_TIMEOUT,
    &FILE_MODE,
    &DIR_MODE,
    &USER,
    &MAX_FILE_SIZE,
    &STATUS_FILE,
    &STATE_DIR,
    &AUDIT_LOG,
    &SANDBOX,
];

/// What commands take that make variables.
pub(crate) static VARIABLES: &[&Opt] = &[&ENV, &ENV_FROM, &PREFIX, &ONLY, &EXCEPT, &ALLOW_NAME];

/// What `exec` takes beside: what only a program that it starts can have, and how that program is kept.
pub(crate) static KEEPING: &[&Opt] = &[
    &AS_FILE,
    &RESTART_ON_EDIT,
    &RESTART_ON_ROTATION,
    &ON_CHANGE,
    &END_TIMEOUT,
    &MASK,
    &MASK_SHORT,
    &KEEP_CREDENTIALS,
    &NO_RENEW,
];

/// What `exec` takes beside: files.
pub(crate) static EXEC: &[&Opt] = &[
    &OUT,
    &FILE_MODE,
    &DIR_MODE,
    &USER,
    &MAX_FILE_SIZE,
    &NOTIFY_TIMEOUT,
];

/// What `sync` takes beside: who reads what it writes, and how it tells of itself.
pub(crate) static SYNC: &[&Opt] = &[
    &NOTIFY_TIMEOUT,
    &DIR_MODE,
    &USER,
    &SYNC_STATUS_FILE,
    &SYNC_STATE_DIR,
    &AUDIT_LOG,
    &SYNC_METRICS,
    &METRICS_PUBLIC,
    &SANDBOX,
];

/// What `plugin` takes beside: what its volumes say of themselves it does not.
pub(crate) static PLUGIN: &[&Opt] = &[
    &PROVIDER,
    &TOKEN_FILE,
    &REQUEST_TIMEOUT,
    &STATE_DIR,
    &AUDIT_LOG,
    &NOTIFY_TIMEOUT,
];

/// What `healthcheck` takes.
pub(crate) static HEALTH: &[&Opt] = &[&STATUS_FILE, &MAX_STALE];

/// Every row, once. A name is one of a table of the file: `[exec]` has some that `[run]` has, too, and `sync` some of its
/// own that no file gives.
pub(crate) fn all() -> impl Iterator<Item = &'static Opt> {
    let staleness = HEALTH.iter().filter(|opt| opt.name == MAX_STALE.name);
    let run = EVERY.iter().chain(READING).chain(RUN).chain(staleness);
    let of_sync = [&SYNC_STATUS_FILE, &SYNC_STATE_DIR, &SYNC_METRICS];
    run.chain(VARIABLES).chain(KEEPING).copied().chain(of_sync)
}
