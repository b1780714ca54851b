//! What the server answers, and whom it refuses.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::cipher::{open, random, seal, signature};
use super::keys::Keys;
use super::srp::{Exchange, Identity};
use super::token::ServiceAccount;
use crate::fakes::connect::Item;
use crate::{Request, Response};

/// The server without a socket: [`OnePassword::answer`] is the handler of a [`crate::Server`]. Clones are the same one.
#[derive(Clone, Default)]
pub struct OnePassword(Arc<Mutex<State>>);

/// Whether an item is in the trash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trashed {
    /// In use.
    No,
    /// In the trash: no longer listed.
    Yes,
}

struct State {
    keys: Keys,
    accounts: Vec<Account>,
    /// Vaults in use, in the order of `keys.vaults`.
    vaults: Vec<Vault>,
    sessions: HashMap<String, Session>,
}

struct Account {
    who: ServiceAccount,
    /// The ids of the vaults that it may read.
    vaults: Vec<String>,
    is_gone: bool,
}

struct Vault {
    name: String,
    items: Vec<(Item, Trashed)>,
}

/// A login, from its first request on.
struct Session {
    /// Its place among the accounts.
    account: usize,
    exchange: Option<Exchange>,
    /// Once the client has proved itself.
    key: Option<[u8; 32]>,
}

/// Why a request is refused.
struct Refused(Box<Response>);

impl Default for State {
    fn default() -> Self {
        Self {
            keys: Keys::read(),
            accounts: Vec::new(),
            vaults: Vec::new(),
            sessions: HashMap::new(),
        }
    }
}

impl OnePassword {
    /// A server without vaults and accounts.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a vault and gives its id.
    ///
    /// # Panics
    /// There are more vaults than keys.
    pub fn add_vault(&self, name: &str) -> String {
        let mut state = self.lock();
        let id = state.keys.vaults[state.vaults.len()].id.clone();
        state.vaults.push(Vault {
            name: name.to_owned(),
            items: Vec::new(),
        });
        id
    }

    /// Adds an item to the vault of this id and gives the item's id.
    pub fn add_item(&self, vault: &str, mut item: Item) -> String {
        item.fill_ids(id);
        let given = item.id.clone();
        self.lock().vault_mut(vault).items.push((item, Trashed::No));
        given
    }

    /// Changes an item.
    ///
    /// # Panics
    /// There is no such item.
    pub fn change_item(&self, vault: &str, item: &str, change: impl FnOnce(&mut Item)) {
        let mut state = self.lock();
        let mut items = state.vault_mut(vault).items.iter_mut();
        let (item, _) = items
            .find(|(known, _)| known.id == item)
            .expect("the test added the item");
        change(item);
    }

    /// Puts an item into the trash.
    pub fn trash_item(&self, vault: &str, item: &str) {
        for (known, trashed) in &mut self.lock().vault_mut(vault).items {
            if known.id == item {
                *trashed = Trashed::Yes;
            }
        }
    }

    /// Removes an item as if it had never been.
    pub fn remove_item(&self, vault: &str, item: &str) {
        self.lock()
            .vault_mut(vault)
            .items
            .retain(|(known, _)| known.id != item);
    }

    /// A new service account that may read these vaults.
    pub fn account(&self, vaults: &[&str]) -> ServiceAccount {
        let who = ServiceAccount::new();
        self.lock().accounts.push(Account {
            who: who.clone(),
            vaults: vaults.iter().map(|id| (*id).to_owned()).collect(),
            is_gone: false,
        });
        who
    }

    /// Deletes a service account: it can neither log in nor go on.
    pub fn delete_account(&self, who: &ServiceAccount) {
        for account in &mut self.lock().accounts {
            account.is_gone |= account.who.email == who.email;
        }
    }

    /// Ends all sessions, as the server does with old ones.
    pub fn end_sessions(&self) {
        self.lock().sessions.clear();
    }

