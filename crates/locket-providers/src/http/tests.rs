//! The client against servers on sockets that are really there.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use locket_core::{ErrorKind, FetchCx, ProviderError, SecretBytes};
use locket_testkit::clock::EPOCH;
use locket_testkit::http::Body as Answer;
use locket_testkit::{Response as Reply, Server};
use reqwest::Method;
use reqwest::header::HeaderName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::testing::Fixture;

fn client(fixture: &Fixture) -> Result<Client, crate::ConfigError> {
    fixture.build(Client::new)
}

/// A request that has something to hide in every place but its path.
fn request(url: &str) -> Request {
    let url = Endpoint::parse("url", url).unwrap().join(["v1", "a b", "x/y"]);
    let token = SecretBytes::copy_from(b"canary-in-a-header");
    Request::get(url)
        .query("token", "canary-in-a-query")
        .secret_header(HeaderName::from_static("x-token"), &token)
        .unwrap()
}

async fn send(fixture: &Fixture, url: &str) -> Result<Response, ProviderError> {
    client(fixture)
        .unwrap()
        .send(request(url), &fixture.fetch_cx())
        .await
}

async fn get(url: &str) -> Result<Response, ProviderError> {
    let response = send(&Fixture::new(), url).await?;
    if response.status.is_success() {
        Ok(response)
    } else {
        Err(response.error())
    }
}

#[tokio::test]
async fn a_body_arrives_whole_and_the_path_stays_in_its_segments() {
    let server = Server::start(|_| Reply::text(200, "the body").with_header("x-more", "1"));
    let response = get(&server.url()).await.unwrap();
    assert_eq!(response.body.bytes(), b"the body");
    assert_eq!(response.header(&HeaderName::from_static("x-more")), Some("1"));
    let seen = server.requests().remove(0);
    assert_eq!(seen.path, "/v1/a%20b/x%2Fy");
    assert_eq!(seen.query, "token=canary-in-a-query");
    assert_eq!(seen.header("x-token"), Some("canary-in-a-header"));
}

#[tokio::test]
async fn a_client_that_rested_closes_its_connection_and_makes_another_when_asked_again() {
    let server = Server::start(|_| Reply::text(200, ""));
    let fixture = Fixture::new();
    let client = client(&fixture).unwrap();
    for connections in [1, 1, 2] {
        if connections == 2 {
            client.rest();
        }
        client
            .send(request(&server.url()), &fixture.fetch_cx())
            .await
            .unwrap();
        assert_eq!(server.connection_count(), connections);
    }
}

#[tokio::test]
async fn one_connection_serves_request_after_request() {
    let server = Server::start(|_| Reply::text(200, ""));
    let fixture = Fixture::new();
    let client = client(&fixture).unwrap();
    for _ in 0..5 {
        client
            .send(request(&server.url()), &fixture.fetch_cx())
            .await
            .unwrap();
    }
    assert_eq!((server.request_count(), server.connection_count()), (5, 1));
}

