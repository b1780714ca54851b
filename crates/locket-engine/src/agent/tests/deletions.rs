//! What is deleted with its template, and what is not.

use std::cell::Cell;
use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering};

use locket_core::schemes::Fragment;
use locket_core::{Locator, Provider, Scheme, Schemes};
use rustix::fs::{FlockOperation, flock};

use super::*;
use crate::instances::{Instance, Instances};
use crate::testing::as_nobody;

#[test]
fn outputs_of_templates_that_are_out_of_sight_are_kept_and_called_stale() {
    as_nobody(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build();
        runtime.unwrap().block_on(out_of_sight());
    });
}

async fn out_of_sight() {
    let mut scene = Scene::new();
    scene.mode = Mode::Park;
    scene.fake.set("s", "v");
    let directory = scene.path("in/sub");
    fs::create_dir(&directory).unwrap();
    for name in ["a", "sub/b", "sub/c"] {
        scene.template(name, "{{ fake://s }}");
    }
    let set_mode = |mode| fs::set_permissions(&directory, Permissions::from_mode(mode)).unwrap();
    scene
        .run(async |commands| {
            let reload = async |seconds| {
                commands.send(Command::Reload).await.unwrap();
                tokio::time::sleep(SECOND * seconds).await;
            };
            tokio::time::sleep(SECOND).await;
            assert_eq!(scene.status().state, State::Ready);
            set_mode(0);
            reload(60).await;
            let status = scene.status();
            assert_eq!(status.state, State::Stale, "{status:?}");
            let targets: Vec<_> = status
                .failing
                .iter()
                .map(|failing| failing.target.clone())
                .collect();
            assert_eq!(targets, [scene.path("out/sub/b"), scene.path("out/sub/c")]);
            assert!(
                status.failing[0].reason.contains("Permission denied"),
                "{status:?}"
            );
            assert!(status.failing[0].last_success.is_some());
            scene.fake.set("s", "rotated");
            reload(60).await;
            assert_eq!(scene.output("sub/b").as_deref(), Some("rotated"));
            assert_eq!(
                scene.status().failing.len(),
                2,
                "their templates are not in sight yet"
            );
            set_mode(0o700);
            reload(1).await;
            assert_eq!(scene.status().state, State::Ready);
            fs::remove_file(scene.path("in/sub/b")).unwrap();
            reload(60).await;
            assert_eq!(scene.output("sub/b"), None, "that it is gone can be seen");
            assert_eq!(scene.output("sub/c").as_deref(), Some("rotated"));
            assert_eq!(scene.status().state, State::Ready);
        })
        .await;
}

/// Holds up every scan that has listed the templates and comes to one that it did not know.
static IS_SHUT: AtomicBool = AtomicBool::new(false);
static IS_REACHED: AtomicBool = AtomicBool::new(false);

/// Instances whose references are parsed as soon as nobody holds that up.
fn slow_to_parse(fake: &Fake) -> Arc<Instances> {
    let fake = fake.clone();
    let instance = Instance {
        parse: |reference| {
            while IS_SHUT.load(Ordering::SeqCst) {
                IS_REACHED.store(true, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(1));
            }
            Ok(Locator::new(reference.locator(), "", ()))
        },
        parse_every: None,
        build: Box::new(move || Ok(Arc::new(fake.clone()) as Arc<dyn Provider>)),
        limits: Default::default(),
    };
    let schemes = Schemes::new([Scheme {
        name: "fake".into(),
        bare: true,
        fragment: Fragment::Json,
    }]);
    Arc::new(Instances::new(schemes, [("fake".into(), instance)]))
}

/// Lets the agent work in real time, with the clock at rest.
async fn breathe(milliseconds: u64) {
    tokio::task::spawn_blocking(move || std::thread::sleep(Duration::from_millis(milliseconds)))
        .await
        .unwrap();
}

