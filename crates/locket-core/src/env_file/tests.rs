use proptest::prelude::*;

use super::*;
use crate::template::TemplateOptions;
use crate::{Scheme, Schemes, Template, schemes};

fn inherited() -> Environment {
    [
        ("INH", "inherited"),
        ("EMPTY", ""),
        ("TAG", "{{ op://a/b }}"),
        ("SLASH", "a\\"),
    ]
    .into_iter()
    .collect()
}

fn read(text: &str) -> Vec<(String, String)> {
    let variables = parse(text, &inherited()).unwrap_or_else(|found| panic!("{text:?}: {found:?}"));
    variables
        .into_iter()
        .map(|variable| (variable.name, variable.template))
        .collect()
}

fn value(text: &str) -> String {
    let mut read = read(text);
    assert_eq!(read.len(), 1, "{text:?}");
    read.remove(0).1
}

#[test]
fn quotes_escapes_and_comments_are_those_of_compose() {
    for (text, expected) in [
        ("A=1\n", "1"),
        ("A=1", "1"),
        ("A = 5\n", "5"),
        ("A: y\n", "y"),
        ("export  A=1\n", "1"),
        ("\u{feff}A=1\r\n", "1"),
        ("A=x #c\n", "x"),
        ("A=x# c\n", "x# c"),
        ("A= # c\n", "# c"),
        ("A=a\tb\t#c\n", "a\tb\t#c"),
        ("A=\n", ""),
        ("# c\n\n A=1\n", "1"),
        ("A=\"l1\nl2\" # c\n", "l1\nl2"),
        (r#"A="a\nb\\n\"q\"\'" "#, "a\nb\\n\"q\"\\'"),
        (r#"A="\01\0101\x\c" "#, "\\1A\\x\\c"),
        (r"A='$INH \n it\'s'", "$INH \\n it's"),
        (r"A=\01 \n", "\\01 \\n"),
        ("A={\"a\":\"b\"}\n", "{\"a\":\"b\"}"),
    ] {
        assert_eq!(value(text), expected, "{text:?}");
    }
}

#[test]
fn dollars_are_resolved_as_in_compose() {
    for (text, expected) in [
        ("A=$INH.x-$INH_y\n", "inherited.x-"),
        ("A=a\\$INH\n", "a\\inherited"),
        ("A=\"a\\$b$$c\"\n", "a$b$c"),
        ("A=$1 $\n", "$1 $"),
        ("A=${INH:+y}${X:-d${INH}}z}\n", "ydinheritedz}"),
        ("A=${EMPTY:-e}${EMPTY-f}\n", "e"),
        ("A=${INH:-x}}\n", "inherited}"),
        ("A=${X:-{a}b}\n", "{a}b"),
        ("A=${X:-${Y:-q}}r}\n", "qr}"),
        ("A=${X+y}${EMPTY+z}\n", "z"),
        ("A='a${INH}'\n", "a${INH}"),
    ] {
        assert_eq!(value(text), expected, "{text:?}");
    }
    assert_eq!(
        read("A=1\nB=${A}x\nINH=mine\nC=$INH\nINH\n"),
        [("A", "1"), ("B", "1x"), ("C", "inherited"), ("INH", "inherited")]
            .map(|(a, b)| (a.to_owned(), b.to_owned())),
        "what is inherited comes before what stands above"
    );
    assert_eq!(read("A=\"x\" B=\"y\"\n").len(), 2, "one line may hold two");
    assert!(read("NOPE\n").is_empty());
}

#[test]
fn nothing_inside_a_tag_has_a_meaning() {
    for tag in [
        "{{ op://a/b #c }}",
        r#"{{ op://a/b | replace "$INH" "\n" }}"#,
        "{{ op://a/$INH/${X:?no} }}",
        "{{ .Values.a }}",
        r#"{{ "op://a/}}b" }}"#,
    ] {
        for (text, expected) in [
            (format!("A={tag}\n"), tag.to_owned()),
            (format!("A=x {tag} y # c\n"), format!("x {tag} y")),
            (format!("A=\"{tag}\\n\"\n"), format!("{tag}\n")),
            (format!("A='{tag}'\n"), tag.to_owned()),
            (format!("A=${{X:-{tag}}}\n"), tag.to_owned()),
        ] {
            assert_eq!(value(&text), expected, "{text:?}");
        }
    }
    assert_eq!(
        read("A={{ op://a/b }}\nB=<${A}>${A:-none}\n")[1].1,
        "<{{ op://a/b }}>{{ op://a/b }}",
        "a reference to a variable above is its template"
    );
}

#[test]
fn an_inherited_value_is_never_a_template() {
    let schemes = Schemes::new(["op"].map(|name| Scheme {
        name: name.into(),
        bare: true,
        fragment: schemes::Fragment::Json,
    }));
    let read = |text: &str| {
        let template = value(text).into_bytes();
        Template::parse(template, &TemplateOptions::default(), &schemes).unwrap()
    };
    assert_eq!(
        read("A={{ op://a/b }}\n").references().len(),
        1,
        "a tag of the file is one"
    );
    for text in [
        "A=x$TAG\n",
        "A=\"$SLASH$TAG\"\n",
        "A=${X:-${TAG}}\n",
        "A=\\\\$TAG\n",
    ] {
        assert!(read(text).references().is_empty(), "{text:?}");
    }
    assert_eq!(value("A=$TAG\n"), "\\{{ op://a/b }}");
    assert_eq!(value("A=$SLASH$TAG\n"), "a\\\\\\{{ op://a/b }}");
}

#[test]
fn variables_inside_of_each_other_end_somewhere() {
    let nested = |depth: usize| format!("A={}v{}\n", "${X:-".repeat(depth), "}".repeat(depth));
    assert_eq!(value(&nested(64)), "v");
    let found = parse(&nested(100_000), &inherited()).unwrap_err();
    let messages: Vec<_> = found.iter().map(|finding| finding.message.as_str()).collect();
    assert_eq!(messages, ["more than 64 variables stand inside of each other"]);
    let side_by_side = format!("A={}\n", "${X:-v}".repeat(100_000));
    assert_eq!(value(&side_by_side).len(), 100_000);
}

#[test]
fn values_that_meet_make_no_tag_and_unmake_none() {
    for (text, expected) in [
        // Braces that stand apart in the file are no tag, whatever comes between them.
        ("A={$EMPTY{op://a/b}}\n", "\\{{op://a/b}}"),
        ("A={${UNSET:-{op://a/b}}}\n", "\\{{op://a/b}}"),
        // Those that stand together are what the template makes of them: a tag may go over several lines.
        ("A=x{{ never closed\n", "x{{ never closed"),
        ("A=\"{{ op://a/b\n}}\"\n", "{{ op://a/b\n}}"),
        // A backslash that comes from a value escapes no tag behind it; one of the file does.
        ("A=$SLASH{{ op://a/b }}\n", "a\\\\{{ op://a/b }}"),
        ("A=$SLASH\\{{ op://a/b }}\n", "a\\\\\\{{ op://a/b }}"),
        ("A=\\{{ op://a/b }}\n", "\\{{ op://a/b }}"),
    ] {
        assert_eq!(value(text), expected, "{text:?}");
    }
    assert_eq!(
        read("A=x\\\nB=$A{{ op://a/b }}\n")[1].1,
        "x\\\\{{ op://a/b }}",
        "nor does one of a variable above"
    );
    assert_eq!(
        read("A={\nB=$A{op://a/b}}\n")[1].1,
        "\\{{op://a/b}}",
        "nor does its brace make one"
    );
}

#[test]
fn every_mistake_is_told_with_its_place() {
    let text = "A B=1\n=2\nC=${1}\nOK=1\nD-%=1\nE=${X:?set it}\nF=\"open\nG=1\nH";
    let found = parse(text, &inherited()).unwrap_err();
    let told: Vec<_> = found
        .iter()
        .map(|wrong| (&text[wrong.span.start..wrong.span.end], wrong.message.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            ("A B", "a name has no spaces"),
            ("=", "this variable has no name"),
            ("C=${1}", "what stands behind `${` is no variable"),
            ("%", "this character cannot stand in the name of a variable"),
            ("E=${X:?set it}", "the variable X has no value: set it"),
            ("\"", "this quote is never closed"),
            ("H", "this last line has neither a `=` nor an end"),
        ]
    );
}

#[test]
fn a_place_at_the_end_of_the_text_is_behind_its_last_tag() {
    let text = "A:?${A{{𝒞}}";
    let found = parse(text, &inherited()).unwrap_err();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(text.get(found[0].span.start..found[0].span.end), Some(text));
}

#[test]
fn an_error_repeats_no_inherited_value() {
    let inherited: Environment = [("SECRET", "hunter2")].into_iter().collect();
    let found = parse("A=${X:?$SECRET}\n", &inherited).unwrap_err();
    assert!(!format!("{found:?}").contains("hunter2"), "{found:?}");
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in r#"(([A-C]|export|[ =:#$\\"'{}\n\t-]|\$\{|\{\{|\}\}|[a-c]|:[-+?]|é|\PC){0,40})"#) {
        if let Err(found) = parse(&text, &inherited()) {
            prop_assert!(!found.is_empty());
            for wrong in found {
                prop_assert!(text.get(wrong.span.start..wrong.span.end).is_some(), "{:?}", wrong.span);
            }
        }
    }

    #[test]
    fn every_value_has_a_double_quoted_form(value in "[^\r\0\u{100000}-\u{10ffff}]{0,30}") {
        prop_assume!(!value.contains("{{"));
        let quoted = value.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$");
        prop_assert_eq!(read(&format!("A=\"{quoted}\""))[0].1.clone(), value);
    }
}
