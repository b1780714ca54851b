//! Listens to the agent's log: every line is searched for values, every write is judged as it happens, and every
//! line is a place where the agent can be killed.

use std::fmt::{self, Write};
use std::path::PathBuf;

use data_encoding::{BASE64_NOPAD, HEXLOWER};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use super::invariant::Invariant;
use super::snapshot::Snapshot;
use super::text::MARK;
use super::world::{Fuse, Shared, World, lock};

/// What unwinds through an agent that is killed.
#[derive(Debug)]
struct Killed;

/// The listener.
pub(super) struct Watchman(pub(super) Shared);

#[derive(Default)]
struct Line {
    text: String,
    phase: Option<String>,
    target: Option<PathBuf>,
}

impl<S: Subscriber> Layer<S> for Watchman {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        // What destructors say while a kill unwinds is not said by a killed process.
        if std::thread::panicking() {
            return;
        }
        let mut line = Line::default();
        event.record(&mut line);
        let mut world = lock(&self.0);
        if !world.is_dead {
            world.hear(&line);
            match world.fuse {
                Some(Fuse::Words(0)) => {
                    world.trace(&format!("killed at: {}", line.text));
                    world.kill();
                }
                Some(Fuse::Words(left)) => world.fuse = Some(Fuse::Words(left - 1)),
                _ => {}
            }
        }
        if world.is_dead {
            drop(world);
            std::panic::resume_unwind(Box::new(Killed));
        }
    }
}

impl World {
    fn hear(&mut self, line: &Line) {
        if let Some(form) = leaks(line.text.as_bytes()) {
            self.fail(Invariant::Canary, format!("{form} in the log: {}", line.text));
        }
        self.log.push_str(&line.text);
        self.log.push('\n');
        if let (Some(phase), Some(target)) = (&line.phase, &line.target) {
            self.on_phase(phase, target);
        }
    }

    /// The agent's process is no more: from here on nothing that it does counts.
    pub(super) fn kill(&mut self) {
        self.remains = Some(Snapshot::take(&self.written_by_agent()));
        self.is_dead = true;
    }

    /// The places that the agent writes to.
    pub(super) fn written_by_agent(&self) -> Vec<PathBuf> {
        ["out", "state", "status"]
            .map(|name| self.root.join(name))
            .to_vec()
    }
}

/// In which form a value is in `bytes`, if one is.
pub(super) fn leaks(bytes: &[u8]) -> Option<&'static str> {
    use std::sync::OnceLock;
    static NEEDLES: OnceLock<Vec<(&str, Vec<u8>)>> = OnceLock::new();
    let needles = NEEDLES.get_or_init(|| {
        let mut needles = vec![
            ("a value", MARK.as_bytes().to_vec()),
            ("a value in hex", HEXLOWER.encode(MARK.as_bytes()).into_bytes()),
        ];
        // Base64 depends on where in a group of three the value begins; the groups it shares are left out.
        for offset in 0..3 {
            let padded = [&b"\0\0"[..offset], MARK.as_bytes()].concat();
            let encoded = BASE64_NOPAD.encode(&padded);
            needles.push((
                "a value in base64",
                encoded.as_bytes()[4..encoded.len() - 4].to_vec(),
            ));
        }
        let numbers: Vec<_> = MARK.bytes().map(|byte| byte.to_string()).collect();
        needles.push(("a value in numbers", numbers.join(", ").into_bytes()));
        needles
    });
    needles
        .iter()
        .find(|(_, needle)| bytes.windows(needle.len()).any(|window| window == needle))
        .map(|(form, _)| *form)
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string cannot fail.
        let _ = write!(self.text, "{}={value:?} ", field.name());
        if field.name() == "target" {
            self.target = Some(format!("{value:?}").into());
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let _ = write!(self.text, "{}={value} ", field.name());
        if field.name() == "phase" {
            self.phase = Some(value.to_owned());
        }
    }
}
