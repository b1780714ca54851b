//! The configured providers of this run, made when the first reference asks for them.

use std::sync::{Arc, OnceLock};

use locket_core::wildcard::Every;
use locket_core::{Capability, Diagnostic, Parse, Provider, ProviderError, Reference, Schemes, Wildcard};
use rustc_hash::FxHashMap;

use crate::resolve::{Budgets, SecretKey};

/// Makes a provider; called once, when the first reference needs it.
pub type Build = Box<dyn Fn() -> Result<Arc<dyn Provider>, ProviderError> + Send + Sync>;

/// One configured provider.
pub struct Instance {
    /// Turns a reference into the provider's own form, without asking anybody.
    pub parse: Parse,
    /// The same for a [`Wildcard`] without its `*`; `None` where the provider cannot tell all keys of anything.
    pub parse_every: Option<Parse>,
    /// Makes the provider.
    pub build: Build,
    /// What the user says about its use.
    pub limits: InstanceLimits,
}

/// What the user says about the use of one provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InstanceLimits {
    /// Requests in flight at once, instead of the provider's own number.
    pub max_concurrent: Option<usize>,
    /// Requests a day; refreshes are spread out so as to stay within.
    pub daily_budget: Option<usize>,
}

/// The providers of a run by the word that starts their references.
pub struct Instances {
    schemes: Schemes,
    by_scheme: FxHashMap<Arc<str>, Slot>,
    /// Words before `://` behind which the name of an instance comes first, with the instances that it may be.
    routes: FxHashMap<Arc<str>, Vec<Arc<str>>>,
    budgets: Arc<Budgets>,
}

struct Slot {
    name: Arc<str>,
    instance: Arc<Instance>,
    built: OnceLock<Result<Arc<dyn Provider>, ProviderError>>,
}

impl Instances {
    /// The instances that serve `schemes`, each under its scheme's name.
    pub fn new(schemes: Schemes, instances: impl IntoIterator<Item = (Arc<str>, Instance)>) -> Self {
        let by_scheme = instances
            .into_iter()
            .map(|(name, instance)| {
                let slot = Slot {
                    name: name.clone(),
                    instance: Arc::new(instance),
                    built: OnceLock::new(),
                };
                (name, slot)
            })
            .collect();
        Self {
            schemes,
            by_scheme,
            routes: FxHashMap::default(),
            budgets: Arc::default(),
        }
    }

    /// The same, with the requests of each day counted in `budgets`.
    #[must_use]
    pub fn counting(self, budgets: Arc<Budgets>) -> Self {
        Self { budgets, ..self }
    }

    /// The same, with `scheme://NAME/…` for the instances of these names.
    #[must_use]
    pub fn with_route(mut self, scheme: Arc<str>, names: Vec<Arc<str>>) -> Self {
        self.routes.insert(scheme, names);
        self
    }

    /// The same, with the providers of `before` in the place of those that are not made yet, where the name is
    /// `unchanged`: their logins, leases and connections go on.
    #[must_use]
    pub fn adopting(self, before: &Self, unchanged: impl Fn(&str) -> bool) -> Self {
        for (name, slot) in &self.by_scheme {
            let known = before.by_scheme.get(name).and_then(|slot| slot.built.get());
            if let Some(Ok(provider)) = known
                && unchanged(name)
            {
                // It was not made yet, or else there is nothing to adopt.
                let _ = slot.built.set(Ok(provider.clone()));
            }
        }
        self
    }

    /// The schemes that these instances serve.
    pub fn schemes(&self) -> &Schemes {
        &self.schemes
    }

    /// What a reference names, without asking anybody.
    ///
    /// # Errors
    /// The reference does not have the form that its provider wants.
    pub fn locate(&self, reference: &Reference) -> Result<SecretKey, Vec<Diagnostic>> {
        let slot = self.slot(reference)?;
        let locator = (slot.instance.parse)(reference)?;
        Ok(SecretKey {
            instance: slot.name.clone(),
            locator,
        })
    }

    /// The instance that serves `reference`.
    fn slot(&self, reference: &Reference) -> Result<&Slot, Vec<Diagnostic>> {
        let slot = match self.routes.get(reference.scheme()) {
            Some(names) => self.routed(reference, names)?,
            None => self.by_scheme.get(reference.scheme()),
        };
        slot.ok_or_else(|| {
            let message = format!("no provider is configured for `{}://`", reference.scheme());
            vec![Diagnostic::error(reference.span(), message)]
        })
    }

