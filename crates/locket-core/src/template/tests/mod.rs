//! What templates promise: reading, errors, rendering, and all of it for any bytes.

mod errors;
mod properties;
mod reading;
mod rendering;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Delimiters, Problem, RenderCx, RenderError, Rendered, Resolution, Template, TemplateOptions};
use crate::filter::HashMemo;
use crate::schemes::{Fragment, Scheme};
use crate::{Diagnostic, Fetched, ProviderError, Schemes, SecretBytes};

/// `op` and `store` count without braces, `env` does not, and fragments of `sops` are its own.
fn schemes() -> Schemes {
    let scheme = |name: &str, bare, fragment| Scheme {
        name: name.into(),
        bare,
        fragment,
    };
    Schemes::new([
        scheme("op", true, Fragment::Json),
        scheme("store", true, Fragment::Json),
        scheme("env", false, Fragment::Json),
        scheme("sops", true, Fragment::Own),
    ])
}

fn parse(source: impl AsRef<[u8]>) -> Result<Template, Vec<Diagnostic>> {
    Template::parse(source.as_ref(), &TemplateOptions::default(), &schemes())
}

fn template(source: impl AsRef<[u8]>) -> Template {
    let source = source.as_ref();
    parse(source).unwrap_or_else(|found| panic!("{:?}: {found:#?}", String::from_utf8_lossy(source)))
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn value(bytes: impl AsRef<[u8]>) -> Resolution {
    Resolution::Value(Arc::new(Fetched::new(SecretBytes::copy_from(bytes.as_ref()))))
}

fn failed(error: ProviderError) -> Resolution {
    Resolution::Failed(Arc::new(error))
}

/// Renders with the values of `store`, by reference as it is displayed; any other reference is not found.
fn render_with(template: &Template, store: &[(&str, Resolution)]) -> Result<Rendered, Vec<RenderError>> {
    let store: HashMap<_, _> = store.iter().cloned().collect();
    let resolutions: Vec<_> = template
        .references()
        .iter()
        .map(|reference| {
            let known = store.get(reference.to_string().as_str()).cloned();
            known.unwrap_or_else(|| failed(ProviderError::not_found("no such secret")))
        })
        .collect();
    let mut cx = RenderCx {
        schemes: &schemes(),
        now: at(59),
        present: None,
        memo: &mut HashMemo::default(),
    };
    template.render(&resolutions, &mut cx)
}

/// The output in the open: test values are no secrets.
fn open(rendered: &Rendered) -> Vec<u8> {
    #[expect(clippy::disallowed_methods, reason = "test values are no secrets")]
    rendered.bytes.expose().to_vec()
}

/// `source` becomes `expected`, where `op://v/a` is `A`, `op://v/b` is `B`, and `op://v/json` is a document.
#[track_caller]
fn becomes(source: impl AsRef<[u8]>, expected: impl AsRef<[u8]>) {
    let (source, expected) = (source.as_ref(), expected.as_ref());
    let store = [
        ("op://v/a", value("A")),
        ("op://v/b", value("B")),
        ("op://v/json", value(r#"{"a": {"b": [1.50, "two"]}}"#)),
        ("op://v/json#a.b.1", value(r#"{"a": {"b": [1.50, "two"]}}"#)),
    ];
    let rendered = render_with(&template(source), &store).unwrap_or_else(|errors| panic!("{errors:?}"));
    let output = open(&rendered);
    assert!(
        output == expected,
        "{:?} became {:?} instead of {:?}",
        String::from_utf8_lossy(source),
        String::from_utf8_lossy(&output),
        String::from_utf8_lossy(expected)
    );
}
