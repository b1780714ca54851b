//! The store as a provider: one decryption for each state of the file, however many references ask.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use locket_core::schemes::Fragment;
use locket_core::{
    BoxFuture, Capability, Diagnostic, FetchCx, Fetched, Locator, Members, Provider, ProviderError, Reach,
    Reference, SecretBytes, suggest,
};

use super::config::SETTINGS;
use super::document::Entry;
use super::{SecretName, Store};
use crate::batch::{Answers, all_failed, off_loop};
use crate::file::Stamp;
use crate::{BuildCx, ConfigError, Facts, ProviderKind, SchemeSpec};

/// The embedded encrypted store.
pub static KIND: ProviderKind = ProviderKind {
    name: "store",
    title: "the embedded store",
    summary: "An age-encrypted file beside the project, safe to commit",
    facts: Facts {
        logins: &["age identity"],
        batching: "the whole store",
        verified: "`age` and `rage`, which read its file",
        ..Facts::LOCAL
    },
    schemes: &[SchemeSpec {
        name: "store",
        bare: true,
        fragment: Fragment::Json,
    }],
    prefix: "store",
    settings: SETTINGS,
    network: false,
    named_only: false,
    runs_programs: false,
    touches,
    parse,
    parse_every: Some(parse_every),
    build,
};

#[derive(Debug)]
struct StoreProvider(Arc<Opened>);

#[derive(Debug)]
pub(super) struct Opened {
    store: Store,
    pub(super) content: Mutex<Option<Content>>,
}

/// The secrets of one state of the file.
#[derive(Debug)]
pub(super) struct Content {
    sealed: Stamp,
    identity: Option<Stamp>,
    pub(super) secrets: BTreeMap<SecretName, Entry>,
}

fn parse(reference: &Reference) -> Result<Locator, Vec<Diagnostic>> {
    reference.check_options(&[])?;
    let name = reference.decoded_locator();
    match name.parse::<SecretName>() {
        Ok(parsed) => Ok(Locator::new(name.as_ref(), "", Wanted::One(parsed))),
        Err(error) => Err(vec![
            Diagnostic::error(reference.span(), error.to_string())
                .label("no name in the store")
                .help("Write `store://name` or `store://group/name`."),
        ]),
    }
}

/// What is read of the store.
#[derive(Clone, Debug)]
pub(super) enum Wanted {
    /// The secret of this name.
    One(SecretName),
    /// Every secret whose name is this and one part more.
    Every(Arc<str>),
}

/// `store://group/*`, `store://*` or `store://prefix*`. Names below a further `/` do not count.
fn parse_every(reference: &Reference) -> Result<Locator, Vec<Diagnostic>> {
    reference.check_options(&[])?;
    let prefix: Arc<str> = reference.decoded_locator().as_ref().into();
    if let Err(error) = format!("{prefix}x").parse::<SecretName>() {
        return Err(vec![Diagnostic::error(reference.span(), error.to_string()).help(
            "Write `store://group/*`, or `store://*` for all names without a group.",
        )]);
    }
    Ok(Locator::every(prefix.clone(), "", Wanted::Every(prefix)))
}

/// The file and the identity where nobody named them; a store that is not there needs neither.
fn touches(cx: &BuildCx<'_>) -> Reach {
    let store = Store::from_settings(cx.settings, cx.environment, cx.base_dir);
    let identity = store.identity().path().map(Path::to_owned);
    match store.path().exists() {
        true => Reach::of_files(std::iter::once(store.path().to_owned()).chain(identity)),
        false => Reach::default(),
    }
}

fn build(cx: &BuildCx<'_>) -> Result<Arc<dyn Provider>, ConfigError> {
    let store = Store::from_settings(cx.settings, cx.environment, cx.base_dir);
    Ok(Arc::new(StoreProvider(Arc::new(Opened::new(store)))))
}

impl Provider for StoreProvider {
    fn capability(&self) -> Capability {
        Capability {
            items_per_call: 1 << 16,
            max_concurrent: 1,
            local: true,
        }
    }

