//! Which secrets a project gets, and how each service comes to read them.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

use super::decision::{
    Change, DIRECTORY, Fresh, ImageFacts, Left, Options, Plan, Planned, Unset, Value, Variable,
};
use super::start::{self, Start};
use crate::credential::{is_credential_name, url_password};
use crate::images::{self, FileForm, Image};
use crate::model::{Origin, Project, Service, Text};

/// Decides everything. `inspect` tells of images that the table does not know.
pub fn plan(project: &Project, options: &Options, inspect: &dyn Fn(&str) -> Option<ImageFacts>) -> Plan {
    let mut planner = Planner {
        project,
        options,
        inspect,
        secrets: BTreeMap::new(),
        order: Vec::new(),
        values: Vec::new(),
        left: Vec::new(),
    };
    let chosen: Vec<&Service> = project
        .services
        .iter()
        .filter(|service| service.provider.is_none())
        .filter(|service| options.only.is_empty() || options.only.contains(&service.name))
        .collect();
    // A database says best what its password is called; whoever has the same value takes the name over.
    let (databases, others): (Vec<&Service>, Vec<&Service>) = chosen
        .iter()
        .copied()
        .partition(|service| known(service).is_some_and(|image| image.database));
    let mut changes: Vec<_> = databases
        .iter()
        .chain(&others)
        .filter_map(|service| planner.service(service))
        .collect();
    let place = |name: &str| project.services.iter().position(|service| service.name == name);
    changes.sort_by_key(|change| place(&change.service));
    planner.missing_files(&chosen);
    for name in &options.more {
        planner.add(name, Value::Random, None);
    }
    let mut secrets = Vec::new();
    for name in &planner.order {
        secrets.extend(planner.secrets.remove(name));
    }
    secrets.sort_by_key(|secret| matches!(secret.value, Value::Template { .. }));
    Plan {
        secrets,
        changes,
        left: planner.left,
    }
}

/// The row of a service's image.
fn known(service: &Service) -> Option<&'static Image> {
    images::find(&service.image.as_ref()?.value)
}

struct Planner<'a> {
    project: &'a Project,
    options: &'a Options,
    inspect: &'a dyn Fn(&str) -> Option<ImageFacts>,
    secrets: BTreeMap<String, Planned>,
    order: Vec<String>,
    /// Present values with the secret that each went into.
    values: Vec<(Zeroizing<String>, String)>,
    left: Vec<Left>,
}

/// A value that was found, and how its service may read it from a file.
struct Find<'a> {
    variable: &'a str,
    text: Option<&'a Text>,
    form: Option<FileForm>,
    secret: Option<&'a images::Variable>,
}

impl<'a> Planner<'a> {
    fn service(&mut self, service: &'a Service) -> Option<Change> {
        let image = known(service);
        let facts = match image {
            Some(_) => None,
            None => service
                .image
                .as_ref()
                .and_then(|image| (self.inspect)(&image.value)),
        };
        let reader = reader(service, image, facts.as_ref());
        let mut change = Change {
            service: service.name.clone(),
            variables: Vec::new(),
            unset: Vec::new(),
            instead: None,
            secrets: Vec::new(),
            start: None,
            health: None,
        };
        let mut by_start = Vec::new();
        let mut names = service.resolved.iter().map(|variable| variable.name.as_str());
        let odd = names.find(|name| !start::is_assignable(name));
        for find in self.finds(service, image) {
            // Before anything is planned for it, so that there is nothing to take back.
            if let Some(odd) = odd.filter(|_| find.form.is_none()) {
                let reason = match start::is_assignable(find.variable) {
                    false => no_shell_name(find.variable),
                    true => dropped_by_shells(odd),
                };
                self.leave(service, find.variable, &reason);
                continue;
            }
            let Some(name) = self.secret_for(service, &find) else {
                continue;
            };
            match &find.form {
                Some(form) => {
                    if form.variable != find.variable && find.text.is_some() {
                        change.unset.push(self.unset(service, find.variable));
                        self.health(service, find.variable, &name, &mut change);
                    }
                    change.variables.push(Variable {
                        name: form.variable.clone(),
                        value: format!("{}/run/secrets/{name}", form.prefix),
                    });
                }
                None => by_start.push((find.variable.to_owned(), name.clone(), find.text.is_some())),
            }
            self.give(
                &mut change,
                &name,
                service,
                reader,
                find.secret.is_some_and(|secret| secret.owner_only),
            );
        }
        self.start(service, image, facts.as_ref(), reader, by_start, &mut change);
        for name in self.options.earlier.keep(&service.name, &mut change) {
            if self.options.skip.contains(&name) {
                change.secrets.retain(|known| *known != name);
                continue;
            }
            self.add(&name, Value::Random, None);
            self.give(&mut change, &name, service, reader, false);
        }
        if image.is_some_and(|image| image.exclusive) {
            replace_list(service, &mut change);
        }
        (!change.secrets.is_empty()).then_some(change)
    }

