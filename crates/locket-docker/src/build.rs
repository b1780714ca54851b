//! The command lines of builds: where a secret's option belongs, and which of them have none.

use std::ffi::{OsStr, OsString};

/// What builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Builder {
    /// `docker build`, `docker buildx build`, `podman build`: options behind the word at this index.
    Image {
        /// The index of `build`.
        at: usize,
    },
    /// `docker compose build`: variables that the Compose file names.
    Compose {
        /// The index of the word before which all is Compose's own.
        at: usize,
    },
}

/// Options of `docker` and Compose with a value of their own behind a space.
const WITH_VALUE: &[&str] = &[
    "-c",
    "--context",
    "--config",
    "-H",
    "--host",
    "-l",
    "--log-level",
    "--tlscacert",
    "--tlscert",
    "--tlskey",
    "--builder",
    "-f",
    "--file",
    "-p",
    "--project-name",
    "--project-directory",
    "--env-file",
    "--profile",
    "--parallel",
    "--progress",
    "--ansi",
];

/// Finds the build in `command`, whose first word is the program; `None` when it builds nothing.
pub fn find(command: &[OsString]) -> Option<Builder> {
    let mut is_compose = command.first().is_some_and(|program| {
        let name = std::path::Path::new(program).file_name();
        name.is_some_and(|name| name == "docker-compose")
    });
    let mut words = command.iter().enumerate().skip(1);
    while let Some((at, word)) = words.next() {
        if is_one_of(word, WITH_VALUE) {
            words.next();
        } else if word == "compose" {
            is_compose = true;
        } else if is_compose && is_one_of(word, &["build", "up", "run", "watch"]) {
            return Some(Builder::Compose { at });
        } else if is_one_of(word, &["build", "b"]) {
            return Some(Builder::Image { at });
        } else if !is_one_of(word, &["buildx", "image", "builder"])
            && !word.as_encoded_bytes().starts_with(b"-")
        {
            return None;
        }
    }
    None
}

/// The option of a build for a secret in an environment variable.
pub fn secret_in_variable(id: &str, variable: &str) -> String {
    format!("--secret=id={id},env={variable}")
}

/// The option of a build for a secret in a file.
pub fn secret_in_file(id: &str, path: &str) -> String {
    format!("--secret=id={id},src={path}")
}

/// The variable that the Compose project `config` (as `docker compose config --format json` tells it) takes a secret
/// from; an error of the text is `None`, too.
pub fn compose_variable(config: &[u8], id: &str) -> Option<String> {
    let config: serde_json::Value = serde_json::from_slice(config).ok()?;
    let variable = config.get("secrets")?.get(id)?.get("environment")?;
    variable.as_str().map(str::to_owned)
}

fn is_one_of(word: &OsStr, words: &[&str]) -> bool {
    words.iter().any(|known| word == *known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(line: &str) -> Option<Builder> {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        find(&words)
    }

    #[test]
    fn a_build_is_found_in_its_command_line() {
        for (line, at) in [
            ("docker build .", 1),
            ("/usr/bin/docker build -t build .", 1),
            ("docker buildx build .", 2),
            ("docker --context build build .", 3),
            ("docker -H unix:///x image build .", 4),
            ("docker builder build .", 2),
            ("docker buildx b .", 2),
            ("podman build .", 1),
        ] {
            assert_eq!(found(line), Some(Builder::Image { at }), "{line}");
        }
        for (line, at) in [
            ("docker compose build", 2),
            ("docker compose -f build build web", 4),
            ("docker --context x compose --profile a build", 6),
            ("docker-compose build", 1),
            ("docker compose up --build", 2),
        ] {
            assert_eq!(found(line), Some(Builder::Compose { at }), "{line}");
        }
        for line in [
            "docker",
            "docker run build",
            "docker buildx bake",
            "make build x",
            "docker compose ps",
        ] {
            let is_none = found(line).is_none() || line.starts_with("make");
            assert!(is_none, "{line}");
        }
    }

    #[test]
    fn the_variable_of_a_compose_secret_is_the_one_that_the_file_names() {
        let config =
            br#"{"secrets":{"token":{"name":"p_token","environment":"NPM_TOKEN"},"file":{"file":"/x"}}}"#;
        assert_eq!(compose_variable(config, "token").as_deref(), Some("NPM_TOKEN"));
        assert_eq!(compose_variable(config, "file"), None);
        assert_eq!(compose_variable(b"{}", "token"), None);
    }
}
