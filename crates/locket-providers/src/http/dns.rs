//! Names to addresses, without the C library: a static binary has no NSS.
//!
//! The hosts file comes first and is read at every look-up, so that an edit counts at once; the rest is asked of
//! the servers in `/etc/resolv.conf` by one resolver that all connectors of the process share.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::pin::pin;
use std::sync::Mutex;
use std::time::Duration;

use futures_util::future::{Either, select};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::system_conf::parse_resolv_conf;
use locket_sys::landlock;
use reqwest::dns::{Addrs, Resolve, Resolving};
use tokio::runtime::Handle;

use crate::http::Stamp;

pub(super) const HOSTS: &str = "/etc/hosts";
pub(super) const RESOLV_CONF: &str = "/etc/resolv.conf";

/// How long the addresses of one family wait for those of the other, which a name server may never tell. RFC 8305,
/// section 3, has 50 ms, but lets later ones join; here they are lost, and may be the only ones that can be reached.
const OTHER_FAMILY: Duration = Duration::from_millis(300);

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
    fn resolve(&self, name: reqwest::dns::Name) -> Resolving {
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
    shared()?.asked(name).await
}

/// The name servers of the machine, and how they are asked.
#[derive(Clone)]
struct NameServers {
    resolver: TokioResolver,
    /// What a name that is not a full one may go on with.
    search: Vec<Name>,
}

/// What a name server says of one name in one family.
type Found = Result<Vec<IpAddr>, NetError>;

impl NameServers {
    fn new(config: ResolverConfig, mut options: ResolverOpts) -> Result<Self, DnsError> {
        options.use_hosts_file = ResolveHosts::Never;
        // As in the C library, nothing is remembered. Connections are kept, so that names are seldom asked for; and a
        // container engine gives addresses ten minutes to live that the next container of a service does not have.
        options.cache_size = 0;
        let mut search: Vec<Name> = config.search().iter().map(full).collect();
        let domain = config.domain().map(full);
        if let Some(domain) = domain.filter(|domain| !search.contains(domain)) {
            search.insert(0, domain);
        }
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        *builder.options_mut() = options;
        let resolver = builder.build().map_err(|error| {
            tracing::debug!("no resolver: {error}");
            DnsError::NoAnswer
        })?;
        Ok(Self { resolver, search })
    }

    /// The addresses of `name` that they know.
    async fn asked(&self, name: &str) -> Result<Vec<IpAddr>, DnsError> {
        let parsed = Name::from_utf8(name).map_err(|error| {
            tracing::debug!(name, "no name: {error}");
            DnsError::NoAnswer
        })?;
        let mut outcome = Err(DnsError::NoSuchHost);
        for full in self.meant_by(&parsed) {
            outcome = match self.of_both_families(&full).await {
                Ok(addresses) => return Ok(addresses),
                Err(error) => {
                    tracing::debug!(name, "no address of {full}: {error}");
                    Err(DnsError::of(&error))
                }
            };
        }
        outcome
    }

    /// The full names that `name` may stand for, in the order in which they are asked for. Both families are asked for
    /// one before the next: two of them may be two hosts.
    fn meant_by(&self, name: &Name) -> Vec<Name> {
        if name.is_fqdn() {
            return vec![name.clone()];
        }
        let under = |suffix| name.clone().append_domain(suffix).ok();
        let mut names: Vec<Name> = self.search.iter().filter_map(under).collect();
        let itself = full(name);
        names.retain(|name| *name != itself);
        let has_dots = usize::from(name.num_labels()) > self.resolver.options().ndots;
        let place = if has_dots { 0 } else { names.len() };
        names.insert(place, itself);
        names
    }

