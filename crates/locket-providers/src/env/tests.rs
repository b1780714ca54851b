use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use locket_core::{Environment, ErrorKind};

use super::KIND;
use crate::Settings;
use crate::file::testing::{build, fetch, reference};

#[test]
fn a_variable_gives_its_exact_bytes_even_empty_ones() {
    let environment = Environment::from_iter([
        ("TEXT", OsString::from("two\nlines ")),
        ("BYTES", OsString::from_vec(b"\xff\xfe".to_vec())),
        ("EMPTY", OsString::new()),
    ]);
    let provider = build(&KIND, &Settings::default(), &environment, Path::new("/"));
    let got = fetch(
        &KIND,
        provider.as_ref(),
        &["env://TEXT", "env://BYTES", "env://EMPTY"],
    );
    assert!(got[0].as_ref().unwrap().value.matches(b"two\nlines "));
    assert!(got[1].as_ref().unwrap().value.matches(b"\xff\xfe"));
    assert!(got[2].as_ref().unwrap().value.is_empty());
}

#[test]
fn an_unset_variable_is_not_found_with_the_nearest_name_and_no_value() {
    let environment = Environment::from_iter([("DB_PASSWORD", "canary-7")]);
    let provider = build(&KIND, &Settings::default(), &environment, Path::new("/"));
    let error = fetch(&KIND, provider.as_ref(), &["env://DB_PASWORD"])
        .remove(0)
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert!(error.hint.as_ref().unwrap().contains("DB_PASSWORD"));
    assert!(!format!("{error:?}{provider:?}").contains("canary"));
}

#[test]
fn a_name_that_no_variable_can_have_is_refused_in_the_reference() {
    for wrong in ["env://A%3DB", "env://A%00", "env://A?stage=x"] {
        assert!((KIND.parse)(&reference(wrong)).is_err(), "{wrong}");
    }
    assert!((KIND.parse)(&reference("env://A?optional")).is_ok());
}

#[test]
fn variables_with_a_prefix_are_keys_and_the_whole_environment_is_none() {
    let environment = Environment::from_iter([
        ("APP_USER", "ann"),
        ("APP_", "x"),
        ("APP_PASS", "p"),
        ("PATH", "/bin"),
    ]);
    let provider = build(&KIND, &Settings::default(), &environment, Path::new("/"));
    let got = fetch(&KIND, provider.as_ref(), &["env://APP_*", "env://NONE_*"]);
    let members = got[0].as_ref().unwrap().members.as_ref().unwrap();
    assert_eq!(members.names().collect::<Vec<_>>(), ["PASS", "USER"]);
    assert!(members.get("PASS").unwrap().value.matches(b"p"));
    assert_eq!(got[1].as_ref().unwrap_err().kind, ErrorKind::NotFound);
    let parse_every = KIND.parse_every.unwrap();
    for wrong in ["env://APP/", "env://A%3DB_", "env://APP_?x=1"] {
        assert!(parse_every(&reference(wrong)).is_err(), "{wrong}");
    }
}
