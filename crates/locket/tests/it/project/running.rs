//! A project whose containers run on a real engine for as long as its test.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

use locket_testkit::services::Engine;

use super::{beside, compose, said};
use crate::support::Scene;

/// A project that is brought down with the test.
pub(super) struct Project {
    pub(super) engine: &'static Engine,
    pub(super) scene: Scene,
}

impl Project {
    pub(super) fn new(text: &str, secrets: &[(&str, &str)]) -> Option<Self> {
        let engine = Engine::shared()?;
        let scene = Scene::empty();
        scene.write("compose.yaml", text);
        fs::create_dir(scene.path("secrets")).unwrap();
        for (name, value) in secrets {
            scene.write(&format!("secrets/{name}.txt"), value);
        }
        fs::set_permissions(scene.path("secrets"), fs::Permissions::from_mode(0o700)).unwrap();
        fs::create_dir(scene.path("acked")).unwrap();
        fs::set_permissions(scene.path("acked"), fs::Permissions::from_mode(0o777)).unwrap();
        Some(Self { engine, scene })
    }

    pub(super) fn compose(&self, arguments: &[&str]) -> Output {
        compose(self.engine, self.scene.base(), arguments)
    }

    pub(super) fn up(&self, services: &[&str]) {
        let words = ["up", "--detach", "--wait"].iter().chain(services).copied();
        let up = self.compose(&words.collect::<Vec<_>>());
        assert!(
            up.status.success(),
            "{}{}",
            said(&up),
            said(&self.compose(&["logs"]))
        );
    }

    pub(super) fn rotate(&self, arguments: &[&str]) -> Command {
        let words: Vec<_> = ["rotate"].iter().chain(arguments).copied().collect();
        beside(self.engine, self.scene.base(), &words)
    }

    pub(super) fn secret(&self, name: &str) -> String {
        self.scene.read(&format!("secrets/{name}.txt")).unwrap()
    }

    /// The rows that the dependent was told are written. Looked at before the table: it goes on meanwhile.
    pub(super) fn acked(&self) -> BTreeSet<String> {
        let text = self.scene.read("acked/ids").unwrap_or_default();
        // The last line may be under way.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(str::to_owned).collect()
    }

    pub(super) fn leftovers(&self) -> Vec<String> {
        let entries = fs::read_dir(self.scene.path("secrets")).unwrap().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.filter(|name| name.starts_with('.')).collect()
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        self.compose(&["down", "--volumes", "--timeout", "0"]);
    }
}
