//! A project to begin with, for a directory that has none.

use std::fmt::Write;

use super::override_file::quoted;
use crate::images;

/// What is begun with when nobody says otherwise.
pub const DEFAULT_PROGRAMS: &[&str] = &["postgres", "redis", "grafana"];

/// A program that a project can begin with.
struct Program {
    name: &'static str,
    image: &'static str,
    environment: &'static [(&'static str, &'static str)],
    volume: Option<&'static str>,
}

const PROGRAMS: &[Program] = &[
    Program {
        name: "postgres",
        image: "postgres:17-alpine",
        environment: &[
            ("POSTGRES_USER", "${POSTGRES_USER:-app}"),
            ("POSTGRES_DB", "${POSTGRES_DB:-app}"),
        ],
        volume: Some("/var/lib/postgresql/data"),
    },
    Program {
        name: "mariadb",
        image: "mariadb:11.4",
        environment: &[
            ("MARIADB_USER", "${MARIADB_USER:-app}"),
            ("MARIADB_DATABASE", "${MARIADB_DATABASE:-app}"),
        ],
        volume: Some("/var/lib/mysql"),
    },
    Program {
        name: "redis",
        image: "redis:7-alpine",
        environment: &[],
        volume: Some("/data"),
    },
    Program {
        name: "mongo",
        image: "mongo:8.0",
        environment: &[("MONGO_INITDB_ROOT_USERNAME", "${MONGO_USER:-app}")],
        volume: Some("/data/db"),
    },
    Program {
        name: "grafana",
        image: "grafana/grafana:12.1.0",
        environment: &[("GF_SECURITY_ADMIN_USER", "${GRAFANA_USER:-admin}")],
        volume: Some("/var/lib/grafana"),
    },
];

/// The names of all programs that a project can begin with.
pub fn programs() -> impl Iterator<Item = &'static str> {
    PROGRAMS.iter().map(|program| program.name)
}

/// A Compose file with the programs of these names, and no secret in it.
pub fn starter(names: &[String]) -> String {
    let mut text = "services:\n".to_owned();
    let mut volumes = String::new();
    for program in PROGRAMS
        .iter()
        .filter(|program| names.iter().any(|name| name == program.name))
    {
        let name = program.name;
        let _ = write!(
            text,
            "  {name}:\n    image: {}\n    restart: unless-stopped\n",
            program.image
        );
        if !program.environment.is_empty() {
            text.push_str("    environment:\n");
        }
        for (variable, value) in program.environment {
            let _ = writeln!(text, "      {variable}: {value}");
        }
        if let Some(path) = program.volume {
            let _ = write!(text, "    volumes:\n      - {name}-data:{path}\n");
            let _ = writeln!(volumes, "  {name}-data:");
        }
        let image = images::find(program.image);
        if let Some(health) = image.and_then(|image| image.health.as_ref()) {
            let secret = image.and_then(|image| image.secrets.first()?.secret.as_deref());
            let quoted = quoted(&health.replace("{secret}", secret.unwrap_or_default()));
            let _ = write!(
                text,
                "    healthcheck:\n      test: [\"CMD-SHELL\", {quoted}]\n      interval: 10s\n      timeout: 5s\n      retries: 10\n"
            );
        }
    }
    format!("{text}volumes:\n{volumes}")
}