#[tokio::test]
async fn every_status_has_its_kind_and_no_error_shows_query_header_or_body() {
    use ErrorKind::{Auth, Denied, Invalid, NotFound, RateLimited, Unavailable};
    for (status, kind) in [
        (301, Unavailable),
        (302, Unavailable),
        (304, Unavailable),
        (307, Unavailable),
        (308, Unavailable),
        (400, Invalid),
        (401, Auth),
        (403, Denied),
        (404, NotFound),
        (429, RateLimited { retry_after: None }),
        (500, Unavailable),
        (503, Unavailable),
    ] {
        let server = Server::start(move |_| Reply::text(status, "canary-in-a-body"));
        let error = get(&server.url()).await.unwrap_err();
        assert_eq!(error.kind, kind, "{status}");
        // Every try would send the credential to an address that is said to be wrong.
        assert_eq!(error.pause.is_some(), matches!(status, 301 | 308), "{status}");
        let text = format!("{error:?}");
        assert!(
            !text.contains("canary") && text.contains("/v1/a%20b/x%2Fy"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_server_may_say_how_long_to_wait_in_seconds_or_as_a_date() {
    let date =
        |seconds| httpdate::fmt_http_date(std::time::UNIX_EPOCH + EPOCH + Duration::from_secs(seconds));
    for (header, seconds) in [
        ("7".to_owned(), Some(7)),
        (date(23), Some(23)),
        (date(0), Some(0)),
        ("Sun, 06 Nov 1994 08:49:37 GMT".to_owned(), Some(0)),
        ("soon".to_owned(), None),
    ] {
        let shown = header.clone();
        let now = date(0);
        let server = Server::start(move |_| {
            let reply = Reply::text(429, "").with_header("retry-after", &header);
            reply.with_header("date", &now)
        });
        let retry_after = seconds.map(Duration::from_secs);
        let error = get(&server.url()).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::RateLimited { retry_after }, "{shown}");
    }
}

#[tokio::test]
async fn a_date_to_wait_for_is_by_the_clock_of_the_server() {
    let six_hours = Duration::from_secs(6 * 60 * 60);
    let theirs = std::time::UNIX_EPOCH + EPOCH + six_hours;
    let until = httpdate::fmt_http_date(theirs + Duration::from_secs(30));
    let now = httpdate::fmt_http_date(theirs);
    let server = Server::start(move |_| {
        let reply = Reply::text(429, "").with_header("retry-after", &until);
        reply.with_header("date", &now)
    });
    let retry_after = Some(Duration::from_secs(30));
    let error = get(&server.url()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::RateLimited { retry_after });
}

#[tokio::test]
async fn a_server_in_trouble_may_ask_for_a_pause() {
    let server = Server::start(move |_| Reply::text(503, "").with_header("retry-after", "9"));
    let retry_after = Some(Duration::from_secs(9));
    let error = get(&server.url()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::RateLimited { retry_after });
    assert!(error.to_string().contains("503"), "{error}");
}

#[tokio::test]
async fn a_refused_connection_says_so() {
    let server = Server::start(|_| Reply::text(200, ""));
    server.go_down();
    let error = get(&server.url()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert_eq!(
        error.context,
        format!("connection refused by {}", server.address())
    );
    server.go_up();
    get(&server.url()).await.unwrap();
}

#[tokio::test]
async fn a_name_without_address_says_so() {
    // RFC 6761: nobody is asked about names under `invalid`, and the full stop keeps the search list out of it.
    let error = get("http://no-such-host.invalid.:8200").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    let start = "the name of no-such-host.invalid.:8200 has no address";
    assert!(error.context.starts_with(start), "{error}");
}

#[tokio::test]
async fn localhost_is_reached_by_name() {
    let server = Server::start(|_| Reply::text(200, ""));
    get(&format!("http://localhost:{}", server.address().port()))
        .await
        .unwrap();
    assert_eq!(server.request_count(), 1);
}

#[tokio::test]
async fn a_server_that_accepts_and_hangs_costs_the_timeout_only() {
    let server = Server::start_async(|_| std::future::pending());
    let fixture = Fixture::new().set("timeout", "150ms");
    let error = send(&fixture, &server.url()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.context.ends_with("gave no answer within 150ms"), "{error}");
    assert_eq!(server.request_count(), 1, "it was asked");
}

#[tokio::test]
async fn the_deadline_bounds_a_request_more_than_the_timeout() {
    let server = Server::start_async(|_| std::future::pending());
    let fixture = Fixture::new();
    let client = client(&fixture).unwrap();
    let within = |deadline| FetchCx::new(fixture.fetch_cx().clock, deadline);
    let soon = within(Duration::from_millis(100));
    let error = client.send(request(&server.url()), &soon).await.unwrap_err();
    assert!(error.context.ends_with("within 100ms"), "{error}");
    let past = within(Duration::ZERO);
    let error = client.send(request(&server.url()), &past).await.unwrap_err();
    assert!(error.context.starts_with("no time was left"), "{error}");
    assert_eq!(server.request_count(), 1, "nothing is sent without time");
}

#[tokio::test]
async fn an_answer_that_breaks_off_or_is_no_http_is_unavailable() {
    let cut = Server::start(|_| Reply::status(200).with_body(Answer::Cut("part".into())));
    let error = get(&cut.url()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.context.contains("broke off"), "{error}");
    let reset = Server::start(|_| Reply::reset());
    let error = get(&reset.url()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
}

/// A server that answers so many requests on each connection and closes it, without a word, when another comes.
struct Closing {
    url: String,
    seen: Arc<AtomicUsize>,
}

impl Closing {
    async fn after(answered: usize) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(AtomicUsize::new(0));
        let count = seen.clone();
        #[expect(clippy::disallowed_methods, reason = "plays the server")]
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                for number in 0.. {
                    let mut request = Vec::new();
                    while !request.ends_with(b"\r\n\r\n") {
                        request.push(stream.read_u8().await.unwrap());
                    }
                    count.fetch_add(1, Ordering::Relaxed);
                    if number == answered {
                        break;
                    }
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                    stream.write_all(answer).await.unwrap();
                }
            }
        });
        Self { url, seen }
    }

    /// How many requests it took since it was asked last.
    fn taken(&self) -> usize {
        self.seen.swap(0, Ordering::Relaxed)
    }
}

#[tokio::test]
async fn a_read_on_a_connection_that_just_ended_is_sent_again_on_another() {
    let orderly = Closing::after(1).await;
    let seen = Mutex::new(BTreeSet::new());
    let reset = Server::start(
        move |request| match seen.lock().unwrap().insert(request.connection) {
            true => Reply::text(200, ""),
            false => Reply::reset(),
        },
    );
    for url in [&orderly.url, &reset.url()] {
        let fixture = Fixture::new();
        let client = client(&fixture).unwrap();
        for requests in [1, 2, 2] {
            let counted = Arc::new(AtomicU64::new(0));
            let cx = fixture.fetch_cx().counting(counted.clone());
            client.send(request(url), &cx).await.unwrap();
            assert_eq!(counted.load(Ordering::Relaxed), requests, "{url}");
        }
    }
    assert_eq!((orderly.taken(), reset.request_count()), (5, 5));
}

#[tokio::test]
async fn what_may_change_something_is_never_sent_twice() {
    let server = Closing::after(1).await;
    let fixture = Fixture::new();
    let client = client(&fixture).unwrap();
    let list = Method::from_bytes(b"LIST").unwrap();
    for (method, is_single, is_repeated) in [
        (Method::POST, false, false),
        (Method::PUT, false, false),
        (list, false, false),
        (Method::GET, true, false),
        (Method::GET, false, true),
    ] {
        let send = || async {
            let mut request = request(&server.url);
            request.method = method.clone();
            request.is_single = is_single;
            client.send(request, &fixture.fetch_cx()).await
        };
        client.rest();
        send().await.unwrap();
        assert_eq!(server.taken(), 1, "{method}");
        assert_eq!(send().await.is_ok(), is_repeated, "{method}");
        assert_eq!(server.taken(), if is_repeated { 2 } else { 1 }, "{method}");
    }
}

#[tokio::test]
async fn a_server_that_closes_every_connection_is_asked_twice_and_no_more() {
    let server = Closing::after(0).await;
    let error = get(&server.url).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.context.contains("broke off"), "{error}");
    assert_eq!(server.taken(), 2);
}

