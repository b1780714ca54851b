use std::future::pending;
use std::io::ErrorKind;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Server;
use crate::http::Body;
use crate::{Client, Request, Response, TestCa};

const LONG: Duration = Duration::from_secs(30);

#[tokio::test]
async fn the_handler_sees_the_whole_request_and_its_response_arrives_whole() {
    let server = Server::start(|request| {
        assert_eq!(request.method, "POST");
        assert_eq!(request.segments(), ["a b", "c"]);
        assert_eq!(request.param("q").as_deref(), Some("x y&z"));
        assert_eq!(request.bearer(), Some("token"));
        let body: serde_json::Value = request.json().expect("the body is JSON");
        Response::json(201, &body).with_header("x-extra", "1")
    });
    let sent = serde_json::json!({"n": [1, 2, 3]});
    let request = Request::post("/a%20b/c?q=x+y%26z", &sent).with_header("authorization", "Bearer token");
    let response = Client::new(&server.url()).send(request).await.unwrap();
    assert_eq!(response.status, 201);
    assert_eq!(response.header("x-extra"), Some("1"));
    assert_eq!(response.json_value::<serde_json::Value>().unwrap(), sent);
    assert_eq!(server.request_count(), 1);
    assert_eq!(server.requests()[0].target(), "/a%20b/c?q=x+y%26z");
    server.forget();
    assert!(server.requests().is_empty());
}

#[test]
fn a_blocking_test_can_serve_ask_and_wait() {
    let server = Server::start(|_| Response::text(200, "hello"));
    let client = Client::new(&server.url());
    let asking = std::thread::scope(|scope| {
        let asking = scope.spawn(|| client.send_blocking(Request::get("/")).unwrap());
        server.wait_for_requests(1, LONG);
        asking.join().unwrap()
    });
    assert_eq!(asking.body(), "hello");
}

#[test]
#[should_panic(expected = "0 of 1 requests arrived")]
fn waiting_for_a_request_that_never_comes_fails_the_test() {
    let server = Server::start(|_| Response::status(200));
    server.wait_for_requests(1, Duration::from_millis(10));
}

#[tokio::test]
async fn a_connection_is_kept_alive_and_numbered() {
    let server = Server::start(|request| Response::text(200, request.connection.to_string()));
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    for _ in 0..2 {
        stream
            .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        let mut answer = [0; 1024];
        let read = stream.read(&mut answer).await.unwrap();
        assert!(answer[..read].ends_with(b"\r\n\r\n0"));
    }
    Client::new(&server.url()).send(Request::get("/")).await.unwrap();
    let connections: Vec<_> = server
        .requests()
        .iter()
        .map(|request| request.connection)
        .collect();
    assert_eq!(connections, [0, 0, 1]);
    assert_eq!(server.connection_count(), 2);
}

#[tokio::test]
async fn peak_concurrency_counts_what_is_answered_at_once() {
    let (open, gate) = tokio::sync::watch::channel(false);
    let server = Server::start_async(move |_| {
        let mut gate = gate.clone();
        async move {
            gate.wait_for(|open| *open).await.unwrap();
            Response::status(200)
        }
    });
    let client = Client::new(&server.url());
    let asking = join_all((0..5).map(|_| client.send(Request::get("/"))));
    let opening = async {
        server.arrived(5).await;
        open.send_replace(true);
    };
    let (answers, ()) = tokio::join!(asking, opening);
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(server.peak_concurrency(), 5);
    server.forget();
    for _ in 0..5 {
        client.send(Request::get("/")).await.unwrap();
    }
    assert_eq!(
        server.peak_concurrency(),
        1,
        "one after the other is no concurrency"
    );
}

#[tokio::test]
async fn a_client_that_goes_away_no_longer_counts() {
    let server = Server::start_async(|_| pending::<Response>());
    let client = Client::new(&server.url());
    tokio::select! {
        _ = client.send(Request::get("/")) => unreachable!("nobody answers"),
        () = server.arrived(1) => {}
    }
    // The server learns of it a moment later: each try waits for a request of its own.
    for attempt in 2.. {
        server.forget();
        tokio::select! {
            _ = client.send(Request::get("/")) => unreachable!("nobody answers"),
            () = server.arrived(1) => {}
        }
        if server.peak_concurrency() == 1 {
            break;
        }
        assert!(attempt < 1000, "requests of clients that left pile up");
    }
}

