use proptest::prelude::*;

use super::*;

fn schemes() -> Schemes {
    let scheme = |name: &str, bare| Scheme {
        name: name.into(),
        bare,
        fragment: Fragment::Json,
    };
    Schemes::new([
        scheme("op", true),
        scheme("bao", true),
        scheme("store", true),
        scheme("bws", true),
        scheme("oci", false),
        scheme("file", false),
        Scheme {
            name: "sops".into(),
            bare: true,
            fragment: Fragment::Own,
        },
    ])
}

fn reference(text: &str) -> Reference {
    match Reference::parse(text, 0, Position::Tag, &schemes()) {
        Parsed::Reference(reference) => reference,
        other => panic!("{text} is {other:?}"),
    }
}

fn wrong(text: &str) -> Vec<Diagnostic> {
    match Reference::parse(text, 0, Position::Tag, &schemes()) {
        Parsed::Wrong(wrong) => wrong,
        other => panic!("{text} is {other:?}"),
    }
}

fn is_other(text: &str, position: Position) -> bool {
    matches!(Reference::parse(text, 0, position, &schemes()), Parsed::Other)
}

#[test]
fn a_reference_has_locator_options_and_fragment() {
    let parsed = reference(" op://vault/Test Section/f%2Fg?attribute=otp&x#a.b ");
    assert_eq!(parsed.scheme(), "op");
    assert_eq!(parsed.segments(), ["vault", "Test Section", "f/g"]);
    assert_eq!(
        parsed.options(),
        [("attribute".into(), "otp".into()), ("x".into(), String::new())]
    );
    assert_eq!(parsed.fragment(), Some("a.b"));
    assert_eq!(parsed.span(), Span::new(1, 50));
}

#[test]
fn an_encoded_slash_belongs_to_a_name_and_divides_nothing() {
    assert_eq!(reference("op://vault/a%20b/c"), reference("op://vault/a b/c"));
    assert_ne!(reference("op://vault/a%2Fb/c"), reference("op://vault/a/b/c"));
}

