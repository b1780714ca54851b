//! Which engine is mounted where. A path does not say where its mount ends, and the two kinds of key/value store
//! are read differently; the server is asked once for each mount.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use locket_core::{ErrorKind, FetchCx, ProviderError};
use reqwest::StatusCode;
use tokio::sync::{Mutex, MutexGuard};

use crate::bao::session::Session;
use crate::bao::wire::{self, Absence, Engine};
use crate::turn::turn;

/// After this time a secret that is missing or denied is reason to ask again: the mount may have moved or been upgraded.
const SETTLED_FOR: Duration = Duration::from_secs(60);

/// The mounts that are known so far.
#[derive(Debug, Default)]
pub(super) struct Mounts(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    mounts: Vec<Arc<Mount>>,
    /// Paths whose mount the server would not tell, and when it was asked. Of other paths this says nothing, however
    /// they begin: what a token may not see, and what is mounted nowhere, is not told either.
    untold: HashMap<Vec<String>, Duration>,
}

/// One mount.
#[derive(Debug)]
pub(super) struct Mount {
    /// Its path, in components.
    pub(super) path: Vec<String>,
    /// What is mounted there.
    pub(super) engine: Engine,
    seen: Duration,
}

impl Mounts {
    /// The mount that `path` is in; `None` when the server does not tell.
    ///
    /// # Errors
    /// The server cannot be asked, or answers nonsense.
    pub(super) async fn of(
        &self,
        path: &[String],
        session: &Session,
        cx: &FetchCx,
    ) -> Result<Option<Arc<Mount>>, ProviderError> {
        let mut known = self.lock(cx).await?;
        if let Some(mount) = known.find(path) {
            return Ok(Some(mount.clone()));
        }
        let now = cx.clock.monotonic();
        known.untold.retain(|_, asked| now < *asked + SETTLED_FOR);
        if known.untold.contains_key(path) {
            return Ok(None);
        }
        let beside = known
            .untold
            .keys()
            .filter(|untold| untold.first() == path.first());
        if beside.count() > 1 {
            // Where more than one is not told, each may have to be asked for by itself: none waits for the others.
            drop(known);
            let told = ask(path, session, cx).await?;
            return Ok(self.lock(cx).await?.learn(path, told, now));
        }
        // Held while asking: the paths of a round mostly share their mounts.
        let told = ask(path, session, cx).await?;
        Ok(known.learn(path, told, now))
    }

    /// The mount that `path` is in now, if that may differ from `before`, which led to no secret.
    ///
    /// # Errors
    /// The server cannot be asked, or answers nonsense.
    pub(super) async fn moved(
        &self,
        before: &Mount,
        path: &[String],
        session: &Session,
        cx: &FetchCx,
    ) -> Result<Option<Arc<Mount>>, ProviderError> {
        if before.is_settled(cx) {
            return Ok(None);
        }
        let mut known = self.lock(cx).await?;
        let asked = cx.clock.monotonic();
        let current = known.find(path).cloned();
        let now = match current {
            // Somebody else asked meanwhile.
            Some(current) if current.seen > before.seen => Some(current),
            _ => {
                known.mounts.retain(|mount| mount.path != before.path);
                let told = ask(path, session, cx).await?;
                known.learn(path, told, asked)
            }
        };
        Ok(now.filter(|now| now.differs(before)))
    }

    /// The mount that `path` is in now, if that differs from `before`, where it is denied. Most denials say nothing of
    /// the mount: it stays known as it was unless the server tells of another.
    pub(super) async fn moved_where_denied(
        &self,
        before: &Mount,
        path: &[String],
        session: &Session,
        cx: &FetchCx,
    ) -> Option<Arc<Mount>> {
        if before.is_settled(cx) {
            return None;
        }
        let mut known = self.lock(cx).await.ok()?;
        let asked = cx.clock.monotonic();
        let current = known.find(path).cloned();
        let now = match current {
            // Somebody else asked meanwhile.
            Some(current) if current.seen > before.seen => current,
            _ => {
                let told = ask(path, session, cx).await.ok().flatten();
                let now = told.unwrap_or_else(|| before.seen_at(asked));
                known.mounts.retain(|mount| mount.path != before.path);
                known.learn(path, Some(now.clone()), asked);
                now
            }
        };
        Some(now).filter(|now| now.differs(before))
    }

    async fn lock(&self, cx: &FetchCx) -> Result<MutexGuard<'_, Known>, ProviderError> {
        turn(&self.0, cx, "looking up the mount took all the time there was").await
    }
}

impl Mount {
    /// Whether it was seen too lately to be doubted.
    fn is_settled(&self, cx: &FetchCx) -> bool {
        cx.clock.monotonic() < self.seen + SETTLED_FOR
    }

    fn differs(&self, other: &Self) -> bool {
        self.path != other.path || self.engine != other.engine
    }

    /// The same mount, not to be doubted again for a while.
    fn seen_at(&self, seen: Duration) -> Arc<Self> {
        Arc::new(Self {
            path: self.path.clone(),
            engine: self.engine.clone(),
            seen,
        })
    }
}

impl Known {
    fn find(&self, path: &[String]) -> Option<&Arc<Mount>> {
        // No mount lies inside another: the server refuses that.
        self.mounts.iter().find(|mount| path.starts_with(&mount.path))
    }

    /// Takes in what the server told of `path` when it was asked at `asked`.
    fn learn(&mut self, path: &[String], told: Option<Arc<Mount>>, asked: Duration) -> Option<Arc<Mount>> {
        match &told {
            Some(mount) => {
                self.mounts.retain(|known| known.path != mount.path);
                self.mounts.push(mount.clone());
            }
            None => {
                self.untold.insert(path.to_vec(), asked);
            }
        }
        told
    }
}

/// What the server tells of the mount that `path` is in; `None` when it does not tell.
async fn ask(path: &[String], session: &Session, cx: &FetchCx) -> Result<Option<Arc<Mount>>, ProviderError> {
    let asked: Vec<&str> = ["sys", "internal", "ui", "mounts"]
        .into_iter()
        .chain(path.iter().map(String::as_str))
        .collect();
    let now = cx.clock.monotonic();
    let response = match session.get(&asked, None, cx).await {
        Ok(response) if response.status.is_success() => response,
        Ok(response) => match response.status {
            // There is no such namespace, or the server is too old to tell.
            StatusCode::NOT_FOUND if wire::absence(&response) == Some(Absence::NoPath) => return Ok(None),
            StatusCode::BAD_REQUEST => return Ok(None),
            _ => return Err(session.error(&response)),
        },
        Err(error) if error.kind == ErrorKind::Denied => return Ok(None),
        Err(error) => return Err(error),
    };
    let answer = wire::mount(&response)?;
    let mount = Arc::new(Mount {
        path: answer.path.split('/').map(str::to_owned).collect(),
        engine: answer.engine,
        seen: now,
    });
    if !path.starts_with(&mount.path) {
        return Err(ProviderError::unavailable(format!(
            "{} told of a mount that the path is not in",
            response.place
        )));
    }
    tracing::debug!(path = answer.path, engine = ?mount.engine, "mount");
    Ok(Some(mount))
}