#[tokio::test]
async fn bodies_that_misbehave_do_so() {
    let server = Server::start(|request| {
        let start = Bytes::from_static(b"{\"start\":");
        Response::status(200).with_body(match request.path.as_str() {
            "/hanging" => Body::Hanging(start),
            "/cut" => Body::Cut(start),
            _ => Body::Repeated {
                chunk: Bytes::from_static(&[b' '; 1024]),
                times: 3000,
            },
        })
    });
    let client = Client::new(&server.url());
    let large = client.send(Request::get("/large")).await.unwrap();
    assert_eq!(large.body().len(), 3000 * 1024);
    assert_eq!(server.body_bytes_sent(), 3000 * 1024);
    client.send(Request::get("/cut")).await.unwrap_err();

    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream
        .write_all(b"GET /hanging HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"{\"start\":") {
        assert_ne!(stream.read_buf(&mut seen).await.unwrap(), 0, "it stays open");
    }
    let more = stream.read_buf(&mut seen);
    assert!(
        futures_util::FutureExt::now_or_never(more).is_none(),
        "it neither ends nor goes on"
    );
}

#[tokio::test]
async fn a_reset_is_a_reset_and_not_an_orderly_end() {
    let server = Server::start(|_| Response::reset());
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let error = stream.read_to_end(&mut Vec::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn down_refuses_and_up_serves_on_the_same_port() {
    let server = Server::start(|_| Response::status(200));
    let client = Client::new(&server.url());
    client.send(Request::get("/")).await.unwrap();
    server.go_down();
    let error = client.send(Request::get("/")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    server.go_up();
    client.send(Request::get("/")).await.unwrap();
}

#[tokio::test]
async fn a_hanging_body_is_reported_once_the_client_has_what_was_sent() {
    let start = Bytes::from_static(b"start");
    let server = Server::start(move |_| Response::status(200).with_body(Body::Hanging(start.clone())));
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    server.hanging(1).await;
    let mut seen = [0; 4096];
    // As the kernel has it now, whatever this runtime has heard of it: nothing is left to wait for.
    let mut stream = stream.into_std().unwrap();
    let read = std::io::Read::read(&mut stream, &mut seen).unwrap();
    assert!(seen[..read].ends_with(b"start"));
}

#[tokio::test]
async fn a_blackhole_takes_connections_and_says_nothing() {
    let blackhole = Server::blackhole();
    let mut stream = TcpStream::connect(blackhole.address()).await.unwrap();
    stream.write_all(b"hello\r\n\r\n").await.unwrap();
    blackhole.connected(1).await;
    let mut nothing = [0];
    let answer = stream.read(&mut nothing);
    assert!(futures_util::FutureExt::now_or_never(answer).is_none());
    assert_eq!(blackhole.request_count(), 0);
    drop(blackhole);
    // Closed with unread bytes, which the kernel tells as a reset.
    stream.read(&mut nothing).await.unwrap_err();
}

#[tokio::test]
async fn a_dropped_server_is_gone() {
    let server = Server::start(|_| Response::status(200));
    let client = Client::new(&server.url());
    client.send(Request::get("/")).await.unwrap();
    drop(server);
    let error = client.send(Request::get("/")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn tls_is_trusted_by_those_who_know_the_authority_alone() {
    let (ca, other) = (TestCa::new(), TestCa::new());
    let server = Server::builder().tls(&ca).start(|_| Response::status(200));
    assert!(server.url().starts_with("https://127.0.0.1:"));
    let client = Client::new(&server.url());
    client
        .clone()
        .trusting(&ca)
        .send(Request::get("/"))
        .await
        .unwrap();
    let by_name = server.url().replace("127.0.0.1", "localhost");
    Client::new(&by_name)
        .trusting(&ca)
        .send(Request::get("/"))
        .await
        .unwrap();
    client.trusting(&other).send(Request::get("/")).await.unwrap_err();
}

#[tokio::test]
async fn mutual_tls_wants_a_certificate_of_the_same_authority() {
    let (ca, other) = (TestCa::new(), TestCa::new());
    let server = Server::builder().mutual_tls(&ca).start(|_| Response::status(200));
    let (known, unknown) = (ca.client_leaf("agent"), other.client_leaf("agent"));
    let client = Client::new(&server.url());
    let identified = client.clone().identified(&ca, &known);
    identified.send(Request::get("/")).await.unwrap();
    assert_eq!(
        server.requests()[0].client_certificate.as_deref(),
        Some(known.der())
    );
    let stranger = client.clone().identified(&ca, &unknown);
    stranger.send(Request::get("/")).await.unwrap_err();
    client.trusting(&ca).send(Request::get("/")).await.unwrap_err();
    assert_eq!(
        server.request_count(),
        1,
        "those refused never reached the handler"
    );
}

#[test]
fn the_authority_and_its_leaves_stand_in_files_and_differ() {
    let ca = TestCa::new();
    let (server, client) = (ca.server_leaf(), ca.client_leaf("agent"));
    assert_eq!(std::fs::read_to_string(ca.file()).unwrap(), ca.pem());
    for leaf in [&server, &client] {
        assert_eq!(
            std::fs::read_to_string(&leaf.certificate_file).unwrap(),
            leaf.certificate_pem
        );
        assert_eq!(std::fs::read_to_string(&leaf.key_file).unwrap(), leaf.key_pem);
        assert_ne!(leaf.certificate_pem, ca.pem());
    }
    assert_ne!(server.certificate_file, client.certificate_file);
}
