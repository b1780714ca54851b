use std::io::ErrorKind;
use std::time::Duration;

use futures_util::FutureExt;
use hyper::header::HeaderValue;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::TestCa;
use crate::clock::EPOCH;

const ANSWER: &str = r#"{"data":{"password":"value"},"warnings":null,"id":"x"}"#;

fn upstream() -> Server {
    Server::start(|request| match request.method.as_str() {
        "POST" => Response::bytes(201, request.body.clone()),
        _ => Response::bytes(200, ANSWER).with_header("x-seen", &request.target()),
    })
}

async fn get(faults: &Faults, target: &str) -> Response {
    Client::new(&faults.url())
        .send(Request::get(target))
        .await
        .unwrap()
}

#[tokio::test]
async fn without_rules_everything_passes_unchanged() {
    let server = upstream();
    let faults = Faults::before(&server.url());
    let response = get(&faults, "/v1/a%20b?x=1&y").await;
    assert_eq!(
        (response.status.as_u16(), response.body().as_ref()),
        (200, ANSWER.as_bytes())
    );
    assert_eq!(response.header("x-seen"), Some("/v1/a%20b?x=1&y"));

    let sent = Request::post("/", &json!({"a": 1})).with_header("x-vault-token", "t");
    let response = Client::new(&faults.url()).send(sent).await.unwrap();
    assert_eq!(
        (response.status.as_u16(), response.body().as_ref()),
        (201, &b"{\"a\":1}"[..])
    );
    let passed = &server.requests()[1];
    assert_eq!(passed.header("x-vault-token"), Some("t"));
    assert_eq!(passed.header("host").unwrap(), server.address().to_string());
    assert_eq!(faults.request_count(), 2);
}

#[tokio::test]
async fn statuses_are_made_up_and_carry_the_canary() {
    let server = upstream();
    let faults = Faults::before(&server.url());
    for status in [401, 403, 500, 502, 503, 504] {
        faults.clear();
        let rule = faults.inject(Fault::Status(status).into());
        let response = get(&faults, "/").await;
        assert_eq!(response.status, status);
        assert!(faults.canary().find(response.body()).is_some());
        assert_eq!(rule.hits(), 1);
    }
    assert_eq!(server.request_count(), 0);
    faults.clear();
    assert_eq!(get(&faults, "/").await.status, 200);
}

#[tokio::test]
async fn too_many_requests_may_say_when_to_come_back() {
    let server = upstream();
    let faults = Faults::before(&server.url());
    let date = SystemTime::UNIX_EPOCH + EPOCH;
    for (told, header) in [
        (RetryAfter::Missing, None),
        (RetryAfter::Seconds(17), Some("17")),
        (
            RetryAfter::Date { at: date, now: date },
            Some("Wed, 02 Jan 2030 03:04:05 GMT"),
        ),
        (RetryAfter::Text("soon".into()), Some("soon")),
    ] {
        faults.clear();
        faults.inject(Fault::RateLimited(told).into());
        let response = get(&faults, "/").await;
        assert_eq!(response.status, 429);
        let header = header.map(HeaderValue::from_static);
        assert_eq!(response.headers.get(RETRY_AFTER), header.as_ref());
    }
}

#[tokio::test]
async fn a_rule_minds_path_method_start_and_count() {
    let server = upstream();
    let faults = Faults::before(&server.url());
    let rule = Rule::new(Fault::Status(500))
        .on("/v1/*/data")
        .method(Method::GET)
        .after(1)
        .times(2);
    let injected = faults.inject(rule);
    let mut seen = Vec::new();
    for _ in 0..4 {
        assert_eq!(get(&faults, "/v1/other").await.status, 200);
        seen.push(get(&faults, "/v1/a/b/data").await.status.as_u16());
        let posted = Client::new(&faults.url())
            .send(Request::post("/v1/a/data", &1))
            .await;
        assert_eq!(posted.unwrap().status, 201);
    }
    assert_eq!(seen, [200, 500, 500, 200]);
    assert_eq!(injected.hits(), 2);
}

#[tokio::test]
async fn the_last_rule_put_in_force_goes_first() {
    let server = upstream();
    let faults = Faults::before(&server.url());
    faults.inject(Fault::Status(500).into());
    faults.inject(Rule::new(Fault::Status(401)).times(1));
    assert_eq!(get(&faults, "/").await.status, 401);
    assert_eq!(get(&faults, "/").await.status, 500);
}

#[test]
fn a_star_stands_for_any_bytes() {
    let matching = |pattern: &str, path: &str| glob(pattern.as_bytes(), path.as_bytes());
    assert!(matching("*", "") && matching("*", "/a/b") && matching("/a", "/a") && matching("/a*", "/a"));
    assert!(matching("/*/data/*", "/v1/secret/data/x/y") && matching("*/login", "/v1/auth/login"));
    assert!(!matching("/a", "/a/b") && !matching("/a", "/") && !matching("", "/"));
    assert!(!matching("/*/data/*", "/v1/secret/metadata") && !matching("*/login", "/login/x"));
}

