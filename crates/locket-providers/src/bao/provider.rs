//! Reads secrets: one request for each path and version, however many of its fields are wanted.

use std::sync::Arc;

use futures_util::future::join_all;
use locket_core::{
    BoxFuture, Capability, ErrorKind, FetchCx, Fetched, Lease, LeaseHandle, Leases, Locator, Login, Members,
    Provider, ProviderError, Renewal, SecretVersion, suggest,
};
use reqwest::StatusCode;

use crate::bao::client::{Api, no_path};
use crate::bao::lease;
use crate::bao::locator::Item;
use crate::bao::mounts::Mounts;
use crate::bao::session::Session;
use crate::bao::wire::{self, Absence, Engine, Fields, Versioned};
use crate::http::{Authority, Response};

/// Field names that an error lists at most.
const NAMES_SHOWN: usize = 20;

/// One OpenBao or Vault server, as one user of it.
#[derive(Debug)]
pub(super) struct Bao {
    session: Session,
    mounts: Mounts,
}

/// An answer that says what is at a path, or a 404.
#[derive(Debug)]
struct Answer {
    response: Response,
    engine: Engine,
    lease: Option<Lease>,
}

impl Bao {
    /// A server reached by `api`, with tokens of `authority`.
    pub(super) fn new(api: Arc<Api>, authority: Box<dyn Authority>) -> Self {
        Self {
            session: Session::new(api, authority),
            mounts: Mounts::default(),
        }
    }

    /// All of `locators`, which are of one item.
    async fn fetch_item(&self, locators: &[&Locator], cx: &FetchCx) -> Vec<Result<Fetched, ProviderError>> {
        let same = |error: &ProviderError| locators.iter().map(|_| Err(error.clone())).collect();
        let Some(item) = locators.first().and_then(|locator| locator.typed::<Item>()) else {
            return same(&ProviderError::invalid("this reference is another provider's"));
        };
        let answer = match self.read(item, cx).await {
            Ok(answer) => answer,
            Err(error) => return same(&error),
        };
        let results: Vec<_> = match answer.fields(item) {
            Ok((fields, version)) => locators
                .iter()
                .map(|locator| match locator.is_every() {
                    true => every_field(&fields, version, item, &answer),
                    false => field(&fields, locator.part(), version, item, &answer),
                })
                .collect(),
            Err(error) => locators
                .iter()
                .map(|locator| Err(no_item(error.clone(), locator)))
                .collect(),
        };
        if results.iter().all(Result::is_err)
            && let Some(handle) = answer.lease.and_then(|lease| lease.handle)
            && let Err(error) = lease::revoke(&self.session, &handle, cx).await
        {
            // Nobody gets to know of it, so nobody else will.
            tracing::warn!("a lease that nothing was taken from is not revoked: {error}");
        }
        results
    }

    async fn read(&self, item: &Item, cx: &FetchCx) -> Result<Answer, ProviderError> {
        let Some(mount) = self.mounts.of(&item.path, &self.session, cx).await? else {
            return self.guess(item, cx).await;
        };
        let answer = self.read_in(&mount.path, &mount.engine, item, cx).await;
        let moved = match &answer {
            Ok(answer) if answer.response.status == StatusCode::NOT_FOUND => {
                self.mounts.moved(&mount, &item.path, &self.session, cx).await?
            }
            // Policies are changed before a store is upgraded: its old paths are denied rather than missing.
            Err(error) if error.kind == ErrorKind::Denied => {
                self.mounts
                    .moved_where_denied(&mount, &item.path, &self.session, cx)
                    .await
            }
            _ => None,
        };
        match moved {
            Some(moved) => self.read_in(&moved.path, &moved.engine, item, cx).await,
            None => answer,
        }
    }

