//! Mistakes that show only when all layers are seen together.

use std::sync::Arc;

use locket_core::{Schemes, suggest};
use locket_providers::{ProviderKind, Setting};

use super::choice::Choice;
use super::credential::{not_a_reference, template_of};
use super::flags::id;
use super::gather::{TOKEN_FILE, has_credential};
use super::instances::Blueprint;
use super::meant::{self, Layer, is_meant};
use super::sections::{self, CREDENTIALS, credential_name};
use crate::config::TableName;
use crate::options::{Layers, Notice, Origin, table};
use crate::report::Problem;

/// `--token-file` needs a provider that has such a setting, and no second word from its own flag. One that was given
/// for another provider is passed over, which is told.
pub(super) fn token_file(layers: &mut Layers<'_>, choice: Choice) {
    // Everybody reads this variable: one that is no text is told of.
    layers.variable(table::TOKEN_FILE.variables);
    let given = meant::token_files(layers);
    let Some(kind) = choice.0 else {
        // A wrong name was complained about already.
        if let (Some((_, given)), None) = (given.first(), layers.text(&table::PROVIDER)) {
            let help = "Name the provider with `--provider`, or write the provider's own setting.".to_owned();
            let problem = given
                .origin
                .problem("it is not said whose token this is", Some(help));
            layers.problems.push(problem);
        }
        return;
    };
    let counting = given.iter().position(|(layer, _)| is_meant(layers, *layer, kind));
    for (layer, token) in &given[..counting.unwrap_or(given.len())] {
        pass_over(layers, choice, kind, *layer, &token.origin);
    }
    let Some((_, given)) = counting.and_then(|at| given.get(at)) else {
        return;
    };
    let own = id(kind.prefix, TOKEN_FILE);
    let problem = if !kind.settings.iter().any(|setting| setting.name == TOKEN_FILE) {
        Some((
            format!("the provider `{}` takes no token", kind.name),
            "Remove it, or choose another `--provider`.",
        ))
    } else if matches!(given.origin, Origin::Flag(_)) && layers.flag(&own, &own).is_some() {
        Some((format!("`--{own}` gives this token, too"), "Keep one of the two."))
    } else {
        None
    };
    match problem {
        Some((message, help)) => {
            let problem = given.origin.problem(message, Some(help.to_owned()));
            layers.problems.push(problem);
        }
        None => {
            layers.note(&table::TOKEN_FILE, given);
            layers.filled(given.clone());
        }
    }
}

/// Tells that a credential of `layer` is not for the chosen provider: loudly when that one has no other.
fn pass_over(layers: &mut Layers<'_>, choice: Choice, kind: &ProviderKind, layer: Layer, origin: &Origin) {
    let Some(other) = meant::provider_of(layers, layer) else {
        return;
    };
    let text = format!(
        "the token file of {origin} was given for `{}` and does not go to `{}`; what is for that one stands beside its \
         name, or under `{}`",
        other.text.trim(),
        kind.name,
        id(kind.prefix, TOKEN_FILE)
    );
    let wants_none = !kind.settings.iter().any(|setting| setting.name == TOKEN_FILE);
    layers
        .notices
        .push(match wants_none || is_equipped(layers, choice, kind) {
            true => Notice::Info(text),
            false => Notice::Warning(text),
        });
}

fn is_equipped(layers: &Layers<'_>, choice: Choice, kind: &ProviderKind) -> bool {
    let mut schemes = kind.schemes.iter();
    schemes.any(|spec| has_credential(layers, choice, kind, spec.name))
}

/// A file among the service manager's credentials that is meant for us and that nothing reads is a misspelling.
pub(super) fn credentials(layers: &mut Layers<'_>, instances: &[(String, &'static ProviderKind)]) {
    let of = |of: &str, settings: &[&'static Setting]| {
        let names = settings.iter().filter_map(|setting| credential_name(of, setting));
        names.collect::<Vec<_>>()
    };
    let sections = sections::sections();
    let own = sections
        .iter()
        .flat_map(|section| of(section.prefix, &section.settings));
    let named = instances
        .iter()
        .flat_map(|(name, kind)| of(name, &kind.all_settings().collect::<Vec<_>>()));
    let known: Vec<_> = own.chain(named).collect();
    for name in layers.credentials() {
        if !name.starts_with(CREDENTIALS) || known.contains(&name) {
            continue;
        }
        let nearest = suggest::nearest(&name, known.iter().map(String::as_str));
        let advice = nearest
            .map(|nearest| format!("; is it {nearest}?"))
            .unwrap_or_default();
        layers.notices.push(Notice::Warning(format!(
            "the credential {name} is nobody's: no provider in this build has such a setting{advice}"
        )));
    }
}

