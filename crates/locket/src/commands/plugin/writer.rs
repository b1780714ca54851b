//! What keeps the files of one volume in place: the agent of every other command, with the volume as its target.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use locket_core::Diagnostic;
use locket_core::diagnostic::Severity;
use locket_core::plan::{OnError, Source};
use locket_core::template::TemplateOptions;
use locket_docker::plugin::{Health, Options, PATIENCE, Run};
use locket_engine::agent::{
    self, AgentCx, AtEnd, Audience, Command as Order, Observer, Phase, Sandbox, Schedule, Setup, Surroundings,
};
use locket_engine::notify::Notifier;
use locket_engine::sources::SourceError;
use locket_engine::state::{State, Status};
use locket_engine::telemetry::{AuditTarget, Outlets, Trail};
use locket_engine::{Instances, once};
use tokio::sync::mpsc;

use crate::context::{Context, Style};
use crate::couriers::Couriers;
use crate::options::Notice;
use crate::providers::ProviderSettings;
use crate::report::Failure;
use crate::settings::{Inherited, VolumeSettings, load_volume};

/// Up to this much is added to the time between two refreshes, so that volumes do not ask at once.
const JITTER: Duration = Duration::from_secs(5 * 60);

const DEBOUNCE: Duration = Duration::from_millis(500);

/// What came of a volume's writer.
#[derive(Debug)]
pub(super) enum News {
    /// A round is over.
    Closed {
        run: Run,
        health: Health,
        missing: Vec<String>,
    },
    /// It is over, and why, if it was not asked to be.
    Ended { run: Run, why: Vec<String> },
}

/// What every writer needs.
pub(super) struct Desk {
    pub(super) context: Context,
    pub(super) inherited: Inherited,
    pub(super) state_dir: PathBuf,
    pub(super) trail: Option<Trail>,
    pub(super) notify_timeout: Duration,
    /// The providers of volumes that say the same of them: one login, one token.
    shared: RefCell<HashMap<Options, (ProviderSettings, Arc<Instances>)>>,
    /// What was told of the configuration.
    told: RefCell<Vec<Notice>>,
}

/// One volume.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) run: Run,
    pub(super) name: String,
    pub(super) options: Options,
    pub(super) root: PathBuf,
    pub(super) audience: Audience,
}

impl Desk {
    pub(super) fn new(
        context: &Context,
        inherited: Inherited,
        state_dir: &Path,
        trail: Option<Trail>,
        notify_timeout: Duration,
    ) -> Self {
        Self {
            context: context.clone(),
            inherited,
            state_dir: state_dir.to_owned(),
            trail,
            notify_timeout,
            shared: RefCell::default(),
            told: RefCell::default(),
        }
    }

    /// What options say, with the directory that the files go to.
    ///
    /// # Errors
    /// Everything that is wrong, in words for the engine to show.
    pub(super) fn settle(&self, options: &Options, root: &Path) -> Result<VolumeSettings, String> {
        let loaded =
            load_volume(options, &self.inherited, root, &self.context).map_err(|failure| plain(&failure))?;
        let mut told = self.told.borrow_mut();
        for notice in loaded.notices() {
            if !told.contains(notice) {
                notice.log();
                told.push(notice.clone());
            }
        }
        Ok(loaded.quietly())
    }

    /// Looks at options as far as that is possible without asking anybody.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub(super) fn check(&self, options: &Options) -> Result<(), String> {
        let settings = self.settle(options, Path::new("/"))?;
        let instances = settings.common.providers.instances(&self.context);
        let mut wrong = Vec::new();
        for secret in &settings.plan.secrets {
            let Source::Inline { name, text } = &secret.source else {
                continue;
            };
            match once::parse(name, text.as_bytes(), &TemplateOptions::default(), &instances) {
                Ok(parsed) => {
                    let made = parsed.keys.iter().map(|key| instances.provider(&key.instance));
                    let refused = made.filter_map(Result::err);
                    wrong.extend(refused.map(|error| sentence(name, &error.context, error.hint.as_deref())));
                }
                Err(error) => match &*error {
                    SourceError::Template { found, .. } => {
                        let errors = found.iter().filter(|finding| finding.severity == Severity::Error);
                        wrong.extend(
                            errors.map(|finding| sentence(name, &finding.message, finding.help.as_deref())),
                        );
                    }
                    other => wrong.push(sentence(name, &other.to_string(), Some(other.hint()))),
                },
            }
        }
        wrong.dedup();
        match wrong.is_empty() {
            true => Ok(()),
            false => Err(wrong.join("\n")),
        }
    }

    fn setup(&self, target: &Target) -> Result<(Setup, OnError), String> {
        let settings = self.settle(&target.options, &target.root)?;
        let on_error = settings.on_error;
        let request = settings.common.request_timeout;
        let environment = settings
            .common
            .providers
            .without_credentials(&self.context.environment);
        let setup = Setup {
            instances: self.instances(&target.options, settings.common.providers),
            plan: settings.plan,
            schedule: Schedule {
                mode: settings.mode,
                refresh: settings.refresh,
                jitter: JITTER,
                debounce: DEBOUNCE,
                deadline: PATIENCE,
                request,
            },
            actions: settings.actions,
            notifier: Notifier {
                courier: Arc::new(Couriers::new(environment)),
                timeout: self.notify_timeout,
            },
            status_file: None,
            at_end: AtEnd::Keep,
            outlets: Outlets {
                audit: self.trail.clone().map(AuditTarget::Shared),
                metrics: None,
            },
            state_dir: Some(self.home(&target.name)),
            surroundings: Surroundings {
                sandbox: Sandbox::Off,
                audience: target.audience,
                ..Surroundings::default()
            },
            handover: None,
        };
        Ok((setup, on_error))
    }

    /// Where what outlives a volume's writer is kept.
    pub(super) fn home(&self, name: &str) -> PathBuf {
        self.state_dir.join("volumes").join(name)
    }

    fn instances(&self, options: &Options, providers: ProviderSettings) -> Arc<Instances> {
        let mut shared = self.shared.borrow_mut();
        let key = crate::settings::provider_options(options);
        let instances = match shared.get(&key) {
            Some((before, running)) => providers.instances_after(before, running, &self.context),
            None => providers.instances(&self.context),
        };
        shared.insert(key, (providers, instances.clone()));
        instances
    }
}

