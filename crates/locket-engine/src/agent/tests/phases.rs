//! What whoever started the agent hears: its phases, and that it turns.

use std::cell::RefCell;

use super::*;

/// Notes every phase with the state it came with, and every pulse.
#[derive(Default)]
struct Listener {
    heard: RefCell<Vec<String>>,
    interval: Option<Duration>,
}

impl Observer for Listener {
    fn template(&self, _: &str, _: &[u8], _: &[Diagnostic]) {}

    fn phase(&self, phase: Phase, status: &Status) {
        self.heard
            .borrow_mut()
            .push(format!("{phase:?}: {:?}", status.state));
    }

    fn pulse_interval(&self) -> Option<Duration> {
        self.interval
    }

    fn pulse(&self) {
        self.heard.borrow_mut().push("pulse".to_owned());
    }
}

async fn listened(
    scene: &Scene,
    listener: &Listener,
    script: impl AsyncFnOnce(mpsc::Sender<Command>),
) -> Ending {
    let (sender, commands) = mpsc::channel(8);
    let mut reload = || Some(scene.setup());
    let cx = AgentCx {
        clock: clock(),
        observer: listener,
        commands,
        reload: &mut reload,
    };
    let script = async {
        script(sender.clone()).await;
        sender.send(Command::Stop).await.unwrap();
    };
    tokio::join!(run(scene.setup(), cx), script).0
}

#[tokio::test(start_paused = true)]
async fn every_phase_is_told_with_what_became_of_the_secrets() {
    let mut scene = Scene::new();
    scene.mode = Mode::Park;
    scene.fake.set("a", "v");
    scene.template("t", "{{ fake://a }}");
    let listener = Listener::default();
    listened(&scene, &listener, async |commands| {
        tokio::time::sleep(SECOND).await;
        commands.send(Command::Reload).await.unwrap();
        tokio::time::sleep(SECOND).await;
        scene.fake.unset("a");
        commands.send(Command::Reload).await.unwrap();
        tokio::time::sleep(SECOND).await;
    })
    .await;
    assert_eq!(
        *listener.heard.borrow(),
        [
            "Starting: Starting",
            "Staying: Ready",
            "Reloading: Ready",
            "Staying: Ready",
            "Reloading: Ready",
            "Staying: Stale",
            "Stopping: Stale",
            "Stopping: Stale",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn the_dispatcher_shows_that_it_turns_and_only_when_somebody_wants_to_know() {
    let mut scene = Scene::new();
    scene.mode = Mode::Park;
    scene.fake.set("a", "v");
    scene.template("t", "{{ fake://a }}");
    let pulses = async |interval| {
        let listener = Listener {
            interval,
            ..Listener::default()
        };
        listened(&scene, &listener, async |_| tokio::time::sleep(SECOND * 95).await).await;
        let heard = listener.heard.into_inner();
        heard.iter().filter(|word| *word == "pulse").count()
    };
    assert_eq!(pulses(Some(SECOND * 10)).await, 10, "at 0, 10, …, 90 seconds");
    assert_eq!(pulses(None).await, 0);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_stuck_shows_no_pulse() {
    let mut scene = Scene::new();
    scene.mode = Mode::Park;
    scene.fake.set("a", "v");
    scene.template("t", "{{ fake://a }}");
    let listener = Listener {
        interval: Some(SECOND),
        ..Listener::default()
    };
    let (_sender, commands) = mpsc::channel(8);
    let mut reload = || None;
    let cx = AgentCx {
        clock: clock(),
        observer: &listener,
        commands,
        reload: &mut reload,
    };
    let mut agent = Box::pin(run(scene.setup(), cx));
    let counted = || {
        let heard = listener.heard.borrow();
        heard.iter().filter(|word| *word == "pulse").count()
    };
    let _ = tokio::time::timeout(SECOND * 3, &mut agent).await;
    let before = counted();
    assert!(before >= 3, "{before}");
    // Nobody polls it, as if one of its steps did not come back.
    tokio::time::sleep(SECOND * 60).await;
    assert_eq!(counted(), before);
    let _ = tokio::time::timeout(SECOND * 3, &mut agent).await;
    assert!(counted() > before);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_could_not_see_all_that_is_asked_for_is_not_healthy() {
    let scene = Scene::new();
    scene.fake.set("a", "v");
    scene.template("t", "{{ fake://a }}");
    let setup = || {
        let mut setup = scene.setup();
        setup.surroundings.unseen = Some(Unseen {
            place: scene.path("out"),
            reason: "nobody answers".to_owned(),
        });
        setup
    };
    scene.run_with(setup, async |_| {}).await;
    assert_eq!(scene.output("t").as_deref(), Some("v"), "what can be had is had");
    let status = scene.status();
    assert_eq!(status.state, State::Failed);
    assert_eq!(status.failing[0].reason, "nobody answers");
    scene.one_shot().await;
    assert_eq!(scene.status().state, State::Done);
}
