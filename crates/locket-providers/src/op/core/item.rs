//! An item as the core describes it, in the terms that the other ways to 1Password share.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::invocation::FileAttributes;
use crate::onepassword::{Field, File, Item, Section};

/// `Item` of the official client.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CoreItem<'a> {
    pub(super) id: String,
    pub(super) title: String,
    version: Option<u64>,
    #[serde(borrow, default)]
    fields: Vec<CoreField<'a>>,
    #[serde(default)]
    sections: Vec<CoreSection>,
    #[serde(default)]
    files: Vec<CoreFile>,
    document: Option<FileAttributes>,
    #[serde(borrow)]
    notes: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CoreField<'a> {
    id: String,
    title: String,
    section_id: Option<String>,
    field_type: String,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
    #[serde(borrow)]
    details: Option<Details<'a>>,
}

#[derive(Deserialize)]
struct Details<'a> {
    #[serde(borrow)]
    content: Option<Otp<'a>>,
}

#[derive(Deserialize)]
struct Otp<'a> {
    #[serde(borrow)]
    code: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct CoreSection {
    id: String,
    title: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CoreFile {
    attributes: FileAttributes,
    section_id: Option<String>,
}

impl<'a> CoreItem<'a> {
    /// The item, and what the core wants back for each of its files.
    pub(super) fn into_item(self) -> (Item<'a>, Vec<FileAttributes>) {
        let section = |id: Option<String>| {
            let id = id.filter(|id| !id.is_empty())?;
            let label = self.sections.iter().find(|section| section.id == id);
            let label = label.map(|section| section.title.clone()).unwrap_or_default();
            Some(Section { id, label })
        };
        let mut fields: Vec<Field<'a>> = Vec::with_capacity(self.fields.len() + 1);
        for field in self.fields {
            let code = field.details.and_then(|details| details.content?.code);
            let (kind, purpose) = (
                kind(&field.field_type),
                purpose(&field.id, field.section_id.as_deref()),
            );
            let section = section(field.section_id);
            fields.push(Field::new(field.id, field.title, kind, purpose, section).valued(field.value, code));
        }
        if let Some(notes) = self.notes {
            let own = Field::new("notesPlain".into(), "notesPlain".into(), "STRING", "NOTES", None);
            fields.push(own.valued(Some(notes), None));
        }
        let mut files = Vec::with_capacity(self.files.len());
        let mut attributes = Vec::with_capacity(self.files.len() + 1);
        for file in self.files {
            files.push(File {
                id: file.attributes.id.clone(),
                name: file.attributes.name.clone(),
                size: file.attributes.size,
                section: section(file.section_id),
            });
            attributes.push(file.attributes);
        }
        if let Some(document) = self.document {
            files.push(File {
                id: document.id.clone(),
                name: document.name.clone(),
                size: document.size,
                section: None,
            });
            attributes.push(document);
        }
        let sections = self.sections.iter().map(|section| Section {
            id: section.id.clone(),
            label: section.title.clone(),
        });
        let item = Item {
            version: self.version,
            sections: sections.collect(),
            fields,
            files,
        };
        (item, attributes)
    }
}

/// The type of a field in the words of Connect and the `op` program.
fn kind(of_core: &str) -> &'static str {
    match of_core {
        "Concealed" => "CONCEALED",
        "Totp" => "OTP",
        "SshKey" => "SSHKEY",
        "Url" => "URL",
        "Email" => "EMAIL",
        "Phone" => "PHONE",
        "Date" => "DATE",
        "MonthYear" => "MONTH_YEAR",
        "Menu" => "MENU",
        "Address" => "ADDRESS",
        "Reference" => "REFERENCE",
        "CreditCardType" => "CREDIT_CARD_TYPE",
        "CreditCardNumber" => "CREDIT_CARD_NUMBER",
        _ => "STRING",
    }
}

/// What 1Password fills a field in for: the core marks those of logins by their ids.
fn purpose(id: &str, section: Option<&str>) -> &'static str {
    match (id, section) {
        ("username", None | Some("")) => "USERNAME",
        ("password", None | Some("")) => "PASSWORD",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_of_the_core_is_an_item_like_any_other() {
        let json = r#"{"id":"i","title":"t","category":"Login","vaultId":"v","version":3,
            "fields":[
                {"id":"password","title":"password","sectionId":null,"fieldType":"Concealed","value":"p","details":null},
                {"id":"f","title":"code","sectionId":"s","fieldType":"Totp","value":"otpauth://x","details":{"type":"Otp","content":{"code":"123456","errorMessage":null}}},
                {"id":"k","title":"key","sectionId":"s","fieldType":"SshKey","value":"","details":{"type":"SshKey","content":null}},
                {"id":"x","title":"top","sectionId":"","fieldType":"New","value":"1","details":null}],
            "sections":[{"id":"s","title":"Part"},{"id":"","title":""}],"notes":"n","tags":[],"websites":[],
            "files":[{"attributes":{"name":"a.bin","id":"fa","size":3},"sectionId":"s","fieldId":"ff"}],
            "document":{"name":"d.bin","id":"fd","size":4}}"#;
        let item: CoreItem<'_> = serde_json::from_str(json).unwrap();
        let (item, files) = item.into_item();
        let shown: Vec<_> = item
            .fields
            .iter()
            .map(|field| {
                let section = field.section.as_ref().map(|section| section.label.as_str());
                (
                    field.label.as_str(),
                    field.kind.as_str(),
                    field.purpose.as_str(),
                    section,
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                ("password", "CONCEALED", "PASSWORD", None),
                ("code", "OTP", "", Some("Part")),
                ("key", "SSHKEY", "", Some("Part")),
                ("top", "STRING", "", None),
                ("notesPlain", "STRING", "NOTES", None),
            ]
        );
        assert!(item.fields[0].value().unwrap().matches(b"p"));
        assert!(item.fields[1].server_code().unwrap().unwrap().matches(b"123456"));
        let names: Vec<_> = item
            .files
            .iter()
            .map(|file| (file.name.as_str(), file.size))
            .collect();
        assert_eq!(names, [("a.bin", 3), ("d.bin", 4)]);
        assert_eq!((files[1].id.as_str(), item.version), ("fd", Some(3)));
    }
}
