//! Whether Docker and Compose are there, which `init`, `migrate` and `rotate` ask about projects.

use std::time::Duration;

use locket_core::Environment;

use super::super::super::limited;
use super::super::finding::{Check, Finding, Scene};

pub(super) const CHECK: Check = Check { name: "docker", look };

/// Before this release Compose removes no variable that an override takes away (`!reset`).
const OLDEST: (u32, u32) = (2, 24);

fn look(scene: &Scene<'_>) -> Vec<Finding> {
    vec![judge(&ask(&scene.context.environment, limited::VERSION_LIMIT))]
}

/// What came of asking for the version.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    /// This one.
    Version(String),
    /// There is nobody to ask.
    Absent,
    /// Nothing within this time.
    Silence(Duration),
}

fn ask(environment: &Environment, limit: Duration) -> Asked {
    match limited::compose_version(environment, limit) {
        Ok(Some(answer)) if answer.status.success() => {
            Asked::Version(String::from_utf8_lossy(&answer.stdout).trim().to_owned())
        }
        Ok(None) => Asked::Silence(limit),
        _ => Asked::Absent,
    }
}

fn judge(asked: &Asked) -> Finding {
    let version = match asked {
        Asked::Version(version) => version,
        Asked::Absent => {
            return Finding::weak(
                "there is no Docker Compose: nobody checks what `init` writes, and `rotate` reaches no service",
                "Install Docker with its Compose plugin where projects run.",
            );
        }
        Asked::Silence(limit) => {
            return Finding::weak(
                format!(
                    "`docker compose version` did not answer within {}",
                    humantime::format_duration(*limit)
                ),
                "Run it by hand: what holds it up holds `init`, `migrate`, `rotate` and `build` up, too.",
            );
        }
    };
    let mut numbers = version
        .trim_start_matches('v')
        .split(['.', '-'])
        .map(|number| number.parse().unwrap_or(0));
    let (major, minor) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    match (major, minor) < OLDEST {
        true => Finding::weak(
            format!("Docker Compose {version} keeps variables that the override of `init` takes away"),
            format!("Install {}.{} or newer.", OLDEST.0, OLDEST.1),
        ),
        false => Finding::good(format!("Docker Compose {version}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::finding::Health;
    use super::*;

    #[test]
    fn an_old_compose_or_none_is_weak() {
        for (version, state) in [
            ("2.40.3-3", Health::Good),
            ("v2.24.0", Health::Good),
            ("5.1.0", Health::Good),
            ("2.23.3", Health::Weak),
            ("1.29.2", Health::Weak),
        ] {
            assert_eq!(
                judge(&Asked::Version(version.to_owned())).state,
                state,
                "{version:?}"
            );
        }
        assert_eq!(judge(&Asked::Absent).state, Health::Weak);
    }

    #[test]
    fn a_docker_that_never_answers_is_told_of_and_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let environment: Environment = [("PATH", directory.path().to_str().unwrap())]
            .into_iter()
            .collect();
        let limit = Duration::from_millis(50);
        assert_eq!(ask(&environment, Duration::from_secs(60)), Asked::Absent);
        // It reads from a pipe that nobody writes to. Another process makes it: what this one has open for writing may be
        // open in a child of another test, too, and is then not run.
        let made = std::process::Command::new("sh")
            .args([
                "-c",
                "mkfifo pipe; printf '#!/bin/sh\\nread line <%s/pipe\\n' \"$PWD\" >docker; chmod 700 docker",
            ])
            .current_dir(directory.path())
            .status();
        assert!(made.unwrap().success());
        assert_eq!(ask(&environment, limit), Asked::Silence(limit));
        let finding = judge(&Asked::Silence(limit));
        assert_eq!(finding.state, Health::Weak);
        assert!(
            finding.told.contains("did not answer within 50ms"),
            "{}",
            finding.told
        );
    }
}
