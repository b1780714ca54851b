//! What an earlier run owed, and to whom the present one still tells it.

use std::sync::Mutex;

use locket_core::Reach;

use super::*;
use crate::notify::{Courier, Delivery};

/// Reaches everybody or nobody, and remembers whom it tried.
#[derive(Debug, Default)]
struct Post {
    is_down: Mutex<bool>,
    tried: Mutex<Vec<String>>,
}

impl Courier for Post {
    fn deliver<'a>(
        &'a self,
        action: &'a Action,
        _: &'a [PathBuf],
    ) -> locket_core::BoxFuture<'a, Result<Delivery, String>> {
        self.tried.lock().unwrap().push(action.to_string());
        let is_down = *self.is_down.lock().unwrap();
        Box::pin(async move {
            match is_down {
                true => Err("nobody is at home".to_owned()),
                false => Ok(Delivery::Told),
            }
        })
    }
}

fn actions(names: &[&str]) -> Vec<Action> {
    names.iter().map(|name| Action::parse(name).unwrap()).collect()
}

/// A scene whose consumers could not be told of its output.
async fn owing(consumers: &[&str]) -> (Scene, Arc<Post>) {
    let mut scene = Scene::new();
    scene.fake.set("a", "v");
    scene.template("t", "{{ fake://a }}");
    scene.actions = actions(consumers);
    let post = Arc::new(Post::default());
    *post.is_down.lock().unwrap() = true;
    let ending = scene.run_with(|| with(&scene, &post), async |_| {}).await;
    assert_eq!(ending.untold, scene.actions);
    *post.is_down.lock().unwrap() = false;
    post.tried.lock().unwrap().clear();
    (scene, post)
}

fn with(scene: &Scene, post: &Arc<Post>) -> Setup {
    let mut setup = scene.setup();
    setup.notifier.courier = post.clone();
    setup
}

