//! Everything that `tracing` carries, at every level, so that a test can search it for what must not be logged.

use std::fmt::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry;

/// The log of the current thread, or of the whole process, from its start to its end.
pub struct Capture {
    text: Text,
    _thread: Option<DefaultGuard>,
}

type Text = Arc<Mutex<String>>;

struct Collector(Text);

struct Fields<'a>(&'a mut String);

impl Capture {
    /// Collects what this thread logs until the capture is dropped: enough for a runtime of the current thread.
    pub fn of_this_thread() -> Self {
        let text = Text::default();
        let collector = Collector(Arc::clone(&text));
        let guard = tracing::subscriber::set_default(registry().with(collector));
        Self {
            text,
            _thread: Some(guard),
        }
    }

    /// Collects what all threads log until the process ends; every caller sees the same text.
    ///
    /// # Panics
    /// Something else collects already.
    pub fn of_this_process() -> Self {
        static PROCESS: OnceLock<Text> = OnceLock::new();
        let text = PROCESS.get_or_init(|| {
            let text = Text::default();
            let collector = Collector(Arc::clone(&text));
            tracing::subscriber::set_global_default(registry().with(collector))
                .expect("nothing else collects the log of this process");
            text
        });
        Self {
            text: Arc::clone(text),
            _thread: None,
        }
    }

    /// What was logged so far: a line for each event, new span and recorded value.
    pub fn text(&self) -> String {
        lock(&self.text).clone()
    }
}

impl fmt::Debug for Capture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Capture").finish_non_exhaustive()
    }
}

impl Collector {
    fn line(&self, what: &str, metadata: Option<&Metadata<'_>>, record: impl FnOnce(&mut Fields<'_>)) {
        // Formatted first: a value's own Debug may log.
        let mut line = what.to_owned();
        if let Some(metadata) = metadata {
            // Writing to a string cannot fail.
            let _ = write!(
                line,
                " {} {} {}",
                metadata.level(),
                metadata.target(),
                metadata.name()
            );
        }
        record(&mut Fields(&mut line));
        line.push('\n');
        lock(&self.0).push_str(&line);
    }
}

impl<S: Subscriber> Layer<S> for Collector {
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        self.line("span", Some(attributes.metadata()), |fields| {
            attributes.record(fields);
        });
    }

    fn on_record(&self, _: &Id, values: &Record<'_>, _: Context<'_, S>) {
        self.line("record", None, |fields| values.record(fields));
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.line("event", Some(event.metadata()), |fields| event.record(fields));
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = write!(self.0, " {}={value:?}", field.name());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let _ = write!(self.0, " {}={value}", field.name());
    }
}

fn lock(text: &Text) -> MutexGuard<'_, String> {
    text.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canary::Canary;

    #[test]
    fn every_way_to_log_is_collected_down_to_trace() {
        let capture = Capture::of_this_thread();
        let canaries: Vec<_> = (0..6)
            .map(|number| Canary::awkward(&number.to_string()))
            .collect();
        let [one, two, three, four, five, six] = canaries.as_slice() else {
            unreachable!("there are six")
        };
        tracing::trace!("in the message: {}", one.as_str());
        tracing::debug!(field = two.as_str());
        tracing::info!(field = ?three.as_str());
        tracing::warn!(field = four.bytes());
        let entered = tracing::trace_span!("a span", field = five.as_str(), later = tracing::field::Empty);
        entered.record("later", six.as_str());
        let text = capture.text();
        for canary in &canaries {
            assert!(canary.find(&text).is_some(), "{canary:?} in\n{text}");
        }
        assert_eq!(Canary::text("never logged").find(&text), None);
    }

    #[test]
    fn a_capture_ends_with_its_owner_and_minds_its_thread() {
        let capture = Capture::of_this_thread();
        std::thread::scope(|scope| {
            scope.spawn(|| tracing::error!("elsewhere"));
        });
        tracing::error!("here");
        assert!(capture.text().contains("here"));
        assert!(!capture.text().contains("elsewhere"));
        drop(capture);
        let next = Capture::of_this_thread();
        assert_eq!(next.text(), "");
    }
}
