//! The access token of a machine account: `0.CLIENT.SECRET:KEY`. The first three parts log in; the last never leaves
//! this process.

use data_encoding::BASE64;
use locket_core::{ProviderError, SecretBytes};
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use zeroize::Zeroizing;

use super::crypto::Key;

/// A parsed access token.
pub(super) struct AccessToken {
    client: String,
    secret: Zeroizing<Vec<u8>>,
    key: Key,
}

impl AccessToken {
    /// Takes a token apart.
    ///
    /// # Errors
    /// It is not of the form, or of another version.
    pub(super) fn parse(token: &SecretBytes) -> Result<Self, ProviderError> {
        #[expect(
            clippy::disallowed_methods,
            reason = "the credential is taken apart to log in with it"
        )]
        let text = std::str::from_utf8(token.expose())
            .map_err(|_| malformed())?
            .trim();
        let (head, seed) = text.split_once(':').ok_or_else(malformed)?;
        let mut parts = head.split('.');
        let (Some(version), Some(client), Some(secret), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(malformed());
        };
        if version != "0" {
            let is_number = !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit());
            return Err(match is_number {
                true => {
                    ProviderError::auth("the access token is of a version that this locket does not know")
                        .hint("Update locket.")
                }
                false => malformed(),
            });
        }
        if client.is_empty() || secret.is_empty() {
            return Err(malformed());
        }
        let seed = Zeroizing::new(BASE64.decode(seed.as_bytes()).map_err(|_| malformed())?);
        let seed: Zeroizing<[u8; 16]> = Zeroizing::new(seed.as_slice().try_into().map_err(|_| malformed())?);
        Ok(Self {
            client: client.to_owned(),
            secret: Zeroizing::new(secret.as_bytes().to_vec()),
            key: Key::of_seed(&seed).ok_or_else(malformed)?,
        })
    }

    /// The key that opens what the login brings.
    pub(super) fn key(&self) -> &Key {
        &self.key
    }

    /// The body of the login: a grant of client credentials (RFC 6749, section 4.4.2).
    pub(super) fn login_form(&self) -> Zeroizing<Vec<u8>> {
        let client = percent_encode(self.client.as_bytes(), NON_ALPHANUMERIC);
        let head =
            format!("grant_type=client_credentials&scope=api.secrets&client_id={client}&client_secret=");
        // Room for a secret of which every byte needs three: memory that is outgrown is not wiped.
        let mut form = Zeroizing::new(Vec::with_capacity(head.len() + 3 * self.secret.len()));
        form.extend_from_slice(head.as_bytes());
        for part in percent_encode(&self.secret, NON_ALPHANUMERIC) {
            form.extend_from_slice(part.as_bytes());
        }
        form
    }
}

fn malformed() -> ProviderError {
    ProviderError::auth("the access token is not whole: it is not of the form `0.….…:…`").hint(
        "Copy it anew. The web vault shows it once, when it is made: Machine accounts, Access tokens, New access token.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str =
        "0.ec2c1d46-6a4b-4751-a310-af9601317f2d.C2IgxjjLF7qSshsbwe8JGcbM075YXw:X8vbvA0bduihIDe/qrzIQQ==";

    fn parse(text: &str) -> Result<AccessToken, ProviderError> {
        AccessToken::parse(&SecretBytes::copy_from(text.as_bytes()))
    }

    #[test]
    fn a_token_logs_in_with_its_head_and_keeps_its_tail() {
        let form = parse(TOKEN).unwrap().login_form();
        assert_eq!(
            std::str::from_utf8(&form).unwrap(),
            "grant_type=client_credentials&scope=api.secrets&client_id=ec2c1d46%2D6a4b%2D4751%2Da310%2Daf9601317f2d&client_secret=C2IgxjjLF7qSshsbwe8JGcbM075YXw"
        );
        assert!(parse(&format!(" {TOKEN}\n")).is_ok());
        let odd = parse(&TOKEN.replace("C2Igx", "a&b=c%d+")).unwrap().login_form();
        assert!(form_ends(
            &odd,
            "client_secret=a%26b%3Dc%25d%2BjjLF7qSshsbwe8JGcbM075YXw"
        ));
    }

    fn form_ends(form: &[u8], end: &str) -> bool {
        form.ends_with(end.as_bytes())
    }

    #[test]
    fn what_is_no_token_is_refused_without_being_shown() {
        for bad in [
            "",
            "secret",
            "0.a.b",
            "0.a.b:",
            "0.a.b:short",
            "0.a.b.c:X8vbvA0bduihIDe/qrzIQQ==",
            "0..b:X8vbvA0bduihIDe/qrzIQQ==",
            "0.a.:X8vbvA0bduihIDe/qrzIQQ==",
            ".a.b:X8vbvA0bduihIDe/qrzIQQ==",
            "0.a.b:X8vbvA0bduihIDe/qrzIQQ==X8vbvA0bduihIDe/qrzIQQ==",
            &TOKEN[..TOKEN.len() - 3],
        ] {
            let error = parse(bad).err().unwrap();
            assert!(error.context.contains("not whole"), "{bad}: {error}");
        }
        let newer = parse(&TOKEN.replacen("0.", "1.", 1)).err().unwrap();
        assert!(newer.context.contains("version"), "{newer}");
    }
}
