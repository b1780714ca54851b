//! A provider whose credential is a secret of another provider: made when that secret is there, and made anew when
//! the credential was refused, since it may have been rotated.

use std::sync::{Arc, Weak};
use std::time::Duration;

use locket_core::template::{Problem, RenderError, TemplateOptions};
use locket_core::{
    BoxFuture, Capability, ErrorKind, FetchCx, Fetched, LeaseHandle, Leases, Locator, Login, Provider,
    ProviderError, Renewal, SecretBytes,
};
use locket_engine::resolve::SecretKey;
use locket_engine::{Instances, once};
use locket_providers::{Credential, Setting, Settings};
use tokio::sync::Mutex;

use super::credential::template_of;
use super::instances::{Blueprint, Ground};
use crate::options::Given;

pub(super) struct Deferred {
    blueprint: Arc<Blueprint>,
    ground: Arc<Ground>,
    instances: Weak<Instances>,
    /// The same provider with credentials that are none: it tells what can be told without asking anybody.
    stand_in: Arc<dyn Provider>,
    /// The provider with its credentials. Whoever comes first fetches them, the others wait for that.
    made: Mutex<Option<Arc<dyn Provider>>>,
}

impl Deferred {
    /// The provider of `blueprint`, as soon as its credentials are there.
    ///
    /// # Errors
    /// What else it was told does not suffice.
    pub(super) fn new(
        blueprint: Arc<Blueprint>,
        ground: Arc<Ground>,
        instances: Weak<Instances>,
    ) -> Result<Self, ProviderError> {
        let nothing = || Credential::Value(Arc::new(SecretBytes::copy_from(b"none")));
        let names = blueprint.references.iter().map(|(setting, _)| setting.name);
        let settings = names.fold(blueprint.settings.clone(), |settings, name| {
            settings.with_credential(name, nothing())
        });
        Ok(Self {
            stand_in: blueprint.build(&settings, &ground)?,
            made: Mutex::new(None),
            blueprint,
            ground,
            instances,
        })
    }

    async fn made(&self, cx: &FetchCx) -> Result<Arc<dyn Provider>, ProviderError> {
        let mut made = self.made.lock().await;
        if let Some(provider) = &*made {
            return Ok(provider.clone());
        }
        let instances = self
            .instances
            .upgrade()
            .ok_or_else(|| ProviderError::unavailable("the configuration is being replaced"))?;
        let settings = with_credentials(&self.blueprint, &instances, &self.ground, cx.remaining()).await?;
        let provider = self.blueprint.build(&settings, &self.ground)?;
        *made = Some(provider.clone());
        Ok(provider)
    }

    /// The provider, unless it is not made or somebody just makes it.
    fn made_before(&self) -> Option<Arc<dyn Provider>> {
        self.made.try_lock().ok()?.clone()
    }

    /// The credential of `refused` may have been rotated: the next one to come looks again.
    async fn forget(&self, refused: &Arc<dyn Provider>) {
        let mut made = self.made.lock().await;
        if made.as_ref().is_some_and(|made| Arc::ptr_eq(made, refused)) {
            *made = None;
        }
    }
}

/// What the provider of `blueprint` was told, with the credentials that other providers hold.
pub(super) async fn with_credentials(
    blueprint: &Blueprint,
    instances: &Arc<Instances>,
    ground: &Ground,
    deadline: Duration,
) -> Result<Settings, ProviderError> {
    let mut settings = blueprint.settings.clone();
    for (setting, given) in &blueprint.references {
        let invalid = |_| ProviderError::invalid(format!("`{}` is not a reference", setting.name));
        let template = template_of(&given.text, instances.schemes()).map_err(|_| invalid(()))?;
        let origin = given.origin.to_string();
        let parsed = once::parse(&origin, template.source(), &TemplateOptions::default(), instances)
            .map_err(|_| invalid(()))?;
        let rendered = once::render(
            &parsed,
            instances,
            &ground.clock,
            ground.request_timeout,
            deadline,
        )
        .await
        .map_err(|errors| credential_error(&errors))?;
        #[expect(
            clippy::disallowed_methods,
            reason = "a credential goes to its provider without a line ending"
        )]
        let value = SecretBytes::copy_from(rendered.bytes.expose().trim_ascii_end());
        settings = settings.with_credential(setting.name, Credential::Value(Arc::new(value)));
    }
    Ok(settings)
}

