//! Who may sign: users by API keys, sessions by tokens, an instance by its certificate.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use md5::{Digest, Md5};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use serde_json::json;

use crate::RsaKey;
use crate::jwt::unsigned;

/// A user's key, and what names it.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// The tenancy's OCID.
    pub tenancy: String,
    /// The user's OCID.
    pub user: String,
    /// Pairs of hexadecimal digits.
    pub fingerprint: String,
    /// The private key, as PEM.
    pub pem: String,
}

/// A token with the key that it goes with.
#[derive(Clone, Debug)]
pub struct Session {
    /// The token.
    pub token: String,
    /// The private key, as PEM.
    pub pem: String,
}

/// All who may sign.
#[derive(Debug)]
pub(super) struct Identities {
    pub(super) tenancy: String,
    /// Public keys by key id.
    keys: HashMap<String, Vec<u8>>,
    tokens: HashMap<String, Token>,
    pub(super) instance: Instance,
    made: usize,
    pub(super) token_lifetime: Duration,
}

#[derive(Debug)]
struct Token {
    public_info: Vec<u8>,
    ends: SystemTime,
}

/// One machine of the tenancy, and its certificate.
pub(super) struct Instance {
    issuer: CertifiedIssuer<'static, KeyPair>,
    pub(super) certificate: String,
    der: Vec<u8>,
    key: &'static RsaKey,
    is_trusted: bool,
}

impl Identities {
    pub(super) fn new() -> Self {
        let tenancy = "ocid1.tenancy.oc1..aaaaaaaatenancy".to_owned();
        let instance = Instance::new(&tenancy);
        Self {
            tenancy,
            keys: HashMap::new(),
            tokens: HashMap::new(),
            instance,
            made: 0,
            token_lifetime: Duration::from_secs(20 * 60),
        }
    }

    pub(super) fn api_key(&mut self) -> ApiKey {
        let key = self.next_key();
        let user = "ocid1.user.oc1..aaaaaaaauser".to_owned();
        let pairs: Vec<_> = Md5::digest(key.public_info())
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let fingerprint = pairs.join(":");
        let id = format!("{}/{user}/{fingerprint}", self.tenancy);
        self.keys.insert(id, key.public_info().to_vec());
        ApiKey {
            tenancy: self.tenancy.clone(),
            user,
            fingerprint,
            pem: key.pem(),
        }
    }

    pub(super) fn revoke_api_keys(&mut self) {
        self.keys.clear();
    }

    pub(super) fn session(&mut self, lifetime: Duration, now: SystemTime) -> Session {
        let key = self.next_key();
        Session {
            token: self.token(key.public_info(), lifetime, now),
            pem: key.pem(),
        }
    }

    /// A token for whoever has the private half of a key.
    pub(super) fn token(&mut self, public_info: &[u8], lifetime: Duration, now: SystemTime) -> String {
        self.made += 1;
        let seconds = |time: SystemTime| {
            time.duration_since(SystemTime::UNIX_EPOCH)
                .expect("tests are after 1970")
                .as_secs()
        };
        let token = unsigned(&json!({
            "iat": seconds(now),
            "exp": seconds(now + lifetime),
            "jti": format!("{}-{}", self.made, seconds(now)),
            "sub": "ocid1.instance.oc1.iad.aaaaaaaainstance",
            "tenant": self.tenancy,
            "res_tenant": self.tenancy,
            "res_compartment": self.tenancy,
        }));
        let known = Token {
            public_info: public_info.to_vec(),
            ends: now + lifetime,
        };
        self.tokens.insert(token.clone(), known);
        token
    }

    pub(super) fn end_tokens(&mut self) {
        self.tokens.clear();
    }

    /// The public key that `key_id` stands for, if that still counts.
    pub(super) fn public_info(&self, key_id: &str, now: SystemTime) -> Option<Vec<u8>> {
        match key_id.strip_prefix("ST$") {
            Some(token) => {
                let token = self.tokens.get(token)?;
                (now < token.ends).then(|| token.public_info.clone())
            }
            None => self.keys.get(key_id).cloned(),
        }
    }

    fn next_key(&mut self) -> &'static RsaKey {
        self.made += 1;
        RsaKey::number(self.made)
    }
}

impl Instance {
    fn new(tenancy: &str) -> Self {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "PKISVC Identity Intermediate");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer_key = KeyPair::generate().expect("a key can be made");
        let issuer = CertifiedIssuer::self_signed(params, issuer_key).expect("a certificate can be signed");
        let mut instance = Self {
            issuer,
            certificate: String::new(),
            der: Vec::new(),
            key: RsaKey::number(0),
            is_trusted: true,
        };
        instance.renew(tenancy, 0);
        instance
    }

    /// Another certificate takes the place of this one, which counts no more.
    pub(super) fn renew(&mut self, tenancy: &str, number: usize) {
        self.key = RsaKey::number(number);
        let mut params = CertificateParams::default();
        let name = &mut params.distinguished_name;
        name.push(DnType::OrganizationalUnitName, format!("opc-tenant:{tenancy}"));
        name.push(DnType::CommonName, "ocid1.instance.oc1.iad.aaaaaaaainstance");
        let certificate = params
            .signed_by(&self.key.key_pair(), &self.issuer)
            .expect("a certificate can be signed");
        self.certificate = certificate.pem();
        self.der = certificate.der().to_vec();
        self.is_trusted = true;
    }

    pub(super) fn distrust(&mut self) {
        self.is_trusted = false;
    }

    pub(super) fn key_pem(&self) -> String {
        self.key.traditional_pem()
    }

    pub(super) fn intermediate(&self) -> String {
        self.issuer.pem()
    }

    pub(super) fn intermediate_der(&self) -> &[u8] {
        self.issuer.der()
    }

    pub(super) fn public_info(&self) -> &[u8] {
        self.key.public_info()
    }

    /// Whether this is the certificate that counts now.
    pub(super) fn is_shown(&self, der: &[u8]) -> bool {
        self.is_trusted && self.der == der
    }

    /// What requests that show the certificate must be signed as.
    pub(super) fn key_id(&self, tenancy: &str) -> String {
        let sha1 = digest(&SHA1_FOR_LEGACY_USE_ONLY, &self.der);
        let pairs: Vec<_> = sha1.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
        format!("{tenancy}/fed-x509/{}", pairs.join(":"))
    }
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Instance(…)")
    }
}
