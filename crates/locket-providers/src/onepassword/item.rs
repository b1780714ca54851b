//! An item as Connect and the `op` program describe it in JSON.
//!
//! Shapes: <https://github.com/1Password/connect/blob/main/docs/openapi/spec.yaml>. Values stay in the body they came
//! in, undecoded, until one of them is asked for.

use locket_core::{SecretBuilder, SecretBytes};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// `FullItem`: everything in one item but the contents of its files.
#[derive(Deserialize)]
pub(crate) struct Item<'a> {
    /// Counts up with every change of the item.
    pub(crate) version: Option<u64>,
    #[serde(default, deserialize_with = "nullable")]
    pub(crate) sections: Vec<Section>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub(crate) fields: Vec<Field<'a>>,
    #[serde(default, deserialize_with = "nullable")]
    pub(crate) files: Vec<File>,
}

/// Whether an item is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum ItemState {
    /// Put away: still readable by its id, no longer found by its title.
    Archived,
    /// In the trash.
    Deleted,
    /// In use; also every word that the specification does not have.
    #[default]
    #[serde(other)]
    Active,
}

/// One section of an item.
#[derive(Debug, Deserialize)]
pub(crate) struct Section {
    #[serde(default)]
    pub(crate) id: String,
    #[serde(default, deserialize_with = "nullable")]
    pub(crate) label: String,
}

/// One field of an item.
#[derive(Deserialize)]
pub(crate) struct Field<'a> {
    #[serde(default)]
    pub(crate) id: String,
    #[serde(default, deserialize_with = "nullable")]
    pub(crate) label: String,
    /// `STRING`, `CONCEALED`, `OTP`, `SSHKEY`, …
    #[serde(rename = "type", default, deserialize_with = "nullable")]
    pub(crate) kind: String,
    #[serde(default, deserialize_with = "nullable")]
    pub(crate) purpose: String,
    pub(crate) section: Option<Section>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
    /// The current code of an `OTP` field, computed by the server.
    #[serde(borrow)]
    totp: Option<&'a RawValue>,
    /// The key of an `SSHKEY` field in other formats, where the source offers them.
    #[serde(borrow, alias = "sshFormats")]
    ssh_formats: Option<SshFormats<'a>>,
}

#[derive(Deserialize)]
struct SshFormats<'a> {
    #[serde(borrow)]
    openssh: Option<SshFormat<'a>>,
}

#[derive(Deserialize)]
struct SshFormat<'a> {
    #[serde(borrow)]
    value: Option<&'a RawValue>,
}

/// One file attached to an item; its content is another request.
#[derive(Debug, Deserialize)]
pub(crate) struct File {
    pub(crate) id: String,
    #[serde(default, deserialize_with = "nullable")]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) size: u64,
    pub(crate) section: Option<Section>,
}

/// `Item`: what lists hold of an item, and what a full item begins with.
#[derive(Debug, Deserialize)]
pub(crate) struct ItemSummary {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) title: String,
    #[serde(default, deserialize_with = "nullable")]
    pub(crate) state: ItemState,
}

/// One vault in a list.
#[derive(Debug, Deserialize)]
pub(crate) struct Vault {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) name: String,
}

/// What a body that is not the protocol's is answered with. Says nothing of its content.
#[derive(Debug)]
pub(crate) struct Malformed;

impl<'a> Field<'a> {
    /// A field without a value.
    pub(crate) fn new(
        id: String,
        label: String,
        kind: &'static str,
        purpose: &'static str,
        section: Option<Section>,
    ) -> Self {
        Self {
            id,
            label,
            kind: kind.to_owned(),
            purpose: purpose.to_owned(),
            section,
            value: None,
            totp: None,
            ssh_formats: None,
        }
    }

    /// The same with a value, and the code that the source computed.
    pub(crate) fn valued(self, value: Option<&'a RawValue>, totp: Option<&'a RawValue>) -> Self {
        Self { value, totp, ..self }
    }
}