#[test]
fn a_mistake_in_quotes_is_shown_where_it_is_written() {
    let place = |text: &str| wrong(text)[0].span.of(text.as_bytes()).to_owned();
    assert_eq!(place(r#""opp://x""#), b"opp");
    let escaped = r#""op://a\\b\"c""#;
    assert_eq!(place(escaped), escaped.as_bytes());
}

#[test]
fn an_escape_that_is_no_text_stays_and_the_others_are_read() {
    let segments = |text: &str| reference(text).segments().join("|");
    assert_eq!(segments("op://v/100%25/%daten%20%C3%A9"), "v|100%|%DAten é");
    assert_eq!(reference("op://v/%daten%20/f"), reference("op://v/%DAten /f"));
}

#[test]
fn the_first_question_mark_and_the_last_hash_divide() {
    let parsed = reference("store://a#b?c=d?e#f");
    assert_eq!((parsed.locator(), parsed.fragment()), ("a#b", Some("f")));
    assert_eq!(parsed.option("c"), Some("d?e"));
}

#[test]
fn quoted_parts_lose_their_meaning_and_quotes_around_all_do_not() {
    assert_eq!(
        reference("op://v/\"what? #1/2\"/f").segments(),
        ["v", "what? #1/2", "f"]
    );
    assert_eq!(
        reference("\"op://v/a|b}}/f?attribute=otp\"").option("attribute"),
        Some("otp")
    );
    assert_eq!(reference("\"op://v/a|b}}/f\"").segments(), ["v", "a|b}}", "f"]);
    assert!(wrong("op://v/\"open/f")[0].message.contains("never closed"));
}

#[test]
fn optional_is_ours_on_every_reference() {
    assert!(reference("op://a/b/c?optional").is_optional());
    assert!(reference("op://a/b/c?x=1&optional=true").is_optional());
    assert!(!reference("op://a/b/c?optional=false").is_optional());
    assert!(wrong("op://a/b/c?optional=maybe")[0].message.contains("maybe"));
}

#[test]
fn foreign_urls_are_never_references_and_unknown_words_in_tags_are_errors() {
    for url in ["https://a/b", "postgres://u@h/d", "tcp://h:1", "redis://h"] {
        assert!(is_other(url, Position::Tag), "{url}");
    }
    assert!(is_other(".Values.x", Position::Tag));
    assert!(is_other("", Position::Tag));
    let diagnostic = &wrong("opp://v/i/f")[0];
    assert_eq!(diagnostic.help.as_deref(), Some("Did you mean `op`?"));
    assert_eq!(diagnostic.span, Span::new(0, 3));
    assert!(is_other("opp://v/i/f", Position::Bare));
}

#[test]
fn a_provider_left_out_of_the_build_is_named() {
    assert!(
        wrong("gcp-sm://p/s")[0]
            .help
            .as_deref()
            .unwrap()
            .contains("GCP Secret Manager")
    );
}

#[test]
fn bare_forms_count_only_where_no_other_program_uses_them() {
    assert!(matches!(
        Reference::parse("op://v/i/f", 0, Position::Bare, &schemes()),
        Parsed::Reference(_)
    ));
    assert!(is_other("file:///etc/hosts", Position::Bare));
    assert!(is_other("op://v/i/f\nmore", Position::Bare));
    let uuid = "be8e0ad8-d545-4017-a55a-b02f014d4158";
    assert_eq!(reference(uuid).scheme(), "bws");
    assert!(is_other(uuid, Position::Bare));
    assert_eq!(
        reference("ocid1.vaultsecret.oc1..aaa?stage=LATEST").option("stage"),
        Some("LATEST")
    );
}

#[test]
fn an_empty_locator_is_an_error() {
    assert!(wrong("op://")[0].message.contains("names no secret"));
    assert!(wrong("op:///?x=1")[0].message.contains("names no secret"));
}

#[test]
fn an_option_twice_is_an_error_and_unknown_ones_find_their_name() {
    assert!(wrong("op://a/b?x=1&x=2")[0].message.contains("twice"));
    assert!(wrong("op://a/b?=x")[0].message.contains("has no name"));
    let wrong = reference("op://a/b?atribute=otp")
        .check_options(&["attribute", "ssh-format"])
        .unwrap_err();
    assert_eq!(wrong[0].help.as_deref(), Some("Did you mean `attribute`?"));
}

#[test]
fn own_fragments_are_left_to_the_provider() {
    assert_eq!(reference("op://a/b#c").json_fragment(&schemes()), Some("c"));
    assert_eq!(reference("sops://a.yaml#c").json_fragment(&schemes()), None);
    assert_eq!(reference("sops://a.yaml#c").fragment(), Some("c"));
}

proptest! {
    #[test]
    fn display_round_trips(
        segments in prop::collection::vec("[ -~äß]{1,8}", 1..4),
        options in prop::collection::btree_map("[a-z%&=# ]{1,6}", "[ -~]{0,6}", 0..3),
        fragment in prop::option::of("[ -~]{0,8}"),
        optional: bool,
    ) {
        let locator = segments.iter().map(|part| encode(part, "/?#&=\"")).collect::<Vec<_>>().join("/");
        prop_assume!(!locator.trim().is_empty() && locator.trim() == locator);
        let mut built = reference("op://x");
        let parts = Arc::make_mut(&mut built.parts);
        parts.locator = locator;
        parts.options = options.into_iter().filter(|(name, _)| name != "optional").collect();
        parts.fragment = fragment;
        parts.optional = optional;
        let shown = built.to_string();
        prop_assert_eq!(&reference(&shown), &built, "{}", shown);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,40}") {
        let _ = Reference::parse(&text, 0, Position::Tag, &schemes());
        let _ = Reference::parse(&format!("op://{text}"), 0, Position::Tag, &schemes());
        let _ = Reference::parse(&text, 0, Position::Bare, &schemes());
    }
}
