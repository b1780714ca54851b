//! Secrets that are made of other secret files of the project: addresses with a password in them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use locket_core::filter::HashMemo;
use locket_core::provider::Fetched;
use locket_core::schemes::Fragment;
use locket_core::template::{RenderCx, Resolution, TemplateOptions};
use locket_core::{ProviderError, Scheme, Schemes, SecretBytes, Template};

use crate::report::Failure;

/// The files that the template `text` names, joined with `directory`; nothing for one that is none of ours.
pub(in super::super) fn references(text: &[u8], directory: &Path) -> Vec<PathBuf> {
    let Ok(template) = parse(text) else {
        return Vec::new();
    };
    let names = template.references().iter();
    names
        .map(|reference| directory.join(reference.locator()))
        .collect()
}

/// What a text refers to: the scheme, the locator, and whether the text is the value alone.
#[cfg(feature = "command-rotate")]
pub(in super::super) fn places(text: &str) -> Vec<(String, String, bool)> {
    let text = text.trim();
    let options = TemplateOptions::default();
    let Ok(template) = Template::parse(text.as_bytes().to_vec(), &options, &locket_providers::schemes())
    else {
        return Vec::new();
    };
    let inner = text
        .strip_prefix("{{")
        .and_then(|rest| rest.strip_suffix("}}"))
        .unwrap_or(text);
    let inner = inner.trim().trim_matches('"');
    let references = template.references().iter();
    references
        .map(|reference| {
            let is_whole = inner == format!("{}://{}", reference.scheme(), reference.locator());
            let locator = reference.decoded_locator().into_owned();
            (reference.scheme().to_owned(), locator, is_whole)
        })
        .collect()
}

/// What `text` comes out as, each file's content given by `content`.
///
/// # Errors
/// The template has a mistake, or one of its files no content.
pub(in super::super) fn render(
    name: &str,
    text: &[u8],
    directory: &Path,
    now: SystemTime,
    content: &dyn Fn(&Path) -> Result<Option<SecretBytes>, Failure>,
) -> Result<SecretBytes, Failure> {
    let unusable = || {
        Failure::work(format!("the template {name} cannot be rendered"))
            .help("It may hold references to secret files of this project, like `{{ file://secrets/db_password.txt | url }}`.")
    };
    let template = parse(text).map_err(|()| unusable())?;
    let mut resolutions = Vec::new();
    for reference in template.references() {
        let path = directory.join(reference.locator());
        resolutions.push(match content(&path)? {
            Some(value) => Resolution::Value(Arc::new(Fetched::new(value))),
            None => Resolution::Failed(Arc::new(ProviderError::not_found(format!(
                "{} is not there",
                path.display()
            )))),
        });
    }
    let mut memo = HashMemo::default();
    let mut cx = RenderCx {
        schemes: &schemes(),
        now,
        present: None,
        memo: &mut memo,
    };
    let rendered = template.render(&resolutions, &mut cx).map_err(|_| unusable())?;
    Ok(rendered.bytes)
}

fn parse(text: &[u8]) -> Result<Template, ()> {
    Template::parse(text.to_vec(), &TemplateOptions::default(), &schemes()).map_err(|_| ())
}

fn schemes() -> Schemes {
    Schemes::new([Scheme {
        name: "file".into(),
        bare: false,
        fragment: Fragment::Json,
    }])
}
