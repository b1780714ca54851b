//! From what providers were told to instances, each made when the first reference asks for it.

use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use locket_core::{Clock, Environment, Provider, ProviderError, Reference, Scheme, Schemes, Template};
use locket_engine::agent::Surroundings;
use locket_engine::resolve::Budgets;
use locket_engine::{Instance, InstanceLimits, Instances};
use locket_providers::{BuildCx, ConfigError, ProviderKind, SchemeSpec, Setting, SettingKind, Settings};

use super::check;
use super::choice::Choice;
use super::credential::template_of;
use super::deferred::{Deferred, credential_keys, with_credentials};
use super::flags;
use super::gather::{Gathered, Subject, gather, has_credential};
use super::sections::{self, kinds};
use crate::config::TableName;
use crate::context::Context;
use crate::options::{Given, Layers, Notice, Origin, table};
use crate::settings::state_dir;

/// The name of the provider whose secrets are variables of locket's own environment.
const VARIABLES: &str = "env";

/// The providers of a command, settled.
#[derive(Debug)]
pub(crate) struct ProviderSettings {
    schemes: Schemes,
    blueprints: Vec<Arc<Blueprint>>,
    /// Schemes behind which the name of an instance comes first, with those instances.
    routes: Vec<(Arc<str>, Vec<Arc<str>>)>,
    request_timeout: Duration,
    /// What each was asked in the last day.
    budgets: Arc<Budgets>,
}

/// Everything that is needed to make one provider.
#[derive(Debug)]
pub(super) struct Blueprint {
    /// What stands before `://`.
    pub(super) name: Arc<str>,
    pub(super) kind: &'static ProviderKind,
    pub(super) settings: Settings,
    /// Credentials that other providers have to be asked for.
    pub(super) references: Vec<(&'static Setting, Given)>,
    error: Option<ConfigError>,
    limits: InstanceLimits,
    origins: Vec<(&'static Setting, Origin)>,
}

/// One instance, and what was said about it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Described<'a> {
    /// What stands before `://`.
    pub(crate) name: &'a str,
    /// Its kind.
    pub(crate) kind: &'static ProviderKind,
    /// The settings that were given, each with its layer.
    pub(crate) given: &'a [(&'static Setting, Origin)],
}

/// What surrounds a provider when it is made.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) environment: Environment,
    pub(super) directory: PathBuf,
    pub(super) clock: Arc<dyn Clock>,
    /// Time limit of one request.
    pub(super) request_timeout: Duration,
}

/// Settles every provider. What is wrong with one that nobody uses stays untold, unless a person wrote it for us.
pub(crate) fn settle(layers: &mut Layers<'_>, request_timeout: Duration) -> ProviderSettings {
    let choice = layers.settle(&table::PROVIDER, Choice::default(), Choice::parse);
    flags::check(layers);
    check::token_file(layers, choice);
    check::loans(layers, choice);
    let instances = named_instances(layers);
    check::credentials(layers, &instances);
    let mut settings = ProviderSettings {
        schemes: Schemes::default(),
        blueprints: Vec::new(),
        routes: Vec::new(),
        request_timeout,
        budgets: Arc::new(Budgets::at(state_dir(layers))),
    };
    let specs = kinds().iter().flat_map(|kind| kind.schemes);
    let mut seen: Vec<&str> = Vec::new();
    for spec in specs {
        if seen.contains(&spec.name) {
            continue;
        }
        seen.push(spec.name);
        let configured = instances.iter().find(|(name, _)| name == spec.name);
        let served = match configured {
            Some((_, kind)) => Some(*kind),
            None => chosen_kind(layers, choice, spec.name),
        };
        if let Some(kind) = served.filter(|kind| kind.named_only) {
            let named = instances.iter().filter(|(_, of)| of.name == kind.name);
            settings.add_route(spec, named.map(|(name, _)| name.as_str().into()).collect());
        } else if let Some(kind) = served {
            let mut gathered = gather(layers, choice, kind, Subject::Scheme(spec.name));
            if configured.is_none() && gathered.origins.is_empty() && gathered.error.is_none() {
                gathered.error = choice.nobody_equipped(spec.name, kinds());
            }
            settings.add(spec.name, kind, spec, gathered);
        }
    }
    for (name, kind) in &instances {
        if let (false, Some(spec)) = (seen.contains(&name.as_str()), kind.schemes.first()) {
            let gathered = gather(layers, choice, kind, Subject::Instance(name));
            settings.add(name, kind, spec, gathered);
        }
    }
    check::references(layers, &settings.schemes);
    layers
        .problems
        .extend(check::cycles(&settings.blueprints, &settings.schemes));
    settings
}

impl ProviderSettings {
    /// Adds the instance that serves `name://`.
    pub(super) fn add(
        &mut self,
        name: &str,
        kind: &'static ProviderKind,
        spec: &SchemeSpec,
        gathered: Gathered,
    ) {
        self.schemes.add(Scheme {
            name: name.into(),
            bare: spec.bare,
            fragment: spec.fragment,
        });
        let blueprint = Blueprint::new(name, kind, gathered, self.request_timeout);
        self.blueprints.push(Arc::new(blueprint));
    }

