//! What is a tag and what is text.

use super::*;

#[test]
fn a_tag_gives_its_value_and_everything_around_stays() {
    becomes(
        "x={{ op://v/a }}\r\n\ty = '{{op://v/b}}' \n\n",
        "x=A\r\n\ty = 'B' \n\n",
    );
    becomes(b"\xff\0{{ op://v/a }}\0\xfe{{op://v/b}}\n", b"\xff\0A\0\xfeB\n");
    becomes("{{op://v/a}}{{op://v/b}}", "AB");
    becomes("", "");
    becomes(" \n", " \n");
}

#[test]
fn a_text_that_is_one_tag_or_reference_is_the_value_alone() {
    let exact = b"\0bin\xff ary\n\n";
    for source in [
        "{{ op://v/x }}",
        " \t{{op://v/x}}\r\n",
        "op://v/x",
        "\n op://v/x \n",
        "{{ \"op://v/x\" }}",
    ] {
        let rendered = render_with(&template(source), &[("op://v/x", value(exact))]).unwrap();
        assert_eq!(open(&rendered), exact, "{source:?}");
    }
    becomes(" {{ op://v/a }} {{ op://v/b }}\n", " A B\n");
    becomes(" {{ op://v/a }}.\n", " A.\n");
    becomes(" {{ op://v/a }}{{}}\n", " A{{}}\n");
}

#[test]
fn without_braces_only_schemes_count_that_no_other_program_uses() {
    for text in [
        "env://HOME",
        "https://example.org",
        "postgres://u@h/db",
        "word://x",
        "op:/v/a",
        "see op://v/a",
    ] {
        becomes(text, text);
    }
    becomes("op://v/a\nop://v/b\n", "op://v/a\nop://v/b\n");
    let rendered = render_with(&template("{{ env://HOME }}"), &[("env://HOME", value("H"))]).unwrap();
    assert_eq!(open(&rendered), b"H");
}

#[test]
fn a_tag_that_is_no_reference_is_copied() {
    for text in [
        "{{}}",
        "{{ }}",
        "{{ .Values.x }}",
        "{{ foo | upper }}",
        "{{- if eq .a \"b}}\" -}}",
        "{{/* a comment */}}",
        "{{ printf \"https://%s/\" .host | quote }}",
        "{{ https://example.org }}",
        "{{ \"it's\n",
        "{{ x",
        "}} {{",
        "{{{{{",
        "${{ secrets.X }}",
        "{{ '{{' }}",
        "{{\n  multi\n  line\n}}",
    ] {
        becomes(text, text);
        becomes(format!("{text}\n{{{{ op://v/a }}}}"), format!("{text}\nA"));
    }
}

#[test]
fn an_empty_tag_does_not_end_the_reading() {
    becomes("{{}}\n{{ op://v/a }}\n{{}}{{op://v/b}}", "{{}}\nA\n{{}}B");
}

#[test]
fn a_tag_may_stand_in_braces_of_the_text() {
    becomes("{{{op://v/a}}}", "{A}");
    becomes("{\"k\":{\"x\":{{ op://v/a }}}}", "{\"k\":{\"x\":A}}");
    becomes("{{{{ op://v/a }}}}", "{{A}}");
    assert!(template("{{{op://v/a}}}").warnings().is_empty());
}

