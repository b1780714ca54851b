use std::time::{Duration, SystemTime};

use locket_core::SecretBytes;
use proptest::prelude::*;

use super::super::{Document, DocumentError, Entry};
use super::{name, now, secret};

fn parse(text: &str) -> Result<Document, DocumentError> {
    Document::parse(text.as_bytes())
}

fn plaintext(document: &Document) -> String {
    let bytes = document.to_plaintext();
    #[expect(clippy::disallowed_methods, reason = "the test looks at the written form")]
    String::from_utf8(bytes.expose().to_vec()).unwrap()
}

#[test]
fn the_plaintext_is_json_that_a_person_can_read() {
    let mut document = Document {
        recipients: vec!["age1example".into()],
        ..Document::default()
    };
    for (key, value) in [("db/password", b"pa\"ss\n".as_slice()), ("key", b"\xff\x00")] {
        let entry = Entry {
            value: secret(value),
            updated: Some(now()),
        };
        document.secrets.insert(name(key), entry);
    }
    assert_eq!(
        plaintext(&document),
        r#"{
  "locket-store": 1,
  "recipients": [
    "age1example"
  ],
  "secrets": {
    "db/password": {
      "value": "pa\"ss\n",
      "updated": "2025-10-09T08:53:20.123Z"
    },
    "key": {
      "base64": "/wA=",
      "updated": "2025-10-09T08:53:20.123Z"
    }
  }
}
"#
    );
}

#[test]
fn a_plaintext_written_by_hand_needs_values_only() {
    let document =
        parse(r#"{"locket-store":1,"secrets":{"a":{"value":"x"},"b":{"base64":"AAE="}}}"#).unwrap();
    assert!(document.recipients.is_empty());
    assert!(document.secrets[&name("a")].value.matches(b"x"));
    assert!(document.secrets[&name("b")].value.matches(b"\x00\x01"));
    assert_eq!(document.secrets[&name("a")].updated, None);
}

#[test]
fn a_later_format_is_said_whatever_its_shape() {
    assert_eq!(
        parse(r#"{"locket-store":2,"chunks":[1,2]}"#).unwrap_err(),
        DocumentError::Format(2)
    );
}

#[test]
fn what_would_lose_a_value_is_refused() {
    let wrong =
        |secrets: &str| parse(&format!(r#"{{"locket-store":1,"secrets":{{{secrets}}}}}"#)).unwrap_err();
    assert!(matches!(
        wrong(r#""a":{"value":"x"},"a":{"value":"y"}"#),
        DocumentError::Twice(_)
    ));
    assert!(matches!(
        wrong(r#""a":{"value":"x","base64":"AA=="}"#),
        DocumentError::Entry { .. }
    ));
    assert!(matches!(wrong(r#""a":{}"#), DocumentError::Entry { .. }));
    assert!(matches!(
        wrong(r#""a":{"value":"x","note":"kept?"}"#),
        DocumentError::Shape { .. }
    ));
    assert!(matches!(wrong(r#""../a":{"value":"x"}"#), DocumentError::Name(_)));
}

#[test]
fn no_error_quotes_a_value() {
    let canary = "canary-1f2e";
    for wrong in [
        r#"{"locket-store":"canary-1f2e"}"#,
        r#"{"locket-store":1,"secrets":"canary-1f2e"}"#,
        r#"{"locket-store":1,"secrets":{"a":"canary-1f2e"}}"#,
        r#"{"locket-store":1,"secrets":{"a":{"value":["canary-1f2e"]}}}"#,
        r#"{"locket-store":1,"secrets":{"a":{"base64":"canary-1f2e"}}}"#,
        r#"{"locket-store":1,"secrets":{"a":{"value":"x","updated":"canary-1f2e"}}}"#,
        r#"{"locket-store":1,"secrets":{"a":{"canary-1f2e":"x"}}}"#,
        r#"{"locket-store":1,"secrets":{"a":{"value":"canary-1f2e"#,
        "canary-1f2e",
    ] {
        let error = parse(wrong).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(canary), "{error}");
    }
    let document = parse(r#"{"locket-store":1,"secrets":{"a":{"value":"canary-1f2e"}}}"#).unwrap();
    assert!(!format!("{document:?}").contains(canary));
    assert!(plaintext(&document).contains(canary), "the search would find it");
}

proptest! {
    #[test]
    fn every_value_comes_back_exactly(values in proptest::collection::btree_map("[a-z]{1,8}(/[A-Z0-9._@+-]{1,8}x)?", (any::<Vec<u8>>(), proptest::option::of(0..4_000_000_000_000_u64)), 0..8), recipients in proptest::collection::vec("\\PC{0,12}", 0..3)) {
        let mut document = Document { recipients, ..Document::default() };
        for (key, (value, updated)) in &values {
            let updated = updated.map(|millis| SystemTime::UNIX_EPOCH + Duration::from_millis(millis));
            let entry = Entry { value: secret(value), updated };
            document.secrets.insert(name(key), entry);
        }
        let again = Document::parse(plaintext(&document).as_bytes()).unwrap();
        prop_assert_eq!(again.secrets, document.secrets);
        prop_assert_eq!(again.recipients, document.recipients);
    }

    #[test]
    fn no_input_panics(bytes in any::<Vec<u8>>(), text in r#"\{"locket-store":1,"secrets":\{("[a-z]{0,3}":\{"(value|base64|updated)":"[A-Za-z=\\\\]{0,6}"\},?)*\}\}?"#) {
        let _ = Document::parse(&bytes);
        let _ = Document::parse(text.as_bytes());
    }
}

#[test]
fn an_empty_value_is_a_value() {
    let mut document = Document::default();
    let entry = Entry {
        value: SecretBytes::new(Vec::new()),
        updated: None,
    };
    document.secrets.insert(name("a"), entry);
    let again = Document::parse(plaintext(&document).as_bytes()).unwrap();
    assert!(again.secrets[&name("a")].value.is_empty());
}
