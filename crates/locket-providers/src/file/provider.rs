//! Reads files of this machine. It must never wait at one, and never change what it reads.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use locket_core::schemes::Fragment;
use locket_core::{BoxFuture, Capability, FetchCx, Fetched, Locator, Provider, ProviderError, SecretBytes};

use super::locator::{FilePath, parse};
use super::read::{ReadError, read_regular};
use crate::batch::off_loop;
use crate::{BuildCx, ConfigError, ProviderKind, SchemeSpec};

/// Plain files.
pub static KIND: ProviderKind = ProviderKind {
    name: "file",
    title: "plain files",
    summary: "Files of this machine, such as Docker secrets",
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
    parse,
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
        let paths: Vec<_> = batch
            .iter()
            .map(|locator| locator.typed::<FilePath>().map(|path| path.0.clone()))
            .collect();
        let (base_dir, count) = (self.base_dir.clone(), batch.len());
        Box::pin(off_loop(count, move || {
            paths.into_iter().map(|path| fetch_one(&base_dir, path)).collect()
        }))
    }
}

fn fetch_one(base_dir: &Path, path: Option<PathBuf>) -> Result<Fetched, ProviderError> {
    let path = path.ok_or_else(|| ProviderError::invalid("the reference was parsed by another provider"))?;
    match read_regular(&base_dir.join(&path), LIMIT) {
        Ok(file) => Ok(Fetched::new(SecretBytes::copy_from(&file.bytes))),
        Err(error) => Err(explain(base_dir, &path, &error)),
    }
}

fn explain(base_dir: &Path, path: &Path, error: &ReadError) -> ProviderError {
    let context = format!("the file {} {error}", path.display());
    match error {
        ReadError::Missing if path.is_relative() => ProviderError::not_found(context).hint(format!(
            "Relative paths count from {}; write `file:///…` for an absolute one.",
            base_dir.display()
        )),
        ReadError::Missing => ProviderError::not_found(context),
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
