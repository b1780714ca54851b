//! What is read of X.509 certificates (RFC 5280): who they name, and whose key they vouch for.
//!
//! Nothing is verified: the certificate is our own, and the server that it is shown to judges it.

use data_encoding::BASE64;
use pkcs1::der::Tag;
use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};

use super::der::{content, elements, inside};
use super::key::SigningKey;
use super::pem;

/// One certificate.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    der: Vec<u8>,
    subject: Vec<String>,
    public_key: Vec<u8>,
}

impl Certificate {
    /// All certificates in a PEM text, in their order.
    ///
    /// # Errors
    /// The text is no PEM, or a block that says to be a certificate is none.
    pub(crate) fn all_in(text: &[u8]) -> Result<Vec<Self>, pem::NotPem> {
        let blocks = pem::all(text)?;
        let certificates = blocks.iter().filter(|block| block.label == "CERTIFICATE");
        certificates
            .map(|block| Self::parse(&block.der).ok_or(pem::NotPem))
            .collect()
    }

    fn parse(der: &[u8]) -> Option<Self> {
        let certificate = elements(der).ok()?;
        let signed = inside(*certificate.first()?).ok()?;
        // The version is left out of certificates of version 1.
        let has_version = content(*signed.first()?, Tag::Integer).is_none();
        // Serial number, algorithm, issuer and validity stand before the subject.
        let [subject, key, ..] = signed.get(usize::from(has_version) + 4..)? else {
            return None;
        };
        let mut names = Vec::new();
        for relative in inside(*subject).ok()? {
            for attribute in inside(relative).ok()? {
                let [_, value] = inside(attribute).ok()?[..] else {
                    return None;
                };
                names.push(String::from_utf8_lossy(value.value()).into_owned());
            }
        }
        let [_, bits] = inside(*key).ok()?[..] else {
            return None;
        };
        Some(Self {
            der: der.to_vec(),
            subject: names,
            public_key: content(bits, Tag::BitString)?.get(1..)?.to_vec(),
        })
    }

    /// The values of the subject's name, in order, whatever they are called.
    pub(crate) fn subject(&self) -> impl Iterator<Item = &str> {
        self.subject.iter().map(String::as_str)
    }

    /// Whether it vouches for this key.
    pub(crate) fn is_of(&self, key: &SigningKey) -> bool {
        self.public_key == key.public_key()
    }

    /// Its content in base64 on one line.
    pub(crate) fn base64(&self) -> String {
        BASE64.encode(&self.der)
    }

    /// Its thumbprint by SHA-1, which protocols name certificates by; nothing rests on it.
    pub(crate) fn sha1(&self) -> Vec<u8> {
        let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
        context.update(&self.der);
        context.finish().as_ref().to_vec()
    }

    /// Its thumbprint by SHA-256.
    pub(crate) fn sha256(&self) -> Vec<u8> {
        ring::digest::digest(&SHA256, &self.der).as_ref().to_vec()
    }
}
