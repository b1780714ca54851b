//! Whom the client trusts, and how it shows itself: read when the first TLS connection needs it, and again when
//! a file changed. Verification itself is always webpki's; nothing here can switch it off.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use locket_core::{Environment, FetchCx, ProviderError};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::http::{Body, Stamp};
use crate::own_file::{self, Unread};
use crate::{BuildCx, ConfigError};

/// The files that make a TLS configuration.
#[derive(Clone, Debug)]
pub(crate) struct TlsFiles {
    ca: Option<PathBuf>,
    client: Option<ClientFiles>,
    system: SystemRoots,
}

#[derive(Clone, Debug)]
struct ClientFiles {
    certificate: PathBuf,
    key: PathBuf,
}

/// Where the machine keeps the authorities it trusts: the variables of OpenSSL, else the usual places.
#[derive(Clone, Debug)]
struct SystemRoots {
    file: Option<PathBuf>,
    directory: Option<PathBuf>,
}

/// What stands in them.
#[derive(Default)]
struct Contents {
    ca: Option<Body>,
    /// The certificate before its key.
    client: Option<(Body, Body)>,
}

const NO_AUTHORITY: &str =
    "Check that the file exists, that this user may read it, and that it holds PEM certificates.";
const UNREADABLE: &str = "Check that the file exists, that this user may read it, and that it is PEM.";

/// What [`TlsFiles`] looked like at one time.
pub(crate) type TlsStamp = Vec<Stamp>;

impl TlsFiles {
    /// The files that the settings and the environment name. Reads none of them.
    ///
    /// # Errors
    /// A client certificate without its key, or the reverse.
    pub(crate) fn new(cx: &BuildCx<'_>) -> Result<Self, ConfigError> {
        let path = |name| cx.settings.path(name, cx.base_dir);
        let client = match (path("client-cert-file"), path("client-key-file")) {
            (Some(certificate), Some(key)) => Some(ClientFiles { certificate, key }),
            (None, None) => None,
            (certificate, _) => {
                let (given, missing) = if certificate.is_some() {
                    ("client-cert-file", "client-key-file")
                } else {
                    ("client-key-file", "client-cert-file")
                };
                return Err(ConfigError::new(
                    format!("`{given}` of `{}` is set without `{missing}`", cx.instance),
                    format!("Set `{missing}` too; both may name one file that holds certificate and key."),
                ));
            }
        };
        Ok(Self {
            ca: path("ca-file"),
            client,
            system: SystemRoots::new(cx.environment),
        })
    }

    /// These files; of the client's, the certificate comes before its key.
    pub(crate) fn of(
        ca: Option<PathBuf>,
        client: Option<(PathBuf, PathBuf)>,
        environment: &Environment,
    ) -> Self {
        Self {
            ca,
            client: client.map(|(certificate, key)| ClientFiles { certificate, key }),
            system: SystemRoots::new(environment),
        }
    }

    /// Changes when one of the files did.
    ///
    /// # Errors
    /// They cannot be looked at in the time there is.
    pub(crate) async fn stamp(&self, cx: &FetchCx) -> Result<TlsStamp, ProviderError> {
        let client = self
            .client
            .iter()
            .flat_map(|files| [&files.certificate, &files.key]);
        Stamp::of_each(self.ca.iter().chain(client).cloned().collect(), cx).await
    }

    /// Reads the files.
    ///
    /// # Errors
    /// A file cannot be read or does not hold what its setting promises.
    pub(crate) async fn config(&self, cx: &FetchCx) -> Result<ClientConfig, ProviderError> {
        let mut found = Contents::default();
        if let Some(path) = &self.ca {
            let read = own_file::read(path, cx).await;
            found.ca = Some(read.map_err(|why| unread_authority(path, &why))?);
        }
        if let Some(files) = &self.client {
            let (certificate, key) = (&files.certificate, &files.key);
            let chain = own_file::read(certificate, cx).await;
            let chain = chain.map_err(|why| unread(certificate, "certificate", &why))?;
            let secret = own_file::read(key, cx).await;
            let secret = secret.map_err(|why| unread(key, "private key", &why))?;
            found.client = Some((chain, secret));
        }
        self.made_of(&found)
    }

    /// The same for a caller who has no time limit of his own, and whose files are no pipes.
    ///
    /// # Errors
    /// As for [`TlsFiles::config`].
    pub(crate) fn config_at_once(&self) -> Result<ClientConfig, ProviderError> {
        let mut found = Contents::default();
        if let Some(path) = &self.ca {
            found.ca = Some(own_file::read_at_once(path).map_err(|why| unread_authority(path, &why))?);
        }
        if let Some(ClientFiles { certificate, key }) = &self.client {
            let chain = own_file::read_at_once(certificate);
            let chain = chain.map_err(|why| unread(certificate, "certificate", &why))?;
            let secret = own_file::read_at_once(key);
            let secret = secret.map_err(|why| unread(key, "private key", &why))?;
            found.client = Some((chain, secret));
        }
        self.made_of(&found)
    }

