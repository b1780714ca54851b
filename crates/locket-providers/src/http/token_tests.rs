use std::path::PathBuf;
use std::sync::Mutex as SyncMutex;

use futures_util::future::join_all;
use locket_core::Clock;
use locket_testkit::ManualClock;

use super::*;

/// Grants what the test prepared, and counts.
#[derive(Debug)]
struct Desk {
    logins: AtomicU64,
    renewals: AtomicU64,
    answer: SyncMutex<Result<Lifetime, ProviderError>>,
    renewal: SyncMutex<Result<u64, ProviderError>>,
    /// The time that the last login or renewal had.
    left: SyncMutex<Duration>,
    names: Names,
}

#[derive(Clone, Copy, Debug)]
enum Lifetime {
    Endless,
    Seconds(u64),
    /// So many seconds, and never more.
    Fixed(u64),
    Uses(u64),
}

#[derive(Debug)]
enum Names {
    Fresh,
    Same,
}

impl Desk {
    fn new(answer: Lifetime) -> Self {
        Self {
            logins: AtomicU64::new(0),
            renewals: AtomicU64::new(0),
            answer: SyncMutex::new(Ok(answer)),
            renewal: SyncMutex::new(Ok(60)),
            left: SyncMutex::default(),
            names: Names::Fresh,
        }
    }

    fn logins(&self) -> u64 {
        self.logins.load(Ordering::SeqCst)
    }

    fn renewals(&self) -> u64 {
        self.renewals.load(Ordering::SeqCst)
    }
}

impl Authority for Desk {
    fn login<'a>(&'a self, cx: &'a FetchCx) -> BoxFuture<'a, Result<Grant, ProviderError>> {
        Box::pin(async {
            *self.left.lock().unwrap() = cx.remaining();
            let number = self.logins.fetch_add(1, Ordering::SeqCst) + 1;
            tokio::task::yield_now().await;
            let name = match self.names {
                Names::Fresh => format!("token-{number}"),
                Names::Same => "token".to_owned(),
            };
            let grant = Grant::new(SecretBytes::copy_from(name.as_bytes()));
            Ok(match self.answer.lock().unwrap().clone()? {
                Lifetime::Endless => grant,
                Lifetime::Seconds(seconds) => grant.lasting(Duration::from_secs(seconds)).renewable(),
                Lifetime::Fixed(seconds) => grant.lasting(Duration::from_secs(seconds)),
                Lifetime::Uses(uses) => grant.uses(uses),
            })
        })
    }

    fn renew<'a>(
        &'a self,
        token: &'a SecretBytes,
        cx: &'a FetchCx,
    ) -> BoxFuture<'a, Result<Grant, ProviderError>> {
        Box::pin(async {
            *self.left.lock().unwrap() = cx.remaining();
            self.renewals.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            let seconds = self.renewal.lock().unwrap().clone()?;
            let same = Grant::new(SecretBytes::copy_from(bytes(token)));
            Ok(same.lasting(Duration::from_secs(seconds)).renewable())
        })
    }
}

#[expect(clippy::disallowed_methods, reason = "the test looks at what it made up")]
fn bytes(token: &SecretBytes) -> &[u8] {
    token.expose()
}

fn cx() -> (Arc<ManualClock>, FetchCx) {
    let clock = Arc::new(ManualClock::new());
    let cx = FetchCx::new(clock.clone(), Duration::from_secs(1 << 20));
    (clock, cx)
}

fn pass(clock: &ManualClock, seconds: u64) {
    clock.advance(Duration::from_secs(seconds));
}

fn refusal() -> ProviderError {
    ProviderError::auth("refused")
}

#[tokio::test]
async fn many_readers_share_one_login() {
    let (_, cx) = cx();
    let cache = TokenCache::new(Desk::new(Lifetime::Endless));
    for token in join_all((0..50).map(|_| cache.current(&cx))).await {
        assert!(token.unwrap().value().matches(b"token-1"));
    }
    assert_eq!(cache.authority.logins(), 1);
}

