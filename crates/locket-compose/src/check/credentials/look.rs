//! Everywhere that a credential can stand.

use locket_core::{Span, env_file};

use super::command;
use super::literal::{entropy, is_value, literal};
use super::{shape, url};
use crate::check::Finding;
use crate::check::rules::{BUILD_ARG_CREDENTIAL, ENV_FILE_CREDENTIAL, PLAIN_CREDENTIAL, Rule};
use crate::check::run::Scene;
use crate::credential::{Sort, name_sort};
use crate::images;
use crate::model::{EnvText, Project, Service, Text, Variable, Words};
use crate::place::{Place, Source, Sources};

/// A credential that stands somewhere.
struct Plain {
    place: Place,
    /// The name of what holds it.
    subject: String,
    /// What was found, as a fragment.
    message: String,
    /// What this image wants instead.
    help: Option<String>,
}

pub(in crate::check) fn look(scene: &mut Scene<'_>) {
    let project = scene.project;
    for plain in in_compose(project) {
        scene.add(finding(&PLAIN_CREDENTIAL, plain));
    }
    for file in &project.env_texts {
        for plain in in_file(file) {
            scene.add(finding(&ENV_FILE_CREDENTIAL, plain));
        }
    }
    for service in &project.services {
        for argument in service.build.iter().flat_map(|build| &build.args) {
            let has_value = argument.value.as_ref().is_none_or(|text| {
                !text.is_blank() && text.value != "\"\"" && !text.written.starts_with("/run/secrets")
            });
            let is_switch = argument
                .value
                .as_ref()
                .and_then(|text| literal(&text.written))
                .is_some_and(|value| !is_value(value, Sort::Password));
            if has_value && !is_switch && name_sort(&argument.name).is_some() {
                scene.add(Finding::new(
                    &BUILD_ARG_CREDENTIAL,
                    argument.place,
                    format!("{}: {}", service.name, argument.name),
                    format!(
                        "the build of `{}` gets `{}` as an argument",
                        service.name, argument.name
                    ),
                ));
            }
        }
    }
}

/// The credentials in a file of variables that belongs to no project: where each value stands in `text`, the name of
/// its variable, and what it is.
pub fn env_credentials(text: &str, variables: &[env_file::Variable]) -> Vec<(Span, String, String)> {
    let mut sources = Sources::default();
    let id = sources.add(Source {
        path: std::path::PathBuf::new(),
        base: std::path::PathBuf::new(),
        text: text.into(),
    });
    in_file(&EnvText::new(id, text, variables))
        .into_iter()
        .map(|plain| (plain.place.span, plain.subject, plain.message))
        .collect()
}

/// The places of all credentials of the project, for those who show its texts.
pub(in crate::check) fn places(project: &Project) -> Vec<Place> {
    in_compose(project)
        .into_iter()
        .chain(project.env_texts.iter().flat_map(in_file))
        .map(|plain| plain.place)
        .collect()
}

fn in_file(file: &EnvText) -> Vec<Plain> {
    let mut found = in_variables(&file.variables, "", None);
    found.extend(in_variables(&file.shadowed, "", None));
    found.sort_by_key(|plain| plain.place.span);
    found
}

fn finding(rule: &'static Rule, plain: Plain) -> Finding {
    let finding = Finding::new(rule, plain.place, plain.subject, plain.message);
    match plain.help {
        Some(help) => finding.help(help),
        None => finding,
    }
}

/// What to write instead, where the image takes a file.
fn instead(variable: &str, image: Option<&images::Image>) -> Option<String> {
    let form = image?.file_form(variable)?;
    Some(format!(
        "Put it into a secret file, grant that to the service, and write `{}={}/run/secrets/NAME` instead; `locket migrate` does it.",
        form.variable, form.prefix
    ))
}

