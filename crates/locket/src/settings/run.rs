//! What `locket run` was told.

use std::path::PathBuf;
use std::time::Duration;

use locket_core::plan::{Owner, Plan};
use locket_core::{Action, Environment};
use locket_engine::agent::{Mode, Schedule};

use super::common::Common;
use super::plan;
use crate::context::Context;
use crate::options::{Layers, Notice, table, values};
use crate::report::Problem;

/// Everything that a run was told.
#[derive(Debug)]
pub(crate) struct RunSettings {
    /// What goes where.
    pub(crate) plan: Plan,
    /// When rounds take place.
    pub(crate) schedule: Schedule,
    /// Who is told about every change.
    pub(crate) actions: Vec<Action>,
    /// How long a failing notification is tried again.
    pub(crate) notify_timeout: Duration,
    /// Where the agent's state is shown.
    pub(crate) status_file: Option<PathBuf>,
    /// Where to keep what must outlive the process.
    pub(crate) state_dir: PathBuf,
    /// What holds for every command.
    pub(crate) common: Common,
}

/// How a run begins: `run` or `inject`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// As the mode says.
    Run,
    /// One round, whatever mode anybody names.
    Inject,
    /// Not at all: the settings are looked at, and may be none.
    Look,
}

impl Form {
    /// Whether something has to be rendered.
    fn has_work(self) -> bool {
        self != Self::Look
    }
}

/// Time between two refreshes.
const REFRESH: Duration = Duration::from_secs(6 * 60 * 60);

/// Up to this much is added to the time between two refreshes, so that a fleet does not ask at once.
const JITTER: Duration = Duration::from_secs(5 * 60);

const DEBOUNCE: Duration = Duration::from_millis(500);

const NOTIFY_TIMEOUT: Duration = Duration::from_secs(5 * 60);

const MODES: [(&str, Mode); 3] = [
    ("one-shot", Mode::OneShot),
    ("watch", Mode::Watch),
    ("park", Mode::Park),
];

impl RunSettings {
    /// Settles everything.
    pub(crate) fn settle(layers: &mut Layers<'_>, form: Form, context: &Context) -> Self {
        let (plan, actions) = plan::settle(layers, &context.directory);
        let common = Common::settle(layers);
        let mode = layers.settle(&table::MODE, Mode::default(), |text| values::word(text, &MODES));
        let settings = Self {
            schedule: Schedule {
                mode: match form {
                    Form::Run | Form::Look => mode,
                    Form::Inject => Mode::OneShot,
                },
                refresh: layers.settle(&table::REFRESH, Some(REFRESH), values::duration_or_off),
                jitter: JITTER,
                debounce: layers.settle(&table::DEBOUNCE, DEBOUNCE, values::duration),
                deadline: common.deadline,
                request: common.request_timeout,
            },
            notify_timeout: layers.settle(&table::NOTIFY_TIMEOUT, NOTIFY_TIMEOUT, values::positive_duration),
            status_file: layers.path(&table::STATUS_FILE),
            state_dir: layers
                .path(&table::STATE_DIR)
                .unwrap_or_else(|| state_dir(&context.environment)),
            plan,
            actions,
            common,
        };
        let is_empty = settings.plan.maps.is_empty() && settings.plan.secrets.is_empty();
        if form.has_work() && is_empty && layers.problems.is_empty() {
            layers.problems.push(Problem::Told {
                message: "there is nothing to render".to_owned(),
                help: Some("Give `--map SRC:DST` or `--secret NAME=TEMPLATE`, or write `[[map]]` or `[[secret]]` in locket.toml.".to_owned()),
            });
        }
        if form.has_work() {
            layers.notices.extend(readers(&settings.plan));
        }
        settings
    }
}

/// Says so when nobody but the agent's own user could read what is written.
fn readers(plan: &Plan) -> Option<Notice> {
    const OTHERS: u32 = 0o077;
    let us = rustix::process::geteuid().as_raw();
    let maps = plan.maps.iter().map(|map| &map.settings.access);
    let mut all = maps.chain(plan.secrets.iter().map(|secret| &secret.settings.access));
    let is_ours = |owner: Option<Owner>| owner.is_none_or(|owner| owner.uid == us);
    all.any(|access| access.file_mode & OTHERS == 0 && is_ours(access.owner)).then(|| {
        Notice::Info(format!(
            "only the agent's own user ({us}) can read what is written; `--file-mode 0440` or `--user UID` lets others"
        ))
    })
}

/// The machine's directory for root, else the user's; the machine's again for a user without a home, as in
/// containers.
fn state_dir(environment: &Environment) -> PathBuf {
    const SYSTEM: &str = "/var/lib/locket";
    let absolute = |name| {
        let path = environment.get_os(name).map(PathBuf::from);
        path.filter(|path| path.is_absolute())
    };
    let user = absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")));
    match user {
        Some(user) if !rustix::process::geteuid().is_root() => user.join("locket"),
        _ => PathBuf::from(SYSTEM),
    }
}
