//! What holds for any bytes, and at size.

use proptest::prelude::*;

use super::*;

/// `text` so written that it stands for itself in a template, also right before a tag.
fn escape(text: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::new();
    let mut backslashes = 0;
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with(b"{{") {
            escaped.extend(vec![b'\\'; backslashes + 1]);
            escaped.extend(b"{{");
            at += 2;
            backslashes = 0;
            continue;
        }
        // The last brace meets the tag's own.
        if rest == b"{" {
            escaped.extend(vec![b'\\'; backslashes]);
        }
        backslashes = if rest[0] == b'\\' { backslashes + 1 } else { 0 };
        escaped.push(rest[0]);
        at += 1;
    }
    escaped.extend(vec![b'\\'; backslashes]);
    escaped
}

/// Bytes in which marks, escapes, quotes and references are likely.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"{{".to_vec()),
        Just(b"}}".to_vec()),
        Just(b"\\".to_vec()),
        Just(b"\"".to_vec()),
        Just(b" | ".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"{".to_vec()),
        Just(b"op://v/a".to_vec()),
        Just(b"xx://".to_vec()),
        Just(b"default".to_vec()),
        prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
}

/// A tag as people write it, and the value it stands for.
fn tag() -> impl Strategy<Value = (String, &'static [u8])> {
    let forms = [
        "{{ X }}",
        "{{X}}",
        "{{ \"X\" }}",
        "{{\n X\n}}",
        "{{ X | default \"}}\" }}",
    ];
    (0..forms.len(), prop_oneof![Just("op://v/a"), Just("op://v/b")]).prop_map(move |(form, name)| {
        (
            forms[form].replace('X', name),
            if name == "op://v/a" { VALUE } else { b"" },
        )
    })
}

const VALUE: &[u8] = b"{{ op://v/b }}\\\0\xff\n";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn escaping_any_text_gives_it_back(text in bytes()) {
        // A whole text that is a bare reference has no braces to escape.
        let text = [b".", text.as_slice()].concat();
        let mut source = escape(&text);
        if !text.ends_with(b"{") {
            // What precedes no tag needs no care at its end.
            let trailing = text.iter().rev().take_while(|byte| **byte == b'\\').count();
            source.truncate(source.len() - trailing);
        } else if !text.ends_with(b"{{") {
            source.pop();
            let before = text[..text.len() - 1].iter().rev().take_while(|byte| **byte == b'\\').count();
            source.truncate(source.len() - before);
            source.push(b'{');
        }
        let rendered = render_with(&template(&source), &[]).unwrap();
        prop_assert_eq!(open(&rendered), text);
    }

    #[test]
    fn rendering_keeps_every_byte_around_tags(
        parts in prop::collection::vec((bytes(), tag()), 2..5), tail in bytes()
    ) {
        let (mut source, mut expected) = (b"-".to_vec(), b"-".to_vec());
        for (text, (tag, value)) in &parts {
            source.extend(escape(text));
            source.extend(tag.as_bytes());
            expected.extend(text);
            expected.extend(*value);
        }
        // One more tag, since escaping is made for text before a tag.
        source.extend(escape(&tail));
        source.extend(b"{{ op://v/a }}");
        expected.extend(&tail);
        expected.extend(VALUE);
        let store = [("op://v/a", value(VALUE)), ("op://v/b", value(""))];
        let rendered = render_with(&template(&source), &store).unwrap();
        prop_assert_eq!(open(&rendered), expected);
    }

    #[test]
    fn no_bytes_make_parsing_panic_and_every_span_lies_inside(source in bytes()) {
        match parse(&source) {
            Ok(template) => {
                let spans = template.references().iter().map(crate::Reference::span)
                    .chain(template.warnings().iter().map(|warning| warning.span));
                for span in spans {
                    prop_assert!(span.start < span.end && span.end <= source.len());
                }
                let all: Vec<_> = template.references().iter().map(|_| value("v")).collect();
                let mut cx = RenderCx {
                    schemes: &schemes(), now: at(0), present: None, memo: &mut HashMemo::default()
                };
                let _ = template.render(&all, &mut cx);
            }
            Err(found) => {
                for diagnostic in found {
                    prop_assert!(diagnostic.span.start <= diagnostic.span.end);
                    prop_assert!(diagnostic.span.end <= source.len());
                }
            }
        }
    }
}

#[test]
fn a_hundred_thousand_tags_hold_each_reference_once() {
    let line = |index: usize| {
        format!(
            "key_{index} = \"{{{{ op://v/secret-{} }}}}\" # {}\n",
            index % 1000,
            "x".repeat(64)
        )
    };
    let source: String = (0..100_000).map(line).collect();
    assert!(source.len() > 10_000_000);
    let template = template(&source);
    assert_eq!(
        (template.references().len(), template.expressions.len()),
        (1000, 1000)
    );
    assert_eq!(template.segments.len(), 200_001);
    let resolutions: Vec<_> = (0..1000).map(|index| value(format!("v{index}"))).collect();
    let mut cx = RenderCx {
        schemes: &schemes(),
        now: at(0),
        present: None,
        memo: &mut HashMemo::default(),
    };
    let output = open(&template.render(&resolutions, &mut cx).unwrap());
    let expected: String = (0..100_000)
        .map(|index| {
            line(index).replace(
                &format!("{{{{ op://v/secret-{} }}}}", index % 1000),
                &format!("v{}", index % 1000),
            )
        })
        .collect();
    assert!(output == expected.as_bytes());
}

#[test]
fn marks_without_end_are_read_in_linear_time() {
    // Squared, each of these would take minutes.
    for unit in ["{{", "{{ x ", "{{ \"\\\"", "{{ \" ", "{{\n", "{", "\\{{ ", "\\"] {
        let source = unit.repeat(300_000 / unit.len());
        assert!(template(&source).references().is_empty());
        let tail = format!("{source}\n\" }}}} {{{{ op://v/a }}}}");
        assert!(template(&tail).references().len() == 1, "{unit:?}");
    }
}
