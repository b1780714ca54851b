//! Refusals, outages and garbage; and that none of it ever shows a value.

use std::fs;
use std::sync::Mutex;

use locket_testkit::canary::{Canary, find_any};
use locket_testkit::capture::Capture;
use serde_json::json;

use super::*;

/// A rig whose requests may be answered by something else.
fn rig_with_interference() -> (Rig, Arc<Mutex<Option<Response>>>) {
    let fake = Connect::new();
    let vault = fake.add_vault("prod");
    let token = fake.token(&[&vault]);
    let answering = fake.clone();
    let instead: Arc<Mutex<Option<Response>>> = Arc::default();
    let interference = Arc::clone(&instead);
    let rig = Rig::with(fake, vault, value_credential(&token), move |request| {
        interference
            .lock()
            .unwrap()
            .clone()
            .unwrap_or_else(|| answering.answer(&request))
    });
    rig.add(Item::login("db", "p"));
    (rig, instead)
}

#[tokio::test]
async fn a_wrong_token_is_refused_with_advice_and_a_replaced_one_works_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    let fake = Connect::new();
    let vault = fake.add_vault("prod");
    let (good, foreign) = (fake.token(&[&vault]), Connect::new().token(&[&vault, "x"]));
    fs::write(&file, "not a token").unwrap();
    let answering = fake.clone();
    let rig = Rig::with(fake, vault, Credential::File(file.clone()), move |request| {
        answering.answer(&request)
    });
    rig.add(Item::login("db", "p"));

    for wrong in ["not a token", &foreign] {
        fs::write(&file, wrong).unwrap();
        let error = rig.failure("op://prod/db/password").await;
        assert_eq!(error.kind, ErrorKind::Auth);
        assert!(error.hint.unwrap().contains("access token"));
    }
    fs::write(&file, format!("{good}\n")).unwrap();
    rig.gives("op://prod/db/password", b"p").await;
    rig.fake.expire_token(&good);
    assert_eq!(rig.failure("op://prod/db/password").await.kind, ErrorKind::Auth);
    fs::write(&file, rig.fake.token(&[&rig.vault])).unwrap();
    rig.gives("op://prod/db/password", b"p").await;
    fs::remove_file(&file).unwrap();
    let error = rig.failure("op://prod/db/password").await;
    assert_eq!(error.kind, ErrorKind::Auth);
    assert!(error.context.contains(file.to_str().unwrap()));
}

#[tokio::test]
async fn each_refusal_means_what_its_caller_has_to_do() {
    let (rig, instead) = rig_with_interference();
    let later = Some(Duration::from_secs(7));
    for (response, kind) in [
        (Response::status(500), ErrorKind::Unavailable),
        (Response::text(503, "starting"), ErrorKind::Unavailable),
        (
            Response::status(429).with_header("retry-after", "7"),
            ErrorKind::RateLimited { retry_after: later },
        ),
        (
            Response::json(401, &json!({"status": 401, "message": "x"})),
            ErrorKind::Auth,
        ),
        (
            Response::json(403, &json!({"status": 403, "message": "x"})),
            ErrorKind::Denied,
        ),
        (Response::reset(), ErrorKind::Unavailable),
    ] {
        *instead.lock().unwrap() = Some(response);
        assert_eq!(rig.failure("op://prod/db/password").await.kind, kind);
    }
    *instead.lock().unwrap() = None;
    rig.gives("op://prod/db/password", b"p").await;
}

