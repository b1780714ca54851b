//! Paths whose mount the server does not tell, beside others.

use super::*;

fn denied() -> (u16, Value) {
    (403, json!({"errors": ["permission denied"]}))
}

fn leasing_creds() -> Value {
    json!({"lease_id": "prod/database/creds/app/1", "lease_duration": 60, "renewable": true,
        "data": {"username": "u", "password": "p"}})
}

#[tokio::test]
async fn one_misspelt_mount_leaves_the_paths_beside_it_alone() {
    let answers = Answers::new([
        ("auth/token/lookup-self", 200, json!({"data": {}})),
        ("prod/database/creds/app", 200, leasing_creds()),
        ("prod/pki/issue/web", 200, json!({"data": {"certificate": "c"}})),
        ("prod/kv/data/app", 200, kv2(&json!({"f": "v"}), 1)),
    ]);
    for (path, at, kind, version) in [
        ("prod/database/creds/app", "prod/database/", "database", None),
        ("prod/pki/issue/web", "prod/pki/", "pki", None),
        ("prod/kv/app", "prod/kv/", "kv", Some("2")),
    ] {
        let look_up = format!("sys/internal/ui/mounts/{path}");
        answers.set(&look_up, 200, mount(at, kind, version));
    }
    let server = answers.serve();
    let (fixture, provider) = instance(&server);
    let misspelt = "bao://prod/oops/app/password";
    let error = fetch(&*provider, &fixture, misspelt).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Denied, "{error}");
    server.forget();
    let creds = fetch(&*provider, &fixture, "bao://prod/database/creds/app/username").await;
    let lease = creds.unwrap().lease.expect("what ends says so");
    assert!(lease.renewable && lease.handle.is_some());
    for text in [
        "bao://prod/pki/issue/web/certificate?common_name=a.example",
        "bao://prod/kv/app/f",
    ] {
        fetch(&*provider, &fixture, text).await.unwrap();
    }
    assert_eq!(
        paths(&server),
        [
            "/v1/sys/internal/ui/mounts/prod/database/creds/app",
            "/v1/prod/database/creds/app",
            "/v1/sys/internal/ui/mounts/prod/pki/issue/web",
            "/v1/prod/pki/issue/web",
            "/v1/sys/internal/ui/mounts/prod/kv/app",
            "/v1/prod/kv/data/app",
        ]
    );
}

#[tokio::test]
async fn one_misspelt_mount_costs_the_mount_beside_it_no_more_than_one_look_up() {
    let answers = Answers::new([("auth/token/lookup-self", 200, json!({"data": {}}))]);
    let names = ["a", "b", "c", "d"];
    for name in names {
        let look_up = format!("sys/internal/ui/mounts/prod/kv/{name}");
        answers.set(&look_up, 200, mount("prod/kv/", "kv", Some("2")));
        let secret = format!("prod/kv/data/{name}");
        answers.set(&secret, 200, kv2(&json!({"f": "v"}), 1));
    }
    let server = answers.serve();
    let (fixture, provider) = instance(&server);
    fetch(&*provider, &fixture, "bao://prod/oops/app/password")
        .await
        .unwrap_err();
    server.forget();
    let texts = names.map(|name| format!("bao://prod/kv/{name}/f"));
    let reads = join_all(texts.iter().map(|text| fetch(&*provider, &fixture, text))).await;
    assert!(reads.iter().all(Result::is_ok));
    let asked = paths(&server);
    let look_ups = asked.iter().filter(|path| path.contains("/mounts/")).count();
    assert_eq!((look_ups, asked.len()), (1, 1 + names.len()), "{asked:?}");
}

#[tokio::test]
async fn a_lease_is_found_where_look_ups_are_closed() {
    let answers = Answers::new([
        ("auth/token/lookup-self", 200, json!({"data": {}})),
        ("prod/database/creds/app", 200, leasing_creds()),
        (
            "sys/leases/renew",
            200,
            json!({"lease_duration": 60, "renewable": true}),
        ),
        (
            "plain/app",
            200,
            json!({"lease_id": "", "lease_duration": 2_764_800, "data": {"f": "v"}}),
        ),
    ]);
    let server = answers.serve();
    let (fixture, provider) = instance(&server);
    let creds = fetch(&*provider, &fixture, "bao://prod/database/creds/app/username").await;
    let lease = creds.unwrap().lease.expect("no key/value store leases");
    assert_eq!((lease.lasts, lease.renewable), (Duration::from_secs(60), true));
    let leases = provider.leases().unwrap();
    let renewed = leases.renew(&lease.handle.unwrap(), &fixture.fetch_cx()).await;
    assert_eq!(renewed.unwrap().lasts, Duration::from_secs(60));
    let plain = fetch(&*provider, &fixture, "bao://plain/app/f").await.unwrap();
    assert!(plain.lease.is_none(), "a store of version 1 leases nothing");
}

