//! What whoever hides secrets knows of them, and when.

use super::*;
use crate::mask::{Hidden, Masker};

fn shown(hidden: &Hidden, text: &str) -> String {
    let (mut masker, mut out) = (Masker::new(hidden.masks().unwrap()), Vec::new());
    masker.feed(text.as_bytes(), &mut out);
    masker.flush(&mut out);
    String::from_utf8(out).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_secret_in_place_is_hidden_before_and_without_a_generation() {
    let mut scene = Scene::new();
    scene.mode = Mode::Park;
    scene.fake.set("a", "first-secret");
    scene.template("good", "{{ fake://a }}");
    scene.template("bad", "{{ fake://b }}");
    let hidden = Arc::new(Hidden::new(Hidden::SHORTEST));
    let (to, mut generations) = mpsc::unbounded_channel();
    let handover = Handover {
        to,
        hidden: Some(hidden.clone()),
    };
    let setup = || Setup {
        handover: Some(handover.clone()),
        ..scene.setup()
    };
    let both = "first-secret, second-secret";
    let script = async |commands: mpsc::Sender<Command>| {
        tokio::time::sleep(SECOND * 70).await;
        assert_eq!(scene.output("good").as_deref(), Some("first-secret"));
        assert_eq!(shown(&hidden, both), "********, second-secret");
        scene.fake.set("a", "second-secret");
        commands.send(Command::Reload).await.unwrap();
        tokio::time::sleep(SECOND).await;
        assert_eq!(scene.output("good").as_deref(), Some("second-secret"));
        assert_eq!(shown(&hidden, both), "********, ********");
        assert!(
            generations.try_recv().is_err(),
            "something is missing all the time"
        );
        scene.fake.set("b", "other-secret");
        commands.send(Command::Reload).await.unwrap();
        tokio::time::sleep(SECOND).await;
        assert!(generations.try_recv().is_ok());
        assert_eq!(shown(&hidden, both), "********, ********");
    };
    scene.run_with(setup, script).await;
}
