//! What is foretold is what then happens, and foretelling it writes nothing.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use locket_core::plan::{Map, OutputSettings, Plan};
use locket_core::template::TemplateOptions;

use super::{Asking, Limits, PlannedOutput, Preview, Verdict, foresee, preview};
use crate::instances::{InstanceLimits, Instances};
use crate::once;
use crate::resolve::Budgets;
use crate::sources::PlanError;
use crate::testing::{Fake, clock};

const LIMITS: Limits = Limits {
    request: Duration::from_secs(1),
    deadline: Duration::from_secs(2),
};

struct Scene {
    directory: tempfile::TempDir,
    fake: Fake,
}

impl Scene {
    fn new(templates: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("in")).unwrap();
        for (name, text) in templates {
            std::fs::write(directory.path().join("in").join(name), text).unwrap();
        }
        Self {
            directory,
            fake: Fake::default(),
        }
    }

    fn put(&self, name: &str, text: &str, mode: u32) {
        use std::os::unix::fs::PermissionsExt;
        let out = self.directory.path().join("out");
        std::fs::create_dir_all(&out).unwrap();
        std::fs::write(out.join(name), text).unwrap();
        std::fs::set_permissions(out.join(name), std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn plan(&self) -> Plan {
        let map = Map {
            source: self.directory.path().join("in"),
            destination: self.directory.path().join("out"),
            settings: OutputSettings::default(),
        };
        Plan {
            maps: vec![map],
            max_file_size: 1 << 20,
            ..Plan::default()
        }
    }

    async fn preview(&self, asking: Asking) -> Preview {
        self.preview_of(&self.fake.instances(), asking).await
    }

    async fn preview_of(&self, instances: &Arc<Instances>, asking: Asking) -> Preview {
        preview(&self.plan(), instances, &clock(), asking, LIMITS).await
    }

    /// Every path below the scene, with what is in it.
    fn everything(&self) -> BTreeMap<String, Vec<u8>> {
        let mut found = BTreeMap::new();
        collect(self.directory.path(), &mut found);
        found
    }
}

fn collect(directory: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(directory).unwrap().flatten() {
        let path = entry.path();
        found.insert(
            path.display().to_string(),
            std::fs::read(&path).unwrap_or_default(),
        );
        if path.is_dir() {
            collect(&path, found);
        }
    }
}

fn verdicts(preview: &Preview) -> Vec<&'static str> {
    let name = |verdict: &Verdict| match verdict {
        Verdict::Create => "create",
        Verdict::Change => "change",
        Verdict::Access => "access",
        Verdict::Keep => "keep",
        Verdict::Unknown => "unknown",
        Verdict::Unresolved(_) => "unresolved",
        Verdict::Unusable(_) => "unusable",
        Verdict::Unwritable { .. } => "unwritable",
    };
    preview
        .outputs
        .iter()
        .map(|output| name(&output.verdict))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn each_output_is_compared_with_what_is_in_place() {
    let scene = Scene::new(&[
        ("a", "{{fake://x}}!"),
        ("b", "{{fake://x}}!"),
        ("c", "{{fake://x}}!"),
        ("d", "{{fake://x}}!"),
        ("e", "{{fake://none}}!"),
        ("f", "{{fake://x | uper}}"),
        ("g", "{{fake://x}}!"),
    ]);
    scene.fake.set("x", "new");
    scene.put("b", "old!", 0o600);
    scene.put("c", "new!", 0o600);
    scene.put("d", "new!", 0o644);
    std::fs::create_dir(scene.directory.path().join("out/g")).unwrap();
    let found = scene.preview(Asking::Ask).await;
    assert_eq!(
        verdicts(&found),
        [
            "create",
            "change",
            "keep",
            "access",
            "unresolved",
            "unusable",
            "unwritable"
        ]
    );
    assert!(found.would_change());
    assert_eq!(found.failing().count(), 3);
    assert_eq!(scene.fake.calls().len(), 2, "each item once");
    assert_eq!((found.costs[0].items, found.costs[0].calls), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn without_asking_only_what_needs_no_secret_is_judged() {
    let scene = Scene::new(&[("a", "{{fake://x}}"), ("b", "plain")]);
    let found = scene.preview(Asking::Leave).await;
    assert_eq!(verdicts(&found), ["unknown", "create"]);
    assert!(scene.fake.calls().is_empty());
    assert_eq!(
        found.costs[0].calls, 1,
        "what it would cost is known all the same"
    );
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_has_no_place_is_told_without_asking() {
    let scene = Scene::new(&[("a", "{{fake://x}}"), ("b", "{{fake://x}}")]);
    std::fs::create_dir_all(scene.directory.path().join("out/b")).unwrap();
    let found = scene.preview(Asking::Leave).await;
    assert_eq!(verdicts(&found), ["unknown", "unwritable"]);
    assert!(scene.fake.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn mistakes_of_a_plan_and_of_its_templates_are_told_together_and_nobody_is_made() {
    let scene = Scene::new(&[
        ("a", "{{fake://x}}"),
        ("b", "{{fake://x | uper}}"),
        ("c", "{{fake://x}}"),
    ]);
    std::fs::create_dir_all(scene.directory.path().join("out/c")).unwrap();
    let before = scene.everything();
    let missing = Map {
        source: scene.directory.path().join("nowhere"),
        destination: scene.directory.path().join("other"),
        settings: OutputSettings::default(),
    };
    let mut plan = scene.plan();
    let right = foresee(&plan, &scene.fake.instances(), &clock());
    assert!(right.refused.is_empty());
    plan.maps.push(missing);
    let found = foresee(&plan, &scene.fake.instances(), &clock());
    assert!(
        matches!(&found.refused[..], [PlanError::NoSource { .. }]),
        "{:?}",
        found.refused
    );
    let named = |output: &PlannedOutput| output.path.file_name().unwrap().to_owned();
    let unusable: Vec<_> = found.unusable().map(|(output, _)| named(output)).collect();
    let unwritable: Vec<_> = found.unwritable().map(|(output, ..)| named(output)).collect();
    assert_eq!((unusable, unwritable), (vec!["b".into()], vec!["c".into()]));
    assert_eq!(found.left_out().count(), 0, "what is refused is told once");
    assert!(scene.fake.calls().is_empty());
    assert_eq!(scene.everything(), before);
}

#[tokio::test(start_paused = true)]
async fn a_preview_writes_nothing() {
    let scene = Scene::new(&[("a", "{{fake://x}}"), ("b", "{{fake://x | htpasswd \"ada\"}}")]);
    scene.fake.set("x", "v");
    scene.put("b", "something", 0o644);
    let before = scene.everything();
    let found = scene.preview(Asking::Ask).await;
    assert_eq!(verdicts(&found), ["create", "change"]);
    assert_eq!(scene.everything(), before);
    scene.put("c", "", 0o600);
    assert_ne!(
        scene.everything(),
        before,
        "a written file would have been noticed"
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_preview_asked_is_gone_from_the_budget_that_it_tells() {
    let scene = Scene::new(&[("a", "{{fake://x}} {{fake://y}}"), ("b", "{{fake://z}}")]);
    for name in ["x", "y", "z"] {
        scene.fake.set(name, "v");
    }
    let state = scene.directory.path().join("state");
    let limits = InstanceLimits {
        max_concurrent: None,
        daily_budget: Some(5),
    };
    let instances = || {
        let budgets = Budgets::at(state.clone());
        Arc::new(scene.fake.limited(limits).counting(Arc::new(budgets)))
    };
    let spent = |found: &Preview| found.costs[0].spent;
    let offline = scene.preview_of(&instances(), Asking::Leave).await;
    assert_eq!(spent(&offline), 0);
    assert!(!state.exists(), "whoever asks nobody counts nothing");
    let asked = scene.preview_of(&instances(), Asking::Ask).await;
    assert_eq!((scene.fake.calls().len(), spent(&asked)), (3, 3));
    // The next process knows of it.
    assert_eq!(spent(&scene.preview_of(&instances(), Asking::Leave).await), 3);
}

#[tokio::test(start_paused = true)]
async fn a_hash_that_verifies_and_a_code_of_another_time_are_no_change() {
    let scene = Scene::new(&[("a", "{{fake://x | bcrypt}}"), ("b", "{{fake://seed | totp}}")]);
    scene.fake.set("x", "hunter2");
    scene.fake.set("seed", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    let instances = scene.fake.instances();
    let options = TemplateOptions::default();
    let parsed = once::parse("a", b"{{fake://x | bcrypt}}", &options, &instances).unwrap();
    let limit = Duration::from_secs(1);
    let rendered = once::render(&parsed, &instances, &clock(), limit, limit)
        .await
        .unwrap();
    #[expect(clippy::disallowed_methods, reason = "the hash of a test's value")]
    let hash = std::str::from_utf8(rendered.bytes.expose()).unwrap();
    scene.put("a", hash, 0o600);
    scene.put("b", "000000", 0o600);
    assert_eq!(verdicts(&scene.preview(Asking::Ask).await), ["keep", "keep"]);
    scene.fake.set("x", "hunter3");
    assert_eq!(verdicts(&scene.preview(Asking::Ask).await), ["change", "keep"]);
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_a_run_would_refuse_is_refused_before_anybody_is_asked() {
    let scene = Scene::new(&[("a", "{{fake://x}}")]);
    std::fs::remove_dir_all(scene.directory.path().join("in")).unwrap();
    let found = scene.preview(Asking::Ask).await;
    assert_eq!(found.refused.len(), 1);
    assert!(scene.fake.calls().is_empty() && found.outputs.is_empty());
}
