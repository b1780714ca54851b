//! What the tests of network providers are made of.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use locket_core::{Clock, Environment, FetchCx};
use locket_testkit::ManualClock;

use crate::{BuildCx, Credential, Settings};

/// The surroundings of one instance: settings, environment, a directory of its own, a clock that stands still.
pub(crate) struct Fixture {
    pub(crate) settings: Settings,
    pub(crate) environment: Environment,
    pub(crate) clock: Arc<ManualClock>,
    name: &'static str,
    directory: tempfile::TempDir,
}

impl Fixture {
    /// No settings. The machine's own certificates and the caller's home play no part.
    pub(crate) fn new() -> Self {
        Self {
            settings: Settings::default(),
            environment: [("SSL_CERT_FILE", "/dev/null")].into_iter().collect(),
            clock: Arc::default(),
            name: "test",
            directory: tempfile::tempdir().unwrap(),
        }
    }

    /// The same under the name of an instance.
    pub(crate) fn named(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// The same with one more setting.
    pub(crate) fn set(mut self, name: &'static str, text: &str) -> Self {
        self.settings = self.settings.with(name, text);
        self
    }

    /// The same with one more setting of several texts.
    pub(crate) fn list(mut self, name: &'static str, texts: &[&str]) -> Self {
        self.settings = self.settings.with_list(name, texts.iter().copied());
        self
    }

    /// The same with one more setting of several named texts.
    pub(crate) fn table(mut self, name: &'static str, texts: &[(&str, &str)]) -> Self {
        self.settings = self.settings.with_table(name, texts.iter().copied());
        self
    }

    /// The same with one more setting, which names a file with this content.
    pub(crate) fn set_file(self, name: &'static str, content: &str) -> Self {
        self.write(name, content);
        self.set(name, name)
    }

    /// The same with one more credential, in a file.
    pub(crate) fn set_credential(mut self, name: &'static str, content: &str) -> Self {
        let file = Credential::File(self.write(name, content));
        self.settings = self.settings.with_credential(name, file);
        self
    }

    /// The same with this environment instead.
    pub(crate) fn environment<'a>(mut self, variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        self.environment = variables.into_iter().collect();
        self
    }

    /// Replaces a file by renaming, as a careful writer does.
    pub(crate) fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        let staged = self.path(".staged");
        std::fs::write(&staged, content).unwrap();
        std::fs::rename(staged, &path).unwrap();
        path
    }

    /// A path in the directory that relative settings count from.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// What a provider is built from.
    pub(crate) fn build<T>(&self, build: impl FnOnce(&BuildCx<'_>) -> T) -> T {
        let clock: Arc<dyn Clock> = self.clock.clone();
        build(&BuildCx {
            instance: self.name,
            settings: &self.settings,
            environment: &self.environment,
            base_dir: self.directory.path(),
            clock: &clock,
        })
    }

    /// What surrounds a fetch that has a minute.
    pub(crate) fn fetch_cx(&self) -> FetchCx {
        FetchCx::new(
            self.clock.clone(),
            self.clock.monotonic() + Duration::from_secs(60),
        )
    }
}
