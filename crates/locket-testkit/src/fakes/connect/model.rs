//! Vaults, items, fields and files, as a test writes them and as Connect puts them into JSON.

use data_encoding::BASE64;
use serde_json::{Map, Value, json};

/// One vault.
#[derive(Clone, Debug)]
pub(super) struct Vault {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) items: Vec<Item>,
}

/// One item. Its id is given by the server when it is added.
#[derive(Clone, Debug)]
pub struct Item {
    pub(in crate::fakes) id: String,
    pub(in crate::fakes) title: String,
    category: Category,
    state: State,
    version: u64,
    tags: Vec<String>,
    sections: Vec<Section>,
    fields: Vec<Field>,
    files: Vec<File>,
}

/// The kind of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// `LOGIN`
    Login,
    /// `PASSWORD`
    Password,
    /// `API_CREDENTIAL`
    ApiCredential,
    /// `DATABASE`
    Database,
    /// `SSH_KEY`
    SshKey,
    /// `DOCUMENT`
    Document,
    /// `SECURE_NOTE`
    SecureNote,
}

/// Whether an item is in use. Lists hold active items only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// In use.
    Active,
    /// `ARCHIVED`: no longer listed, readable by its id.
    Archived,
}

/// One field of an item.
#[derive(Clone, Debug)]
pub struct Field {
    id: Option<String>,
    label: String,
    kind: FieldType,
    purpose: Option<Purpose>,
    section: Option<String>,
    value: Option<String>,
    totp: Option<String>,
}

/// The type of a field, as Connect writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldType {
    /// `STRING`
    String,
    /// `CONCEALED`
    Concealed,
    /// `OTP`: the value is an `otpauth://` URI or a base32 key
    Otp,
    /// `SSHKEY`: the value is a private key in PEM form
    SshKey,
    /// `DATE`
    Date,
    /// `URL`
    Url,
}

/// What 1Password fills a field in for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// `USERNAME`
    Username,
    /// `PASSWORD`
    Password,
    /// `NOTES`
    Notes,
}

/// One file attached to an item.
#[derive(Clone, Debug)]
pub struct File {
    pub(in crate::fakes) id: Option<String>,
    pub(in crate::fakes) name: String,
    section: Option<String>,
    pub(in crate::fakes) content: Vec<u8>,
}

#[derive(Clone, Debug)]
struct Section {
    id: String,
    label: String,
}

impl Item {
    /// An empty item.
    pub fn new(category: Category, title: &str) -> Self {
        Self {
            id: String::new(),
            title: title.to_owned(),
            category,
            state: State::Active,
            version: 1,
            tags: Vec::new(),
            sections: Vec::new(),
            fields: Vec::new(),
            files: Vec::new(),
        }
    }

    /// A login with a password.
    pub fn login(title: &str, password: &str) -> Self {
        Self::new(Category::Login, title)
            .field(
                Field::new(FieldType::String, "username", "someone")
                    .id("username")
                    .purpose(Purpose::Username),
            )
            .field(
                Field::concealed("password", password)
                    .id("password")
                    .purpose(Purpose::Password),
            )
    }

    /// The same item with one more section. The fields and files that name it must come later.
    #[must_use]
    pub fn section(mut self, id: &str, label: &str) -> Self {
        self.sections.push(Section {
            id: id.to_owned(),
            label: label.to_owned(),
        });
        self
    }

    /// The same item with one more field.
    ///
    /// # Panics
    /// The field is in a section that the item does not have.
    #[must_use]
    pub fn field(mut self, field: Field) -> Self {
        self.refuse_unknown_section(field.section.as_deref());
        self.fields.push(field);
        self
    }

    /// The same item with one more file.
    ///
    /// # Panics
    /// The file is in a section that the item does not have.
    #[must_use]
    pub fn file(mut self, file: File) -> Self {
        self.refuse_unknown_section(file.section.as_deref());
        self.files.push(file);
        self
    }

    /// The same item with a tag.
    #[must_use]
    pub fn tag(mut self, tag: &str) -> Self {
        self.tags.push(tag.to_owned());
        self
    }

    /// The same item with an id of the test's choice.
    #[must_use]
    pub fn with_id(mut self, id: &str) -> Self {
        id.clone_into(&mut self.id);
        self
    }

    /// Changes the value of the field of this label or id. The version counts up.
    ///
    /// # Panics
    /// There is no such field.
    pub fn set(&mut self, field: &str, value: &str) {
        let found = self
            .fields
            .iter_mut()
            .find(|known| known.label == field || known.id.as_deref() == Some(field))
            .unwrap_or_else(|| panic!("`{}` has no field `{field}`", self.title));
        found.value = Some(value.to_owned());
        self.version += 1;
    }

