//! Names to addresses, without the C library: a static binary has no NSS.
//!
//! The hosts file comes first and is read at every look-up, so that an edit counts at once; the rest is asked of
//! the servers in `/etc/resolv.conf` by one resolver that all connectors of the process share.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Mutex;

use hickory_resolver::config::{LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::{ResolverBuilder, TokioResolver};
use locket_sys::landlock;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::runtime::Handle;

use crate::http::Stamp;

pub(super) const HOSTS: &str = "/etc/hosts";
pub(super) const RESOLV_CONF: &str = "/etc/resolv.conf";

type Builder = ResolverBuilder<TokioRuntimeProvider>;

/// The resolver as the HTTP client takes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resolver;

/// Why a name has no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DnsError {
    /// The name servers say that there is no such host.
    NoSuchHost,
    /// No name server gave an answer.
    NoAnswer,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let addresses = lookup(name.as_str()).await?;
            // The port is the connector's to fill in.
            let sockets: Addrs = Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(sockets)
        })
    }
}

/// The addresses of `name`, the one to try first in front.
///
/// # Errors
/// There are none, or nobody to ask.
pub(crate) async fn lookup(name: &str) -> Result<Vec<IpAddr>, DnsError> {
    if let Ok(address) = name.parse() {
        return Ok(vec![address]);
    }
    // A full stop at the end keeps the search list out of it; the files do not know it.
    let bare = name.trim_end_matches('.');
    let listed = in_hosts(&hosts(), bare);
    if !listed.is_empty() {
        return Ok(listed);
    }
    if is_localhost(bare) {
        return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
    }
    asked(&shared()?, name).await
}

/// The addresses of `name` that the name servers know.
async fn asked(resolver: &TokioResolver, name: &str) -> Result<Vec<IpAddr>, DnsError> {
    let answer = resolver.lookup_ip(name).await.map_err(|error| {
        tracing::debug!(name, "no address: {error}");
        DnsError::of(&error)
    })?;
    Ok(answer.iter().collect())
}

/// The hosts file. What was read last stands in for a file that a confined process may no longer read: a new one in
/// the place of the one it knew.
fn hosts() -> String {
    static LAST: Mutex<String> = Mutex::new(String::new());
    let mut last = LAST.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    match std::fs::read_to_string(HOSTS) {
        Ok(text) => last.clone_from(&text),
        Err(_) if landlock::denies_reading(Path::new(HOSTS)) => warn_about_replaced(HOSTS),
        Err(_) => last.clear(),
    }
    last.clone()
}

/// Says once in the life of the process that it does not see a change.
fn warn_about_replaced(file: &str) {
    static TOLD: std::sync::Once = std::sync::Once::new();
    TOLD.call_once(|| {
        tracing::warn!(
            "{file} was replaced by a new file, which is not read; the agent goes on with the one before it. {}",
            landlock::ADVICE
        );
    });
}

/// The process's resolver, made anew when its configuration changed.
fn shared() -> Result<TokioResolver, DnsError> {
    type Shared = Option<((Option<Stamp>, tokio::runtime::Id), TokioResolver)>;
    static SHARED: Mutex<Shared> = Mutex::new(None);

    // Its connections are tasks of one runtime, so that another runtime needs another resolver.
    let made_for = (Stamp::of(Path::new(RESOLV_CONF)).ok(), Handle::current().id());
    let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some((known, resolver)) = &*shared {
        if *known == made_for {
            return Ok(resolver.clone());
        }
        if known.1 == made_for.1 && is_given_up(RESOLV_CONF) {
            warn_about_replaced(RESOLV_CONF);
            return Ok(resolver.clone());
        }
    }
    let builder = TokioResolver::builder_tokio().unwrap_or_else(|_| {
        // No usable file: ask this machine, as the C library does.
        let server = NameServerConfig::udp_and_tcp(Ipv4Addr::LOCALHOST.into());
        let config = ResolverConfig::from_parts(None, vec![], vec![server]);
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
    });
    let resolver = built(builder)?;
    *shared = Some((made_for, resolver.clone()));
    Ok(resolver)
}

fn built(mut builder: Builder) -> Result<TokioResolver, DnsError> {
    let options = builder.options_mut();
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.use_hosts_file = ResolveHosts::Never;
    // As in the C library, nothing is remembered. Connections are kept, so that names are seldom asked for; and a
    // container engine gives addresses ten minutes to live that the next container of a service does not have.
    options.cache_size = 0;
    builder.build().map_err(|error| {
        tracing::debug!("no resolver: {error}");
        DnsError::NoAnswer
    })
}

/// Whether a confined process may no longer read `file`, which it would be allowed to otherwise.
fn is_given_up(file: &str) -> bool {
    let path = Path::new(file);
    landlock::denies_reading(path) && std::fs::File::open(path).is_err()
}