    /// The start command for the secrets that the image reads from no file.
    fn start(
        &mut self,
        service: &'a Service,
        image: Option<&'static Image>,
        facts: Option<&ImageFacts>,
        reader: u32,
        mut by_start: Vec<(String, String, bool)>,
        change: &mut Change,
    ) {
        let config = image
            .and_then(|image| image.start.as_ref())
            .and_then(|start| start.config.as_deref());
        let original = match start::original(service, image, facts) {
            Ok(original) => original,
            Err(reason) => {
                for (variable, name, _) in by_start {
                    self.take_back(&name, change, service);
                    self.leave(service, &variable, &reason);
                }
                return;
            }
        };
        if let Some(directive) = config {
            let found = start::password_argument(&original.command, directive);
            if let (Some(found), true) = (&found, by_start.is_empty()) {
                let secret = image.and_then(|image| image.secrets.first());
                let name = secret.and_then(|secret| secret.secret.clone());
                let find = Find {
                    variable: "command",
                    text: None,
                    form: None,
                    secret,
                };
                let wanted = self.free(
                    service,
                    &name.unwrap_or_else(|| format!("{}_password", service.name)),
                );
                let value = expand(&found.value, self.project);
                if let Some(name) = self.with_value(service, &find, &wanted, value) {
                    by_start.push(("command".to_owned(), name.clone(), false));
                    self.give(change, &name, service, reader, false);
                }
            }
        }
        if by_start.is_empty() {
            return;
        }
        let secrets: Vec<(String, String)> = by_start
            .iter()
            .map(|(variable, name, _)| (variable.clone(), name.clone()))
            .collect();
        for (variable, name, is_set) in &by_start {
            if *is_set {
                change.unset.push(self.unset(service, variable));
                self.health(service, variable, name, change);
            }
        }
        change.start = Some(match config {
            Some(directive) => Start::config(&original, directive, &secrets[0].1),
            None => Start::variables(&original, &secrets),
        });
    }

    /// A health check runs beside the program and knows only what the container was given: it has to read the file, too.
    fn health(&mut self, service: &Service, variable: &str, secret: &str, change: &mut Change) {
        let Some(test) = service
            .healthcheck
            .as_ref()
            .and_then(|health| health.test.as_ref())
        else {
            return;
        };
        let words = change.health.clone().unwrap_or_else(|| match test.is_text {
            true => vec![
                "CMD-SHELL".to_owned(),
                test.words.iter().map(|word| word.written.as_str()).collect(),
            ],
            false => test.words.iter().map(|word| word.written.clone()).collect(),
        });
        let changed: Vec<_> = words
            .iter()
            .map(|word| read_instead(word, variable, secret))
            .collect();
        if changed == words {
            return;
        }
        match words.first().map(String::as_str) {
            Some("CMD-SHELL") => change.health = Some(changed),
            _ => self.leave(
                service,
                "healthcheck",
                &format!(
                    "it uses {variable}; have it read /run/secrets/{secret} through a shell (`CMD-SHELL`)"
                ),
            ),
        }
    }

