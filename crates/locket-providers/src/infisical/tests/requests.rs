//! What is asked, and how often.

use futures_util::future::{join, join_all};
use locket_core::{Clock, FetchCx};
use tokio::sync::{Barrier, Notify};

use super::*;

impl Rig {
    /// The same at a server that may wait with its answers, with this setting for what may be in flight.
    fn at_a_server_that_waits<A>(
        self,
        max_concurrent: Option<&str>,
        handler: impl Fn(Infisical, Request) -> A + Send + Sync + 'static,
    ) -> Self
    where
        A: Future<Output = Response> + Send + 'static,
    {
        let answering = self.fake.clone();
        let server = Server::start_async(move |request| handler(answering.clone(), request));
        let mut fixture = self.fixture.set("url", &server.url());
        if let Some(number) = max_concurrent {
            fixture = fixture.set("max-concurrent", number);
        }
        let provider = fixture.build(KIND.build).unwrap();
        Self {
            server,
            fixture,
            provider,
            ..self
        }
    }
}

#[tokio::test]
async fn a_hundred_references_over_twenty_secrets_of_a_folder_are_one_request_beside_the_login() {
    let rig = Rig::new();
    for at in 0..20 {
        rig.put(&format!("KEY_{at}"), &format!("value {at}"));
    }
    let references: Vec<_> = (0..100)
        .map(|at| {
            let key = format!("infisical:///KEY_{}", at % 20);
            match at / 20 {
                0 => key,
                1 => format!("{key}?env=prod"),
                2 => format!("{key}?path=/&type=shared"),
                3 => format!("{key}?project_id=p1"),
                _ => format!("{key}?project_id=p1&env=prod&path=/"),
            }
        })
        .collect();
    let references: Vec<_> = references.iter().map(String::as_str).collect();
    for (round, due) in [
        ("the first round", &[LOGIN, LIST][..]),
        ("any other round", &[LIST]),
    ] {
        let results = rig.get_all(&references).await;
        for (at, result) in results.iter().enumerate() {
            let value = format!("value {}", at % 20);
            assert!(
                result.as_ref().unwrap().value.matches(value.as_bytes()),
                "{}",
                references[at]
            );
        }
        assert_eq!(rig.asked(), due, "{round}");
    }
    let batch = rig.provider.capability().items_per_call;
    assert!(batch >= 100, "the engine gives them in one call");
}

#[tokio::test]
async fn each_folder_is_one_request_and_a_single_secret_of_one_does_not_bring_the_others() {
    let rig = Rig::new();
    for (path, key) in [("/a", "A1"), ("/a", "A2"), ("/b", "B1")] {
        rig.fake.put(("p1", "prod", path), Secret::new(key, key));
    }
    let references = [
        "infisical:///A1?path=/a",
        "infisical:///A2?path=/a",
        "infisical:///B1?path=/b",
    ];
    rig.get("infisical:///A1?path=/a").await.unwrap();
    assert_eq!(rig.asked(), [LOGIN, "/api/v4/secrets/A1"]);
    assert!(rig.get_all(&references).await.iter().all(Result::is_ok));
    let mut asked = rig.asked();
    asked.sort();
    assert_eq!(asked, [LIST, "/api/v4/secrets/B1"]);
}

#[tokio::test]
async fn the_generation_is_found_out_once_by_whoever_comes_first() {
    for (generations, due) in [
        (Generations::Both, &[LOGIN, "/api/v4/secrets/K"][..]),
        (Generations::Fourth, &[LOGIN, "/api/v4/secrets/K"]),
        (
            Generations::Third,
            &[LOGIN, "/api/v4/secrets/K", "/api/v3/secrets/raw/K"],
        ),
    ] {
        let rig = Rig::new();
        rig.fake.speak(generations);
        rig.put("K", "v");
        rig.gives("infisical:///K", b"v").await;
        assert_eq!(rig.asked(), due, "{generations:?}");
        rig.gives("infisical:///K", b"v").await;
        assert_eq!(rig.asked(), due[due.len() - 1..], "{generations:?}, remembered");
    }
    let rig = Rig::new();
    rig.fake.speak(Generations::Third);
    let references: Vec<_> = (0..10).map(|at| format!("infisical:///K?path=/{at}")).collect();
    for at in 0..10 {
        rig.fake
            .put(("p1", "prod", &format!("/{at}")), Secret::new("K", "v"));
    }
    let results = join_all(references.iter().map(|reference| rig.get(reference))).await;
    assert!(results.iter().all(Result::is_ok));
    let asked = rig.asked();
    assert_eq!(asked.iter().filter(|path| path.contains("/v4/")).count(), 1);
    assert_eq!(asked.len(), 1 + 1 + 10);
}

