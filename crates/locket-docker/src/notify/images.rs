//! What known images need so that they read changed files again. The one table behind `auto:NAME`; the page of the
//! documentation is tested against it.

use locket_core::{ImageName, Signal};

/// What a program needs so that it reads changed files again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// A signal.
    Signal(Signal),
    /// A restart.
    Restart,
    /// Nothing: it follows its files.
    Itself,
}

/// A program whose behaviour is documented by those who make it.
#[derive(Clone, Copy, Debug)]
pub struct KnownImage {
    /// The last names of repositories that hold it, without registry, owner and tag.
    pub names: &'static [&'static str],
    /// What it needs.
    pub reload: Reload,
    /// What it reads again then.
    pub reads: &'static str,
    /// Where its makers say so.
    pub source: &'static str,
}

const HUP: Reload = Reload::Signal(Signal::HUP);
const USR1: Reload = Reload::Signal(Signal::USR1);

const fn image(
    names: &'static [&'static str],
    reload: Reload,
    reads: &'static str,
    source: &'static str,
) -> KnownImage {
    KnownImage {
        names,
        reload,
        reads,
        source,
    }
}

/// Every image that is known.
pub const KNOWN: &[KnownImage] = &[
    image(
        &["nginx", "nginx-unprivileged", "openresty"],
        HUP,
        "its configuration, and with it certificates and keys",
        "https://nginx.org/en/docs/control.html",
    ),
    image(
        &["haproxy"],
        HUP,
        "its configuration, and with it certificates and keys",
        "https://hub.docker.com/_/haproxy",
    ),
    image(
        &["httpd", "apache"],
        USR1,
        "its configuration, when the requests under way are finished",
        "https://httpd.apache.org/docs/2.4/stopping.html",
    ),
    image(
        &["traefik"],
        Reload::Itself,
        "its dynamic configuration; a file that this names, such as a certificate, only together with it",
        "https://doc.traefik.io/traefik/providers/file/",
    ),
    image(
        &["caddy"],
        Reload::Restart,
        "everything: no signal makes it, `caddy reload` is a command inside",
        "https://hub.docker.com/_/caddy",
    ),
    image(
        &["envoy"],
        Reload::Restart,
        "everything: it follows secrets of a file-based SDS by itself, static ones not",
        "https://www.envoyproxy.io/docs/envoy/latest/configuration/security/secret",
    ),
    image(
        &["postfix"],
        HUP,
        "`main.cf` and `master.cf`; its processes end when they are done",
        "https://www.postfix.org/master.8.html",
    ),
    image(
        &["dovecot"],
        HUP,
        "its configuration",
        "https://doc.dovecot.org/main/core/admin/running.html",
    ),
    image(
        &["openldap", "slapd"],
        Reload::Restart,
        "everything: it ends on `SIGHUP`, gently with `gentlehup`",
        "https://www.openldap.org/software/man.cgi?query=slapd.conf",
    ),
    image(
        &["postgres", "postgresql", "timescaledb", "postgis"],
        HUP,
        "its configuration, `pg_hba.conf`, certificates and keys; not the passwords of its users",
        "https://www.postgresql.org/docs/current/app-postgres.html",
    ),
    image(
        &["pgbouncer"],
        HUP,
        "its configuration",
        "https://www.pgbouncer.org/usage.html",
    ),
    image(
        &["prometheus"],
        HUP,
        "its configuration and rules",
        "https://prometheus.io/docs/prometheus/latest/configuration/configuration/",
    ),
    image(
        &["alertmanager"],
        HUP,
        "its configuration",
        "https://prometheus.io/docs/alerting/latest/configuration/",
    ),
    image(
        &["redis", "valkey"],
        Reload::Restart,
        "everything: a running server takes a change by `CONFIG SET` alone",
        "https://redis.io/docs/latest/operate/oss_and_stack/management/config/",
    ),
    image(
        &["mosquitto", "eclipse-mosquitto"],
        HUP,
        "most of its configuration, and since 2.0 certificates",
        "https://mosquitto.org/man/mosquitto-8.html",
    ),
    image(
        &["nats"],
        HUP,
        "its configuration",
        "https://docs.nats.io/running-a-nats-service/nats_admin/signals",
    ),
    image(
        &["vault", "openbao"],
        HUP,
        "certificates and keys of its listeners; a restart would seal it",
        "https://developer.hashicorp.com/vault/docs/configuration/listener/tcp",
    ),
];

/// What is known of an image, by its name as a container has it: `registry/owner/name:tag@digest`.
pub fn known(image: &str) -> Option<&'static KnownImage> {
    let name = ImageName::of(image).last();
    KNOWN.iter().find(|known| known.names.contains(&name))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn an_image_is_known_by_the_last_name_of_its_repository() {
        for image in [
            "nginx",
            "nginx:1.27-alpine",
            "docker.io/library/nginx@sha256:0123",
            "registry.example:5000/team/nginx:1",
        ] {
            assert_eq!(known(image).map(|known| known.reload), Some(HUP), "{image}");
        }
        for image in ["my-nginx", "nginx/unit", "sha256:0123", ""] {
            assert!(known(image).is_none(), "{image}");
        }
        assert_eq!(
            known("bitnami/postgresql:16").map(|known| known.reload),
            Some(HUP)
        );
    }

    #[test]
    fn each_image_stands_once_and_has_its_source() {
        let mut names = BTreeSet::new();
        for known in KNOWN {
            assert!(known.source.starts_with("https://"), "{:?}", known.names);
            assert!(
                known.names.iter().all(|name| names.insert(*name)),
                "{:?}",
                known.names
            );
        }
    }

    #[test]
    fn the_page_lists_every_image_with_its_signal_and_source() {
        let page = include_str!("../../../../docs/reference/images.md");
        for known in KNOWN {
            let need = match known.reload {
                Reload::Signal(signal) => format!("`{signal}`"),
                Reload::Restart => "`restart`".to_owned(),
                Reload::Itself => "nothing".to_owned(),
            };
            let row = page
                .lines()
                .filter(|line| line.starts_with("| `"))
                .find(|line| line.contains(&format!("`{}`", known.names[0])));
            let row = row.unwrap_or_else(|| panic!("{:?} has no row", known.names));
            assert!(
                row.contains(&need) && row.contains(known.reads) && row.contains(known.source),
                "{row}"
            );
        }
    }
}
