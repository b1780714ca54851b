use std::sync::Arc;
use std::time::Duration;

use locket_core::{ErrorKind, Fetched, Locator, ProviderError, SecretBytes};

use super::board::{Batch, Board, Capacity};
use super::key::ItemKey;
use super::{Answer, Backoff, SecretKey};

const SECOND: Duration = Duration::from_secs(1);

fn key(instance: &str, item: &str, part: &str) -> SecretKey {
    SecretKey {
        instance: instance.into(),
        locator: Locator::new(item, part, ()),
    }
}

fn board() -> Board {
    Board::new(Backoff {
        first: SECOND,
        most: SECOND * 64,
    })
}

fn one_by_one(_: &str) -> Capacity {
    Capacity {
        items_per_call: 1,
        max_concurrent: 4,
    }
}

fn batches(board: &mut Board, now: Duration) -> Vec<Batch> {
    board.queue_due(now);
    let mut settled = Vec::new();
    std::iter::from_fn(|| board.next_batch(now, one_by_one, &mut settled)).collect()
}

fn value(text: &str) -> Result<Fetched, ProviderError> {
    Ok(Fetched::new(SecretBytes::copy_from(text.as_bytes())))
}

fn down() -> Result<Fetched, ProviderError> {
    Err(ProviderError::unavailable("refused"))
}

/// Answers every locator of a batch with `result` and no jitter: pauses are the whole limit.
fn answer(
    board: &mut Board,
    batch: &Batch,
    now: Duration,
    result: impl Fn() -> Result<Fetched, ProviderError>,
) -> Vec<SecretKey> {
    board.finish(
        batch,
        batch.locators.iter().map(|_| result()).collect(),
        now,
        || 1.0,
    )
}

#[test]
fn five_fields_of_one_item_are_one_read() {
    let mut board = board();
    for field in ["a", "b", "c", "d", "e", "a"] {
        board.want(&key("bao", "kv/app", field));
    }
    let asked = batches(&mut board, Duration::ZERO);
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].locators.len(), 5);
    assert_eq!(
        answer(&mut board, &asked[0], Duration::ZERO, || value("x")).len(),
        5
    );
    assert!(board.is_idle());
}

#[test]
fn what_is_known_is_not_asked_again_before_a_refresh() {
    let mut board = board();
    let wanted = key("bao", "kv/app", "a");
    board.want(&wanted);
    let asked = batches(&mut board, Duration::ZERO);
    answer(&mut board, &asked[0], Duration::ZERO, || value("x"));
    board.want(&wanted);
    assert!(batches(&mut board, SECOND).is_empty());
    board.refresh(SECOND, |_, _, _| true, |_| false);
    assert_eq!(batches(&mut board, SECOND).len(), 1);
}

#[test]
fn a_missing_secret_is_not_asked_again_before_a_refresh() {
    let mut board = board();
    let wanted = key("bao", "kv/app", "a");
    board.want(&wanted);
    let asked = batches(&mut board, Duration::ZERO);
    answer(&mut board, &asked[0], Duration::ZERO, || {
        Err(ProviderError::not_found("no such secret"))
    });
    board.want(&wanted);
    assert!(batches(&mut board, SECOND * 100_000).is_empty());
    assert_eq!(board.next_retry(|_| true), None);
    assert!(matches!(board.answer(&wanted), Answer::Failed(error) if error.kind == ErrorKind::NotFound));
    board.refresh(SECOND, |_, _, _| true, |_| false);
    assert_eq!(batches(&mut board, SECOND).len(), 1, "the refresh asks");
}

#[test]
fn what_may_pass_is_asked_again_and_what_cannot_is_left_until_a_refresh() {
    let limited = ErrorKind::RateLimited { retry_after: None };
    for (kind, is_asked_again) in [
        (ErrorKind::NotFound, false),
        (ErrorKind::Invalid, false),
        (ErrorKind::Denied, true),
        (ErrorKind::Auth, true),
        (ErrorKind::Unavailable, true),
        (limited, true),
    ] {
        let mut board = board();
        board.want(&key("exec", "db", "password"));
        let asked = batches(&mut board, Duration::ZERO);
        answer(&mut board, &asked[0], Duration::ZERO, || {
            Err(ProviderError::new(kind, "said so"))
        });
        assert!(
            batches(&mut board, Duration::ZERO).is_empty(),
            "at once: {kind:?}"
        );
        let later = batches(&mut board, SECOND * 3600);
        assert_eq!(!later.is_empty(), is_asked_again, "{kind:?}");
        board.refresh(SECOND * 3600, |_, _, _| true, |_| false);
        let refreshed = !batches(&mut board, SECOND * 3600).is_empty();
        assert!(refreshed != is_asked_again, "{kind:?}");
    }
}

