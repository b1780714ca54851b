//! What stands in front of the server and answers in its place, and what the server's own 404 says.

use super::*;

/// What gateways and their like say of a route that they lost.
fn gateways() -> Vec<Value> {
    vec![
        json!({"message": "no Route matched with those values: canary"}),
        json!({"status": 404, "error": "canary"}),
        json!({"errors": [{"code": "canary"}]}),
        json!({"errors": null}),
        json!({"data": null, "message": "canary"}),
        json!({"data": {"id": "canary"}}),
        json!({}),
        json!([]),
        json!("canary"),
        json!(null),
    ]
}

/// One secret of each kind that is read, on mounts that were looked up: its reference and the path that is asked.
const READ: [(&str, &str); 4] = [
    ("bao://kv/app/db/user", "kv/data/app/db"),
    ("bao://kv/app/db/user?version=3", "kv/data/app/db"),
    ("bao://kv1/app/user", "kv1/app"),
    ("bao://db/creds/app/username", "db/creds/app"),
];

fn three_engines() -> Answers {
    let answers = usual();
    let look_up = "sys/internal/ui/mounts/";
    answers.set(&format!("{look_up}kv1/app"), 200, mount("kv1/", "kv", Some("1")));
    answers.set(
        &format!("{look_up}db/creds/app"),
        200,
        mount("db/", "database", None),
    );
    answers.set("kv1/app", 200, json!({"data": {"user": "u"}}));
    answers.set("db/creds/app", 200, json!({"data": {"username": "u"}}));
    answers
}

#[track_caller]
fn assert_not_the_api(error: &ProviderError, what: &dyn std::fmt::Debug) {
    assert_eq!(error.kind, ErrorKind::Unavailable, "{what:?}: {error}");
    assert!(error.context.contains("not the API"), "{error}");
    assert!(error.hint.is_some());
    assert!(!format!("{error:?}").contains("canary"), "{error:?}");
}

#[tokio::test]
async fn json_of_what_stands_in_front_of_the_server_makes_no_secret_missing() {
    for body in gateways() {
        for status in [404, 410] {
            let answers = three_engines();
            let server = answers.serve();
            let (fixture, provider) = instance(&server);
            for (text, path) in READ {
                fetch(&*provider, &fixture, text).await.unwrap();
                answers.set(path, status, body.clone());
                let error = fetch(&*provider, &fixture, text).await.unwrap_err();
                assert_not_the_api(&error, &(text, status, &body));
                answers.set(path, 404, json!({"errors": []}));
                let missing = fetch(&*provider, &fixture, text).await.unwrap_err();
                assert_eq!(missing.kind, ErrorKind::NotFound, "{text}: the server says so");
                answers.set(path, 200, kv2(&json!({"user": "u"}), 3));
            }
            let front = {
                let body = body.clone();
                Server::start(move |_| Response::json(status, &body))
            };
            let (fixture, provider) = instance(&front);
            for (text, _) in READ {
                let error = fetch(&*provider, &fixture, text).await.unwrap_err();
                assert_not_the_api(&error, &(text, status, &body));
            }
            let every = (BAO.parse_every.unwrap())(&reference("bao://kv/app/db/")).unwrap();
            let results = provider.fetch(&[every], &fixture.fetch_cx()).await;
            assert_not_the_api(results[0].as_ref().unwrap_err(), &(status, &body));
        }
    }
}

#[tokio::test]
async fn what_stands_in_front_of_the_server_is_left_alone_for_as_long_as_it_says() {
    let wish = Some(Duration::from_secs(120));
    for (status, kind) in [
        (407, ErrorKind::Invalid),
        (408, ErrorKind::Unavailable),
        (425, ErrorKind::Unavailable),
        (429, ErrorKind::RateLimited { retry_after: wish }),
    ] {
        let front = Server::start(move |_| {
            Response::bytes(status, "<html>canary</html>")
                .with_header("content-type", "text/html")
                .with_header("retry-after", "120")
        });
        for (fixture, provider) in [instance(&front), with_password(&front)] {
            let error = fetch(&*provider, &fixture, "bao://kv/app/db/user")
                .await
                .unwrap_err();
            assert_eq!(error.kind, kind, "{status}: {error}");
            assert!(error.context.contains(&status.to_string()), "{error}");
            assert!(!format!("{error:?}").contains("canary"));
        }
        assert_eq!(front.request_count(), 2, "a look-up and a login");
    }
    let other = Server::start(|_| Response::text(418, "<html></html>").with_header("retry-after", "120"));
    let (fixture, provider) = instance(&other);
    let error = fetch(&*provider, &fixture, "bao://kv/app/db/user")
        .await
        .unwrap_err();
    assert_not_the_api(&error, &"the control");
}

