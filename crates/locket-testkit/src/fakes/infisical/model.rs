//! Projects, environments, folders and secrets, as the API puts them into JSON.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Where a secret is: project, environment, folder.
pub(super) type Place = (String, String, String);

/// One secret of a folder.
#[derive(Clone, Debug)]
pub struct Secret {
    pub(super) key: String,
    pub(super) value: String,
    pub(super) version: u64,
    pub(super) is_personal: bool,
    /// Only its existence may be seen, whatever the role.
    pub(super) is_hidden: bool,
}

/// The requests for secrets that a server has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Generations {
    /// `/api/v3/secrets/raw` alone, as older servers.
    Third,
    /// `/api/v4/secrets` alone.
    Fourth,
    /// Both.
    #[default]
    Both,
}

/// One folder.
#[derive(Debug, Default)]
pub(super) struct Folder {
    pub(super) secrets: Vec<Secret>,
    /// The last one counts most.
    pub(super) imports: Vec<Place>,
}

/// Everything that is stored.
#[derive(Debug, Default)]
pub(super) struct Stored {
    pub(super) folders: BTreeMap<Place, Folder>,
}

/// How much of a value is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    Value,
    Hidden,
}

impl Secret {
    /// A shared secret.
    pub fn new(key: &str, value: &str) -> Self {
        Self {
            key: key.to_owned(),
            value: value.to_owned(),
            version: 1,
            is_personal: false,
            is_hidden: false,
        }
    }

    /// The same as one user's own value.
    #[must_use]
    pub fn personal(mut self) -> Self {
        self.is_personal = true;
        self
    }

    /// The same as one whose value nobody may see.
    #[must_use]
    pub fn hidden(mut self) -> Self {
        self.is_hidden = true;
        self
    }

    fn json(&self, (project, environment, path): &Place, sight: Sight) -> Value {
        let is_hidden = self.is_hidden || sight == Sight::Hidden;
        let value = if is_hidden {
            "<hidden-by-infisical>"
        } else {
            &self.value
        };
        json!({
            "id": format!("id of {}", self.key),
            "_id": format!("id of {}", self.key),
            "workspace": project,
            "environment": environment,
            "version": self.version,
            "type": if self.is_personal { "personal" } else { "shared" },
            "secretKey": self.key,
            "secretValue": value,
            "secretValueHidden": is_hidden,
            "secretPath": path,
            "secretComment": "",
            "secretReminderNote": null,
            "secretReminderRepeatDays": null,
            "skipMultilineEncoding": false,
            "folderId": null,
            "isRotatedSecret": false,
            "createdAt": "2026-01-01T00:00:00.000Z",
            "updatedAt": "2026-01-01T00:00:00.000Z",
            "tags": [],
            "secretMetadata": [],
        })
    }
}

impl Stored {
    /// The list of a folder, of the secrets whose names are `shown`.
    pub(super) fn list(
        &self,
        place: &Place,
        with_imports: bool,
        sight: Sight,
        shown: impl Fn(&str) -> bool,
    ) -> Option<Value> {
        let folder = self.folders.get(place)?;
        let all = |place: &Place, folder: &Folder| -> Vec<_> {
            folder
                .secrets
                .iter()
                .filter(|secret| shown(&secret.key))
                .map(|secret| secret.json(place, sight))
                .collect()
        };
        let mut answer = json!({ "secrets": all(place, folder) });
        if with_imports {
            let imports = folder
                .imports
                .iter()
                .filter_map(|from| Some((from, self.folders.get(from)?)));
            let imports: Vec<_> = imports
                .map(|(from, folder)| {
                    json!({
                        "secretPath": from.2,
                        "environment": from.1,
                        "folderId": "id of the folder",
                        "secrets": all(from, folder),
                    })
                })
                .collect();
            answer["imports"] = imports.into();
        }
        Some(answer)
    }

    /// One secret: the folder's own, else that of its last import that has it.
    pub(super) fn find(
        &self,
        place: &Place,
        key: &str,
        is_personal: bool,
        with_imports: bool,
        sight: Sight,
    ) -> Option<Value> {
        let folder = self.folders.get(place)?;
        let own = folder
            .secrets
            .iter()
            .find(|secret| secret.key == key && secret.is_personal == is_personal);
        if let Some(secret) = own {
            return Some(secret.json(place, sight));
        }
        let imports = folder.imports.iter().rev().filter(|_| with_imports);
        imports
            .filter_map(|from| Some((from, self.folders.get(from)?)))
            .find_map(|(from, folder)| {
                let found = folder
                    .secrets
                    .iter()
                    .find(|secret| secret.key == key && !secret.is_personal)?;
                Some(found.json(from, sight))
            })
    }
}