    async fn read_in(
        &self,
        mount: &[String],
        engine: &Engine,
        item: &Item,
        cx: &FetchCx,
    ) -> Result<Answer, ProviderError> {
        let name = || mount.join("/");
        if item.path.len() == mount.len() {
            let name = name();
            return Err(
                ProviderError::invalid(format!("`{name}` is a mount, and no secret in it is named"))
                    .hint(format!("Write the secret's path between `{name}` and the field.")),
            );
        }
        let version = item.version.map(|version| version.to_string());
        let mut segments: Vec<&str> = item.path.iter().map(String::as_str).collect();
        match engine {
            // A store that is asked by a body would be written to.
            Engine::Kv1 | Engine::Kv2 if !item.body.is_empty() => return Err(no_options(&name(), item)),
            Engine::Kv2 => segments.insert(mount.len(), "data"),
            Engine::Kv1 if version.is_some() => {
                return Err(ProviderError::invalid(format!("`{}` keeps no versions", name()))
                    .hint("Leave `version` out, or upgrade the mount with `bao kv enable-versioning`."));
            }
            Engine::Kv1 => {}
            Engine::Other(kind) if version.is_some() => {
                return Err(ProviderError::invalid(format!(
                    "`{}` is a `{kind}` engine and keeps no versions",
                    name()
                ))
                .hint("Leave `version` out."));
            }
            Engine::Other(_) | Engine::Untold => return self.ask(&segments, engine, item, cx).await,
        }
        let query = version.as_deref().map(|version| ("version", version));
        let response = self.session.get(&segments, query, cx).await?;
        if response.status == StatusCode::NOT_FOUND || response.status.is_success() {
            return Ok(Answer {
                response,
                engine: engine.clone(),
                lease: None,
            });
        }
        Err(self.session.error(&response))
    }

    /// Asks an engine that is no key/value store, or may be none.
    async fn ask(
        &self,
        segments: &[&str],
        engine: &Engine,
        item: &Item,
        cx: &FetchCx,
    ) -> Result<Answer, ProviderError> {
        let (response, token) = self.session.ask(segments, &item.body, cx).await?;
        let term = match response.status {
            StatusCode::NOT_FOUND => None,
            status if status.is_success() => wire::term(engine, &response, cx.clock.wall())?,
            _ => return Err(self.not_asked(&response, item)),
        };
        Ok(Answer {
            lease: term.map(|term| lease::granted(term, token, cx)),
            response,
            engine: engine.clone(),
        })
    }

    fn not_asked(&self, response: &Response, item: &Item) -> ProviderError {
        let error = self.session.error(response);
        let path = item.path.join("/");
        match response.status {
            StatusCode::BAD_REQUEST if item.body.is_empty() => error.hint(
                "Check the path. If the engine is to be asked by a body, write its fields as options: `?name=value&…`.",
            ),
            StatusCode::BAD_REQUEST => error.hint(format!(
                "Check the path and the options, which are sent as the request's body; `bao path-help {path}` says what the engine takes."
            )),
            StatusCode::METHOD_NOT_ALLOWED if item.body.is_empty() => error.hint(
                "This path is asked by a body: write its fields as options, like `?common_name=a.example`.",
            ),
            StatusCode::METHOD_NOT_ALLOWED => {
                error.hint("This path is read without a body: leave the options out.")
            }
            _ => error,
        }
    }

    /// Reads a path whose mount the server does not tell, with every mount it can have. What a policy allows decides;
    /// a path that is denied with any of them is denied.
    async fn guess(&self, item: &Item, cx: &FetchCx) -> Result<Answer, ProviderError> {
        if !item.body.is_empty() {
            return Err(untold(item));
        }
        let versioned = (1..item.path.len()).map(|length| (length, Engine::Kv2));
        let plain = item.version.is_none().then_some((1, Engine::Untold));
        let mut is_denied = false;
        let mut empty = None;
        for (length, engine) in versioned.chain(plain) {
            match self.read_in(&item.path[..length], &engine, item, cx).await {
                Ok(answer) if answer.is_shaped() => return Ok(answer),
                Ok(answer) if answer.is_empty() => empty = empty.or(Some(answer)),
                Ok(_) => {}
                Err(error) if error.kind == ErrorKind::Denied => is_denied = true,
                Err(error) => return Err(error),
            }
        }
        empty.filter(|_| !is_denied).ok_or_else(|| untold(item))
    }
}

