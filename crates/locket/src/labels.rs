//! `--docker-labels`: what containers ask for by their labels becomes a part of the plan, as they come and go. Labels are
//! written by whoever may start containers, so that they get only what `[labels] allow` names.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use locket_core::action::ContainerOrder;
use locket_core::plan::{OutputSettings, Place, Plan, Secret, Source};
use locket_core::template::TemplateOptions;
use locket_core::{Action, Diagnostic, Template};
use locket_docker::allow::Allowance;
use locket_docker::engine::{Client, Endpoint, EngineError};
use locket_docker::labels::{Wish, wishes};
use locket_engine::Instances;
use locket_engine::agent::{Command as Order, Later, Setup, Unseen};
use tokio::sync::mpsc;

use crate::context::Context;

/// Quiet time after a container came or went: Compose makes many at once.
const QUIET: Duration = Duration::from_millis(300);

/// How long a single round waits for an engine that may be coming up before it puts in place what does not need it.
const GLANCE: Duration = Duration::from_secs(2);

/// How long nothing may be heard before somebody looks all the same.
const SILENCE: Duration = Duration::from_secs(10 * 60);

/// Pauses between looks at an engine that does not answer: the first, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// What was settled about labels.
#[derive(Clone, Debug)]
pub(crate) struct LabelSettings {
    /// What they may ask for.
    pub(crate) allow: Allowance,
    /// How their files are written.
    pub(crate) outputs: OutputSettings,
    /// Below which directory.
    pub(crate) out: PathBuf,
}

/// The containers of one engine, and what they ask for.
#[derive(Debug)]
pub(crate) struct Labels<'a> {
    context: &'a Context,
    /// For how long a single round looks; a run that stays does so for ever.
    patience: Option<Duration>,
    known: Mutex<Vec<Wish>>,
    /// Why a single round knows of no container yet.
    unread: Mutex<Option<EngineError>>,
    /// The engine that has answered once. Another knows nothing of these containers.
    endpoint: OnceLock<Endpoint>,
    /// Labels that are no labels of ours.
    wrong: Told,
    /// Labels that may not have what they ask for.
    refused: Told,
}

/// What was told and still holds. What is over is forgotten, so that this grows no larger than what is wrong now.
#[derive(Debug, Default)]
struct Told(Mutex<BTreeSet<String>>);

impl Told {
    /// Warns of what is among `now` and was not before.
    fn warn_of(&self, now: BTreeSet<String>) {
        for text in self.renew(now) {
            tracing::warn!("{text}");
        }
    }

    /// What is among `now` and was not before; `now` takes the place of what was.
    fn renew(&self, now: BTreeSet<String>) -> Vec<String> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *told, now);
        told.difference(&before).cloned().collect()
    }
}

impl<'a> Labels<'a> {
    /// Nothing is known yet. A single round looks at labels for as long as `patience` lasts.
    pub(crate) fn new(context: &'a Context, patience: Option<Duration>) -> Self {
        Self {
            context,
            patience,
            known: Mutex::default(),
            unread: Mutex::default(),
            endpoint: OnceLock::new(),
            wrong: Told::default(),
            refused: Told::default(),
        }
    }

    /// Looks once, so that the first round has what can be had.
    pub(crate) async fn first_look(&self) {
        let looked = match self.patience {
            Some(patience) => self.look_for(patience.min(GLANCE)).await,
            None => self.look_once().await,
        };
        if let Err(error) = looked {
            tracing::warn!("labels of containers cannot be read: {error}; this is tried again");
            *self.unread() = self.patience.map(|_| error);
        }
    }

    /// Looks once, as whoever stays for no longer does.
    ///
    /// # Errors
    /// The engine does not answer.
    pub(crate) async fn look_once(&self) -> Result<(), EngineError> {
        self.look(&mut None).await.map(drop)
    }

    async fn look_for(&self, limit: Duration) -> Result<(), EngineError> {
        match tokio::time::timeout(limit, self.look_once()).await {
            Ok(looked) => looked,
            Err(_) => Err(EngineError::Unavailable("it gave no answer in time".to_owned())),
        }
    }

    /// Why a single round does not know what containers ask for.
    fn reason(&self) -> Option<String> {
        let unread = self.unread();
        let error = unread.as_ref()?;
        Some(format!(
            "the labels of containers could not be read, so that what they ask for is not there: {error}"
        ))
    }

    fn unread(&self) -> MutexGuard<'_, Option<EngineError>> {
        self.unread.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks again and again for as long as `patience` lasts, and whether that was of use.
    async fn look_within(&self, patience: Duration) -> bool {
        let clock = &self.context.clock;
        let until = clock.monotonic() + patience;
        let mut pause = PAUSES.0;
        loop {
            // The last look has a moment, too.
            let left = until.saturating_sub(clock.monotonic());
            let Some(spare) = left.checked_sub(PAUSES.0).filter(|spare| !spare.is_zero()) else {
                return false;
            };
            tokio::time::sleep(pause.min(spare)).await;
            pause = (pause * 2).min(PAUSES.1);
            let left = until.saturating_sub(clock.monotonic());
            match self.look_for(left).await {
                Ok(()) => {
                    *self.unread() = None;
                    return true;
                }
                Err(error) => {
                    tracing::debug!("labels of containers cannot be read: {error}; this is tried again");
                    *self.unread() = Some(error);
                }
            }
        }
    }

