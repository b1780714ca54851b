//! Credentials that are references: where the configuration names a secret of another provider.

use locket_core::reference::{Parsed, Position};
use locket_core::template::TemplateOptions;
use locket_core::{Diagnostic, Reference, Schemes, Span, Template};

/// The template that gives the value of `text`: a reference with or without braces.
///
/// # Errors
/// Every mistake in it; a text that names no secret at all is [`not_a_reference`].
pub(crate) fn template_of(text: &str, schemes: &Schemes) -> Result<Template, Vec<Diagnostic>> {
    let options = TemplateOptions::default();
    if text.contains(&options.delimiters.open) {
        let template = Template::parse(text.as_bytes().to_vec(), &options, schemes)?;
        return match template.references() {
            [] => Err(vec![not_a_reference(text)]),
            _ => Ok(template),
        };
    }
    match Reference::parse(text, 0, Position::Tag, schemes) {
        Parsed::Reference(reference) => {
            // Quoted, nothing in it has a meaning for the tag around it.
            let quoted = reference.to_string().replace('\\', "\\\\").replace('"', "\\\"");
            Template::parse(format!("{{{{ \"{quoted}\" }}}}").into_bytes(), &options, schemes)
        }
        Parsed::Wrong(found) => Err(found),
        Parsed::Other => Err(vec![not_a_reference(text)]),
    }
}

/// `text` names no secret. It may be one, so it is not repeated.
pub(super) fn not_a_reference(text: &str) -> Diagnostic {
    Diagnostic::error(Span::new(0, text.len()), "this is not a reference")
}

#[cfg(test)]
mod tests {
    use locket_core::Scheme;
    use locket_core::schemes::Fragment;

    use super::*;

    fn schemes() -> Schemes {
        Schemes::new(["op", "file"].map(|name| Scheme {
            name: name.into(),
            bare: name == "op",
            fragment: Fragment::Json,
        }))
    }

    #[test]
    fn a_reference_stands_alone_or_in_braces() {
        for text in [
            "op://vault/item/field",
            " file:///run/token ",
            "{{ op://vault/item/field | trim }}",
            "op://vault/my item/a|b}}c \"d\"#x?y",
        ] {
            let template = template_of(text, &schemes()).unwrap();
            assert_eq!(template.references().len(), 1, "{text}");
        }
        let odd = template_of("op://vault/a|b}}c\\d/e#f", &schemes()).unwrap();
        assert_eq!(odd.references()[0].locator(), "vault/a|b}}c\\d/e");
        assert_eq!(odd.references()[0].fragment(), Some("f"));
    }

    #[test]
    fn a_literal_is_no_reference_and_is_not_repeated() {
        for text in ["hunter2", "https://a.example", "{{ .Values.token }}", ""] {
            let found = template_of(text, &schemes()).unwrap_err();
            assert!(
                found.iter().all(|finding| !finding.message.contains("hunter2")),
                "{found:?}"
            );
        }
        assert!(template_of("opp://vault/item", &schemes()).is_err());
    }
}