#[tokio::test]
async fn a_hung_connection_stays_open_without_a_word() {
    let server = upstream();
    let faults = Faults::before(&server.url());
    let rule = faults.inject(Fault::NeverAnswers.into());
    let mut stream = TcpStream::connect(faults.address()).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    rule.struck(1).await;
    assert!(stream.read(&mut [0]).now_or_never().is_none());
}

#[tokio::test]
async fn half_a_body_hangs_closes_or_ends() {
    let server = upstream();
    let faults = Faults::before(&server.url());
    let half = &ANSWER[..ANSWER.len() / 2];

    faults.inject(Fault::TruncatedJson.into());
    assert_eq!(get(&faults, "/").await.body(), half);

    faults.clear();
    faults.inject(Fault::ClosesMidBody.into());
    Client::new(&faults.url())
        .send(Request::get("/"))
        .await
        .unwrap_err();

    faults.clear();
    faults.inject(Fault::HangsMidBody.into());
    let mut stream = TcpStream::connect(faults.address()).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    faults.hanging(1).await;
    let mut seen = [0; 4096];
    let mut received = Vec::new();
    while !received.ends_with(half.as_bytes()) {
        let read = stream.read(&mut seen).await.unwrap();
        assert!(read > 0, "the connection stays open");
        received.extend_from_slice(&seen[..read]);
    }
    assert!(stream.read(&mut seen).now_or_never().is_none());
}

#[tokio::test]
async fn a_reset_connection_is_reset() {
    let server = upstream();
    let faults = Faults::before(&server.url());
    faults.inject(Fault::Resets.into());
    let mut stream = TcpStream::connect(faults.address()).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let error = stream.read(&mut [0]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn garbage_is_well_formed_http() {
    let server = upstream();
    let faults = Faults::before(&server.url());
    let mut bodies = Vec::new();
    for fault in [
        Fault::NotJson,
        Fault::OtherShape,
        Fault::EmptyBody,
        Fault::HugeBody(3),
    ] {
        faults.clear();
        faults.inject(fault.into());
        let response = get(&faults, "/").await;
        assert_eq!(response.status, 200);
        bodies.push(response.body().clone());
    }
    let [page, shape, empty, huge] = bodies.as_slice() else {
        unreachable!("there are four")
    };
    assert!(serde_json::from_slice::<Value>(page).is_err() && faults.canary().find(page).is_some());
    let canary = faults.canary().as_str();
    assert_eq!(
        serde_json::from_slice::<Value>(shape).unwrap(),
        json!({"data": canary, "warnings": canary, "id": [canary]})
    );
    assert!(empty.is_empty());
    assert_eq!(huge.len(), 3 << 20);
}

#[tokio::test]
async fn a_gate_holds_requests_until_it_opens() {
    let server = upstream();
    let faults = Faults::before(&server.url());
    let gate = Gate::new();
    let rule = faults.inject(Fault::Held(gate.clone()).into());
    let opening = async {
        rule.struck(2).await;
        assert_eq!(server.request_count(), 0);
        gate.open();
    };
    let (one, two, ()) = tokio::join!(get(&faults, "/"), get(&faults, "/"), opening);
    assert_eq!((one.status.as_u16(), two.status.as_u16()), (200, 200));
    assert_eq!(faults.peak_concurrency(), 2);
}

#[tokio::test]
async fn a_slow_answer_is_the_true_answer() {
    let server = upstream();
    let faults = Faults::before(&server.url());
    let rule = faults.inject(Fault::Slow(Duration::from_millis(1)).into());
    assert_eq!(get(&faults, "/").await.body(), ANSWER);
    assert_eq!(rule.hits(), 1);
}

#[tokio::test]
async fn a_server_that_is_gone_is_a_bad_gateway() {
    let server = upstream();
    let faults = Faults::before(&server.url());
    server.go_down();
    assert_eq!(get(&faults, "/").await.status, 502);
    server.go_up();
    assert_eq!(get(&faults, "/").await.status, 200);
}

#[tokio::test]
async fn both_sides_may_speak_tls() {
    let (inner, outer) = (TestCa::new(), TestCa::new());
    let server = Server::builder()
        .tls(&inner)
        .start(|_| Response::text(200, "through"));
    let faults = Faults::between(
        Server::builder().tls(&outer),
        Client::new(&server.url()).trusting(&inner),
    );
    let client = Client::new(&faults.url()).trusting(&outer);
    assert_eq!(client.send(Request::get("/")).await.unwrap().body(), "through");
}