    /// Adds to `setup` what containers ask for now, and may ask for later.
    pub(crate) fn extend(&self, setup: &mut Setup, settings: &LabelSettings) {
        let any = Action::Container {
            name: String::new(),
            order: ContainerOrder::Restart,
        };
        setup.surroundings.later = Later {
            outputs: vec![(settings.out.clone(), settings.outputs.access)],
            consumers: vec![setup.notifier.courier.reach(&any)],
        };
        setup.surroundings.unseen = self.reason().map(|reason| Unseen {
            place: settings.out.clone(),
            reason,
        });
        self.add_to(&mut setup.plan, &setup.instances, settings);
    }

    /// Adds to `plan` what containers ask for now.
    pub(crate) fn add_to(&self, plan: &mut Plan, instances: &Instances, settings: &LabelSettings) {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut refused = BTreeSet::new();
        for wish in known.iter() {
            for (name, text) in &wish.secrets {
                let path = settings.out.join(wish.directory()).join(name);
                let reason = match may(text, &wish.owner, settings, instances) {
                    Ok(()) => taken_by(plan, &path).map(|other| format!("its place is that of {other}")),
                    Err(reason) => Some(reason),
                };
                if let Some(reason) = reason {
                    refused.insert(format!(
                        "the label locket.secret.{name} of {} gets nothing: {reason}",
                        wish.owner
                    ));
                    continue;
                }
                plan.secrets.push(Secret {
                    name: path.to_string_lossy().into_owned(),
                    place: Place::File,
                    source: Source::Inline {
                        name: format!("{}/{name}", wish.owner),
                        text: text.clone(),
                    },
                    settings: OutputSettings {
                        notify: wish.notify.iter().cloned().collect(),
                        ..settings.outputs.clone()
                    },
                });
            }
        }
        self.refused.warn_of(refused);
    }

    /// Follows containers, and asks the agent to look at its plan again when what they ask for has changed.
    pub(crate) async fn follow(&self, orders: &mpsc::Sender<Order>) {
        if let Some(patience) = self.patience {
            // A single round is over when it has seen them.
            if self.reason().is_some() && self.look_within(patience).await {
                let _ = orders.send(Order::Replan).await;
            }
            return std::future::pending().await;
        }
        let mut engine = None;
        let mut pause = PAUSES.0;
        let mut is_lost = false;
        loop {
            let followed = self.listen(&mut engine, orders, &mut is_lost).await;
            match followed {
                Ok(()) => pause = PAUSES.0,
                Err(error) if !std::mem::replace(&mut is_lost, true) => {
                    tracing::warn!(
                        "containers cannot be followed: {error}; what is in place stays, and this is tried again"
                    );
                }
                Err(error) => tracing::debug!("containers cannot be followed: {error}"),
            }
            engine = None;
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// Until the engine ends the connection.
    async fn listen(
        &self,
        engine: &mut Option<Client>,
        orders: &mpsc::Sender<Order>,
        is_lost: &mut bool,
    ) -> Result<(), EngineError> {
        let mut changes = self.engine(engine)?.changes().await?;
        loop {
            // What came while nobody listened is found here, whatever the order of events.
            if self.look(engine).await? {
                let _ = orders.send(Order::Replan).await;
            }
            if std::mem::take(is_lost) {
                tracing::info!("containers are followed again");
            }
            match tokio::time::timeout(SILENCE, changes.next()).await {
                Ok(None) => return Ok(()),
                Ok(Some(_)) => {}
                // A connection that has broken unnoticed looks the same.
                Err(_) => continue,
            }
            while let Ok(more) = tokio::time::timeout(QUIET, changes.next()).await {
                if more.is_none() {
                    return Ok(());
                }
            }
        }
    }

    /// Whether containers ask for something else than before.
    async fn look(&self, engine: &mut Option<Client>) -> Result<bool, EngineError> {
        let client = self.engine(engine)?;
        let containers = client.containers().await?;
        self.endpoint.get_or_init(|| client.endpoint().clone());
        let (wishes, wrong) = wishes(&containers);
        let wrong = wrong.into_iter().map(|wrong| {
            format!(
                "the label {} of {} is left out: {}",
                wrong.label, wrong.owner, wrong.reason
            )
        });
        self.wrong.warn_of(wrong.collect());
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = *known != wishes;
        *known = wishes;
        Ok(is_new)
    }

    fn engine<'e>(&self, kept: &'e mut Option<Client>) -> Result<&'e Client, EngineError> {
        if kept.is_none() {
            let environment = &self.context.environment;
            let endpoint = match self.endpoint.get() {
                Some(known) => known.clone(),
                None => Endpoint::find(environment).map_err(EngineError::Unavailable)?,
            };
            *kept = Some(Client::new(endpoint, environment)?);
        }
        kept.as_ref().ok_or(EngineError::Missing)
    }
}