#[test]
fn a_backslash_makes_the_mark_text_and_two_are_a_backslash() {
    becomes(r"\{{ .x }}", "{{ .x }}");
    becomes(r"\\{{ op://v/a }}", r"\A");
    becomes(r"\\\{{ .x }} \\\\{{ op://v/a }}", r"\{{ .x }} \\A");
    becomes(r"a\{{b\\c\{d\", r"a{{b\\c\{d\");
    becomes(r"\{{{{ op://v/a }}", "{{A");
    becomes(r"{{ op://v/a }}\{{{{ op://v/b }}\", r"A{{B\");
}

#[test]
fn an_escaped_reference_is_copied_with_a_warning() {
    let source = "x \\{{ op://v/a }}";
    let template = template(source);
    assert!(template.references().is_empty());
    let [warning] = template.warnings() else {
        panic!("{:?}", template.warnings())
    };
    assert!(!warning.is_error());
    assert_eq!(warning.span.of(source.as_bytes()), br"\{{ op://v/a }}");
    becomes(source, "x {{ op://v/a }}");
    assert!(super::template(r"\{{ .x }}").warnings().is_empty());
}

#[test]
fn a_tag_that_hides_a_reference_is_copied_with_a_warning() {
    for (source, place) in [
        ("{{- op://v/a -}} x", "op://v/a -"),
        ("x {{ lookup 'store://a' }}", "store://a'"),
    ] {
        let template = template(source);
        let [warning] = template.warnings() else {
            panic!("{source}: {:?}", template.warnings())
        };
        assert_eq!(warning.span.of(source.as_bytes()), place.as_bytes());
        becomes(source, source);
    }
    assert!(
        template("{{ lookup 'env://a' }} {{ x('sftp://y') }}")
            .warnings()
            .is_empty()
    );
}

#[test]
fn quotes_protect_marks_and_bars() {
    let store = [("op://v/a|b }} c", value("Q")), ("op://v/%22", value("quote"))];
    for source in ["-{{ \"op://v/a|b }} c\" }}", "-{{ op://v/\"a|b }} c\" }}"] {
        assert_eq!(
            open(&render_with(&template(source), &store).unwrap()),
            b"-Q",
            "{source}"
        );
    }
    becomes(
        r#"-{{ op://v/none | default "}} | {{ \"x\" \\ \n" }}"#,
        "-}} | {{ \"x\" \\ \n",
    );
}

#[test]
fn filters_stand_behind_bars_with_their_arguments() {
    becomes("-{{ op://v/a | base64 }}", "-QQ==");
    becomes("-{{op://v/a|lower|hex}}", "-61");
    becomes("-{{ op://v/a | replace \"A\" \"x y\" | url }}", "-x%20y");
    becomes("-{{ op://v/a | replace A z }}", "-z");
    becomes("-{{ op://v/none | default\"x\" }}", "-x");
    becomes("-{{ op://v/json | json \"a.b.0\" }}", "-1.50");
    becomes("-{{ op://v/json#a.b.1 | upper }}", "-TWO");
}

#[test]
fn a_tag_may_break_its_line_before_bars_and_its_end() {
    becomes(
        "-{{\n  op://v/a\n  | lower\n  | replace \"a\"\n      \"b\"\n}}-",
        "-b-",
    );
    becomes("-{{ op://v/a\r\n}}-", "-A-");
}

#[test]
fn the_same_reference_may_stand_anywhere_and_is_asked_once() {
    let source = "{{op://v/a}} {{ op://v/a }} {{ op://v/%61 | lower }} {{ op://v/b }} {{op://v/a}}";
    let template = template(source);
    assert_eq!(
        template
            .references()
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        ["op://v/a", "op://v/b"]
    );
    becomes(source, "A A a B A");
}

#[test]
fn other_marks_can_be_chosen() {
    for (open_mark, close_mark) in [("<%", "%>"), ("[[", "]]"), ("%%", "%%"), ("@", "@")] {
        let options = TemplateOptions {
            delimiters: Delimiters::new(open_mark, close_mark).unwrap(),
            verbatim: false,
        };
        let text = |value: &str, escaped: &str| format!("{{{{ op://v/a }}}} {value} {escaped} .");
        let source = text(
            &format!("{open_mark} op://v/a | lower {close_mark}"),
            &format!("\\{open_mark} x"),
        );
        let template = Template::parse(source.as_bytes(), &options, &schemes()).unwrap();
        let rendered = render_with(&template, &[("op://v/a", value("A"))]).unwrap();
        assert_eq!(
            String::from_utf8(open(&rendered)).unwrap(),
            text("a", &format!("{open_mark} x"))
        );
    }
    for (open_mark, close_mark) in [
        ("", "}}"),
        ("{{", ""),
        ("< ", ">"),
        ("\"", "\""),
        ("|", "x"),
        ("\\(", ")"),
    ] {
        assert!(Delimiters::new(open_mark, close_mark).is_err());
    }
}

#[test]
fn a_verbatim_text_stays_as_it_is() {
    let options = TemplateOptions {
        verbatim: true,
        ..TemplateOptions::default()
    };
    for source in [&b"{{ op://v/a }} \\{{ \0\xff"[..], b"op://v/a\n", b""] {
        let template = Template::parse(source, &options, &schemes()).unwrap();
        assert!(template.references().is_empty());
        assert_eq!(open(&render_with(&template, &[]).unwrap()), source);
    }
}
