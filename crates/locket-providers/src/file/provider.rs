//! Reads files of this machine. It must never wait at one, and never change what it reads.

use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use locket_core::schemes::Fragment;
use locket_core::{
    BoxFuture, Capability, FetchCx, Fetched, Locator, Members, Provider, ProviderError, Reach, Referenced,
    SecretBytes,
};

use super::locator::{FilePath, FilesOf, parse, parse_every};
use super::read::{ReadError, read_regular};
use crate::batch::off_loop;
use crate::{BuildCx, ConfigError, Facts, ProviderKind, SchemeSpec};

/// Plain files.
pub static KIND: ProviderKind = ProviderKind {
    name: "file",
    title: "plain files",
    summary: "Files of this machine, such as Docker secrets",
    facts: Facts::LOCAL,
    schemes: &[SchemeSpec {
        name: "file",
        bare: false,
        fragment: Fragment::Json,
    }],
    prefix: "file",
    settings: &[],
    network: false,
    named_only: false,
    runs_programs: false,
    touches: |cx| Reach {
        referenced: Some(Referenced {
            base: cx.base_dir.to_owned(),
            path: |locator| {
                let one = locator.typed::<FilePath>().map(|path| path.0.clone());
                one.or_else(|| Some(locator.typed::<FilesOf>()?.directory.clone()))
            },
        }),
        ..Reach::default()
    },
    parse,
    parse_every: Some(parse_every),
    build,
};

/// Larger files are refused: a secret of this size is a mistake.
const LIMIT: usize = 16 << 20;

#[derive(Debug)]
struct FileProvider {
    base_dir: PathBuf,
}

fn build(cx: &BuildCx<'_>) -> Result<Arc<dyn Provider>, ConfigError> {
    Ok(Arc::new(FileProvider {
        base_dir: cx.base_dir.to_owned(),
    }))
}

impl Provider for FileProvider {
    fn capability(&self) -> Capability {
        Capability {
            items_per_call: 1024,
            max_concurrent: 4,
            local: true,
        }
    }

    fn fetch<'a>(
        &'a self,
        batch: &'a [Locator],
        _cx: &'a FetchCx,
    ) -> BoxFuture<'a, Vec<Result<Fetched, ProviderError>>> {
        let wanted = |locator: &Locator| {
            let one = locator
                .typed::<FilePath>()
                .map(|path| Wanted::One(path.0.clone()));
            one.or_else(|| locator.typed::<FilesOf>().cloned().map(Wanted::Every))
        };
        let batch: Vec<_> = batch.iter().map(wanted).collect();
        let (base_dir, count) = (self.base_dir.clone(), batch.len());
        Box::pin(off_loop(count, move || {
            let fetch = |wanted| match wanted {
                Some(Wanted::One(path)) => fetch_one(&base_dir, &path),
                Some(Wanted::Every(files)) => fetch_every(&base_dir, &files),
                None => Err(ProviderError::invalid(
                    "the reference was parsed by another provider",
                )),
            };
            batch.into_iter().map(fetch).collect()
        }))
    }
}

/// What is read.
enum Wanted {
    One(PathBuf),
    Every(FilesOf),
}

fn fetch_one(base_dir: &Path, path: &Path) -> Result<Fetched, ProviderError> {
    match read_regular(&base_dir.join(path), LIMIT) {
        Ok(file) => Ok(Fetched::new(SecretBytes::copy_from(&file.bytes))),
        Err(error) => Err(explain(base_dir, path, &error)),
    }
}

/// Every file of a directory, links to files among them. Names with a dot in front are left out unless the prefix
/// has it, as in a shell.
fn fetch_every(base_dir: &Path, files: &FilesOf) -> Result<Fetched, ProviderError> {
    let directory = base_dir.join(&files.directory);
    let shown = directory.display();
    let unlisted = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => ProviderError::not_found(format!("the directory {shown} does not exist")),
        ErrorKind::PermissionDenied => {
            ProviderError::denied(format!("the directory {shown} may not be listed"))
        }
        ErrorKind::NotADirectory => ProviderError::invalid(format!("{shown} is not a directory"))
            .hint("The members of a JSON file are read with `file://…#*`."),
        _ => ProviderError::unavailable(format!("the directory {shown} cannot be listed: {error}")),
    };
    let mut members = Vec::new();
    for entry in std::fs::read_dir(&directory).map_err(unlisted)? {
        let name = entry.map_err(unlisted)?.file_name();
        let Some(key) = name.as_bytes().strip_prefix(files.prefix.as_bytes()) else {
            continue;
        };
        if key.is_empty() || files.prefix.is_empty() && key.starts_with(b".") {
            continue;
        }
        let path = files.directory.join(&name);
        match read_regular(&base_dir.join(&path), LIMIT) {
            Ok(file) => {
                let value = Fetched::new(SecretBytes::copy_from(&file.bytes));
                members.push((String::from_utf8_lossy(key).into_owned(), value));
            }
            // Gone since it was listed, a directory, a link to nothing.
            Err(ReadError::Missing | ReadError::NotRegular(_)) => {}
            Err(error) => return Err(explain(base_dir, &path, &error)),
        }
    }
    members.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(Fetched::every(Members::new(members)))
}

fn explain(base_dir: &Path, path: &Path, error: &ReadError) -> ProviderError {
    let context = format!("the file {} {error}", path.display());
    match error {
        ReadError::Missing if path.is_relative() => ProviderError::not_found(context).hint(format!(
            "Relative paths count from {}; write `file:///…` for an absolute one.",
            base_dir.display()
        )),
        ReadError::Missing => ProviderError::not_found(context),
        ReadError::Denied if locket_sys::landlock::denies_reading(&base_dir.join(path)) => {
            ProviderError::denied(context).hint(locket_sys::landlock::ADVICE)
        }
        ReadError::Denied => ProviderError::denied(context).hint(format!(
            "Let uid {} read the file and pass every directory on the way to it.",
            rustix::process::geteuid().as_raw()
        )),
        ReadError::NotRegular(_) | ReadError::Path(_) => ProviderError::invalid(context),
        ReadError::TooLarge { .. } => {
            ProviderError::invalid(context).hint("Is this the file you meant? A secret is rarely that large.")
        }
        ReadError::Changing | ReadError::Io(_) => ProviderError::unavailable(context),
    }
}
