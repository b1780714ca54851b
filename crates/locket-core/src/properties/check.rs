//! What several targets ask of what they are given.

use crate::schemes::Fragment;
use crate::{Diagnostic, Scheme, Schemes, Span};

/// A table in which every kind of scheme occurs.
pub(super) fn schemes() -> Schemes {
    let scheme = |name: &str, bare, fragment| Scheme {
        name: name.into(),
        bare,
        fragment,
    };
    Schemes::new([
        scheme("op", true, Fragment::Json),
        scheme("bao", true, Fragment::Json),
        scheme("bws", true, Fragment::Json),
        scheme("oci", false, Fragment::Json),
        scheme("file", false, Fragment::Json),
        scheme("sops", true, Fragment::Own),
    ])
}

/// The place lies in the text, and cuts no character apart.
pub(super) fn lies_in(span: Span, text: &[u8]) {
    assert!(
        span.start <= span.end && span.end <= text.len(),
        "{span:?} lies outside of {} bytes",
        text.len()
    );
    if let Ok(text) = std::str::from_utf8(text) {
        assert!(
            text.is_char_boundary(span.start) && text.is_char_boundary(span.end),
            "{span:?} cuts a character apart"
        );
    }
}

/// Every finding has words and a place in the text.
pub(super) fn are_placed<'a>(findings: impl IntoIterator<Item = &'a Diagnostic>, text: &[u8]) {
    for finding in findings {
        assert!(!finding.message.is_empty());
        lies_in(finding.span, text);
    }
}