#[tokio::test]
async fn a_body_past_the_limit_is_refused_without_reading_on() {
    let repeated = |times| {
        Server::start(move |_| {
            let chunk = vec![b'x'; 1 << 20].into();
            Reply::status(200).with_body(Answer::Repeated { chunk, times })
        })
    };
    let endless = repeated(4096);
    let error = get(&endless.url()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.context.ends_with("more than 16 MiB"), "{error}");
    let full = repeated(16);
    assert_eq!(get(&full.url()).await.unwrap().body.bytes().len(), 16 << 20);
}

#[tokio::test]
async fn a_redirect_is_followed_on_its_own_host_and_never_to_another() {
    let other = Server::start(|_| Reply::text(200, ""));
    let target = other.url();
    let server = Server::start(move |request| match request.path.as_str() {
        "/moved" => Reply::text(200, "here"),
        path if path.starts_with("/away/") => Reply::status(307).with_header("location", &target),
        path if path.starts_with("/away-for-good/") => Reply::status(308).with_header("location", &target),
        _ => Reply::status(307).with_header("location", "/moved"),
    });
    assert_eq!(get(&server.url()).await.unwrap().body.bytes(), b"here");
    for path in ["/away", "/away-for-good"] {
        let error = get(&format!("{}{path}", server.url())).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable, "{path}");
        let end = format!("redirects to {}", other.url());
        assert!(error.context.ends_with(&end), "{error}");
    }
    assert_eq!(other.request_count(), 0, "the credential stayed here");
}

