//! Templates: text stays text, places are true, and no error tells a value.

use std::sync::Arc;
use std::time::SystemTime;

use super::check::{are_placed, lies_in, schemes};
use super::reference::written_back;
use crate::filter::HashMemo;
use crate::template::{Delimiters, Problem, RenderCx, Rendered, Resolution, TemplateOptions};
use crate::{Fetched, ProviderError, SecretBytes, Template};

/// What begins every value, so that it is known where it must not be.
const CANARY: &str = "canary-4f7a-";

/// Marks, the value of every secret, a byte 0xFE and the template.
///
/// The first byte chooses the marks, the second what becomes of the references.
pub fn template(data: &[u8]) {
    let [marks, fate, rest @ ..] = data else {
        return;
    };
    let mut parts = rest.splitn(2, |byte| *byte == 0xfe);
    let (Some(value), Some(source)) = (parts.next(), parts.next()) else {
        return;
    };
    stays_verbatim(source);
    let (open, close) =
        [("{{", "}}"), ("<%", "%>"), ("<", ">"), ("@", "@"), ("«", "»")][usize::from(marks % 5)];
    let Ok(delimiters) = Delimiters::new(open, close) else {
        return;
    };
    let options = TemplateOptions {
        delimiters,
        verbatim: false,
    };
    let template = match Template::parse(source.to_vec(), &options, &schemes()) {
        Ok(template) => template,
        Err(found) => {
            assert!(
                found.iter().any(crate::Diagnostic::is_error),
                "a refusal has a reason"
            );
            return are_placed(&found, source);
        }
    };
    assert_eq!(template.source(), source);
    are_placed(template.warnings(), source);
    assert!(template.warnings().iter().all(|warning| !warning.is_error()));
    for reference in template.references() {
        lies_in(reference.span(), source);
        written_back(reference);
    }
    // Three quarters of a second for each hash is no work for a fuzzer.
    if !template.is_slow() {
        rendered(&template, value, *fate, open);
    }
}

/// What `render = false` copies is the same to the last byte.
fn stays_verbatim(source: &[u8]) {
    let options = TemplateOptions {
        verbatim: true,
        ..TemplateOptions::default()
    };
    let copied = Template::parse(source.to_vec(), &options, &schemes())
        .ok()
        .and_then(|template| render(&template, &[]).ok());
    assert!(copied.is_some_and(|copied| copied.bytes.matches(source)));
}

fn rendered(template: &Template, value: &[u8], fate: u8, open: &str) {
    let source = template.source();
    let value = [CANARY.as_bytes(), value].concat();
    // Every second value is there without its canary: more filters have something to say about it.
    let value = if fate & 1 == 0 {
        &value[..]
    } else {
        &value[CANARY.len()..]
    };
    let resolution = |index: usize| match (usize::from(fate) >> 1).wrapping_add(index) % 4 {
        0 => Resolution::Failed(Arc::new(ProviderError::not_found("there is none"))),
        1 if fate & 0x80 != 0 => Resolution::Failed(Arc::new(ProviderError::denied("not for you"))),
        _ => Resolution::Value(Arc::new(Fetched::new(SecretBytes::copy_from(value)))),
    };
    let resolutions: Vec<_> = (0..template.references().len()).map(resolution).collect();
    match render(template, &resolutions) {
        Ok(output) => {
            if template.references().is_empty() {
                is_text(&output, source, open);
            }
            let mut end = 0;
            for range in &output.volatile {
                assert!(end <= range.start && range.end <= output.bytes.len());
                end = range.end;
            }
            assert_eq!(output.volatile.is_empty(), output.valid_until.is_none());
        }
        Err(errors) => {
            assert!(!errors.is_empty() && !template.references().is_empty());
            let told_by_source = contains(source, CANARY.as_bytes());
            for error in errors {
                lies_in(error.span, source);
                let told = match &error.problem {
                    Problem::Unsuitable(text) => text.contains(CANARY),
                    Problem::Unresolved(_) => false,
                };
                assert!(!told || told_by_source, "{error:?} tells the value");
            }
        }
    }
}

/// Without references the output is the source, except for backslashes before opening marks.
fn is_text(output: &Rendered, source: &[u8], open: &str) {
    if !contains(source, open.as_bytes()) {
        assert!(output.bytes.matches(source), "a text without marks is changed");
        return;
    }
    #[expect(clippy::disallowed_methods, reason = "the fuzzer's own bytes are compared")]
    let bytes = output.bytes.expose();
    let plain = |bytes: &[u8]| -> Vec<u8> { bytes.iter().copied().filter(|byte| *byte != b'\\').collect() };
    assert!(
        plain(bytes) == plain(source),
        "a text loses more than backslashes"
    );
}

pub(super) fn render(
    template: &Template,
    resolutions: &[Resolution],
) -> Result<Rendered, Vec<crate::template::RenderError>> {
    let mut cx = RenderCx {
        schemes: &schemes(),
        now: SystemTime::UNIX_EPOCH,
        present: None,
        memo: &mut HashMemo::default(),
    };
    template.render(resolutions, &mut cx)
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
