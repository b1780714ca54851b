//! Machine identities: how they log in, what they may read, and the tokens they hold.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use data_encoding::{BASE64, BASE64URL_NOPAD};
use serde_json::{Value, json};

use super::model::Sight;
use super::sigv4::{Keys, is_signed};

/// One way to log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// Universal auth.
    Universal {
        /// The client's id.
        client_id: String,
        /// Its secret.
        client_secret: String,
    },
    /// A token that an issuer signed for this identity; the word is that of the path, such as `oidc-auth`.
    Signed {
        /// Which login takes it.
        path: &'static str,
        /// The identity's id.
        identity: String,
        /// The one token that counts.
        jwt: String,
    },
    /// A question to STS, signed by an IAM principal.
    Aws {
        /// The identity's id.
        identity: String,
        /// `AKIA…`
        access_key: String,
        /// What signs.
        secret_key: String,
        /// For credentials that end.
        session_token: Option<String>,
    },
}

/// What an identity may do with the secrets of an environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Read their values.
    Read,
    /// See that they are there.
    Describe,
    /// Read the values of single secrets, and not list folders.
    ReadSingle,
    /// Read the values of secrets whose names begin so. Lists leave the others out, and requests for them are denied.
    ReadNamed(&'static str),
}

/// Everybody who may log in.
#[derive(Debug)]
pub(super) struct Identities {
    all: Vec<Identity>,
    tokens: HashMap<String, Token>,
    /// What a login grants; zero for no end.
    lifetime: Duration,
    count: u64,
}

#[derive(Debug)]
pub(super) struct Identity {
    login: Option<Login>,
    is_revoked: bool,
    /// By project and environment.
    roles: HashMap<(String, String), Role>,
}

#[derive(Debug)]
struct Token {
    identity: usize,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Good,
    Ended,
    Revoked,
}

