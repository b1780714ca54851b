//! `REF/*`: every key becomes a file, and stays one as long as the key is there.

use locket_core::glob::{Pattern, Selection};
use locket_core::plan::{OutputSettings, Secret, Source};

use super::*;

/// A plan with a file in `out` for every key of `text`.
fn every(scene: &Scene, text: &str, prefix: &str, exclude: &[&str]) -> Setup {
    let mut setup = scene.setup();
    setup.plan.maps.clear();
    setup.plan.secrets.push(Secret {
        place: locket_core::plan::Place::File,
        name: "*".to_owned(),
        source: Source::Every {
            text: text.to_owned(),
            prefix: prefix.to_owned(),
        },
        settings: OutputSettings {
            on_error: scene.on_error,
            select: Selection {
                include: vec![],
                exclude: exclude.iter().map(|text| Pattern::parse(text).unwrap()).collect(),
            },
            ..OutputSettings::default()
        },
    });
    setup
}

async fn one_shot(scene: &Scene, setup: impl Fn() -> Setup) -> Ending {
    scene.run_with(setup, async |_| {}).await
}

fn files(scene: &Scene) -> Vec<String> {
    let Ok(entries) = fs::read_dir(scene.path("out")) else {
        return vec![];
    };
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test(start_paused = true)]
async fn every_key_becomes_a_file_by_one_read() {
    let scene = Scene::new();
    for (name, value) in [
        ("app/user", "ann"),
        ("app/pass", "s3cret"),
        ("app/skip", "x"),
        ("other", "y"),
    ] {
        scene.fake.set(name, value);
    }
    let ending = one_shot(&scene, || every(&scene, "fake://app/*", "db-", &["skip"])).await;
    assert_eq!((ending.unresolved, ending.changed), (vec![], 2));
    assert_eq!(files(&scene), ["db-pass", "db-user"]);
    assert_eq!(scene.output("db-pass").as_deref(), Some("s3cret"));
    assert_eq!(scene.fake.calls().len(), 1, "one read for all keys");
    assert_eq!(scene.status().outputs, 2);
    let again = one_shot(&scene, || every(&scene, "fake://app/*", "db-", &["skip"])).await;
    assert_eq!(again, Ending::default(), "an unchanged round changes nothing");
}