#[tokio::test]
async fn a_proxy_is_used_as_set_or_as_the_environment_says() {
    let proxy = Server::start(|_| Reply::text(200, "by proxy"));
    let url = &*proxy.url();
    let set = |text| Fixture::new().set("proxy", text);
    let variables =
        |variables: &[(&'static str, &str)]| Fixture::new().environment(variables.iter().copied());
    for (name, fixture, proxied) in [
        ("set", set(url), true),
        ("http_proxy", variables(&[("http_proxy", url)]), true),
        ("ALL_PROXY", variables(&[("ALL_PROXY", url)]), true),
        (
            "NO_PROXY",
            variables(&[("http_proxy", url), ("NO_PROXY", "no-such-host.invalid.")]),
            false,
        ),
        ("HTTP_PROXY", variables(&[("HTTP_PROXY", url)]), false),
        ("none", set("none").environment([("http_proxy", url)]), false),
    ] {
        proxy.forget();
        let outcome = send(&fixture, "http://no-such-host.invalid.").await;
        assert_eq!(
            (outcome.is_ok(), proxy.request_count()),
            (proxied, usize::from(proxied)),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_variable_that_names_another_kind_of_proxy_stops_only_what_would_go_through_it() {
    const SOCKS: &str = "socks5://user:canary@proxy.example:1080";
    let server = Server::start(|_| Reply::text(200, ""));
    let proxy = Server::start(|_| Reply::text(200, ""));
    let (url, good) = (&*server.url(), &*proxy.url());
    for (variables, stopped_by) in [
        (vec![("ALL_PROXY", SOCKS)], Some("ALL_PROXY")),
        (vec![("http_proxy", SOCKS)], Some("http_proxy")),
        (
            vec![("ALL_PROXY", SOCKS), ("NO_PROXY", "example.com")],
            Some("ALL_PROXY"),
        ),
        (vec![("ALL_PROXY", SOCKS), ("NO_PROXY", "127.0.0.1")], None),
        (vec![("ALL_PROXY", SOCKS), ("NO_PROXY", "127.0.0.0/8")], None),
        (vec![("ALL_PROXY", SOCKS), ("http_proxy", good)], None),
        (vec![("https_proxy", SOCKS)], None),
    ] {
        let outcome = send(&Fixture::new().environment(variables.iter().copied()), url).await;
        let Some(name) = stopped_by else {
            outcome.unwrap();
            continue;
        };
        let error = outcome.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid);
        assert_eq!(
            error.context,
            format!("`{name}` is not the address of an HTTP proxy")
        );
        assert!(error.hint.is_some() && !format!("{error:?}").contains("canary"));
    }
    assert_eq!((server.request_count(), proxy.request_count()), (3, 1));
}

#[tokio::test]
async fn a_good_proxy_for_https_serves_beside_another_kind_for_the_rest() {
    let proxy = Server::start(|_| Reply::text(407, ""));
    let fixture = Fixture::new().environment([
        ("SSL_CERT_FILE", "/dev/null"),
        ("https_proxy", &*proxy.url()),
        ("ALL_PROXY", "socks5://proxy.example:1080"),
    ]);
    let error = send(&fixture, "https://no-such-host.invalid.").await.unwrap_err();
    assert!(error.context.starts_with("the proxy on the way"), "{error}");
    assert_eq!(proxy.request_count(), 1, "it was asked");
}

#[tokio::test]
async fn a_proxy_with_a_password_is_told_it_and_nobody_else_is() {
    let proxy = Server::start(|_| Reply::text(407, ""));
    let url = format!("http://user:canary@{}", proxy.address());
    let error = send(&Fixture::new().set("proxy", &url), "http://secrets.example")
        .await
        .unwrap()
        .error();
    let told = proxy.requests().remove(0);
    assert_eq!(told.header("proxy-authorization"), Some("Basic dXNlcjpjYW5hcnk="));
    assert!(!format!("{error:?}").contains("canary"), "{error:?}");
}

#[test]
fn a_setting_that_cannot_work_is_refused_without_showing_a_password() {
    for (name, text) in [
        ("proxy", "socks5://user:canary@proxy.example"),
        ("proxy", ""),
        ("timeout", "0s"),
        ("timeout", "fast"),
        ("client-cert-file", "cert.pem"),
        ("client-key-file", "key.pem"),
    ] {
        let error = client(&Fixture::new().set(name, text)).unwrap_err();
        assert!(
            !format!("{error:?}").contains("canary") && error.hint.is_some(),
            "{error:?}"
        );
    }
    for wrong in [
        "vault:8200",
        "ftp://x",
        "https://user:canary@x",
        "https://x/?a=b",
        "",
        "unix:///x",
    ] {
        let error = Endpoint::parse("url", wrong).unwrap_err();
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }
}

#[test]
fn every_byte_of_a_name_stays_in_its_segment() {
    let endpoint = Endpoint::parse("url", "https://x.example").unwrap();
    for byte in 0..=0x7F_u8 {
        let name = format!("a{}b", char::from(byte));
        let url = endpoint.join(["v1", &name]);
        let [_, segment] = url.path_segments().unwrap().collect::<Vec<_>>()[..] else {
            panic!("{url} has other segments");
        };
        let told = percent_encoding::percent_decode_str(segment);
        assert_eq!(told.decode_utf8().unwrap(), name);
    }
    let url = endpoint.join(["a\tb", "ü", "a@b:c+d$e;f=g&h,i!j~k'(l)*[m]|n^o"]);
    assert_eq!(url.path(), "/a%09b/%C3%BC/a@b:c+d$e;f=g&h,i!j~k'(l)*[m]|n^o");
}

#[test]
fn an_address_under_a_path_keeps_it() {
    for base in ["https://x.example/secrets", "https://x.example/secrets/"] {
        let url = Endpoint::parse("url", base).unwrap().join(["v1", "sys"]);
        assert_eq!(url.as_str(), "https://x.example/secrets/v1/sys");
    }
}