    /// Every value of a service that belongs into a file.
    fn finds(&self, service: &'a Service, image: Option<&'a Image>) -> Vec<Find<'a>> {
        let mut finds = Vec::new();
        for variable in &service.resolved {
            let name = variable.name.as_str();
            let Some(text) = variable.value.as_ref().filter(|text| !text.value.is_empty()) else {
                continue;
            };
            let secret = image.and_then(|image| image.secret(name));
            let is_secret =
                secret.is_some() || is_credential_name(name) || url_password(&text.value).is_some();
            let form = image.and_then(|image| image.file_form(name));
            if !is_secret
                || is_path(&text.value)
                || form.as_ref().is_some_and(|form| is_given(service, name, form))
            {
                continue;
            }
            finds.push(Find {
                variable: name,
                text: Some(text),
                form,
                secret,
            });
        }
        let Some(image) = image else {
            return finds;
        };
        let is_protected = self.options.protect.contains(&service.name);
        for secret in &image.secrets {
            let wanted = secret.required || (is_protected && secret.role.is_some());
            if wanted && !self.does_without(service, image, secret) && !has_role(&finds, secret) {
                finds.push(Find {
                    variable: &secret.variable,
                    text: None,
                    form: image.file_form(&secret.variable),
                    secret: Some(secret),
                });
            }
        }
        finds
    }

    /// Whether the service says elsewhere what this secret is, or that it has none.
    fn does_without(&self, service: &Service, image: &Image, secret: &images::Variable) -> bool {
        let is_set = |name: &str| {
            service
                .variable(name)
                .is_some_and(|variable| variable.value.as_ref().is_some_and(|text| !text.value.is_empty()))
        };
        let waives = service.resolved.iter().any(|variable| {
            let name = variable.name.as_str();
            (name.contains("ALLOW_EMPTY")
                || name.contains("RANDOM_ROOT")
                || name.contains("HOST_AUTH_METHOD"))
                && is_set(name)
        });
        let others = image.secrets.iter().filter(|other| other.role == secret.role);
        let hashed = format!("{}_HASH", secret.variable);
        let reads_already = || {
            let words = service.command.iter().chain(&service.entrypoint);
            words
                .into_iter()
                .any(|words| words.text().contains("/run/secrets/"))
        };
        waives
            || is_set(&hashed)
            || is_set(&format!("{hashed}_FILE"))
            || others
                .into_iter()
                .any(|other| is_set(&other.variable) || other.file.as_deref().is_some_and(is_set))
            || (secret.file.is_none() && reads_already())
    }

    /// The secret for a find; `None` where the user skips it.
    fn secret_for(&mut self, service: &Service, find: &Find<'_>) -> Option<String> {
        let variable = find
            .form
            .as_ref()
            .map_or(find.variable, |form| form.variable.as_str());
        if let Some(name) = self
            .options
            .earlier
            .secret(&service.name, variable)
            .map(str::to_owned)
        {
            let value = match find.text.filter(|text| url_password(&text.value).is_none()) {
                Some(text) => Value::Present(Zeroizing::new(text.value.clone())),
                None => Value::Random,
            };
            if let Value::Present(text) = &value {
                self.values.push((text.clone(), name.clone()));
            }
            let found = find.text.map(|_| format!("{}: {}", service.name, find.variable));
            return self.add_unless_skipped(&name, value, found);
        }
        let own = find.secret.and_then(|secret| secret.secret.clone());
        let wanted = own.unwrap_or_else(|| name_of(find.variable));
        let Some(text) = find.text else {
            let name = self.free(service, &wanted);
            return self.add_unless_skipped(&name, Value::Random, None);
        };
        let value = Zeroizing::new(text.value.clone());
        let Some(range) = url_password(&value).filter(|range| range.end < value.len()) else {
            return self.with_value(service, find, &wanted, value);
        };
        // The address becomes a template of the password in it.
        let written = &value[range.clone()];
        let decoded = percent_decode_str(written).decode_utf8();
        let plain = Zeroizing::new(decoded.map_or_else(|_| written.to_owned(), Cow::into_owned));
        let password = match self.known_value(&plain) {
            Some(name) => name,
            None => {
                let inner = self.free(service, &format!("{}_password", wanted.trim_end_matches("_url")));
                self.add_present(service, find, &inner, plain)?
            }
        };
        let name = self.free(service, &wanted);
        let text = format!(
            "{}{{{{ file://{DIRECTORY}/{password}.txt | url }}}}{}",
            &value[..range.start],
            &value[range.end..]
        );
        let found = format!("{}: {}", service.name, find.variable);
        self.add_unless_skipped(&name, Value::Template { text, of: password }, Some(found))
    }

    fn with_value(
        &mut self,
        service: &Service,
        find: &Find<'_>,
        wanted: &str,
        value: Zeroizing<String>,
    ) -> Option<String> {
        if let Some(name) = self.known_value(&value) {
            return Some(name);
        }
        let name = self.free(service, wanted);
        self.add_present(service, find, &name, value)
    }

    fn add_present(
        &mut self,
        service: &Service,
        find: &Find<'_>,
        name: &str,
        value: Zeroizing<String>,
    ) -> Option<String> {
        let found = format!("{}: {}", service.name, find.variable);
        let is_fresh = match &self.options.fresh {
            Fresh::Missing => false,
            Fresh::Named(names) => names.iter().any(|fresh| fresh == name),
            Fresh::All => true,
        };
        self.values.push((value.clone(), name.to_owned()));
        let value = match is_fresh {
            true => Value::Random,
            false => Value::Present(value),
        };
        self.add_unless_skipped(name, value, Some(found))
    }

    /// Values of a few characters are alike by chance.
    fn known_value(&self, value: &str) -> Option<String> {
        let same = self
            .values
            .iter()
            .find(|(known, _)| known.as_str() == value && value.len() >= 4);
        same.map(|(_, name)| name.clone())
            .filter(|name| self.secrets.contains_key(name))
    }

    /// A name for a secret that no other one has: the wanted one, or with the service before it.
    fn free(&self, service: &Service, wanted: &str) -> String {
        let elsewhere = |name: &str| {
            self.project
                .secret(name)
                .is_some_and(|definition| match &definition.origin {
                    Origin::File { path, .. } => !path.ends_with(format!("{DIRECTORY}/{name}.txt")),
                    _ => true,
                })
        };
        let is_taken = |name: &str| self.secrets.contains_key(name) || elsewhere(name);
        if !is_taken(wanted) {
            return wanted.to_owned();
        }
        let own = name_of(&format!("{}_{wanted}", service.name));
        let mut name = own.clone();
        let mut number = 2;
        while is_taken(&name) {
            name = format!("{own}_{number}");
            number += 1;
        }
        name
    }

    fn add_unless_skipped(&mut self, name: &str, value: Value, found: Option<String>) -> Option<String> {
        if self.options.skip.iter().any(|skipped| skipped == name) {
            return None;
        }
        self.add(name, value, found);
        Some(name.to_owned())
    }

    fn add(&mut self, name: &str, value: Value, found: Option<String>) {
        if self.secrets.contains_key(name) {
            return;
        }
        self.order.push(name.to_owned());
        self.secrets.insert(
            name.to_owned(),
            Planned {
                name: name.to_owned(),
                value,
                readers: BTreeSet::new(),
                owner_only: false,
                services: Vec::new(),
                found,
            },
        );
    }

    fn give(&mut self, change: &mut Change, name: &str, service: &Service, reader: u32, owner_only: bool) {
        if !change.secrets.iter().any(|known| known == name) {
            change.secrets.push(name.to_owned());
        }
        if let Some(planned) = self.secrets.get_mut(name) {
            if reader != 0 {
                planned.readers.insert(reader);
            }
            planned.owner_only |= owner_only;
            if !planned.services.contains(&service.name) {
                planned.services.push(service.name.clone());
            }
        }
    }

    /// Undoes [`Planner::give`] for a secret that the service cannot read after all.
    fn take_back(&mut self, name: &str, change: &mut Change, service: &Service) {
        change.secrets.retain(|known| known != name);
        let Some(planned) = self.secrets.get_mut(name) else {
            return;
        };
        planned.services.retain(|known| *known != service.name);
        if planned.services.is_empty() {
            self.secrets.remove(name);
            self.order.retain(|known| known != name);
        }
    }

    fn leave(&mut self, service: &Service, variable: &str, reason: &str) {
        self.left.push(Left {
            service: service.name.clone(),
            variable: variable.to_owned(),
            reason: reason.to_owned(),
        });
    }

    /// How the plain value of `variable` is taken from the service.
    fn unset(&self, service: &Service, variable: &str) -> Unset {
        let in_map = service
            .environment
            .iter()
            .filter(|known| known.name == variable)
            .any(|known| {
                let source = self.project.sources.get(known.place.source);
                !source.text[known.place.span.end.min(source.text.len())..].starts_with('=')
            });
        let in_file = !service.env_files.is_empty();
        match in_map && !in_file {
            true => Unset::Removed(variable.to_owned()),
            false => Unset::Emptied(variable.to_owned()),
        }
    }

    /// Secrets that the project declares and whose file may not be there yet.
    fn missing_files(&mut self, services: &[&'a Service]) {
        for definition in &self.project.secrets {
            let Origin::File { path, .. } = &definition.origin else {
                continue;
            };
            let expected = self
                .project
                .directory
                .join(DIRECTORY)
                .join(format!("{}.txt", definition.name));
            if *path != expected {
                continue;
            }
            let users: Vec<_> = services
                .iter()
                .filter(|service| service.is_granted(definition))
                .collect();
            self.add(&definition.name, Value::Random, None);
            for service in users {
                let image = known(service);
                let reader = reader(service, image, None);
                if let Some(planned) = self.secrets.get_mut(&definition.name) {
                    planned.readers.extend((reader != 0).then_some(reader));
                    if !planned.services.contains(&service.name) {
                        planned.services.push(service.name.clone());
                    }
                }
            }
        }
    }
}

