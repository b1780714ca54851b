use proptest::prelude::*;

use super::*;

const DOCUMENT: &[u8] = br#"
{
  "user": "ann",
  "a.b": {"c\\d": "dotted", "~x/y": "tilde"},
  "list": [ {"n": 1.50}, [true, null], "two" ],
  "big": 123456789012345678901234567890.10e+05,
  "text": "tab\t quote\" slash\/ back\\ \u00e9 \ud83d\ude00 \u0000end",
  "": "empty name",
  "0": "a digit",
  "twice": "first", "twice": "last",
  "b\u0061r": "escaped name",
  "nothing": null
}"#;

#[track_caller]
fn selects(path: &str, expected: &str) {
    let selected = select(DOCUMENT, path).unwrap();
    assert!(
        selected.matches(expected.as_bytes()),
        "`{path}` selects something else"
    );
}

#[track_caller]
fn has_no(path: &str, reason: &str) {
    assert_eq!(
        select(DOCUMENT, path),
        Err(FilterError::NoSuchPart(reason.into()))
    );
}

#[test]
fn dotted_paths_and_pointers_reach_the_same_parts() {
    for path in ["user", "/user"] {
        selects(path, "ann");
    }
    for path in ["list.0.n", "/list/0/n"] {
        selects(path, "1.50");
    }
    for path in [r"a\.b.c\\d", r"/a.b/c\d"] {
        selects(path, "dotted");
    }
    for path in ["0", "/0"] {
        selects(path, "a digit");
    }
    for path in ["bar", "/bar"] {
        selects(path, "escaped name");
    }
    selects("/a.b/~0x~1y", "tilde");
    selects("/", "empty name");
}

#[test]
fn numbers_keep_every_digit() {
    selects("big", "123456789012345678901234567890.10e+05");
}

#[test]
fn strings_come_unescaped() {
    selects("text", "tab\t quote\" slash/ back\\ \u{e9} \u{1f600} \0end");
}

#[test]
fn objects_and_lists_come_compact_in_their_own_order() {
    selects("list", r#"[{"n":1.50},[true,null],"two"]"#);
    let spaced = br#" { "z" : "a \" b" , "a" : [ 1 , 2.0 ] } "#;
    assert!(
        select(spaced, "")
            .unwrap()
            .matches(br#"{"z":"a \" b","a":[1,2.0]}"#)
    );
}

#[test]
fn the_empty_path_is_the_whole_value() {
    assert!(select(br#" "quoted\n" "#, "").unwrap().matches(b"quoted\n"));
    assert!(select(b"42", "").unwrap().matches(b"42"));
}

#[test]
fn of_two_members_with_one_name_the_last_counts() {
    selects("twice", "last");
}

#[test]
fn a_missing_part_is_told_apart_from_a_bad_value() {
    has_no("absent", "the JSON value has no member `absent`");
    has_no("list.9", "`list` in `list.9` has no element 9");
    has_no("list.-", "`list` in `list.-` is a list, and `-` is not an index");
    has_no(
        "list.00",
        "`list` in `list.00` is a list, and `00` is not an index",
    );
    has_no(
        "list.99999999999999999999",
        "`list` in `list.99999999999999999999` is a list, and `99999999999999999999` is not an index",
    );
    has_no(
        "user.name",
        "`user` in `user.name` is a string, and has no member `name`",
    );
    has_no(
        "list.1.0.x",
        "`0` in `list.1.0.x` is a boolean, and has no member `x`",
    );
}

#[test]
fn null_is_no_value() {
    has_no("nothing", "the JSON value at `nothing` is null");
    has_no("list.1.1", "the JSON value at `list.1.1` is null");
}

#[test]
fn what_is_not_json_is_refused_with_its_place_and_without_its_text() {
    for (text, place) in [
        (&b"hunter2-canary"[..], "line 1, column 1"),
        (b"{\"a\":\n  hunter2-canary}", "line 2, column 3"),
        (b"{} hunter2-canary", "line 1, column 4"),
        (b"", "line 1, column 0"),
        (b"{\"a\": \"hunter2-canary\xff\"}", "line 1, column 22"),
    ] {
        let error = select(text, "a").unwrap_err();
        assert!(matches!(error, FilterError::Value(_)), "{error}");
        assert_eq!(error.to_string(), format!("the value is not JSON ({place})"));
    }
}

#[test]
fn half_a_surrogate_pair_is_refused() {
    for text in [
        r#"{"a": "\ud800"}"#,
        r#"{"a": "\ud800x"}"#,
        r#"{"a": "\ud800\u0041"}"#,
        r#"{"a": "\udc00"}"#,
    ] {
        assert_eq!(
            select(text.as_bytes(), "a"),
            Err(FilterError::Value(
                "the JSON string at `a` is not a Unicode string".into()
            ))
        );
    }
    assert_eq!(
        select(br#"{"\ud800": 1, "a": 2}"#, "a"),
        Err(FilterError::Value(
            "the JSON value has a name that is not a Unicode string".into()
        ))
    );
}

#[test]
fn a_document_nested_deeper_than_any_stack_is_read() {
    let deep = format!("{{\"a\":1,\"b\":{}{}}}", "[".repeat(200_000), "]".repeat(200_000));
    assert!(select(deep.as_bytes(), "a").unwrap().matches(b"1"));
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::btree_map(any::<String>(), inner, 0..4)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Every pointer into `value` with what it points at.
fn pointers<'a>(prefix: &str, value: &'a serde_json::Value, out: &mut Vec<(String, &'a serde_json::Value)>) {
    out.push((prefix.to_owned(), value));
    match value {
        serde_json::Value::Object(members) => {
            for (name, member) in members {
                let step = name.replace('~', "~0").replace('/', "~1");
                pointers(&format!("{prefix}/{step}"), member, out);
            }
        }
        serde_json::Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                pointers(&format!("{prefix}/{index}"), item, out);
            }
        }
        _ => {}
    }
}

proptest! {
    #[test]
    fn every_part_is_reached_by_its_pointer(value in json(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        let mut all = Vec::new();
        pointers("", &value, &mut all);
        for (pointer, part) in all {
            let selected = select(text.as_bytes(), &pointer).unwrap();
            let expected = match part {
                serde_json::Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            prop_assert!(selected.matches(expected.as_bytes()), "{pointer}");
        }
    }

    #[test]
    fn no_bytes_and_no_path_make_it_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..64), path in any::<String>()
    ) {
        let _ = select(&bytes, &path);
    }
}
