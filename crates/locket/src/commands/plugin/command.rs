//! The plugin from its start to its end: calls of the engine, news of volumes, and signals, one after the other.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use clap::{ArgMatches, Args};
use locket_docker::plugin::{self, Call, Lock, Registry, Socket, SocketError, State};
use locket_engine::agent::Command as Order;
use locket_engine::tasks;
use locket_engine::telemetry::Trail;
use tokio::sync::mpsc;

use super::super::Command;
use super::super::run::{Signals, keep_files_to_ourselves};
use super::look::{self, Looks};
use super::machine::Machine;
use super::places::Places;
use super::secrets::{Desk as SecretDesk, Heard};
use super::settle::{PluginArgs, PluginSettings};
use super::writer::{Desk, News};
use crate::context::Context;
use crate::exit::Exit;
use crate::options::{self, table};
use crate::report::{self, Failure};
use crate::settings::{self, Inherited};
use crate::{providers, runtime};

pub(crate) const COMMAND: Command = Command {
    name: "plugin",
    about: "Serve Docker Engine: volumes whose files are secrets, and the values of Swarm secrets",
    arguments,
    run,
};

pub(crate) const VOLUME: Command = Command {
    name: "volume",
    about: "The same as `plugin`",
    arguments,
    run,
};

/// While a container waits for its values, somebody looks whether it has waited too long.
const TICK: Duration = Duration::from_secs(1);

/// How long the last lines of the audit log may take.
const LAST_LINES: Duration = Duration::from_secs(5);

fn arguments(command: clap::Command) -> clap::Command {
    let command = PluginArgs::augment_args(command);
    let command = options::add_flags(options::add_flags(command, table::PLUGIN), table::EVERY);
    providers::add_flags(command)
}

fn run(matches: &ArgMatches, context: &Context) -> Result<Exit, Failure> {
    let args: PluginArgs = super::super::arguments(matches)?;
    let load = || settings::load(matches, context, |layers| PluginSettings::settle(layers, &args));
    let loaded = load()?;
    let told = loaded.notices().to_vec();
    let settings = loaded.open(context);
    keep_files_to_ourselves();
    let refused = |error: SocketError| Failure::work(error.to_string()).help(error.hint());
    let lock = Lock::take(&settings.state_dir).map_err(refused)?;
    let state = State::load(&settings.state_dir)
        .map_err(|error| Failure::work(error.to_string()).help(error.hint()))?;
    let places = Places::make(&settings.runtime_dir).map_err(|error| {
        Failure::work(format!(
            "{} cannot be used: {error}",
            settings.runtime_dir.display()
        ))
        .help("Run the plugin as root, or name another `--runtime-dir`.")
    })?;
    // Whatever is mounted there and not in its own state, it would take for a leftover.
    let mounts = Lock::hold(&settings.runtime_dir).map_err(refused)?;
    let bound = Socket::bind(&settings.socket).map_err(refused)?;
    tracing::info!(
        "listening at {}; volumes are mounted below {}",
        settings.socket.display(),
        settings.runtime_dir.display()
    );
    let again = || match load() {
        Ok(loaded) => Some(loaded.open_again(&told, context)),
        Err(failure) => {
            report::tell(&failure.draw(context.style));
            tracing::error!("the configuration has mistakes; the one before it stays in force");
            None
        }
    };
    let plugin = Plugin {
        inherited: Inherited::of(matches),
        places,
        state,
        context,
    };
    let done = runtime::block_on(tasks::on_this_thread(plugin.serve(settings, bound, again)))?;
    drop((lock, mounts));
    done.map(|()| Exit::Done)
}

/// What the plugin starts with.
struct Plugin<'a> {
    inherited: Inherited,
    places: Places,
    state: State,
    context: &'a Context,
}

/// What the plugin waits for.
enum Event {
    Call(Call),
    News(News),
    Heard(Heard),
    Used(BTreeSet<String>),
    Reload,
    Tick,
}