#[test]
fn an_outage_keeps_the_last_good_value_and_a_deletion_does_not() {
    let mut board = board();
    let wanted = key("bao", "kv/app", "a");
    board.want(&wanted);
    let asked = batches(&mut board, Duration::ZERO);
    answer(&mut board, &asked[0], Duration::ZERO, || value("x"));
    board.refresh(SECOND, |_, _, _| true, |_| false);
    let asked = batches(&mut board, SECOND);
    answer(&mut board, &asked[0], SECOND, down);
    assert!(matches!(board.answer(&wanted), Answer::Stale(value, _) if value.value.matches(b"x")));
    let asked = batches(&mut board, SECOND * 10);
    answer(&mut board, &asked[0], SECOND * 10, || {
        Err(ProviderError::not_found("deleted"))
    });
    assert!(matches!(board.answer(&wanted), Answer::Failed(_)));
}

#[test]
fn no_more_calls_are_in_flight_than_the_capacity() {
    let mut board = board();
    for item in 0..10 {
        board.want(&key("bao", &item.to_string(), "a"));
    }
    let asked = batches(&mut board, Duration::ZERO);
    assert_eq!(asked.len(), 4);
    answer(&mut board, &asked[0], Duration::ZERO, || value("x"));
    assert_eq!(batches(&mut board, Duration::ZERO).len(), 1);
}

#[test]
fn a_dead_server_is_found_out_by_a_few_calls_and_probed_by_one() {
    let mut board = board();
    for item in 0..500 {
        board.want(&key("bao", &item.to_string(), "a"));
    }
    let asked = batches(&mut board, Duration::ZERO);
    for batch in &asked {
        answer(&mut board, batch, Duration::ZERO, down);
    }
    let mut settled = Vec::new();
    assert!(
        board
            .next_batch(Duration::ZERO, one_by_one, &mut settled)
            .is_none()
    );
    assert_eq!(settled.len(), 496, "the rest is answered without asking");
    assert!(board.is_idle());
    let retry = board.next_retry(|_| true).unwrap();
    assert_eq!(batches(&mut board, retry).len(), 1, "a single call finds out");
}

#[test]
fn a_server_that_comes_back_is_asked_for_everything_that_failed() {
    let mut board = board();
    for item in 0..10 {
        board.want(&key("bao", &item.to_string(), "a"));
    }
    for batch in batches(&mut board, Duration::ZERO) {
        answer(&mut board, &batch, Duration::ZERO, down);
    }
    assert!(batches(&mut board, Duration::ZERO).is_empty());
    let retry = board.next_retry(|_| true).unwrap();
    let mut asked = batches(&mut board, retry);
    let mut calls = 0;
    while let Some(batch) = asked.pop() {
        calls += 1;
        answer(&mut board, &batch, retry, || value("x"));
        asked.extend(batches(&mut board, retry));
    }
    assert_eq!(calls, 10);
    assert_eq!(board.next_retry(|_| true), None);
}

#[test]
fn an_hour_of_outage_costs_what_the_back_off_says() {
    let mut board = board();
    for item in 0..100 {
        board.want(&key("bao", &item.to_string(), "a"));
    }
    let (mut now, mut calls) = (Duration::ZERO, 0);
    while now < SECOND * 3600 {
        for batch in batches(&mut board, now) {
            calls += 1;
            answer(&mut board, &batch, now, down);
        }
        now = board
            .next_retry(|_| true)
            .unwrap()
            .max(now + Duration::from_millis(1));
    }
    // Four calls find the outage; pauses of 1, 2, … 32 s, then 64 s for the rest of the hour.
    assert!((50..=75).contains(&calls), "{calls} calls");
}