    /// Adds a scheme behind which the name of one of these instances comes first.
    fn add_route(&mut self, spec: &SchemeSpec, names: Vec<Arc<str>>) {
        self.schemes.add(Scheme {
            name: spec.name.into(),
            bare: spec.bare,
            fragment: spec.fragment,
        });
        self.routes.push((spec.name.into(), names));
    }

    /// The instances, none of them made yet.
    pub(crate) fn instances(&self, context: &Context) -> Arc<Instances> {
        let ground = Arc::new(self.ground(context));
        Arc::new_cyclic(|instances| self.unmade(&ground, instances))
    }

    /// The instances after a reload: those that are told the same as before go on as they are.
    pub(crate) fn instances_after(
        &self,
        before: &Self,
        running: &Instances,
        context: &Context,
    ) -> Arc<Instances> {
        let ground = Arc::new(self.ground(context));
        let blueprint = |settings: &Self, name: &str| {
            let mut all = settings.blueprints.iter();
            all.find(|blueprint| *blueprint.name == *name).cloned()
        };
        let unchanged = |name: &str| match (blueprint(self, name), blueprint(before, name)) {
            (Some(now), Some(before)) => now.makes_the_same_as(&before),
            _ => false,
        };
        Arc::new_cyclic(|instances| self.unmade(&ground, instances).adopting(running, unchanged))
    }

    fn unmade(&self, ground: &Arc<Ground>, instances: &Weak<Instances>) -> Instances {
        let each = self.blueprints.iter().map(|blueprint| {
            let instance = blueprint.clone().instance(ground.clone(), instances.clone());
            (blueprint.name.clone(), instance)
        });
        let made = Instances::new(self.schemes.clone(), each);
        let routes = self.routes.iter().cloned();
        routes
            .fold(made, |made, (scheme, names)| made.with_route(scheme, names))
            .counting(self.budgets.clone())
    }

    /// Every instance, in the order of the registry, named ones last.
    pub(crate) fn describe(&self) -> impl Iterator<Item = Described<'_>> {
        self.blueprints.iter().map(|blueprint| Described {
            name: &blueprint.name,
            kind: blueprint.kind,
            given: &blueprint.origins,
        })
    }

    /// The credentials that the instance `name` was given, by their settings' names, each with its layer.
    pub(crate) fn credentials(&self, name: &str) -> impl Iterator<Item = (&'static str, &Origin)> {
        let own = self
            .blueprints
            .iter()
            .filter(move |blueprint| *blueprint.name == *name);
        own.flat_map(|blueprint| &blueprint.origins)
            .filter(|(setting, _)| setting.kind == SettingKind::Credential)
            .map(|(setting, origin)| (setting.name, origin))
    }

    /// The names under which the service manager may give credentials to instances with names of their own.
    #[cfg(feature = "command-systemd")]
    pub(crate) fn credential_names(&self) -> impl Iterator<Item = String> {
        let own = self.blueprints.iter().filter(|blueprint| {
            let mut schemes = blueprint.kind.schemes.iter();
            // What has the prefix of a provider as its name is given nothing that way.
            !sections::is_owned(&blueprint.name) && !schemes.any(|scheme| scheme.name == &*blueprint.name)
        });
        own.flat_map(|blueprint| {
            let settings = blueprint.kind.all_settings();
            settings.filter_map(|setting| sections::credential_name(&blueprint.name, setting))
        })
    }

    /// What the providers touch of this machine, for an agent that gives up everything else.
    pub(crate) fn surroundings(&self, instances: &Instances, context: &Context) -> Surroundings {
        let ground = self.ground(context);
        let mut surroundings = Surroundings::default();
        for blueprint in &self.blueprints {
            let reach = blueprint.kind.reach(&blueprint.cx(&blueprint.settings, &ground));
            surroundings.instances.insert(blueprint.name.clone(), reach);
            surroundings
                .credentials
                .extend(credential_keys(&blueprint.references, instances));
        }
        surroundings
    }

    /// The environment for other programs: without the variables that hold our credentials, that name their files, or
    /// that a credential in the configuration refers to.
    pub(crate) fn without_credentials(&self, environment: &Environment) -> Environment {
        let references = self.blueprints.iter().flat_map(|blueprint| &blueprint.references);
        let templates = references.filter_map(|(_, given)| template_of(&given.text, &self.schemes).ok());
        let names: Vec<String> = templates
            .flat_map(|template| self.variables_in(&template))
            .collect();
        sections::without_credentials(environment, &names)
    }

    /// The variables of locket's own environment that `template` refers to.
    fn variables_in(&self, template: &Template) -> Vec<String> {
        let is_variable = |reference: &&Reference| {
            let mut all = self.blueprints.iter();
            all.any(|blueprint| *blueprint.name == *reference.scheme() && blueprint.kind.name == VARIABLES)
        };
        let references = template.references().iter().filter(is_variable);
        references
            .map(|reference| reference.decoded_locator().into_owned())
            .collect()
    }

    /// What the provider that serves `scheme` was told, for a command that does more with it than read. Credentials
    /// that other providers hold are asked for.
    ///
    /// # Errors
    /// What it was told is wrong, or a credential has no value.
    pub(crate) async fn told(
        &self,
        scheme: &str,
        context: &Context,
        deadline: Duration,
    ) -> Result<Settings, ProviderError> {
        let Some(blueprint) = self
            .blueprints
            .iter()
            .find(|blueprint| *blueprint.name == *scheme)
        else {
            return Ok(Settings::default());
        };
        match &blueprint.error {
            Some(error) => Err(refused(error.clone())),
            None => {
                with_credentials(
                    blueprint,
                    &self.instances(context),
                    &self.ground(context),
                    deadline,
                )
                .await
            }
        }
    }

    fn ground(&self, context: &Context) -> Ground {
        Ground {
            environment: context.environment.clone(),
            directory: context.directory.clone(),
            clock: context.clock.clone(),
            request_timeout: self.request_timeout,
        }
    }
}

