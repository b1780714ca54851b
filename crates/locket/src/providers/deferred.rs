//! A provider whose credential is a secret of another provider: made when that secret is there, and made anew when
//! the credential was refused, since it may have been rotated.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use locket_core::template::{Problem, RenderError, TemplateOptions};
use locket_core::{
    BoxFuture, Capability, ErrorKind, FetchCx, Fetched, Locator, Provider, ProviderError, SecretBytes,
};
use locket_engine::{Instances, once};
use locket_providers::{Credential, Settings};

use super::credential::template_of;
use super::instances::{Blueprint, Ground};

pub(super) struct Deferred {
    blueprint: Arc<Blueprint>,
    ground: Arc<Ground>,
    instances: Weak<Instances>,
    built: Mutex<Option<Arc<dyn Provider>>>,
}

impl Deferred {
    pub(super) fn new(blueprint: Arc<Blueprint>, ground: Arc<Ground>, instances: Weak<Instances>) -> Self {
        Self {
            blueprint,
            ground,
            instances,
            built: Mutex::new(None),
        }
    }

    fn built(&self) -> Option<Arc<dyn Provider>> {
        self.built.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, provider: Option<Arc<dyn Provider>>) {
        *self.built.lock().unwrap_or_else(PoisonError::into_inner) = provider;
    }

    async fn make(&self, cx: &FetchCx) -> Result<Arc<dyn Provider>, ProviderError> {
        let instances = self
            .instances
            .upgrade()
            .ok_or_else(|| ProviderError::unavailable("the configuration is being replaced"))?;
        let settings = with_credentials(&self.blueprint, &instances, &self.ground, cx.remaining()).await?;
        self.blueprint.build(&settings, &self.ground)
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

impl Provider for Deferred {
    fn capability(&self) -> Capability {
        match self.built() {
            Some(provider) => provider.capability(),
            // One call brings the credential; those after it are as wide as the provider allows.
            None => Capability {
                items_per_call: 1,
                max_concurrent: 1,
                local: false,
            },
        }
    }

    fn fetch<'a>(
        &'a self,
        batch: &'a [Locator],
        cx: &'a FetchCx,
    ) -> BoxFuture<'a, Vec<Result<Fetched, ProviderError>>> {
        Box::pin(async move {
            let provider = match self.built() {
                Some(provider) => provider,
                None => match self.make(cx).await {
                    Ok(provider) => {
                        self.keep(Some(provider.clone()));
                        provider
                    }
                    Err(error) => return batch.iter().map(|_| Err(error.clone())).collect(),
                },
            };
            let results = provider.fetch(batch, cx).await;
            let is_refused = |result: &Result<_, ProviderError>| matches!(result, Err(error) if error.kind == ErrorKind::Auth);
            if results.iter().any(is_refused) {
                self.keep(None);
            }
            results
        })
    }
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
        kind,
        context: format!("its credential {} has no value: {context}", error.reference),
        hint: hint.clone(),
    }
}