/// `text` with the content of the file wherever the variable stood, for Compose or for the container's shell.
fn read_instead(text: &str, variable: &str, secret: &str) -> String {
    let instead = format!("$$(cat /run/secrets/{secret})");
    let mut changed = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        changed.push_str(&rest[..at]);
        let dollars = if rest[at..].starts_with("$$") { 2 } else { 1 };
        let behind = &rest[at + dollars..];
        let braced = behind
            .strip_prefix('{')
            .and_then(|inner| inner.strip_prefix(variable)?.strip_prefix('}'));
        let bare = behind
            .strip_prefix(variable)
            .filter(|after| !after.starts_with(|char: char| char.is_ascii_alphanumeric() || char == '_'));
        match braced.or(bare) {
            Some(after) => {
                changed.push_str(&instead);
                rest = after;
            }
            None => {
                changed.push_str(&rest[at..at + dollars]);
                rest = behind;
            }
        }
    }
    changed + rest
}

/// Where a list of variables has to lose one, all of it is written anew.
fn replace_list(service: &Service, change: &mut Change) {
    let is_emptied = |name: &str| {
        change
            .unset
            .iter()
            .any(|unset| *unset == Unset::Emptied(name.to_owned()))
    };
    if !service
        .environment
        .iter()
        .any(|variable| is_emptied(&variable.name))
    {
        return;
    }
    let rest = service
        .environment
        .iter()
        .filter(|variable| !is_emptied(&variable.name));
    let rest = rest.map(|variable| {
        let written = variable.value.as_ref().map(|text| text.written.clone());
        (variable.name.clone(), written)
    });
    change.instead = Some(rest.collect());
    change.unset.clear();
}

