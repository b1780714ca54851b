//! The server's state and its answers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::Method;
use serde_json::{Value, json};

use super::filter::Filter;
use super::model::{File, Item, Vault};
use super::token::{Grant, Token, Tokens};
use crate::{Request, Response};

/// Connect's limit for file contents inside of JSON, `OP_MAX_INLINE_FILE_SIZE_KB`.
const INLINE_LIMIT: usize = 100 << 10;

/// A Connect server without a socket: [`Connect::answer`] is the handler of a [`crate::Server`].
///
/// Clones are one server.
#[derive(Clone, Debug, Default)]
pub struct Connect(Arc<Mutex<Account>>);

/// How filters compare names. The real server's way is not documented, so that clients face both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TitleMatching {
    /// Byte for byte.
    #[default]
    Exact,
    /// Without regard to case.
    IgnoringCase,
}

#[derive(Debug, Default)]
struct Account {
    vaults: Vec<Vault>,
    tokens: Tokens,
    matching: TitleMatching,
    ids: u64,
}

impl Connect {
    /// A server without vaults and tokens.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a vault and gives its id.
    pub fn add_vault(&self, name: &str) -> String {
        let mut account = self.lock();
        let id = account.next_id();
        account.vaults.push(Vault {
            id: id.clone(),
            name: name.to_owned(),
            items: Vec::new(),
        });
        id
    }

    /// Gives a vault another name.
    ///
    /// # Panics
    /// There is no such vault.
    pub fn rename_vault(&self, vault: &str, name: &str) {
        name.clone_into(&mut self.lock().vault_mut(vault).name);
    }

    /// Removes a vault with all it holds. Tokens keep their grant.
    pub fn remove_vault(&self, vault: &str) {
        self.lock().vaults.retain(|known| known.id != vault);
    }

    /// Adds an item to the vault of this id and gives the item's id.
    ///
    /// # Panics
    /// There is no such vault.
    pub fn add_item(&self, vault: &str, mut item: Item) -> String {
        let mut account = self.lock();
        item.fill_ids(|| account.next_id());
        let id = item.id.clone();
        account.vault_mut(vault).items.push(item);
        id
    }

    /// Changes an item, wherever it is.
    ///
    /// # Panics
    /// There is no such item.
    pub fn change_item(&self, item: &str, change: impl FnOnce(&mut Item)) {
        let mut account = self.lock();
        let mut items = account.vaults.iter_mut().flat_map(|vault| &mut vault.items);
        change(
            items
                .find(|known| known.id == item)
                .expect("the test added the item"),
        );
    }

    /// Deletes an item, wherever it is.
    pub fn remove_item(&self, item: &str) {
        for vault in &mut self.lock().vaults {
            vault.items.retain(|known| known.id != item);
        }
    }

    /// A token that reads these vaults, by id.
    pub fn token(&self, vaults: &[&str]) -> String {
        let grants: Vec<_> = vaults.iter().map(|vault| (*vault, Grant::Read)).collect();
        self.token_with(&grants)
    }

    /// A token with a grant for each of these vaults, by id.
    pub fn token_with(&self, grants: &[(&str, Grant)]) -> String {
        self.lock().tokens.issue(grants)
    }

    /// Ends a token's time.
    pub fn expire_token(&self, token: &str) {
        self.lock().tokens.expire(token);
    }

    /// Sets how filters compare names.
    pub fn match_titles(&self, matching: TitleMatching) {
        self.lock().matching = matching;
    }

    /// Answers one request.
    pub fn answer(&self, request: &Request) -> Response {
        self.lock()
            .route(request)
            .unwrap_or_else(|refusal| refusal.response())
            .with_header("1Password-Connect-Version", "1.8.1")
    }

    fn lock(&self) -> MutexGuard<'_, Account> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `ErrorResponse` of the specification.
struct Refusal {
    status: u16,
    message: String,
}

impl Refusal {
    fn new(status: u16, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }

