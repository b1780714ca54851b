//! `atomic = true`: a directory is switched as a whole, or stays as a whole.

use super::*;
use crate::sink::LINK;

fn atomic(scene: &Scene) -> Setup {
    let mut setup = scene.setup();
    setup.plan.maps[0].settings.atomic = true;
    setup
}

fn generation(scene: &Scene) -> PathBuf {
    fs::read_link(scene.path("out").join(LINK)).unwrap()
}

/// What is in the destination.
fn names(scene: &Scene) -> Vec<String> {
    let entries = fs::read_dir(scene.path("out")).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn pair(scene: &Scene, cert: &str, key: &str) {
    scene.fake.set("cert", cert);
    scene.fake.set("key", key);
    scene.template("tls.crt", "{{ fake://cert }}");
    scene.template("tls.key", "{{ fake://key }}");
}

#[tokio::test(start_paused = true)]
async fn a_directory_is_switched_in_one_step_and_tells_once() {
    let mut scene = Scene::new();
    scene.mode = Mode::Park;
    scene.count_changes();
    pair(&scene, "c1", "k1");
    fs::create_dir(scene.path("in/sub")).unwrap();
    scene.template("sub/x", "fixed");
    scene
        .run_with(
            || atomic(&scene),
            async |commands| {
                assert_eq!(scene.told_of(3).await.len(), 3);
                assert_eq!(scene.output("tls.key").as_deref(), Some("k1"));
                assert_eq!(scene.output("sub/x").as_deref(), Some("fixed"));
                let before = generation(&scene);
                tokio::time::sleep(SECOND * 3601).await;
                assert_eq!(generation(&scene), before, "an unchanged round does nothing");
                pair(&scene, "c2", "k2");
                commands.send(Command::Reload).await.unwrap();
                let told = scene.told_of(5).await;
                assert_eq!(scene.output("tls.crt").as_deref(), Some("c2"));
                assert_ne!(generation(&scene), before);
                let paths =
                    ["tls.crt", "tls.key"].map(|name| scene.path("out").join(name).display().to_string());
                assert_eq!(told[3..], paths, "only what changed");
                assert_eq!(scene.status().state, State::Ready);
            },
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn one_missing_value_keeps_the_whole_directory_as_it_was() {
    let mut scene = Scene::new();
    scene.mode = Mode::Park;
    pair(&scene, "c1", "k1");
    scene
        .run_with(
            || atomic(&scene),
            async |commands| {
                tokio::time::sleep(SECOND).await;
                pair(&scene, "c2", "k2");
                scene.fake.unset("key");
                commands.send(Command::Reload).await.unwrap();
                tokio::time::sleep(SECOND).await;
                assert_eq!(
                    scene.output("tls.crt").as_deref(),
                    Some("c1"),
                    "no new certificate with an old key"
                );
                let status = scene.status();
                assert_eq!(status.state, State::Stale);
                assert_eq!(status.failing.len(), 2, "{status:?}");
                scene.fake.set("key", "k2");
                commands.send(Command::Reload).await.unwrap();
                tokio::time::sleep(SECOND).await;
                assert_eq!(scene.output("tls.crt").as_deref(), Some("c2"));
                assert_eq!(scene.output("tls.key").as_deref(), Some("k2"));
                assert_eq!(scene.status().state, State::Ready);
            },
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_before_everything_is_there() {
    let scene = Scene::new();
    pair(&scene, "c1", "k1");
    scene.template("broken", "{{ fkae://x }}");
    let ending = scene.run_with(|| atomic(&scene), async |_| {}).await;
    assert_eq!(ending.unresolved.len(), 3, "{ending:?}");
    assert_eq!(scene.output("tls.crt"), None);
}

#[tokio::test(start_paused = true)]
async fn a_mistake_in_an_optional_template_leaves_its_output_in_place() {
    let mut scene = Scene::new();
    scene.mode = Mode::Park;
    scene.on_error = OnError::Ignore;
    pair(&scene, "c1", "k1");
    scene.template("never", "{{ fkae://x }}");
    scene
        .run_with(
            || atomic(&scene),
            async |commands| {
                tokio::time::sleep(SECOND).await;
                let before = generation(&scene);
                scene.fake.set("cert", "c2");
                scene.template("tls.key", "{{ fkae://key }}");
                commands.send(Command::Reload).await.unwrap();
                tokio::time::sleep(SECOND).await;
                assert_ne!(generation(&scene), before, "the others are switched");
                assert_eq!(scene.output("tls.crt").as_deref(), Some("c2"));
                assert_eq!(scene.output("tls.key").as_deref(), Some("k1"));
                assert_eq!(scene.output("never"), None, "there was nothing to leave");
                assert_eq!(scene.status().state, State::Ready);
                scene.template("tls.key", "new {{ fake://key }}");
                commands.send(Command::Reload).await.unwrap();
                tokio::time::sleep(SECOND).await;
                assert_eq!(scene.output("tls.key").as_deref(), Some("new k1"));
            },
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_vanished_template_leaves_with_the_next_switch() {
    let mut scene = Scene::new();
    scene.mode = Mode::Watch;
    pair(&scene, "c1", "k1");
    scene
        .run_with(
            || atomic(&scene),
            async |commands| {
                tokio::time::sleep(SECOND).await;
                fs::remove_file(scene.path("in/tls.key")).unwrap();
                commands.send(Command::Reload).await.unwrap();
                tokio::time::sleep(SECOND * 5).await;
                assert_eq!(
                    scene.output("tls.key").as_deref(),
                    Some("k1"),
                    "it has its respite"
                );
                tokio::time::sleep(SECOND * 30).await;
                assert_eq!(scene.output("tls.key"), None);
                assert_eq!(scene.output("tls.crt").as_deref(), Some("c1"));
            },
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_removal_is_told_when_the_directory_is_switched_and_not_before() {
    let mut scene = Scene::new();
    scene.mode = Mode::Park;
    scene.count_changes();
    pair(&scene, "c1", "k1");
    scene.template("old", "fixed");
    scene
        .run_with(
            || atomic(&scene),
            async |commands| {
                assert_eq!(scene.told_of(3).await.len(), 3);
                scene.fake.unset("key");
                fs::remove_file(scene.path("in/old")).unwrap();
                commands.send(Command::Reload).await.unwrap();
                tokio::time::sleep(SECOND * 60).await;
                assert_eq!(
                    scene.output("old").as_deref(),
                    Some("fixed"),
                    "the key holds it up"
                );
                assert_eq!(scene.told_of(3).await.len(), 3);
                scene.fake.set("key", "k1");
                commands.send(Command::Reload).await.unwrap();
                let told = scene.told_of(4).await;
                assert_eq!(told[3..], [scene.path("out/old").display().to_string()]);
                assert_eq!(scene.output("old"), None);
                assert_eq!(scene.output("tls.key").as_deref(), Some("k1"));
            },
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn the_last_mistaken_template_holds_no_removal_up() {
    let mut scene = Scene::new();
    scene.mode = Mode::Park;
    scene.on_error = OnError::Ignore;
    pair(&scene, "c1", "k1");
    scene
        .run_with(
            || atomic(&scene),
            async |commands| {
                tokio::time::sleep(SECOND).await;
                scene.template("tls.key", "{{ fkae://key }}");
                fs::remove_file(scene.path("in/tls.crt")).unwrap();
                commands.send(Command::Reload).await.unwrap();
                tokio::time::sleep(SECOND * 60).await;
                assert_eq!(scene.output("tls.crt"), None);
                assert_eq!(scene.output("tls.key").as_deref(), Some("k1"));
            },
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_the_configuration_does_not_name_any_more_goes_as_a_whole() {
    let mut scene = Scene::new();
    scene.mode = Mode::Park;
    scene.count_changes();
    pair(&scene, "c1", "k1");
    let is_named = Cell::new(true);
    let setup = || {
        let mut setup = atomic(&scene);
        if !is_named.get() {
            setup.plan.maps.clear();
        }
        setup
    };
    scene
        .run_with(setup, async |commands| {
            assert_eq!(scene.told_of(2).await.len(), 2);
            fs::write(scene.path("out/foreign"), "mine").unwrap();
            is_named.set(false);
            commands.send(Command::Reload).await.unwrap();
            tokio::time::sleep(SECOND * 5).await;
            assert_eq!(scene.output("tls.key").as_deref(), Some("k1"), "its respite");
            assert_eq!(scene.told().len(), 2);
            tokio::time::sleep(SECOND * 30).await;
            assert_eq!(names(&scene), ["foreign"]);
            let paths = ["tls.crt", "tls.key"].map(|name| scene.path("out").join(name).display().to_string());
            assert_eq!(scene.told_of(4).await[2..], paths);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_there_is_not_called_removed_when_another_changed_it() {
    let mut scene = Scene::new();
    scene.mode = Mode::Park;
    scene.count_changes();
    pair(&scene, "c1", "k1");
    let is_named = Cell::new(true);
    let setup = || {
        let mut setup = atomic(&scene);
        if !is_named.get() {
            setup.plan.maps.clear();
        }
        setup
    };
    scene
        .run_with(setup, async |commands| {
            assert_eq!(scene.told_of(2).await.len(), 2);
            is_named.set(false);
            commands.send(Command::Reload).await.unwrap();
            tokio::time::sleep(SECOND).await;
            fs::write(scene.path("out/tls.key"), "another's").unwrap();
            tokio::time::sleep(SECOND * 60).await;
            assert_eq!(scene.output("tls.key").as_deref(), Some("another's"));
            assert_eq!(scene.told_of(2).await.len(), 2);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_is_not_switched_any_more_keeps_no_generation() {
    let mut scene = Scene::new();
    scene.mode = Mode::Park;
    pair(&scene, "c1", "k1");
    scene.template("old", "fixed");
    let is_atomic = Cell::new(true);
    let setup = || {
        let mut setup = scene.setup();
        setup.plan.maps[0].settings.atomic = is_atomic.get();
        setup
    };
    let is_link = |name: &str| scene.path("out").join(name).is_symlink();
    scene
        .run_with(setup, async |commands| {
            tokio::time::sleep(SECOND).await;
            is_atomic.set(false);
            scene.fake.unset("key");
            fs::remove_file(scene.path("in/old")).unwrap();
            commands.send(Command::Reload).await.unwrap();
            tokio::time::sleep(SECOND * 60).await;
            assert_eq!(scene.output("tls.crt").as_deref(), Some("c1"));
            assert!(!is_link("tls.crt"));
            assert_eq!(
                scene.output("tls.key").as_deref(),
                Some("k1"),
                "it is read through its link"
            );
            scene.fake.set("key", "k1");
            commands.send(Command::Reload).await.unwrap();
            tokio::time::sleep(SECOND).await;
            assert_eq!(names(&scene), ["tls.crt", "tls.key"]);
            assert_eq!(scene.output("tls.key").as_deref(), Some("k1"));
            is_atomic.set(true);
            commands.send(Command::Reload).await.unwrap();
            tokio::time::sleep(SECOND).await;
            assert!(is_link("tls.crt") && is_link("tls.key"));
            is_atomic.set(false);
            scene.fake.unset("key");
            commands.send(Command::Reload).await.unwrap();
            tokio::time::sleep(SECOND).await;
            assert_eq!(
                scene.output("tls.key").as_deref(),
                Some("k1"),
                "the file that it was before does not count"
            );
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_one_directory_is_refused_at_the_start() {
    let scene = Scene::new();
    scene.template("a", "x");
    let passthrough = || {
        let mut setup = atomic(&scene);
        setup.plan.maps[0].settings.on_error = OnError::Passthrough;
        setup
    };
    let shared = || {
        let mut setup = atomic(&scene);
        let mut other = setup.plan.maps[0].clone();
        other.settings.atomic = false;
        other.source = scene.path("in/a");
        other.destination = scene.path("out/b");
        setup.plan.maps.push(other);
        setup
    };
    let file = || {
        let mut setup = atomic(&scene);
        setup.plan.maps[0].source = scene.path("in/a");
        setup
    };
    let setups: [&dyn Fn() -> Setup; 3] = [&passthrough, &shared, &file];
    for setup in setups {
        let ending = scene.run_with(setup, async |_| {}).await;
        assert_eq!(ending.refused.len(), 1, "{ending:?}");
        assert!(!scene.path("out").exists());
    }
}
