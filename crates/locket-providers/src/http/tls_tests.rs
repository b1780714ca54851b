//! Trust and client certificates, against servers with certificates of authorities made for the test.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use locket_core::{ErrorKind, ProviderError};
use locket_testkit::{Response as Reply, Server, TestCa};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::http::stamp::GLANCE;
use crate::http::{Client, Endpoint, Request};
use crate::testing::Fixture;

fn https(ca: &TestCa) -> Server {
    Server::builder().tls(ca).start(|_| Reply::text(200, ""))
}

fn trusting(ca: &TestCa) -> Fixture {
    Fixture::new().set_file("ca-file", &ca.pem())
}

async fn ask(client: &Client, fixture: &Fixture, url: &str) -> Result<(), ProviderError> {
    let url = Endpoint::parse("url", url).unwrap().join(["x"]);
    client
        .send(Request::get(url), &fixture.fetch_cx())
        .await
        .map(drop)
}

async fn get(fixture: &Fixture, server: &Server) -> Result<(), ProviderError> {
    let client = fixture.build(Client::new).unwrap();
    ask(&client, fixture, &server.url()).await
}

#[tokio::test]
async fn a_private_authority_is_trusted_once_its_file_is_given() {
    let ca = TestCa::new();
    let server = https(&ca);
    let error = get(&Fixture::new(), &server).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.context.contains("is not trusted"), "{error}");
    assert!(error.hint.unwrap().contains("ca-file"));
    get(&trusting(&ca), &server).await.unwrap();
}

#[tokio::test]
async fn ssl_cert_file_is_trusted_too() {
    let ca = TestCa::new();
    let server = https(&ca);
    let file = ca.file();
    let fixture = Fixture::new().environment([("SSL_CERT_FILE", file.to_str().unwrap())]);
    get(&fixture, &server).await.unwrap();
}

#[tokio::test]
async fn a_trusted_certificate_for_another_name_is_refused() {
    let ca = TestCa::new();
    let server = https(&ca);
    let fixture = trusting(&ca);
    let client = fixture.build(Client::new).unwrap();
    let port = server.address().port();
    ask(&client, &fixture, &format!("https://localhost:{port}"))
        .await
        .unwrap();
    let error = ask(&client, &fixture, &format!("https://other.localhost:{port}"))
        .await
        .unwrap_err();
    assert!(error.context.contains("is for another name"), "{error}");
}

#[tokio::test]
async fn a_replaced_ca_file_counts_at_the_next_request() {
    let (first, second) = (TestCa::new(), TestCa::new());
    let server = https(&second);
    let fixture = trusting(&first);
    let client = fixture.build(Client::new).unwrap();
    assert!(ask(&client, &fixture, &server.url()).await.is_err());
    fixture.write("ca-file", &second.pem());
    ask(&client, &fixture, &server.url()).await.unwrap();
}

#[tokio::test]
async fn a_ca_file_that_comes_late_or_in_pieces_is_waited_for() {
    let ca = TestCa::new();
    let server = https(&ca);
    let fixture = Fixture::new().set("ca-file", "ca-file");
    let client = fixture.build(Client::new).unwrap();
    let pem = ca.pem();
    for (content, kind) in [
        // Like every other file that is not there: asked again by an agent, and no reason for a single round to wait.
        (None, ErrorKind::Auth),
        (Some(""), ErrorKind::Unavailable),
        (Some(&pem[..pem.len() / 2]), ErrorKind::Unavailable),
    ] {
        content.map(|content| fixture.write("ca-file", content));
        let error = ask(&client, &fixture, &server.url()).await.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert!(
            error.context.contains("gives no certificate authority"),
            "{error}"
        );
    }
    fixture.write("ca-file", &pem);
    ask(&client, &fixture, &server.url()).await.unwrap();
    // What served once goes on while the file is written anew.
    fixture.write("ca-file", &pem[..pem.len() / 2]);
    ask(&client, &fixture, &server.url()).await.unwrap();
    // It is another authority's in the end.
    fixture.write("ca-file", &TestCa::new().pem());
    ask(&client, &fixture, &server.url()).await.unwrap_err();
}

#[tokio::test]
async fn what_served_before_a_rest_serves_after_it_while_the_file_is_written_anew() {
    let ca = TestCa::new();
    let (server, fixture) = (https(&ca), trusting(&ca));
    let client = fixture.build(Client::new).unwrap();
    ask(&client, &fixture, &server.url()).await.unwrap();
    client.rest();
    fixture.write("ca-file", "");
    ask(&client, &fixture, &server.url()).await.unwrap();
    assert_eq!(server.connection_count(), 2, "the rest closed the first");
    client.rest();
    // It is another authority's in the end.
    fixture.write("ca-file", &TestCa::new().pem());
    ask(&client, &fixture, &server.url()).await.unwrap_err();
}