fn owed(scene: &Scene) -> String {
    fs::read_to_string(scene.path("state/notify.json")).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_nobody_names_any_more_is_owed_nothing() {
    let (mut scene, post) = owing(&["exec:gone", "exec:here"]).await;
    scene.actions = actions(&["exec:here"]);
    let ending = scene.run_with(|| with(&scene, &post), async |_| {}).await;
    assert_eq!(ending, Ending::default());
    assert_eq!(*post.tried.lock().unwrap(), ["exec:here"]);
    assert_eq!(owed(&scene), "[]");
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_is_named_later_is_told_then() {
    let (mut scene, post) = owing(&["exec:here", "container:late:HUP"]).await;
    scene.mode = Mode::Park;
    scene.actions = actions(&["exec:here"]);
    let has_come = Cell::new(false);
    let setup = || {
        let mut setup = with(&scene, &post);
        setup.surroundings.later.consumers = vec![Reach::default()];
        if has_come.get() {
            setup.actions.extend(actions(&["container:late:HUP"]));
        }
        setup
    };
    let script = async |commands: mpsc::Sender<Command>| {
        tokio::time::sleep(SECOND).await;
        assert_eq!(*post.tried.lock().unwrap(), ["exec:here"]);
        assert_ne!(owed(&scene), "[]");
        has_come.set(true);
        commands.send(Command::Replan).await.unwrap();
        tokio::time::sleep(SECOND).await;
        assert_eq!(
            *post.tried.lock().unwrap(),
            ["exec:here", "container:late:SIGHUP"]
        );
        assert_eq!(owed(&scene), "[]");
    };
    scene.run_with(setup, script).await;
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_could_not_be_told_while_the_round_went_on_is_untold() {
    let (scene, post) = owing(&["exec:here"]).await;
    *post.is_down.lock().unwrap() = true;
    scene.fake.delay(SECOND * 5);
    let setup = || {
        let mut setup = with(&scene, &post);
        setup.notifier.timeout = SECOND;
        setup
    };
    let ending = scene.run_with(setup, async |_| {}).await;
    assert_eq!(ending.untold, scene.actions);
}

/// Goes on with another setup, in which the one consumer cannot be told of an edit; gives what the next run tells.
async fn told_after_a_reload(before: &dyn Fn(&mut Setup), after: &dyn Fn(&mut Setup)) -> Vec<String> {
    let mut scene = Scene::new();
    scene.mode = Mode::Park;
    scene.actions = actions(&["exec:here"]);
    scene.template("t", "one");
    let post = Arc::new(Post::default());
    let is_reloaded = Cell::new(false);
    let setup = || {
        let mut setup = with(&scene, &post);
        match is_reloaded.get() {
            true => after(&mut setup),
            false => before(&mut setup),
        }
        setup
    };
    scene
        .run_with(setup, async |commands| {
            tokio::time::sleep(SECOND).await;
            is_reloaded.set(true);
            commands.send(Command::Replan).await.unwrap();
            tokio::time::sleep(SECOND).await;
            *post.is_down.lock().unwrap() = true;
            scene.template("t", "two");
            commands.send(Command::Replan).await.unwrap();
            tokio::time::sleep(SECOND).await;
        })
        .await;
    *post.is_down.lock().unwrap() = false;
    post.tried.lock().unwrap().clear();
    scene
        .run_with(setup, async |_| tokio::time::sleep(SECOND).await)
        .await;
    let tried = post.tried.lock().unwrap();
    tried.clone()
}

#[tokio::test(start_paused = true)]
async fn what_a_consumer_is_owed_that_a_reload_named_outlives_the_process() {
    let nobody = |setup: &mut Setup| setup.actions.clear();
    assert_eq!(told_after_a_reload(&|_| {}, &|_| {}).await, ["exec:here"]);
    assert_eq!(told_after_a_reload(&nobody, &|_| {}).await, ["exec:here"]);
    assert!(told_after_a_reload(&nobody, &nobody).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_owed_goes_with_the_state_directory() {
    let mut scene = Scene::new();
    scene.mode = Mode::Park;
    scene.actions = actions(&["exec:here"]);
    scene.template("t", "one");
    let post = Arc::new(Post::default());
    *post.is_down.lock().unwrap() = true;
    let (state, moved) = (Cell::new("state"), scene.path("moved"));
    let setup = || Setup {
        state_dir: Some(scene.path(state.get())),
        ..with(&scene, &post)
    };
    let of = |directory: &Path| fs::read_to_string(directory.join("notify.json")).unwrap();
    scene
        .run_with(setup, async |commands| {
            tokio::time::sleep(SECOND).await;
            assert_ne!(owed(&scene), "[]");
            state.set("moved");
            commands.send(Command::Replan).await.unwrap();
            tokio::time::sleep(SECOND).await;
            assert_ne!(of(&moved), "[]");
            assert_eq!(owed(&scene), "[]", "it is owed once");
        })
        .await;
    *post.is_down.lock().unwrap() = false;
    post.tried.lock().unwrap().clear();
    let told = async |_| tokio::time::sleep(SECOND).await;
    scene.run_with(setup, told).await;
    assert_eq!(*post.tried.lock().unwrap(), ["exec:here"]);
    assert_eq!(of(&moved), "[]");
    scene.run_with(setup, told).await;
    assert_eq!(post.tried.lock().unwrap().len(), 1, "and told once");
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_is_told_while_the_state_directory_changes_is_owed_nothing() {
    let mut scene = Scene::new();
    scene.mode = Mode::Park;
    scene.actions = actions(&["exec:here"]);
    scene.template("t", "one");
    let post = Arc::new(Post::default());
    *post.is_down.lock().unwrap() = true;
    let (state, moved) = (Cell::new("state"), scene.path("moved"));
    let setup = || Setup {
        state_dir: Some(scene.path(state.get())),
        ..with(&scene, &post)
    };
    let script = async |commands: mpsc::Sender<Command>| {
        tokio::time::sleep(SECOND).await;
        state.set("moved");
        commands.send(Command::Replan).await.unwrap();
        tokio::time::sleep(SECOND).await;
        *post.is_down.lock().unwrap() = false;
        // It is tried again by then.
        tokio::time::sleep(SECOND * 120).await;
    };
    let ending = scene.run_with(setup, script).await;
    assert!(ending.untold.is_empty());
    assert_eq!(fs::read_to_string(moved.join("notify.json")).unwrap(), "[]");
}
