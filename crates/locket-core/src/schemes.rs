//! Which words before `://` are references, and which never are.

use std::sync::Arc;

/// What a `#fragment` means for a scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fragment {
    /// A path into a JSON value, followed by locket itself.
    Json,
    /// The provider's own syntax.
    Own,
}

/// One word that starts a reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scheme {
    /// The word before `://`: a provider's scheme or the name of a configured instance.
    pub name: Arc<str>,
    /// Whether `name://…` counts without braces, where a whole text is one reference.
    pub bare: bool,
    /// What a fragment means.
    pub fragment: Fragment,
}

/// All words that start a reference in this run.
#[derive(Clone, Debug, Default)]
pub struct Schemes {
    known: Vec<Scheme>,
    /// Scheme of a bare UUID, where one is served.
    uuid: Option<Arc<str>>,
    /// Scheme of a bare OCID, where one is served.
    ocid: Option<Arc<str>>,
}

/// Every scheme of the product, so that a build without a provider can say so by name.
const ALL: &[(&str, &str)] = &[
    ("op", "1Password"),
    ("bws", "Bitwarden Secrets Manager"),
    ("infisical", "Infisical"),
    ("bao", "OpenBao"),
    ("vault", "HashiCorp Vault"),
    ("azkv", "Azure Key Vault"),
    ("oci", "OCI Vault"),
    ("aws-sm", "AWS Secrets Manager"),
    ("aws-ssm", "AWS SSM Parameter Store"),
    ("gcp-sm", "GCP Secret Manager"),
    ("store", "the embedded store"),
    ("file", "plain files"),
    ("env", "environment variables"),
    ("sops", "sops files"),
    ("age", "age files"),
    ("pass", "the password store"),
    ("cred", "systemd credentials"),
    ("doppler", "Doppler"),
    ("k8s", "Kubernetes secrets"),
    ("conjur", "Conjur"),
    ("exec", "helper programs"),
];

/// Words that other programs use before `://`; a tag that holds one is copied as it is.
const NEVER: &[&str] = &[
    "about",
    "amqp",
    "amqps",
    "blob",
    "cassandra",
    "chrome",
    "clickhouse",
    "consul",
    "couchbase",
    "couchdb",
    "data",
    "dict",
    "dns",
    "docker",
    "elasticsearch",
    "etcd",
    "fd",
    "ftp",
    "ftps",
    "git",
    "gopher",
    "grpc",
    "grpcs",
    "gs",
    "h2c",
    "hdfs",
    "http",
    "https",
    "imap",
    "imaps",
    "influxdb",
    "ipfs",
    "irc",
    "ircs",
    "jdbc",
    "kafka",
    "ldap",
    "ldapi",
    "ldaps",
    "magnet",
    "mailto",
    "mariadb",
    "memcache",
    "memcached",
    "mongodb",
    "mongodb+srv",
    "mqtt",
    "mqtts",
    "mssql",
    "mysql",
    "mysqlx",
    "nats",
    "neo4j",
    "nfs",
    "npipe",
    "oauth",
    "odbc",
    "oracle",
    "otpauth",
    "pop3",
    "pop3s",
    "postgres",
    "postgresql",
    "pulsar",
    "quic",
    "redis",
    "rediss",
    "rsync",
    "rtmp",
    "rtsp",
    "s3",
    "sentinel",
    "sftp",
    "sip",
    "sips",
    "smb",
    "smtp",
    "smtps",
    "socks",
    "socks4",
    "socks5",
    "socks5h",
    "sqlite",
    "sqlserver",
    "ssh",
    "stomp",
    "stun",
    "svn",
    "tcp",
    "telnet",
    "tftp",
    "tls",
    "turn",
    "udp",
    "unix",
    "urn",
    "valkey",
    "vnc",
    "vsock",
    "ws",
    "wss",
    "xmpp",
];

impl Schemes {
    /// A table of these schemes. Later entries replace earlier ones of the same name.
    pub fn new(schemes: impl IntoIterator<Item = Scheme>) -> Self {
        let mut table = Self::default();
        for scheme in schemes {
            table.add(scheme);
        }
        table
    }

    /// Adds or replaces one scheme.
    pub fn add(&mut self, scheme: Scheme) {
        match scheme.name.as_ref() {
            "bws" => self.uuid = Some(scheme.name.clone()),
            "oci" => self.ocid = Some(scheme.name.clone()),
            _ => {}
        }
        match self.known.iter_mut().find(|known| known.name == scheme.name) {
            Some(known) => *known = scheme,
            None => self.known.push(scheme),
        }
    }

    /// The scheme of this exact name.
    pub fn get(&self, name: &str) -> Option<&Scheme> {
        self.known.iter().find(|scheme| scheme.name.as_ref() == name)
    }

    /// All names, for suggestions.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.known.iter().map(|scheme| scheme.name.as_ref())
    }

    /// The scheme that serves a bare UUID.
    pub(crate) fn uuid(&self) -> Option<&Scheme> {
        self.uuid.as_deref().and_then(|name| self.get(name))
    }

    /// The scheme that serves a bare OCID.
    pub(crate) fn ocid(&self) -> Option<&Scheme> {
        self.ocid.as_deref().and_then(|name| self.get(name))
    }

    /// Whether other programs use this word before `://`.
    pub fn is_foreign(name: &str) -> bool {
        NEVER.binary_search(&name.to_ascii_lowercase().as_str()).is_ok()
    }

    /// The title of a scheme that the product has but this build may lack.
    pub fn title(name: &str) -> Option<&'static str> {
        ALL.iter()
            .find(|(scheme, _)| *scheme == name)
            .map(|(_, title)| *title)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_schemes_are_sorted_for_the_search_and_hold_none_of_ours() {
        assert!(NEVER.is_sorted());
        assert!(NEVER.iter().all(|name| Schemes::title(name).is_none()));
        assert!(Schemes::is_foreign("https") && Schemes::is_foreign("HTTPS") && !Schemes::is_foreign("op"));
    }
}