    /// The instance whose name comes first in the locator of `reference`.
    fn routed(&self, reference: &Reference, names: &[Arc<str>]) -> Result<Option<&Slot>, Vec<Diagnostic>> {
        let segments = reference.segments();
        let wanted = segments.first().map(AsRef::as_ref).unwrap_or_default();
        if let Some(name) = names.iter().find(|name| ***name == *wanted) {
            return Ok(self.by_scheme.get(name));
        }
        let scheme = reference.scheme();
        let known: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
        let help = match known.as_slice() {
            [] => format!("Configure it in `[providers.{wanted}]` with `type = \"{scheme}\"`."),
            known => format!("There are {}.", known.join(", ")),
        };
        let message = format!("no provider `{wanted}` is configured for `{scheme}://`");
        let names = names.iter().map(AsRef::as_ref);
        Err(vec![
            Diagnostic::error(reference.span(), message)
                .help(help)
                .did_you_mean(wanted, names),
        ])
    }

    /// What a wildcard is read from, without asking anybody.
    ///
    /// # Errors
    /// Its provider cannot tell all keys, or wants another form.
    pub fn locate_every(&self, wildcard: &Wildcard) -> Result<SecretKey, Vec<Diagnostic>> {
        let reference = wildcard.reference();
        if *wildcard.every() != Every::Key {
            return self.locate(reference);
        }
        let slot = self.slot(reference)?;
        let Some(parse_every) = slot.instance.parse_every else {
            let message = format!("`{}://` cannot tell all keys of anything", reference.scheme());
            return Err(vec![Diagnostic::error(reference.span(), message).help(
                "Name the secrets one by one; the members of a JSON value are read with `REF#*`.",
            )]);
        };
        Ok(SecretKey {
            instance: slot.name.clone(),
            locator: parse_every(reference)?,
        })
    }

    /// The provider behind an instance, made now if it was not needed before.
    ///
    /// # Errors
    /// Its settings do not suffice.
    pub fn provider(&self, instance: &str) -> Result<Arc<dyn Provider>, ProviderError> {
        match self.by_scheme.get(instance) {
            Some(slot) => slot.built.get_or_init(|| (slot.instance.build)()).clone(),
            None => Err(ProviderError::invalid(format!(
                "no provider is configured for `{instance}://`"
            ))),
        }
    }

    /// The providers that were needed so far, by the names of their instances.
    pub(crate) fn made(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<dyn Provider>)> {
        let slots = self.by_scheme.values();
        slots.filter_map(|slot| Some((&slot.name, slot.built.get()?.as_ref().ok()?)))
    }

    /// Tells every provider that nothing will be asked for a while.
    pub(crate) fn rest(&self) {
        for (_, provider) in self.made() {
            provider.rest();
        }
    }

    /// How many items one call may carry and how many calls may be in flight.
    pub(crate) fn capability(&self, instance: &str) -> Result<Capability, ProviderError> {
        let mut capability = self.provider(instance)?.capability();
        if let Some(limit) = self.limits(instance).max_concurrent {
            capability.max_concurrent = limit;
        }
        capability.max_concurrent = capability.max_concurrent.max(1);
        capability.items_per_call = capability.items_per_call.max(1);
        Ok(capability)
    }

    /// The requests of this day.
    pub(crate) fn budgets(&self) -> &Budgets {
        &self.budgets
    }

    /// Whether anything is kept of the requests of a day.
    pub(crate) fn has_budgets(&self) -> bool {
        let mut slots = self.by_scheme.values();
        slots.any(|slot| slot.instance.limits.daily_budget.is_some())
    }

    /// What the user says about the use of an instance.
    pub(crate) fn limits(&self, instance: &str) -> InstanceLimits {
        self.by_scheme
            .get(instance)
            .map(|slot| slot.instance.limits)
            .unwrap_or_default()
    }
}

impl std::fmt::Debug for Instances {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.by_scheme.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Fake;

    #[test]
    fn what_is_unchanged_goes_on_and_what_changed_is_made_anew() {
        let before = Fake::default().instances();
        let made = |instances: &Instances, name| instances.provider(name).unwrap();
        let kept = ["fake", "dead"].map(|name| made(&before, name));
        let after = Arc::into_inner(Fake::default().instances()).unwrap();
        let after = after.adopting(&before, |name| name == "fake");
        assert!(Arc::ptr_eq(&kept[0], &made(&after, "fake")));
        assert!(!Arc::ptr_eq(&kept[1], &made(&after, "dead")));
    }
}