#[tokio::test(start_paused = true)]
async fn members_of_a_json_value_become_files() {
    let scene = Scene::new();
    scene
        .fake
        .set("config", r#"{"db": {"user": "ann", "port": 5432, "none": null}}"#);
    let ending = one_shot(&scene, || every(&scene, "fake://config#db/*", "", &[])).await;
    assert_eq!(ending.unresolved, Vec::<PathBuf>::new());
    assert_eq!(files(&scene), ["port", "user"]);
    assert_eq!(scene.output("port").as_deref(), Some("5432"));
}

#[tokio::test(start_paused = true)]
async fn keys_that_come_and_go_are_followed_at_the_refresh() {
    let mut scene = Scene::new();
    scene.mode = Mode::Park;
    scene.fake.set("app/one", "1");
    scene.fake.set("app/two", "2");
    scene
        .run_with(
            || every(&scene, "fake://app/*", "", &[]),
            async |_| {
                tokio::time::sleep(SECOND).await;
                assert_eq!(files(&scene), ["one", "two"]);
                scene.fake.unset("app/two");
                scene.fake.set("app/three", "3");
                tokio::time::sleep(SECOND * 3601).await;
                assert_eq!(
                    files(&scene),
                    ["one", "three", "two"],
                    "a vanished key has its respite"
                );
                assert_eq!(scene.status().state, State::Ready);
                tokio::time::sleep(SECOND * 15).await;
                assert_eq!(files(&scene), ["one", "three"]);
                // All at once is a mistake of somebody: nothing is deleted, and it shows.
                scene.fake.unset("app/one");
                scene.fake.unset("app/three");
                tokio::time::sleep(SECOND * 4000).await;
                assert_eq!(files(&scene), ["one", "three"]);
                assert_eq!(scene.status().state, State::Stale);
            },
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_vanished_keys_file_that_somebody_changed_stays() {
    let mut scene = Scene::new();
    scene.mode = Mode::Park;
    scene.fake.set("app/one", "1");
    scene.fake.set("app/two", "2");
    scene
        .run_with(
            || every(&scene, "fake://app/*", "", &[]),
            async |_| {
                tokio::time::sleep(SECOND).await;
                scene.fake.unset("app/two");
                tokio::time::sleep(SECOND * 3601).await;
                fs::write(scene.path("out/two"), "mine").unwrap();
                tokio::time::sleep(SECOND * 20).await;
                assert_eq!(scene.output("two").as_deref(), Some("mine"));
            },
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn keys_without_a_safe_name_and_taken_names_are_refused_by_name_and_the_others_come() {
    let scene = Scene::new();
    scene.fake.set("app/a/b", "x");
    scene.fake.set("app/..", "x");
    scene.fake.set("app/good", "v");
    scene.fake.set("app/taken", "v");
    let setup = || {
        let mut setup = every(&scene, "fake://app/*", "", &[]);
        setup.plan.secrets.push(Secret {
            place: locket_core::plan::Place::File,
            name: "taken".to_owned(),
            source: Source::Inline {
                name: "taken".to_owned(),
                text: "own".to_owned(),
            },
            settings: OutputSettings::default(),
        });
        setup
    };
    let ending = one_shot(&scene, setup).await;
    assert_eq!(ending.unresolved.len(), 1);
    assert_eq!(files(&scene), ["good", "taken"]);
    assert_eq!(scene.output("taken").as_deref(), Some("own"));
    let status = scene.status();
    assert_eq!(status.state, State::Failed);
    for name in ["a/b", "..", "taken"] {
        let told = |failing: &crate::state::Failing| failing.reason.contains(&format!("`{name}`"));
        assert!(status.failing.iter().any(told), "{name}: {status:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wildcard_that_fails_is_an_output_that_is_not_in_place() {
    let scene = Scene::new();
    scene.fake.fail(Some(ProviderError::denied("permission denied")));
    let ending = one_shot(&scene, || every(&scene, "fake://app/*", "", &[])).await;
    assert_eq!(ending.unresolved.len(), 1);
    let status = scene.status();
    assert_eq!(status.state, State::Failed);
    assert_eq!(status.failing[0].reference.as_deref(), Some("fake://app/*"));
}

#[tokio::test(start_paused = true)]
async fn an_optional_wildcard_may_be_missing_and_not_denied() {
    let scene = Scene::new();
    let optional = || every(&scene, "fake://app/*?optional", "", &[]);
    scene
        .fake
        .fail(Some(ProviderError::not_found("there is no such item")));
    assert_eq!(one_shot(&scene, optional).await, Ending::default());
    scene.fake.fail(Some(ProviderError::denied("permission denied")));
    assert_eq!(one_shot(&scene, optional).await.unresolved.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_outage_keeps_the_files_of_all_keys() {
    let mut scene = Scene::new();
    scene.mode = Mode::Park;
    scene.fake.set("app/one", "1");
    scene
        .run_with(
            || every(&scene, "fake://app/*", "", &[]),
            async |_| {
                tokio::time::sleep(SECOND).await;
                scene
                    .fake
                    .fail(Some(ProviderError::unavailable("connection refused")));
                tokio::time::sleep(SECOND * 3700).await;
                assert_eq!(scene.output("one").as_deref(), Some("1"));
                assert_eq!(scene.status().state, State::Stale);
                scene.fake.set("app/two", "2");
                scene.fake.fail(None);
                tokio::time::sleep(SECOND * 301).await;
                assert_eq!(files(&scene), ["one", "two"]);
                assert_eq!(scene.status().state, State::Ready);
            },
        )
        .await;
}
