use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use locket_core::{Action, Environment};
use tempfile::TempDir;

use super::*;

fn notifier() -> Notifier {
    let environment = Environment::from_iter([("PATH", "/usr/bin:/bin")]);
    Notifier {
        courier: Arc::new(LocalCourier { environment }),
        timeout: Duration::from_secs(20),
    }
}

fn action(text: &str) -> Action {
    Action::parse(text).unwrap()
}

fn promise(journal: &Journal, action: &Action, target: &Path, content: &[u8]) -> Promise {
    Promise {
        action: action.clone(),
        target: target.into(),
        fingerprint: journal.fingerprint(content),
        replaces: None,
    }
}

#[tokio::test]
async fn a_program_is_run_without_a_shell_and_learns_what_changed() {
    let dir = TempDir::new().unwrap();
    let out = dir.path().join("out");
    let text = format!(
        "exec:sh -c 'printf \"%s|%s\" \"$LOCKET_CHANGED\" \"$1\" > {}' x '$HOME'",
        out.display()
    );
    let told = notifier()
        .tell(action(&text), vec!["/run/a".into(), "/run/b".into()])
        .await;
    assert_eq!(told.1, Delivery::Told);
    assert_eq!(fs::read_to_string(out).unwrap(), "/run/a\n/run/b|$HOME");
}

#[tokio::test]
async fn a_program_that_fails_is_tried_again() {
    let dir = TempDir::new().unwrap();
    let mark = dir.path().join("mark");
    let text = format!(
        "exec:sh -c 'test -e {0} || {{ touch {0}; exit 3; }}'",
        mark.display()
    );
    assert_eq!(notifier().tell(action(&text), vec![]).await.1, Delivery::Told);
    assert!(mark.exists(), "the first try came to its failure");
}

#[tokio::test]
async fn a_consumer_that_cannot_be_told_is_given_up_after_the_time_limit() {
    let notifier = Notifier {
        timeout: Duration::from_millis(300),
        ..notifier()
    };
    let (_, delivery) = notifier.tell(action("exec:false"), vec![]).await;
    assert!(matches!(delivery, Delivery::Failed(_)));
}

#[tokio::test]
async fn a_process_is_signalled_through_its_file() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("pid");
    let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    fs::write(&file, format!("{}\n", child.id())).unwrap();
    let text = format!("pid:{}:USR1", file.display());
    assert_eq!(notifier().tell(action(&text), vec![]).await.1, Delivery::Told);
    assert_eq!(child.wait().unwrap().signal(), Some(10));
    assert!(
        matches!(
            notifier().tell(action(&text), vec![]).await.1,
            Delivery::Nobody(_)
        ),
        "it is gone"
    );
    fs::remove_file(&file).unwrap();
    assert!(
        matches!(
            notifier().tell(action(&text), vec![]).await.1,
            Delivery::Nobody(_)
        ),
        "so is the file"
    );
}

#[test]
fn what_was_owed_for_a_change_that_took_place_is_told_by_the_next_process() {
    let dir = TempDir::new().unwrap();
    let (hup, usr) = (action("pid:/run/a:HUP"), action("pid:/run/b:USR1"));
    let (done, undone) = (dir.path().join("done"), dir.path().join("undone"));
    let mut journal = Journal::open(dir.path(), |_| true);
    let promises = [
        promise(&journal, &hup, &done, b"new"),
        promise(&journal, &usr, &undone, b"new"),
    ];
    journal.promise(promises);
    fs::write(&done, "new").unwrap();
    fs::write(&undone, "old").unwrap();
    drop(journal);
    let mut journal = Journal::open(dir.path(), |_| true);
    let overdue = journal.overdue(|path| fs::read(path).ok());
    let word = Word::from([(done.clone(), Some(journal.fingerprint(b"new")))]);
    assert_eq!(
        overdue.into_iter().collect::<Vec<_>>(),
        [(hup.clone(), word.clone())]
    );
    journal.keep(&hup, &word);
    drop(journal);
    assert!(
        Journal::open(dir.path(), |_| true)
            .overdue(|path| fs::read(path).ok())
            .is_empty(),
        "told once"
    );
}