    /// Gives the item another title. The version counts up.
    pub fn rename(&mut self, title: &str) {
        title.clone_into(&mut self.title);
        self.version += 1;
    }

    /// Puts the item away, or takes it out again. The version counts up.
    pub fn set_state(&mut self, state: State) {
        self.state = state;
        self.version += 1;
    }

    pub(super) fn title(&self) -> &str {
        &self.title
    }

    pub(super) fn has_tag(&self, tag: &str) -> bool {
        self.tags.iter().any(|known| known == tag)
    }

    pub(super) fn is_active(&self) -> bool {
        self.state == State::Active
    }

    /// Gives an id to whatever has none yet.
    pub(in crate::fakes) fn fill_ids(&mut self, mut next: impl FnMut() -> String) {
        if self.id.is_empty() {
            self.id = next();
        }
        for field in &mut self.fields {
            field.id.get_or_insert_with(&mut next);
        }
        for file in &mut self.files {
            file.id.get_or_insert_with(&mut next);
        }
    }

    pub(in crate::fakes) fn files(&self) -> &[File] {
        &self.files
    }

    /// `Item` of the specification: what lists hold.
    pub(super) fn summary(&self, vault: &str) -> Map<String, Value> {
        let mut json = object(json!({
            "id": self.id,
            "title": self.title,
            "version": self.version,
            "vault": {"id": vault},
            "category": self.category.word(),
            "lastEditedBy": "LSGPJERUYBH7BFPHMZ2KKGL6AU",
            "createdAt": "2024-05-02T18:33:00Z",
            "updatedAt": "2024-05-02T18:34:33Z",
        }));
        if !self.tags.is_empty() {
            json.insert("tags".into(), json!(self.tags));
        }
        if self.state == State::Archived {
            json.insert("state".into(), json!("ARCHIVED"));
        }
        json
    }

    /// `FullItem` of the specification: what one item's own address gives.
    pub(in crate::fakes) fn full(&self, vault: &str) -> Value {
        let mut json = self.summary(vault);
        let sections: Vec<_> = self.sections.iter().map(Section::json).collect();
        let fields: Vec<_> = self.fields.iter().map(Field::json).collect();
        let files: Vec<_> = self.files.iter().map(|file| file.json(vault, &self.id)).collect();
        for (name, list) in [("sections", sections), ("fields", fields), ("files", files)] {
            if !list.is_empty() {
                json.insert(name.into(), Value::Array(list));
            }
        }
        Value::Object(json)
    }

    /// The code of the item's category in 1Password's own protocol.
    pub(in crate::fakes) fn template(&self) -> &'static str {
        match self.category {
            Category::Login => "001",
            Category::SecureNote => "003",
            Category::Password => "005",
            Category::Document => "006",
            Category::Database => "102",
            Category::ApiCredential => "112",
            Category::SshKey => "114",
        }
    }

    /// How often the item was changed.
    pub(in crate::fakes) fn version(&self) -> u64 {
        self.version
    }

    /// What the item holds, as 1Password's own protocol encrypts it. Files are left out.
    pub(in crate::fakes) fn details(&self) -> Value {
        let own = self
            .fields
            .iter()
            .filter(|field| field.purpose.is_some() && field.section.is_none());
        let own: Vec<Value> = own.map(Field::designated).collect();
        let in_section = |id: Option<&str>| -> Vec<Value> {
            let fields = self
                .fields
                .iter()
                .filter(|field| field.section.as_deref() == id && (id.is_some() || field.purpose.is_none()));
            fields.map(Field::sectioned).collect()
        };
        let mut sections = vec![json!({"name": "", "title": "", "fields": in_section(None)})];
        sections.extend(self.sections.iter().map(|section| {
            json!({"name": section.id, "title": section.label, "fields": in_section(Some(&section.id))})
        }));
        json!({"fields": own, "sections": sections, "notesPlain": ""})
    }

    fn refuse_unknown_section(&self, id: Option<&str>) {
        if let Some(id) = id {
            let known = self.sections.iter().any(|section| section.id == id);
            assert!(known, "`{}` has no section `{id}`", self.title);
        }
    }
}

impl Field {
    /// A field of a type.
    pub fn new(kind: FieldType, label: &str, value: &str) -> Self {
        Self {
            id: None,
            label: label.to_owned(),
            kind,
            purpose: None,
            section: None,
            value: Some(value.to_owned()),
            totp: None,
        }
    }

    /// A concealed field.
    pub fn concealed(label: &str, value: &str) -> Self {
        Self::new(FieldType::Concealed, label, value)
    }

    /// A one-time password: its seed and the code that the server says is the present one. The server does no
    /// arithmetic, so that a code computed elsewhere can be told from its own.
    pub fn otp(label: &str, seed: &str, code: &str) -> Self {
        Self {
            totp: Some(code.to_owned()),
            ..Self::new(FieldType::Otp, label, seed)
        }
    }

