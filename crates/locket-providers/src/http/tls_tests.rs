//! Trust and client certificates, against servers with certificates of an authority made for the test.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use locket_core::{Clock, Environment, ErrorKind, FetchCx};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::http::{Client, Endpoint, Request};
use crate::{BuildCx, Settings};

#[derive(Debug)]
struct Now;

impl Clock for Now {
    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Certificate and key, in PEM.
    fn issue(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.0).unwrap(), key)
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        roots
    }
}

/// A TLS server for `name`; asks for certificates of `clients` when given.
async fn serve(authority: &Authority, name: &str, clients: Option<&Authority>) -> (u16, JoinSet<()>) {
    let (certificate, key) = authority.issue(name);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(clients) => builder.with_client_cert_verifier(
            WebPkiClientVerifier::builder_with_provider(clients.roots().into(), provider)
                .build()
                .unwrap(),
        ),
    };
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = builder
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut task = JoinSet::new();
    task.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            connections.spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let mut request = [0; 4096];
                while stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                    if stream.write_all(answer).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (port, task)
}

struct Fixture {
    dir: tempfile::TempDir,
    settings: Settings,
    environment: Environment,
}

impl Fixture {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            settings: Settings::default(),
            // The system's own store plays no part unless a test points at it.
            environment: [("SSL_CERT_FILE", "/dev/null")].into_iter().collect(),
        }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn set(mut self, setting: &'static str, name: &str, text: &str) -> Self {
        self.file(name, text);
        self.settings = self.settings.with(setting, name);
        self
    }

    fn client(&self) -> Client {
        let clock: Arc<dyn Clock> = Arc::new(Now);
        Client::new(&BuildCx {
            instance: "test",
            settings: &self.settings,
            environment: &self.environment,
            base_dir: self.dir.path(),
            clock: &clock,
        })
        .unwrap()
    }
}

async fn get(client: &Client, port: u16) -> Result<(), locket_core::ProviderError> {
    let url = Endpoint::parse("url", &format!("https://localhost:{port}"))
        .unwrap()
        .join(["x"]);
    let cx = FetchCx {
        clock: Arc::new(Now),
        deadline: Duration::from_secs(60),
    };
    client.send(Request::get(url), &cx).await?.ok().map(drop)
}

#[tokio::test]
async fn a_private_authority_is_trusted_once_its_file_is_given() {
    let authority = Authority::new();
    let (port, _server) = serve(&authority, "localhost", None).await;
    let error = get(&Fixture::new().client(), port).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.context.contains("is not trusted"), "{error}");
    assert!(error.hint.unwrap().contains("ca-file"));
    let fixture = Fixture::new().set("ca-file", "ca.pem", &authority.0.pem());
    get(&fixture.client(), port).await.unwrap();
}

#[tokio::test]
async fn ssl_cert_file_is_trusted_too() {
    let authority = Authority::new();
    let (port, _server) = serve(&authority, "localhost", None).await;
    let mut fixture = Fixture::new();
    let path = fixture.file("system.pem", &authority.0.pem());
    fixture.environment = [("SSL_CERT_FILE", path)].into_iter().collect();
    get(&fixture.client(), port).await.unwrap();
}

#[tokio::test]
async fn a_trusted_certificate_for_another_name_is_refused() {
    let authority = Authority::new();
    let (port, _server) = serve(&authority, "other.example", None).await;
    let fixture = Fixture::new().set("ca-file", "ca.pem", &authority.0.pem());
    let error = get(&fixture.client(), port).await.unwrap_err();
    assert!(error.context.contains("is for another name"), "{error}");
}

#[tokio::test]
async fn a_replaced_ca_file_counts_at_the_next_request() {
    let (first, second) = (Authority::new(), Authority::new());
    let (port, _server) = serve(&second, "localhost", None).await;
    let fixture = Fixture::new().set("ca-file", "ca.pem", &first.0.pem());
    let client = fixture.client();
    assert!(get(&client, port).await.is_err());
    let staged = fixture.file("new.pem", &second.0.pem());
    std::fs::rename(staged, fixture.dir.path().join("ca.pem")).unwrap();
    get(&client, port).await.unwrap();
}

#[tokio::test]
async fn a_server_that_wants_a_client_certificate_gets_it_or_the_user_hears_of_it() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let (port, _server) = serve(&authority, "localhost", Some(&clients)).await;
    let trusting = || Fixture::new().set("ca-file", "ca.pem", &authority.0.pem());
    let error = get(&trusting().client(), port).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Auth, "{error}");
    assert!(error.hint.unwrap().contains("client-cert-file"));

    let (certificate, key) = clients.issue("client");
    let fixture = trusting()
        .set("client-cert-file", "client.pem", &certificate.pem())
        .set("client-key-file", "client.key", &key.serialize_pem());
    get(&fixture.client(), port).await.unwrap();

    let (_, stranger) = clients.issue("stranger");
    let fixture = trusting()
        .set("client-cert-file", "client.pem", &certificate.pem())
        .set("client-key-file", "client.key", &stranger.serialize_pem());
    let error = get(&fixture.client(), port).await.unwrap_err();
    assert!(error.hint.unwrap().contains("belong together"));
}

#[tokio::test]
async fn files_that_hold_nothing_useful_are_named() {
    for (setting, content) in [("ca-file", "no PEM"), ("ca-file", "")] {
        let fixture = Fixture::new().set(setting, "broken.pem", content);
        let error = get(&fixture.client(), 1).await.unwrap_err();
        assert!(error.context.contains("broken.pem"), "{error}");
    }
    let mut fixture = Fixture::new();
    fixture.settings = fixture.settings.with("ca-file", "absent.pem");
    let error = get(&fixture.client(), 1).await.unwrap_err();
    assert!(error.context.contains("absent.pem"), "{error}");
}

#[tokio::test]
async fn a_plain_server_behind_an_https_address_is_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut task = JoinSet::new();
    task.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            let _ = stream.read(&mut [0; 1024]).await;
        }
    });
    let error = get(&Fixture::new().client(), port).await.unwrap_err();
    assert!(error.context.ends_with("does not speak TLS"), "{error}");
    assert!(error.hint.unwrap().contains("http://"));
}
