//! RSA keys that sign requests, the certificates that vouch for them, and the tokens that name them.
//!
//! Reads what key tools write. Knows no server; the arithmetic is ring's.

#[cfg(feature = "signing")]
mod certificate;
#[cfg(feature = "signing")]
mod der;
#[cfg(feature = "signing")]
mod encrypted;
#[cfg(feature = "signing")]
mod jwt;
#[cfg(feature = "signing")]
mod key;
pub(crate) mod pem;

#[cfg(feature = "signing")]
pub(crate) use certificate::Certificate;
#[cfg(feature = "signing")]
pub(crate) use jwt::Claims;
#[cfg(feature = "signing")]
pub(crate) use key::SigningKey;

#[cfg(feature = "signing")]
#[cfg(test)]
mod tests;