    fn fetch<'a>(
        &'a self,
        batch: &'a [Locator],
        _cx: &'a FetchCx,
    ) -> BoxFuture<'a, Vec<Result<Fetched, ProviderError>>> {
        let opened = self.0.clone();
        let names: Vec<_> = batch
            .iter()
            .map(|locator| locator.typed::<Wanted>().cloned())
            .collect();
        // Decrypting takes a while, too.
        Box::pin(off_loop(batch.len(), move || opened.fetch(&names)))
    }
}

impl Opened {
    /// The store before its first read.
    pub(super) fn new(store: Store) -> Self {
        Self {
            store,
            content: Mutex::default(),
        }
    }

    /// One answer for each name.
    pub(super) fn fetch(&self, names: &[Option<Wanted>]) -> Answers {
        let mut content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = self.refresh(&mut content) {
            return all_failed(names.len(), &error);
        }
        let secrets = content.as_ref().map(|content| &content.secrets);
        names
            .iter()
            .map(|name| match (name, secrets) {
                (Some(Wanted::One(name)), Some(secrets)) => self.pick(name, secrets),
                (Some(Wanted::Every(prefix)), Some(secrets)) => self.pick_every(prefix, secrets),
                _ => Err(ProviderError::invalid(
                    "the reference was parsed by another provider",
                )),
            })
            .collect()
    }

    /// Decrypts again if the file or the identity is not the one that was decrypted last.
    fn refresh(&self, content: &mut Option<Content>) -> Result<(), ProviderError> {
        let identity = self.store.identity().stamp();
        if let Some(known) = content
            && Stamp::at(self.store.path()) == Some(known.sealed)
            && identity == known.identity
        {
            return Ok(());
        }
        *content = None;
        let (document, sealed, identity) = self.store.open()?;
        *content = Some(Content {
            sealed,
            identity,
            secrets: document.secrets,
        });
        Ok(())
    }

    fn pick(
        &self,
        name: &SecretName,
        secrets: &BTreeMap<SecretName, Entry>,
    ) -> Result<Fetched, ProviderError> {
        match secrets.get(name) {
            Some(entry) => Ok(copy(entry)),
            None => Err(self.store.no_such_secret(name, secrets.keys())),
        }
    }

    fn pick_every(
        &self,
        prefix: &str,
        secrets: &BTreeMap<SecretName, Entry>,
    ) -> Result<Fetched, ProviderError> {
        let members: Vec<_> = secrets
            .iter()
            .filter_map(|(name, entry)| {
                let key = name.as_str().strip_prefix(prefix)?;
                let is_one = !key.is_empty() && !key.contains('/');
                is_one.then(|| (key.to_owned(), copy(entry)))
            })
            .collect();
        if members.is_empty() {
            let place = self.store.path().display();
            return Err(
                ProviderError::not_found(format!("{place} holds nothing under `{prefix}`"))
                    .hint("`locket store list` shows what it holds."),
            );
        }
        Ok(Fetched::every(Members::new(members)))
    }
}

/// The value for the resolver; the store keeps its own.
fn copy(entry: &Entry) -> Fetched {
    #[expect(
        clippy::disallowed_methods,
        reason = "the value is handed to the resolver, the store keeps its own"
    )]
    let fetched = Fetched::new(SecretBytes::copy_from(entry.value.expose()));
    match entry.updated {
        Some(updated) => fetched.version(humantime::format_rfc3339_millis(updated).to_string()),
        None => fetched,
    }
}

impl Store {
    /// What is said when there is no secret of this name.
    pub(super) fn no_such_secret<'a>(
        &self,
        name: &SecretName,
        known: impl Iterator<Item = &'a SecretName>,
    ) -> ProviderError {
        let near = suggest::nearest(name.as_str(), known.map(SecretName::as_str));
        ProviderError::not_found(format!("{} holds no `{name}`", self.path().display())).hint(match near {
            Some(near) => format!("Did you mean `{near}`?"),
            None => format!("Add it with `locket store set {name}`."),
        })
    }
}