#[test]
fn retry_after_is_obeyed_by_the_whole_instance_and_by_no_other() {
    let mut board = board();
    for item in 0..6 {
        board.want(&key("bao", &item.to_string(), "a"));
    }
    board.want(&key("store", "x", ""));
    let (mut bao, mut store) = (0, 0);
    for batch in batches(&mut board, Duration::ZERO) {
        if batch.instance.as_ref() == "bao" {
            bao += 1;
            answer(&mut board, &batch, Duration::ZERO, limited(SECOND * 30));
        } else {
            store += 1;
            answer(&mut board, &batch, Duration::ZERO, || value("x"));
        }
    }
    assert_eq!((bao, store), (4, 1));
    assert!(batches(&mut board, SECOND * 29).is_empty());
    assert_eq!(batches(&mut board, SECOND * 30).len(), 1);
}

#[test]
fn who_is_said_to_be_worth_asking_later_is_asked_later_and_shuts_out_nobody_by_itself() {
    let moved = || Err(ProviderError::unavailable("moved").pause(SECOND * 300));
    let mut board = board();
    for item in ["moved", "good"] {
        board.want(&key("bao", item, "a"));
    }
    for batch in batches(&mut board, Duration::ZERO) {
        let is_moved = &*batch.locators[0].item_key() == "moved";
        answer(&mut board, &batch, Duration::ZERO, || {
            if is_moved { moved() } else { value("v") }
        });
    }
    assert_eq!(board.next_retry(|_| true), Some(SECOND * 300));
    board.want(&key("bao", "another", "a"));
    assert_eq!(batches(&mut board, SECOND).len(), 1, "the instance is open");
}

#[test]
fn an_instance_whose_every_secret_is_worth_asking_later_is_left_alone_as_long() {
    let moved = || Err(ProviderError::unavailable("moved").pause(SECOND * 300));
    let mut board = board();
    for item in 0..60 {
        board.want(&key("bao", &item.to_string(), "a"));
    }
    let mut asked = 0;
    for second in 0..300 {
        for batch in batches(&mut board, SECOND * second) {
            asked += 1;
            answer(&mut board, &batch, SECOND * second, moved);
        }
    }
    assert!(asked <= 4, "{asked} of 60");
    assert_eq!(batches(&mut board, SECOND * 300).len(), 1, "one call finds out");
}

fn limited(pause: Duration) -> impl Fn() -> Result<Fetched, ProviderError> {
    move || {
        Err(ProviderError::new(
            ErrorKind::RateLimited {
                retry_after: Some(pause),
            },
            "too many requests",
        ))
    }
}

#[test]
fn a_pause_that_the_server_asked_for_is_not_ended_by_what_was_sent_before_it() {
    let mut board = board();
    for item in 0..6 {
        board.want(&key("bao", &item.to_string(), "a"));
    }
    let sent = batches(&mut board, Duration::ZERO);
    answer(&mut board, &sent[0], Duration::ZERO, limited(SECOND * 30));
    for late in &sent[1..] {
        answer(&mut board, late, Duration::from_millis(5), || value("x"));
    }
    assert!(batches(&mut board, SECOND * 29).is_empty());
    let probe = batches(&mut board, SECOND * 30);
    assert_eq!(probe.len(), 1);
    // What is sent after it does end it.
    answer(&mut board, &probe[0], SECOND * 30, || value("x"));
    assert!(!batches(&mut board, SECOND * 30).is_empty());
}

#[test]
fn a_pause_that_is_asked_for_beside_answers_is_kept() {
    let mut board = board();
    for item in ["one", "two"] {
        board.want(&key("bao", item, "a"));
    }
    let together = |_: &str| Capacity {
        items_per_call: 9,
        max_concurrent: 4,
    };
    let both = board
        .next_batch(Duration::ZERO, together, &mut Vec::new())
        .unwrap();
    assert_eq!(both.items(), 2);
    let results = vec![value("x"), limited(SECOND * 60)()];
    board.finish(&both, results, Duration::ZERO, || 0.5);
    assert!(batches(&mut board, SECOND * 59).is_empty());
    assert_eq!(batches(&mut board, SECOND * 60).len(), 1);
}

#[test]
fn a_refusal_that_names_no_pause_counts_beside_answers_too() {
    let refused = || {
        Err(ProviderError::new(
            ErrorKind::RateLimited { retry_after: None },
            "429",
        ))
    };
    for (result, is_left_alone) in [(refused(), true), (down(), false)] {
        let mut board = board();
        for item in ["one", "two"] {
            board.want(&key("bao", item, "a"));
        }
        let together = |_: &str| Capacity {
            items_per_call: 2,
            max_concurrent: 4,
        };
        let both = board
            .next_batch(Duration::ZERO, together, &mut Vec::new())
            .unwrap();
        board.finish(&both, vec![value("x"), result], Duration::ZERO, || 1.0);
        board.want(&key("bao", "three", "a"));
        assert_eq!(batches(&mut board, Duration::ZERO).is_empty(), is_left_alone);
        assert!(!batches(&mut board, SECOND).is_empty());
    }
}