#[tokio::test]
async fn many_readers_share_one_failed_login_even_a_transient_one() {
    let (_, cx) = cx();
    let cache = TokenCache::new(Desk::new(Lifetime::Endless));
    *cache.authority.answer.lock().unwrap() = Err(ProviderError::unavailable("down"));
    for token in join_all((0..50).map(|_| cache.current(&cx))).await {
        assert_eq!(token.unwrap_err().context, "down");
    }
    assert_eq!(cache.authority.logins(), 1);
    *cache.authority.answer.lock().unwrap() = Ok(Lifetime::Endless);
    assert!(cache.current(&cx).await.is_ok(), "the next attempt asks again");
}

#[tokio::test]
async fn a_refused_login_is_not_repeated_at_once_but_in_time() {
    let (clock, cx) = cx();
    let cache = TokenCache::new(Desk::new(Lifetime::Endless));
    *cache.authority.answer.lock().unwrap() = Err(refusal());
    for _ in 0..20 {
        assert_eq!(cache.current(&cx).await.unwrap_err(), refusal());
    }
    assert_eq!(cache.authority.logins(), 1);
    pass(&clock, 31);
    *cache.authority.answer.lock().unwrap() = Ok(Lifetime::Endless);
    assert!(cache.current(&cx).await.is_ok());
}

/// A desk that reads a file to log in.
#[derive(Debug)]
struct OfFile(Desk, PathBuf);

impl Authority for OfFile {
    fn login<'a>(&'a self, cx: &'a FetchCx) -> BoxFuture<'a, Result<Grant, ProviderError>> {
        self.0.login(cx)
    }

    fn source<'a>(&'a self, _: &'a FetchCx) -> BoxFuture<'a, Result<Vec<Stamp>, ProviderError>> {
        Box::pin(async { Ok(vec![Stamp::of(&self.1).unwrap()]) })
    }
}

#[tokio::test]
async fn who_waited_for_a_login_that_failed_tries_with_what_was_written_since() {
    let (_, cx) = cx();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("secret-id");
    for is_rotated in [false, true] {
        std::fs::write(&file, "old").unwrap();
        let cache = TokenCache::new(OfFile(Desk::new(Lifetime::Endless), file.clone()));
        *cache.authority.0.answer.lock().unwrap() = Err(refusal());
        let mut first = Box::pin(cache.current(&cx));
        assert!(futures_util::poll!(&mut first).is_pending(), "inside the login");
        let mut second = Box::pin(cache.current(&cx));
        assert!(futures_util::poll!(&mut second).is_pending(), "waiting for it");
        first.await.unwrap_err();
        if is_rotated {
            std::fs::write(&file, "another").unwrap();
        }
        *cache.authority.0.answer.lock().unwrap() = Ok(Lifetime::Endless);
        assert_eq!(second.await.is_ok(), is_rotated);
        assert_eq!(cache.authority.0.logins(), 1 + u64::from(is_rotated));
    }
}

#[tokio::test]
async fn a_token_is_renewed_once_two_thirds_are_gone() {
    let (clock, cx) = cx();
    let cache = TokenCache::new(Desk::new(Lifetime::Seconds(60)));
    cache.current(&cx).await.unwrap();
    pass(&clock, 39);
    cache.current(&cx).await.unwrap();
    assert_eq!(cache.authority.renewals(), 0);
    pass(&clock, 1);
    for token in join_all((0..9).map(|_| cache.current(&cx))).await {
        assert!(token.unwrap().value().matches(b"token-1"));
    }
    assert_eq!((cache.authority.renewals(), cache.authority.logins()), (1, 1));
}

#[tokio::test]
async fn a_token_that_ended_is_replaced_without_asking_to_renew_it() {
    let (clock, cx) = cx();
    let cache = TokenCache::new(Desk::new(Lifetime::Seconds(60)));
    cache.current(&cx).await.unwrap();
    pass(&clock, 60);
    assert!(cache.current(&cx).await.unwrap().value().matches(b"token-2"));
    assert_eq!(cache.authority.renewals(), 0);
}

