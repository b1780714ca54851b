use std::sync::Arc;
use std::time::Duration;

use locket_core::{ErrorKind, Lease, LeaseHandle, Provider, ProviderError, Renewal};

use super::{Due, Ledger, Reread};
use crate::resolve::{Backoff, ItemKey};
use crate::testing::Fake;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// A ledger without jitter, and a provider.
struct Desk {
    ledger: Ledger,
    provider: Arc<dyn Provider>,
}

impl Desk {
    fn new() -> Self {
        let backoff = Backoff {
            first: SECOND,
            most: SECOND * 64,
        };
        Self {
            ledger: Ledger::new(backoff),
            provider: Arc::new(Fake::default()),
        }
    }

    fn take(&mut self, item: &str, lease: Option<Lease>, at: Duration) {
        self.ledger.take(&key(item), lease, &self.provider, at, || 0.0);
    }

    fn renewals(&mut self, now: Duration) -> Vec<(ItemKey, LeaseHandle)> {
        let due = self.ledger.due(now).into_iter();
        due.map(|due| match due {
            Due::Renew { key, handle, .. } => (key, handle),
            Due::Reread(reread) => panic!("{reread:?}"),
        })
        .collect()
    }

    fn rereads(&mut self, now: Duration) -> Vec<String> {
        let due = self.ledger.due(now).into_iter();
        due.map(|due| match due {
            Due::Reread(reread) => reread.key.item.to_string(),
            Due::Renew { key, .. } => panic!("{key:?} is renewed"),
        })
        .collect()
    }

    /// Takes the one renewal that is due and answers it at once.
    fn renew(&mut self, now: Duration, result: Result<Renewal, ProviderError>) -> Option<Reread> {
        let (key, handle) = self.renewals(now).pop().expect("a renewal is due");
        self.ledger.renewed(&key, &handle, result, now, now, 0.0)
    }
}

fn key(item: &str) -> ItemKey {
    ItemKey {
        instance: "bao".into(),
        item: item.into(),
    }
}

fn lease(lasts: Duration) -> Lease {
    Lease {
        handle: Some(LeaseHandle::new(())),
        lasts,
        renewable: true,
        rotates: false,
    }
}

fn granted(lasts: Duration) -> Result<Renewal, ProviderError> {
    Ok(Renewal {
        lasts,
        renewable: true,
    })
}

fn down() -> Result<Renewal, ProviderError> {
    Err(ProviderError::unavailable("refused"))
}

#[test]
fn a_lease_is_renewed_at_two_thirds_of_each_of_its_lives() {
    let mut desk = Desk::new();
    desk.take("db", Some(lease(MINUTE)), SECOND);
    for life in 0..5 {
        let at = SECOND + SECOND * 40 * (life + 1);
        assert_eq!(desk.ledger.next_due(), Some(at));
        assert!(desk.renewals(at - SECOND / 1000).is_empty());
        assert_eq!(desk.renew(at, granted(MINUTE)), None);
    }
}

#[test]
fn jitter_moves_a_renewal_forward_and_never_back() {
    let mut desk = Desk::new();
    let provider = desk.provider.clone();
    for (draw, seconds) in [(0.0, 40.0), (0.5, 37.0), (1.0, 34.0)] {
        desk.ledger
            .take(&key("db"), Some(lease(MINUTE)), &provider, Duration::ZERO, || {
                draw
            });
        let due = desk.ledger.next_due().unwrap();
        assert!((due.as_secs_f64() - seconds).abs() < 0.001, "{due:?}");
    }
}

#[test]
fn a_lease_that_cannot_be_renewed_is_read_anew_before_its_end() {
    let mut desk = Desk::new();
    let certificate = Lease {
        handle: None,
        renewable: false,
        ..lease(MINUTE)
    };
    desk.take("pki", Some(certificate), Duration::ZERO);
    assert!(desk.rereads(SECOND * 39).is_empty());
    assert_eq!(desk.rereads(SECOND * 40), ["pki"]);
    assert!(desk.ledger.is_rereading(&key("pki")));
    assert_eq!(desk.ledger.next_due(), None, "the board goes on asking");
}

