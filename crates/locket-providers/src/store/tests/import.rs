use locket_core::ErrorKind;
use proptest::prelude::*;

use super::super::{ExportFormat, ImportError, ImportFormat, OnConflict, Store};
use super::{filled, name, now, secret, store};

/// What `text` holds, as text.
fn read(store: &Store, text: &[u8]) -> Result<Vec<(String, String)>, String> {
    match store.read_import(text, None) {
        Ok(secrets) => Ok(secrets
            .into_iter()
            .map(|(name, value)| {
                #[expect(clippy::disallowed_methods, reason = "the test compares whole values")]
                let text = String::from_utf8_lossy(value.expose()).into_owned();
                (name.to_string(), text)
            })
            .collect()),
        Err(ImportError::Sealed(error)) => Err(error.to_string()),
        Err(ImportError::Problems(problems)) => Err(problems
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")),
    }
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()))
        .collect()
}

#[test]
fn an_env_file_is_read_as_compose_reads_it() {
    let dir = tempfile::tempdir().unwrap();
    let text = br#"
# a comment
PLAIN=value with spaces   # and a comment
 export EXPORTED = x#y
EMPTY=
SINGLE='$HOME "as is" \n'
DOUBLE="a\tb\n\"c\" \$d \q" # comment
MULTI="one
two"
PEM='-----BEGIN-----
abc
-----END-----'
DOLLAR=costs 5$
LAST=no newline"#;
    assert_eq!(
        read(&store(dir.path()), text).unwrap(),
        pairs(&[
            ("PLAIN", "value with spaces"),
            ("EXPORTED", "x#y"),
            ("EMPTY", ""),
            ("SINGLE", "$HOME \"as is\" \\n"),
            ("DOUBLE", "a\tb\n\"c\" $d \\q"),
            ("MULTI", "one\ntwo"),
            ("PEM", "-----BEGIN-----\nabc\n-----END-----"),
            ("DOLLAR", "costs 5$"),
            ("LAST", "no newline"),
        ])
    );
}

#[test]
fn every_line_of_an_env_file_that_would_lose_something_is_named_without_its_value() {
    let dir = tempfile::tempdir().unwrap();
    let text = b"A=canary$NAME\nB=\"canary${x}\"\nno equals canary\nC='x' canary\nD=ok\n\nE='canary";
    let error = read(&store(dir.path()), text).unwrap_err();
    let lines: Vec<_> = error
        .lines()
        .map(|line| line.split(':').next().unwrap())
        .collect();
    assert_eq!(lines, ["line 1", "line 2", "line 3", "line 4", "line 7"]);
    assert!(!error.contains("canary"));
    let error = read(&store(dir.path()), b"A=1\nA=2\nB C=3\n").unwrap_err();
    assert!(error.contains("`A`: the name is given twice") && error.contains("`B C`"));
}

#[test]
fn json_groups_become_names_with_slashes_and_numbers_keep_their_text() {
    let dir = tempfile::tempdir().unwrap();
    let text = br#"{"db": {"user": "u", "port": 5432, "tls": {"on": true}}, "pi": 3.10, "list": [1, 2],
        "bin": {"base64": "aGk="}, "group": {"base64": "aGk=", "x": "y"}, "quote": "\"\u00fc"}"#;
    assert_eq!(
        read(&store(dir.path()), text).unwrap(),
        pairs(&[
            ("db/user", "u"),
            ("db/port", "5432"),
            ("db/tls/on", "true"),
            ("pi", "3.10"),
            ("list", "[1, 2]"),
            ("bin", "hi"),
            ("group/base64", "aGk="),
            ("group/x", "y"),
            ("quote", "\"ü"),
        ])
    );
}