impl Leases for Bao {
    fn renew<'a>(
        &'a self,
        lease: &'a LeaseHandle,
        cx: &'a FetchCx,
    ) -> BoxFuture<'a, Result<Renewal, ProviderError>> {
        Box::pin(lease::renew(&self.session, lease, cx))
    }

    fn revoke<'a>(
        &'a self,
        lease: &'a LeaseHandle,
        cx: &'a FetchCx,
    ) -> BoxFuture<'a, Result<(), ProviderError>> {
        Box::pin(lease::revoke(&self.session, lease, cx))
    }

    fn end<'a>(
        &'a self,
        held: &'a [LeaseHandle],
        cx: &'a FetchCx,
    ) -> BoxFuture<'a, Vec<Result<(), ProviderError>>> {
        Box::pin(lease::end(&self.session, held, cx))
    }
}

impl Provider for Bao {
    fn capability(&self) -> Capability {
        Capability {
            items_per_call: 1,
            max_concurrent: 32,
            local: false,
        }
    }

    fn rest(&self) {
        self.session.rest();
    }

    fn login(&self) -> Option<&dyn Login> {
        Some(self.session.login())
    }

    fn fetch<'a>(
        &'a self,
        batch: &'a [Locator],
        cx: &'a FetchCx,
    ) -> BoxFuture<'a, Vec<Result<Fetched, ProviderError>>> {
        Box::pin(async move {
            let mut items: Vec<Vec<usize>> = Vec::new();
            for (index, locator) in batch.iter().enumerate() {
                match items
                    .iter_mut()
                    .find(|item| batch[item[0]].item() == locator.item())
                {
                    Some(item) => item.push(index),
                    None => items.push(vec![index]),
                }
            }
            let read = items.iter().map(|item| async {
                let locators: Vec<_> = item.iter().map(|index| &batch[*index]).collect();
                self.fetch_item(&locators, cx).await
            });
            let mut results: Vec<_> = join_all(read)
                .await
                .into_iter()
                .zip(&items)
                .flat_map(|(results, item)| item.iter().copied().zip(results))
                .collect();
            results.sort_by_key(|(index, _)| *index);
            results.into_iter().map(|(_, result)| result).collect()
        })
    }

    fn leases(&self) -> Option<&dyn Leases> {
        Some(self)
    }
}

impl Answer {
    /// The fields, and the version where there are versions.
    fn fields(&self, item: &Item) -> Result<(Fields<'_>, Option<u64>), ProviderError> {
        if self.response.status == StatusCode::NOT_FOUND {
            match wire::absence(&self.response) {
                Some(Absence::Nothing) => return Err(self.missing(item)),
                Some(Absence::Version) if self.engine == Engine::Kv2 => {}
                _ => return Err(no_path(&self.response)),
            }
        }
        if self.engine != Engine::Kv2 {
            return wire::kv1(&self.response).map(|fields| (fields, None));
        }
        let path = item.path.join("/");
        match wire::kv2(&self.response)? {
            Versioned::Present { fields, version } => Ok((fields, Some(version))),
            Versioned::Deleted { version } => {
                Err(ProviderError::not_found(format!("version {version} of `{path}` is deleted")).hint(
                    "Bring it back with `bao kv undelete`, write a new version, or name another one with `?version=N`.",
                ))
            }
            Versioned::Destroyed { version } => {
                Err(ProviderError::not_found(format!("version {version} of `{path}` was destroyed"))
                    .hint("Write a new version, or name another one with `?version=N`."))
            }
        }
    }

    /// Whether the body is what the engine gives, rather than what happens to be stored at a path that looks alike.
    fn is_shaped(&self) -> bool {
        match self.engine {
            Engine::Kv2 => wire::kv2(&self.response).is_ok(),
            _ => self.response.status.is_success(),
        }
    }

    /// Whether the server says that an engine keeps nothing there.
    fn is_empty(&self) -> bool {
        self.response.status == StatusCode::NOT_FOUND
            && wire::absence(&self.response) == Some(Absence::Nothing)
    }