/// Runs an agent whose configuration stays as it is, so that `Replan` has the templates looked at again and that is all.
async fn unchanging(observer: &dyn Observer, setup: Setup, script: impl AsyncFnOnce(mpsc::Sender<Command>)) {
    let (sender, commands) = mpsc::channel(8);
    let cx = AgentCx {
        clock: clock(),
        observer,
        commands,
        reload: &mut || None,
    };
    let script = async {
        script(sender.clone()).await;
        sender.send(Command::Stop).await.unwrap();
    };
    tokio::join!(run(setup, cx), script);
}

#[tokio::test(start_paused = true)]
async fn a_template_that_came_back_during_a_slow_look_keeps_its_output() {
    // The look under way when the time is over, and the one that was to decide and does not know of a later change.
    for begins_before in [true, false] {
        let mut scene = Scene::new();
        scene.mode = Mode::Park;
        scene.fake.set("s", "v");
        for name in ["back", "gone", "slow"] {
            scene.template(name, "{{ fake://s }}");
        }
        let setup = Setup {
            instances: slow_to_parse(&scene.fake),
            ..scene.setup()
        };
        unchanging(&Silent, setup, async |commands| {
            let look = async || commands.send(Command::Replan).await.unwrap();
            tokio::time::sleep(SECOND).await;
            let before = stamp(&scene.path("out/back"));
            for name in ["back", "gone"] {
                fs::remove_file(scene.path("in").join(name)).unwrap();
            }
            look().await;
            tokio::time::sleep(SECOND * 5).await;
            IS_SHUT.store(true, Ordering::SeqCst);
            scene.template("slow", "another {{ fake://s }}");
            if begins_before {
                look().await;
                breathe(50).await;
            }
            tokio::time::advance(SECOND * 10).await;
            while !IS_REACHED.load(Ordering::SeqCst) {
                breathe(5).await;
            }
            breathe(50).await;
            scene.template("back", "{{ fake://s }}");
            if !begins_before {
                look().await;
                breathe(50).await;
            }
            IS_SHUT.store(false, Ordering::SeqCst);
            tokio::time::sleep(SECOND * 60).await;
            assert_eq!(scene.output("gone"), None, "a later look decides");
            assert_eq!(scene.output("slow").as_deref(), Some("another v"));
            assert_eq!(stamp(&scene.path("out/back")), before, "{begins_before}");
            IS_REACHED.store(false, Ordering::SeqCst);
        })
        .await;
    }
}

/// Counts how often the dispatcher turns, which it is asked about each time.
#[derive(Default)]
struct Turns(Cell<usize>);

impl Observer for Turns {
    fn template(&self, _: &str, _: &[u8], _: &[Diagnostic]) {}

    fn pulse_interval(&self) -> Option<Duration> {
        self.0.set(self.0.get() + 1);
        None
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_looks_again_and_again_for_a_deletion_that_has_to_wait_for_writing() {
    let mut scene = Scene::new();
    scene.mode = Mode::Park;
    scene.count_changes();
    scene.fake.set("s", "v");
    for name in ["gone", "stays"] {
        scene.template(name, "{{ fake://s }}");
    }
    let turns = Turns::default();
    unchanging(&turns, scene.setup(), async |commands| {
        scene.told_of(2).await;
        tokio::time::sleep(SECOND).await;
        fs::remove_file(scene.path("in/gone")).unwrap();
        commands.send(Command::Replan).await.unwrap();
        tokio::time::sleep(SECOND).await;
        // Whoever writes waits for the journal.
        let journal = File::open(scene.path("state/notify.lock")).unwrap();
        flock(&journal, FlockOperation::LockExclusive).unwrap();
        scene.fake.set("s", "new");
        commands.send(Command::Reload).await.unwrap();
        breathe(100).await;
        turns.0.take();
        tokio::time::advance(SECOND * 20).await;
        breathe(300).await;
        let while_writing = turns.0.take();
        assert_eq!(
            scene.output("stays").as_deref(),
            Some("v"),
            "it is not written yet"
        );
        drop(journal);
        tokio::time::sleep(SECOND * 5).await;
        assert_eq!(scene.output("stays").as_deref(), Some("new"));
        assert_eq!(
            scene.output("gone"),
            None,
            "the end of the writing is the time for it"
        );
        assert!(while_writing <= 10, "{while_writing} turns");
    })
    .await;
}
