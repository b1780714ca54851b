//! Mistakes that show only when all layers are seen together.

use std::sync::Arc;

use locket_core::{Schemes, suggest};
use locket_providers::{ProviderKind, Setting};

use super::choice::Choice;
use super::credential::{not_a_reference, template_of};
use super::flags::id;
use super::instances::Blueprint;
use super::sections::{self, CREDENTIALS, credential_name};
use crate::config::TableName;
use crate::options::{Layers, Notice, Origin, table};
use crate::report::Problem;

/// `--token-file` needs a provider that has such a setting, and no second word from its own flag.
pub(super) fn token_file(layers: &mut Layers<'_>, choice: Choice) {
    let Some(given) = layers.text(&table::TOKEN_FILE) else {
        return;
    };
    let problem = match choice.0 {
        // A wrong name was complained about already.
        None if layers.text(&table::PROVIDER).is_some() => None,
        None => Some((
            "it is not said whose token this is".to_owned(),
            "Name the provider with `--provider`, or write the provider's own setting.".to_owned(),
        )),
        Some(kind) if !kind.settings.iter().any(|setting| setting.name == "token-file") => Some((
            format!("the provider `{}` takes no token", kind.name),
            "Remove it, or choose another `--provider`.".to_owned(),
        )),
        Some(kind) => {
            let own = id(kind.prefix, "token-file");
            let twice = matches!(given.origin, Origin::Flag(_)) && layers.flag(&own, &own).is_some();
            twice.then(|| {
                (
                    format!("`--{own}` gives this token, too"),
                    "Keep one of the two.".to_owned(),
                )
            })
        }
    };
    if let Some((message, help)) = problem {
        layers.problems.push(given.origin.problem(message, Some(help)));
    }
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

/// A setting of a provider that this build lacks counts only where another may use it.
pub(super) fn loans(layers: &mut Layers<'_>, choice: Choice) {
    for loan in sections::loans() {
        if sections::is_owned(loan.prefix) || choice.0.is_some_and(|kind| kind.name == loan.to) {
            continue;
        }
        let id = id(loan.prefix, loan.setting.name);
        let flag = layers.flag(&id, &id).map(|given| given.origin);
        let tables = layers.files().flat_map(|file| &file.providers);
        let table = tables
            .filter(|table| table.name == TableName::Section(loan.prefix))
            .map(|table| Origin::File {
                source: table.source.clone(),
                span: table.span,
            });
        let origins: Vec<_> = flag.into_iter().chain(table).collect();
        for origin in origins {
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
