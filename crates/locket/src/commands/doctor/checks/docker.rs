//! Whether Docker and Compose are there, which `init`, `migrate` and `rotate` ask about projects.

use std::process::{Command, Stdio};

use super::super::finding::{Check, Finding, Scene};

pub(super) const CHECK: Check = Check { name: "docker", look };

/// Before this release Compose removes no variable that an override takes away (`!reset`).
const OLDEST: (u32, u32) = (2, 24);

fn look(scene: &Scene<'_>) -> Vec<Finding> {
    let asked = Command::new("docker")
        .args(["compose", "version", "--short"])
        .env_clear()
        .envs(scene.context.environment.iter())
        .stdin(Stdio::null())
        .output();
    let told = match &asked {
        Ok(answer) if answer.status.success() => {
            Some(String::from_utf8_lossy(&answer.stdout).trim().to_owned())
        }
        _ => None,
    };
    vec![judge(told.as_deref())]
}

fn judge(version: Option<&str>) -> Finding {
    let Some(version) = version else {
        return Finding::weak(
            "there is no Docker Compose: nobody checks what `init` writes, and `rotate` reaches no service",
            "Install Docker with its Compose plugin where projects run.",
        );
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
            (Some("2.40.3-3"), Health::Good),
            (Some("v2.24.0"), Health::Good),
            (Some("5.1.0"), Health::Good),
            (Some("2.23.3"), Health::Weak),
            (Some("1.29.2"), Health::Weak),
            (None, Health::Weak),
        ] {
            assert_eq!(judge(version).state, state, "{version:?}");
        }
    }
}
