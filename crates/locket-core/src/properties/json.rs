//! Paths into JSON, beside what `serde_json` itself finds there.

use serde_json::Value;

use crate::filter::FilterError;
use crate::{SecretBytes, json_path as subject};

/// A path, NUL, and a JSON text.
pub fn json_path(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let (Some(path), Some(json)) = (parts.next(), parts.next()) else {
        return;
    };
    let Ok(path) = std::str::from_utf8(path) else {
        return;
    };
    let selected = subject::select(json, path);
    if let Err(error) = &selected {
        tells_nothing(error, path, json);
    }
    // It refuses more: numbers that no float holds, names that are no text.
    let Ok(document) = serde_json::from_slice::<Value>(json) else {
        return;
    };
    let expected = if path.is_empty() || path.starts_with('/') {
        document.pointer(path)
    } else if path.contains('\\') {
        return;
    } else {
        path.split('.').try_fold(&document, |value, step| {
            let step = step.replace('~', "~0").replace('/', "~1");
            value.pointer(&format!("/{step}"))
        })
    };
    match (expected, selected) {
        (None | Some(Value::Null), Err(FilterError::NoSuchPart(_))) => {}
        (Some(expected), Ok(selected)) => {
            assert!(is(&selected, expected), "`{path}` leads to something else");
        }
        (expected, selected) => {
            unreachable!("`{path}` leads to {selected:?}, and serde_json finds {expected:?}")
        }
    }
}

/// Whether the bytes stand for this value.
fn is(selected: &SecretBytes, expected: &Value) -> bool {
    #[expect(clippy::disallowed_methods, reason = "the fuzzer's own bytes are compared")]
    let bytes = selected.expose();
    match expected {
        Value::String(text) => text.as_bytes() == bytes,
        other => serde_json::from_slice::<Value>(bytes).is_ok_and(|value| value == *other),
    }
}

/// No word of the value stands in the error. The path is the user's own and may.
fn tells_nothing(error: &FilterError, path: &str, json: &[u8]) {
    const WORD: usize = 8;
    let shown = error.to_string();
    let json = String::from_utf8_lossy(json);
    let words = json.split(|char: char| !char.is_ascii_alphanumeric());
    let own = ["character", "surrogate", "position"];
    for word in words.filter(|word| word.len() >= WORD && !own.contains(word)) {
        assert!(
            !shown.contains(word) || path.contains(word),
            "{shown:?} tells {word:?}"
        );
    }
}