/// What the credentials that `references` name are asked for by. A text that is no reference has none; using it says
/// what is wrong.
pub(super) fn credential_keys(
    references: &[(&'static Setting, Given)],
    instances: &Instances,
) -> Vec<SecretKey> {
    let templates = references
        .iter()
        .filter_map(|(_, given)| template_of(&given.text, instances.schemes()).ok());
    let keys = templates.flat_map(|template| {
        let keys = template
            .references()
            .iter()
            .filter_map(|reference| instances.locate(reference).ok());
        keys.collect::<Vec<_>>()
    });
    keys.collect()
}

impl Provider for Deferred {
    fn capability(&self) -> Capability {
        self.stand_in.capability()
    }

    fn fetch<'a>(
        &'a self,
        batch: &'a [Locator],
        cx: &'a FetchCx,
    ) -> BoxFuture<'a, Vec<Result<Fetched, ProviderError>>> {
        Box::pin(async move {
            let provider = match self.made(cx).await {
                Ok(provider) => provider,
                Err(error) => return batch.iter().map(|_| Err(error.clone())).collect(),
            };
            let results = provider.fetch(batch, cx).await;
            let errors = results.iter().filter_map(|result| result.as_ref().err());
            if errors.into_iter().any(|error| error.kind == ErrorKind::Auth) {
                self.forget(&provider).await;
            }
            results
        })
    }

    fn rest(&self) {
        if let Some(provider) = self.made_before() {
            provider.rest();
        }
    }

    fn login(&self) -> Option<&dyn Login> {
        self.stand_in.login().map(|_| self as &dyn Login)
    }

    fn leases(&self) -> Option<&dyn Leases> {
        self.stand_in.leases().map(|_| self as &dyn Leases)
    }
}

impl Login for Deferred {
    fn due(&self) -> Option<Duration> {
        self.made_before()?.login()?.due()
    }

    fn keep<'a>(&'a self, cx: &'a FetchCx) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let provider = self.made_before();
            if let Some(login) = provider.as_ref().and_then(|provider| provider.login()) {
                login.keep(cx).await;
            }
        })
    }
}

impl Leases for Deferred {
    fn renew<'a>(
        &'a self,
        lease: &'a LeaseHandle,
        cx: &'a FetchCx,
    ) -> BoxFuture<'a, Result<Renewal, ProviderError>> {
        Box::pin(async move { leases(&self.made(cx).await?)?.renew(lease, cx).await })
    }

    fn revoke<'a>(
        &'a self,
        lease: &'a LeaseHandle,
        cx: &'a FetchCx,
    ) -> BoxFuture<'a, Result<(), ProviderError>> {
        Box::pin(async move { leases(&self.made(cx).await?)?.revoke(lease, cx).await })
    }

    fn end<'a>(
        &'a self,
        held: &'a [LeaseHandle],
        cx: &'a FetchCx,
    ) -> BoxFuture<'a, Vec<Result<(), ProviderError>>> {
        Box::pin(async move {
            let every = |error: ProviderError| held.iter().map(|_| Err(error.clone())).collect();
            match self.made(cx).await {
                Ok(provider) => match leases(&provider) {
                    Ok(leases) => leases.end(held, cx).await,
                    Err(error) => every(error),
                },
                Err(error) => every(error),
            }
        })
    }
}

fn leases(provider: &Arc<dyn Provider>) -> Result<&dyn Leases, ProviderError> {
    provider
        .leases()
        .ok_or_else(|| ProviderError::invalid("this provider has no leases"))
}

impl std::fmt::Debug for Deferred {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Deferred").field(&self.blueprint.name).finish()
    }
}

/// What a missing credential means for those who need it. It is never "the secret does not exist", for which a
/// default would stand in.
fn credential_error(errors: &[RenderError]) -> ProviderError {
    let Some(error) = errors.first() else {
        return ProviderError::auth("the credential has no value");
    };
    let (kind, context, hint) = match &error.problem {
        Problem::Unresolved(cause) if cause.kind.is_transient() => (cause.kind, &cause.context, &cause.hint),
        Problem::Unresolved(cause) => (ErrorKind::Auth, &cause.context, &cause.hint),
        Problem::Unsuitable(reason) => (ErrorKind::Auth, reason, &None),
    };
    ProviderError {
        hint: hint.clone(),
        ..ProviderError::new(
            kind,
            format!("its credential {} has no value: {context}", error.reference),
        )
    }
}
