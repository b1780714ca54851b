//! The variables that a container gets.

use locket_core::{Environment, Span, env_file};

use crate::load::{Loader, Unreadable, Variables};
use crate::model::{EnvText, Service, Text, Variable};
use crate::place::{Place, SourceId};

/// Reads the files of variables of `service`, and puts what its container gets into `resolved`.
pub(super) fn resolve(loader: &mut Loader<'_>, service: &mut Service, variables: &Variables) {
    let own: Vec<Variable> = service
        .environment
        .iter()
        .map(|variable| inherited(variable, variables))
        .collect();
    let known = |variable: &Variable| {
        let value = variable.value.as_ref()?.value.clone();
        Some((variable.name.clone(), value))
    };
    // Those of the project beat those of the service, as in Compose.
    let of_project = variables.environment();
    let of_project = of_project
        .iter()
        .filter_map(|(name, value)| Some((name.to_str()?.to_owned(), value.to_str()?.to_owned())));
    let before: Environment = match service.env_files.is_empty() {
        true => Environment::default(),
        false => own.iter().filter_map(known).chain(of_project).collect(),
    };
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
            let read = EnvText {
                source: id,
                // Each line is among them.
                variables: raw(&text, id),
                shadowed: Vec::new(),
            };
            for variable in &read.variables {
                put(&mut resolved, variable.clone());
            }
            loader.env_texts.push(read);
            continue;
        }
        let earlier: Environment = resolved.iter().filter_map(known).collect();
        match env_file::parse_behind(&text, &before, &earlier) {
            Ok(read) => {
                let read = EnvText::new(id, &text, &read);
                for variable in &read.variables {
                    put(&mut resolved, variable.clone());
                }
                loader.env_texts.push(read);
            }
            Err(found) => loader.note_all(id, found),
        }
    }
    for variable in own {
        put(&mut resolved, variable);
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

fn put(resolved: &mut Vec<Variable>, variable: Variable) {
    match resolved.iter_mut().find(|known| known.name == variable.name) {
        Some(known) => *known = variable,
        None => resolved.push(variable),
    }
}

/// `NAME=VALUE` in each line, without any grammar.
fn raw(text: &str, id: SourceId) -> Vec<Variable> {
    let mut read = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let plain = line.trim_end_matches(['\n', '\r']);
        if let Some((name, value)) = plain.split_once('=')
            && !plain.starts_with('#')
        {
            let place = |from: usize, to: usize| Place::new(id, Span::new(start + from, start + to));
            read.push(Variable {
                name: name.to_owned(),
                place: place(0, name.len()),
                value: Some(Text {
                    value: value.to_owned(),
                    written: value.replace('$', "$$"),
                    place: place(name.len() + 1, plain.len()),
                }),
            });
        }
        start += line.len();
    }
    read
}