#[tokio::test]
async fn an_upgrade_that_takes_the_old_requests_away_is_noticed() {
    let rig = Rig::new();
    rig.fake.speak(Generations::Third);
    rig.put("K", "v");
    rig.gives("infisical:///K", b"v").await;
    rig.fake.speak(Generations::Fourth);
    rig.asked();
    rig.gives("infisical:///K", b"v").await;
    assert_eq!(rig.asked(), ["/api/v3/secrets/raw/K", "/api/v4/secrets/K"]);
    rig.gives("infisical:///K", b"v").await;
    assert_eq!(rig.asked(), ["/api/v4/secrets/K"]);
}

#[tokio::test]
async fn a_secret_that_is_missing_costs_one_request_more() {
    let rig = Rig::new();
    rig.put("OTHER", "v");
    rig.failure("infisical:///K").await;
    assert_eq!(rig.asked(), [LOGIN, "/api/v4/secrets/K", LIST]);
    let list = rig.server.requests();
    assert!(list.is_empty());
    rig.get_all(&["infisical:///K", "infisical:///L", "infisical:///OTHER"])
        .await;
    let mut asked = rig.asked();
    asked.sort();
    assert_eq!(
        asked,
        [LIST, "/api/v4/secrets/K", "/api/v4/secrets/L"],
        "of several each costs one, and what is there costs nothing"
    );
}

#[tokio::test]
async fn no_more_requests_are_in_flight_at_once_than_the_setting_says() {
    // Both divide the number of folders.
    for (setting, most) in [(None, 8), (Some("3"), 3)] {
        let gate = Arc::new(Barrier::new(most));
        let rig = Rig::new().at_a_server_that_waits(setting, move |fake, request| {
            let gate = Arc::clone(&gate);
            async move {
                if request.param("secretPath").is_some_and(|path| path != "/") {
                    // Nobody is answered before as many have come as may; those who may not get the time to come.
                    gate.wait().await;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                fake.answer(&request)
            }
        });
        rig.put("K", "v");
        rig.gives("infisical:///K", b"v").await;
        rig.asked();
        let references: Vec<_> = (0..24).map(|at| format!("infisical:///K?path=/{at}")).collect();
        for at in 0..24 {
            rig.fake
                .put(("p1", "prod", &format!("/{at}")), Secret::new("K", "v"));
        }
        let references: Vec<_> = references.iter().map(String::as_str).collect();
        assert!(rig.get_all(&references).await.iter().all(Result::is_ok));
        assert_eq!(rig.server.peak_concurrency(), most, "of one call");
        assert_eq!(rig.asked().len(), 24);
        let calls = references.chunks(2).map(|references| rig.get_all(references));
        assert!(join_all(calls).await.iter().flatten().all(Result::is_ok));
        assert_eq!(rig.server.peak_concurrency(), most, "of several calls together");
        assert_eq!(rig.provider.capability().max_concurrent, most);
    }
}

#[tokio::test]
async fn waiting_for_other_requests_ends_with_the_time_of_the_call() {
    let gate = Arc::new(Notify::new());
    let waiting = Arc::clone(&gate);
    let rig = Rig::new().at_a_server_that_waits(Some("1"), move |fake, request| {
        let gate = Arc::clone(&waiting);
        async move {
            if request.param("secretPath").as_deref() == Some("/slow") {
                gate.notified().await;
            }
            fake.answer(&request)
        }
    });
    rig.put("K", "v");
    rig.fake.put(("p1", "prod", "/slow"), Secret::new("K", "slow"));
    rig.gives("infisical:///K", b"v").await;
    rig.asked();
    let (slow, other) = (
        [locator("infisical:///K?path=/slow")],
        [locator("infisical:///K")],
    );
    let patient = rig.fixture.fetch_cx();
    let clock = rig.fixture.clock.clone();
    let soon = clock.monotonic() + Duration::from_millis(50);
    let hasty = FetchCx::new(clock, soon);
    let hurrying = async {
        let outcome = rig.provider.fetch(&other, &hasty).await.remove(0);
        gate.notify_one();
        outcome
    };
    let (mut first, second) = join(rig.provider.fetch(&slow, &patient), hurrying).await;
    assert!(first.remove(0).unwrap().value.matches(b"slow"));
    let error = second.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.context.contains("other requests"), "{error}");
    assert!(error.hint.unwrap().contains("infisical.max-concurrent"));
    assert_eq!(rig.asked(), ["/api/v4/secrets/K"], "the other one was never sent");
    rig.gives("infisical:///K", b"v").await;
}

