//! The client against small servers of its own, on sockets that are really there.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use locket_core::{Clock, Environment, ErrorKind, FetchCx, ProviderError, SecretBytes};
use reqwest::header::HeaderName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::*;
use crate::{BuildCx, Settings};

const SECRET: &str = "canary-in-a-header";

/// Answers every request on every connection with what `answer` makes of its text; ends with the test.
struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
    _task: JoinSet<()>,
}

impl Server {
    async fn start(answer: impl Fn(&str) -> String + Clone + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = seen.clone();
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = connections.clone();
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                let (answer, log) = (answer.clone(), log.clone());
                open.spawn(async move {
                    let mut buffer = Vec::new();
                    while stream.read_buf(&mut buffer).await.is_ok_and(|read| read > 0) {
                        if !buffer.ends_with(b"\r\n\r\n") {
                            continue;
                        }
                        let request = String::from_utf8(std::mem::take(&mut buffer)).unwrap();
                        let answer = answer(&request);
                        log.lock().unwrap().push(request);
                        if stream.write_all(answer.as_bytes()).await.is_err() || answer.is_empty() {
                            std::future::pending::<()>().await;
                        }
                    }
                });
            }
        });
        Self {
            address,
            seen,
            connections,
            _task: task,
        }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777)
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

fn client(settings: &Settings, environment: &[(&str, &str)]) -> Result<Client, crate::ConfigError> {
    let environment: Environment = environment.iter().copied().collect();
    let clock: Arc<dyn Clock> = Arc::new(Still);
    Client::new(&BuildCx {
        instance: "test",
        settings,
        environment: &environment,
        base_dir: Path::new("/"),
        clock: &clock,
    })
}

fn cx() -> FetchCx {
    FetchCx {
        clock: Arc::new(Still),
        deadline: Duration::from_secs(60),
    }
}

fn request(url: &str) -> Request {
    let url = Endpoint::parse("url", url).unwrap().join(["v1", "a b", "x/y"]);
    Request::get(url)
        .query("token", "canary-in-a-query")
        .secret_header(
            HeaderName::from_static("x-token"),
            &SecretBytes::copy_from(SECRET.as_bytes()),
        )
        .unwrap()
}

async fn get(url: &str) -> Result<Response, ProviderError> {
    let client = client(&Settings::default(), &[]).unwrap();
    client.send(request(url), &cx()).await?.ok()
}

#[tokio::test]
async fn a_body_arrives_whole_and_the_path_stays_in_its_segments() {
    let server = Server::start(|_| answer("200 OK", "x-more: 1\r\n", "the body")).await;
    let response = get(&server.url()).await.unwrap();
    assert_eq!(response.body.bytes(), b"the body");
    assert_eq!(response.header(&HeaderName::from_static("x-more")), Some("1"));
    let seen = server.seen().remove(0);
    assert!(
        seen.starts_with("GET /v1/a%20b/x%2Fy?token=canary-in-a-query HTTP/1.1"),
        "{seen}"
    );
    assert!(seen.contains(SECRET), "the header is sent");
}

