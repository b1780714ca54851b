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
    rig.put("K", "v");
    rig.put("L", "v");
    (rig, instead)
}

/// References that are asked for with a request to a path that ends so.
fn asking(end: &str) -> &'static [&'static str] {
    match end {
        "/secrets" => &["infisical:///K", "infisical:///L"],
        _ => &["infisical:///K"],
    }
}

const ENDS: [&str; 3] = ["/login", "/K", "/secrets"];

fn own(status: u16, error: &str) -> Response {
    Response::json(
        status,
        &json!({"reqId": "r", "statusCode": status, "message": "x", "error": error}),
    )
}

#[tokio::test]
async fn a_wrong_secret_is_refused_with_advice_and_a_replaced_one_works() {
    let rig = Rig::new();
    rig.put("K", "v");
    rig.fixture.write("client-secret-file", "wrong");
    let error = rig.failure("infisical:///K").await;
    assert_eq!(error.kind, ErrorKind::Auth);
    assert!(error.context.contains("universal auth login"), "{error}");
    assert!(error.hint.unwrap().contains("eu.infisical.com"));
    rig.asked();
    rig.failure("infisical:///K").await;
    assert_eq!(rig.asked().len(), 0, "a refused login is not repeated at once");
    rig.fixture.write("client-secret-file", "secret\n");
    rig.gives("infisical:///K", b"v").await;
    rig.fake.revoke(rig.identity);
    assert_eq!(rig.failure("infisical:///K").await.kind, ErrorKind::Auth);
}

#[tokio::test]
async fn each_refusal_means_what_its_caller_has_to_do() {
    let (rig, instead) = rig_with_interference();
    let later = Some(Duration::from_secs(7));
    for (response, kind) in [
        (own(500, "DatabaseError"), ErrorKind::Unavailable),
        (Response::text(503, "maintenance"), ErrorKind::Unavailable),
        (
            own(429, "RateLimitExceeded").with_header("retry-after", "7"),
            ErrorKind::RateLimited { retry_after: later },
        ),
        (own(401, "Unauthorized"), ErrorKind::Auth),
        (own(403, "TokenError"), ErrorKind::Auth),
        (Response::reset(), ErrorKind::Unavailable),
    ] {
        for end in ENDS {
            rig.fake.end_tokens();
            *instead.lock().unwrap() = Some((end, response.clone()));
            let error = rig.get_all(asking(end)).await.remove(0).unwrap_err();
            assert_eq!(error.kind, kind, "{end}: {error}");
            *instead.lock().unwrap() = None;
            rig.fixture.clock.advance(Duration::from_secs(60));
        }
    }
    *instead.lock().unwrap() = Some(("/K", own(403, "PermissionDenied")));
    assert_eq!(rig.failure("infisical:///K").await.kind, ErrorKind::Denied);
    *instead.lock().unwrap() = Some(("/K", own(422, "ValidationFailure")));
    assert_eq!(rig.failure("infisical:///K").await.kind, ErrorKind::Invalid);
    *instead.lock().unwrap() = None;
    rig.gives("infisical:///K", b"v").await;
}

#[tokio::test]
async fn what_a_list_leaves_out_is_missing_by_the_servers_word_alone() {
    let (rig, instead) = rig_with_interference();
    let references = ["infisical:///K", "infisical:///L", "infisical:///M"];
    for (response, kind) in [
        (own(404, "NotFound"), ErrorKind::NotFound),
        (own(400, "Bad Request"), ErrorKind::NotFound),
        (own(403, "PermissionDenied"), ErrorKind::Denied),
        (own(500, "DatabaseError"), ErrorKind::Unavailable),
        (
            Response::text(404, "404 page not found\n"),
            ErrorKind::Unavailable,
        ),
        (Response::reset(), ErrorKind::Unavailable),
    ] {
        *instead.lock().unwrap() = Some(("/M", response));
        let results = rig.get_all(&references).await;
        assert!(results[..2].iter().all(Result::is_ok), "the others are there");
        let error = results[2].as_ref().unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
    }
}

#[tokio::test]
async fn what_is_not_infisicals_protocol_is_no_answer_and_least_of_all_a_missing_secret() {
    let (rig, instead) = rig_with_interference();
    for response in [
        Response::status(404),
        Response::text(404, "404 page not found\n"),
        Response::json(404, &json!({"errors": []})),
        Response::text(200, "<html>Infisical</html>"),
        Response::text(200, ""),
        Response::json(200, &json!([])),
        Response::json(200, &json!({"secret": {"secretKey": "K", "secretValue": 1}})),
        Response::json(
            200,
            &json!({"secrets": [{"secretValue": "x"}], "accessToken": "", "expiresIn": 1}),
        ),
    ] {
        for end in ENDS {
            rig.fake.end_tokens();
            *instead.lock().unwrap() = Some((end, response.clone()));
            let error = rig.get_all(asking(end)).await.remove(0).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Unavailable, "{end}: {error}");
            assert!(error.hint.unwrap().contains("infisical.url"), "{end}");
        }
    }
    *instead.lock().unwrap() = None;
    rig.gives("infisical:///K", b"v").await;
}

