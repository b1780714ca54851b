//! The consumers of one round, told together: whoever depends on another is told after it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use locket_core::{Action, BoxFuture};
use tokio::sync::{OnceCell, watch};

use super::deliver::{Delivery, Notifier, Precedence};

/// Consumers that are told at one time.
#[derive(Debug)]
pub struct Batch {
    notifier: Notifier,
    actions: Vec<Action>,
    /// Asked for once, by whoever is first.
    order: OnceCell<Vec<Precedence>>,
    /// Those that are done with, by index.
    done: watch::Sender<BTreeSet<usize>>,
}

impl Batch {
    /// Deliveries to the consumers in `told`, each about files of its own.
    pub fn deliveries(
        notifier: &Notifier,
        told: Vec<(Action, Vec<PathBuf>)>,
    ) -> Vec<BoxFuture<'static, (Action, Delivery)>> {
        let batch = Arc::new(Self {
            notifier: notifier.clone(),
            actions: told.iter().map(|(action, _)| action.clone()).collect(),
            order: OnceCell::new(),
            done: watch::Sender::default(),
        });
        let each = told.into_iter().enumerate();
        each.map(|(index, (action, changed))| -> BoxFuture<'static, _> {
            let batch = batch.clone();
            Box::pin(async move { batch.tell(index, action, changed).await })
        })
        .collect()
    }

    async fn tell(&self, index: usize, action: Action, changed: Vec<PathBuf>) -> (Action, Delivery) {
        let _done = Done { batch: self, index };
        if self.actions.len() > 1 {
            let order = self.order.get_or_init(|| self.ask()).await;
            let first: Vec<_> = order
                .iter()
                .filter(|precedence| precedence.then == index)
                .map(|precedence| precedence.first)
                .collect();
            let mut done = self.done.subscribe();
            // The other end is this batch itself and cannot be gone.
            let _ = done
                .wait_for(|done| first.iter().all(|first| done.contains(first)))
                .await;
        }
        self.notifier.clone().tell(action, changed).await
    }

    /// Who waits for whom, without circles: a precedence that would close one is left out.
    async fn ask(&self) -> Vec<Precedence> {
        let asked = self.notifier.courier.order(&self.actions);
        let given = tokio::time::timeout(self.notifier.timeout, asked)
            .await
            .unwrap_or_default();
        let mut kept: Vec<Precedence> = Vec::new();
        for precedence in given {
            if !leads(&kept, precedence.then, precedence.first) {
                kept.push(precedence);
            }
        }
        kept
    }
}

/// Whether `from` comes before `to`, or is it.
fn leads(order: &[Precedence], from: usize, to: usize) -> bool {
    let mut open = vec![from];
    let mut seen = BTreeSet::new();
    while let Some(at) = open.pop() {
        if at == to {
            return true;
        }
        if seen.insert(at) {
            let next = order.iter().filter(|precedence| precedence.first == at);
            open.extend(next.map(|precedence| precedence.then));
        }
    }
    false
}

/// Lets others go on when it is dropped, however the telling ended.
struct Done<'a> {
    batch: &'a Batch,
    index: usize,
}

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.batch.done.send_modify(|done| {
            done.insert(self.index);
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use futures_util::future::join_all;

    use super::super::deliver::Courier;
    use super::*;

    /// Says who waits for whom, fails those that it is told to, and notes when each was told.
    #[derive(Debug, Default)]
    struct Script {
        order: Vec<(usize, usize)>,
        failing: Option<Action>,
        told: Mutex<Vec<String>>,
    }

    impl Courier for Script {
        fn deliver<'a>(
            &'a self,
            action: &'a Action,
            _: &'a [PathBuf],
        ) -> BoxFuture<'a, Result<Delivery, String>> {
            Box::pin(async move {
                self.told.lock().unwrap().push(format!("> {action}"));
                tokio::time::sleep(Duration::from_secs(2)).await;
                self.told.lock().unwrap().push(format!("< {action}"));
                match self.failing.as_ref() == Some(action) {
                    true => Err("no".to_owned()),
                    false => Ok(Delivery::Told),
                }
            })
        }

        fn order<'a>(&'a self, _: &'a [Action]) -> BoxFuture<'a, Vec<Precedence>> {
            let order = self.order.iter().map(|(first, then)| Precedence {
                first: *first,
                then: *then,
            });
            let order: Vec<_> = order.collect();
            Box::pin(async { order })
        }
    }

    async fn told(script: Script, names: &[&str]) -> (Vec<String>, Vec<Delivery>) {
        let script = Arc::new(script);
        let notifier = Notifier {
            courier: script.clone(),
            timeout: Duration::from_secs(20),
        };
        let told = names
            .iter()
            .map(|name| (Action::parse(&format!("auto:{name}")).unwrap(), Vec::new()))
            .collect();
        let ended = join_all(Batch::deliveries(&notifier, told)).await;
        let told = std::mem::take(&mut *script.told.lock().unwrap());
        (told, ended.into_iter().map(|(_, delivery)| delivery).collect())
    }

    #[tokio::test(start_paused = true)]
    async fn a_dependent_is_told_after_its_dependency_and_others_at_once() {
        let script = Script {
            order: vec![(2, 0)],
            ..Script::default()
        };
        let (told, _) = told(script, &["web", "other", "db"]).await;
        assert_eq!(
            told,
            [
                "> auto:other",
                "> auto:db",
                "< auto:other",
                "< auto:db",
                "> auto:web",
                "< auto:web"
            ]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_circle_and_a_failing_dependency_hold_nobody_up_for_ever() {
        let script = Script {
            order: vec![(0, 1), (1, 2), (2, 0), (1, 1)],
            failing: Some(Action::parse("auto:a").unwrap()),
            ..Script::default()
        };
        let (_, ended) = told(script, &["a", "b", "c"]).await;
        assert!(
            matches!(ended[..], [Delivery::Failed(_), Delivery::Told, Delivery::Told]),
            "{ended:?}"
        );
    }
}
