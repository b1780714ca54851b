//! `--cleanup`: what this run wrote goes with it.

use super::*;

fn cleaning(scene: &Scene) -> Setup {
    Setup {
        at_end: AtEnd::CleanUp,
        ..scene.setup()
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_written_is_removed_and_what_somebody_changed_stays() {
    let mut scene = Scene::new();
    scene.mode = Mode::Park;
    scene.fake.set("a", "v");
    fs::create_dir(scene.path("in/sub")).unwrap();
    for name in ["one", "two", "sub/three"] {
        scene.template(name, "{{ fake://a }}");
    }
    fs::create_dir(scene.path("out")).unwrap();
    fs::write(scene.path("out/foreign"), "mine").unwrap();
    scene
        .run_with(
            || cleaning(&scene),
            async |_| {
                tokio::time::sleep(SECOND).await;
                assert_eq!(scene.output("one").as_deref(), Some("v"));
                fs::write(scene.path("out/two"), "changed").unwrap();
            },
        )
        .await;
    let left = ["one", "two", "sub/three", "foreign"].map(|name| scene.output(name));
    let left = left.each_ref().map(|text| text.as_deref());
    assert_eq!(left, [None, Some("changed"), None, Some("mine")]);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_fails_after_its_start_leaves_nothing_either() {
    let mut scene = Scene::new();
    scene.mode = Mode::Park;
    scene.on_error = OnError::Error;
    scene.fake.set("a", "v");
    scene.template("good", "{{ fake://a }}");
    scene.template("bad", "{{ fake://nowhere }}");
    let ending = ends_by_itself(cleaning(&scene)).await;
    assert_eq!(ending.unresolved, [scene.path("out/bad")]);
    assert_eq!(scene.output("good"), None);
    ends_by_itself(scene.setup()).await;
    assert_eq!(
        scene.output("good").as_deref(),
        Some("v"),
        "without the option it stays"
    );
}

async fn ends_by_itself(setup: Setup) -> Ending {
    let (_sender, commands) = mpsc::channel(8);
    let mut reload = || None;
    let cx = AgentCx {
        clock: clock(),
        observer: &Silent,
        commands,
        reload: &mut reload,
    };
    run(setup, cx).await
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_is_switched_as_a_whole_goes_as_a_whole() {
    let mut scene = Scene::new();
    scene.mode = Mode::Park;
    scene.template("a", "x");
    let setup = || {
        let mut setup = cleaning(&scene);
        setup.plan.maps[0].settings.atomic = true;
        setup
    };
    scene
        .run_with(setup, async |_| {
            tokio::time::sleep(SECOND).await;
            assert_eq!(scene.output("a").as_deref(), Some("x"));
        })
        .await;
    assert_eq!(fs::read_dir(scene.path("out")).unwrap().count(), 0);
}
