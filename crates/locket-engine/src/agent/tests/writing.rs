//! Outputs that take long, cannot be written, or change with the time.

use std::sync::Mutex;
use std::time::SystemTime;

use locket_core::Clock;

use super::*;

/// A clock that can be set back.
#[derive(Debug)]
struct Adjusted {
    clock: Arc<dyn Clock>,
    back: Mutex<Duration>,
}

impl Clock for Adjusted {
    fn wall(&self) -> SystemTime {
        self.clock.wall() - *self.back.lock().unwrap()
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }
}

/// A hash takes its time, with the clock at work.
#[tokio::test]
async fn a_deadline_gives_up_on_answers_and_not_on_what_is_being_rendered() {
    let mut scene = Scene::new();
    scene.count_changes();
    scene.fake.set("a", "password");
    let names = ["a", "b", "c", "d", "e", "f"];
    for name in names {
        scene.template(name, "{{ fake://a | bcrypt }}");
    }
    let setup = || {
        let mut setup = scene.setup();
        // Much longer than the answer takes, and much shorter than the hashes.
        setup.schedule.deadline = SECOND / 4;
        setup
    };
    let ending = scene.run_with(setup, async |_| {}).await;
    assert_eq!((ending.changed, ending.unresolved.len()), (names.len(), 0));
    assert_eq!(scene.status().state, State::Done);
    assert_eq!(scene.told().len(), names.len());
    for name in names {
        assert!(scene.output(name).is_some_and(|text| text.starts_with("$2")));
    }
}

#[tokio::test]
async fn a_stop_begins_no_further_output() {
    const OUTPUTS: usize = 40;
    let mut scene = Scene::new();
    scene.mode = Mode::Park;
    for name in 0..OUTPUTS {
        // One read answers all.
        scene
            .fake
            .set(&format!("item/{name}"), &format!("password {name}"));
        scene.template(
            &name.to_string(),
            &format!("{{{{ fake://item/{name} | bcrypt }}}}"),
        );
    }
    let ending = scene.run(async |_| tokio::time::sleep(SECOND / 4).await).await;
    assert!(ending.was_stopped);
    let written = fs::read_dir(scene.path("out")).map_or(0, Iterator::count);
    assert!(
        (1..OUTPUTS).contains(&written),
        "what has begun is finished, and nothing else: {written} of {OUTPUTS}"
    );
    // As long as nobody stops it, all of them are.
    scene
        .run(async |_| {
            while scene.status().state != State::Ready {
                tokio::time::sleep(SECOND / 10).await;
            }
        })
        .await;
    assert_eq!(fs::read_dir(scene.path("out")).unwrap().count(), OUTPUTS);
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_written_is_written_when_it_can_be() {
    let mut scene = Scene::new();
    scene.mode = Mode::Park;
    scene.count_changes();
    scene.fake.set("a", "old");
    scene.template("t", "{{ fake://a }}");
    scene
        .run(async |commands| {
            assert_eq!(scene.told_of(1).await.len(), 1);
            fs::remove_file(scene.path("out/t")).unwrap();
            fs::create_dir(scene.path("out/t")).unwrap();
            scene.fake.set("a", "new");
            commands.send(Command::Reload).await.unwrap();
            tokio::time::sleep(SECOND * 1200).await;
            assert_ne!(scene.status().state, State::Ready);
            assert_eq!(scene.told().len(), 1, "nothing has changed yet");
            fs::remove_dir(scene.path("out/t")).unwrap();
            // As long as the longest pause between two tries.
            tokio::time::sleep(SECOND * 301).await;
            assert_eq!(scene.output("t").as_deref(), Some("new"));
            assert_eq!(scene.status().state, State::Ready);
            assert_eq!(scene.told_of(2).await.len(), 2);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_output_that_the_time_changes_is_reported_like_any_other() {
    let mut scene = Scene::new();
    scene.mode = Mode::Park;
    scene.count_changes();
    scene.fake.set("seed", "JBSWY3DPEHPK3PXP");
    scene.template("code", "{{ fake://seed | totp }}");
    scene
        .run(async |_| {
            assert_eq!(scene.told_of(1).await.len(), 1);
            // Between two periods: nothing is being written now.
            tokio::time::sleep(SECOND * 95).await;
            assert_eq!(scene.told().len(), 1, "another code alone is no news");
            fs::remove_file(scene.path("out/code")).unwrap();
            tokio::time::sleep(SECOND * 31).await;
            assert!(scene.output("code").is_some());
            assert_eq!(scene.told_of(2).await.len(), 2, "that it is there again is");
            fs::remove_file(scene.path("out/code")).unwrap();
            fs::create_dir(scene.path("out/code")).unwrap();
            tokio::time::sleep(SECOND * 31).await;
            assert_eq!(scene.status().state, State::Failed);
            fs::remove_dir(scene.path("out/code")).unwrap();
            tokio::time::sleep(SECOND * 301).await;
            assert_eq!(scene.status().state, State::Ready);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_code_follows_a_clock_that_is_set_back() {
    let mut scene = Scene::new();
    scene.mode = Mode::Park;
    scene.fake.set("seed", "JBSWY3DPEHPK3PXP");
    scene.template("code", "{{ fake://seed | totp }}");
    let clock = Arc::new(Adjusted {
        clock: clock(),
        back: Mutex::default(),
    });
    let (sender, commands) = mpsc::channel(8);
    let mut reload = || None;
    let cx = AgentCx {
        clock: clock.clone(),
        observer: &Silent,
        commands,
        reload: &mut reload,
    };
    let script = async {
        tokio::time::sleep(SECOND).await;
        let before = scene.output("code");
        *clock.back.lock().unwrap() = SECOND * 7200;
        tokio::time::sleep(SECOND * 31).await;
        assert_ne!(scene.output("code"), before, "the code of two hours before");
        sender.send(Command::Stop).await.unwrap();
    };
    tokio::join!(run(scene.setup(), cx), script);
}