/// Whether the containers of `owner` may have what this template refers to.
fn may(text: &str, owner: &str, settings: &LabelSettings, instances: &Instances) -> Result<(), String> {
    let template = Template::parse(
        text.as_bytes().to_vec(),
        &TemplateOptions::default(),
        instances.schemes(),
    );
    let told = |found: Vec<Diagnostic>| {
        let messages: Vec<_> = found.into_iter().map(|finding| finding.message).collect();
        messages.join("; ")
    };
    let template = template.map_err(told)?;
    let allowed = settings.allow.permits_all(template.references(), owner);
    allowed.map_err(|reason| format!("{reason} (`[labels]`)"))?;
    // Whoever writes labels stops nobody else: what would be refused at a start is left out.
    template.references().iter().try_for_each(|reference| {
        let key = instances.locate(reference).map_err(told)?;
        let provider = instances.provider(&key.instance);
        provider.map(drop).map_err(|error| error.to_string())
    })
}

/// What of the plan has `path` as its place, or one that it cannot be beside: the configuration comes before labels.
fn taken_by(plan: &Plan, path: &Path) -> Option<String> {
    let meets = |other: &Path| path.starts_with(other) || other.starts_with(path);
    let mut secrets = plan.secrets.iter().filter(|secret| {
        let (directory, name) = secret.output(&plan.out);
        !matches!(secret.source, Source::Every { .. })
            && secret.place == Place::File
            && meets(&directory.join(name))
    });
    if let Some(secret) = secrets.next() {
        return Some(format!("the secret {}", secret.name));
    }
    let mut maps = plan.maps.iter().filter(|map| {
        if !map.source.is_dir() {
            return meets(&map.destination);
        }
        let Ok(relative) = path.strip_prefix(&map.destination) else {
            return map.destination.starts_with(path);
        };
        // A directory that both have is no conflict, but for the place of the file itself.
        let template = map.source.join(relative);
        let above = template
            .ancestors()
            .skip(1)
            .take_while(|above| *above != map.source);
        template.symlink_metadata().is_ok() || above.into_iter().any(Path::is_file)
    });
    maps.next()
        .map(|map| format!("the map of {}", map.source.display()))
}

#[cfg(test)]
mod tests {
    use locket_core::plan::Map;

    use super::*;

    #[test]
    fn the_place_of_another_output_is_taken() {
        let scene = tempfile::tempdir().unwrap();
        let source = scene.path().join("in");
        std::fs::create_dir_all(source.join("conf/deep")).unwrap();
        std::fs::write(source.join("conf/app.ini"), "").unwrap();
        let out = Path::new("/out");
        let secret = |name: &str| Secret {
            name: name.to_owned(),
            place: Place::File,
            source: Source::Inline {
                name: name.to_owned(),
                text: String::new(),
            },
            settings: OutputSettings::default(),
        };
        let map = |source: PathBuf, destination: &str| Map {
            source,
            destination: destination.into(),
            settings: OutputSettings::default(),
        };
        let plan = Plan {
            maps: vec![
                map(source.clone(), "/out"),
                map(source.join("conf/app.ini"), "/out/one/file"),
            ],
            secrets: vec![secret("web"), secret("/out/shop/db/own")],
            out: out.to_owned(),
            ..Plan::default()
        };
        for (path, is_taken) in [
            ("conf/app.ini", true),
            ("conf/app.ini/below", true),
            ("conf/deep", true),
            ("conf/deep/other", false),
            ("conf/other", false),
            ("one/file", true),
            ("one/file/below", true),
            ("one/other", false),
            ("web/password", true),
            ("webs/password", false),
            ("shop/db/own", true),
            ("shop/db", true),
            ("shop/db/password", false),
        ] {
            assert_eq!(taken_by(&plan, &out.join(path)).is_some(), is_taken, "{path}");
        }
    }

    #[test]
    fn what_is_told_is_told_once_and_forgotten_with_the_container_that_it_is_about() {
        let told = Told::default();
        let set = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        assert_eq!(told.renew(set(&["a", "b"])), ["a", "b"]);
        assert!(told.renew(set(&["b", "a"])).is_empty());
        assert_eq!(told.renew(set(&["b", "c"])), ["c"]);
        assert_eq!(told.0.lock().unwrap().len(), 2, "nothing is kept of what is gone");
        assert_eq!(told.renew(set(&["a", "b"])), ["a"], "it is back, and told again");
        for number in 0..1000 {
            told.renew(set(&[&format!("container {number}")]));
        }
        assert_eq!(told.0.lock().unwrap().len(), 1);
    }
}