/// Keeps the files of `target` in place until an order ends that.
pub(super) async fn keep(
    desk: Rc<Desk>,
    target: Target,
    commands: mpsc::Receiver<Order>,
    news: mpsc::UnboundedSender<News>,
) {
    let mut end = End {
        run: target.run,
        why: vec!["it broke down; the log of the plugin says where".to_owned()],
        news: news.clone(),
    };
    let (setup, on_error) = match desk.setup(&target) {
        Ok(ready) => ready,
        Err(reason) => {
            end.why = vec![reason];
            return;
        }
    };
    let observer = Watcher {
        run: target.run,
        root: target.root.clone(),
        on_error,
        news,
    };
    let mut again = || match desk.setup(&target) {
        Ok((setup, _)) => Some(setup),
        Err(reason) => {
            tracing::error!(
                "{}: {reason}; the configuration before it stays in force",
                target.name
            );
            None
        }
    };
    let cx = AgentCx {
        clock: desk.context.clock.clone(),
        observer: &observer,
        commands,
        reload: &mut again,
    };
    let ending = agent::run(setup, cx).await;
    let refused = ending.refused.into_iter().chain(ending.why);
    end.why = refused
        .map(|refusal| match refusal.hint {
            Some(hint) => format!("{}. {hint}", refusal.message),
            None => refusal.message,
        })
        .collect();
}

/// Says that a writer is over, however that came.
struct End {
    run: Run,
    why: Vec<String>,
    news: mpsc::UnboundedSender<News>,
}

impl Drop for End {
    fn drop(&mut self) {
        // Nobody listens when the plugin itself ends.
        let _ = self.news.send(News::Ended {
            run: self.run,
            why: std::mem::take(&mut self.why),
        });
    }
}

/// Passes on how the files of a volume are.
struct Watcher {
    run: Run,
    root: PathBuf,
    on_error: OnError,
    news: mpsc::UnboundedSender<News>,
}

impl Observer for Watcher {
    fn template(&self, name: &str, text: &[u8], found: &[Diagnostic]) {
        for finding in found {
            let (line, column) = finding.span.line_column(text);
            let help = finding.help.as_deref().unwrap_or_default();
            match finding.severity {
                Severity::Error => tracing::error!(
                    "{name}, line {line}, column {column}: {}. {help}",
                    finding.message
                ),
                Severity::Warning => tracing::warn!(
                    "{name}, line {line}, column {column}: {}. {help}",
                    finding.message
                ),
            }
        }
    }

    fn phase(&self, phase: Phase, status: &Status) {
        if phase != Phase::Staying {
            return;
        }
        let mut told = BTreeMap::new();
        for failing in &status.failing {
            let file = failing.target.strip_prefix(&self.root).unwrap_or(&failing.target);
            let about = failing
                .reference
                .as_deref()
                .map(|name| format!("{name}: "))
                .unwrap_or_default();
            let line = format!("{}: {about}{}", file.display(), failing.reason);
            told.insert(line, failing.last_success.is_none());
        }
        let missing = told.iter().filter(|(_, is_missing)| **is_missing);
        let missing = missing.map(|(line, _)| line.clone());
        let missing: Vec<_> = match self.on_error {
            // A template's own text is what was asked for.
            OnError::Passthrough => Vec::new(),
            _ => missing.collect(),
        };
        let health = Health {
            state: word(status.state).to_owned(),
            failing: told.into_keys().collect(),
        };
        let _ = self.news.send(News::Closed {
            run: self.run,
            health,
            missing,
        });
    }
}

fn word(state: State) -> &'static str {
    match state {
        State::Starting => "starting",
        State::Ready | State::Done => "ready",
        State::Stale => "stale",
        State::Failed => "failed",
    }
}

fn sentence(name: &str, message: &str, hint: Option<&str>) -> String {
    match hint {
        Some(hint) => format!("{name}: {message}. {hint}"),
        None => format!("{name}: {message}"),
    }
}

/// What is wrong, for a line of another program.
pub(super) fn plain(failure: &Failure) -> String {
    let drawn = failure.draw(Style::Plain);
    drawn.trim().trim_start_matches("error: ").to_owned()
}
