//! Orders that come while a run that is over still tells its consumers.

use super::*;
use crate::notify::{Courier, Delivery};

/// Never reaches anybody, and says when it tried for the first time.
#[derive(Debug)]
struct Deaf(mpsc::UnboundedSender<()>);

impl Courier for Deaf {
    fn deliver<'a>(
        &'a self,
        _: &'a Action,
        _: &'a [PathBuf],
    ) -> locket_core::BoxFuture<'a, Result<Delivery, String>> {
        Box::pin(async {
            let _ = self.0.send(());
            Err("nobody is at home".to_owned())
        })
    }
}

/// Runs a single round whose consumer is never reached, and gives how it ended and after what time. `is_stopped` says
/// whether somebody asks it to stop as soon as the consumer was tried.
async fn round(is_stopped: bool) -> (Ending, Duration) {
    let mut scene = Scene::new();
    scene.fake.set("a", "v");
    scene.template("t", "{{ fake://a }}");
    scene.actions = vec![Action::parse("exec:true").unwrap()];
    let (tried, mut tries) = mpsc::unbounded_channel();
    let courier = Arc::new(Deaf(tried));
    let setup = || {
        let mut setup = scene.setup();
        setup.notifier.courier = courier.clone();
        setup
    };
    let start = tokio::time::Instant::now();
    let ending = scene
        .run_with(setup, async |orders| {
            tries.recv().await;
            if is_stopped {
                orders.send(Command::Stop).await.unwrap();
            }
        })
        .await;
    assert_eq!(
        scene.output("t").as_deref(),
        Some("v"),
        "what was to be written is"
    );
    (ending, start.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_single_round_stops_when_told_to_while_it_tells_its_consumers() {
    let (ending, took) = round(true).await;
    assert_eq!((ending.was_stopped, ending.untold.len()), (true, 1));
    assert!(took < SECOND * 10, "it took {took:?}");
    // Nobody stops this one: it tries for as long as it may.
    let (ending, took) = round(false).await;
    assert_eq!((ending.was_stopped, ending.untold.len()), (false, 1));
    assert!(took >= SECOND * 300, "it took {took:?}");
}