    /// The addresses of a full name, those of IPv4 in front.
    async fn of_both_families(&self, name: &Name) -> Found {
        let v4 = pin!(self.of_family(name, RecordType::A));
        if self.resolver.options().ip_strategy == LookupIpStrategy::Ipv4Only {
            return v4.await;
        }
        let v6 = pin!(self.of_family(name, RecordType::AAAA));
        let (v4, v6) = match select(v4, v6).await {
            // RFC 8020: a name that does not exist has nothing in any family. Of IPv6, servers say so wrongly
            // (RFC 4074, section 4.2).
            Either::Left((v4, v6)) => match &v4 {
                Err(error) if !error.is_nx_domain() => (v4, v6.await),
                _ => (v4, soon(v6).await),
            },
            Either::Right((v6, v4)) => match &v6 {
                Err(_) => (v4.await, v6),
                Ok(_) => (soon(v4).await, v6),
            },
        };
        match (v4, v6) {
            (Ok(v4), Ok(v6)) => Ok([v4, v6].concat()),
            (Ok(found), Err(_)) | (Err(_), Ok(found)) => Ok(found),
            (Err(error), Err(_)) => Err(error),
        }
    }

    async fn of_family(&self, name: &Name, family: RecordType) -> Found {
        let answer = self.resolver.lookup(name.clone(), family).await?;
        let addresses = answer.answers().iter();
        Ok(addresses.filter_map(|record| record.data.ip_addr()).collect())
    }
}

/// The name with its full stop at the end, without which the same one is another to compare.
fn full(name: &Name) -> Name {
    let mut name = name.clone();
    name.set_fqdn(true);
    name
}

