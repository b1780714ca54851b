//! From a file to a template and the secrets that it names.

use std::fs::{self, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use locket_core::template::{KnownTags, TemplateOptions};
use locket_core::{Diagnostic, Reference, Template};
use locket_sys::irregular;
use rustc_hash::FxHashMap;

use super::error::SourceError;
use crate::instances::Instances;
use crate::resolve::SecretKey;

/// A template and what its references name.
#[derive(Debug)]
pub struct Parsed {
    /// The template.
    pub template: Template,
    /// One key for each of [`Template::references`], in their order.
    pub keys: Vec<SecretKey>,
}

/// What was read of templates, once for each distinct tag and reference: templates share most of theirs.
#[derive(Debug, Default)]
pub(crate) struct Located {
    tags: KnownTags,
    keys: FxHashMap<Reference, SecretKey>,
}

impl Located {
    fn key(&mut self, reference: &Reference, instances: &Instances) -> Result<SecretKey, Vec<Diagnostic>> {
        if let Some(key) = self.keys.get(reference) {
            return Ok(key.clone());
        }
        let key = instances.locate(reference)?;
        self.keys.insert(reference.clone(), key.clone());
        Ok(key)
    }
}

/// Parses a template and finds what its references name.
pub(crate) fn parse(
    name: &str,
    text: &Arc<[u8]>,
    options: &TemplateOptions,
    instances: &Instances,
    located: &mut Located,
) -> Result<Arc<Parsed>, Arc<SourceError>> {
    let wrong = |found| {
        Err(Arc::new(SourceError::Template {
            name: name.to_owned(),
            text: text.clone(),
            found,
        }))
    };
    let template = match Template::parse_beside(text.clone(), options, instances.schemes(), &mut located.tags)
    {
        Ok(template) => template,
        Err(found) => return wrong(found),
    };
    let mut keys = Vec::with_capacity(template.references().len());
    let mut found: Vec<Diagnostic> = Vec::new();
    for reference in template.references() {
        match located.key(reference, instances) {
            Ok(key) => keys.push(key),
            Err(errors) => found.extend(errors),
        }
    }
    if found.is_empty() {
        Ok(Arc::new(Parsed { template, keys }))
    } else {
        wrong(found)
    }
}

/// What a text is taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// A regular file: what comes through anything else cannot be looked at again.
    File,
    /// A device, too, as `/dev/null` is one for whoever wants an empty text.
    Device,
}

/// The text of a template, and what its file was when it was read.
pub(super) fn read(path: &Path, from: From, limit: u64) -> Result<(Vec<u8>, Metadata), SourceError> {
    let unreadable = |error: io::Error| SourceError::unreadable(path, &error);
    // A pipe that takes the file's place must not hang the agent.
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::CLOEXEC;
    let file = fs::OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
        .map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    // Of a pipe that nobody writes to, nothing would be read, as if it were an empty file.
    if let Some(what) = irregular::what(metadata.mode())
        && !(from == From::Device && metadata.file_type().is_char_device())
    {
        let path = path.into();
        return Err(SourceError::NotRegular { path, what });
    }
    if metadata.len() > limit {
        return Err(SourceError::TooLarge {
            path: path.into(),
            size: metadata.len(),
            limit,
        });
    }
    let mut text = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0) + 1);
    file.take(limit + 1).read_to_end(&mut text).map_err(unreadable)?;
    if text.len() as u64 > limit {
        return Err(SourceError::TooLarge {
            path: path.into(),
            size: text.len() as u64,
            limit,
        });
    }
    Ok((text, metadata))
}
