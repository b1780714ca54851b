//! A large map: one round, and no more asked of the engine than there are containers to tell.

use std::fmt::Write;

use locket_testkit::Server;
use locket_testkit::fakes::docker::Docker;

use super::containers::sync;
use super::lines::map;
use crate::support::Scene;

const ROWS: usize = 1000;
const CONTAINERS: usize = 200;
const CHANGED: usize = 50;

#[test]
fn fifty_changes_among_a_thousand_rows_are_one_round_and_one_signal_for_each_container() {
    let docker = Docker::new();
    for container in 0..CONTAINERS {
        docker.add(&format!("c{container}"), "app", &[]);
    }
    let answering = docker.clone();
    let engine = Server::start(move |request| answering.answer(&request));
    let host = engine.url().replace("http://", "tcp://");
    let scene = Scene::new();
    let mut text = String::new();
    for row in 0..ROWS {
        scene.write(&format!("secrets/{row}"), "1");
        writeln!(
            text,
            "file://secrets/{row},BASE/out/{row},,c{},HUP",
            row % CONTAINERS
        )
        .unwrap();
    }
    map(&scene, &text);
    let (code, log) = sync(&scene, &host, &[]);
    assert_eq!(code, 3, "{log}");
    let first = docker.take_told();
    assert_eq!(first.len(), CONTAINERS);
    assert!(first.values().all(|told| told == &["SIGHUP"]), "{first:?}");

    engine.forget();
    // Two rows of each of 25 containers.
    for row in (0..CHANGED / 2).chain(CONTAINERS..CONTAINERS + CHANGED / 2) {
        scene.write(&format!("secrets/{row}"), "2");
    }
    let (code, log) = sync(&scene, &host, &[]);
    assert_eq!(code, 3, "{log}");
    assert!(
        log.contains("1000 outputs, 50 written, 950 unchanged, 0 failing"),
        "{log}"
    );
    let second = docker.take_told();
    assert_eq!(second.len(), CHANGED / 2, "not one signal a row");
    assert!(second.values().all(|told| told == &["SIGHUP"]), "{second:?}");
    assert!(engine.request_count() <= CHANGED, "{}", engine.request_count());
    engine.forget();
    assert_eq!(sync(&scene, &host, &[]).0, 0);
    assert_eq!(engine.request_count(), 0, "what did not change asks nothing");
}