#[tokio::test]
async fn a_renewal_that_fails_for_now_keeps_the_token_and_is_not_a_hot_loop() {
    let (clock, cx) = cx();
    let cache = TokenCache::new(Desk::new(Lifetime::Seconds(60)));
    cache.current(&cx).await.unwrap();
    *cache.authority.renewal.lock().unwrap() = Err(ProviderError::unavailable("down"));
    pass(&clock, 40);
    for _ in 0..5 {
        assert!(cache.current(&cx).await.unwrap().value().matches(b"token-1"));
    }
    assert_eq!(cache.authority.renewals(), 1);
    *cache.authority.renewal.lock().unwrap() = Err(refusal());
    pass(&clock, 8);
    assert!(
        cache.current(&cx).await.unwrap().value().matches(b"token-2"),
        "refused: log in"
    );
}

#[tokio::test]
async fn renewals_that_grant_less_and_less_end_in_a_login() {
    let (clock, cx) = cx();
    let cache = TokenCache::new(Desk::new(Lifetime::Seconds(60)));
    cache.current(&cx).await.unwrap();
    *cache.authority.renewal.lock().unwrap() = Ok(20);
    pass(&clock, 40);
    cache.current(&cx).await.unwrap();
    pass(&clock, 15);
    cache.current(&cx).await.unwrap();
    assert_eq!(cache.authority.renewals(), 1);
    pass(&clock, 4);
    assert!(cache.current(&cx).await.unwrap().value().matches(b"token-2"));
}

#[tokio::test]
async fn what_ends_with_its_token_is_asked_for_with_one_that_lasts() {
    let (clock, cx) = cx();
    let cache = TokenCache::new(Desk::new(Lifetime::Seconds(60)));
    let lasting = async || {
        let used = cache.with_lasting(&cx, async |token| Ok(token)).await;
        used.unwrap()
    };
    let first = lasting().await;
    pass(&clock, 40);
    let renewed = lasting().await;
    assert!(renewed.is_same_as(&first), "renewed, and the same to its leases");
    assert!(renewed.ends() > first.ends());
    *cache.authority.renewal.lock().unwrap() = Ok(20);
    pass(&clock, 41);
    assert!(
        cache.current(&cx).await.unwrap().is_same_as(&first),
        "good enough to read with"
    );
    let second = lasting().await;
    assert!(second.value().matches(b"token-2") && !second.is_same_as(&first));
    assert_eq!(
        second.ends(),
        Some(cx.clock.monotonic() + Duration::from_secs(54))
    );
}

#[tokio::test]
async fn a_lease_as_long_as_its_token_is_renewed_with_a_token_that_lasts_at_every_life_of_it() {
    let (clock, cx) = cx();
    let cache = TokenCache::new(Desk::new(Lifetime::Seconds(60)));
    let first = cache.current(&cx).await.unwrap();
    for life in 1..=3 {
        // A lease of a minute is renewed after 34 to 40 seconds.
        pass(&clock, 35);
        cache.current(&cx).await.unwrap();
        assert_eq!(cache.authority.renewals(), life - 1, "not due for reading");
        let token = cache.current_lasting(&cx).await.unwrap();
        assert!(token.is_same_as(&first));
        assert_eq!(token.ends(), Some(cx.clock.monotonic() + Duration::from_secs(54)));
        cache.current_lasting(&cx).await.unwrap();
        assert_eq!(cache.authority.renewals(), life, "once is enough");
    }
    assert_eq!(cache.authority.logins(), 1);
}

#[tokio::test]
async fn a_token_that_gets_no_more_time_is_not_renewed_for_its_leases() {
    let (clock, cx) = cx();
    let cache = TokenCache::new(Desk::new(Lifetime::Fixed(60)));
    let first = cache.current(&cx).await.unwrap();
    pass(&clock, 35);
    let token = cache.current_lasting(&cx).await.unwrap();
    assert!(token.is_same_as(&first));
    assert_eq!(token.ends(), first.ends());
    assert_eq!((cache.authority.renewals(), cache.authority.logins()), (0, 1));
}

