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