#[tokio::test]
async fn looking_for_a_missing_secret_asks_for_no_values() {
    let rig = Rig::new();
    rig.put("OTHER", "v");
    rig.failure("infisical:///K").await;
    let last = rig.server.requests().pop().unwrap();
    assert_eq!(last.param("viewSecretValue").as_deref(), Some("false"));
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends_and_replaced_when_it_cannot_be() {
    let rig = Rig::new();
    rig.fake.tokens_last(Duration::from_secs(900));
    rig.put("K", "v");
    rig.gives("infisical:///K", b"v").await;
    rig.asked();
    rig.fixture.clock.advance(Duration::from_secs(660));
    rig.gives("infisical:///K", b"v").await;
    assert_eq!(rig.asked(), [RENEW, "/api/v4/secrets/K"]);
    rig.fake.end_tokens();
    rig.gives("infisical:///K", b"v").await;
    assert_eq!(rig.asked(), ["/api/v4/secrets/K", LOGIN, "/api/v4/secrets/K"]);
    rig.fake.end_tokens();
    rig.fixture.clock.advance(Duration::from_secs(660));
    rig.gives("infisical:///K", b"v").await;
    assert_eq!(
        rig.asked(),
        [RENEW, LOGIN, "/api/v4/secrets/K"],
        "past all its renewals"
    );
    rig.fixture.clock.advance(Duration::from_secs(1000));
    rig.gives("infisical:///K", b"v").await;
    assert_eq!(rig.asked(), [LOGIN, "/api/v4/secrets/K"], "after a long rest");
}

#[tokio::test]
async fn clocks_that_are_hours_apart_neither_renew_a_token_early_nor_keep_it_too_long() {
    const HOURS: Duration = Duration::from_secs(5 * 3600);
    for date in ["Thu, 01 Jan 1970 05:00:00 GMT", "Wed, 02 Jan 2030 08:04:05 GMT"] {
        let rig = Rig::with(|fake, request| fake.answer(&request).with_header("date", date));
        let clock = &rig.fixture.clock;
        rig.fake.tokens_last(Duration::from_secs(900));
        rig.put("K", "v");
        rig.gives("infisical:///K", b"v").await;
        rig.asked();
        clock.set_wall_ahead(HOURS);
        rig.gives("infisical:///K", b"v").await;
        assert_eq!(rig.asked(), ["/api/v4/secrets/K"], "ahead");
        clock.set_wall_back(2 * HOURS);
        rig.gives("infisical:///K", b"v").await;
        assert_eq!(rig.asked(), ["/api/v4/secrets/K"], "behind");
        clock.advance(Duration::from_secs(660));
        rig.gives("infisical:///K", b"v").await;
        assert_eq!(
            rig.asked(),
            [RENEW, "/api/v4/secrets/K"],
            "it is renewed in time all the same"
        );
    }
}

#[tokio::test]
async fn a_token_without_an_end_is_neither_renewed_nor_replaced() {
    let rig = Rig::new();
    rig.fake.tokens_last(Duration::ZERO);
    rig.put("K", "v");
    rig.gives("infisical:///K", b"v").await;
    rig.fixture.clock.advance(Duration::from_secs(1 << 30));
    rig.asked();
    rig.gives("infisical:///K", b"v").await;
    assert_eq!(rig.asked(), ["/api/v4/secrets/K"]);
}

#[tokio::test]
async fn a_wildcard_and_the_keys_of_its_folder_are_one_read() {
    let rig = Rig::new();
    rig.put("A", "1");
    rig.put("B", "2");
    let results = rig.get_all(&["infisical:///*", "infisical:///A"]).await;
    let members = results[0].as_ref().unwrap().members.as_ref().unwrap();
    assert_eq!(members.names().collect::<Vec<_>>(), ["A", "B"]);
    assert!(members.get("B").unwrap().value.matches(b"2"));
    assert!(results[1].as_ref().unwrap().value.matches(b"1"));
    assert_eq!(rig.asked(), [LOGIN, LIST]);
}