#[test]
fn calls_that_are_refused_together_are_one_failure() {
    let mut board = board();
    for item in 0..6 {
        board.want(&key("bao", &item.to_string(), "a"));
    }
    let sent = batches(&mut board, Duration::ZERO);
    assert!(sent.len() > 3);
    for batch in &sent {
        answer(&mut board, batch, Duration::ZERO, limited(SECOND));
    }
    assert_eq!(batches(&mut board, SECOND).len(), 1, "the pause has not grown");
}

#[test]
fn a_pause_of_centuries_is_an_hour() {
    for pause in [Duration::from_secs(u64::MAX), SECOND * u32::MAX] {
        let mut board = board();
        board.want(&key("bao", "one", "a"));
        let sent = batches(&mut board, SECOND);
        answer(&mut board, &sent[0], SECOND, limited(pause));
        assert!(batches(&mut board, SECOND * 3600).is_empty());
        assert_eq!(batches(&mut board, SECOND * 3601).len(), 1);
    }
}

#[test]
fn one_broken_secret_does_not_shut_out_the_others() {
    let mut board = board();
    board.want(&key("bao", "broken", "a"));
    board.want(&key("bao", "good", "a"));
    let mut now = Duration::ZERO;
    for _ in 0..10 {
        board.refresh(now, |_, _, _| true, |_| false);
        for batch in batches(&mut board, now) {
            let result = if batch.locators[0].item() == "broken" {
                down
            } else {
                || value("x")
            };
            answer(&mut board, &batch, now, result);
        }
        assert!(matches!(board.answer(&key("bao", "good", "a")), Answer::Value(_)));
        now += SECOND * 100;
    }
}

#[test]
fn a_field_wanted_while_its_item_is_under_way_is_asked_for_afterwards() {
    let mut board = board();
    board.want(&key("bao", "kv/app", "a"));
    let asked = batches(&mut board, Duration::ZERO);
    board.want(&key("bao", "kv/app", "b"));
    answer(&mut board, &asked[0], Duration::ZERO, || value("x"));
    let asked = batches(&mut board, Duration::ZERO);
    assert_eq!((asked.len(), asked[0].locators.len()), (1, 2));
}

#[test]
fn a_forgotten_secret_loses_its_value() {
    let mut board = board();
    let wanted = key("bao", "kv/app", "a");
    board.want(&wanted);
    let asked = batches(&mut board, Duration::ZERO);
    answer(&mut board, &asked[0], Duration::ZERO, || value("x"));
    assert!(matches!(board.answer(&wanted), Answer::Value(_)));
    board.retain(|_| false);
    assert!(matches!(board.answer(&wanted), Answer::Pending));
}

#[test]
fn a_daily_budget_spreads_refreshes() {
    let mut board = board();
    board.want(&key("op", "item", "a"));
    for batch in batches(&mut board, Duration::ZERO) {
        answer(&mut board, &batch, Duration::ZERO, || value("x"));
    }
    let mut reads = 0;
    for step in 0..20 {
        let now = SECOND * 10 * step;
        let may = |_: &Arc<str>, items: usize, last: Option<Duration>| {
            last.is_none_or(|last| now >= last + SECOND * 100 * items as u32)
        };
        board.refresh(now, may, |_| false);
        for batch in batches(&mut board, now) {
            reads += 1;
            answer(&mut board, &batch, now, || value("x"));
        }
    }
    assert_eq!(reads, 2, "two hundred seconds, a hundred for each refresh");
}

#[test]
fn a_provider_that_answers_too_little_fails_only_what_it_left_out() {
    let mut board = board();
    board.want(&key("bao", "kv/app", "a"));
    board.want(&key("bao", "kv/app", "b"));
    let asked = batches(&mut board, Duration::ZERO);
    board.finish(&asked[0], vec![value("x")], Duration::ZERO, || 1.0);
    let answers: Vec<_> = ["a", "b"]
        .iter()
        .map(|part| board.answer(&key("bao", "kv/app", part)))
        .collect();
    assert_eq!(
        answers
            .iter()
            .filter(|answer| matches!(answer, Answer::Value(_)))
            .count(),
        1
    );
    assert_eq!(
        answers
            .iter()
            .filter(|answer| matches!(answer, Answer::Failed(_)))
            .count(),
        1
    );
}

