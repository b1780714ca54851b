//! The path in a `file://` reference.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use locket_core::{Diagnostic, Locator, Reference};
use percent_encoding::percent_decode_str;

/// A path as written; relative ones count from the instance's base directory.
pub(super) struct FilePath(pub(super) PathBuf);

/// The files of a directory whose names begin like this.
#[derive(Clone)]
pub(super) struct FilesOf {
    /// The directory as written; empty is the base directory.
    pub(super) directory: PathBuf,
    /// How their names begin.
    pub(super) prefix: OsString,
}

/// `file:///directory/*` or `file:///directory/prefix*`. Directories below do not count.
pub(super) fn parse_every(reference: &Reference) -> Result<Locator, Vec<Diagnostic>> {
    parse(reference)?;
    let path: Vec<u8> = percent_decode_str(reference.locator()).collect();
    let start = path.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
    let files = FilesOf {
        directory: OsString::from_vec(path[..start].to_vec()).into(),
        prefix: OsString::from_vec(path[start..].to_vec()),
    };
    Ok(Locator::every(reference.decoded_locator().as_ref(), "", files))
}

/// The path of `reference`, percent-decoded to whatever bytes it has.
pub(super) fn parse(reference: &Reference) -> Result<Locator, Vec<Diagnostic>> {
    reference.check_options(&[])?;
    let bytes: Vec<u8> = percent_decode_str(reference.locator()).collect();
    if bytes.contains(&0) {
        return Err(vec![
            Diagnostic::error(reference.span(), "a path cannot hold a NUL byte")
                .help("Remove the `%00` from the reference."),
        ]);
    }
    Ok(Locator::new(
        reference.decoded_locator().as_ref(),
        "",
        FilePath(OsString::from_vec(bytes).into()),
    ))
}