/// What the second family says, unless it takes its time.
async fn soon(family: impl Future<Output = Found>) -> Found {
    let within = tokio::time::timeout(OTHER_FAMILY, family);
    within.await.unwrap_or(Err(NetError::Timeout))
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

/// Those of the process, made anew when their configuration changed.
fn shared() -> Result<NameServers, DnsError> {
    type Shared = Option<((Option<Stamp>, tokio::runtime::Id), NameServers)>;
    static SHARED: Mutex<Shared> = Mutex::new(None);

    // Its connections are tasks of one runtime, so that another runtime needs another resolver.
    let made_for = (Stamp::of(Path::new(RESOLV_CONF)).ok(), Handle::current().id());
    let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some((known, servers)) = &*shared {
        if *known == made_for {
            return Ok(servers.clone());
        }
        if known.1 == made_for.1 && is_given_up(RESOLV_CONF) {
            warn_about_replaced(RESOLV_CONF);
            return Ok(servers.clone());
        }
    }
    let (config, options) = configuration(&std::fs::read(RESOLV_CONF).unwrap_or_default());
    let servers = NameServers::new(config, options)?;
    *shared = Some((made_for, servers.clone()));
    Ok(servers)
}

/// What a resolv.conf says.
fn configuration(text: &[u8]) -> (ResolverConfig, ResolverOpts) {
    let (config, mut options) = parse_resolv_conf(text).unwrap_or_else(|_| {
        // No usable file: ask this machine, as the C library does.
        let server = NameServerConfig::udp_and_tcp(Ipv4Addr::LOCALHOST.into());
        let config = ResolverConfig::from_parts(None, vec![], vec![server]);
        (config, ResolverOpts::default())
    });
    options.ip_strategy = match has_option(text, "no-aaaa") {
        true => LookupIpStrategy::Ipv4Only,
        false => LookupIpStrategy::Ipv4AndIpv6,
    };
    (config, options)
}

/// Whether a resolv.conf has an option that the parser leaves out.
fn has_option(text: &[u8], option: &str) -> bool {
    String::from_utf8_lossy(text).lines().any(|line| {
        let mut words = line.split_ascii_whitespace();
        words.next() == Some("options") && words.any(|word| word == option)
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

    /// What a name server says to one question.
    enum Says {
        Address(IpAddr),
        /// The name has no address of this family.
        NoRecord,
        NoSuchHost,
        Nothing,
    }

    const A: [u8; 2] = [0, 1];
    const AAAA: [u8; 2] = [0, 28];

    /// A name server that says what `answer` has for a name, as on the wire, and a type; for ten minutes.
    async fn name_server(answer: impl Fn(&[u8], [u8; 2]) -> Says + Send + 'static) -> SocketAddr {
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
                let kind = [buffer[end - 4], buffer[end - 3]];
                let says = answer(&buffer[HEADER..end - 4], kind);
                let (code, found) = match says {
                    Says::Address(found) => (0, Some(found)),
                    Says::NoRecord => (0, None),
                    Says::NoSuchHost => (3, None),
                    Says::Nothing => continue,
                };
                let mut answer = buffer[..2].to_vec();
                answer.extend([0x81, 0x80 | code, 0, 1, 0, u8::from(found.is_some())]);
                // Where there is none, a record of the zone says for how long that may be believed.
                answer.extend([0, u8::from(found.is_none()), 0, 0]);
                answer.extend(&buffer[HEADER..end]);
                let head = |length| [0xC0, 12, 0, kind[1], 0, 1, 0, 0, 2, 88, 0, length];
                match found {
                    Some(IpAddr::V4(found)) => {
                        answer.extend(head(4));
                        answer.extend(found.octets());
                    }
                    Some(IpAddr::V6(found)) => {
                        answer.extend(head(16));
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

    /// The name server at `address`, as a resolv.conf with these lines beside it has it.
    fn servers(address: SocketAddr, lines: &str) -> NameServers {
        let text = format!("nameserver {}\n{lines}\n", address.ip());
        let (config, options) = configuration(text.as_bytes());
        let (_, search, mut servers) = config.into_parts();
        for connection in servers.iter_mut().flat_map(|server| &mut server.connections) {
            connection.port = address.port();
        }
        // The machine's own domain plays no part.
        NameServers::new(ResolverConfig::from_parts(None, search, servers), options).unwrap()
    }

    const V4: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    const V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xDB8, 0, 0, 0, 0, 0, 1));

    /// Less than the resolver waits for one answer.
    const WELL_BEFORE: Duration = Duration::from_secs(3);

    #[tokio::test]
    async fn a_name_server_that_leaves_out_one_family_holds_up_no_address_of_the_other() {
        for (silent, expected) in [(AAAA, vec![V4]), (A, vec![V6]), ([0, 0], vec![V4, V6])] {
            let address = name_server(move |_, kind| match kind {
                kind if kind == silent => Says::Nothing,
                A => Says::Address(V4),
                _ => Says::Address(V6),
            })
            .await;
            let servers = servers(address, "");
            let answer = tokio::time::timeout(WELL_BEFORE, servers.asked("vault.example.")).await;
            assert_eq!(answer, Ok(Ok(expected)), "{silent:?}");
        }
    }

    #[tokio::test]
    async fn a_name_server_that_leaves_out_ipv6_does_not_hold_up_the_search_list() {
        let address = name_server(|name, kind| match kind {
            A if name == b"\x05vault\x03two\0" => Says::Address(V4),
            A => Says::NoSuchHost,
            _ => Says::Nothing,
        })
        .await;
        let servers = servers(address, "search one two");
        let answer = tokio::time::timeout(WELL_BEFORE, servers.asked("vault")).await;
        assert_eq!(answer, Ok(Ok(vec![V4])));
    }

    #[tokio::test]
    async fn a_family_without_address_waits_for_the_other_however_long() {
        for (empty, expected) in [(A, V6), (AAAA, V4)] {
            let asked = std::sync::atomic::AtomicBool::new(false);
            // The resolver asks again after the time that it waits for an answer.
            let address = name_server(move |_, kind| match kind {
                kind if kind == empty => Says::NoRecord,
                _ if !asked.swap(true, std::sync::atomic::Ordering::Relaxed) => Says::Nothing,
                _ => Says::Address(expected),
            })
            .await;
            let servers = servers(address, "options timeout:1");
            assert_eq!(servers.asked("vault.example.").await, Ok(vec![expected]));
        }
    }

    #[tokio::test]
    async fn addresses_of_one_look_up_are_of_one_name() {
        let address = name_server(|name, kind| match (name, kind) {
            (b"\x05vault\x03one\0", AAAA) => Says::Address(V6),
            (b"\x05vault\x03two\0", A) => Says::Address(V4),
            (b"\x05vault\x03one\0", _) => Says::NoRecord,
            _ => Says::NoSuchHost,
        })
        .await;
        for (search, expected) in [("one two", V6), ("two one", V4)] {
            let servers = servers(address, &format!("search {search}"));
            assert_eq!(servers.asked("vault").await, Ok(vec![expected]));
        }
    }

    #[tokio::test]
    async fn a_machine_that_wants_no_ipv6_asks_for_none() {
        for (options, families) in [
            ("options edns0 no-aaaa", vec![A]),
            ("options edns0", vec![A, AAAA]),
        ] {
            let seen = std::sync::Arc::new(Mutex::new(vec![]));
            let asked = seen.clone();
            let address = name_server(move |_, kind| {
                asked.lock().unwrap().push(kind);
                match kind {
                    A => Says::Address(V4),
                    _ => Says::NoRecord,
                }
            })
            .await;
            let answer = servers(address, options).asked("vault.example.").await;
            assert_eq!(answer, Ok(vec![V4]));
            seen.lock().unwrap().sort_unstable();
            assert_eq!(*seen.lock().unwrap(), families, "{options}");
        }
    }

    #[tokio::test]
    async fn names_are_completed_in_the_order_of_the_search_list() {
        let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 1);
        for (lines, name, expected) in [
            ("search one two", "a", "a.one. a.two. a."),
            ("search one two", "a.b", "a.b. a.b.one. a.b.two."),
            ("search one two\noptions ndots:2", "a.b", "a.b.one. a.b.two. a.b."),
            ("search one two", "a.", "a."),
            ("search .", "a", "a."),
            ("", "a", "a."),
        ] {
            let names = servers(address, lines).meant_by(&Name::from_utf8(name).unwrap());
            let names: Vec<_> = names.iter().map(Name::to_string).collect();
            assert_eq!(names.join(" "), expected, "{name} with {lines}");
        }
        // The machine's own domain comes first, unless the list has a place for it.
        for (domain, expected) in [("zero", "a.zero. a.one. a.two. a."), ("two", "a.one. a.two. a.")] {
            let (mut config, options) = configuration(b"search one two\nnameserver 127.0.0.1");
            let (_, search, servers) = config.into_parts();
            config = ResolverConfig::from_parts(Some(Name::from_utf8(domain).unwrap()), search, servers);
            let servers = NameServers::new(config, options).unwrap();
            let names = servers.meant_by(&Name::from_utf8("a").unwrap());
            let names: Vec<_> = names.iter().map(Name::to_string).collect();
            assert_eq!(names.join(" "), expected, "{domain}");
        }
    }

    #[tokio::test]
    async fn a_server_that_moves_is_found_at_once_whatever_was_said_of_it_before() {
        let (first, second) = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2));
        let present = std::sync::Arc::new(Mutex::new(None));
        let told = present.clone();
        let address = name_server(move |_, kind| match *told.lock().unwrap() {
            Some(at) if kind == A => Says::Address(IpAddr::V4(at)),
            Some(_) => Says::NoRecord,
            None => Says::NoSuchHost,
        })
        .await;
        let servers = servers(address, "");
        for at in [None, Some(first), Some(second), None] {
            *present.lock().unwrap() = at;
            let expected = match at {
                Some(at) => Ok(vec![at.into()]),
                None => Err(DnsError::NoSuchHost),
            };
            assert_eq!(servers.asked("vault.example.").await, expected);
        }
    }

    #[tokio::test]
    async fn an_address_is_its_own_answer() {
        assert_eq!(lookup("192.0.2.7").await, Ok(vec!["192.0.2.7".parse().unwrap()]));
    }
}
