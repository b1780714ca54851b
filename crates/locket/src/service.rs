//! What the service manager hears of an agent that stays: when it is ready, how it is, that it is alive. The manager's
//! protocol is `locket_sys::service`; what happens is the engine's.

use std::cell::{Cell, RefCell};
use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use locket_core::{Action, Diagnostic, Environment};
use locket_engine::agent::{Failing, Mode, Observer, Phase};
use locket_engine::state::{State, Status};
use locket_sys::service::{Manager, VARIABLES, Word};

/// An observer that tells the service manager, too.
pub(crate) struct Served<'a> {
    inner: &'a dyn Observer,
    manager: Option<Manager>,
    /// Whoever waits for this service waits no longer.
    is_ready: Cell<bool>,
    /// What was last said of how it is.
    said: RefCell<String>,
    /// Whether it was logged that the manager does not hear.
    is_unheard: Cell<bool>,
}

/// What the watchdog is fed in each of its intervals.
const PULSES: u32 = 2;

impl<'a> Served<'a> {
    /// `inner`, and the manager that `environment` names if the agent stays: one that ends is known by its end.
    pub(crate) fn new(inner: &'a dyn Observer, mode: Mode, environment: &Environment) -> Self {
        let named = || Manager::named(|name| environment.get_os(name).map(OsStr::to_owned));
        let manager = match mode {
            Mode::OneShot => Ok(None),
            Mode::Watch | Mode::Park | Mode::Repeat => named(),
        };
        let manager = manager.unwrap_or_else(|error| {
            tracing::warn!(
                "the service manager cannot be told anything: NOTIFY_SOCKET is of no use: {error}. A unit with \
                 `Type=notify` does not come up."
            );
            None
        });
        Self {
            inner,
            manager,
            is_ready: Cell::new(false),
            said: RefCell::default(),
            is_unheard: Cell::new(false),
        }
    }

    fn tell(&self, words: &[Word<'_>]) {
        let Some(manager) = &self.manager else { return };
        match manager.tell(words) {
            Ok(()) => self.is_unheard.set(false),
            Err(error) if !self.is_unheard.replace(true) => {
                tracing::warn!("the service manager cannot be told anything: {error}");
            }
            Err(_) => {}
        }
    }
}

impl Observer for Served<'_> {
    fn template(&self, name: &str, text: &[u8], found: &[Diagnostic]) {
        self.inner.template(name, text, found);
    }

    fn changed(&self, target: &Path, how: &'static str) {
        self.inner.changed(target, how);
    }

    fn failing(&self, failing: &Failing<'_>) {
        self.inner.failing(failing);
    }

    fn untold(&self, action: &Action, reason: &str) {
        self.inner.untold(action, reason);
    }

    fn phase(&self, phase: Phase, status: &Status) {
        self.inner.phase(phase, status);
        let line = line(phase, status);
        let is_news = *self.said.borrow() != line;
        let said = Word::Status(&line);
        match phase {
            Phase::Reloading => self.tell(&[Word::Reloading, said]),
            Phase::Stopping => self.tell(&[Word::Stopping, said]),
            // Whoever is ordered after this service finds its secrets. Ready once is ready for good, since a reload ends
            // with the word, too.
            Phase::Staying if self.is_ready.get() || is_in_place(status) => {
                if !self.is_ready.replace(true) || is_news {
                    self.tell(&[Word::Ready, said]);
                }
            }
            Phase::Starting | Phase::Staying if is_news => self.tell(&[said]),
            Phase::Starting | Phase::Staying => {}
        }
        self.said.replace(line);
    }

    fn pulse_interval(&self) -> Option<Duration> {
        let watchdog = self.manager.as_ref().and_then(Manager::watchdog);
        watchdog
            .map(|interval| interval / PULSES)
            .or_else(|| self.inner.pulse_interval())
    }

    fn pulse(&self) {
        self.inner.pulse();
        self.tell(&[Word::Alive]);
    }
}

/// The environment of programs that an agent starts: what its manager said to it is not said to them.
pub(crate) fn without_manager(environment: &Environment) -> Environment {
    let is_the_managers = |name: &OsStr| VARIABLES.iter().any(|variable| name == *variable);
    environment
        .iter()
        .filter(|(name, _)| !is_the_managers(name))
        .collect()
}

fn is_in_place(status: &Status) -> bool {
    match status.state {
        State::Ready | State::Stale | State::Done => true,
        State::Starting | State::Failed => false,
    }
}

/// How the agent is, as `systemctl status` shows it.
fn line(phase: Phase, status: &Status) -> String {
    match phase {
        Phase::Starting => return "reading the secrets for the first time".to_owned(),
        Phase::Reloading => return "reading the configuration and the secrets again".to_owned(),
        Phase::Stopping => return "stopping".to_owned(),
        Phase::Staying => {}
    }
    let outputs = match status.outputs {
        1 => "1 output".to_owned(),
        count => format!("{count} outputs"),
    };
    let Some(first) = status.failing.first() else {
        return format!("{outputs} in place and confirmed");
    };
    let about = first.reference.as_deref().unwrap_or("the agent");
    let others = match status.failing.len() - 1 {
        0 => String::new(),
        count => format!(" (and {count} more)"),
    };
    let how = match is_in_place(status) {
        true => "in place, some unconfirmed",
        false => "wanted, some not in place",
    };
    format!("{outputs}, {how}: {about}: {}{others}", first.reason)
}

