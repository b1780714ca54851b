//! Bearer tokens: what each may read, and which are none of ours.

use std::collections::HashMap;

use data_encoding::BASE64URL_NOPAD;
use serde_json::json;

/// What a token may do with one vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// Read its items.
    Read,
    /// Write, but not read: the vault is listed, its items are refused.
    WriteOnly,
}

/// The tokens of one server.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    issued: HashMap<String, Token>,
    count: u64,
}

/// What one token may do.
#[derive(Clone, Debug)]
pub(super) struct Token {
    /// By vault id.
    grants: HashMap<String, Grant>,
    valid: bool,
}

impl Tokens {
    /// A token in the form of the real ones, a JWT of 1Password's; its signature is a random-looking number that only
    /// this server knows.
    pub(super) fn issue(&mut self, grants: &[(&str, Grant)]) -> String {
        self.count += 1;
        let vaults: Vec<_> = grants
            .iter()
            .map(|(vault, _)| json!({"u": vault, "a": 48}))
            .collect();
        let part = |json: serde_json::Value| BASE64URL_NOPAD.encode(json.to_string().as_bytes());
        let header = part(json!({"alg": "ES256", "kid": "fake", "typ": "JWT"}));
        let claims = part(json!({"1password.com/vts": vaults, "jti": self.count, "iss": "com.1password.b5"}));
        let signature: Vec<u8> = (0..64).map(|at| (self.count * 97 + at * 59 + 31) as u8).collect();
        let token = format!("{header}.{claims}.{}", BASE64URL_NOPAD.encode(&signature));
        let grants = grants
            .iter()
            .map(|(vault, grant)| ((*vault).to_owned(), *grant))
            .collect();
        self.issued.insert(token.clone(), Token { grants, valid: true });
        token
    }

    /// Makes a token count as expired.
    pub(super) fn expire(&mut self, token: &str) {
        if let Some(token) = self.issued.get_mut(token) {
            token.valid = false;
        }
    }

    /// The token that a request shows.
    ///
    /// # Errors
    /// Connect's message with the status 401.
    pub(super) fn check(&self, shown: Option<&str>) -> Result<&Token, &'static str> {
        let shown = shown.ok_or("Authentication: Missing authorization header")?;
        if shown.split('.').count() != 3 {
            return Err("Authentication: Invalid bearer token");
        }
        match self.issued.get(shown) {
            Some(token) if token.valid => Ok(token),
            Some(_) => Err("Authentication: Token is expired"),
            None => Err("Invalid token signature"),
        }
    }
}

impl Token {
    /// What the token may do with a vault; `None` when the vault is out of its scope.
    pub(super) fn grant(&self, vault: &str) -> Option<Grant> {
        self.grants.get(vault).copied()
    }
}
