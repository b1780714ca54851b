//! The compiled core, loaded when the first secret is asked for and kept.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use locket_core::{Clock, FetchCx, ProviderError};
use locket_wasm::LoadError;
use locket_wasm::wasmtime::{Engine, Module};

use super::machine::Machine;
use crate::own_file::{self, off_loop};

/// The core's code at a path.
pub(super) struct Code {
    path: PathBuf,
    loaded: OnceLock<(Engine, Module)>,
}

const WHERE_FROM: &str = "Set `op.core` to the file that `cargo xtask op-core` made.";

impl Code {
    pub(super) fn at(path: PathBuf) -> Self {
        Self {
            path,
            loaded: OnceLock::new(),
        }
    }

    /// Has the file loaded, for [`Code::machine`]. A file system that stalls gets few threads.
    ///
    /// # Errors
    /// As for [`Code::machine`]; or there was no time.
    pub(super) async fn load(self: &Arc<Self>, cx: &FetchCx) -> Result<(), ProviderError> {
        if self.loaded.get().is_some() {
            return Ok(());
        }
        let code = Arc::clone(self);
        let loading = off_loop(&self.path, own_file::time_for_files(cx), move || {
            code.loaded().map(drop)
        });
        loading.await.map_err(|why| {
            let error = format!(
                "1Password's core is not loaded from {}: {why}",
                self.path.display()
            );
            ProviderError::new(why.kind(), error).hint(why.advice(&self.path, WHERE_FROM))
        })?
    }

    /// A new instance. Takes a moment: not for the loop.
    ///
    /// # Errors
    /// The file holds no core that this release of locket can run.
    pub(super) fn machine(&self, clock: Arc<dyn Clock>) -> Result<Machine, ProviderError> {
        let (engine, module) = self.loaded()?;
        Machine::new(engine, module, clock).map_err(|error| {
            tracing::debug!("1Password's core does not start: {error}");
            self.unfit()
        })
    }

    /// Ends what instances are doing.
    pub(super) fn stop(&self) {
        if let Some((engine, _)) = self.loaded.get() {
            engine.increment_epoch();
        }
    }

    fn loaded(&self) -> Result<&(Engine, Module), ProviderError> {
        match self.loaded.get() {
            Some(loaded) => Ok(loaded),
            None => {
                let read = self.read()?;
                Ok(self.loaded.get_or_init(|| read))
            }
        }
    }

    fn read(&self) -> Result<(Engine, Module), ProviderError> {
        let engine = locket_wasm::engine()
            .map_err(|error| ProviderError::invalid(format!("no WebAssembly runs here: {error}")))?;
        let module = locket_wasm::load(&engine, &self.path).map_err(|error| match error {
            LoadError::Unfit { .. } => self.unfit(),
            LoadError::Untrusted { .. } => ProviderError::invalid(format!(
                "1Password's core is not loaded: {error}"
            ))
            .hint(
                "It is code: let root or this user own the file, and nobody else write to it (`chmod go-w`).",
            ),
            LoadError::Unreadable { .. } => {
                ProviderError::invalid(format!("1Password's core is not loaded: {error}")).hint(WHERE_FROM)
            }
        })?;
        Ok((engine, module))
    }

    fn unfit(&self) -> ProviderError {
        ProviderError::invalid(format!(
            "{} is not the core of 1Password that this release runs",
            self.path.display()
        ))
        .hint("Make it anew with `cargo xtask op-core` of this release: each wants its own.")
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Code")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