/// A refusal: status, name, message.
pub(super) type Refusal = (u16, &'static str, String);

impl Default for Identities {
    fn default() -> Self {
        Self {
            all: Vec::new(),
            tokens: HashMap::new(),
            lifetime: Duration::from_secs(7200),
            count: 0,
        }
    }
}

impl Identities {
    /// Adds an identity that logs in so, or by no login at all; gives its number.
    pub(super) fn add(&mut self, login: Option<Login>) -> usize {
        self.all.push(Identity {
            login,
            is_revoked: false,
            roles: HashMap::new(),
        });
        self.all.len() - 1
    }

    pub(super) fn grant(&mut self, identity: usize, project: &str, environment: &str, role: Option<Role>) {
        let key = (project.to_owned(), environment.to_owned());
        let roles = &mut self.all[identity].roles;
        match role {
            Some(role) => _ = roles.insert(key, role),
            None => _ = roles.remove(&key),
        }
    }

    /// Ends an identity's login and revokes its tokens.
    pub(super) fn revoke(&mut self, identity: usize) {
        self.all[identity].is_revoked = true;
        for token in self
            .tokens
            .values_mut()
            .filter(|token| token.identity == identity)
        {
            token.state = State::Revoked;
        }
    }

    /// Ends the time of every token.
    pub(super) fn end_tokens(&mut self) {
        for token in self
            .tokens
            .values_mut()
            .filter(|token| token.state == State::Good)
        {
            token.state = State::Ended;
        }
    }

    pub(super) fn last(&mut self, lifetime: Duration) {
        self.lifetime = lifetime;
    }

    /// A new token for an identity.
    pub(super) fn issue(&mut self, identity: usize) -> String {
        self.count += 1;
        let part = |value: Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let head = part(json!({"alg": "HS256", "typ": "JWT"}));
        let claims = part(json!({
            "identityId": format!("identity {identity}"),
            "authTokenType": "identityAccessToken",
            "jti": self.count,
        }));
        let number = super::server::number(&format!("token {} of {identity}", self.count));
        let token = format!("{head}.{claims}.{}", BASE64URL_NOPAD.encode(&number));
        self.tokens.insert(
            token.clone(),
            Token {
                identity,
                state: State::Good,
            },
        );
        token
    }

    /// `POST /api/v1/auth/…/login`
    pub(super) fn log_in(&mut self, path: &str, body: &Value) -> Result<Value, Refusal> {
        let is_it = |identity: &Identity| {
            let login = identity.login.as_ref().filter(|_| !identity.is_revoked);
            login.is_some_and(|login| login.accepts(path, body))
        };
        match self.all.iter().position(is_it) {
            Some(identity) => Ok(self.granted(identity)),
            None => Err((401, "Unauthorized", "Invalid credentials".to_owned())),
        }
    }

    /// `POST /api/v1/auth/token/renew`
    pub(super) fn renew(&mut self, body: &Value) -> Result<Value, Refusal> {
        let token = body["accessToken"].as_str().unwrap_or_default();
        let identity = self.check(token)?;
        self.tokens.remove(token);
        Ok(self.granted(identity))
    }

    /// The identity that a token is of.
    pub(super) fn check(&self, token: &str) -> Result<usize, Refusal> {
        let ended = || {
            (
                403,
                "TokenError",
                "Your token has expired. Please re-authenticate.".to_owned(),
            )
        };
        if token.split('.').count() != 3 {
            return Err((
                403,
                "TokenError",
                "The provided access token is malformed.".to_owned(),
            ));
        }
        match self.tokens.get(token).map(|token| (token.state, token.identity)) {
            Some((State::Good, identity)) => Ok(identity),
            Some((State::Revoked, _)) => Err((
                401,
                "Unauthorized",
                "Failed to authorize revoked access token".to_owned(),
            )),
            Some((State::Ended, _)) | None => Err(ended()),
        }
    }

    /// What an identity may do with the secrets of an environment.
    pub(super) fn role(&self, identity: usize, project: &str, environment: &str) -> Option<Role> {
        let key = (project.to_owned(), environment.to_owned());
        self.all[identity].roles.get(&key).copied()
    }

    fn granted(&mut self, identity: usize) -> Value {
        json!({
            "accessToken": self.issue(identity),
            "expiresIn": self.lifetime.as_secs(),
            "accessTokenMaxTTL": 2_592_000,
            "tokenType": "Bearer",
        })
    }
}

impl Role {
    pub(super) fn sight(self) -> Sight {
        match self {
            Self::Read | Self::ReadSingle | Self::ReadNamed(_) => Sight::Value,
            Self::Describe => Sight::Hidden,
        }
    }

    /// Whether it has anything to do with a secret of this name.
    pub(super) fn covers(self, key: &str) -> bool {
        match self {
            Self::ReadNamed(start) => key.starts_with(start),
            Self::Read | Self::Describe | Self::ReadSingle => true,
        }
    }
}

impl Login {
    fn accepts(&self, asked: &str, body: &Value) -> bool {
        let text = |name: &str| body[name].as_str().unwrap_or_default();
        match self {
            Self::Universal {
                client_id,
                client_secret,
            } => {
                asked == "universal-auth"
                    && text("clientId") == client_id
                    && text("clientSecret") == client_secret
            }
            Self::Signed { path, identity, jwt } => {
                asked == *path && text("identityId") == identity && text("jwt") == jwt
            }
            Self::Aws {
                identity,
                access_key,
                secret_key,
                session_token,
            } => {
                let decoded = |name: &str| {
                    let bytes = BASE64.decode(text(name).as_bytes()).ok()?;
                    String::from_utf8(bytes).ok()
                };
                let headers: Option<BTreeMap<String, String>> =
                    decoded("iamRequestHeaders").and_then(|json| serde_json::from_str(&json).ok());
                let (Some(headers), Some(question)) = (headers, decoded("iamRequestBody")) else {
                    return false;
                };
                let keys = Keys {
                    access_key: access_key.clone(),
                    secret_key: secret_key.clone(),
                    session_token: session_token.clone(),
                };
                asked == "aws-auth"
                    && text("identityId") == identity
                    && text("iamHttpRequestMethod") == "POST"
                    && question == "Action=GetCallerIdentity&Version=2011-06-15"
                    && is_signed(&keys, &headers, &question)
            }
        }
    }
}