#[tokio::test]
async fn a_path_that_is_not_told_is_reported_as_it_was_written() {
    let no_route = json!({"errors": ["no handler for route"]});
    for (status, body) in [denied(), (404, no_route)] {
        let answers = Answers::new([("auth/token/lookup-self", 200, json!({"data": {}}))]);
        for path in ["prod/data/oops/app", "prod/oops/data/app", "prod/oops/app"] {
            answers.set(path, status, body.clone());
        }
        let server = answers.serve();
        let (fixture, provider) = instance(&server);
        for (text, said, needed) in [
            (
                "bao://prod/oops/app/password",
                "nothing there can be read",
                "`read`",
            ),
            (
                "bao://prod/oops/app/password?ttl=1h",
                "with options is not guessed at",
                "`update`",
            ),
        ] {
            let error = fetch(&*provider, &fixture, text).await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::Denied, "{error}");
            assert!(
                error
                    .context
                    .starts_with("the server does not tell what is mounted at `prod/oops/app`"),
                "{error}"
            );
            assert!(error.context.ends_with(said), "{error}");
            let hint = error.hint.unwrap();
            assert!(hint.contains(needed) && !hint.contains("prod/data"), "{hint}");
        }
    }
}

#[tokio::test]
async fn where_look_ups_are_closed_a_missing_secret_is_told_from_a_misspelt_mount() {
    let nothing = json!({"errors": []});
    let no_route = json!({"errors": ["no handler for route"]});
    let answers = Answers::new([
        ("auth/token/lookup-self", 200, json!({"data": {}})),
        ("team/data/kv/gone", 404, no_route.clone()),
        ("team/kv/data/gone", 404, nothing.clone()),
        (
            "team/kv/gone",
            404,
            json!({"data": null, "warnings": ["Invalid path"]}),
        ),
    ]);
    let server = answers.serve();
    let (fixture, provider) = instance(&server);
    let text = "bao://team/kv/gone/f";
    let missing = fetch(&*provider, &fixture, text).await.unwrap_err();
    assert_eq!(missing.kind, ErrorKind::NotFound, "{missing}");
    answers.set("team/kv/data/gone", 404, no_route);
    let misspelt = fetch(&*provider, &fixture, text).await.unwrap_err();
    assert_eq!(misspelt.kind, ErrorKind::Denied, "{misspelt}");
    answers.set("team/kv/data/gone", 404, nothing);
    let (status, body) = denied();
    answers.set("team/data/kv/gone", status, body);
    let hidden = fetch(&*provider, &fixture, text).await.unwrap_err();
    assert_eq!(hidden.kind, ErrorKind::Denied, "{hidden}");
}

#[tokio::test]
async fn paths_that_are_not_told_do_not_wait_for_each_other() {
    let both = Arc::new(tokio::sync::Barrier::new(2));
    let server = Server::start_async(move |request: Request| {
        let both = both.clone();
        async move {
            if request.path.ends_with("/mounts/team/kv/a") || request.path.ends_with("/mounts/team/kv/b") {
                // Each is answered only when the other has come.
                both.wait().await;
            }
            match request.path.as_str() {
                "/v1/auth/token/lookup-self" => Response::json(200, &json!({"data": {}})),
                path if path.starts_with("/v1/team/kv/data/") => {
                    Response::json(200, &kv2(&json!({"f": "v"}), 1))
                }
                _ => Response::json(403, &json!({"errors": ["permission denied"]})),
            }
        }
    });
    let (fixture, provider) = instance(&server);
    for text in ["bao://team/kv/first/f", "bao://team/kv/second/f"] {
        fetch(&*provider, &fixture, text).await.unwrap();
    }
    let texts = ["bao://team/kv/a/f", "bao://team/kv/b/f"];
    let reads = join_all(texts.map(|text| fetch(&*provider, &fixture, text)));
    // The limit is for a provider that asks for one after the other, which never ends.
    let read = tokio::time::timeout(Duration::from_secs(30), reads).await;
    assert!(read.expect("asked for together").iter().all(Result::is_ok));
}
