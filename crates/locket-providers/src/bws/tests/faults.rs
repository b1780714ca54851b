//! Refusals, outages and garbage; and that none of it ever shows a value.

use std::sync::Mutex;

use locket_testkit::canary::{Canary, find_any};
use locket_testkit::capture::Capture;
use serde_json::json;

use super::*;

type Instead = Arc<Mutex<Option<(&'static str, Response)>>>;

/// A rig whose requests to the paths that end so may be answered by something else.
fn rig_with_interference() -> (Rig, Instead) {
    let instead: Instead = Arc::default();
    let interference = Arc::clone(&instead);
    let rig = Rig::with(move |fake, request| match &*interference.lock().unwrap() {
        Some((end, response)) if request.path.ends_with(end) => response.clone(),
        _ => fake.answer(&request),
    });
    (rig, instead)
}

/// A reference that is asked for with a request to a path that ends so, whatever was asked before.
fn asking<'a>(end: &str, id: &'a str) -> &'a str {
    match end {
        "/secrets" => "bws://prod/none",
        "/projects" => "bws://none/none",
        _ => id,
    }
}

#[tokio::test]
async fn each_kind_of_bad_token_has_its_own_advice() {
    let rig = Rig::new();
    let id = rig.add("k", "v");
    let (head, tail) = rig.token.split_once(':').unwrap();
    let other = Bitwarden::new().access_token(&[]);
    let foreign_key = format!("{head}:{}", other.split_once(':').unwrap().1);
    for (token, said, advised) in [
        ("not a token".to_owned(), "not whole", "Copy it anew"),
        (head.to_owned(), "not whole", "Copy it anew"),
        (format!("1{}", &rig.token[1..]), "version", "Update"),
        (other, "does not accept the access token", "bitwarden.eu"),
        (foreign_key, "does not open", "behind the `:`"),
        (
            format!("{head}x:{tail}"),
            "does not accept the access token",
            "revoked nor has expired",
        ),
    ] {
        rig.fixture.write("token-file", &token);
        let error = rig.failure(&id).await;
        assert_eq!(error.kind, ErrorKind::Auth);
        assert!(error.context.contains(said), "{error}");
        assert!(error.hint.unwrap().contains(advised), "{said}");
    }
    rig.fixture.write("token-file", &format!("{}\n", rig.token));
    rig.gives(&id, b"v").await;
    rig.fake.revoke(&rig.token);
    let error = rig.failure(&id).await;
    assert_eq!(error.kind, ErrorKind::Auth);
    rig.asked();
    rig.failure(&id).await;
    assert_eq!(rig.asked().len(), 0, "a refused login is not repeated at once");
}

#[tokio::test]
async fn each_refusal_means_what_its_caller_has_to_do() {
    let (rig, instead) = rig_with_interference();
    let id = rig.add("k", "v");
    let later = Some(Duration::from_secs(7));
    let own = |status| Response::json(status, &json!({"message": "x", "object": "error"}));
    for (response, kind) in [
        (Response::status(500), ErrorKind::Unavailable),
        (Response::text(503, "maintenance"), ErrorKind::Unavailable),
        (
            Response::status(429).with_header("retry-after", "7"),
            ErrorKind::RateLimited { retry_after: later },
        ),
        (own(403), ErrorKind::Denied),
        (own(400), ErrorKind::Invalid),
        (Response::status(401), ErrorKind::Auth),
        (Response::reset(), ErrorKind::Unavailable),
    ] {
        for end in [BY_IDS, "/secrets", "/projects"] {
            *instead.lock().unwrap() = Some((end, response.clone()));
            let reference = asking(end, &id);
            assert_eq!(rig.failure(reference).await.kind, kind, "{end}");
            *instead.lock().unwrap() = None;
            rig.fixture.clock.advance(Duration::from_secs(60));
        }
    }
    rig.gives(&id, b"v").await;
}

