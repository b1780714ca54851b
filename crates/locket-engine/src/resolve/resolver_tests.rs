use std::sync::Arc;
use std::time::Duration;

use locket_core::{ErrorKind, Locator, ProviderError};

use super::*;
use crate::testing::{Fake, clock};

const SECOND: Duration = Duration::from_secs(1);

fn key(instance: &str, item: &str, part: &str) -> SecretKey {
    SecretKey {
        instance: instance.into(),
        locator: Locator::new(item, part, ()),
    }
}

fn resolver(fake: &Fake) -> Resolver {
    let timing = Timing {
        request: SECOND * 10,
        backoff: Backoff::default(),
    };
    Resolver::new(fake.instances(), clock(), timing)
}

fn value(resolver: &Resolver, key: &SecretKey) -> Option<bool> {
    match resolver.answer(key) {
        Answer::Value(value) => Some(value.value.matches(b"v")),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn secrets_settle_and_each_item_is_called_for_once() {
    let fake = Fake::default();
    let keys: Vec<_> = (0..20).map(|item| key("fake", &item.to_string(), "")).collect();
    for item in 0..20 {
        fake.set(&item.to_string(), "v");
    }
    let mut resolver = resolver(&fake);
    resolver.want(&keys);
    resolver.want(&keys);
    resolver.settle(SECOND * 60).await;
    assert!(keys.iter().all(|key| value(&resolver, key) == Some(true)));
    assert_eq!(fake.calls().len(), 20);
    assert_eq!(resolver.calls(), 20);
}

#[tokio::test(start_paused = true)]
async fn a_transient_failure_is_retried_inside_the_deadline() {
    let fake = Fake::default();
    fake.set("a", "v");
    fake.fail(Some(ProviderError::unavailable("refused")));
    let mut resolver = resolver(&fake);
    let wanted = key("fake", "a", "");
    resolver.want([&wanted]);
    let healing = async {
        tokio::time::sleep(SECOND * 20).await;
        fake.fail(None);
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = resolver.settle(SECOND * 600) => {}
        () = healing => {}
    }
    assert_eq!(value(&resolver, &wanted), Some(true));
    assert!(fake.calls().len() > 2);
}

#[tokio::test(start_paused = true)]
async fn a_final_failure_is_not_retried() {
    for error in [
        ProviderError::denied("no"),
        ProviderError::auth("no"),
        ProviderError::invalid("no"),
    ] {
        let fake = Fake::default();
        fake.fail(Some(error));
        let mut resolver = resolver(&fake);
        resolver.want([&key("fake", "a", "")]);
        resolver.settle(SECOND * 60).await;
        assert_eq!(fake.calls().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_hangs_ends_as_unavailable_and_holds_up_no_other() {
    let fake = Fake::default();
    fake.set("a", "v");
    let mut resolver = resolver(&fake);
    let (good, hanging) = (key("fake", "a", ""), key("dead", "b", ""));
    resolver.want([&good, &hanging]);
    resolver.progress().await;
    assert_eq!(value(&resolver, &good), Some(true));
    assert!(resolver.is_awaited(&hanging));
    resolver.settle(SECOND * 31).await;
    assert!(
        matches!(resolver.answer(&hanging), Answer::Failed(error) if error.kind == ErrorKind::Unavailable)
    );
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_wait_loses_no_answer() {
    let fake = Fake::default();
    fake.set("a", "v");
    fake.delay(SECOND);
    let mut resolver = resolver(&fake);
    let wanted = key("fake", "a", "");
    resolver.want([&wanted]);
    for _ in 0..3 {
        assert!(
            tokio::time::timeout(SECOND / 4, resolver.progress())
                .await
                .is_err()
        );
    }
    resolver.progress().await;
    assert_eq!(value(&resolver, &wanted), Some(true));
    assert_eq!(fake.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_cannot_be_made_fails_its_secrets_by_name() {
    let fake = Fake::default();
    let mut resolver = resolver(&fake);
    let wanted = key("absent", "a", "");
    resolver.want([&wanted]);
    resolver.settle(SECOND * 60).await;
    let Answer::Failed(error) = resolver.answer(&wanted) else {
        panic!("it failed")
    };
    assert!(error.context.contains("absent"));
    assert_eq!(Arc::strong_count(&error), 2);
}

fn budgeted(fake: &Fake, budget: usize, state: &std::path::Path) -> Resolver {
    let limits = crate::InstanceLimits {
        max_concurrent: None,
        daily_budget: Some(budget),
    };
    let timing = Timing {
        request: SECOND * 10,
        backoff: Backoff::default(),
    };
    let budgets = Arc::new(Budgets::at(state.to_owned()));
    Resolver::new(Arc::new(fake.limited(limits).counting(budgets)), clock(), timing)
}

#[tokio::test(start_paused = true)]
async fn a_spent_budget_outlives_a_restart_and_asks_nobody() {
    let (fake, state) = (Fake::default(), tempfile::tempdir().unwrap());
    fake.set("a", "v");
    let wanted = key("fake", "a", "");
    for start in 0..3 {
        let mut resolver = budgeted(&fake, 3, state.path());
        resolver.want([&wanted]);
        resolver.settle(SECOND * 60).await;
        assert_eq!(value(&resolver, &wanted), Some(true), "start {start}");
    }
    assert_eq!(fake.calls().len(), 3);
    let mut resolver = budgeted(&fake, 3, state.path());
    resolver.want([&wanted]);
    resolver.settle(SECOND * 60).await;
    let Answer::Failed(error) = resolver.answer(&wanted) else {
        panic!("the fourth start had a value")
    };
    assert!(matches!(error.kind, ErrorKind::RateLimited { .. }));
    assert!(
        error
            .context
            .starts_with("the daily budget of 3 requests is spent"),
        "{error}"
    );
    assert!(error.hint.as_ref().unwrap().contains("fake.daily-budget"));
    assert!(fake.calls().is_empty(), "nobody was asked");
    resolver.settle(SECOND * 60 * 60 * 26).await;
    assert_eq!(value(&resolver, &wanted), Some(true), "a day later there is room");
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_would_pass_the_budget_waits_and_leaves_values_as_they_are() {
    let (fake, state) = (Fake::default(), tempfile::tempdir().unwrap());
    let keys: Vec<_> = (0..4).map(|item| key("fake", &item.to_string(), "")).collect();
    for item in 0..4 {
        fake.set(&item.to_string(), "v");
    }
    let mut resolver = budgeted(&fake, 6, state.path());
    resolver.want(&keys);
    resolver.settle(SECOND * 60).await;
    assert_eq!(fake.calls().len(), 4);
    resolver.refresh();
    resolver.settle(SECOND * 60).await;
    assert!(
        fake.calls().is_empty(),
        "two of six are left, and four would be needed"
    );
    assert!(keys.iter().all(|key| value(&resolver, key) == Some(true)));
    tokio::time::sleep(SECOND * 60 * 60 * 25).await;
    resolver.refresh();
    resolver.settle(SECOND * 60 * 60 * 26).await;
    assert_eq!(fake.calls().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_login_is_kept_alive_while_nobody_asks_for_a_secret() {
    let fake = Fake::default();
    fake.set("a", "v");
    fake.log_in(SECOND * 40);
    fake.delay(SECOND / 10);
    let mut resolver = resolver(&fake);
    let wanted = key("fake", "a", "");
    let nothing = tokio::time::timeout(SECOND * 3600, resolver.progress()).await;
    assert!(
        nothing.is_err() && fake.kept().is_empty(),
        "whom nobody needed has no login"
    );
    resolver.want([&wanted]);
    assert_eq!(resolver.progress().await, [wanted]);
    fake.calls();
    let nothing = tokio::time::timeout(SECOND * 400, resolver.progress()).await;
    assert!(nothing.is_err(), "nobody asked for anything");
    assert_eq!(fake.calls().len(), 0);
    let kept = fake.kept();
    assert_eq!(kept.len(), 10, "{kept:?}");
    let is_in_turn = |pair: &[Duration]| pair[1] - pair[0] == SECOND * 40 + SECOND / 10;
    assert!(kept.windows(2).all(is_in_turn), "{kept:?}");
    assert!(resolver.is_idle());
}

#[tokio::test(start_paused = true)]
async fn a_login_that_cannot_be_kept_holds_up_no_secret() {
    let fake = Fake::default();
    fake.set("a", "v");
    fake.log_in(SECOND * 5);
    let mut resolver = resolver(&fake);
    let wanted = key("fake", "a", "");
    resolver.want([&wanted]);
    resolver.progress().await;
    fake.hang(true);
    let _ = tokio::time::timeout(SECOND * 60, resolver.progress()).await;
    fake.hang(false);
    resolver.refresh();
    let settled = tokio::time::timeout(SECOND * 2, resolver.progress()).await;
    assert_eq!(settled.unwrap(), [wanted]);
}