    /// The same field with an id of the test's choice.
    #[must_use]
    pub fn id(mut self, id: &str) -> Self {
        self.id = Some(id.to_owned());
        self
    }

    /// The same field in the section of this id.
    #[must_use]
    pub fn section(mut self, id: &str) -> Self {
        self.section = Some(id.to_owned());
        self
    }

    /// The same field with a purpose.
    #[must_use]
    pub fn purpose(mut self, purpose: Purpose) -> Self {
        self.purpose = Some(purpose);
        self
    }

    /// The same field without a value, as Connect shows an empty one.
    #[must_use]
    pub fn without_value(mut self) -> Self {
        self.value = None;
        self
    }

    fn json(&self) -> Value {
        let mut json = object(json!({
            "id": self.id,
            "type": self.kind.word(),
            "label": self.label,
        }));
        if let Some(purpose) = self.purpose {
            json.insert("purpose".into(), json!(purpose.word()));
        }
        if let Some(value) = &self.value {
            json.insert("value".into(), json!(value));
        }
        if let Some(code) = &self.totp {
            json.insert("totp".into(), json!(code));
        }
        if let Some(section) = &self.section {
            json.insert("section".into(), json!({"id": section}));
        }
        Value::Object(json)
    }
}

impl Field {
    /// One of the fields that every login has.
    fn designated(&self) -> Value {
        let purpose = match self.purpose {
            Some(Purpose::Username) => "username",
            _ => "password",
        };
        let kind = if purpose == "password" { "P" } else { "T" };
        let value = self.value.as_deref().unwrap_or_default();
        json!({"designation": purpose, "name": purpose, "type": kind, "id": "", "value": value})
    }

    /// A field of a section.
    fn sectioned(&self) -> Value {
        let (kind, name) = match self.kind {
            FieldType::Concealed => ("concealed", self.id.clone()),
            FieldType::Otp => ("concealed", self.id.as_ref().map(|id| format!("TOTP_{id}"))),
            FieldType::SshKey => ("sshKey", Some("private_key".to_owned())),
            FieldType::String | FieldType::Date | FieldType::Url => ("string", self.id.clone()),
        };
        let mut json = json!({"k": kind, "n": name, "t": self.label});
        if let Some(value) = &self.value {
            json["v"] = json!(value);
        }
        json
    }
}

impl File {
    /// A file outside of sections.
    pub fn new(name: &str, content: &[u8]) -> Self {
        Self {
            id: None,
            name: name.to_owned(),
            section: None,
            content: content.to_vec(),
        }
    }

    /// The same file in the section of this id.
    #[must_use]
    pub fn section(mut self, id: &str) -> Self {
        self.section = Some(id.to_owned());
        self
    }

    pub(super) fn json(&self, vault: &str, item: &str) -> Value {
        let id = self.id.as_deref().unwrap_or_default();
        let mut json = object(json!({
            "id": id,
            "name": self.name,
            "size": self.content.len(),
            "content_path": format!("/v1/vaults/{vault}/items/{item}/files/{id}/content"),
        }));
        if let Some(section) = &self.section {
            json.insert("section".into(), json!({"id": section}));
        }
        Value::Object(json)
    }

    /// The same with the content in base64.
    pub(super) fn inline_json(&self, vault: &str, item: &str) -> Value {
        let mut json = self.json(vault, item);
        json["content"] = json!(BASE64.encode(&self.content));
        json
    }
}

impl Section {
    fn json(&self) -> Value {
        if self.label.is_empty() {
            json!({"id": self.id})
        } else {
            json!({"id": self.id, "label": self.label})
        }
    }
}

impl Category {
    fn word(self) -> &'static str {
        match self {
            Self::Login => "LOGIN",
            Self::Password => "PASSWORD",
            Self::ApiCredential => "API_CREDENTIAL",
            Self::Database => "DATABASE",
            Self::SshKey => "SSH_KEY",
            Self::Document => "DOCUMENT",
            Self::SecureNote => "SECURE_NOTE",
        }
    }
}

impl FieldType {
    fn word(self) -> &'static str {
        match self {
            Self::String => "STRING",
            Self::Concealed => "CONCEALED",
            Self::Otp => "OTP",
            Self::SshKey => "SSHKEY",
            Self::Date => "DATE",
            Self::Url => "URL",
        }
    }
}

impl Purpose {
    fn word(self) -> &'static str {
        match self {
            Self::Username => "USERNAME",
            Self::Password => "PASSWORD",
            Self::Notes => "NOTES",
        }
    }
}

fn object(json: Value) -> Map<String, Value> {
    match json {
        Value::Object(object) => object,
        other => panic!("{other} is no object"),
    }
}