    fn made_of(&self, found: &Contents) -> Result<ClientConfig, ProviderError> {
        let provider = ring();
        let mut roots = RootCertStore::empty();
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        if let (Some(path), Some(content)) = (&self.ca, &found.ca) {
            add_ca(&mut roots, path, content)?;
        }
        let verifier = Arc::new(Verifier {
            known: verifier(roots, &provider)?,
            system: OnceLock::new(),
            places: self.system.clone(),
            provider: provider.clone(),
        });
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| ProviderError::invalid(format!("no TLS configuration: {error}")))?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match self.client.as_ref().zip(found.client.as_ref()) {
            None => builder.with_no_client_auth(),
            Some((files, (chain, key))) => {
                let (chain, key) = files.parse(chain, key)?;
                builder.with_client_auth_cert(chain, key).map_err(|error| {
                    ProviderError::auth(format!(
                        "the client certificate {} cannot be used: {error}",
                        files.certificate.display()
                    ))
                    .hint("Check that `client-cert-file` and `client-key-file` belong together.")
                })?
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }

    /// A configuration that trusts nobody, for connections that are never TLS.
    pub(crate) fn unused() -> Result<ClientConfig, ProviderError> {
        Ok(ClientConfig::builder_with_provider(ring())
            .with_safe_default_protocol_versions()
            .map_err(|error| ProviderError::invalid(format!("no TLS configuration: {error}")))?
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth())
    }
}

impl ClientFiles {
    fn parse(
        &self,
        chain: &Body,
        key: &Body,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), ProviderError> {
        let unusable = |path: &Path, what: &str, why: String| {
            ProviderError::auth(format!("no {what} in {}: {why}", path.display())).hint(UNREADABLE)
        };
        let chain: Vec<_> = CertificateDer::pem_slice_iter(chain.bytes())
            .collect::<Result<_, _>>()
            .map_err(|error| unusable(&self.certificate, "certificate", error.to_string()))?;
        if chain.is_empty() {
            let why = "it holds no PEM certificate".to_owned();
            return Err(unusable(&self.certificate, "certificate", why));
        }
        let key = PrivateKeyDer::from_pem_slice(key.bytes())
            .map_err(|error| unusable(&self.key, "private key", error.to_string()))?;
        Ok((chain, key))
    }
}

impl SystemRoots {
    fn new(environment: &Environment) -> Self {
        let path = |name| {
            environment
                .get_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        Self {
            file: path("SSL_CERT_FILE"),
            directory: path("SSL_CERT_DIR"),
        }
    }

    fn load(&self) -> RootCertStore {
        let found = if self.file.is_none() && self.directory.is_none() {
            rustls_native_certs::load_native_certs()
        } else {
            rustls_native_certs::load_certs_from_paths(self.file.as_deref(), self.directory.as_deref())
        };
        for error in &found.errors {
            tracing::warn!("some system certificates are left out: {error}");
        }
        let mut roots = RootCertStore::empty();
        let (added, ignored) = roots.add_parsable_certificates(found.certs);
        tracing::debug!(added, ignored, "system certificates");
        roots
    }
}

/// Asks the bundled and configured authorities first, and the system's only when those do not know the issuer:
/// reading a few hundred certificate files is most of the cost of a short run.
#[derive(Debug)]
struct Verifier {
    known: Arc<WebPkiServerVerifier>,
    system: OnceLock<Option<Arc<WebPkiServerVerifier>>>,
    places: SystemRoots,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn system(&self) -> Option<&Arc<WebPkiServerVerifier>> {
        self.system
            .get_or_init(|| {
                let roots = self.places.load();
                (!roots.is_empty())
                    .then(|| verifier(roots, &self.provider).ok())
                    .flatten()
            })
            .as_ref()
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verdict = self
            .known
            .verify_server_cert(leaf, intermediates, name, ocsp, now);
        match verdict {
            Err(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) => match self.system() {
                Some(system) => system.verify_server_cert(leaf, intermediates, name, ocsp, now),
                None => verdict,
            },
            _ => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.known.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.known.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.known.supported_verify_schemes()
    }
}

fn ring() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn verifier(
    roots: RootCertStore,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, ProviderError> {
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(|error| ProviderError::invalid(format!("no TLS configuration: {error}")))
}

fn add_ca(roots: &mut RootCertStore, path: &Path, content: &Body) -> Result<(), ProviderError> {
    let before = roots.len();
    for certificate in CertificateDer::pem_slice_iter(content.bytes()) {
        let certificate = certificate.map_err(|error| no_authority(path, &error))?;
        roots
            .add(certificate)
            .map_err(|error| no_authority(path, &error))?;
    }
    if roots.len() == before {
        return Err(no_authority(path, &"it holds no PEM certificate"));
    }
    Ok(())
}

/// The file is there, and somebody may be about to write it.
fn no_authority(path: &Path, why: &dyn fmt::Display) -> ProviderError {
    ProviderError::unavailable(without_authority(path, why)).hint(NO_AUTHORITY)
}

fn unread_authority(path: &Path, why: &Unread) -> ProviderError {
    ProviderError::new(why.kind(), without_authority(path, why)).hint(why.advice(path, NO_AUTHORITY))
}

fn without_authority(path: &Path, why: &dyn fmt::Display) -> String {
    format!(
        "`ca-file` {} gives no certificate authority: {why}",
        path.display()
    )
}

fn unread(path: &Path, what: &str, why: &Unread) -> ProviderError {
    ProviderError::new(why.kind(), format!("no {what} in {}: {why}", path.display()))
        .hint(why.advice(path, UNREADABLE))
}