#[tokio::test]
async fn an_address_with_a_wrong_path_makes_no_secret_missing() {
    // Outside its API the server answers like this too.
    let server = Server::start(|_| Response::json(404, &json!({"errors": []})));
    let (fixture, provider) = instance(&server);
    for (text, _) in READ {
        let error = fetch(&*provider, &fixture, text).await.unwrap_err();
        assert_not_the_api(&error, &text);
        assert!(error.hint.unwrap().contains("in front of `/v1`"));
    }
}

#[tokio::test]
async fn a_path_that_leads_nowhere_is_denied_and_never_missing() {
    let nowhere = [
        json!({"errors": ["no handler for route \"kv/data/app/db\". route entry not found."]}),
        json!({"errors": ["namespace not found"]}),
        json!({"errors": ["1 error occurred:\n\t* unsupported path\n\n"]}),
        json!({"request_id": "1", "lease_id": "", "data": null, "warnings": ["Invalid path"], "auth": null}),
    ];
    for body in nowhere {
        let answers = three_engines();
        let server = answers.serve();
        let (fixture, provider) = instance(&server);
        for (text, path) in READ {
            fetch(&*provider, &fixture, text).await.unwrap();
            answers.set(path, 404, body.clone());
            let error = fetch(&*provider, &fixture, text).await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::Denied, "{text} {body}: {error}");
            assert!(error.context.ends_with("leads nowhere (404)"), "{error}");
            assert!(error.hint.unwrap().contains("`namespace`"));
            answers.set(path, 404, json!({"errors": []}));
            let missing = fetch(&*provider, &fixture, text).await.unwrap_err();
            assert_eq!(missing.kind, ErrorKind::NotFound, "{text}: the control");
            answers.set(path, 200, kv2(&json!({"user": "u"}), 3));
        }
    }
}

#[tokio::test]
async fn a_version_that_is_gone_is_missing_whatever_the_status_comes_with() {
    let answers = usual();
    let server = answers.serve();
    let (fixture, provider) = instance(&server);
    let gone = |destroyed: bool| {
        json!({"request_id": "1", "warnings": null, "data": {"data": null,
            "metadata": {"version": 4, "destroyed": destroyed, "deletion_time": "2026-01-01T00:00:00Z"}}})
    };
    for (destroyed, said) in [(false, "is deleted"), (true, "was destroyed")] {
        answers.set("kv/data/app/db", 404, gone(destroyed));
        let error = fetch(&*provider, &fixture, "bao://kv/app/db/user")
            .await
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotFound);
        assert!(error.context.contains(said), "{error}");
    }
}

#[tokio::test]
async fn whether_a_token_counts_is_not_told_by_what_stands_in_front_of_the_server() {
    for body in gateways() {
        let answers = usual();
        answers.set("auth/token/lookup-self", 404, body.clone());
        answers.set("kv/data/app/db", 403, json!({"errors": ["permission denied"]}));
        let server = answers.serve();
        let (fixture, provider) = instance(&server);
        let text = "bao://kv/app/db/user";
        let error = fetch(&*provider, &fixture, text).await.unwrap_err();
        assert_not_the_api(&error, &body);
        answers.set("auth/token/lookup-self", 200, json!({"data": {}}));
        let denied = fetch(&*provider, &fixture, text).await.unwrap_err();
        assert_eq!(denied.kind, ErrorKind::Denied, "the control");
    }
}

#[tokio::test]
async fn a_lost_route_costs_no_login_and_no_lease() {
    let lost = json!({"message": "no Route matched with those values"});
    let answers = usual();
    let granted = json!({"auth": {"client_token": "t", "lease_duration": 3600, "renewable": true}});
    let login = "auth/userpass/login/me";
    answers.set(login, 404, lost.clone());
    answers.set("auth/token/renew-self", 404, lost.clone());
    let look_up = "sys/internal/ui/mounts/db/creds/app";
    answers.set(look_up, 200, mount("db/", "database", None));
    let mut creds = json!({"lease_id": "db/creds/app/1", "lease_duration": 3600, "renewable": true});
    creds["data"] = json!({"username": "u"});
    answers.set("db/creds/app", 200, creds);
    for path in ["sys/leases/renew", "sys/leases/revoke"] {
        answers.set(path, 404, lost.clone());
    }
    let server = answers.serve();
    let (fixture, provider) = with_password(&server);
    let text = "bao://db/creds/app/username";
    let error = fetch(&*provider, &fixture, text).await.unwrap_err();
    assert_not_the_api(&error, &login);

    answers.set(login, 404, json!({"errors": ["no handler for route"]}));
    let refused = fetch(&*provider, &fixture, text).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Auth, "the server's own words: {refused}");
    assert!(refused.hint.unwrap().contains("auth-mount"));
    fixture.clock.advance(Duration::from_secs(31));

    answers.set(login, 200, granted);
    let lease = fetch(&*provider, &fixture, text).await.unwrap().lease.unwrap();
    let handle = lease.handle.unwrap();
    let leases = provider.leases().unwrap();
    fixture.clock.advance(Duration::from_secs(36 * 60));
    let renewal = leases.renew(&handle, &fixture.fetch_cx()).await.unwrap_err();
    assert_not_the_api(&renewal, &"renewing");
    let revocation = leases.revoke(&handle, &fixture.fetch_cx()).await.unwrap_err();
    assert_not_the_api(&revocation, &"revoking");
    let asked = paths(&server);
    assert!(asked.contains(&"/v1/auth/token/renew-self".to_owned()));
    let logins = asked.iter().filter(|path| path.contains("/login/")).count();
    assert_eq!(logins, 3, "the token was kept: {asked:?}");
    answers.set(
        "sys/leases/renew",
        200,
        json!({"lease_duration": 3600, "renewable": true}),
    );
    leases.renew(&handle, &fixture.fetch_cx()).await.unwrap();
}

