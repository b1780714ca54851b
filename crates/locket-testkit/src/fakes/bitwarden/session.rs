//! Machine accounts, their access tokens, and the sessions that log in with them.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use data_encoding::{BASE64, BASE64URL_NOPAD};
use serde_json::{Value, json};

use super::seal::{Key, digest};
use crate::{Request, Response};

/// The machine accounts of an organization.
#[derive(Debug)]
pub(super) struct Accounts {
    all: Vec<Account>,
    /// The account behind each session.
    sessions: HashMap<String, usize>,
    /// How long a session lasts, as it is told to clients; nothing ends by itself here.
    lifetime: Duration,
    logins: u64,
}

/// One machine account with one access token.
#[derive(Debug)]
pub(super) struct Account {
    client: String,
    secret: String,
    seed: [u8; 16],
    is_revoked: bool,
    /// Ids of the projects it may read.
    pub(super) projects: HashSet<String>,
}

impl Default for Accounts {
    fn default() -> Self {
        Self {
            all: Vec::new(),
            sessions: HashMap::new(),
            lifetime: Duration::from_secs(3600),
            logins: 0,
        }
    }
}

impl Accounts {
    /// A new account that may read these projects; gives its access token. No two servers give the same one.
    pub(super) fn add(&mut self, client: String, projects: &[&str]) -> String {
        let number = digest(client.as_bytes());
        let account = Account {
            secret: BASE64URL_NOPAD.encode(&number[..22]).replace(['-', '_'], "x"),
            seed: number[16..].try_into().expect("half of 32 bytes"),
            client,
            is_revoked: false,
            projects: projects.iter().map(|project| (*project).to_owned()).collect(),
        };
        let token = account.token();
        self.all.push(account);
        token
    }

    /// The account of an access token.
    pub(super) fn of_token(&mut self, token: &str) -> &mut Account {
        self.all
            .iter_mut()
            .find(|account| account.token() == token)
            .expect("the test got the token from here")
    }

    /// Ends an access token and all its sessions.
    pub(super) fn revoke(&mut self, token: &str) {
        self.of_token(token).is_revoked = true;
        let all = &self.all;
        self.sessions.retain(|_, account| !all[*account].is_revoked);
    }

    /// Ends every session.
    pub(super) fn end_sessions(&mut self) {
        self.sessions.clear();
    }

    /// What sessions to come are said to last.
    pub(super) fn last(&mut self, lifetime: Duration) {
        self.lifetime = lifetime;
    }

    /// The account whose session a request shows.
    pub(super) fn of_request(&self, request: &Request) -> Option<&Account> {
        self.sessions.get(request.bearer()?).map(|at| &self.all[*at])
    }

    /// `POST /connect/token` of the identity server.
    pub(super) fn log_in(&mut self, request: &Request, organization: &str, key: &Key) -> Response {
        let refused = |error: &str| Response::json(400, &json!({ "error": error }));
        let field = |name: &str| request.form_field(name);
        let Some(kind) = field("grant_type") else {
            return refused("invalid_request");
        };
        if kind != "client_credentials" {
            return refused("unsupported_grant_type");
        }
        if field("scope").as_deref() != Some("api.secrets") {
            return refused("invalid_scope");
        }
        let is_it = |account: &Account| {
            !account.is_revoked
                && field("client_id").as_ref() == Some(&account.client)
                && field("client_secret").as_ref() == Some(&account.secret)
        };
        let Some(at) = self.all.iter().position(is_it) else {
            return refused("invalid_client");
        };
        self.logins += 1;
        let account = &self.all[at];
        let session = self.session(account, organization);
        let payload = json!({ "encryptionKey": key.to_base64() }).to_string();
        let answer = json!({
            "access_token": session,
            "expires_in": self.lifetime.as_secs(),
            "token_type": "Bearer",
            "scope": "api.secrets",
            "encrypted_payload": Key::of_access_token(&account.seed).seal(payload.as_bytes(), self.logins),
        });
        self.sessions.insert(session, at);
        Response::json(200, &answer)
    }

    /// A token in the form of the real ones; its signature is a number that only this server knows.
    fn session(&self, account: &Account, organization: &str) -> String {
        #[expect(
            clippy::disallowed_methods,
            reason = "the official client compares the times in a token with the machine's clock"
        )]
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let claims = json!({
            "nbf": now.as_secs(),
            "exp": (now + self.lifetime).as_secs(),
            "iss": "http://localhost:33656",
            "client_id": account.client,
            "sub": account.client,
            "organization": organization,
            "type": "ServiceAccount",
            "jti": format!("{:032X}", self.logins),
            "iat": now.as_secs(),
            "scope": ["api.secrets"],
        });
        let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let head = part(&json!({ "alg": "RS256", "kid": "fake", "typ": "at+jwt" }));
        let claims = part(&claims);
        let number = digest(format!("{}/{}", account.secret, self.logins).as_bytes());
        format!("{head}.{claims}.{}", BASE64URL_NOPAD.encode(&number.repeat(8)))
    }
}

impl Account {
    fn token(&self) -> String {
        format!("0.{}.{}:{}", self.client, self.secret, BASE64.encode(&self.seed))
    }
}
