use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;

use super::*;

fn status(state: State, failing: Vec<Failing>) -> Status {
    Status {
        state,
        pid: 7,
        started: 100,
        last_success: Some(100),
        outputs: 2,
        failing,
    }
}

fn failing(last_success: Option<u64>) -> Failing {
    Failing {
        target: "/run/a".into(),
        reference: Some("bao://kv/a/b".into()),
        reason: "refused".into(),
        last_success,
    }
}

#[test]
fn a_living_agent_is_told_from_a_dead_one_by_its_lock() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("deep/status");
    let mut file = StatusFile::open(&path).unwrap();
    file.write(&status(State::Ready, vec![]));
    let seen = observe(&path).unwrap();
    assert!(seen.alive);
    assert_eq!(judge(&seen, 200, None), [""; 0]);
    drop(file);
    let seen = observe(&path).unwrap();
    assert!(!seen.alive);
    assert!(judge(&seen, 200, None)[0].contains("not running"));
}

#[test]
fn two_agents_do_not_share_a_status_file() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("status");
    let first = StatusFile::open(&path).unwrap();
    assert!(matches!(StatusFile::open(&path), Err(StatusError::Taken(_))));
    drop(first);
    assert!(StatusFile::open(&path).is_ok());
}

#[test]
fn a_health_check_at_the_wrong_moment_keeps_no_agent_from_starting() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("status");
    let checking = File::create(&path).unwrap();
    flock(&checking, FlockOperation::NonBlockingLockShared).unwrap();
    thread::scope(|scope| {
        scope.spawn(move || {
            thread::sleep(Duration::from_millis(30));
            drop(checking);
        });
        assert!(StatusFile::open(&path).is_ok());
    });
}

#[test]
fn a_shorter_status_leaves_nothing_of_a_longer_one() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("status");
    let mut file = StatusFile::open(&path).unwrap();
    file.write(&status(State::Failed, vec![failing(None); 50]));
    let short = status(State::Ready, vec![]);
    file.write(&short);
    assert_eq!(observe(&path).unwrap().status, short);
}

#[test]
fn a_status_file_that_somebody_takes_away_is_made_again_by_the_next_write() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("deep/status");
    let mut file = StatusFile::open(&path).unwrap();
    let ready = status(State::Ready, vec![]);
    file.write(&ready);
    let identity = |path: &Path| path.metadata().unwrap().ino();
    let before = identity(&path);
    file.write(&ready);
    assert_eq!(identity(&path), before, "what is there stays");
    fs::remove_file(&path).unwrap();
    file.write(&ready);
    let seen = observe(&path).unwrap();
    assert!(seen.alive && seen.status == ready);
    fs::remove_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path.parent().unwrap(), "in the way").unwrap();
    file.write(&ready);
    assert!(observe(&path).is_err());
    fs::remove_file(path.parent().unwrap()).unwrap();
    file.write(&ready);
    assert!(observe(&path).unwrap().alive);
}

#[test]
fn a_status_file_that_another_agent_has_by_now_is_left_to_it() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("status");
    let mut first = StatusFile::open(&path).unwrap();
    first.write(&status(State::Ready, vec![]));
    fs::remove_file(&path).unwrap();
    let mut second = StatusFile::open(&path).unwrap();
    second.write(&status(State::Starting, vec![]));
    first.write(&status(State::Failed, vec![]));
    assert_eq!(observe(&path).unwrap().status.state, State::Starting);
    drop(second);
    first.write(&status(State::Failed, vec![]));
    assert_eq!(observe(&path).unwrap().status.state, State::Failed);
}

#[test]
fn health_is_what_is_in_place_and_how_old_it_may_be() {
    let seen = |state, failing| Observed {
        status: status(state, failing),
        alive: true,
    };
    let limit = Some(Duration::from_secs(60));
    assert!(judge(&seen(State::Starting, vec![]), 0, None)[0].contains("first round"));
    assert!(judge(&seen(State::Failed, vec![failing(None)]), 0, None)[0].contains("bao://kv/a/b"));
    assert_eq!(
        judge(&seen(State::Stale, vec![failing(Some(100))]), 10_000, None),
        [""; 0]
    );
    assert_eq!(
        judge(&seen(State::Stale, vec![failing(Some(100))]), 150, limit),
        [""; 0]
    );
    assert!(judge(&seen(State::Stale, vec![failing(Some(100))]), 161, limit)[0].contains("1m 1s ago"));
    let done = Observed {
        status: status(State::Done, vec![]),
        alive: false,
    };
    assert_eq!(judge(&done, 0, None), [""; 0]);
}
