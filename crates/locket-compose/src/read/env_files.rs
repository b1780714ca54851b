//! The variables that a container gets.

use locket_core::{Environment, Span, env_file};

use crate::load::{Loader, Unreadable, Variables};
use crate::model::{Service, Text, Variable};
use crate::place::Place;

/// Reads the files of variables of `service`, and puts what its container gets into `resolved`.
pub(super) fn resolve(loader: &mut Loader<'_>, service: &mut Service, variables: &Variables) {
    let own: Vec<Variable> = service
        .environment
        .iter()
        .map(|variable| inherited(variable, variables))
        .collect();
    let mut resolved: Vec<Variable> = Vec::new();
    for file in &service.env_files {
        let text = match loader.files.read(&file.path) {
            Ok(text) => text,
            Err(Unreadable::Missing) if !file.is_required => continue,
            Err(why) => {
                let wrong = format!("the file of variables {} cannot be read: {why}", file.text.value);
                let help = "Make the file, or write `required: false` beside its path.";
                loader.wrong(file.text.place, wrong, help);
                continue;
            }
        };
        let base = file.path.parent().map(Into::into).unwrap_or_default();
        let id = loader.sources.add(crate::Source {
            path: file.path.clone(),
            base,
            text: text.as_str().into(),
        });
        if file.is_raw {
            for (name, value, span) in raw(&text) {
                set(&mut resolved, name, value.clone(), value, Place::new(id, span));
            }
            continue;
        }
        // Those of the project come first, then those of the service.
        let known = |variable: &Variable| {
            let value = variable.value.as_ref()?.value.clone();
            Some((variable.name.clone(), value))
        };
        let before: Environment =
            resolved
                .iter()
                .chain(&own)
                .filter_map(known)
                .chain(variables.environment().iter().filter_map(|(name, value)| {
                    Some((name.to_str()?.to_owned(), value.to_str()?.to_owned()))
                }))
                .collect();
        match env_file::parse(&text, &before) {
            Ok(read) => {
                for variable in read {
                    let place = Place::new(id, variable.span);
                    let written = text
                        .get(variable.span.start..variable.span.end)
                        .unwrap_or_default();
                    let written = written
                        .split_once(['=', ':'])
                        .map_or("", |(_, value)| value)
                        .trim();
                    set(
                        &mut resolved,
                        variable.name,
                        variable.template,
                        written.to_owned(),
                        place,
                    );
                }
            }
            Err(found) => loader.note_all(id, found),
        }
    }
    for variable in own {
        match resolved.iter_mut().find(|known| known.name == variable.name) {
            Some(known) => *known = variable,
            None => resolved.push(variable),
        }
    }
    service.resolved = resolved;
}

/// A variable without a value has that of whoever calls Compose.
fn inherited(variable: &Variable, variables: &Variables) -> Variable {
    let mut variable = variable.clone();
    if variable.value.is_none()
        && let Some(value) = variables.get(&variable.name)
    {
        variable.value = Some(Text {
            value: value.to_owned(),
            written: format!("${{{}}}", variable.name),
            place: variable.place,
        });
    }
    variable
}

fn set(resolved: &mut Vec<Variable>, name: String, value: String, written: String, place: Place) {
    let value = Some(Text {
        value,
        written,
        place,
    });
    let variable = Variable { name, place, value };
    match resolved.iter_mut().find(|known| known.name == variable.name) {
        Some(known) => *known = variable,
        None => resolved.push(variable),
    }
}

/// `NAME=VALUE` in each line, without any grammar.
fn raw(text: &str) -> Vec<(String, String, Span)> {
    let mut read = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let plain = line.trim_end_matches(['\n', '\r']);
        if let Some((name, value)) = plain.split_once('=')
            && !plain.starts_with('#')
        {
            let span = Span::new(start, start + plain.len());
            read.push((name.to_owned(), value.to_owned(), span));
        }
        start += line.len();
    }
    read
}