    fn response(&self) -> Response {
        Response::json(
            self.status,
            &json!({"status": self.status, "message": self.message}),
        )
    }
}

impl Account {
    fn route(&self, request: &Request) -> Result<Response, Refusal> {
        let segments = request.segments();
        let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
        match segments.as_slice() {
            ["heartbeat"] => return Ok(Response::text(200, ".")),
            ["health"] => return Ok(health()),
            ["v1", "vaults", ..] => {}
            // What Go's router says of an address that it does not have.
            _ => return Ok(Response::text(404, "404 page not found\n")),
        }
        let token = self
            .tokens
            .check(request.bearer())
            .map_err(|message| Refusal::new(401, message))?;
        if request.method != Method::GET {
            return Err(Refusal::new(
                403,
                "Authorization: token does not have write access to the vault",
            ));
        }
        match &segments[2..] {
            [] => self.list_vaults(token, request),
            [vault] => Ok(Response::json(200, &vault_json(self.vault(token, vault)?))),
            [vault, "items"] => self.list_items(self.readable(token, vault)?, request),
            [vault, "items", item] => {
                let vault = self.readable(token, vault)?;
                Ok(Response::json(200, &find_item(vault, item)?.full(&vault.id)))
            }
            [vault, "items", item, "files"] => {
                let vault = self.readable(token, vault)?;
                let item = find_item(vault, item)?;
                let files: Result<Vec<_>, _> = item
                    .files()
                    .iter()
                    .map(|file| file_json(vault, item, file, request))
                    .collect();
                Ok(Response::json(200, &files?))
            }
            [vault, "items", item, "files", file] => {
                let vault = self.readable(token, vault)?;
                let item = find_item(vault, item)?;
                Ok(Response::json(
                    200,
                    &file_json(vault, item, find_file(item, file)?, request)?,
                ))
            }
            [vault, "items", item, "files", file, "content"] => {
                let file = find_file(find_item(self.readable(token, vault)?, item)?, file)?;
                let disposition = format!("attachment; filename={:?}", file.name);
                Ok(Response::bytes(200, file.content.clone())
                    .with_header("content-disposition", &disposition))
            }
            _ => Ok(Response::text(404, "404 page not found\n")),
        }
    }

    fn list_vaults(&self, token: &Token, request: &Request) -> Result<Response, Refusal> {
        let filter = filter(request, &["name", "title"])?;
        let vaults: Vec<_> = self
            .vaults
            .iter()
            .filter(|vault| token.grant(&vault.id).is_some())
            .filter(|vault| {
                filter
                    .as_ref()
                    .is_none_or(|filter| self.matches(&vault.name, &filter.value))
            })
            .map(vault_json)
            .collect();
        Ok(Response::json(200, &vaults))
    }

    fn list_items(&self, vault: &Vault, request: &Request) -> Result<Response, Refusal> {
        let filter = filter(request, &["title", "tag"])?;
        let items: Vec<_> = vault
            .items
            .iter()
            .filter(|item| item.is_active())
            .filter(|item| match &filter {
                None => true,
                Some(filter) if filter.attribute == "tag" => item.has_tag(&filter.value),
                Some(filter) => self.matches(item.title(), &filter.value),
            })
            .map(|item| item.summary(&vault.id))
            .collect();
        Ok(Response::json(200, &items))
    }

    /// A vault in the token's scope.
    fn vault(&self, token: &Token, id: &str) -> Result<&Vault, Refusal> {
        if !is_id(id) {
            return Err(Refusal::new(400, "Invalid Vault UUID"));
        }
        // The scope is checked first: whether a foreign vault exists is not told.
        if token.grant(id).is_none() {
            return Err(Refusal::new(403, format!("vault {id} is not in scope")));
        }
        self.vaults
            .iter()
            .find(|vault| vault.id == id)
            .ok_or_else(|| Refusal::new(404, format!("vault {id} not found")))
    }

    /// A vault whose items the token may read.
    fn readable(&self, token: &Token, id: &str) -> Result<&Vault, Refusal> {
        let vault = self.vault(token, id)?;
        match token.grant(id) {
            Some(Grant::Read) => Ok(vault),
            _ => Err(Refusal::new(
                403,
                "Authorization: token does not have read access to the vault",
            )),
        }
    }

    fn vault_mut(&mut self, id: &str) -> &mut Vault {
        let mut vaults = self.vaults.iter_mut();
        vaults
            .find(|vault| vault.id == id)
            .expect("the test added the vault")
    }

    fn matches(&self, name: &str, wanted: &str) -> bool {
        match self.matching {
            TitleMatching::Exact => name == wanted,
            TitleMatching::IgnoringCase => name.to_lowercase() == wanted.to_lowercase(),
        }
    }

    /// 26 letters and digits, different each time and the same in every run.
    fn next_id(&mut self) -> String {
        const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
        self.ids += 1;
        // The finaliser of SplitMix64 spreads the count over all letters.
        let mixed = |salt: u64| {
            let mut word = self.ids.wrapping_add(salt).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            word ^ (word >> 31)
        };
        let bits = (u128::from(mixed(0)) << 64) | u128::from(mixed(1 << 32));
        (0..26)
            .map(|at| char::from(ALPHABET[(bits >> (at * 5 % 124)) as usize & 31]))
            .collect()
    }
}

fn filter(request: &Request, attributes: &[&str]) -> Result<Option<Filter>, Refusal> {
    let Some(text) = request.param("filter") else {
        return Ok(None);
    };
    match Filter::parse(&text) {
        Some(filter) if attributes.contains(&filter.attribute.as_str()) => Ok(Some(filter)),
        _ => Err(Refusal::new(400, "Invalid filter expression")),
    }
}

fn find_item<'a>(vault: &'a Vault, id: &str) -> Result<&'a Item, Refusal> {
    if !is_id(id) {
        return Err(Refusal::new(400, "Invalid Item UUID"));
    }
    vault
        .items
        .iter()
        .find(|item| item.id == id)
        .ok_or_else(|| Refusal::new(404, format!("item {id} not found")))
}

