//! Every mistake is told at its place, and nothing that is meant as a reference passes as text.

use super::*;

/// What is wrong with `source`, each with what its caret stands under.
fn wrong(source: impl AsRef<[u8]>) -> Vec<(String, String)> {
    let source = source.as_ref();
    let found = parse(source).expect_err(&String::from_utf8_lossy(source));
    assert!(found.is_sorted_by_key(|diagnostic| diagnostic.span));
    let shown = |diagnostic: Diagnostic| {
        assert!(diagnostic.help.is_some(), "{diagnostic:?} says what to do");
        (
            diagnostic.message,
            String::from_utf8_lossy(diagnostic.span.of(source)).into_owned(),
        )
    };
    found.into_iter().map(shown).collect()
}

#[track_caller]
fn refuses(source: &str, expected: &[(&str, &str)]) {
    let found = wrong(source);
    let found: Vec<_> = found
        .iter()
        .map(|(message, place)| (message.as_str(), place.as_str()))
        .collect();
    assert_eq!(found, expected, "{source}");
}

#[test]
fn all_mistakes_are_told_at_once_in_order() {
    refuses(
        "{{ opp://v/a }}\n{{ op://v/a | bas64 }} {{ op://v/a | lines x | trim 1 }}\n{{ op:// }} {{ op://v/a }}",
        &[
            ("`opp://` belongs to no provider", "opp"),
            ("there is no filter `bas64`", "bas64"),
            ("`x` is not a number of lines or spaces", "x"),
            ("`trim` takes no argument", "1"),
            ("`op://` names no secret", "op://"),
        ],
    );
}

#[test]
fn a_password_hash_that_could_not_be_found_again_is_refused() {
    let message = "behind this filter a password hash is not found again, and every run would make another";
    for (filters, place) in [
        ("bcrypt | sha256", "sha256"),
        ("bcrypt | base64 | upper", "upper"),
        ("htpasswd \"ann\" | lower", "lower"),
        ("bcrypt | bcrypt", "bcrypt"),
        ("bcrypt | lines 0", "lines 0"),
        ("bcrypt | replace \"a\" \"b\"", "replace \"a\" \"b\""),
        ("bcrypt | replace \"$\" \"\"", "replace \"$\" \"\""),
    ] {
        refuses(&format!("{{{{ op://v/a | {filters} }}}}"), &[(message, place)]);
    }
    for filters in [
        "sha256 | bcrypt | base64",
        "bcrypt | replace \"$\" \"$$\" | indent 2",
    ] {
        assert!(
            parse(format!("{{{{ op://v/a | {filters} }}}}")).is_ok(),
            "{filters}"
        );
    }
}

#[test]
fn a_reference_that_is_never_closed_is_an_error() {
    for (source, place) in [
        ("a {{ op://v/a \nb }}", "{{ op://v/a"),
        ("{{ op://v/a } {{ op://v/b }}", "{{ op://v/a }"),
        ("{{ op://v/a", "{{ op://v/a"),
        ("{{ \"op://v/a }}\n\"x\" }}", "{{ \"op://v/a }}"),
        ("{{ op://v/\"a }}", "{{ op://v/\"a }}"),
        ("{{ op://v/a | base64 \n\n", "{{ op://v/a | base64"),
        ("{{ op://v/a | base64 {{ op://v/a }}", "{{ op://v/a | base64 "),
    ] {
        refuses(source, &[("this tag is never closed", place)]);
    }
    refuses(
        "{{ op://v/a | default \"x }}\n\"",
        &[("this quote is never closed", "\"")],
    );
    refuses(
        "{{ op://v/a | bad | default \"x\\",
        &[
            ("there is no filter `bad`", "bad"),
            ("this quote is never closed", "\""),
        ],
    );
}

#[test]
fn bars_and_filters_stand_in_order() {
    refuses("{{ op://v/a | }}", &[("no filter stands behind this `|`", "|")]);
    refuses(
        "{{ op://v/a || trim }}",
        &[("no filter stands behind this `|`", "|")],
    );
    refuses(
        "{{ op://v/a | \"trim\" }}",
        &[("a filter's name is not quoted", "\"trim\"")],
    );
}

#[test]
fn what_is_no_text_cannot_be_a_reference_or_argument() {
    assert_eq!(
        wrong(b"{{ op://v/b\xfc }}"),
        [(
            "this reference is not UTF-8 text".to_owned(),
            " op://v/b\u{fffd} ".to_owned()
        )]
    );
    for source in [
        &b"{{ op://v/a | default \"\xfc\" }}"[..],
        b"{{ op://v/a | default \xfc }}",
    ] {
        assert_eq!(wrong(source)[0].0, "this is not UTF-8 text");
    }
    becomes(b"{{ \xfc }}", b"{{ \xfc }}");
}

#[test]
fn references_are_neither_nested_nor_endless() {
    refuses(
        "op://{{ env://V }}/a",
        &[("a tag cannot stand inside of a reference", "{{")],
    );
    refuses(
        "{{ op://{{ env://V }}/a }}",
        &[("this tag is never closed", "{{ op://")],
    );
    let long = format!("{{{{ op://v/{} }}}}", "x".repeat(5000));
    assert_eq!(wrong(&long)[0].0, "this reference is longer than 4096 bytes");
}

#[test]
fn a_slip_in_every_line_is_told_a_hundred_times() {
    assert_eq!(wrong("{{ opp://v/a }}\n".repeat(5000)).len(), 100);
}

#[test]
fn very_many_warnings_hide_no_tag() {
    let source = "\\{{ op://v/a }}\n".repeat(5000) + "{{ op://v/a }}";
    let template = template(&source);
    assert_eq!((template.warnings().len(), template.references().len()), (100, 1));
}