#[test]
fn agents_that_share_a_directory_leave_what_the_others_owe() {
    let dir = TempDir::new().unwrap();
    let (one, other) = (dir.path().join("one"), dir.path().join("other"));
    let open = |ours: &PathBuf| {
        let ours = ours.clone();
        Journal::open(dir.path(), move |target| target == ours)
    };
    let hup = action("pid:/run/a:HUP");
    let (mut first, mut second) = (open(&one), open(&other));
    for (journal, target) in [(&mut first, &one), (&mut second, &other)] {
        let promised = promise(journal, &hup, target, b"new");
        journal.promise([promised]);
        fs::write(target, "new").unwrap();
    }
    // One that starts while the other has not told yet tells nobody in its place, and neither forgets it.
    let overdue = |journal: &mut Journal| {
        let overdue = journal.overdue(|path| fs::read(path).ok());
        overdue
            .into_values()
            .flatten()
            .map(|(path, _)| path)
            .collect::<Vec<_>>()
    };
    drop(second);
    let mut again = open(&other);
    assert!(overdue(&mut again).iter().eq([&other]));
    let word = |journal: &Journal, target: &PathBuf| {
        Word::from([(target.clone(), Some(journal.fingerprint(b"new")))])
    };
    again.keep(&hup, &word(&again, &other));
    drop(first);
    let mut first = open(&one);
    assert!(overdue(&mut first).iter().eq([&one]));
    first.keep(&hup, &word(&first, &one));
    assert!(overdue(&mut open(&one)).is_empty() && overdue(&mut open(&other)).is_empty());
}

#[test]
fn the_journal_holds_no_value() {
    let dir = TempDir::new().unwrap();
    let mut journal = Journal::open(dir.path(), |_| true);
    let promised = promise(
        &journal,
        &action("exec:true"),
        Path::new("/run/a"),
        b"canary-value",
    );
    journal.promise([promised]);
    let mut text = Vec::new();
    for entry in fs::read_dir(dir.path()).unwrap() {
        text.extend(fs::read(entry.unwrap().path()).unwrap());
    }
    let contains = |needle: &[u8]| text.windows(needle.len()).any(|window| window == needle);
    assert!(contains(b"/run/a"), "the journal was written");
    assert!(!contains(b"canary"));
}

#[test]
fn a_damaged_journal_is_begun_anew() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("notify.json"), "{").unwrap();
    let mut journal = Journal::open(dir.path(), |_| true);
    assert!(journal.overdue(|_| None).is_empty());
    let promised = promise(&journal, &action("exec:true"), &dir.path().join("a"), b"x");
    journal.promise([promised]);
    fs::write(dir.path().join("a"), "x").unwrap();
    assert_eq!(
        Journal::open(dir.path(), |_| true)
            .overdue(|path| fs::read(path).ok())
            .len(),
        1
    );
}

#[test]
fn a_change_that_is_promised_while_a_consumer_is_told_of_another_stays_owed() {
    let dir = TempDir::new().unwrap();
    let hup = action("pid:/run/a:HUP");
    let (one, other) = (dir.path().join("one"), dir.path().join("other"));
    let mut journal = Journal::open(dir.path(), |_| true);
    let promises = [("new", &one), ("old", &other)]
        .map(|(content, target)| promise(&journal, &hup, target, content.as_bytes()));
    let told = promises
        .iter()
        .map(|promise| (promise.target.clone(), Some(promise.fingerprint.clone())));
    let told: Word = told.collect();
    journal.promise(promises);
    let since = promise(&journal, &hup, &other, b"new");
    journal.promise([since]);
    fs::write(&one, "new").unwrap();
    fs::write(&other, "new").unwrap();
    journal.keep(&hup, &told);
    drop(journal);
    let overdue = Journal::open(dir.path(), |_| true).overdue(|path| fs::read(path).ok());
    assert_eq!(overdue[&hup].keys().collect::<Vec<_>>(), [&other]);
}

#[test]
fn what_is_owed_stays_owed_when_the_next_change_does_not_come_about() {
    let dir = TempDir::new().unwrap();
    let (hup, target) = (action("pid:/run/a:HUP"), dir.path().join("a"));
    let mut journal = Journal::open(dir.path(), |_| true);
    let first = promise(&journal, &hup, &target, b"first");
    let second = Promise {
        replaces: Some(first.fingerprint.clone()),
        ..promise(&journal, &hup, &target, b"second")
    };
    journal.promise([first]);
    fs::write(&target, "first").unwrap();
    journal.promise([second]);
    drop(journal);
    let overdue = Journal::open(dir.path(), |_| true).overdue(|path| fs::read(path).ok());
    assert_eq!(overdue[&hup].keys().collect::<Vec<_>>(), [&target]);
}