#[tokio::test]
async fn many_leases_do_not_ask_again_and_again_near_the_end_of_all_time_of_a_token() {
    let (clock, cx) = cx();
    let cache = TokenCache::new(Desk::new(Lifetime::Seconds(600)));
    cache.current(&cx).await.unwrap();
    for gone in 1..590_u64 {
        pass(&clock, 1);
        // The server grants 600 seconds in all.
        *cache.authority.renewal.lock().unwrap() = Ok(600 - gone);
        let token = cache.current_lasting(&cx).await.unwrap();
        assert!(token.value().matches(b"token-1"), "after {gone} seconds");
    }
    assert!(
        cache.authority.renewals() <= 3,
        "{} renewals",
        cache.authority.renewals()
    );
}

#[tokio::test]
async fn a_token_that_nears_its_end_serves_on_while_no_other_is_to_be_had() {
    for trouble in [refusal(), ProviderError::unavailable("down")] {
        let (clock, cx) = cx();
        let cache = TokenCache::new(Desk::new(Lifetime::Fixed(600)));
        let lasting = async || cache.with_lasting(&cx, async |token| Ok(token)).await;
        let first = lasting().await.unwrap();
        *cache.authority.answer.lock().unwrap() = Err(trouble.clone());
        pass(&clock, 300);
        for _ in 0..5 {
            assert!(lasting().await.unwrap().is_same_as(&first), "{trouble:?}");
            assert!(cache.current(&cx).await.unwrap().is_same_as(&first));
        }
        assert_eq!(cache.authority.logins(), 2, "no hot loop");
        pass(&clock, 31);
        assert!(lasting().await.unwrap().is_same_as(&first));
        assert_eq!(cache.authority.logins(), 3, "but tried again in time");
        pass(&clock, 259);
        assert_eq!(lasting().await.unwrap_err(), trouble, "it has ended");
        *cache.authority.answer.lock().unwrap() = Ok(Lifetime::Fixed(600));
        pass(&clock, 31);
        assert!(!lasting().await.unwrap().is_same_as(&first));
    }
}

#[tokio::test]
async fn another_token_takes_the_place_of_one_that_nears_its_end_once_the_login_works_again() {
    let (clock, cx) = cx();
    let cache = TokenCache::new(Desk::new(Lifetime::Fixed(600)));
    let lasting = async || cache.with_lasting(&cx, async |token| Ok(token)).await.unwrap();
    let first = lasting().await;
    *cache.authority.answer.lock().unwrap() = Err(refusal());
    pass(&clock, 300);
    assert!(lasting().await.is_same_as(&first));
    *cache.authority.answer.lock().unwrap() = Ok(Lifetime::Fixed(600));
    pass(&clock, 31);
    assert!(lasting().await.value().matches(b"token-3"));
}

#[tokio::test]
async fn a_token_that_may_not_be_renewed_serves_to_its_end_while_no_other_is_to_be_had() {
    let (clock, cx) = cx();
    let cache = TokenCache::new(Desk::new(Lifetime::Seconds(60)));
    cache.current(&cx).await.unwrap();
    *cache.authority.renewal.lock().unwrap() = Err(refusal());
    *cache.authority.answer.lock().unwrap() = Err(refusal());
    pass(&clock, 40);
    for _ in 0..5 {
        assert!(cache.current(&cx).await.unwrap().value().matches(b"token-1"));
    }
    assert_eq!((cache.authority.renewals(), cache.authority.logins()), (1, 2));
    pass(&clock, 14);
    assert_eq!(cache.current(&cx).await.unwrap_err(), refusal());
}