#[test]
fn what_the_server_replaces_by_itself_is_read_after_its_end_and_at_each_refresh() {
    let mut desk = Desk::new();
    let provider = desk.provider.clone();
    let password = |lasts: Duration| Lease {
        handle: None,
        renewable: false,
        rotates: true,
        ..lease(lasts)
    };
    desk.ledger
        .take(&key("db"), Some(password(MINUTE)), &provider, SECOND, || 1.0);
    assert!(!desk.ledger.is_good(&key("db"), &provider, SECOND * 2));
    assert!(desk.rereads(SECOND * 60).is_empty());
    assert_eq!(desk.rereads(SECOND * 61), ["db"]);

    let mut now = SECOND * 61;
    for _ in 0..20 {
        desk.take("db", Some(password(SECOND)), now);
        now = desk.ledger.next_due().unwrap();
        assert_eq!(desk.rereads(now), ["db"]);
    }
    assert!(
        now > MINUTE * 10,
        "a server that is late is asked with growing pauses"
    );
}

#[test]
fn a_server_that_grants_much_less_than_before_is_asked_for_another_lease_at_once() {
    let mut desk = Desk::new();
    desk.take("db", Some(lease(MINUTE)), Duration::ZERO);
    assert_eq!(
        desk.renew(SECOND * 40, granted(SECOND * 30)),
        None,
        "half will do"
    );
    let capped = desk.renew(SECOND * 60, granted(SECOND * 10)).unwrap();
    assert_eq!(capped.key, key("db"));
    assert!(capped.why.contains("longest"), "{capped:?}");
}

#[test]
fn a_refused_renewal_leads_to_another_read_and_names_the_reason() {
    for kind in [
        ErrorKind::Denied,
        ErrorKind::Invalid,
        ErrorKind::Auth,
        ErrorKind::NotFound,
    ] {
        let mut desk = Desk::new();
        desk.take("db", Some(lease(MINUTE)), Duration::ZERO);
        let refused = Err(ProviderError::new(kind, "no more").hint("Ask nicely."));
        let reread = desk.renew(SECOND * 40, refused).unwrap();
        assert!(reread.why.contains("no more. Ask nicely."), "{reread:?}");
        assert!(
            !desk
                .ledger
                .is_good(&key("db"), &desk.provider.clone(), SECOND * 40)
        );
    }
}

#[test]
fn a_failing_renewal_backs_off_and_ends_in_another_read_while_the_lease_still_lasts() {
    let mut desk = Desk::new();
    desk.take("db", Some(lease(MINUTE * 10)), Duration::ZERO);
    let mut attempts = Vec::new();
    let reread = loop {
        let at = desk.ledger.next_due().expect("another attempt");
        attempts.push(at);
        if let Some(reread) = desk.renew(at, down()) {
            break reread;
        }
    };
    assert!(reread.why.contains("in time: refused"), "{reread:?}");
    let last = attempts.last().unwrap();
    assert_eq!(*last, MINUTE * 9, "a tenth is left");
    assert!(
        attempts
            .windows(2)
            .all(|pair| pair[1] - pair[0] >= SECOND.min(*last - pair[0]))
    );
    assert!(attempts.len() < 200, "{} attempts", attempts.len());
}

#[test]
fn a_throttled_renewal_waits_as_long_as_the_server_asks() {
    let mut desk = Desk::new();
    desk.take("db", Some(lease(MINUTE)), Duration::ZERO);
    let throttled = Err(ProviderError::new(
        ErrorKind::RateLimited {
            retry_after: Some(SECOND * 7),
        },
        "slow down",
    ));
    assert_eq!(desk.renew(SECOND * 40, throttled), None);
    assert_eq!(desk.ledger.next_due(), Some(SECOND * 47));
    assert_eq!(desk.renew(SECOND * 47, granted(MINUTE)), None);
    assert_eq!(desk.ledger.next_due(), Some(SECOND * 87));
}

#[test]
fn leases_too_short_to_be_followed_are_no_reason_for_a_hot_loop() {
    let mut desk = Desk::new();
    let mut now = Duration::ZERO;
    for _ in 0..20 {
        let expired = Lease {
            renewable: false,
            ..lease(Duration::ZERO)
        };
        desk.take("db", Some(expired), now);
        now = desk.ledger.next_due().unwrap();
        assert_eq!(desk.rereads(now), ["db"]);
    }
    assert!(now > MINUTE * 10, "twenty leases of nothing took {now:?}");
    desk.take("db", Some(lease(MINUTE)), now);
    assert_eq!(
        desk.ledger.next_due(),
        Some(now + SECOND * 40),
        "a lease worth its name ends that"
    );
}