    fn missing(&self, item: &Item) -> ProviderError {
        let path = item.path.join("/");
        if let Some(version) = item.version {
            return ProviderError::not_found(format!("`{path}` has no version {version}"));
        }
        let error = ProviderError::not_found(format!("`{path}` does not exist"));
        match &item.path[..] {
            [mount, data, rest @ ..] if self.engine == Engine::Kv2 && data == "data" && !rest.is_empty() => {
                error.hint(format!(
                    "Write it as `{mount}/{}`: the `data` of the API's paths is not part of a reference.",
                    rest.join("/")
                ))
            }
            _ => error,
        }
    }
}

fn field(
    fields: &Fields<'_>,
    name: &str,
    version: Option<u64>,
    item: &Item,
    answer: &Answer,
) -> Result<Fetched, ProviderError> {
    match fields.get(name, &answer.response)? {
        Some(value) => Ok(Fetched {
            version: version.map(|version| SecretVersion(version.to_string())),
            lease: answer.lease.clone(),
            ..Fetched::new(value)
        }),
        None => Err(no_field(fields, name, item)),
    }
}

/// What a path is whose mount the server tells no more than whether it may be read.
fn untold(item: &Item) -> ProviderError {
    let (why, needed) = match item.body.is_empty() {
        true => ("nothing there can be read", "read"),
        false => ("what is asked with options is not guessed at", "update"),
    };
    ProviderError::denied(format!(
        "the server does not tell what is mounted at `{}`, and {why}",
        item.path.join("/")
    ))
    .hint(format!(
        "Check how the path begins, and `namespace` if the server uses namespaces: `bao secrets list` shows what is mounted where. If both are right, give the token a policy with the capability `{needed}` on the path, which in a key/value store of version 2 has `data` behind the mount."
    ))
}

fn no_options(mount: &str, item: &Item) -> ProviderError {
    let error = ProviderError::invalid(format!(
        "`{mount}` is a key/value store, which takes no option but `version`"
    ));
    match item
        .body
        .keys()
        .find_map(|name| suggest::nearest(name, ["version"]))
    {
        Some(near) => error.hint(format!("Did you mean `{near}`?")),
        None => error.hint("Leave the options out; other engines get them as the request's body."),
    }
}

/// All fields that have a value.
fn every_field(
    fields: &Fields<'_>,
    version: Option<u64>,
    item: &Item,
    answer: &Answer,
) -> Result<Fetched, ProviderError> {
    let mut members = Vec::new();
    for name in fields.names() {
        match field(fields, name, version, item, answer) {
            Ok(value) => members.push((name.to_owned(), value)),
            // It is null.
            Err(error) if error.kind == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Fetched {
        version: version.map(|version| SecretVersion(version.to_string())),
        lease: answer.lease.clone(),
        ..Fetched::every(Members::new(members))
    })
}

/// A missing secret whose fields are all wanted may be a folder of secrets.
fn no_item(error: ProviderError, locator: &Locator) -> ProviderError {
    match locator.is_every() && error.kind == ErrorKind::NotFound && error.hint.is_none() {
        true => {
            error.hint("`*` stands for the fields of one secret; the secrets of a folder are not listed.")
        }
        false => error,
    }
}

fn no_field(fields: &Fields<'_>, name: &str, item: &Item) -> ProviderError {
    let error = ProviderError::not_found(format!("`{}` has no field `{name}`", item.path.join("/")));
    let names = fields.names();
    if names.contains(&name) {
        return error.hint("The field is there, but it is null.");
    }
    let shown: Vec<String> = names
        .iter()
        .take(NAMES_SHOWN)
        .map(|name| format!("`{name}`"))
        .collect();
    let more = if names.len() > shown.len() {
        " and more"
    } else {
        ""
    };
    let guess = suggest::nearest(name, names.iter().copied())
        .map(|near| format!("Did you mean `{near}`? "))
        .unwrap_or_default();
    if shown.is_empty() {
        return error.hint("It has no fields at all.");
    }
    error.hint(format!("{guess}Its fields are {}{more}.", shown.join(", ")))
}