#[tokio::test]
async fn what_is_asked_for_beside_a_token_that_serves_leaves_time_to_use_it() {
    let (clock, cx) = cx();
    let cache = TokenCache::new(Desk::new(Lifetime::Seconds(60)));
    let left = || *cache.authority.left.lock().unwrap();
    cache.current(&cx).await.unwrap();
    assert_eq!(left(), cx.remaining(), "nothing is to be had without a login");
    pass(&clock, 40);
    cache.current(&cx).await.unwrap();
    assert_eq!((cache.authority.renewals(), left()), (1, cx.remaining() / 2));
    *cache.authority.answer.lock().unwrap() = Ok(Lifetime::Fixed(60));
    *cache.authority.renewal.lock().unwrap() = Err(refusal());
    pass(&clock, 40);
    cache.current(&cx).await.unwrap();
    assert_eq!((cache.authority.logins(), left()), (2, cx.remaining() / 2));
}

#[tokio::test]
async fn a_cancelled_renewal_costs_no_token() {
    let (clock, cx) = cx();
    let cache = TokenCache::new(Desk::new(Lifetime::Seconds(60)));
    cache.current(&cx).await.unwrap();
    *cache.authority.answer.lock().unwrap() = Err(refusal());
    pass(&clock, 40);
    {
        let mut first = Box::pin(cache.current(&cx));
        assert!(futures_util::poll!(&mut first).is_pending(), "inside the renewal");
    }
    assert!(cache.current(&cx).await.unwrap().value().matches(b"token-1"));
    assert_eq!((cache.authority.renewals(), cache.authority.logins()), (2, 1));
}

#[tokio::test]
async fn a_token_of_few_uses_is_replaced_when_they_are_spent() {
    let (_, cx) = cx();
    let cache = TokenCache::new(Desk::new(Lifetime::Uses(3)));
    for _ in 0..7 {
        cache.current(&cx).await.unwrap();
    }
    assert_eq!(cache.authority.logins(), 3);
}

#[tokio::test]
async fn a_refused_token_is_replaced_once_for_all_who_used_it() {
    let (_, cx) = cx();
    let cache = TokenCache::new(Desk::new(Lifetime::Endless));
    let read = || {
        cache.with(&cx, async |token: Token| {
            tokio::task::yield_now().await;
            if token.value().matches(b"token-1") {
                Err(refusal())
            } else {
                Ok(())
            }
        })
    };
    assert!(join_all((0..20).map(|_| read())).await.iter().all(Result::is_ok));
    assert_eq!(cache.authority.logins(), 2);
}

