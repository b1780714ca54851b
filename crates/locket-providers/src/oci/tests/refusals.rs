//! Each failure has a message of its own with the next step, and none shows a value.

use super::*;

#[tokio::test]
async fn a_secret_in_another_region_than_the_one_that_is_set_is_told_apart() {
    let rig = Rig::new();
    let id = rig.add("s", b"v");
    rig.fake.deny(&id);
    let rig = rig.set("region", "eu-frankfurt-1");
    let error = rig.get(&id).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Denied);
    assert!(
        error.context.contains("eu-frankfurt-1") && error.context.contains("us-ashburn-1"),
        "{error}"
    );
    assert!(error.hint.unwrap().contains("Remove `oci.region`"));
    let rig = rig.set("region", "iad");
    let error = rig.get(&id).await.unwrap_err();
    assert!(error.context.contains("does not tell which"), "{error}");
}

#[tokio::test]
async fn a_secret_without_a_region_of_its_own_wants_to_know_one() {
    let rig = Rig::new();
    let mut fixture = Fixture::new().named("oci").set("config-file", "config");
    for name in ["key.pem", "config"] {
        fixture.write(name, &std::fs::read_to_string(rig.fixture.path(name)).unwrap());
    }
    fixture.clock = rig.fixture.clock.clone();
    let provider = fixture.build(KIND.build).unwrap();
    for (text, names) in [
        ("oci://ocid1.vaultsecret.oc1..aaaa", "nothing says"),
        ("oci://ocid1.vaultsecret.oc1.zzz.aaaa", "`zzz`"),
    ] {
        let error = provider
            .fetch(&[locator(text)], &fixture.fetch_cx())
            .await
            .remove(0)
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid);
        assert!(error.context.contains(names), "{error}");
        assert!(error.hint.unwrap().contains("oci.region"));
    }
}

#[tokio::test]
async fn a_missing_policy_and_a_missing_secret_look_alike_and_the_message_says_so() {
    let rig = Rig::new();
    let id = rig.add("s", b"v");
    rig.fake.deny(&id);
    let vault = &rig.vault;
    for text in [
        format!("oci://{id}"),
        "oci://ocid1.vaultsecret.oc1.iad.nowhere".to_owned(),
        format!("oci://{vault}/nowhere"),
    ] {
        let error = rig.get(&text).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Denied, "no default may stand in");
        let hint = error.hint.unwrap();
        assert!(
            hint.contains("Allow group GROUP to read secret-bundles"),
            "{hint}"
        );
    }
    let rig = Rig::instance();
    let error = rig.get(&id).await.unwrap_err();
    assert!(error.hint.unwrap().contains("Allow dynamic-group GROUP"));
}

#[tokio::test]
async fn a_secret_whose_deletion_is_scheduled_says_so() {
    let rig = Rig::new();
    let id = rig.add("s", b"v");
    rig.fake.schedule_deletion(&id);
    let error = rig.get(&id).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Denied);
    assert!(error.hint.unwrap().contains("cancel the deletion"));
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_named_and_heals_by_itself() {
    for rig in [Rig::new(), Rig::instance()] {
        let id = rig.add("s", b"v");
        // The service lives by a clock of its own.
        let real = Arc::new(locket_testkit::ManualClock::new());
        let fake = Oci::by(real);
        let foreign = rig.answered_by({
            let fake = fake.clone();
            move |ours, request| {
                let date = fake.answer(&request);
                let answer = ours.answer(&request);
                let date = date.header("date").unwrap().to_owned();
                let mut answer = answer;
                answer.headers.remove("date");
                match off(&request, &date) {
                    true => Response::json(
                        401,
                        &serde_json::json!({"code": "NotAuthenticated", "message": "m"}),
                    ),
                    false => answer,
                }
                .with_header("date", &date)
            }
        });
        let url = foreign.server.url();
        let rig = foreign
            .set("metadata-url", &format!("{url}/opc/v2"))
            .set("auth-endpoint", &url);
        let provider = rig.provider();
        rig.fixture.clock.set_wall_ahead(12 * MINUTE);
        let error = rig.ask(&provider, &id).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable, "asked again later: {error:?}");
        assert!(error.context.contains("clock is 12m ahead of"), "{error}");
        assert!(error.hint.unwrap().contains("chronyd"));
        rig.fixture.clock.set_wall_back(24 * MINUTE);
        let error = rig.ask(&provider, &id).await.unwrap_err();
        assert!(error.context.contains("clock is 12m behind"), "{error}");
        rig.fixture.clock.set_wall_ahead(12 * MINUTE);
        rig.gives(&provider, &id, b"v").await;
    }
}

/// Whether a request's time is too far from `date`.
fn off(request: &Request, date: &str) -> bool {
    if request.path.starts_with("/opc/") {
        return false;
    }
    let parse = |text: &str| httpdate::parse_http_date(text).unwrap();
    let (theirs, ours) = (parse(date), parse(request.header("date").unwrap()));
    let skew = theirs
        .duration_since(ours)
        .unwrap_or_else(|ahead| ahead.duration());
    skew > 5 * MINUTE
}

#[tokio::test]
async fn throttling_says_how_long_to_wait_and_what_is_not_oracle_says_that() {
    let rig = Rig::new();
    let id = rig.add("s", b"value-canary");
    let rig = rig.answered_by(|_, _| {
        Response::json(
            429,
            &serde_json::json!({"code": "TooManyRequests", "message": "value-canary"}),
        )
        .with_header("retry-after", "7")
    });
    let error = rig.get(&id).await.unwrap_err();
    assert_eq!(
        error.kind,
        ErrorKind::RateLimited {
            retry_after: Some(Duration::from_secs(7))
        }
    );
    assert!(!format!("{error:?}").contains("canary"));
    for answer in [
        Response::text(404, "no such page"),
        Response::text(200, "value-canary"),
    ] {
        let rig = Rig::new().answered_by(move |_, _| answer.clone());
        let error = rig.get(&id).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
        assert!(error.context.contains("Oracle Cloud does not send"), "{error}");
        assert!(!format!("{error:?}").contains("canary"));
    }
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named_as_the_proxy() {
    let proxy = Server::start(|_| Response::text(403, "policy says no"));
    let rig = Rig::new();
    let id = rig.add("s", b"v");
    let rig = rig
        .set(
            "endpoint",
            "https://secrets.vaults.us-ashburn-1.oci.oraclecloud.com",
        )
        .set("proxy", &proxy.url());
    let error = rig.get(&id).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.context.contains("proxy"), "{error}");
    assert!(error.hint.unwrap().contains("proxy"));
    assert_eq!(proxy.request_count(), 1);
}
