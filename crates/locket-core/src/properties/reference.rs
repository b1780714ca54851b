//! References: what is read is written back, and means the same.

use super::check::{are_placed, lies_in, schemes};
use crate::Reference;
use crate::reference::{Parsed, Position};

/// Any text as a reference, with braces and without.
pub fn reference(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let bare = parse(text, Position::Bare);
    let tag = parse(text, Position::Tag);
    if let Some(bare) = bare {
        assert!(
            tag == Some(bare),
            "what counts without braces means the same in them"
        );
    }
    // Most bytes are no reference: behind a scheme they are.
    let _ = parse(&format!("op://{text}"), Position::Tag);
}

/// The reference in `text`, which has been looked at from all sides.
fn parse(text: &str, position: Position) -> Option<Reference> {
    const OFFSET: usize = 7;
    let schemes = schemes();
    let moved = |span: crate::Span| crate::Span::new(span.start - OFFSET, span.end - OFFSET);
    match Reference::parse(text, OFFSET, position, &schemes) {
        Parsed::Other => None,
        Parsed::Wrong(found) => {
            assert!(!found.is_empty(), "a mistake has words");
            let found = found.into_iter().map(|mut finding| {
                finding.span = moved(finding.span);
                finding
            });
            are_placed(&found.collect::<Vec<_>>(), text.as_bytes());
            None
        }
        Parsed::Reference(reference) => {
            lies_in(moved(reference.span()), text.as_bytes());
            written_back(&reference);
            Some(reference)
        }
    }
}

/// Its text is the same reference, and the text of that the same text.
pub(super) fn written_back(reference: &Reference) {
    let shown = reference.to_string();
    let again = match Reference::parse(&shown, 0, Position::Tag, &schemes()) {
        Parsed::Reference(again) => again,
        other => unreachable!("{shown:?} is {other:?}"),
    };
    assert_eq!(&again, reference, "{shown:?} means something else");
    assert_eq!(again.to_string(), shown, "writing settles at once");
    assert_eq!(again.segments(), reference.segments());
    assert_eq!(again.fragment(), reference.fragment());
}