#[tokio::test]
async fn a_file_that_can_be_looked_at_and_not_be_read_costs_a_pool_that_serves_little_and_once() {
    let ca = TestCa::new();
    let (server, fixture) = (https(&ca), trusting(&ca));
    let client = fixture.build(Client::new).unwrap();
    ask(&client, &fixture, &server.url()).await.unwrap();
    let path = fixture.write("ca-file", "");
    std::fs::remove_file(&path).unwrap();
    // Nobody writes to it.
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR).unwrap();
    let url = server.url();
    let asking = futures_util::future::join_all((0..10).map(|_| ask(&client, &fixture, &url)));
    // One after the other would be twenty seconds.
    for outcome in tokio::time::timeout(GLANCE * 4, asking).await.unwrap() {
        outcome.unwrap();
    }
    tokio::time::timeout(GLANCE, ask(&client, &fixture, &url))
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_request_that_was_never_sent_is_not_counted() {
    let ca = TestCa::new();
    let server = https(&ca);
    let fixture = Fixture::new().set("ca-file", "ca-file");
    let client = fixture.build(Client::new).unwrap();
    let counter = Arc::new(AtomicU64::new(0));
    let cx = fixture.fetch_cx().counting(counter.clone());
    let url = Endpoint::parse("url", &server.url()).unwrap().join(["x"]);
    client.send(Request::get(url), &cx).await.unwrap_err();
    assert_eq!(counter.load(Ordering::Relaxed), 0);
    fixture.write("ca-file", &ca.pem());
    let url = Endpoint::parse("url", &server.url()).unwrap().join(["x"]);
    client.send(Request::get(url), &cx).await.unwrap();
    assert_eq!(counter.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_server_that_wants_a_client_certificate_gets_it_or_the_user_hears_of_it() {
    let ca = TestCa::new();
    let server = Server::builder().mutual_tls(&ca).start(|_| Reply::text(200, ""));
    let error = get(&trusting(&ca), &server).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Auth, "{error}");
    assert!(error.hint.unwrap().contains("client-cert-file"));

    let (client, stranger) = (ca.client_leaf("client"), ca.client_leaf("stranger"));
    let fixture = trusting(&ca)
        .set_file("client-cert-file", &client.certificate_pem)
        .set_file("client-key-file", &client.key_pem);
    get(&fixture, &server).await.unwrap();
    let shown = server.requests().remove(0).client_certificate;
    assert_eq!(shown.as_deref(), Some(client.der()));

    fixture.write("client-key-file", &stranger.key_pem);
    let error = get(&fixture, &server).await.unwrap_err();
    assert!(error.hint.unwrap().contains("belong together"));
}

#[tokio::test]
async fn files_that_hold_nothing_useful_are_named() {
    let server = https(&TestCa::new());
    for content in ["no PEM", ""] {
        let error = get(&Fixture::new().set_file("ca-file", content), &server)
            .await
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable);
        assert!(error.context.contains("ca-file"), "{error}");
    }
    let error = get(&Fixture::new().set("ca-file", "absent.pem"), &server)
        .await
        .unwrap_err();
    assert!(error.context.contains("absent.pem"), "{error}");
}

#[tokio::test]
async fn a_server_without_tls_never_needs_a_certificate_file() {
    let server = Server::start(|_| Reply::text(200, ""));
    get(&Fixture::new().set("ca-file", "absent.pem"), &server)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_plain_server_behind_an_https_address_is_told_apart() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let fixture = Fixture::new();
    let client = fixture.build(Client::new).unwrap();
    let answering = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let hello = stream.read(&mut [0; 1024]).await.unwrap();
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await
            .unwrap();
        hello
    };
    let (outcome, hello) = tokio::join!(ask(&client, &fixture, &url), answering);
    let error = outcome.unwrap_err();
    assert!(
        hello > 0 && error.context.ends_with("does not speak TLS"),
        "{error}"
    );
    assert!(error.hint.unwrap().contains("http://"));
}

#[tokio::test]
async fn a_tls_server_is_reached_through_a_tunnel_of_the_proxy() {
    let ca = TestCa::new();
    let server = https(&ca);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    let fixture = trusting(&ca).environment([("https_proxy", &*proxy)]);
    let client = fixture.build(Client::new).unwrap();
    let tunnel = async {
        let (mut near, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            assert!(near.read_buf(&mut head).await.unwrap() > 0);
        }
        let mut far = tokio::net::TcpStream::connect(server.address()).await.unwrap();
        near.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        // Ends when the test does.
        let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
        head
    };
    let url = format!("https://localhost:{}", server.address().port());
    let asking = async {
        let outcome = ask(&client, &fixture, &url).await;
        drop(client);
        outcome
    };
    let (outcome, head) = tokio::join!(asking, tunnel);
    outcome.unwrap();
    let head = String::from_utf8(head).unwrap();
    let wanted = format!("CONNECT localhost:{} ", server.address().port());
    assert!(head.starts_with(&wanted), "{head}");
    assert_eq!(server.request_count(), 1);
}
