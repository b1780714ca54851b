//! What is deleted with its template, and what is not.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use super::*;
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
