//! What `locket run` was told.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use locket_core::plan::{Owner, Plan};
use locket_core::{Action, Diagnostic};
use locket_engine::agent::{AtEnd, Mode, Sandbox, Schedule};
use locket_engine::telemetry::{AuditTarget, JOURNAL_SOCKET, Outlets};

use super::common::Common;
use super::plan;
use super::state_dir::state_dir;
use crate::context::Context;
use crate::labels::LabelSettings;
use crate::options::{Layers, Notice, Opt, table, values};
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
    /// What becomes of the outputs when the run ends.
    pub(crate) at_end: AtEnd,
    /// The audit log and metrics.
    pub(crate) outlets: Outlets,
    /// Whether the agent gives up what it will not need.
    pub(crate) sandbox: Sandbox,
    /// Whether and how labels of containers count.
    pub(crate) labels: Option<LabelSettings>,
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
    /// One round, or one again and again, of what a map says.
    Sync,
}

impl Form {
    /// Whether something has to be rendered.
    fn has_work(self) -> bool {
        matches!(self, Self::Run | Self::Inject)
    }

    /// What says where its state is shown.
    fn status_file(self) -> &'static Opt {
        match self {
            Self::Sync => &table::SYNC_STATUS_FILE,
            Self::Run | Self::Inject | Self::Look => &table::STATUS_FILE,
        }
    }

    /// What says where its metrics are served.
    fn metrics(self) -> &'static Opt {
        match self {
            Self::Sync => &table::SYNC_METRICS,
            Self::Run | Self::Inject | Self::Look => &table::METRICS,
        }
    }
}

/// Time between two refreshes.
const REFRESH: Duration = Duration::from_secs(6 * 60 * 60);

/// Up to this much is added to the time between two refreshes, so that a fleet does not ask at once.
const JITTER: Duration = Duration::from_secs(5 * 60);

const DEBOUNCE: Duration = Duration::from_millis(500);

pub(crate) const NOTIFY_TIMEOUT: Duration = Duration::from_secs(5 * 60);

const MODES: [(&str, Mode); 3] = [
    ("one-shot", Mode::OneShot),
    ("watch", Mode::Watch),
    ("park", Mode::Park),
];

const SANDBOXES: [(&str, Sandbox); 2] = [("auto", Sandbox::Auto), ("off", Sandbox::Off)];

impl RunSettings {
    /// Settles everything.
    pub(crate) fn settle(layers: &mut Layers<'_>, form: Form, context: &Context) -> Self {
        let (plan, actions) = match form {
            Form::Sync => Default::default(),
            Form::Run | Form::Inject | Form::Look => plan::settle(layers, &context.directory),
        };
        let common = Common::settle(layers);
        let mode = layers.settle(&table::MODE, Mode::default(), |text| values::word(text, &MODES));
        let at_end = at_end(layers, form, mode);
        let outlets = Outlets {
            audit: audit(layers),
            metrics: metrics(layers, form.metrics()),
        };
        let labels = labels(layers, &plan.out);
        let settings = Self {
            schedule: Schedule {
                mode: match form {
                    Form::Run | Form::Look => mode,
                    Form::Inject | Form::Sync => Mode::OneShot,
                },
                refresh: layers.settle(&table::REFRESH, Some(REFRESH), values::duration_or_off),
                jitter: JITTER,
                debounce: layers.settle(&table::DEBOUNCE, DEBOUNCE, values::duration),
                deadline: common.deadline,
                request: common.request_timeout,
            },
            notify_timeout: layers.settle(&table::NOTIFY_TIMEOUT, NOTIFY_TIMEOUT, values::positive_duration),
            status_file: layers.path(form.status_file()),
            state_dir: state_dir(layers),
            sandbox: layers.settle(&table::SANDBOX, Sandbox::Auto, |text| {
                values::word(text, &SANDBOXES)
            }),
            plan,
            actions,
            at_end,
            outlets,
            labels,
            common,
        };
        let is_empty = settings.plan.maps.is_empty() && settings.plan.secrets.is_empty();
        if form.has_work() && is_empty && settings.labels.is_none() && layers.problems.is_empty() {
            layers.problems.push(Problem::Told {
                message: "there is nothing to render".to_owned(),
                help: Some("Give `--map SRC:DST`, `--secret NAME=TEMPLATE` or `--secret-from REF/*`, or write `[[map]]` or `[[secret]]` in locket.toml.".to_owned()),
            });
        }
        if form.has_work() {
            layers.notices.extend(readers(&settings.plan));
        }
        settings
    }
}

/// Where the audit log goes.
pub(crate) fn audit(layers: &mut Layers<'_>) -> Option<AuditTarget> {
    let given = layers.text(&table::AUDIT_LOG)?;
    let given = layers.filled(given)?;
    Some(match given.text.as_str() {
        "journald" => AuditTarget::Journal(JOURNAL_SOCKET.into()),
        _ => AuditTarget::File(given.path()),
    })
}

/// Labels are of no use to whoever names nothing that they may ask for.
fn labels(layers: &mut Layers<'_>, out: &Path) -> Option<LabelSettings> {
    if !layers.settle(&table::DOCKER_LABELS, false, values::switch) {
        return None;
    }
    let allow = layers.files().find_map(|file| file.labels.clone());
    if allow.is_none() {
        layers.notices.push(Notice::Warning(
            "labels of containers get nothing: no file has `[labels]` with `allow = [\"REFERENCE\"]`"
                .to_owned(),
        ));
    }
    Some(LabelSettings {
        allow: allow.unwrap_or_default(),
        outputs: plan::defaults(layers),
        out: out.to_owned(),
    })
}

fn at_end(layers: &mut Layers<'_>, form: Form, mode: Mode) -> AtEnd {
    let is_wanted = layers.settle(&table::CLEANUP, false, values::switch);
    match (is_wanted, form, mode) {
        (false, ..) | (_, Form::Inject | Form::Look | Form::Sync, _) => AtEnd::Keep,
        (true, Form::Run, Mode::OneShot) => {
            layers.problems.push(Problem::Told {
                message: "`cleanup` would remove at once what `--mode one-shot` writes".to_owned(),
                help: Some("Leave one of the two out.".to_owned()),
            });
            AtEnd::Keep
        }
        (true, Form::Run, _) => AtEnd::CleanUp,
    }
}

/// Where metrics are served. Other machines may reach them only where that is asked for.
fn metrics(layers: &mut Layers<'_>, opt: &Opt) -> Option<SocketAddr> {
    let is_public = layers.settle(&table::METRICS_PUBLIC, false, values::switch);
    let given = layers.text(opt)?;
    match values::address(&given.text) {
        Ok(address) if is_public || address.ip().is_loopback() => Some(address),
        Ok(_) => {
            let wrong = Diagnostic::error(
                0..given.text.len(),
                format!("other machines can reach `{}`", given.text),
            );
            let help = "Listen on `127.0.0.1`, or say `--metrics-public` if that is wanted: the page has no password.";
            layers.problems.extend(given.wrong([wrong.help(help)]));
            None
        }
        Err(wrong) => {
            layers.problems.extend(given.wrong([wrong]));
            None
        }
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
