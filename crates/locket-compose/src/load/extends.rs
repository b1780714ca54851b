//! `extends`: a service that begins with another one, of the same file or of another.

use std::path::{Path, PathBuf};

use super::find::parent;
use super::loader::{Loader, Scope, services_mut};
use crate::merge::merge_service;
use crate::place::{Place, join};
use crate::yaml::{Map, Node, Value};

/// Longer chains are circles that somebody made hard to see.
const LONGEST: usize = 32;

impl Loader<'_> {
    /// Puts what they extend below the services of `document`, which stands in `path`.
    pub(super) fn extend_services(&mut self, document: &mut Node, path: &Path, scope: &Scope) {
        let Some(services) = services_mut(document) else {
            return;
        };
        let known = services.clone();
        for entry in &mut services.0 {
            let mut trail = vec![(path.to_owned(), entry.key.clone())];
            self.extend(&mut entry.node, &known, path, scope, &mut trail);
        }
    }

    fn extend(
        &mut self,
        service: &mut Node,
        beside: &Map,
        path: &Path,
        scope: &Scope,
        trail: &mut Vec<(PathBuf, String)>,
    ) {
        let Value::Map(fields) = &mut service.value else {
            return;
        };
        let Some(extends) = fields.remove("extends").map(|entry| entry.node) else {
            return;
        };
        let place = extends.place;
        let Some(name) = extends.get("service").and_then(Node::as_str).map(str::to_owned) else {
            self.wrong(
                place,
                "this extends no service",
                "Write `extends: {service: NAME}`.",
            );
            return;
        };
        let base = match extends
            .get("file")
            .and_then(|file| Some((file.as_str()?, file.place)))
        {
            None => self.extended(&name, place, beside, path, scope, trail),
            Some((file, at)) => {
                let path = join(&scope.base, Path::new(file));
                let scope = Scope {
                    base: parent(&path),
                    variables: scope.variables.clone(),
                };
                self.services_of(&path, &scope, at)
                    .and_then(|beside| self.extended(&name, place, &beside, &path, &scope, trail))
            }
        };
        if let Some(mut base) = base {
            let own = std::mem::replace(service, Node::new(Value::Null, service.place));
            base.place = own.place;
            merge_service(&mut base, own);
            *service = base;
        }
    }

    /// The service `name` of those `beside`, with what it extends itself.
    fn extended(
        &mut self,
        name: &str,
        place: Place,
        beside: &Map,
        path: &Path,
        scope: &Scope,
        trail: &mut Vec<(PathBuf, String)>,
    ) -> Option<Node> {
        let step = (path.to_owned(), name.to_owned());
        if trail.contains(&step) || trail.len() == LONGEST {
            self.wrong(
                place,
                "this service extends itself",
                "Remove one of the steps of the circle.",
            );
            return None;
        }
        let Some(mut base) = beside.get(name).cloned() else {
            self.wrong(
                place,
                format!("there is no service `{name}` to extend"),
                "Name a service of that file.",
            );
            return None;
        };
        trail.push(step);
        self.extend(&mut base, beside, path, scope, trail);
        trail.pop();
        Some(base)
    }

    /// The services of a file that is only extended.
    fn services_of(&mut self, path: &Path, scope: &Scope, place: Place) -> Option<Map> {
        match self.documents(path, scope) {
            Err(error) => {
                self.wrong(
                    place,
                    error.to_string(),
                    "Paths count from the file that extends.",
                );
                None
            }
            Ok(mut documents) => documents.iter_mut().find_map(services_mut).map(|map| map.clone()),
        }
    }
}
