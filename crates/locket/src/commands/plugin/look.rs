//! When the engine is asked who uses what is mounted: after each start of either, and now and then.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use locket_core::Environment;
use locket_docker::engine::{Client, Endpoint};
use locket_engine::tasks;
use tokio::sync::mpsc;

/// Between two looks while something may have been lost.
const SOON: Duration = Duration::from_secs(10);

/// Between two looks otherwise.
const NOW_AND_THEN: Duration = Duration::from_secs(600);

/// How long something may come to light that was lost.
const ALERT: Duration = Duration::from_secs(120);

/// When to look.
#[derive(Debug)]
pub(super) struct Looks {
    next: Duration,
    alert_until: Duration,
}

impl Looks {
    /// The plugin has started, at `now`.
    pub(super) fn new(now: Duration) -> Self {
        Self {
            next: now + SOON,
            alert_until: now + ALERT,
        }
    }

    /// The engine has started, or something is not as it should be.
    pub(super) fn alert(&mut self, now: Duration) {
        self.alert_until = now + ALERT;
        self.next = self.next.min(now + SOON);
    }

    /// Whether it is time to look; then the next time is set.
    pub(super) fn is_due(&mut self, now: Duration) -> bool {
        if now < self.next {
            return false;
        }
        self.next = now
            + if now < self.alert_until {
                SOON
            } else {
                NOW_AND_THEN
            };
        true
    }

    /// How long it is to the next look.
    pub(super) fn pause(&self, now: Duration) -> Duration {
        self.next.saturating_sub(now)
    }
}

/// Asks the engine, and sends what it says; nothing where it says nothing. The `engine` that has answered once stays the
/// one that is asked: another knows nothing of these volumes.
pub(super) fn ask(
    environment: &Environment,
    engine: &Rc<OnceCell<Endpoint>>,
    to: mpsc::UnboundedSender<BTreeSet<String>>,
) {
    let (environment, engine) = (environment.clone(), engine.clone());
    drop(tasks::here(async move {
        let endpoint = match engine.get() {
            Some(known) => Ok(known.clone()),
            None => Endpoint::find(&environment),
        };
        let client = match endpoint {
            Ok(endpoint) => Client::new(endpoint, &environment).map_err(|error| error.to_string()),
            Err(error) => Err(error),
        };
        let used = match client {
            Ok(client) => {
                let used = client.volumes_in_use().await;
                if used.is_ok() {
                    let _ = engine.set(client.endpoint().clone());
                }
                used.map_err(|error| error.to_string())
            }
            Err(error) => Err(error),
        };
        match used {
            Ok(used) => {
                let _ = to.send(used);
            }
            Err(error) => tracing::debug!("who uses the volumes is not known: {error}"),
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn looks_come_soon_after_a_start_and_seldom_later() {
        let mut looks = Looks::new(Duration::ZERO);
        assert!(!looks.is_due(SECOND * 9) && looks.is_due(SECOND * 10));
        assert_eq!(looks.pause(SECOND * 12), SECOND * 8);
        assert!(looks.is_due(SECOND * 130));
        assert_eq!(looks.pause(SECOND * 130), NOW_AND_THEN);
        looks.alert(SECOND * 200);
        assert!(looks.is_due(SECOND * 210));
        assert_eq!(looks.pause(SECOND * 210), SOON);
    }
}