#[tokio::test]
async fn what_is_not_connects_protocol_is_no_answer_and_least_of_all_a_missing_secret() {
    let (rig, instead) = rig_with_interference();
    let name = "op://prod/db/password";
    let by_id = format!("op://{}/abcdefghijklmnopqrstuvwxyz/password", rig.vault);
    for response in [
        Response::text(404, "404 page not found\n"),
        Response::text(404, "<html>no such backend</html>"),
        Response::json(404, &json!({"errors": []})),
        Response::text(200, "<html>please log in</html>"),
        Response::text(200, ""),
        Response::json(200, &json!("text")),
        Response::json(200, &json!([{"name": "no id"}])),
        Response::bytes(200, vec![0xFF, 0xFE]),
    ] {
        *instead.lock().unwrap() = Some(response);
        for reference in [name, &by_id] {
            let error = rig.failure(reference).await;
            assert_eq!(error.kind, ErrorKind::Unavailable, "{reference}");
        }
    }
    *instead.lock().unwrap() = None;
    rig.gives(name, b"p").await;
    assert_eq!(
        rig.failure(&by_id).await.kind,
        ErrorKind::NotFound,
        "the server's own word counts"
    );
}

#[tokio::test]
async fn a_server_that_is_down_is_unavailable_and_comes_back_by_itself() {
    let (rig, _) = rig_with_interference();
    rig.gives("op://prod/db/password", b"p").await;
    rig.server.go_down();
    assert_eq!(
        rig.failure("op://prod/db/password").await.kind,
        ErrorKind::Unavailable
    );
    rig.server.go_up();
    rig.gives("op://prod/db/password", b"p").await;
}

#[tokio::test]
async fn neither_values_nor_the_token_show_in_errors_and_logs() {
    let capture = Capture::of_this_process();
    let (value, file, broken) = (
        Canary::awkward("value"),
        Canary::binary("file"),
        Canary::text("garbage"),
    );
    let fake = Connect::new();
    let vault = fake.add_vault("prod");
    let token = Canary::of("token", fake.token(&[&vault]));
    let answering = fake.clone();
    let instead: Arc<Mutex<Option<Response>>> = Arc::default();
    let interference = Arc::clone(&instead);
    let rig = Rig::with(fake, vault, value_credential(token.as_str()), move |request| {
        interference
            .lock()
            .unwrap()
            .clone()
            .unwrap_or_else(|| answering.answer(&request))
    });
    let item = || {
        Item::login("db", value.as_str())
            .field(Field::otp("code", value.as_str(), value.as_str()))
            .field(Field::concealed("twin", value.as_str()))
            .field(Field::concealed("twin", value.as_str()))
            .file(File::new("file", file.bytes()))
    };
    rig.add(item());
    rig.add(Item::login("two", value.as_str()));
    rig.add(Item::login("two", value.as_str()));

    let mut shown = format!("{:?}", rig.provider);
    let references = [
        "op://prod/db/nope",
        "op://prod/db/twin",
        "op://prod/db/password?ssh-format=openssh",
        "op://prod/db/password?attribute=otp",
        "op://prod/db/file?attribute=otp",
        "op://prod/nope/f",
        "op://nope/db/f",
        "op://prod/two/password",
    ];
    for reference in references {
        shown += &format!("{:?}", rig.get(reference).await.expect_err(reference));
    }
    for good in [
        "op://prod/db/password",
        "op://prod/db/file",
        "op://prod/db/code?attribute=otp",
    ] {
        shown += &format!("{:?}", rig.get(good).await.unwrap());
    }
    for status in [200, 400, 401, 403, 404, 429, 500] {
        for body in [
            json!({"status": status, "message": broken.as_str()}).to_string(),
            format!("[{{\"id\": \"{}\"", broken.as_str()),
            broken.as_str().to_owned(),
        ] {
            *instead.lock().unwrap() = Some(Response::text(status, body));
            shown += &format!("{:?}", rig.get("op://prod/db/password").await.unwrap_err());
        }
    }
    rig.fake.expire_token(token.as_str());
    *instead.lock().unwrap() = None;
    shown += &format!("{:?}", rig.get("op://prod/db/password").await.unwrap_err());

    let logged = capture.text();
    let place = format!("{}/v1/vaults", rig.server.address());
    assert!(logged.contains(&place), "requests are logged: {logged}");
    for text in [&shown, &logged] {
        assert_eq!(find_any([&value, &file, &broken, &token], text), None);
    }
}
