//! A certificate authority for tests, with leaves of its own: a CA that doubles as a leaf is refused by clients.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;

/// A certificate authority that exists for one test.
pub struct TestCa {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: TempDir,
    issued: AtomicUsize,
}

/// A leaf certificate and its key, in memory and as PEM files that live as long as their [`TestCa`].
#[derive(Clone, Debug)]
pub struct Leaf {
    /// The certificate, as PEM.
    pub certificate_pem: String,
    /// The key, as PEM.
    pub key_pem: String,
    /// The file that holds the certificate.
    pub certificate_file: PathBuf,
    /// The file that holds the key.
    pub key_file: PathBuf,
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

/// Whether a server asks for the client's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientCertificate {
    NotAsked,
    Required,
}

impl Default for TestCa {
    fn default() -> Self {
        Self::new()
    }
}

impl TestCa {
    /// A new authority, with its certificate in a temporary file.
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "locket test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key can be made");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a certificate can be signed");
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        std::fs::write(directory.path().join("ca.pem"), issuer.pem()).expect("the directory is writable");
        Self {
            issuer,
            directory,
            issued: AtomicUsize::new(0),
        }
    }

    /// The authority's certificate, as PEM.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// The file that holds it, for `ca-file`, `SSL_CERT_FILE` and the like.
    pub fn file(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// A certificate for a server on 127.0.0.1 and `localhost`.
    pub fn server_leaf(&self) -> Leaf {
        self.leaf("localhost", ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A certificate for a client of this common name.
    pub fn client_leaf(&self, common_name: &str) -> Leaf {
        self.leaf(common_name, ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn leaf(&self, common_name: &str, usage: ExtendedKeyUsagePurpose) -> Leaf {
        let key = KeyPair::generate().expect("a key can be made");
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        params.subject_alt_names = vec![
            SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            SanType::DnsName("localhost".try_into().expect("localhost is a name")),
            // Where hosts below one domain matter, as for Azure's vaults.
            SanType::DnsName("*.vault.localhost".try_into().expect("that is a name")),
        ];
        let certificate = params
            .signed_by(&key, &self.issuer)
            .expect("a certificate can be signed");
        let stem = format!("{}-{}", common_name, self.issued.fetch_add(1, Ordering::Relaxed));
        Leaf {
            certificate_file: self.write(&format!("{stem}.pem"), &certificate.pem()),
            key_file: self.write(&format!("{stem}.key"), &key.serialize_pem()),
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            certificate: certificate.der().clone(),
            key: key.serialize_der(),
        }
    }

    pub(crate) fn acceptor(&self, client: ClientCertificate) -> TlsAcceptor {
        let leaf = self.server_leaf();
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring speaks TLS");
        let builder = match client {
            ClientCertificate::NotAsked => builder.with_no_client_auth(),
            ClientCertificate::Required => builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(
                    Arc::new(self.roots()),
                    Arc::new(ring::default_provider()),
                )
                .build()
                .expect("the authority is a trust anchor"),
            ),
        };
        let mut config = builder
            .with_single_cert(vec![leaf.certificate.clone()], leaf.private_key())
            .expect("the key belongs to the certificate");
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }

    /// What a client needs to trust this authority and, with `identity`, to show a certificate.
    pub(crate) fn client_config(&self, identity: Option<&Leaf>) -> Arc<ClientConfig> {
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring speaks TLS")
            .with_root_certificates(self.roots());
        Arc::new(match identity {
            None => builder.with_no_client_auth(),
            Some(leaf) => builder
                .with_client_auth_cert(vec![leaf.certificate.clone()], leaf.private_key())
                .expect("the key belongs to the certificate"),
        })
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots
            .add(self.issuer.der().clone())
            .expect("the authority is a trust anchor");
        roots
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, text).expect("the directory is writable");
        path
    }
}

impl std::fmt::Debug for TestCa {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestCa")
            .field("file", &self.file())
            .finish_non_exhaustive()
    }
}

impl Leaf {
    fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.clone()))
    }

    /// The certificate, in DER.
    pub fn der(&self) -> &[u8] {
        &self.certificate
    }
}