/// The addresses that a hosts file gives to `name`, in its order.
fn in_hosts(hosts: &str, name: &str) -> Vec<IpAddr> {
    hosts
        .lines()
        .filter_map(|line| {
            let mut words = line.split('#').next()?.split_ascii_whitespace();
            let address = words.next()?.parse().ok()?;
            words
                .any(|known| known.trim_end_matches('.').eq_ignore_ascii_case(name))
                .then_some(address)
        })
        .collect()
}

/// RFC 6761, 6.3: `localhost` and the names under it never leave the machine.
fn is_localhost(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

impl DnsError {
    fn of(error: &NetError) -> Self {
        if error.is_nx_domain() || error.is_no_records_found() {
            Self::NoSuchHost
        } else {
            Self::NoAnswer
        }
    }
}

impl fmt::Display for DnsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSuchHost => "no such host",
            Self::NoAnswer => "no name server answers",
        })
    }
}

impl std::error::Error for DnsError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hosts_file_gives_every_address_of_a_name_in_order() {
        let hosts = "# comment\n127.0.0.1 localhost\n10.0.0.5\tvault Vault.Example. # trailing\n\
                     fe80::1%lo odd\n::1 vault\n10.0.0.6 other # vault\n";
        assert_eq!(
            in_hosts(hosts, "vault"),
            ["10.0.0.5".parse::<IpAddr>().unwrap(), "::1".parse().unwrap()]
        );
        assert_eq!(in_hosts(hosts, "vault.example").len(), 1);
        assert!(in_hosts(hosts, "comment").is_empty() && in_hosts(hosts, "odd").is_empty());
    }

    #[tokio::test]
    async fn localhost_needs_no_name_server() {
        let addresses = lookup("localhost").await.unwrap();
        assert!(addresses.contains(&Ipv4Addr::LOCALHOST.into()), "{addresses:?}");
        let addresses = lookup("vault.localhost.").await.unwrap();
        assert!(addresses.iter().all(IpAddr::is_loopback) && !addresses.is_empty());
    }

    /// A name server that says of every name that it has the address that `present` gives, for ten minutes; or none.
    async fn name_server(present: impl Fn() -> Option<Ipv4Addr> + Send + 'static) -> SocketAddr {
        const HEADER: usize = 12;
        let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        #[expect(clippy::disallowed_methods, reason = "plays the name server")]
        tokio::spawn(async move {
            let mut buffer = [0; 512];
            loop {
                let (_, from) = socket.recv_from(&mut buffer).await.unwrap();
                // RFC 1035, 4.1: labels up to an empty one, then the type and the class.
                let name = buffer[HEADER..].iter().position(|byte| *byte == 0).unwrap();
                let end = HEADER + name + 5;
                let is_a = buffer[end - 4..end - 2] == [0, 1];
                let found = present().filter(|_| is_a);
                let code = if present().is_some() { 0 } else { 3 };
                let mut answer = buffer[..2].to_vec();
                answer.extend([0x81, 0x80 | code, 0, 1, 0, u8::from(found.is_some())]);
                // Where there is none, a record of the zone says for how long that may be believed.
                answer.extend([0, u8::from(found.is_none()), 0, 0]);
                answer.extend(&buffer[HEADER..end]);
                match found {
                    Some(found) => {
                        answer.extend([0xC0, 12, 0, 1, 0, 1, 0, 0, 2, 88, 0, 4]);
                        answer.extend(found.octets());
                    }
                    None => {
                        answer.extend([0, 0, 6, 0, 1, 0, 0, 2, 88, 0, 22, 0, 0]);
                        answer.extend([0, 0, 2, 88].repeat(5));
                    }
                }
                socket.send_to(&answer, from).await.unwrap();
            }
        });
        address
    }

    #[tokio::test]
    async fn a_server_that_moves_is_found_at_once_whatever_was_said_of_it_before() {
        let (first, second) = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2));
        let present = std::sync::Arc::new(Mutex::new(None));
        let told = present.clone();
        let address = name_server(move || *told.lock().unwrap()).await;
        let mut server = NameServerConfig::udp_and_tcp(address.ip());
        for connection in &mut server.connections {
            connection.port = address.port();
        }
        let config = ResolverConfig::from_parts(None, vec![], vec![server]);
        let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        let resolver = built(builder).unwrap();
        for at in [None, Some(first), Some(second), None] {
            *present.lock().unwrap() = at;
            let expected = match at {
                Some(at) => Ok(vec![at.into()]),
                None => Err(DnsError::NoSuchHost),
            };
            assert_eq!(asked(&resolver, "vault.example.").await, expected);
        }
    }

    #[tokio::test]
    async fn an_address_is_its_own_answer() {
        assert_eq!(lookup("192.0.2.7").await, Ok(vec!["192.0.2.7".parse().unwrap()]));
    }
}