/// Whether a value only says where a secret is.
fn is_path(value: &str) -> bool {
    value.starts_with("/run/secrets/") || value.starts_with("file://") || value.starts_with("{{")
}

/// Whether the service has the variable of the file already.
fn is_given(service: &Service, variable: &str, form: &FileForm) -> bool {
    form.variable != variable
        && service
            .variable(&form.variable)
            .is_some_and(|given| given.value.as_ref().is_some_and(|text| !text.value.is_empty()))
}

fn has_role(finds: &[Find<'_>], secret: &images::Variable) -> bool {
    let is_same = |find: &Find<'_>| {
        find.variable == secret.variable
            || (secret.role.is_some() && find.secret.is_some_and(|found| found.role == secret.role))
    };
    finds.iter().any(is_same)
}

/// The user that reads secret files in a service's container.
fn reader(service: &Service, image: Option<&Image>, facts: Option<&ImageFacts>) -> u32 {
    let number = |text: &str| text.split(':').next().unwrap_or_default().parse::<u32>().ok();
    if let Some(user) = service.user.as_ref().and_then(|user| number(&user.value)) {
        return user;
    }
    let Some(image) = image else {
        return facts.and_then(|facts| facts.user).unwrap_or(0);
    };
    let named = image.reader_variable.as_deref().and_then(|name| {
        let value = service.variable(name)?.value.as_ref()?;
        number(&value.value)
    });
    named.unwrap_or(image.reader)
}

/// Why a start command cannot set `variable`, and what its user can do.
fn no_shell_name(variable: &str) -> String {
    let form = name_of(variable).to_ascii_uppercase();
    format!(
        "its name is none that a shell can set; write it as {form} if its program reads that form, or have it read a configuration file"
    )
}

/// Why a service has no start command that reads files, and what its user can do.
fn dropped_by_shells(odd: &str) -> String {
    format!(
        "the shell of a start command would drop `{odd}`, whose name it cannot set; give that another name, or have the program read a configuration file"
    )
}

/// A variable's name as the name of a secret.
fn name_of(variable: &str) -> String {
    let mut name = String::new();
    for char in variable.chars() {
        match char.is_ascii_alphanumeric() {
            true => name.push(char.to_ascii_lowercase()),
            false if !name.ends_with('_') => name.push('_'),
            false => {}
        }
    }
    name.trim_matches('_').to_owned()
}

/// The value of an argument that may be written with variables: what they stand for.
fn expand(written: &str, project: &Project) -> Zeroizing<String> {
    let mut look_up = |name: &str| project.variables.get(name).map(str::to_owned);
    match locket_core::env_file::expand(written, &mut look_up) {
        Ok(text) => Zeroizing::new(text),
        Err(_) => Zeroizing::new(written.to_owned()),
    }
}
