//! The files of the system that a network needs: names of hosts, name servers, certificate authorities.

use std::path::{Path, PathBuf};

use locket_core::{Environment, Reach};

use super::dns::{HOSTS, RESOLV_CONF};

/// Where systems keep the authorities they trust: the places that openssl-probe knows, and what their links lead to.
const TRUST: &[&str] = &[
    "/etc/ca-certificates",
    "/etc/certs",
    "/etc/openssl/certs",
    "/etc/pki/ca-trust/extracted",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/tls/certs",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/etc/ssl/certs",
    "/etc/ssl/certs/ca-bundle.crt",
    "/etc/ssl/certs/ca-certificates.crt",
    "/opt/etc/ssl/certs",
    "/usr/lib/ssl/cert.pem",
    "/usr/lib/ssl/certs",
    "/usr/local/share/ca-certificates",
    "/usr/local/share/certs",
    "/usr/local/ssl/cert.pem",
    "/usr/local/ssl/certs",
    "/usr/share/ca-certificates",
    "/usr/share/ssl/certs",
    "/var/lib/ca-certificates",
    "/var/ssl/certs",
];

/// Adds them to what a provider touches.
pub(crate) fn add_reach(reach: &mut Reach, environment: &Environment) {
    reach.fixed.push(HOSTS.into());
    reach.fixed.push(RESOLV_CONF.into());
    // A resolver of the machine's own keeps its file elsewhere and replaces it there.
    let real = Path::new(RESOLV_CONF).canonicalize();
    reach
        .files
        .extend(real.ok().filter(|real| !real.starts_with("/etc")));
    let named = ["SSL_CERT_FILE", "SSL_CERT_DIR"].map(|name| environment.get_os(name).map(PathBuf::from));
    match named {
        [None, None] => reach.fixed.extend(TRUST.iter().map(PathBuf::from)),
        named => reach.files.extend(named.into_iter().flatten()),
    }
}
