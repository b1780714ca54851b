//! What each filter promises.

mod hash;
mod otp;
mod quote;
mod text;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Argument, Filter, FilterCall, FilterCx, FilterError, HashMemo};
use crate::{SecretBytes, Span};

/// The filter that `call` names: `replace a b`, its arguments between spaces.
fn filter(name: &str, arguments: &[&str]) -> Filter {
    let argument = |text: &str| Argument {
        text: text.to_owned(),
        span: Span::default(),
    };
    let arguments: Vec<_> = arguments.iter().copied().map(argument).collect();
    Filter::parse(&argument(name), &arguments).unwrap()
}

fn apply(filter: &Filter, value: &[u8]) -> Result<SecretBytes, FilterError> {
    filter.apply(
        &SecretBytes::copy_from(value),
        &mut FilterCx {
            now: at(0),
            present: None,
            behind: &[],
            memo: &mut HashMemo::default(),
            valid_until: None,
        },
    )
}

/// What the filter makes of `value`, in the open: tests compare and read it back.
fn open(filter: &Filter, value: &[u8]) -> Vec<u8> {
    let result = apply(filter, value).unwrap_or_else(|error| panic!("{filter:?}: {error}"));
    #[expect(clippy::disallowed_methods, reason = "test values are no secrets")]
    result.expose().to_vec()
}

#[track_caller]
fn gives(name: &str, arguments: &[&str], value: impl AsRef<[u8]>, expected: impl AsRef<[u8]>) {
    let (result, expected) = (open(&filter(name, arguments), value.as_ref()), expected.as_ref());
    assert_eq!(
        result,
        expected,
        "{:?} instead of {:?}",
        String::from_utf8_lossy(&result),
        String::from_utf8_lossy(expected)
    );
}

#[track_caller]
fn refuses(name: &str, arguments: &[&str], value: impl AsRef<[u8]>, reason: &str) {
    let error = apply(&filter(name, arguments), value.as_ref()).unwrap_err();
    assert_eq!(error, FilterError::Value(reason.into()));
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

#[test]
fn an_unknown_filter_names_the_nearest() {
    let name = Argument {
        text: "bas64".into(),
        span: Span::new(3, 8),
    };
    let diagnostic = Filter::parse(&name, &[]).unwrap_err();
    assert_eq!(diagnostic.span, Span::new(3, 8));
    assert_eq!(diagnostic.message, "there is no filter `bas64`");
    assert_eq!(diagnostic.help.as_deref(), Some("Did you mean `base64`?"));
}

#[test]
fn a_bad_argument_is_shown_at_its_place() {
    let word = |text: &str, start: usize| Argument {
        text: text.into(),
        span: Span::new(start, start + text.len()),
    };
    for (name, arguments, place, message) in [
        (
            "trim",
            vec![word("x", 5), word("yy", 7)],
            5..9,
            "`trim` takes no argument",
        ),
        ("lines", vec![], 0..5, "`lines` takes one argument"),
        (
            "lines",
            vec![word("-1", 6)],
            6..8,
            "`-1` is not a number of lines or spaces",
        ),
        (
            "indent",
            vec![word("100001", 7)],
            7..13,
            "`100001` is not a number of lines or spaces",
        ),
        (
            "replace",
            vec![word("", 9), word("x", 10)],
            9..9,
            "`replace` cannot look for nothing",
        ),
        (
            "htpasswd",
            vec![word("a:b", 9)],
            9..12,
            "this cannot be a user name in an htpasswd file",
        ),
        (
            "pem",
            vec![word("-----BEGIN X-----", 4)],
            4..21,
            "this is not the label of a PEM block",
        ),
    ] {
        let diagnostic = Filter::parse(&word(name, 0), &arguments).unwrap_err();
        assert_eq!(
            (diagnostic.message.as_str(), diagnostic.span),
            (message, Span::from(place)),
            "{name}"
        );
        assert!(diagnostic.help.is_some(), "{name} says what to do");
    }
}

#[test]
fn every_row_of_the_table_can_be_called_as_its_usage_shows() {
    for kind in super::FILTERS {
        let arguments: Vec<_> = kind
            .arguments
            .iter()
            .map(|shown| if *shown == "N" { "2" } else { "x" })
            .collect();
        filter(kind.name, &arguments);
        assert!(!kind.summary.ends_with('.') && kind.usage().starts_with(kind.name));
    }
}