#[cfg(test)]
mod tests {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    use super::*;

    struct Silent;

    impl Observer for Silent {
        fn template(&self, _: &str, _: &[u8], _: &[Diagnostic]) {}
    }

    /// A manager that listens under a name of its own.
    struct Listener {
        socket: UnixDatagram,
        environment: Environment,
    }

    impl Listener {
        fn new(name: &str) -> Self {
            let name = format!("locket-served-{name}-{}", std::process::id());
            let address = SocketAddr::from_abstract_name(&name).unwrap();
            let socket = UnixDatagram::bind_addr(&address).unwrap();
            socket.set_nonblocking(true).unwrap();
            let named = format!("@{name}");
            let environment = [("NOTIFY_SOCKET", named.as_str()), ("WATCHDOG_USEC", "60000000")];
            Self {
                socket,
                environment: environment.into_iter().collect(),
            }
        }

        /// The messages since the last time, with what tells the time left out.
        fn heard(&self) -> Vec<String> {
            let mut messages = Vec::new();
            let mut buffer = [0; 4096];
            while let Ok(length) = self.socket.recv(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                let lines = text.lines().filter(|line| !line.starts_with("MONOTONIC_USEC="));
                messages.push(lines.collect::<Vec<_>>().join("|"));
            }
            messages
        }
    }

    fn status(state: State, failing: &[&str]) -> Status {
        Status {
            state,
            pid: 1,
            started: 0,
            last_success: None,
            outputs: 2,
            failing: failing
                .iter()
                .map(|reference| locket_engine::state::Failing {
                    target: "/run/x".into(),
                    reference: Some((*reference).to_owned()),
                    reason: "no such secret".to_owned(),
                    last_success: None,
                })
                .collect(),
        }
    }

    #[test]
    fn ready_is_said_when_every_secret_is_in_place_and_not_before() {
        let listener = Listener::new("ready");
        let served = Served::new(&Silent, Mode::Watch, &listener.environment);
        served.phase(Phase::Starting, &status(State::Starting, &[]));
        served.phase(Phase::Staying, &status(State::Failed, &["env://A", "env://B"]));
        served.phase(Phase::Staying, &status(State::Failed, &["env://A", "env://B"]));
        assert_eq!(
            listener.heard(),
            [
                "STATUS=reading the secrets for the first time",
                "STATUS=2 outputs, wanted, some not in place: env://A: no such secret (and 1 more)",
            ]
        );
        served.phase(Phase::Staying, &status(State::Ready, &[]));
        served.phase(Phase::Staying, &status(State::Ready, &[]));
        served.phase(Phase::Staying, &status(State::Stale, &["env://A"]));
        assert_eq!(
            listener.heard(),
            [
                "READY=1|STATUS=2 outputs in place and confirmed",
                "READY=1|STATUS=2 outputs, in place, some unconfirmed: env://A: no such secret",
            ]
        );
    }

    #[test]
    fn a_reload_ends_with_the_word_ready_whatever_it_found() {
        let listener = Listener::new("reload");
        let served = Served::new(&Silent, Mode::Park, &listener.environment);
        served.phase(Phase::Staying, &status(State::Ready, &[]));
        for found in [
            status(State::Ready, &[]),
            status(State::Failed, &["env://A"]),
            status(State::Failed, &["env://A"]),
        ] {
            listener.heard();
            served.phase(Phase::Reloading, &status(State::Ready, &[]));
            served.phase(Phase::Staying, &found);
            let heard = listener.heard();
            assert!(heard[0].starts_with("RELOADING=1|STATUS="), "{heard:?}");
            assert!(heard[1].starts_with("READY=1|"), "{heard:?}");
        }
        served.phase(Phase::Stopping, &status(State::Ready, &[]));
        assert_eq!(listener.heard(), ["STOPPING=1|STATUS=stopping"]);
    }

    #[test]
    fn a_pulse_feeds_the_watchdog_twice_in_its_interval() {
        let listener = Listener::new("pulse");
        let served = Served::new(&Silent, Mode::Repeat, &listener.environment);
        assert_eq!(served.pulse_interval(), Some(Duration::from_secs(30)));
        served.pulse();
        assert_eq!(listener.heard(), ["WATCHDOG=1"]);
    }

    #[test]
    fn an_agent_that_ends_by_itself_tells_no_manager() {
        let listener = Listener::new("once");
        let served = Served::new(&Silent, Mode::OneShot, &listener.environment);
        served.phase(Phase::Staying, &status(State::Done, &[]));
        assert!(listener.heard().is_empty());
        assert_eq!(served.pulse_interval(), None);
        let staying = Served::new(&Silent, Mode::Watch, &listener.environment);
        staying.phase(Phase::Staying, &status(State::Ready, &[]));
        assert_eq!(listener.heard().len(), 1, "one that stays does");
    }

    #[test]
    fn programs_do_not_hear_what_the_manager_said_to_the_agent() {
        let environment: Environment = [("NOTIFY_SOCKET", "@x"), ("WATCHDOG_USEC", "1"), ("PATH", "/bin")]
            .into_iter()
            .collect();
        let names: Vec<_> = without_manager(&environment)
            .names()
            .map(OsStr::to_owned)
            .collect();
        assert_eq!(names, ["PATH"]);
    }
}
