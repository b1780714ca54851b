//! A large map: one round, and no more asked of the engine than there are containers to tell.

use std::collections::BTreeMap;
use std::fmt::Write;

use locket_testkit::{Response, Server};
use serde_json::json;

use super::containers::sync;
use super::lines::map;
use crate::support::Scene;

const ROWS: usize = 1000;
const CONTAINERS: usize = 200;
const CHANGED: usize = 50;

#[test]
fn fifty_changes_among_a_thousand_rows_are_one_round_and_one_signal_for_each_container() {
    // What the real engine answers to the two calls that telling a container takes: its shape is the other tests'.
    let engine = Server::start(|request| match request.path.rsplit('/').next() {
        Some("json") => {
            let name = request.path.rsplit('/').nth(1).unwrap_or_default().to_owned();
            let state = json!({"Running": true});
            Response::json(
                200,
                &json!({"Id": name, "State": state, "Config": {"Image": "app", "Labels": {}}}),
            )
        }
        _ => Response::status(204),
    });
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
    let signals = || {
        let mut signals: BTreeMap<String, usize> = BTreeMap::new();
        for request in engine.requests() {
            if request.method == "POST" {
                let name = request.path.rsplit('/').nth(1).unwrap_or_default().to_owned();
                *signals.entry(name).or_default() += 1;
            }
        }
        signals
    };
    let (code, log) = sync(&scene, &host, &[]);
    assert_eq!(code, 3, "{log}");
    let first = signals();
    assert_eq!(first.len(), CONTAINERS);
    assert!(first.values().all(|count| *count == 1), "{first:?}");

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
    let second = signals();
    assert_eq!(second.len(), CHANGED / 2, "not one signal a row");
    assert!(second.values().all(|count| *count == 1), "{second:?}");
    assert!(engine.request_count() <= CHANGED, "{}", engine.request_count());
    engine.forget();
    assert_eq!(sync(&scene, &host, &[]).0, 0);
    assert_eq!(engine.request_count(), 0, "what did not change asks nothing");
}
