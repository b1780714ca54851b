//! What the program is asked and what it prints: the items of its JSON, and the ids in them.
//!
//! Commands: <https://developer.1password.com/docs/cli/reference/management-commands/item#item-get>.

use locket_core::ProviderError;
use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::onepassword::ItemState;

/// What tells items apart: the beginning of each.
#[derive(Deserialize)]
pub(super) struct Head {
    pub(super) id: String,
    #[serde(default)]
    pub(super) title: String,
    #[serde(default)]
    pub(super) state: ItemState,
    vault: Option<VaultHead>,
}

#[derive(Deserialize)]
struct VaultHead {
    id: String,
}

/// The ids of an item, by which it is read fastest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ids {
    pub(super) vault: String,
    pub(super) item: String,
}

/// One item as the program printed it.
pub(super) struct Printed {
    pub(super) ids: Ids,
    pub(super) title: String,
    pub(super) state: ItemState,
    /// Its JSON.
    pub(super) json: Zeroizing<String>,
}

/// The items that the program printed: one after the other, or as a list.
///
/// # Errors
/// It printed something else.
pub(super) fn items(printed: &[u8]) -> Result<Vec<Printed>, ProviderError> {
    let whole: Result<Vec<&RawValue>, _> = match printed.trim_ascii_start().first() {
        Some(b'[') => serde_json::from_slice(printed),
        _ => serde_json::Deserializer::from_slice(printed)
            .into_iter()
            .collect(),
    };
    let items = whole.map_err(|_| garbled())?;
    items.into_iter().map(|item| one(item.get())).collect()
}

/// What the program reads from its standard input to print these items.
pub(super) fn request(items: &[&Ids]) -> Vec<u8> {
    let mut request = String::from("[");
    for (index, Ids { vault, item }) in items.iter().enumerate() {
        let (item, vault) = (
            serde_json::Value::from(item.as_str()),
            serde_json::Value::from(vault.as_str()),
        );
        request += if index == 0 { "\n" } else { ",\n" };
        request += &format!(r#"{{"id":{item},"vault":{{"id":{vault}}}}}"#);
    }
    request += "\n]\n";
    request.into_bytes()
}

/// What is answered where the program prints something that it never does.
pub(super) fn garbled() -> ProviderError {
    ProviderError::unavailable("the `op` program printed something that is no item")
        .hint("Check that `op.cli` is 1Password's own program, version 2.18 or newer.")
}

fn one(json: &str) -> Result<Printed, ProviderError> {
    let head: Head = serde_json::from_str(json).map_err(|_| garbled())?;
    Ok(Printed {
        ids: Ids {
            vault: head.vault.map(|vault| vault.id).unwrap_or_default(),
            item: head.id,
        },
        title: head.title,
        state: head.state,
        json: Zeroizing::new(json.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_come_one_after_the_other_or_as_a_list() {
        let (one, two) = (
            r#"{"id":"a","title":"A","vault":{"id":"v","name":"V"}}"#,
            r#"{"id":"b","title":"B"}"#,
        );
        for printed in [
            format!("{one}\n{two}\n"),
            format!("[{one},{two}]"),
            format!("{one}{two}"),
        ] {
            let items = items(printed.as_bytes()).unwrap();
            let heads: Vec<_> = items
                .iter()
                .map(|item| (item.ids.item.as_str(), item.title.as_str()))
                .collect();
            assert_eq!(heads, [("a", "A"), ("b", "B")], "{printed}");
            assert_eq!(items[0].ids.vault, "v");
        }
        assert!(items(b"").unwrap().is_empty());
        for printed in ["{}", "no JSON", r#"{"id":"a""#, "[1]"] {
            assert!(items(printed.as_bytes()).is_err(), "{printed}");
        }
    }

    #[test]
    fn a_request_is_a_list_of_ids() {
        let ids = |item: &str| Ids {
            vault: "v\"".into(),
            item: item.into(),
        };
        let request = request(&[&ids("a"), &ids("b")]);
        let read: serde_json::Value = serde_json::from_slice(&request).unwrap();
        assert_eq!(read[1]["id"], "b");
        assert_eq!(read[0]["vault"]["id"], "v\"");
    }
}
