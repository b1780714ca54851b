//! What the registry of volumes needs done: file systems in memory, writers, and a file for what outlives the process.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use locket_docker::plugin::{Host, Options, Run, State};
use locket_engine::agent::{Audience, Command as Order};
use locket_engine::tasks;
use tokio::sync::mpsc;

use super::places::Places;
use super::writer::{Desk, News, Target, keep};

pub(super) struct Machine {
    desk: Rc<Desk>,
    places: Places,
    news: mpsc::UnboundedSender<News>,
    running: BTreeMap<Run, mpsc::Sender<Order>>,
}

impl Machine {
    pub(super) fn new(desk: Rc<Desk>, places: Places, news: mpsc::UnboundedSender<News>) -> Self {
        Self {
            desk,
            places,
            news,
            running: BTreeMap::new(),
        }
    }

    /// Lets every writer read the configuration again, and ask its providers.
    pub(super) fn reload(&mut self) {
        for run in self.running.keys().copied().collect::<Vec<_>>() {
            self.refresh(run);
        }
    }

    /// A writer is over.
    pub(super) fn ended(&mut self, run: Run) {
        self.running.remove(&run);
    }
}

impl Host for Machine {
    fn check(&self, options: &Options) -> Result<(), String> {
        self.desk.check(options)
    }

    fn attach(&self, name: &str, options: &Options) -> Result<bool, String> {
        let settings = self.desk.settle(options, &self.places.written(name))?;
        let mounted = self.places.mount(name, &settings.memory, settings.writing);
        mounted.map_err(|error| match error.kind() {
            std::io::ErrorKind::PermissionDenied => {
                format!("the plugin may not mount anything ({error}). Run it as root, with CAP_SYS_ADMIN")
            }
            _ => error.to_string(),
        })
    }

    fn is_attached(&self, name: &str) -> bool {
        self.places.is_mounted(name)
    }

    fn attached(&self) -> Vec<String> {
        self.places.mounted()
    }

    fn mountpoint(&self, name: &str) -> PathBuf {
        self.places.shown(name)
    }

    fn detach(&self, name: &str) -> Result<(), String> {
        let done = self.places.unmount(name);
        done.map_err(|error| format!("what is mounted cannot be taken away: {error}"))
    }

    fn start(&mut self, run: Run, name: &str, options: &Options, is_new: bool) {
        let (orders, commands) = mpsc::channel(8);
        self.running.insert(run, orders);
        let target = Target {
            run,
            name: name.to_owned(),
            options: options.clone(),
            root: self.places.written(name),
            audience: match is_new {
                true => Audience::ToCome,
                false => Audience::Present,
            },
        };
        drop(tasks::here(keep(
            self.desk.clone(),
            target,
            commands,
            self.news.clone(),
        )));
    }

    fn stop(&mut self, run: Run) {
        if let Some(orders) = self.running.get(&run)
            && let Err(mpsc::error::TrySendError::Full(stop)) = orders.try_send(Order::Stop)
        {
            let orders = orders.clone();
            drop(tasks::here(async move {
                let _ = orders.send(stop).await;
            }));
        }
    }

    fn refresh(&mut self, run: Run) {
        if let Some(orders) = self.running.get(&run) {
            // A full queue holds the same order already.
            let _ = orders.try_send(Order::Reload);
        }
    }

    fn forget(&self, name: &str) {
        let home = self.desk.home(name);
        match std::fs::remove_dir_all(&home) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!("{} is left: {error}", home.display());
            }
            _ => {}
        }
    }

    async fn save(&self, state: State) -> Result<(), String> {
        let directory = self.desk.state_dir.clone();
        let told = format!("the volumes cannot be kept in {}", directory.display());
        match tasks::blocking(move || state.save(&directory)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(format!("{told}: {error}")),
            Err(error) => Err(format!("{told}: {error}")),
        }
    }

    fn now(&self) -> Duration {
        self.desk.context.clock.monotonic()
    }

    fn moment(&self) -> String {
        humantime::format_rfc3339_seconds(self.desk.context.clock.wall()).to_string()
    }
}
