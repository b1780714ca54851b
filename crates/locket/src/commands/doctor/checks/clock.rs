//! Whether the clock can be right: certificates, tokens and one-time codes depend on it.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::super::finding::{Check, Finding, Scene};

pub(super) const CHECK: Check = Check { name: "clock", look };

/// The beginning of 2025, in seconds since 1970: no clock that is right is behind it.
const EARLIEST: Duration = Duration::from_secs(1_735_689_600);

/// There while systemd-timesyncd has set the clock since the boot.
const SYNCHRONIZED: &str = "/run/systemd/timesync/synchronized";

fn look(scene: &Scene<'_>) -> Vec<Finding> {
    vec![judge(
        scene.context.clock.wall(),
        Path::new(SYNCHRONIZED).exists(),
    )]
}

fn judge(now: SystemTime, is_synchronized: bool) -> Finding {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    if since < EARLIEST {
        return Finding::bad(
            format!(
                "it says {}, which is past",
                humantime::format_rfc3339_seconds(now)
            ),
            "Set the clock: certificates and tokens are judged by it, and one-time codes are made from it.",
        );
    }
    let shown = humantime::format_rfc3339_seconds(now);
    match is_synchronized {
        true => Finding::good(format!("{shown}, set by systemd-timesyncd")),
        false => Finding::good(format!("{shown}; whether it is synchronised is not to be seen")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::finding::Health;
    use super::*;

    #[test]
    fn a_clock_that_stands_in_the_past_is_bad() {
        assert_eq!(judge(UNIX_EPOCH, true).state, Health::Bad);
        assert_eq!(judge(UNIX_EPOCH + EARLIEST, false).state, Health::Good);
    }
}