#[tokio::test]
async fn a_lost_route_is_no_theft_of_a_secret_id() {
    let answers = Answers::default();
    let server = answers.serve();
    let fixture = Fixture::new()
        .set("url", &server.url())
        .set("role-id", "r")
        .set("secret-id-wrapped", "true")
        .set_credential("secret-id-file", "wrapping");
    let provider = built(&BAO, &fixture).unwrap();
    let text = "bao://kv/app/db/user";
    let origin = json!({"data": {"creation_path": "auth/approle/role/r/secret-id"}});
    for (path, body, kind) in [
        (
            "lookup",
            json!({"message": "no Route matched"}),
            ErrorKind::Unavailable,
        ),
        (
            "lookup",
            json!({"errors": ["namespace not found"]}),
            ErrorKind::Denied,
        ),
        (
            "unwrap",
            json!({"message": "no Route matched"}),
            ErrorKind::Unavailable,
        ),
        (
            "unwrap",
            json!({"errors": ["namespace not found"]}),
            ErrorKind::Denied,
        ),
    ] {
        answers.set("sys/wrapping/lookup", 200, origin.clone());
        answers.set(&format!("sys/wrapping/{path}"), 404, body.clone());
        let error = fetch(&*provider, &fixture, text).await.unwrap_err();
        assert_eq!(error.kind, kind, "{path} {body}: {error}");
        assert!(!error.context.contains("somebody else"), "{error}");
        fixture.clock.advance(Duration::from_secs(31));
    }
    let spent = json!({"errors": ["wrapping token is not valid or does not exist"]});
    answers.set("sys/wrapping/unwrap", 400, spent);
    let alarm = fetch(&*provider, &fixture, text).await.unwrap_err();
    assert!(alarm.context.contains("somebody else"), "the control: {alarm}");
}

#[tokio::test]
async fn a_standby_that_sends_others_away_is_asked_again_and_told_no_token() {
    let active = Server::start(|_| Response::json(404, &json!({"errors": []})));
    let answers = usual();
    let all = answers.clone();
    let is_standby = Arc::new(Mutex::new(true));
    let standby = is_standby.clone();
    let target = active.url();
    let server = Server::start(move |request: Request| {
        if *standby.lock().unwrap() {
            return Response::status(307).with_header("location", &format!("{target}{}", request.path));
        }
        let (status, body) = all.0.lock().unwrap().get(&request.path).cloned().unwrap();
        Response::json(status, &body)
    });
    let fixture = Fixture::new()
        .set("url", &server.url())
        .set("auth", "userpass")
        .set("username", "me")
        .set_credential("password-file", "pw");
    let granted = json!({"auth": {"client_token": "t", "lease_duration": 3600, "renewable": true}});
    answers.set("auth/userpass/login/me", 200, granted);
    let logged_in = built(&BAO, &fixture).unwrap();
    let (given, with_token) = instance(&server);
    let text = "bao://kv/app/db/user";
    for (fixture, provider) in [(&fixture, &logged_in), (&given, &with_token)] {
        *is_standby.lock().unwrap() = true;
        let error = fetch(&**provider, fixture, text).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
        assert!(error.context.contains("redirects to"), "{error}");
        assert!(error.hint.unwrap().contains(&active.url()));
        *is_standby.lock().unwrap() = false;
        let fetched = fetch(&**provider, fixture, text).await.unwrap();
        assert!(fetched.value.matches(b"u"));
        *is_standby.lock().unwrap() = true;
        let later = fetch(&**provider, fixture, text).await.unwrap_err();
        assert_eq!(later.kind, ErrorKind::Unavailable, "of a read as well: {later}");
    }
    assert_eq!(active.request_count(), 0);
}