impl Field<'_> {
    /// The value; empty when the field has none.
    pub(crate) fn value(&self) -> Result<SecretBytes, Malformed> {
        self.value.map_or_else(|| Ok(SecretBytes::copy_from(b"")), plain)
    }

    /// Whether the field holds something.
    pub(crate) fn has_value(&self) -> bool {
        self.value
            .is_some_and(|raw| !matches!(raw.get(), "null" | "\"\""))
    }

    /// The code that the server computed, where it gave one.
    pub(crate) fn server_code(&self) -> Option<Result<SecretBytes, Malformed>> {
        self.totp
            .filter(|raw| !matches!(raw.get(), "null" | "\"\""))
            .map(plain)
    }

    /// The private key in OpenSSH's format, where the source gave it ready.
    pub(crate) fn ready_openssh(&self) -> Option<Result<SecretBytes, Malformed>> {
        self.ssh_formats.as_ref()?.openssh.as_ref()?.value.map(plain)
    }
}

/// A JSON string unescaped; numbers and booleans keep their text.
fn plain(raw: &RawValue) -> Result<SecretBytes, Malformed> {
    let text = raw.get();
    if !text.starts_with('"') {
        return Ok(SecretBytes::copy_from(if text == "null" {
            b""
        } else {
            text.as_bytes()
        }));
    }
    let inner = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .ok_or(Malformed)?;
    let mut unescaped = SecretBuilder::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.find('\\') {
        unescaped.extend(&rest.as_bytes()[..at]);
        let length = escape_length(&rest[at..]).ok_or(Malformed)?;
        let (escape, after) = rest[at..].split_at_checked(length).ok_or(Malformed)?;
        let mut quoted = [b'"'; 14];
        quoted[1..=length].copy_from_slice(escape.as_bytes());
        // One escape at a time, so that the parser's own buffer never sees the value.
        let char: char = serde_json::from_slice(&quoted[..length + 2]).map_err(|_| Malformed)?;
        unescaped.extend(char.encode_utf8(&mut [0; 4]).as_bytes());
        rest = after;
    }
    unescaped.extend(rest.as_bytes());
    Ok(unescaped.finish())
}

/// Bytes of the escape that `text` starts with: `\n` has 2, `\u00e9` 6, a surrogate pair 12.
fn escape_length(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    match bytes.get(1)? {
        b'u' => {
            let unit = u16::from_str_radix(text.get(2..6)?, 16).ok()?;
            Some(if (0xD800..0xDC00).contains(&unit) { 12 } else { 6 })
        }
        _ => Some(2),
    }
}

/// `null` where a list or text belongs counts as left out.
fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(json: &str) -> SecretBytes {
        let body = format!(r#"{{"id":"i","fields":[{{"id":"f","value":{json}}}]}}"#);
        let item: Item<'_> = serde_json::from_str(&body).unwrap();
        item.fields[0].value().unwrap()
    }

    #[test]
    fn values_lose_their_escapes_and_nothing_else() {
        assert!(value(r#""plain ä""#).matches("plain ä".as_bytes()));
        assert!(value(r#""a\"b\\c\/d\ne\tf""#).matches(b"a\"b\\c/d\ne\tf"));
        assert!(value(r#""\u00e9 \ud83d\ude00 \u0000end""#).matches("é \u{1F600} \0end".as_bytes()));
        assert!(value("12.50").matches(b"12.50"));
        assert!(value("true").matches(b"true"));
        assert!(value("null").matches(b""));
        assert!(value(r#""""#).matches(b""));
    }

    #[test]
    fn a_broken_escape_is_no_value() {
        for json in [r#""\ud83d""#, r#""\ud83d\u0041""#, r#""x\udc00""#] {
            let body = format!(r#"{{"fields":[{{"id":"f","value":{json}}}]}}"#);
            if let Ok(item) = serde_json::from_str::<Item<'_>>(&body) {
                assert!(item.fields[0].value().is_err(), "{json}");
            }
        }
    }

    #[test]
    fn nulls_and_unknown_words_count_as_left_out() {
        let item: Item<'_> =
            serde_json::from_str(r#"{"fields":null,"files":null,"sections":null,"more":{}}"#).unwrap();
        assert_eq!((item.fields.len(), item.version), (0, None));
        let state = |json: &str| serde_json::from_str::<ItemSummary>(json).unwrap().state;
        assert_eq!(state(r#"{"id":"i","state":"NEW"}"#), ItemState::Active);
        assert_eq!(state(r#"{"id":"i","state":null}"#), ItemState::Active);
        assert_eq!(state(r#"{"id":"i","state":"ARCHIVED"}"#), ItemState::Archived);
    }
}
