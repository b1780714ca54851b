//! Env files that are pipes, as a shell makes them for `<(…)`: what they hold comes once, when somebody has written it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use locket_core::plan::{Plan, Secret, Source};
use locket_core::{SecretBuilder, SecretBytes};
use rustix::fs::{Mode, OFlags};
use tokio::net::unix::pipe::Receiver;
use zeroize::Zeroizing;

use super::error::SourceError;

/// Whether any env file of `plan` is a pipe.
pub fn has_pipes(plan: &Plan) -> bool {
    pipes(&plan.secrets).next().is_some()
}

fn pipes(secrets: &[Secret]) -> impl Iterator<Item = &PathBuf> {
    secrets.iter().filter_map(|secret| match &secret.source {
        Source::EnvFile(path) if is_pipe(path) => Some(path),
        _ => None,
    })
}

/// Reads the env files of `plan` that are pipes to their end, within `limit` all together, and keeps in the plan what
/// they held.
///
/// # Errors
/// The first that cannot be read, is too large, or was not written to its end in time.
pub async fn drain(plan: &mut Plan, limit: Duration) -> Result<(), SourceError> {
    let Plan {
        secrets,
        piped,
        max_file_size,
        ..
    } = plan;
    // They are read one after the other, so that the one in question is known when the time is over.
    let mut current = Path::new("");
    let reading = async {
        for path in pipes(secrets) {
            current = path;
            if !piped.contains_key(path) {
                let text = read(path, *max_file_size).await?;
                piped.insert(path.clone(), Arc::new(text));
            }
        }
        Ok(())
    };
    match tokio::time::timeout(limit, reading).await {
        Ok(read) => read,
        Err(_) => Err(SourceError::Unwritten { path: current.into() }),
    }
}

fn is_pipe(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_fifo())
}

/// Everything until the last writer is gone. As long as there was none, the system tells of nothing.
async fn read(path: &Path, limit: u64) -> Result<SecretBytes, SourceError> {
    let unreadable = |error: io::Error| SourceError::unreadable(path, &error);
    // A pipe without a writer is opened nevertheless.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let pipe: File = rustix::fs::open(path, flags, Mode::empty())
        .map_err(|error| unreadable(error.into()))?
        .into();
    let pipe = Receiver::from_file_unchecked(pipe).map_err(unreadable)?;
    let mut text = SecretBuilder::with_capacity(4096);
    let mut chunk = Zeroizing::new([0; 4096]);
    loop {
        pipe.readable().await.map_err(unreadable)?;
        match pipe.try_read(chunk.as_mut_slice()) {
            Ok(0) => return Ok(text.finish()),
            Ok(count) => text.extend(&chunk[..count]),
            // It only looked ready.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(error)),
        }
        let size = text.len() as u64;
        if size > limit {
            let path = path.into();
            return Err(SourceError::TooLarge { path, size, limit });
        }
    }
}