#[test]
fn a_server_that_asks_for_no_pause_again_and_again_is_given_growing_ones() {
    let mut board = board();
    let hurried = || {
        let retry_after = Some(Duration::ZERO);
        Err(ProviderError::new(ErrorKind::RateLimited { retry_after }, "429"))
    };
    board.want(&key("bao", "a", "x"));
    let mut now = Duration::ZERO;
    let mut pauses = Vec::new();
    for _ in 0..4 {
        let batch = batches(&mut board, now).pop().unwrap();
        answer(&mut board, &batch, now, hurried);
        let next = board.next_retry(|_| true).unwrap();
        pauses.push((next - now).as_secs());
        now = next;
    }
    assert_eq!(pauses, [1, 2, 4, 8]);
}

#[test]
fn fields_of_one_item_from_two_reads_are_not_used_together() {
    let mut board = board();
    let keys = ["user", "pass"].map(|part| key("bao", "db", part));
    for key in &keys {
        board.want(key);
    }
    let first = batches(&mut board, Duration::ZERO).pop().unwrap();
    answer(&mut board, &first, Duration::ZERO, || value("old"));
    board.refresh(SECOND, |_, _, _| true, |_| false);
    let second = batches(&mut board, SECOND).pop().unwrap();
    let results = second.locators.iter().map(|locator| match locator.part() {
        "user" => value("new"),
        _ => down(),
    });
    board.finish(&second, results.collect(), SECOND, || 1.0);
    assert!(matches!(board.answer(&keys[0]), Answer::Value(user) if user.value.matches(b"new")));
    let answers = board.answers(&keys);
    assert!(
        answers.iter().all(|answer| matches!(answer, Answer::Failed(_))),
        "{answers:?}"
    );
    let retry = board.next_retry(|_| true).unwrap();
    let third = batches(&mut board, retry).pop().unwrap();
    answer(&mut board, &third, retry, || value("new"));
    let answers = board.answers(&keys);
    assert!(
        answers.iter().all(|answer| matches!(answer, Answer::Value(_))),
        "they agree again"
    );
}

#[test]
fn one_secret_that_fails_again_and_again_shuts_out_no_other() {
    let mut board = board();
    for item in ["bad", "good"] {
        board.want(&key("bao", item, "a"));
    }
    let mut now = Duration::ZERO;
    for _ in 0..10 {
        for batch in batches(&mut board, now) {
            let result = if batch.locators[0].item() == "bad" {
                down
            } else {
                || value("x")
            };
            answer(&mut board, &batch, now, result);
        }
        now = board.next_retry(|_| true).unwrap();
    }
    board.refresh(now, |_, _, _| true, |_| false);
    let asked = batches(&mut board, now);
    assert!(
        asked.iter().any(|batch| batch.locators[0].item() == "good"),
        "{asked:?}"
    );
}

#[test]
fn a_probe_asks_for_another_secret_each_time() {
    let mut board = board();
    for item in ["a", "b", "c", "d"] {
        board.want(&key("bao", item, "x"));
    }
    for batch in batches(&mut board, Duration::ZERO) {
        answer(&mut board, &batch, Duration::ZERO, down);
    }
    let mut probed = Vec::new();
    for _ in 0..4 {
        let now = board.next_retry(|_| true).unwrap();
        let batch = batches(&mut board, now).pop().unwrap();
        probed.push(batch.locators[0].item().to_owned());
        answer(&mut board, &batch, now, down);
        assert!(batches(&mut board, now).is_empty());
    }
    probed.sort();
    assert_eq!(probed, ["a", "b", "c", "d"]);
}

fn denied() -> Result<Fetched, ProviderError> {
    Err(ProviderError::denied("permission denied"))
}

/// Has everything asked that is due for so long, and gives the calls that it took. Every call takes a moment.
fn calls_within(
    board: &mut Board,
    span: std::ops::Range<u32>,
    result: impl Fn(&str) -> Result<Fetched, ProviderError>,
) -> usize {
    let (mut now, mut calls) = (SECOND * span.start, 0);
    while now < SECOND * span.end {
        for batch in batches(board, now) {
            calls += 1;
            answer(board, &batch, now, || result(batch.locators[0].item()));
        }
        now += Duration::from_millis(50);
    }
    calls
}