#[test]
fn a_refresh_leaves_a_good_lease_alone_and_minds_who_gave_it() {
    let mut desk = Desk::new();
    let (mine, other): (_, Arc<dyn Provider>) = (desk.provider.clone(), Arc::new(Fake::default()));
    desk.take("db", Some(lease(MINUTE)), Duration::ZERO);
    assert!(desk.ledger.is_good(&key("db"), &mine, SECOND * 59));
    assert!(!desk.ledger.is_good(&key("db"), &mine, MINUTE), "it has ended");
    assert!(
        !desk.ledger.is_good(&key("db"), &other, SECOND),
        "another server's"
    );
    assert!(!desk.ledger.is_good(&key("kv"), &mine, SECOND), "never leased");
    desk.take("db", None, SECOND);
    assert!(!desk.ledger.is_good(&key("db"), &mine, SECOND), "leased no more");
}

#[test]
fn a_replaced_lease_goes_on_until_its_consumers_have_moved() {
    let mut desk = Desk::new();
    let first = lease(MINUTE);
    let handle = first.handle.clone().unwrap();
    desk.take("db", Some(first), Duration::ZERO);
    desk.take("db", Some(lease(MINUTE)), SECOND);
    assert!(
        desk.ledger.revocations(SECOND * 30).is_empty(),
        "nobody was told yet"
    );
    desk.ledger.consumers_moved(SECOND * 30);
    desk.ledger.consumers_moved(SECOND * 35);
    assert!(desk.ledger.revocations(SECOND * 39).is_empty());
    let due = desk.ledger.revocations(SECOND * 40);
    assert!(matches!(&due[..], [lease] if lease.handle == handle));
    let failed = Err(ProviderError::unavailable("refused"));
    desk.ledger.revoked(&handle, failed, SECOND * 40, 1.0);
    assert!(desk.ledger.revocations(SECOND * 40).is_empty());
    assert_eq!(desk.ledger.revocations(SECOND * 41).len(), 1, "tried again");
    desk.ledger.revoked(&handle, Ok(()), SECOND * 41, 1.0);
    assert_eq!(
        desk.ledger.drain(SECOND * 42).len(),
        1,
        "only the present one is left"
    );
}

#[test]
fn a_replaced_lease_that_ended_by_itself_is_forgotten() {
    let mut desk = Desk::new();
    desk.take("db", Some(lease(SECOND * 5)), Duration::ZERO);
    desk.take("db", None, SECOND * 4);
    desk.ledger.consumers_moved(SECOND * 4);
    assert_eq!(desk.ledger.next_due(), Some(SECOND * 5));
    assert!(desk.ledger.revocations(SECOND * 5).is_empty());
    assert_eq!(desk.ledger.next_due(), None);
}

#[test]
fn what_nobody_wants_is_retired_and_the_end_takes_all_that_is_in_force() {
    let mut desk = Desk::new();
    desk.take("kept", Some(lease(MINUTE)), Duration::ZERO);
    desk.take("gone", Some(lease(MINUTE)), Duration::ZERO);
    desk.take("ended", Some(lease(SECOND)), Duration::ZERO);
    desk.ledger.retain(|item| *item.item != *"gone");
    let replaced = desk.ledger.drain_retired(SECOND * 2);
    assert_eq!(replaced.len(), 1);
    assert_eq!(desk.ledger.drain(SECOND * 2).len(), 1);
    assert!(desk.ledger.drain(SECOND * 2).is_empty());
}

#[test]
fn a_thousand_leases_of_one_start_are_renewed_a_few_at_a_time() {
    let mut desk = Desk::new();
    for item in 0..1000 {
        desk.take(&item.to_string(), Some(lease(MINUTE)), Duration::ZERO);
    }
    let first = desk.renewals(SECOND * 40);
    assert_eq!(first.len(), 8);
    assert_eq!(
        desk.ledger.next_due(),
        None,
        "an answer is awaited, and no timer runs"
    );
    let mut renewed = 0;
    let mut under_way = first;
    while let Some((key, handle)) = under_way.pop() {
        let now = SECOND * 41;
        assert_eq!(
            desk.ledger.renewed(&key, &handle, granted(MINUTE), now, now, 0.0),
            None
        );
        renewed += 1;
        under_way.extend(desk.renewals(now));
    }
    assert_eq!(renewed, 1000);
}

#[test]
fn an_answer_for_a_lease_that_was_replaced_meanwhile_changes_nothing() {
    let mut desk = Desk::new();
    desk.take("db", Some(lease(MINUTE)), Duration::ZERO);
    let (key, handle) = desk.renewals(SECOND * 40).pop().unwrap();
    desk.take("db", Some(lease(MINUTE)), SECOND * 41);
    let due = desk.ledger.next_due();
    let late = Err(ProviderError::invalid("there is no such lease"));
    let reread = desk
        .ledger
        .renewed(&key, &handle, late, SECOND * 40, SECOND * 42, 0.0);
    assert_eq!((reread, desk.ledger.next_due()), (None, due));
}
