//! From resolutions to bytes: filters, defaults, optional references, one-time codes, failures.

use super::*;
use crate::ErrorKind;
use crate::provider::Derive;

/// What became of `source` when `op://v/x` resolved to `resolution`.
fn render(source: &str, resolution: Resolution) -> Result<Vec<u8>, Vec<Problem>> {
    let template = template(source);
    let name = template.references()[0].to_string();
    render_with(&template, &[(&name, resolution)])
        .map(|rendered| open(&rendered))
        .map_err(|errors| errors.into_iter().map(|error| error.problem).collect())
}

#[track_caller]
fn gives(source: &str, resolution: Resolution, expected: &str) {
    let output = render(source, resolution).unwrap_or_else(|problems| panic!("{source}: {problems:?}"));
    assert_eq!(String::from_utf8_lossy(&output), expected, "{source}");
}

fn missing() -> Resolution {
    failed(ProviderError::not_found("no such secret"))
}

#[test]
fn default_stands_in_for_what_does_not_exist() {
    gives("-{{ op://v/x | default \"d\" }}", missing(), "-d");
    gives("-{{ op://v/x | upper | default \"d\" | hex }}", missing(), "-64");
    gives(
        "-{{ op://v/x | default \"{}\" | json \"a\" | default \"e\" }}",
        missing(),
        "-e",
    );
    gives("-{{ op://v/x#a.c | default \"d\" }}", value(r#"{"a":{}}"#), "-d");
    gives(
        "-{{ op://v/x | json \"c\" | default \"d\" }}",
        value(r#"{"a":{}}"#),
        "-d",
    );
    gives(
        "-{{ op://v/x | pem \"KEY\" | default \"d\" }}",
        value("no key"),
        "-d",
    );
}

#[test]
fn default_leaves_a_value_alone_even_an_empty_one() {
    gives("-{{ op://v/x | default \"d\" }}", value("v"), "-v");
    gives("-{{ op://v/x | default \"d\" }}", value(""), "-");
}

#[test]
fn default_hides_no_other_failure() {
    for kind in [
        ErrorKind::Denied,
        ErrorKind::Auth,
        ErrorKind::RateLimited { retry_after: None },
        ErrorKind::Unavailable,
        ErrorKind::Invalid,
    ] {
        let error = ProviderError::new(kind, "no");
        for source in [
            "{{ op://v/x | default \"d\" }}",
            "{{ op://v/x?optional }}",
            "{{ op://v/x?optional | default \"d\" }}",
        ] {
            let problems = render(source, failed(error.clone())).unwrap_err();
            assert_eq!(
                problems,
                [Problem::Unresolved(Arc::new(error.clone()))],
                "{source}"
            );
        }
    }
    let problems = render("{{ op://v/x#a | default \"d\" }}", value("not json")).unwrap_err();
    assert!(matches!(&problems[..], [Problem::Unsuitable(_)]), "{problems:?}");
    let problems = render("{{ op://v/x | default \"d\" | json \"a\" }}", value("{}")).unwrap_err();
    assert!(
        matches!(&problems[..], [Problem::Unsuitable(_)]),
        "a default before the missing part is of no use"
    );
}

#[test]
fn an_optional_secret_that_does_not_exist_is_empty() {
    for resolution in [missing(), value("")] {
        for (source, expected) in [
            ("-{{ op://v/x?optional }}-", "--"),
            ("-{{ op://v/x?optional#a.b }}-", "--"),
            ("-{{ op://v/x?optional | json-string }}-", "-\"\"-"),
            ("-{{ op://v/x?optional | trim | base64 }}-", "--"),
        ] {
            gives(source, resolution.clone(), expected);
        }
    }
    gives("-{{ op://v/x?optional#a }}-", value("{}"), "--");
    gives("-{{ op://v/x?optional | default \"d\" }}-", missing(), "-d-");
    gives("-{{ op://v/x?optional | default \"d\" }}-", value(""), "--");
    gives("-{{ op://v/x?optional | json-string }}-", value("v"), "-\"v\"-");
}

#[test]
fn nothing_has_no_digest_code_part_or_password_hash() {
    for filter in [
        "sha256",
        "totp",
        "json \"a\"",
        "pem \"KEY\"",
        "bcrypt",
        "htpasswd \"ann\"",
    ] {
        for resolution in [missing(), value("")] {
            gives(
                &format!("-{{{{ op://v/x?optional | {filter} }}}}-"),
                resolution,
                "--",
            );
        }
    }
    let problems = render("{{ op://v/x?optional | json \"b\" }}", value("{}")).unwrap_err();
    assert!(
        matches!(&problems[..], [Problem::Unsuitable(_)]),
        "the secret is there, only the part is not"
    );
}

#[test]
fn the_fragments_of_some_schemes_are_the_providers_business() {
    gives("-{{ sops://f.yaml#a.b }}", value("v"), "-v");
    gives(
        "-{{ op://v/x#a.b }}",
        value(r#"{"a":{"b":[1, 2.0]}}"#),
        "-[1,2.0]",
    );
}

#[test]
fn every_failure_is_told_with_its_reference_and_place_and_nothing_is_rendered() {
    let source =
        "{{ op://v/a | base64-decode }} {{ op://v/gone }} {{ op://v/b | json \"x\" }} {{ op://v/a }}";
    let store = [("op://v/a", value("hunter2!")), ("op://v/b", value("{}"))];
    let errors = render_with(&template(source), &store).unwrap_err();
    let shown: Vec<_> = errors
        .iter()
        .map(|error| {
            (
                error.reference.as_str(),
                String::from_utf8_lossy(error.span.of(source.as_bytes())),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("op://v/a", "base64-decode".into()),
            ("op://v/gone", "op://v/gone".into()),
            ("op://v/b", "json \"x\"".into()),
        ]
    );
    assert!(
        !format!("{errors:?}").contains("hunter2"),
        "no error holds a part of a value"
    );
}

#[test]
fn a_problem_of_one_reference_is_told_once() {
    let source = "{{ op://v/x }} {{ op://v/x | hex }} {{ op://v/y }}";
    let errors = render_with(&template(source), &[]).unwrap_err();
    assert_eq!(errors.len(), 3);
    let distinct = RenderError::distinct(errors);
    assert_eq!(
        distinct
            .iter()
            .map(|error| error.reference.as_str())
            .collect::<Vec<_>>(),
        ["op://v/x", "op://v/y"]
    );
}

const SEED: &str = "JBSWY3DPEHPK3PXP";

#[test]
fn a_time_based_output_knows_when_it_ends_and_what_of_it_changes() {
    let source = "code: {{ op://v/x | totp }}\nother: {{ op://v/a }}\n";
    let template = template(source);
    let rendered = render_with(&template, &[("op://v/x", value(SEED)), ("op://v/a", value("A"))]).unwrap();
    assert_eq!(open(&rendered), b"code: 996554\nother: A\n");
    assert_eq!(rendered.valid_until, Some(at(60)));
    assert_eq!(rendered.volatile.as_slice(), std::slice::from_ref(&(6..12)));
    for (present, differs) in [
        (&b"code: 996554\nother: A\n"[..], false),
        (b"code: 000000\nother: A\n", false),
        (b"code: 996554\nother: B\n", true),
        (b"Code: 996554\nother: A\n", true),
        (b"code: 996554\nother: A", true),
        (b"", true),
    ] {
        assert_eq!(rendered.differs_from(present), differs, "{present:?}");
    }
}

#[test]
fn a_seed_that_the_provider_derives_from_gives_codes() {
    let derived = |value: &str| {
        let fetched = Fetched {
            derive: Derive::Totp,
            ..Fetched::new(SecretBytes::copy_from(value.as_bytes()))
        };
        Resolution::Value(Arc::new(fetched))
    };
    let template = template("{{ op://v/x?attribute=otp }}");
    let name = "op://v/x?attribute=otp";
    let rendered = render_with(&template, &[(name, derived(SEED))]).unwrap();
    assert_eq!(
        (open(&rendered), rendered.valid_until),
        (b"996554".to_vec(), Some(at(60)))
    );
    gives(
        "{{ op://v/x?attribute=otp#seed }}",
        derived(r#"{"seed":"JBSWY3DPEHPK3PXP"}"#),
        "996554",
    );
    gives("{{ op://v/x?attribute=otp&optional }}", derived(""), "");
}

#[test]
fn an_output_without_codes_differs_in_any_byte() {
    let rendered = render_with(&template("-{{ op://v/a }}"), &[("op://v/a", value("A"))]).unwrap();
    assert_eq!((rendered.volatile.len(), rendered.valid_until), (0, None));
    assert!(!rendered.differs_from(b"-A") && rendered.differs_from(b"-B") && rendered.differs_from(b"-A\n"));
}

#[test]
fn a_resolution_that_was_not_given_is_an_error() {
    let template = template("{{ op://v/a }}");
    let mut cx = RenderCx {
        schemes: &schemes(),
        now: at(0),
        present: None,
        memo: &mut HashMemo::default(),
    };
    assert_eq!(template.render(&[], &mut cx).unwrap_err().len(), 1);
}

#[test]
fn what_filters_take_out_of_a_secret_is_as_secret_and_digests_and_defaults_are_not() {
    let secrets = |source: &str, resolution: Resolution| {
        let mut cx = RenderCx {
            schemes: &schemes(),
            now: at(59),
            present: None,
            memo: &mut HashMemo::default(),
        };
        let secrets = template(source).secrets(&[resolution], &mut cx);
        #[expect(clippy::disallowed_methods, reason = "test values are no secrets")]
        let open = |secret: &SecretBytes| String::from_utf8_lossy(secret.expose()).into_owned();
        secrets.iter().map(open).collect::<Vec<_>>()
    };
    let document = r#"{"db":{"password":"p w"}}"#;
    assert_eq!(
        secrets("u:{{ op://v/a | json \"db.password\" | url }}@h", value(document)),
        [document, "p w", "p%20w"]
    );
    assert_eq!(
        secrets("{{ op://v/a | base64-decode }} {{ op://v/a }}", value("aHVudGVy")),
        ["aHVudGVy", "hunter", "aHVudGVy"]
    );
    assert_eq!(
        secrets("{{ op://v/a | trim | sha256 | upper }}", value(" a ")),
        [" a ", "a"]
    );
    assert_eq!(secrets("{{ op://v/a | default \"x\" }}", value("a")), ["a", "a"]);
    assert_eq!(
        secrets("{{ op://v/a | default \"x\" | upper }}", missing()),
        [""; 0]
    );
    assert_eq!(
        secrets("{{ op://v/a | json \"no\" | default \"x\" }}", value(document)),
        [document]
    );
    // What a filter cannot take anything out of is secret all the same.
    assert_eq!(secrets("{{ op://v/a | json \"no\" }}", value("plain")), ["plain"]);
}

#[test]
fn only_templates_with_password_hashes_are_slow() {
    assert!(template("{{ op://v/a | bcrypt }}").is_slow());
    assert!(template("{{ op://v/a | htpasswd \"ann\" }}").is_slow());
    assert!(!template("{{ op://v/a | totp }} {{ op://v/b | sha256 }}").is_slow());
}