    /// Answers a request.
    pub fn answer(&self, request: &Request) -> Response {
        self.lock()
            .answer(request)
            .unwrap_or_else(|Refused(response)| *response)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn answer(&mut self, request: &Request) -> Result<Response, Refused> {
        let body = || serde_json::from_slice::<Value>(&request.body).map_err(|_| refused(400));
        let session = request
            .header("x-agilebits-session-id")
            .unwrap_or_default()
            .to_owned();
        match (request.method.as_str(), request.path.as_str()) {
            ("POST", "/api/v3/auth/start") => self.start(&body()?),
            ("POST", "/api/v2/auth") => self.exchange(&session, &body()?),
            ("POST", "/api/v2/auth/confirm-key") => self.confirm(&session, &body()?),
            (method, path) => {
                let key = self.signed(&session, request)?;
                let asked = match request.body.is_empty() {
                    true => Value::Null,
                    false => open(&session, &key, &body()?).ok_or_else(|| refused(400))?,
                };
                let account = self.sessions.get(&session).map(|session| session.account);
                let account = account.ok_or_else(|| refused(401))?;
                let given = self.read(account, method, path, &asked)?;
                Ok(Response::json(200, &seal(&session, &key, &given)))
            }
        }
    }

    fn start(&mut self, body: &Value) -> Result<Response, Refused> {
        let account = self.accounts.iter().position(|account| {
            !account.is_gone
                && body["email"] == account.who.email.as_str()
                && body["skid"] == account.who.key_id.as_str()
        });
        let account = account.ok_or_else(|| refused(401))?;
        let session = id().to_uppercase();
        let who = &self.accounts[account].who;
        let answer = json!({
            "status": "ok",
            "sessionID": session,
            "accountKeyFormat": "A3",
            "accountKeyUuid": who.key_id,
            "userAuth": who.user_auth(),
        });
        self.sessions.insert(
            session,
            Session {
                account,
                exchange: None,
                key: None,
            },
        );
        Ok(Response::json(200, &answer))
    }

    fn exchange(&mut self, session: &str, body: &Value) -> Result<Response, Refused> {
        let session = self.sessions.get_mut(session).ok_or_else(|| refused(401))?;
        let who = &self.accounts[session.account].who;
        let identity = Identity {
            email: &who.email,
            account_key: &who.key_id,
            salt: &who.salt,
            x: &who.x,
        };
        let user_a = body["userA"].as_str().ok_or_else(|| refused(400))?;
        let exchange = Exchange::answer(user_a, &identity).ok_or_else(|| refused(400))?;
        let answer = json!({"userB": exchange.user_b});
        session.exchange = Some(exchange);
        Ok(Response::json(200, &answer))
    }

    fn confirm(&mut self, session: &str, body: &Value) -> Result<Response, Refused> {
        let session = self.sessions.get_mut(session).ok_or_else(|| refused(401))?;
        let proof = body["clientVerifyHash"].as_str().unwrap_or_default();
        let exchange = session.exchange.as_ref().ok_or_else(|| refused(401))?;
        let confirmed = exchange.confirm(proof).ok_or_else(|| refused(401))?;
        session.key = Some(confirmed.key);
        Ok(Response::json(
            200,
            &json!({"serverVerifyHash": confirmed.server_proof}),
        ))
    }

    /// The key of a session whose request is signed with it.
    fn signed(&self, id: &str, request: &Request) -> Result<[u8; 32], Refused> {
        let session = self.sessions.get(id).ok_or_else(|| refused(401))?;
        if self.accounts[session.account].is_gone {
            return Err(refused(401));
        }
        let key = session.key.ok_or_else(|| refused(401))?;
        let signed = request.header("x-agilebits-mac").unwrap_or_default();
        let number = signed.split('|').nth(1).unwrap_or_default();
        let host = request.header("host").unwrap_or_default();
        let host = host.split(':').next().unwrap_or_default();
        let address = format!("{host}{}?{}", request.path, request.query);
        match signature(id, &key, number, request.method.as_str(), &address) == signed {
            true => Ok(key),
            false => Err(refused(401)),
        }
    }

    /// What an account that is logged in gets.
    fn read(&self, account: usize, method: &str, path: &str, asked: &Value) -> Result<Value, Refused> {
        let account = &self.accounts[account];
        let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        match (method, segments.as_slice()) {
            ("POST", ["api", "v2", "auth", "complete"]) => {
                Ok(json!({"userUuid": "user", "accountUuid": "account"}))
            }
            ("GET", ["api", "v2", "account", "keysets"]) => {
                let keyset = self.keys.keyset(&account.who.unlock_key);
                Ok(json!({"version": 1, "keysets": [keyset]}))
            }
            ("GET", ["api", "v1", "vaults"]) => {
                let vaults = account.vaults.iter().filter_map(|id| self.vault_json(id));
                Ok(Value::Array(vaults.collect()))
            }
            ("GET", ["api", "v3", "vault", id]) if account.vaults.iter().any(|known| known == id) => {
                self.vault_json(id).ok_or_else(|| refused(404))
            }
            ("GET", ["api", "v1", "vault", id, "items", "overviews"]) => {
                let vault = self.readable(account, id)?;
                let listed = vault.items.iter().filter(|(_, trashed)| *trashed == Trashed::No);
                let items: Vec<Value> = listed
                    .map(|(item, trashed)| self.overview(id, item, *trashed))
                    .collect();
                Ok(
                    json!({"contentVersion": 1, "batchComplete": true, "items": items, "deletedItemUuids": []}),
                )
            }
            ("POST", ["api", "v3", "vault", id, "items", "batch"]) => {
                let vault = self.readable(account, id)?;
                let wanted = asked["itemUuids"].as_array().ok_or_else(|| refused(400))?;
                let found = |id: &Value| vault.items.iter().find(|(item, _)| *id == item.id.as_str());
                // One for each that was asked for, in that order, as often as it was asked for.
                let items = wanted.iter().filter_map(found);
                let items: Vec<Value> = items
                    .map(|(item, trashed)| self.full(id, item, *trashed))
                    .collect();
                Ok(json!({"contentVersion": 1, "items": items}))
            }
            _ => Err(refused(404)),
        }
    }

    fn readable(&self, account: &Account, id: &str) -> Result<&Vault, Refused> {
        match account.vaults.iter().any(|known| known == id) {
            true => self.vault(id).ok_or_else(|| refused(404)),
            false => Err(refused(403)),
        }
    }

    fn place(&self, id: &str) -> Option<usize> {
        self.keys.vaults.iter().position(|key| key.id == id)
    }

    fn vault(&self, id: &str) -> Option<&Vault> {
        self.vaults.get(self.place(id)?)
    }

    fn vault_mut(&mut self, id: &str) -> &mut Vault {
        let place = self.place(id).expect("the test added the vault");
        &mut self.vaults[place]
    }

    fn vault_json(&self, id: &str) -> Option<Value> {
        let (key, vault) = (self.keys.vaults.get(self.place(id)?)?, self.vault(id)?);
        let access = json!({
            "vaultUuid": id,
            "accessorType": "user",
            "accessorUuid": "user",
            "accessVersion": 1,
            "acl": 4_194_354,
            "leaseTimeout": 0,
            "vaultKeySN": 1,
            "encryptedBy": self.keys.keyset_id(),
            "encVaultKey": self.keys.vault_key(key),
        });
        Some(json!({
            "uuid": id,
            "type": "U",
            "createdAt": "2024-05-02T18:33:00Z",
            "updatedAt": "2024-05-02T18:34:33Z",
            "attrVersion": 1,
            "contentVersion": 1,
            "encAttrs": key.seal(&json!({"name": vault.name, "desc": "", "type": "U"})),
            "activeItemCount": vault.items.len(),
            "accessorsVersion": 1,
            "clientAccess": 1,
            "combinedAccess": access,
            "access": [access],
        }))
    }

    fn overview(&self, vault: &str, item: &Item, trashed: Trashed) -> Value {
        let key = &self.keys.vaults[self.place(vault).expect("the vault was found")];
        json!({
            "uuid": item.id,
            "templateUuid": item.template(),
            "trashed": if trashed == Trashed::Yes { "Y" } else { "N" },
            "createdAt": "2024-05-02T18:33:00Z",
            "updatedAt": "2024-05-02T18:34:33Z",
            "changerUuid": "user",
            "itemVersion": item.version(),
            "faveIndex": 0,
            "encryptedBy": vault,
            "encOverview": key.seal(&json!({"title": item.title, "tags": []})),
        })
    }

    fn full(&self, vault: &str, item: &Item, trashed: Trashed) -> Value {
        let key = &self.keys.vaults[self.place(vault).expect("the vault was found")];
        let mut json = self.overview(vault, item, trashed);
        json["encDetails"] = key.seal(&item.details());
        json
    }
}

/// An id as 1Password writes them: 128 bits in base32, whose last letter has two bits to spare, which are zero.
pub(super) fn id() -> String {
    let mut letters: Vec<u8> = random::<26>().iter().map(|byte| byte % 32).collect();
    letters[25] &= 0b11100;
    let letter = |place: u8| char::from(b"abcdefghijklmnopqrstuvwxyz234567"[usize::from(place)]);
    letters.into_iter().map(letter).collect()
}

fn refused(status: u16) -> Refused {
    Refused(Box::new(Response::json(status, &json!({}))))
}