#[tokio::test]
async fn one_connection_serves_request_after_request() {
    let server = Server::start(|_| answer("200 OK", "", "")).await;
    let client = client(&Settings::default(), &[]).unwrap();
    for _ in 0..5 {
        client.send(request(&server.url()), &cx()).await.unwrap();
    }
    assert_eq!(server.seen().len(), 5, "each request was answered");
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn every_status_has_its_kind_and_no_error_shows_query_header_or_body() {
    use ErrorKind::{Auth, Denied, Invalid, NotFound, RateLimited, Unavailable};
    let seconds = |seconds| RateLimited {
        retry_after: Some(Duration::from_secs(seconds)),
    };
    let cases = [
        ("400 Bad Request", "", Invalid),
        ("401 Unauthorized", "", Auth),
        ("403 Forbidden", "", Denied),
        ("404 Not Found", "", NotFound),
        ("429 Too Many", "", RateLimited { retry_after: None }),
        ("429 Too Many", "retry-after: 7\r\n", seconds(7)),
        (
            "429 Too Many",
            "retry-after: Sun, 06 Nov 1994 08:50:00 GMT\r\n",
            seconds(23),
        ),
        (
            "429 Too Many",
            "retry-after: Sun, 06 Nov 1994 08:00:00 GMT\r\n",
            seconds(0),
        ),
        (
            "429 Too Many",
            "retry-after: soon\r\n",
            RateLimited { retry_after: None },
        ),
        ("500 Oops", "", Unavailable),
        ("503 Busy", "", Unavailable),
        ("304 Not Modified", "", Invalid),
    ];
    for (status, headers, kind) in cases {
        let server = Server::start(move |_| answer(status, headers, "canary-in-a-body")).await;
        let error = get(&server.url()).await.unwrap_err();
        assert_eq!(error.kind, kind, "{status} {headers}");
        let text = format!("{error:?}");
        assert!(!text.contains("canary"), "{text}");
        assert!(text.contains("/v1/a%20b/x%2Fy"), "{text}");
    }
}

#[tokio::test]
async fn a_refused_connection_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = get(&format!("http://{address}")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert_eq!(error.context, format!("connection refused by {address}"));
}

#[tokio::test]
async fn a_name_without_address_says_so() {
    let error = get("http://no-such-host.invalid:8200").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(
        error
            .context
            .starts_with("the name of no-such-host.invalid:8200 has no address"),
        "{error}"
    );
}

#[tokio::test]
async fn localhost_is_reached_by_name() {
    let server = Server::start(|_| answer("200 OK", "", "")).await;
    get(&format!("http://localhost:{}", server.address.port()))
        .await
        .unwrap();
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_server_that_accepts_and_hangs_costs_the_timeout_only() {
    let server = Server::start(|_| String::new()).await;
    let settings = Settings::default().with("timeout", "150ms");
    let client = client(&settings, &[]).unwrap();
    let error = client.send(request(&server.url()), &cx()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.context.ends_with("gave no answer within 150ms"), "{error}");
    assert_eq!(server.seen().len(), 1, "it was asked");
}

#[tokio::test]
async fn the_deadline_bounds_a_request_more_than_the_timeout() {
    let server = Server::start(|_| String::new()).await;
    let client = client(&Settings::default(), &[]).unwrap();
    let deadline = |deadline| FetchCx { deadline, ..cx() };
    let soon = deadline(Duration::from_millis(100));
    let error = client.send(request(&server.url()), &soon).await.unwrap_err();
    assert!(error.context.ends_with("within 100ms"), "{error}");
    let past = deadline(Duration::ZERO);
    let error = client.send(request(&server.url()), &past).await.unwrap_err();
    assert!(error.context.starts_with("no time was left"), "{error}");
    assert_eq!(server.seen().len(), 1, "nothing is sent without time");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_unavailable() {
    let server = Server::start(|_| "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart".to_owned()).await;
    let settings = Settings::default().with("timeout", "150ms");
    let client = client(&settings, &[]).unwrap();
    let error = client.send(request(&server.url()), &cx()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    let server = Server::start(|_| "this is no HTTP\r\n\r\n".to_owned()).await;
    let error = get(&server.url()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_body_past_the_limit_is_refused() {
    let server = Server::start(|_| answer("200 OK", "", &"x".repeat((16 << 20) + 1))).await;
    let error = get(&server.url()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.context.ends_with("more than 16 MiB"), "{error}");
    let server = Server::start(|_| answer("200 OK", "", &"x".repeat(16 << 20))).await;
    assert_eq!(get(&server.url()).await.unwrap().body.bytes().len(), 16 << 20);
}

#[tokio::test]
async fn a_redirect_is_followed_on_its_own_host_and_never_to_another() {
    let other = Server::start(|_| answer("200 OK", "", "")).await;
    let target = other.url();
    let server = Server::start(move |request| {
        if request.starts_with("GET /moved") {
            answer("200 OK", "", "here")
        } else if request.starts_with("GET /away") {
            answer("307 Temporary Redirect", &format!("location: {target}/x\r\n"), "")
        } else {
            answer("307 Temporary Redirect", "location: /moved\r\n", "")
        }
    })
    .await;
    assert_eq!(get(&server.url()).await.unwrap().body.bytes(), b"here");
    let error = get(&format!("{}/away", server.url())).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(
        error.context.ends_with(&format!("redirects to {}", other.url())),
        "{error}"
    );
    assert!(other.seen().is_empty(), "the credential stayed here");
}

#[tokio::test]
async fn a_proxy_is_used_as_set_or_as_the_environment_says() {
    let proxy = Server::start(|_| answer("200 OK", "", "by proxy")).await;
    let asked = |request: &str| request.starts_with("GET http://secrets.example/");
    let set = |text: &str| Settings::default().with("proxy", text);
    let url = proxy.url();
    let nothing = Settings::default();
    let cases: [(&Settings, &[(&str, &str)], bool); 6] = [
        (&set(&url), &[], true),
        (&nothing, &[("http_proxy", &url)], true),
        (&nothing, &[("ALL_PROXY", &url)], true),
        (
            &nothing,
            &[("http_proxy", &url), ("NO_PROXY", "secrets.example")],
            false,
        ),
        (&nothing, &[("HTTP_PROXY", &url)], false),
        (&set("none"), &[("http_proxy", &url)], false),
    ];
    for (settings, environment, proxied) in cases {
        let before = proxy.seen().len();
        let client = client(settings, environment).unwrap();
        let outcome = client.send(request("http://secrets.example"), &cx()).await;
        let seen = proxy.seen();
        assert_eq!(seen.len() - before, usize::from(proxied), "{environment:?}");
        assert_eq!(outcome.is_ok(), proxied);
        assert!(seen[before..].iter().all(|request| asked(request)), "{seen:?}");
    }
}

#[test]
fn a_setting_that_cannot_work_is_refused_without_showing_a_password() {
    let set = |name, text: &str| Settings::default().with(name, text);
    let cases = [
        set("proxy", "socks5://user:canary@proxy.example"),
        set("timeout", "0s"),
        set("timeout", "fast"),
        set("client-cert-file", "cert.pem"),
        set("client-key-file", "key.pem"),
    ];
    for settings in cases {
        let error = client(&settings, &[]).unwrap_err();
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
        let error = Endpoint::parse("bao.url", wrong).unwrap_err();
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }
}

#[test]
fn an_address_under_a_path_keeps_it() {
    for base in ["https://x.example/secrets", "https://x.example/secrets/"] {
        let url = Endpoint::parse("url", base).unwrap().join(["v1", "sys"]);
        assert_eq!(url.as_str(), "https://x.example/secrets/v1/sys");
    }
}
