use proptest::prelude::*;

use super::*;

#[track_caller]
fn splits(list: &str, expected: &[&str]) {
    let entries = split(list).unwrap();
    assert_eq!(
        entries.iter().map(Entry::text).collect::<Vec<_>>(),
        expected,
        "{list}"
    );
}

#[test]
fn semicolons_and_line_breaks_separate() {
    splits("a=1;b=2", &["a=1", "b=2"]);
    splits("a=1\nb=2\r\nc=3\n", &["a=1", "b=2", "c=3"]);
    splits(" a ;; \n ; b;", &["a", "b"]);
    splits("", &[]);
}

#[test]
fn commas_separate_only_where_no_semicolon_does() {
    splits("a,b , c", &["a", "b", "c"]);
    splits("a,b;c", &["a,b", "c"]);
    splits("a,b;", &["a,b"]);
    splits("a,b\nc", &["a", "b", "c"]);
    splits(r"a,{{ x;y }},'z;'", &["a", "{{ x;y }}", "'z;'"]);
}

#[test]
fn nothing_separates_inside_a_tag() {
    splits(
        r#"a={{ op://v/i;f | default "}};," }};b={{op://v,w/i}}"#,
        &[r#"a={{ op://v/i;f | default "}};," }}"#, "b={{op://v,w/i}}"],
    );
    splits("a={{ open;b", &["a={{ open", "b"]);
    splits("a={ ;b=}", &["a={", "b=}"]);
}

#[test]
fn nothing_separates_inside_quotes_which_stay() {
    splits(
        r#"a="x;\"y;";b={"k":"v;w"}"#,
        &[r#"a="x;\"y;""#, r#"b={"k":"v;w"}"#],
    );
    splits(
        "a='x;y' ; 'b;c';d=it's;e=o'clock",
        &["a='x;y'", "'b;c'", "d=it's", "e=o'clock"],
    );
    splits("a='it's;x'\nb=1", &["a='it's;x'", "b=1"]);
}

#[test]
fn backslashes_mean_something_before_a_separator_only() {
    splits(r"a\;b;c\,d", &["a;b", "c,d"]);
    splits(r"a\\;b", &[r"a\", "b"]);
    splits(r"a\\\;b", &[r"a\;b"]);
    splits(r#"5\" disk;b"#, &[r#"5" disk"#, "b"]);
    splits("a\\\nb", &["a\nb"]);
    splits(
        r"C\:/x:/y;\{{ op://a }};a\\{{x}}\",
        &[r"C\:/x:/y", r"\{{ op://a }}", r"a\\{{x}}\"],
    );
}

#[test]
fn a_quote_that_is_never_closed_is_shown() {
    let [diagnostic] = split("a=1;b=\"x;c").unwrap_err().try_into().unwrap();
    assert_eq!(diagnostic.span, Span::new(6, 7));
}

#[test]
fn a_comma_may_belong_to_the_entry() {
    let entries = split_unless("/a:/b:mode=0440, user=1:1,/c:/d", |text| {
        text.starts_with("user=")
    })
    .unwrap();
    assert_eq!(
        entries.iter().map(Entry::text).collect::<Vec<_>>(),
        ["/a:/b:mode=0440, user=1:1", "/c:/d"]
    );
}

#[test]
fn an_escaped_line_break_alone_is_no_entry() {
    let entries = split("a\n\\\nb\n\\\n").unwrap();
    let texts: Vec<_> = entries.iter().map(Entry::text).collect();
    assert_eq!(texts, ["a", "\nb"]);
}

#[test]
fn a_finding_is_placed_in_the_whole_list() {
    let list = r" x; ab\;cd\\;z";
    let entry = &split(list).unwrap()[1];
    assert_eq!(
        (entry.text(), entry.span().of(list.as_bytes())),
        (r"ab;cd\", &br"ab\;cd\\"[..])
    );
    for (part, shown) in [
        (0..2, "ab"),
        (1..2, "b"),
        (2..3, ";"),
        (3..5, "cd"),
        (1..4, r"b\;c"),
        (0..6, r"ab\;cd\\"),
    ] {
        let found = entry.locate(Diagnostic::error(part, "x"));
        assert_eq!(found.span.of(list.as_bytes()), shown.as_bytes());
    }
}

proptest! {
    #[test]
    fn any_entries_come_back_when_their_separators_are_escaped(
        entries in prop::collection::vec(r#"[a-z=:/{}',;\\" ]{1,12}"#, 1..6), separator in "[;\n]"
    ) {
        let plain = |entry: &String| {
            let mut plain = entry.replace('\'', "");
            while plain.contains("{{") {
                plain = plain.replace("{{", "{");
            }
            plain.trim().to_owned()
        };
        let entries: Vec<_> = entries.iter().map(plain).collect();
        prop_assume!(entries.iter().all(|entry| !entry.is_empty()));
        let escape = |entry: &String| {
            let mut escaped = String::new();
            let mut run = 0;
            for char in entry.chars() {
                if matches!(char, ';' | ',' | '"') {
                    escaped.push_str(&"\\".repeat(run + 1));
                }
                run = if char == '\\' { run + 1 } else { 0 };
                escaped.push(char);
            }
            escaped + &"\\".repeat(run)
        };
        let list = entries.iter().map(escape).collect::<Vec<_>>().join(&separator) + ";";
        let split = split(&list).unwrap();
        prop_assert_eq!(split.iter().map(Entry::text).collect::<Vec<_>>(), entries);
    }

    #[test]
    fn no_list_makes_it_panic_and_every_span_lies_inside(list in r#"(.|[{}"';,\\\n=]){0,40}"#) {
        if let Ok(entries) = split(&list) {
            for entry in entries {
                prop_assert!(list.get(entry.span().start..entry.span().end).is_some());
                let end = entry.text().len();
                let found = entry.locate(Diagnostic::error(end..end, "end"));
                prop_assert!(found.span.end <= list.len());
            }
        }
    }
}