#[tokio::test]
async fn a_server_that_has_no_requests_for_secrets_at_all_is_none() {
    let rig = Rig::with(|fake, request| match request.path.contains("/auth/") {
        true => fake.answer(&request),
        false => Response::json(
            404,
            &json!({"message": "Route GET:/x not found", "error": "Not Found", "statusCode": 404}),
        ),
    });
    let error = rig.failure("infisical:///K").await;
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert_eq!(rig.asked(), [LOGIN, "/api/v4/secrets/K", "/api/v3/secrets/raw/K"]);
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named_as_the_proxy() {
    let proxy = Server::start(|_| Response::text(403, "this site is blocked"));
    let fixture = Fixture::new()
        .set("url", "https://infisical.example.com")
        .set("proxy", &proxy.url())
        .set("default-project-id", "p")
        .set("default-environment", "e")
        .set_credential("token-file", "a.b.c");
    let provider = fixture.build(KIND.build).unwrap();
    let batch = [locator("infisical:///K")];
    let error = provider
        .fetch(&batch, &fixture.fetch_cx())
        .await
        .remove(0)
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.hint.as_deref().unwrap().contains("proxy"), "{error:?}");
    assert_eq!(proxy.request_count(), 1);
}

#[tokio::test]
async fn neither_values_nor_tokens_nor_secrets_show_in_errors_and_logs() {
    let capture = Capture::of_this_process();
    let (value, garbage, client) = (
        Canary::awkward("value"),
        Canary::text("garbage"),
        Canary::text("client secret"),
    );
    let instead: Instead = Arc::default();
    let interference = Arc::clone(&instead);
    let login = Login::Universal {
        client_id: "client".to_owned(),
        client_secret: client.as_str().to_owned(),
    };
    let rig = Rig::over(
        login,
        &[("client-id", "client")],
        &[("client-secret-file", client.as_str())],
        move |fake, request| match &*interference.lock().unwrap() {
            Some((end, response)) if request.path.ends_with(end) => response.clone(),
            _ => fake.answer(&request),
        },
    );
    rig.put("K", value.as_str());
    rig.put("L", value.as_str());
    rig.fake.put(ROOT, Secret::new("HIDDEN", value.as_str()).hidden());
    let mut shown = format!("{:?}", rig.provider);
    for bad in [
        "infisical:///NONE",
        "infisical:///HIDDEN",
        "infisical:///K?path=/none",
        "infisical:///K?type=personal",
    ] {
        shown += &format!("{:?}", rig.get(bad).await.expect_err(bad));
    }
    shown += &format!("{:?}", rig.get("infisical:///K").await.unwrap());
    for status in [200, 400, 401, 403, 404, 422, 429, 500] {
        for body in [
            json!({"reqId": "r", "statusCode": status, "message": garbage.as_str(), "error": garbage.as_str()}).to_string(),
            format!("{{\"secret\": {{\"secretValue\": \"{}\"", garbage.as_str()),
        ] {
            for end in ENDS {
                rig.fake.end_tokens();
                *instead.lock().unwrap() = Some((end, Response::text(status, body.clone())));
                // A list that is denied leaves its secrets to be read one by one.
                shown += &format!("{:?}", rig.get_all(asking(end)).await);
                rig.fixture.clock.advance(Duration::from_secs(60));
            }
        }
    }
    *instead.lock().unwrap() = None;
    shown += &format!(
        "{:?} {:?}",
        rig.provider,
        rig.get("infisical:///K").await.unwrap()
    );
    let tokens: Vec<_> = rig
        .server
        .requests()
        .iter()
        .filter_map(|request| Some(Canary::of("token", request.bearer()?)))
        .collect();
    assert!(!tokens.is_empty());
    let logged = capture.text();
    assert!(
        logged.contains("/api/v4/secrets/K"),
        "requests are logged: {logged}"
    );
    let canaries: Vec<_> = [value, garbage, client].into_iter().chain(tokens).collect();
    for text in [&shown, &logged] {
        assert_eq!(find_any(&canaries, text), None);
    }
}

#[tokio::test]
async fn a_cancelled_call_leaves_the_provider_usable() {
    let rig = Rig::new();
    rig.put("K", "v");
    let (batch, cx) = ([locator("infisical:///K")], rig.fixture.fetch_cx());
    for polls in 1..60 {
        let mut call = rig.provider.fetch(&batch, &cx);
        for _ in 0..polls {
            if futures_util::poll!(&mut call).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    rig.gives("infisical:///K", b"v").await;
}
