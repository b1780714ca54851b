//! Where the container engine is: what the environment says, else the sockets where Docker and Podman listen.

use std::path::{Path, PathBuf};

use locket_core::Environment;

/// Where an engine listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A socket of this machine.
    Socket(PathBuf),
    /// A host and port.
    Tcp {
        /// `HOST:PORT`.
        address: String,
        /// The files for TLS; plain without them.
        tls: Option<Tls>,
    },
    /// The program `podman`, where no engine listens.
    Podman,
}

/// The files with which an engine and its client know each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Certificates of those that the engine's is issued by.
    pub ca: PathBuf,
    /// The client's certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// Docker's plain and TLS ports.
const PORTS: (u16, u16) = (2375, 2376);

impl Endpoint {
    /// The engine that `environment` names, else the first that listens at one of the usual places.
    ///
    /// # Errors
    /// The environment names one that cannot be used, or there is none; with what to do.
    pub fn find(environment: &Environment) -> Result<Self, String> {
        Self::find_below(environment, Path::new("/"))
    }

    fn find_below(environment: &Environment, root: &Path) -> Result<Self, String> {
        let given = |name| environment.get(name).filter(|text| !text.is_empty());
        if let Some(host) = given("DOCKER_HOST") {
            return Self::parse("DOCKER_HOST", host, environment);
        }
        if let Some(host) = given("CONTAINER_HOST") {
            return Self::parse("CONTAINER_HOST", host, environment);
        }
        let of_user = given("XDG_RUNTIME_DIR").map(|runtime| runtime.trim_start_matches('/'));
        let below_user = |name: &str| of_user.map(|runtime| format!("{runtime}/{name}"));
        let usual = [
            Some("var/run/docker.sock".to_owned()),
            below_user("docker.sock"),
            Some("run/podman/podman.sock".to_owned()),
            below_user("podman/podman.sock"),
        ];
        let found = usual
            .into_iter()
            .flatten()
            .map(|path| root.join(path))
            .find(|path| path.exists());
        if let Some(socket) = found {
            return Ok(Self::Socket(socket));
        }
        let programs = given("PATH").into_iter().flat_map(|path| path.split(':'));
        let has_podman = programs
            .map(|directory| root.join(directory.trim_start_matches('/')).join("podman"))
            .any(|program| program.is_file());
        match has_podman {
            true => Ok(Self::Podman),
            false => Err(
                "there is no container engine: neither Docker nor Podman listens at the usual places. Mount its \
                 socket, or set DOCKER_HOST"
                    .to_owned(),
            ),
        }
    }

    fn parse(variable: &str, host: &str, environment: &Environment) -> Result<Self, String> {
        let (scheme, rest) = host.split_once("://").unwrap_or(("tcp", host));
        match scheme {
            "unix" => Ok(Self::Socket(rest.into())),
            "tcp" | "http" | "https" => {
                let given = |name| environment.get(name).filter(|text| !text.is_empty());
                let is_secure = scheme == "https"
                    || given("DOCKER_TLS_VERIFY").is_some()
                    || given("DOCKER_TLS").is_some();
                let directory = given("DOCKER_CERT_PATH").map(PathBuf::from);
                let directory =
                    directory.or_else(|| given("HOME").map(|home| Path::new(home).join(".docker")));
                let tls = match (is_secure, directory) {
                    (false, _) => None,
                    (true, Some(directory)) => Some(Tls {
                        ca: directory.join("ca.pem"),
                        certificate: directory.join("cert.pem"),
                        key: directory.join("key.pem"),
                    }),
                    (true, None) => {
                        return Err(format!(
                            "{variable} asks for TLS and no directory holds its files: set DOCKER_CERT_PATH"
                        ));
                    }
                };
                let rest = rest.trim_end_matches('/');
                let has_port = rest
                    .rsplit_once(':')
                    .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
                let port = if tls.is_some() { PORTS.1 } else { PORTS.0 };
                let address = match has_port {
                    true => rest.to_owned(),
                    false => format!("{rest}:{port}"),
                };
                Ok(Self::Tcp { address, tls })
            }
            _ => Err(format!(
                "{variable} names an engine by `{scheme}://`, which is not supported: use `unix://` or `tcp://`"
            )),
        }
    }

    /// Files that are read each time that a connection is made.
    pub fn files(&self) -> Vec<PathBuf> {
        match self {
            Self::Tcp { tls: Some(tls), .. } => {
                vec![tls.ca.clone(), tls.certificate.clone(), tls.key.clone()]
            }
            _ => Vec::new(),
        }
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "the container engine at {}", path.display()),
            Self::Tcp { address, .. } => write!(f, "the container engine at {address}"),
            Self::Podman => f.write_str("podman"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(variables: &[(&str, &str)], files: &[&str]) -> Result<Endpoint, String> {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            let path = root.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let found = Endpoint::find_below(&variables.iter().copied().collect(), root.path());
        found.map(|endpoint| match endpoint {
            Endpoint::Socket(path) => match path.strip_prefix(root.path()) {
                Ok(inside) => Endpoint::Socket(inside.to_owned()),
                Err(_) => Endpoint::Socket(path),
            },
            other => other,
        })
    }

    fn socket(path: &str) -> Result<Endpoint, String> {
        Ok(Endpoint::Socket(path.into()))
    }

    #[test]
    fn docker_comes_before_podman_and_what_is_named_before_both() {
        let both = &["var/run/docker.sock", "run/podman/podman.sock"];
        assert_eq!(find(&[], both), socket("var/run/docker.sock"));
        assert_eq!(find(&[], &both[1..]), socket("run/podman/podman.sock"));
        assert_eq!(
            find(&[("DOCKER_HOST", "unix:///x.sock")], both),
            socket("/x.sock")
        );
        assert_eq!(
            find(&[("CONTAINER_HOST", "unix:///p.sock")], both),
            socket("/p.sock")
        );
        let user = ("XDG_RUNTIME_DIR", "/run/user/7");
        assert_eq!(
            find(&[user], &["run/user/7/podman/podman.sock"]),
            socket("run/user/7/podman/podman.sock")
        );
        assert_eq!(
            find(&[("PATH", "/usr/bin")], &["usr/bin/podman"]),
            Ok(Endpoint::Podman)
        );
        assert!(find(&[], &[]).unwrap_err().contains("DOCKER_HOST"));
    }

    #[test]
    fn an_engine_elsewhere_has_a_port_and_files_for_tls() {
        let tcp = |variables: &[(&str, &str)]| match find(variables, &[]).unwrap() {
            Endpoint::Tcp { address, tls } => (address, tls.map(|tls| tls.ca.display().to_string())),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            tcp(&[("DOCKER_HOST", "tcp://docker")]),
            ("docker:2375".into(), None)
        );
        let secure = [
            ("DOCKER_HOST", "tcp://d:9"),
            ("DOCKER_TLS_VERIFY", "1"),
            ("DOCKER_CERT_PATH", "/c"),
        ];
        assert_eq!(tcp(&secure), ("d:9".into(), Some("/c/ca.pem".into())));
        let home = [
            ("DOCKER_HOST", "tcp://d"),
            ("DOCKER_TLS_VERIFY", "1"),
            ("HOME", "/h"),
        ];
        assert_eq!(tcp(&home), ("d:2376".into(), Some("/h/.docker/ca.pem".into())));
        assert!(
            find(&[("DOCKER_HOST", "ssh://me@d")], &[])
                .unwrap_err()
                .contains("`ssh://`")
        );
    }
}