impl Blueprint {
    fn new(name: &str, kind: &'static ProviderKind, gathered: Gathered, request_timeout: Duration) -> Self {
        let mut settings = gathered.settings;
        let has_timeout = kind.all_settings().any(|setting| setting.name == "timeout");
        if has_timeout && settings.text("timeout").is_none() {
            settings = settings.with("timeout", humantime::format_duration(request_timeout).to_string());
        }
        Self {
            name: name.into(),
            kind,
            settings,
            references: gathered.references,
            error: gathered.error,
            limits: gathered.limits,
            origins: gathered.origins,
        }
    }

    fn instance(self: Arc<Self>, ground: Arc<Ground>, instances: Weak<Instances>) -> Instance {
        Instance {
            parse: self.kind.parse,
            parse_every: self.kind.parse_every,
            limits: self.limits,
            build: Box::new(move || match (&self.error, self.references.is_empty()) {
                (Some(error), _) => Err(refused(error.clone())),
                (None, true) => self.build(&self.settings, &ground),
                (None, false) => {
                    let deferred = Deferred::new(self.clone(), ground.clone(), instances.clone())?;
                    Ok(Arc::new(deferred))
                }
            }),
        }
    }

    /// Whether the provider that `other` made is the one that this would make. A credential that another provider
    /// holds may have changed with that one.
    fn makes_the_same_as(&self, other: &Self) -> bool {
        std::ptr::eq(self.kind, other.kind)
            && self.settings == other.settings
            && self.references.is_empty()
            && other.references.is_empty()
    }

    /// Makes the provider of these settings.
    pub(super) fn build(
        &self,
        settings: &Settings,
        ground: &Ground,
    ) -> Result<Arc<dyn Provider>, ProviderError> {
        (self.kind.build)(&self.cx(settings, ground)).map_err(refused)
    }

    fn cx<'a>(&'a self, settings: &'a Settings, ground: &'a Ground) -> BuildCx<'a> {
        BuildCx {
            instance: &self.name,
            settings,
            environment: &ground.environment,
            base_dir: &ground.directory,
            clock: &ground.clock,
        }
    }
}

fn refused(ConfigError { message, hint }: ConfigError) -> ProviderError {
    let error = ProviderError::invalid(message);
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// The instances that the files name, in order, each once.
fn named_instances(layers: &mut Layers<'_>) -> Vec<(String, &'static ProviderKind)> {
    let mut instances: Vec<(String, &'static ProviderKind)> = Vec::new();
    for table in layers.files().flat_map(|file| &file.providers) {
        let TableName::Instance { name, kind } = &table.name else {
            continue;
        };
        let Some(kind) = ProviderKind::by_name(kind) else {
            continue;
        };
        match instances.iter().find(|(known, _)| known == name) {
            None => instances.push((name.clone(), kind)),
            Some((_, known)) if known.name == kind.name => {}
            Some((_, known)) => {
                let origin = Origin::File {
                    source: table.source.clone(),
                    span: table.span,
                };
                let message = format!(
                    "`{name}` is of type `{}` here and `{}` in a later file",
                    kind.name, known.name
                );
                let help = "Give both the same type, or one another name.".to_owned();
                layers.problems.push(origin.problem(message, Some(help)));
            }
        }
    }
    instances.reverse();
    instances
}

fn chosen_kind(layers: &mut Layers<'_>, choice: Choice, scheme: &str) -> Option<&'static ProviderKind> {
    let equipped = |kind: &ProviderKind| has_credential(layers, choice, kind, scheme);
    let (kind, others) = choice.for_scheme(scheme, kinds(), equipped)?;
    if let [other, ..] = others.as_slice() {
        layers.notices.push(Notice::Info(format!(
            "`{scheme}://` is served by {}, though {} has credentials, too; `--provider {}` chooses the other",
            kind.name, other.name, other.name
        )));
    }
    Some(kind)
}