#[test]
fn a_denied_secret_makes_no_failing_server_be_asked_more_often() {
    let of_some = |item: &str| match item.starts_with("denied") {
        true => denied(),
        false => down(),
    };
    let calls = |names: &[&str]| {
        let mut board = board();
        for name in names {
            board.want(&key("bao", name, "a"));
        }
        calls_within(&mut board, 0..3600, of_some)
    };
    let without = calls(&["a", "b", "c"]);
    let with = calls(&["a", "b", "c", "denied"]);
    let alone = calls(&["denied"]);
    assert!((50..=75).contains(&without), "{without} calls");
    assert!(with <= without + alone, "{with} calls, {without} without it");
}

#[test]
fn a_denied_secret_keeps_its_own_pause_when_the_server_answers_again() {
    let mut board = board();
    let names = ["a", "b", "c", "denied"];
    for name in names {
        board.want(&key("bao", name, "x"));
    }
    let asked = batches(&mut board, Duration::ZERO);
    assert_eq!(asked.len(), names.len());
    let is_denied = |batch: &Batch| batch.locators[0].item() == "denied";
    for batch in &asked {
        let result = if is_denied(batch) { denied } else { down };
        answer(&mut board, batch, Duration::ZERO, result);
    }
    // Another two failures of its own make its pause longer than that of the instance.
    for _ in 0..2 {
        board.reread(&asked.iter().find(|batch| is_denied(batch)).map(item_of).unwrap());
        let again = board.next_batch(SECOND, one_by_one, &mut Vec::new()).unwrap();
        assert!(is_denied(&again));
        answer(&mut board, &again, SECOND, denied);
    }
    let probe = batches(&mut board, SECOND).pop().unwrap();
    answer(&mut board, &probe, SECOND, || value("x"));
    let mut asked = batches(&mut board, SECOND);
    assert_eq!(asked.len(), 2, "what failed with the server is asked for at once");
    assert!(!asked.iter().any(is_denied));
    for batch in asked.drain(..) {
        answer(&mut board, &batch, SECOND, || value("x"));
    }
    assert_eq!(board.next_retry(|_| true), Some(SECOND * 5));
}

fn item_of(batch: &Batch) -> ItemKey {
    ItemKey {
        instance: batch.instance.clone(),
        item: batch.locators[0].item_key(),
    }
}

#[test]
fn a_denied_secret_breaks_no_row_of_failures() {
    for (between, is_left_alone) in [(denied as fn() -> _, true), (|| value("x"), false)] {
        let mut board = board();
        for name in ["a", "b", "between", "c"] {
            board.want(&key("bao", name, "x"));
        }
        for batch in batches(&mut board, Duration::ZERO) {
            match batch.locators[0].item() {
                "between" => answer(&mut board, &batch, Duration::ZERO, between),
                _ => answer(&mut board, &batch, Duration::ZERO, down),
            };
        }
        board.want(&key("bao", "new", "x"));
        assert_eq!(batches(&mut board, Duration::ZERO).is_empty(), is_left_alone);
    }
}

#[test]
fn a_server_that_answers_for_one_and_fails_for_others_is_given_growing_pauses() {
    let mut board = board();
    for name in ["a", "b", "c", "good"] {
        board.want(&key("bao", name, "x"));
    }
    let good = ItemKey {
        instance: "bao".into(),
        item: "good".into(),
    };
    let of_some = |item: &str| match item {
        "good" => value("x"),
        _ => down(),
    };
    let mut calls = 0;
    for second in 0..600 {
        // Somebody wants it all the time, so that whenever the server is asked it answers once.
        board.reread(&good);
        calls += calls_within(&mut board, second..second + 1, of_some);
    }
    assert!(calls < 100, "{calls} calls in ten minutes");
    // As soon as the answers prevail, the next outage begins with short pauses.
    let healthy = calls_within(&mut board, 600..700, |_| value("x"));
    assert!(healthy >= 3, "{healthy} calls");
    board.refresh(SECOND * 700, |_, _, _| true, |_| false);
    for batch in batches(&mut board, SECOND * 700) {
        answer(&mut board, &batch, SECOND * 700, down);
    }
    assert_eq!(board.next_retry(|_| true), Some(SECOND * 701));
}
