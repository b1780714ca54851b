//! What a start refuses and what comes up later: a template that was not there, another configuration.

use std::cell::Cell;

use super::*;

fn map(scene: &Scene, source: &str, destination: &str) -> Map {
    Map {
        source: scene.path(source),
        destination: scene.path(destination),
        settings: OutputSettings::default(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_template_that_comes_later_makes_no_output_over_another_template() {
    let mut scene = Scene::new();
    scene.mode = Mode::Park;
    scene.fake.set("a", "v");
    scene.template("first", "{{ fake://a }}");
    fs::create_dir(scene.path("conf")).unwrap();
    fs::write(scene.path("conf/own"), "own {{ fake://a }}").unwrap();
    let setup = || {
        let mut setup = scene.setup();
        setup.plan.maps = vec![map(&scene, "in", "conf"), map(&scene, "conf/own", "out/own")];
        setup
    };
    let text = |name: &str| fs::read_to_string(scene.path(name)).ok();
    let ending = scene
        .run_with(setup, async |commands| {
            tokio::time::sleep(SECOND).await;
            assert_eq!(text("out/own").as_deref(), Some("own v"));
            scene.template("own", "over it {{ fake://a }}");
            scene.template("second", "{{ fake://a }}");
            commands.send(Command::Reload).await.unwrap();
            tokio::time::sleep(SECOND).await;
            assert_eq!(text("conf/own").as_deref(), Some("own {{ fake://a }}"));
            assert_eq!(text("conf/second").as_deref(), Some("v"), "others are written");
            assert_eq!(text("out/own").as_deref(), Some("own v"));
            // An edit changes nothing about that.
            scene.template("own", "over it again {{ fake://a }}");
            commands.send(Command::Replan).await.unwrap();
            tokio::time::sleep(SECOND).await;
            assert_eq!(text("conf/own").as_deref(), Some("own {{ fake://a }}"));
        })
        .await;
    assert_eq!(ending.unresolved, [scene.path("conf/own")]);
    assert!(
        ending.why[0].message.contains("is a template"),
        "{:?}",
        ending.why
    );
}

/// Runs an agent whose configuration becomes `later`, and gives what it says of it.
async fn reloaded(scene: &Scene, later: &[(&str, &str)]) -> Vec<String> {
    let is_later = Cell::new(false);
    let setup = || {
        let mut setup = scene.setup();
        if is_later.get() {
            let maps = later.iter();
            setup.plan.maps = maps
                .map(|(source, destination)| map(scene, source, destination))
                .collect();
        }
        setup
    };
    let ending = scene
        .run_with(setup, async |commands| {
            tokio::time::sleep(SECOND).await;
            is_later.set(true);
            for _ in 0..3 {
                commands.send(Command::Reload).await.unwrap();
                tokio::time::sleep(SECOND).await;
            }
        })
        .await;
    ending.why.into_iter().map(|why| why.message).collect()
}

#[tokio::test(start_paused = true)]
async fn a_configuration_read_again_feeds_no_output_to_itself() {
    let mut scene = Scene::new();
    scene.mode = Mode::Park;
    scene.fake.set("a", "v");
    scene.template("t", "{{ fake://a }}");
    let why = reloaded(&scene, &[("in", "in/out")]).await;
    assert!(why[0].contains("lies inside the source"), "{why:?}");
    assert!(!scene.path("in/out").exists());
    assert_eq!(reloaded(&scene, &[("in", "elsewhere")]).await, [""; 0]);
    assert!(scene.path("elsewhere/t").exists());
}

#[tokio::test(start_paused = true)]
async fn a_configuration_read_again_writes_no_two_templates_to_one_place() {
    let mut scene = Scene::new();
    scene.mode = Mode::Park;
    scene.fake.set("a", "v");
    scene.template("t", "one {{ fake://a }}");
    fs::create_dir(scene.path("other")).unwrap();
    fs::write(scene.path("other/t"), "two {{ fake://a }}").unwrap();
    fs::write(scene.path("other/alone"), "{{ fake://a }}").unwrap();
    let why = reloaded(&scene, &[("in", "out"), ("other", "out")]).await;
    assert!(why[0].contains("would both be written"), "{why:?}");
    assert_eq!(scene.output("t").as_deref(), Some("one v"), "it stays as it was");
    assert_eq!(scene.output("alone").as_deref(), Some("v"));
}