fn in_compose(project: &Project) -> Vec<Plain> {
    let mut found = Vec::new();
    for service in &project.services {
        let image = service
            .image
            .as_ref()
            .and_then(|image| images::find(&image.value));
        found.extend(in_variables(&service.environment, &service.name, image));
        found.extend(in_variables(&service.labels, &service.name, None));
        let test = service.healthcheck.as_ref().and_then(|check| check.test.as_ref());
        for words in [service.command.as_ref(), service.entrypoint.as_ref(), test]
            .into_iter()
            .flatten()
        {
            found.extend(in_command(project, service, words));
        }
    }
    for volume in &project.volumes {
        for option in &volume.options {
            // `o: username=…,password=…` of network file systems.
            let Some(text) = &option.value else { continue };
            let pair = text.written.split(',').find_map(|pair| {
                let (name, value) = pair.split_once('=')?;
                let is_plain = name_sort(name.trim()).is_some()
                    && literal(value).is_some_and(|value| is_value(value, Sort::Password));
                is_plain.then_some(value)
            });
            if let Some(value) = pair {
                found.push(Plain {
                    place: within(project, text.place, value),
                    subject: format!("{}: {}", volume.name, option.name),
                    message: format!("the options of the volume `{}` hold a password", volume.name),
                    help: None,
                });
            }
        }
    }
    for config in &project.configs {
        if let crate::model::Origin::Content(text) = &config.origin
            && let Some((title, range)) = shape::find(&text.written)
        {
            found.push(Plain {
                place: within(project, text.place, &text.written[range]),
                subject: config.name.clone(),
                message: format!("the config `{}` holds {title}", config.name),
                help: None,
            });
        }
    }
    found
}

fn in_variables(variables: &[Variable], owner: &str, image: Option<&images::Image>) -> Vec<Plain> {
    variables
        .iter()
        .filter_map(|variable| {
            let text = variable.value.as_ref()?;
            let message = message(variable, text, image)?;
            let subject = match owner {
                "" => variable.name.clone(),
                owner => format!("{owner}: {}", variable.name),
            };
            Some(Plain {
                place: text.place,
                subject,
                message,
                help: instead(&variable.name, image),
            })
        })
        .collect()
}

/// What is wrong with the value of `variable`, if it is a credential.
fn message(variable: &Variable, text: &Text, image: Option<&images::Image>) -> Option<String> {
    let name = &variable.name;
    // What only names a file is judged elsewhere.
    if name.ends_with("_FILE") || name.starts_with("FILE__") {
        return None;
    }
    if let Some((title, _)) = shape::find(&text.written) {
        return Some(format!("`{name}` holds {title}"));
    }
    if url::find(&text.written).is_some() {
        return Some(format!("`{name}` holds a URL with a password"));
    }
    let value = literal(&text.written)?;
    // Where a variable stands and there is a value all the same, it is what stands in for the variable.
    let is_default = text.has_variable();
    let told = |what: &str| match is_default {
        true => format!("`{name}` holds {what} as the default of a variable"),
        false => format!("`{name}` holds {what}"),
    };
    // What the image takes for a password is one.
    let of_image = image.and_then(|image| image.secret(name)).is_some();
    let sort = match name_sort(name) {
        Some(sort) if !of_image => sort,
        Some(_) => Sort::Password,
        None if of_image && !url::is_url(value) => Sort::Password,
        None => {
            let is_key = name.to_ascii_uppercase().ends_with("KEY");
            return (is_key && is_random(value)).then(|| told("what looks like a key"));
        }
    };
    is_value(value, sort).then(|| match sort {
        Sort::Password => told("a password"),
        Sort::Token => told("a secret"),
    })
}

/// Letters and digits as no person writes them.
fn is_random(value: &str) -> bool {
    let is_one_word = value
        .chars()
        .all(|char| char.is_ascii_alphanumeric() || "+/=_-".contains(char));
    let has = |test: fn(&char) -> bool| value.chars().any(|char| test(&char));
    value.len() >= 24
        && is_one_word
        && has(char::is_ascii_digit)
        && has(char::is_ascii_alphabetic)
        && entropy(value) > 3.5
        && !value.starts_with("AAAA")
}

fn in_command(project: &Project, service: &Service, words: &Words) -> Vec<Plain> {
    let texts: Vec<_> = words.words.iter().map(|word| word.written.as_str()).collect();
    command::find(&texts, words.is_text)
        .into_iter()
        .map(|credential| Plain {
            place: within(project, words.place, &credential.value),
            subject: format!("{}: command: {}", service.name, credential.named),
            message: format!("a command line holds the value of {}", credential.named),
            help: None,
        })
        .collect()
}

/// Where `value` stands inside of `place`; all of it where it was written in another way.
fn within(project: &Project, place: Place, value: &str) -> Place {
    let text = &project.sources.get(place.source).text;
    let slice = text.get(place.span.start..place.span.end).unwrap_or_default();
    match slice.find(value) {
        Some(at) if !value.is_empty() => place.part(at, at + value.len()),
        _ => place,
    }
}