impl Plugin<'_> {
    /// Serves the engine until somebody ends that. What is mounted stays: containers go on, and so does the next plugin.
    async fn serve(
        self,
        settings: PluginSettings,
        (socket, listener): (Socket, std::os::unix::net::UnixListener),
        mut again: impl FnMut() -> Option<PluginSettings>,
    ) -> Result<(), Failure> {
        let context = self.context;
        let trail = match &settings.audit {
            Some(target) => Some(Trail::open(target, &settings.state_dir).map_err(|error| {
                Failure::work(error.to_string())
                    .help("Name a file in a directory that the plugin may write to, or `journald`.")
            })?),
            None => None,
        };
        let mut signals = Signals::listen()?;
        let (to_news, mut news) = mpsc::unbounded_channel();
        let (to_used, mut used) = mpsc::unbounded_channel();
        let (to_heard, mut heard) = mpsc::unbounded_channel();
        let desk = Rc::new(Desk::new(
            context,
            self.inherited,
            &settings.state_dir,
            trail.clone(),
            settings.notify_timeout,
        ));
        let mut secrets = SecretDesk::new(context, settings.allow, settings.common, trail.clone(), to_heard);
        let machine = Machine::new(desk, self.places, to_news);
        let mut registry = Registry::recover(machine, self.state).await;
        let (server, mut calls) = plugin::serve(listener)
            .map_err(|error| Failure::work(format!("the engine cannot be served: {error}")))?;
        let engine = Rc::default();
        let mut looks = Looks::new(context.clock.monotonic());
        loop {
            let now = context.clock.monotonic();
            let pause = match registry.is_awaited() {
                true => TICK,
                false => looks.pause(now),
            };
            let pause = match registry.next_try() {
                Some(at) => pause.min(at.saturating_sub(now)),
                None => pause,
            };
            let event = tokio::select! {
                biased;
                order = signals.next() => match order {
                    Order::Stop => break,
                    Order::Reload | Order::Replan => Event::Reload,
                },
                Some(told) = news.recv() => Event::News(told),
                Some(told) = heard.recv() => Event::Heard(told),
                Some(names) = used.recv() => Event::Used(names),
                Some(call) = calls.recv() => Event::Call(call),
                () = tokio::time::sleep(pause) => Event::Tick,
            };
            match event {
                Event::Call(Call::Activate) => looks.alert(context.clock.monotonic()),
                Event::Call(Call::GetSecret { request, reply }) => secrets.get(request, reply),
                Event::Call(call) => answer(&mut registry, call).await,
                Event::News(News::Closed { run, health, missing }) => {
                    registry.closed(run, health, &missing).await;
                }
                Event::News(News::Ended { run, why }) => {
                    registry.host().ended(run);
                    registry.ended(run, &why).await;
                }
                Event::Heard(told) => secrets.heard(told),
                Event::Used(names) => {
                    registry.in_use(&names).await;
                    if registry.is_in_doubt_of(&names) {
                        looks.alert(context.clock.monotonic());
                    }
                }
                Event::Reload => {
                    tracing::info!("told to read the configuration again");
                    registry.host().reload();
                    registry.try_again();
                    if let Some(settings) = again() {
                        secrets.reload(settings.allow, settings.common);
                    }
                }
                Event::Tick => {
                    registry.tick().await;
                    if looks.is_due(context.clock.monotonic()) && registry.is_in_doubt() {
                        look::ask(&context.environment, &engine, to_used.clone());
                    }
                }
            }
        }
        tracing::info!("told to stop; what is mounted stays, and the next plugin goes on with it");
        // The engine waits at its next start for a socket that nobody listens on.
        drop(socket);
        drop(server);
        drop((registry, secrets));
        if let Some(trail) = trail {
            trail.flush(LAST_LINES).await;
        }
        Ok(())
    }
}

async fn answer(registry: &mut Registry<Machine>, call: Call) {
    match call {
        Call::Create { name, options, reply } => {
            let done = registry.create(&name, options).await;
            let _ = reply.send(done);
        }
        Call::Remove { name, reply } => registry.remove(&name, reply).await,
        Call::Mount { name, id, reply } => registry.mount(&name, id, reply).await,
        Call::Unmount { name, id, reply } => registry.unmount(&name, &id, reply).await,
        Call::Get { name, reply } => {
            let _ = reply.send(registry.get(&name));
        }
        Call::List { reply } => {
            let _ = reply.send(registry.list());
        }
        Call::Activate | Call::GetSecret { .. } => {}
    }
}