fn find_file<'a>(item: &'a Item, id: &str) -> Result<&'a File, Refusal> {
    item.files()
        .iter()
        .find(|file| file.id.as_deref() == Some(id))
        .ok_or_else(|| Refusal::new(404, format!("file {id} not found")))
}

fn file_json(vault: &Vault, item: &Item, file: &File, request: &Request) -> Result<Value, Refusal> {
    if request.param("inline_files").as_deref() != Some("true") {
        return Ok(file.json(&vault.id, &item.id));
    }
    if file.content.len() > INLINE_LIMIT {
        return Err(Refusal::new(413, "File is too large to inline in request"));
    }
    Ok(file.inline_json(&vault.id, &item.id))
}

fn vault_json(vault: &Vault) -> Value {
    json!({
        "id": vault.id,
        "name": vault.name,
        "attributeVersion": 1,
        "contentVersion": vault.items.len(),
        "items": vault.items.iter().filter(|item| item.is_active()).count(),
        "type": "USER_CREATED",
        "createdAt": "2024-05-02T18:33:00Z",
        "updatedAt": "2024-05-02T18:34:33Z",
    })
}

fn health() -> Response {
    Response::json(
        200,
        &json!({
            "name": "1Password Connect API",
            "version": "1.8.1",
            "dependencies": [
                {"service": "sync", "status": "ACTIVE"},
                {"service": "sqlite", "status": "ACTIVE", "message": "Connected to /home/opuser/.op/data/1password.sqlite"},
            ],
        }),
    )
}

fn is_id(text: &str) -> bool {
    text.len() == 26
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fakes::connect::Field;

    fn rig() -> (Connect, String, String) {
        let fake = Connect::new();
        let vault = fake.add_vault("prod");
        let item = fake.add_item(&vault, Item::login("db", "p").field(Field::concealed("a", "1")));
        (fake, vault, item)
    }

    fn status(fake: &Connect, token: &str, target: &str) -> u16 {
        let request = Request::get(target).with_header("authorization", &format!("Bearer {token}"));
        let response = fake.answer(&request);
        let status = response.status.as_u16();
        if status >= 400 {
            let body: Value = response.json_value().expect("refusals are JSON");
            assert_eq!(body["status"], status, "{body}");
        }
        status
    }

    #[test]
    fn only_tokens_it_issued_and_did_not_expire_are_let_in() {
        let (fake, vault, _) = rig();
        let token = fake.token(&[&vault]);
        assert_eq!(status(&fake, &token, "/v1/vaults"), 200);
        assert_eq!(status(&fake, &format!("{token}x"), "/v1/vaults"), 401);
        assert_eq!(status(&fake, "a.b.c", "/v1/vaults"), 401);
        assert_eq!(fake.answer(&Request::get("/v1/vaults")).status, 401);
        fake.expire_token(&token);
        assert_eq!(status(&fake, &token, "/v1/vaults"), 401);
    }

    #[test]
    fn a_token_reads_the_vaults_of_its_scope_and_no_others() {
        let (fake, vault, item) = rig();
        let other = fake.add_vault("other");
        let target = format!("/v1/vaults/{vault}/items/{item}");
        assert_eq!(status(&fake, &fake.token(&[&vault]), &target), 200);
        assert_eq!(status(&fake, &fake.token(&[&other]), &target), 403);
        assert_eq!(
            status(&fake, &fake.token_with(&[(&vault, Grant::WriteOnly)]), &target),
            403
        );
        let listed = fake.answer(
            &Request::get("/v1/vaults")
                .with_header("authorization", &format!("Bearer {}", fake.token(&[&other]))),
        );
        let listed: Vec<Value> = listed.json_value().expect("a list");
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0]["id"], other.as_str());
    }

    #[test]
    fn malformed_ids_filters_and_writes_are_refused() {
        let (fake, vault, item) = rig();
        let token = fake.token(&[&vault]);
        let refused = |target: &str| status(&fake, &token, target);
        assert_eq!(refused("/v1/vaults/prod"), 400);
        assert_eq!(refused(&format!("/v1/vaults/{vault}/items/db")), 400);
        assert_eq!(
            refused(&format!("/v1/vaults/{vault}/items?filter=title+eq+db")),
            400
        );
        assert_eq!(
            refused(&format!("/v1/vaults/{vault}/items?filter=url+eq+%22db%22")),
            400
        );
        assert_eq!(
            refused(&format!("/v1/vaults/{vault}/items/{}", "a".repeat(26))),
            404
        );
        let delete = Request::new(Method::DELETE, &format!("/v1/vaults/{vault}/items/{item}"));
        let delete = delete.with_header("authorization", &format!("Bearer {token}"));
        assert_eq!(fake.answer(&delete).status, 403);
    }
}