#[test]
fn json_that_would_lose_something_is_named_without_its_values() {
    let dir = tempfile::tempdir().unwrap();
    let error = read(
        &store(dir.path()),
        br#"{"a": null, "b c": "canary", "d": {"base64": "canary!"}}"#,
    )
    .unwrap_err();
    assert!(error.contains("`a`: ") && error.contains("`d`: "), "{error}");
    let error = read(&store(dir.path()), br#"{"x":"1","b c":"canary","x":"2"}"#).unwrap_err();
    assert!(
        error.contains("`b c`: ") && error.contains("`x`: the name is given twice"),
        "{error}"
    );
    let error = read(&store(dir.path()), br#"{"a": "canary" "b"}"#).unwrap_err();
    assert!(error.contains("line 1") && !error.contains("canary"), "{error}");
    let deep = format!("{}1{}", r#"{"":"#.repeat(5000), "}".repeat(5000));
    assert!(read(&store(dir.path()), deep.as_bytes()).is_err());
}

#[test]
fn an_age_file_is_opened_first_and_another_store_is_read_whole() {
    let dir = tempfile::tempdir().unwrap();
    let target = filled(dir.path(), &[("a", b"1"), ("b", b"\xff")]);
    let keys = target.identity().read().ok().unwrap().0;
    let sealed = super::super::seal::seal(b"A=sealed\n", &[keys.own()]).unwrap();
    assert_eq!(read(&target, &sealed).unwrap(), pairs(&[("A", "sealed")]));
    let other = std::fs::read(target.path()).unwrap();
    assert_eq!(target.read_import(&other, None).unwrap().len(), 2);
    let foreign = super::super::keys::Identities::generate().own();
    let sealed = super::super::seal::seal(b"A=1\n", &[foreign]).unwrap();
    assert!(
        read(&target, &sealed)
            .unwrap_err()
            .contains("not encrypted to this identity")
    );
}

#[test]
fn a_conflict_imports_nothing_unless_it_is_settled() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path(), &[("a", b"old"), ("same", b"s")]);
    let secrets = || {
        vec![
            (name("a"), secret(b"new")),
            (name("b"), secret(b"b")),
            (name("same"), secret(b"s")),
        ]
    };
    let error = store.import(secrets(), OnConflict::Refuse, now()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(error.context.ends_with("other values of a"));
    assert_eq!(store.list().unwrap().len(), 2);

    let kept = store.import(secrets(), OnConflict::Keep, now()).unwrap();
    assert_eq!(
        (kept.kept, kept.added, kept.unchanged),
        (vec![name("a")], vec![name("b")], vec![name("same")])
    );
    assert!(store.get(&name("a")).unwrap().matches(b"old"));

    let replaced = store.import(secrets(), OnConflict::Replace, now()).unwrap();
    assert_eq!(replaced.replaced, [name("a")]);
    assert!(store.get(&name("a")).unwrap().matches(b"new"));
}

#[test]
fn an_export_to_json_comes_back_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path(), &[("a/b", b"x\ny"), ("bin", b"\xff\x00"), ("c", b"")]);
    let exported = store.export(ExportFormat::Json).unwrap();
    #[expect(clippy::disallowed_methods, reason = "the test reads the export")]
    let secrets = store
        .read_import(exported.expose(), Some(ImportFormat::Json))
        .unwrap();
    let imported = store.import(secrets, OnConflict::Refuse, now()).unwrap();
    assert_eq!(imported.unchanged.len(), 3);
}

#[test]
fn what_an_env_file_cannot_hold_is_named_and_nothing_is_put_out() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path(), &[("A", b"fits"), ("a/b", b"x"), ("BIN", b"\xff")]);
    let error = store.export(ExportFormat::Dotenv).unwrap_err();
    assert!(
        error.context.contains("`a/b`") && error.context.contains("`BIN`") && !error.context.contains("`A`")
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_import_panics(bytes in any::<Vec<u8>>(), text in "[A-C= '\"\\\\$#\n{}\\[\\]:,n0]{0,40}") {
        let dir = std::path::Path::new("/nonexistent");
        for format in [None, Some(ImportFormat::Json), Some(ImportFormat::Dotenv)] {
            let _ = store(dir).read_import(&bytes, format);
            let _ = store(dir).read_import(text.as_bytes(), format);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn an_export_to_an_env_file_comes_back_the_same(value in "[a-c$'\"\\\\ \n\r\t#=`{}ü]{0,12}") {
        let dir = tempfile::tempdir().unwrap();
        let store = filled(dir.path(), &[("A", value.as_bytes()), ("B", b"next")]);
        // A value that the format cannot hold is refused by name; any other comes back.
        if let Ok(exported) = store.export(ExportFormat::Dotenv) {
            #[expect(clippy::disallowed_methods, reason = "the test reads the export")]
            let secrets = store.read_import(exported.expose(), Some(ImportFormat::Dotenv)).unwrap();
            prop_assert!(secrets[0].1.matches(value.as_bytes()), "{:?}", value);
            prop_assert_eq!(secrets.len(), 2);
        }
    }
}
