//! Who has not answered yet: whoever waits for a first answer is told what it waits for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use locket_core::ProviderError;

/// How long an instance may fail before that is said. What a moment mends is not worth a word.
const PATIENCE: Duration = Duration::from_secs(2);

/// What was heard of each instance since the start.
#[derive(Debug, Default)]
pub(super) struct Silence(BTreeMap<Arc<str>, Heard>);

#[derive(Debug)]
enum Heard {
    /// Nothing that time would not better, since it was first asked then, on the monotonic clock.
    Nothing { since: Duration },
    /// The same, and it was said.
    Told,
    /// An answer. Later outages are told at the end of each round.
    Answer,
}

impl Silence {
    /// Takes note of a call to `instance` that began at `asked` and came back at `now`: with `error` where it gave nothing
    /// else. Whether it is time to say that nothing comes.
    pub(super) fn note(
        &mut self,
        instance: &Arc<str>,
        error: Option<&ProviderError>,
        asked: Duration,
        now: Duration,
    ) -> bool {
        let heard = self.0.entry(instance.clone());
        let heard = heard.or_insert(Heard::Nothing { since: asked });
        if error.is_none_or(|error| !error.kind.is_transient()) {
            *heard = Heard::Answer;
        }
        match heard {
            Heard::Nothing { since } if now.saturating_sub(*since) >= PATIENCE => {
                *heard = Heard::Told;
                true
            }
            Heard::Nothing { .. } | Heard::Told | Heard::Answer => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn an_instance_that_gives_nothing_at_first_is_spoken_of_once() {
        let mut silence = Silence::default();
        let (one, other): (Arc<str>, Arc<str>) = ("one".into(), "other".into());
        let down = ProviderError::unavailable("connection refused");
        let mut note = |name, error, at: u32| silence.note(name, error, SECOND * at, SECOND * at);
        assert!(!note(&one, Some(&down), 1));
        assert!(!note(&other, Some(&down), 2), "too early");
        assert!(!note(&one, Some(&down), 2), "too early");
        assert!(note(&one, Some(&down), 3));
        assert!(!note(&one, Some(&down), 9), "it was said");
        assert!(note(&other, Some(&down), 9), "each for itself");
    }

    #[test]
    fn whoever_answered_once_is_not_spoken_of() {
        let mut silence = Silence::default();
        let (one, other): (Arc<str>, Arc<str>) = ("one".into(), "other".into());
        let down = ProviderError::unavailable("connection refused");
        let denied = ProviderError::new(locket_core::ErrorKind::Denied, "no");
        assert!(!silence.note(&one, None, SECOND, SECOND));
        assert!(!silence.note(&other, Some(&denied), SECOND, SECOND));
        assert!(!silence.note(&one, Some(&down), SECOND, SECOND * 60));
        assert!(!silence.note(&other, Some(&down), SECOND, SECOND * 60));
    }

    #[test]
    fn a_first_call_that_hangs_counts_from_its_beginning() {
        let mut silence = Silence::default();
        let down = ProviderError::unavailable("no answer within 10s");
        assert!(silence.note(&"one".into(), Some(&down), SECOND, SECOND * 11));
    }
}