#[tokio::test]
async fn a_refused_token_without_another_is_not_offered_again() {
    let (_, cx) = cx();
    let cache = TokenCache::new(Desk {
        names: Names::Same,
        ..Desk::new(Lifetime::Endless)
    });
    let requests = AtomicU64::new(0);
    for _ in 0..20 {
        let outcome = cache.with(&cx, async |_| {
            requests.fetch_add(1, Ordering::SeqCst);
            Err::<(), _>(refusal())
        });
        assert_eq!(outcome.await, Err(refusal()));
    }
    assert_eq!(requests.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn other_errors_leave_the_token_alone() {
    let (_, cx) = cx();
    let cache = TokenCache::new(Desk::new(Lifetime::Endless));
    let outcome = cache.with(&cx, async |_| Err::<(), _>(ProviderError::denied("no")));
    assert_eq!(outcome.await, Err(ProviderError::denied("no")));
    cache.current(&cx).await.unwrap();
    assert_eq!(cache.authority.logins(), 1);
}

#[tokio::test]
async fn a_cancelled_login_lets_the_next_reader_log_in() {
    let (_, cx) = cx();
    let cache = TokenCache::new(Desk::new(Lifetime::Endless));
    {
        let mut first = Box::pin(cache.current(&cx));
        assert!(futures_util::poll!(&mut first).is_pending(), "inside the login");
    }
    assert!(cache.current(&cx).await.unwrap().value().matches(b"token-2"));
}

/// A desk whose files are on a file system that stalls from the first login on.
#[derive(Debug)]
struct Stalling(Desk);

/// For so long a look at them takes.
const STALL: Duration = Duration::from_secs(5);

impl Authority for Stalling {
    fn login<'a>(&'a self, cx: &'a FetchCx) -> BoxFuture<'a, Result<Grant, ProviderError>> {
        self.0.login(cx)
    }

    fn source<'a>(&'a self, _: &'a FetchCx) -> BoxFuture<'a, Result<Vec<Stamp>, ProviderError>> {
        Box::pin(async {
            if self.0.logins() == 0 {
                return Ok(Vec::new());
            }
            tokio::time::sleep(STALL).await;
            Err(ProviderError::unavailable(
                "the file system gave no answer in time",
            ))
        })
    }

    fn on_new_source(&self) -> OnNewSource {
        OnNewSource::Replace
    }
}

#[tokio::test(start_paused = true)]
async fn files_that_cannot_be_looked_at_hold_no_reader_up_behind_another() {
    let (_, cx) = cx();
    let cache = TokenCache::new(Stalling(Desk::new(Lifetime::Endless)));
    cache.current(&cx).await.unwrap();
    let start = tokio::time::Instant::now();
    for token in join_all((0..20).map(|_| cache.current(&cx))).await {
        assert!(token.unwrap().value().matches(b"token-1"), "it serves on");
    }
    let took = start.elapsed();
    assert!(
        took >= STALL && took < STALL * 2,
        "{took:?}: all look side by side"
    );
    assert_eq!(cache.authority.0.logins(), 1);
}

#[tokio::test]
async fn a_token_is_given_more_time_while_nobody_asks_for_it() {
    let (clock, cx) = cx();
    let cache = TokenCache::new(Desk::new(Lifetime::Seconds(60)));
    assert_eq!(cache.due(), None, "there is none yet");
    cache.current(&cx).await.unwrap();
    let left = |at: Option<Duration>| at.map(|at| at - clock.monotonic());
    assert_eq!(left(cache.due()), Some(Duration::from_secs(40)));
    cache.keep(&cx).await;
    assert_eq!(cache.authority.renewals(), 0, "it is not due");
    for renewals in 1..=10 {
        pass(&clock, 40);
        cache.keep(&cx).await;
        assert_eq!(cache.authority.renewals(), renewals);
        assert_eq!(left(cache.due()), Some(Duration::from_secs(40)));
    }
    assert!(cache.current(&cx).await.unwrap().value().matches(b"token-1"));
    assert_eq!(cache.authority.logins(), 1);
}

#[tokio::test]
async fn a_token_that_gets_no_more_time_is_not_kept() {
    for lifetime in [
        Lifetime::Endless,
        Lifetime::Fixed(60),
        Lifetime::Uses(5),
        Lifetime::Seconds(4),
    ] {
        let (_, cx) = cx();
        let cache = TokenCache::new(Desk::new(lifetime));
        cache.current(&cx).await.unwrap();
        assert_eq!(cache.due(), None, "{lifetime:?}");
    }
}

#[tokio::test]
async fn keeping_a_token_at_a_server_that_is_down_is_no_hot_loop() {
    let (clock, cx) = cx();
    let cache = TokenCache::new(Desk::new(Lifetime::Seconds(60)));
    cache.current(&cx).await.unwrap();
    *cache.authority.renewal.lock().unwrap() = Err(ProviderError::unavailable("down"));
    let mut tries = 0;
    while let Some(at) = cache.due() {
        clock.advance(at.saturating_sub(clock.monotonic()));
        cache.keep(&cx).await;
        tries += 1;
        assert!(tries < 20, "{:?}", cache.due());
    }
    assert!(tries >= 3, "{tries}");
    pass(&clock, 60);
    cache.keep(&cx).await;
    assert_eq!(cache.due(), None, "it has ended");
    assert_eq!(cache.authority.logins(), 1, "nobody wants another yet");
}