/// A setting of a provider that this build lacks counts only where another may use it. What that one does not get,
/// since it was given for its owner, is told.
pub(super) fn loans(layers: &mut Layers<'_>, choice: Choice) {
    for loan in sections::loans() {
        if let Some(kind) = choice.0.filter(|kind| kind.name == loan.to) {
            let kept = match is_equipped(layers, choice, kind) {
                true => Vec::new(),
                false => loaned(layers, loan),
            };
            for (layer, origin) in kept {
                pass_over(layers, choice, kind, layer, &origin);
            }
            continue;
        }
        if sections::is_owned(loan.prefix) {
            continue;
        }
        for (_, origin) in loaned(layers, loan) {
            let message = format!(
                "this build has no provider `{}` that would read this",
                loan.prefix
            );
            let help = format!(
                "Choose `--provider {}`, which reads it, too, or remove it.",
                loan.to
            );
            layers.problems.push(origin.problem(message, Some(help)));
        }
    }
}

/// Where a setting stands that is lent, the strongest layer first.
fn loaned(layers: &Layers<'_>, loan: &sections::Loan) -> Vec<(Layer, Origin)> {
    let id = id(loan.prefix, loan.setting.name);
    let flag = layers
        .flag(&id, &id)
        .map(|given| (Layer::of_flag(layers, &id), given.origin));
    let tables = layers.files().enumerate().flat_map(|(place, file)| {
        let own = file
            .providers
            .iter()
            .filter(|table| table.name == TableName::Section(loan.prefix));
        own.filter_map(move |table| {
            let name = loan.setting.name;
            let given = table.told.texts.get(name).or(table.told.references.get(name))?;
            Some((Layer::File(place), given.origin.clone()))
        })
    });
    flag.into_iter().chain(tables).collect()
}

/// Every credential in the files that is meant as a reference has to be one, used or not.
pub(super) fn references(layers: &mut Layers<'_>, schemes: &Schemes) {
    let mut problems = Vec::new();
    for table in layers.files().flat_map(|file| &file.providers) {
        for (name, given) in &table.told.references {
            let Err(mut found) = template_of(&given.text, schemes) else {
                continue;
            };
            for finding in &mut found {
                if *finding == not_a_reference(&given.text) {
                    finding.message = "a credential does not belong into a configuration file".to_owned();
                    finding.help = Some(format!(
                        "Put it into a file and name that as `{name}`, or name a reference: `{} = \"store://…\"`.",
                        name.strip_suffix("-file").unwrap_or(name)
                    ));
                }
            }
            problems.extend(given.wrong(found));
        }
    }
    layers.problems.extend(problems);
}

/// Providers that wait for each other's credentials.
pub(super) fn cycles(blueprints: &[Arc<Blueprint>], schemes: &Schemes) -> Vec<Problem> {
    let mut problems = Vec::new();
    for blueprint in blueprints {
        for (setting, given) in &blueprint.references {
            let mut reached: Vec<Arc<str>> = Vec::new();
            let mut open = vec![given.text.clone()];
            while let Some(text) = open.pop() {
                let Ok(template) = template_of(&text, schemes) else {
                    continue;
                };
                for reference in template.references() {
                    if reached.iter().any(|known| **known == *reference.scheme()) {
                        continue;
                    }
                    reached.push(reference.scheme().into());
                    let next = blueprints
                        .iter()
                        .filter(|other| *other.name == *reference.scheme());
                    open.extend(
                        next.flat_map(|other| &other.references)
                            .map(|(_, given)| given.text.clone()),
                    );
                }
            }
            if reached.contains(&blueprint.name) {
                let message = format!(
                    "`{}://` would need its own secrets for its credential",
                    blueprint.name
                );
                let help = format!(
                    "Take `{}` from a file, or from a provider that needs nothing.",
                    setting.name
                );
                problems.push(given.origin.problem(message, Some(help)));
            }
        }
    }
    problems
}
