//! Containers of Podman, through its socket and by its program.

use std::process::Command;

use locket_testkit::services::Podman;

use super::containers::{LISTENER, sync};
use super::lines::map;
use crate::support::{Scene, eventually};

/// Hides the sockets of engines that the machine may have; what Podman itself keeps in `/run` stays.
const ALONE: &str = "
    kept=$1; shift
    mkdir -p $kept && mount --rbind /run $kept && mount -t tmpfs tmpfs /run
    for name in runc crun libpod; do
        if [ -d $kept/$name ]; then mkdir /run/$name && mount --bind $kept/$name /run/$name; fi
    done
    exec \"$@\"
";

fn times(podman: &Podman, line: &str) -> usize {
    podman
        .run(&["logs", "app"])
        .lines()
        .filter(|known| *known == line)
        .count()
}

#[test]
fn podman_is_told_through_its_socket_and_by_its_program() {
    let Some(mut podman) = Podman::new() else { return };
    podman.start("app", LISTENER);
    eventually("the container listens", || times(&podman, "ready") == 1);
    let scene = Scene::new();
    scene.write("secrets/a", "1");
    map(
        &scene,
        "file://secrets/a,BASE/out/a,,app,HUP\nfile://secrets/a,BASE/out/b,,app,USR1\n",
    );

    // By the program alone: no engine listens where this round looks.
    let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", podman.bin().display());
    let by_program = || {
        let mut round = scene.locket([
            "sync",
            "map.csv",
            "--state-dir",
            "state",
            "--notify-timeout",
            "9s",
        ]);
        round.env("PATH", &path);
        let mut alone = Command::new("unshare");
        alone
            .args(["--mount", "sh", "-c", ALONE, "sh"])
            .arg(scene.path("kept"))
            .arg(round.get_program())
            .args(round.get_args())
            .current_dir(scene.base())
            .env_clear()
            .env("PATH", &path);
        let output = alone.output().unwrap();
        (
            output.status.code().unwrap_or(-1),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let told = || (times(&podman, "got HUP"), times(&podman, "got USR1"));
    let (code, log) = by_program();
    assert_eq!(code, 3, "{log}");
    eventually("both signals arrive once", || told() == (1, 1));
    let (code, log) = by_program();
    assert_eq!(code, 0, "{log}");

    let socket = format!("unix://{}", podman.serve().display());
    let told = || (times(&podman, "got HUP"), times(&podman, "got USR1"));
    scene.write("secrets/a", "2");
    let (code, log) = sync(&scene, &socket, &[]);
    assert_eq!(code, 3, "{log}");
    eventually("both arrive once more", || told() == (2, 2));
    map(&scene, "file://secrets/a,BASE/out/c,,nobody,HUP\n");
    let (code, log) = sync(&scene, &socket, &[]);
    assert_eq!(code, 3, "{log}");
    assert!(log.contains("there is no container nobody"), "{log}");
    assert_eq!(told(), (2, 2));
}