#[tokio::test]
async fn what_is_not_bitwardens_protocol_is_no_answer_and_least_of_all_a_missing_secret() {
    let (rig, instead) = rig_with_interference();
    let id = rig.add("k", "v");
    for response in [
        Response::status(404),
        Response::text(404, "404 page not found\n"),
        Response::json(404, &json!({"errors": []})),
        Response::text(200, "<html>please log in</html>"),
        Response::text(200, ""),
        Response::json(200, &json!([])),
        Response::json(200, &json!({"data": [{"id": "x"}], "secrets": [{"id": "x"}]})),
        Response::json(200, &json!({"data": "x", "secrets": "x", "access_token": 1})),
    ] {
        for end in ["/token", BY_IDS, "/secrets", "/projects"] {
            rig.fake.end_sessions();
            *instead.lock().unwrap() = Some((end, response.clone()));
            let reference = asking(end, &id);
            let error = rig.failure(reference).await;
            assert_eq!(error.kind, ErrorKind::Unavailable, "{end}: {error}");
            assert!(error.hint.unwrap().contains("bws.server-url"));
        }
    }
    *instead.lock().unwrap() = None;
    rig.gives(&id, b"v").await;
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named_as_the_proxy() {
    let rig = Rig::new();
    let id = rig.add("k", "v");
    let proxy = Server::start(|_| Response::text(403, "this site is blocked"));
    let fixture = Fixture::new()
        .set("server-url", "https://vault.example.com")
        .set("proxy", &proxy.url())
        .set_credential("token-file", &rig.token);
    let provider = fixture.build(KIND.build).unwrap();
    let answer = provider
        .fetch(&[locator(&id)], &fixture.fetch_cx())
        .await
        .remove(0);
    let error = answer.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.hint.as_deref().unwrap().contains("proxy"), "{error:?}");
    assert_eq!(proxy.request_count(), 1);
}

#[tokio::test]
async fn neither_values_nor_tokens_nor_keys_show_in_errors_and_logs() {
    let capture = Capture::of_this_process();
    let (value, garbage) = (Canary::awkward("value"), Canary::text("garbage"));
    let (rig, instead) = rig_with_interference();
    let token = Canary::of("token", rig.token.as_str());
    let secret = Canary::of("part of the token", rig.token.split('.').nth(2).unwrap());
    let id = rig.add("k", value.as_str());
    rig.add("twin", value.as_str());
    rig.add("twin", value.as_str());
    let broken = rig.add("broken", value.as_str());
    rig.fake.break_secret(&broken);

    let mut shown = format!("{:?}", rig.provider);
    for reference in [
        "bws://prod/nope",
        "bws://nope/k",
        "bws://prod/twin",
        "bws://prod/broken",
    ] {
        shown += &format!("{:?}", rig.get(reference).await.expect_err(reference));
    }
    shown += &format!("{:?} {:?}", rig.get(&id).await.unwrap(), rig.provider);
    for status in [200, 400, 401, 403, 404, 429, 500] {
        for body in [
            json!({"message": garbage.as_str(), "object": "error", "error": garbage.as_str()}).to_string(),
            format!("{{\"data\": [{{\"id\": \"{}\"", garbage.as_str()),
        ] {
            for end in ["/token", BY_IDS] {
                rig.fake.end_sessions();
                *instead.lock().unwrap() = Some((end, Response::text(status, body.clone())));
                shown += &format!("{:?}", rig.get(&id).await.unwrap_err());
                rig.fixture.clock.advance(Duration::from_secs(60));
            }
        }
    }
    *instead.lock().unwrap() = None;
    rig.fake.revoke(&rig.token);
    shown += &format!("{:?}", rig.get(&id).await.unwrap_err());

    let sessions: Vec<_> = rig
        .server
        .requests()
        .iter()
        .filter_map(|request| Some(Canary::of("session", request.bearer()?)))
        .collect();
    assert!(!sessions.is_empty());
    let logged = capture.text();
    assert!(
        logged.contains(&format!("{}{BY_IDS}", rig.server.address())),
        "requests are logged: {logged}"
    );
    let canaries: Vec<_> = [value, garbage, token, secret]
        .into_iter()
        .chain(sessions)
        .collect();
    for text in [&shown, &logged] {
        assert_eq!(find_any(&canaries, text), None);
    }
}

#[tokio::test]
async fn a_cancelled_call_leaves_the_provider_usable() {
    let rig = Rig::new();
    rig.add("db", "v");
    let (batch, cx) = ([locator("bws://prod/db")], rig.fixture.fetch_cx());
    for polls in 1..60 {
        let mut call = rig.provider.fetch(&batch, &cx);
        for _ in 0..polls {
            if futures_util::poll!(&mut call).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    rig.gives("bws://prod/db", b"v").await;
}
