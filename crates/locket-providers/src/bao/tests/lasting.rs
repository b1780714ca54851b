//! What ends by itself: leases and logins.

use super::*;

#[tokio::test]
async fn a_lease_that_no_field_was_taken_from_is_given_back_at_once() {
    let answers = usual();
    let look_up = "sys/internal/ui/mounts/db/creds/app";
    answers.set(look_up, 200, mount("db/", "database", None));
    let creds = json!({"lease_id": "db/creds/app/1", "lease_duration": 60, "renewable": true,
        "data": {"username": "u", "password": "p"}});
    answers.set("db/creds/app", 200, creds);
    answers.set("sys/leases/revoke", 200, json!({}));
    let server = answers.serve();
    let (fixture, provider) = instance(&server);
    let good = fetch(&*provider, &fixture, "bao://db/creds/app/username")
        .await
        .unwrap();
    let lease = good.lease.unwrap();
    assert_eq!((lease.lasts, lease.renewable), (Duration::from_secs(60), true));
    assert!(!paths(&server).contains(&"/v1/sys/leases/revoke".to_owned()));
    let typo = fetch(&*provider, &fixture, "bao://db/creds/app/usernme")
        .await
        .unwrap_err();
    assert_eq!(typo.kind, ErrorKind::NotFound);
    assert_eq!(paths(&server).last().unwrap(), "/v1/sys/leases/revoke");
}

/// A server with a login of an hour, of which `renewable` says whether it gets more, and leases of an hour.
fn leasing(renewable: bool) -> (Server, Fixture, Arc<dyn Provider>) {
    let answers = usual();
    let granted = json!({"auth": {"client_token": "t", "lease_duration": 3600, "renewable": renewable}});
    answers.set("auth/userpass/login/me", 200, granted.clone());
    answers.set("auth/token/renew-self", 200, granted);
    let look_up = "sys/internal/ui/mounts/db/creds/app";
    answers.set(look_up, 200, mount("db/", "database", None));
    let lease = json!({"lease_id": "db/creds/app/1", "lease_duration": 3600, "renewable": true});
    answers.set("sys/leases/renew", 200, lease.clone());
    let mut creds = lease;
    creds["data"] = json!({"username": "u", "password": "p"});
    answers.set("db/creds/app", 200, creds);
    let server = answers.serve();
    let (fixture, provider) = with_password(&server);
    (server, fixture, provider)
}

#[tokio::test]
async fn a_lease_as_long_as_its_login_is_renewed_in_full_and_its_secret_read_once() {
    let (server, fixture, provider) = leasing(true);
    let fetched = fetch(&*provider, &fixture, "bao://db/creds/app/username")
        .await
        .unwrap();
    let lease = fetched.lease.unwrap();
    let handle = lease.handle.unwrap();
    for _ in 0..3 {
        // Three fifths of the hour, which is when the engine renews a lease.
        fixture.clock.advance(Duration::from_secs(36 * 60));
        let leases = provider.leases().unwrap();
        let renewal = leases.renew(&handle, &fixture.fetch_cx()).await.unwrap();
        assert_eq!(renewal.lasts, lease.lasts);
    }
    let asked = paths(&server);
    let count = |path: &str| asked.iter().filter(|asked| *asked == path).count();
    assert_eq!(count("/v1/db/creds/app"), 1);
    assert_eq!(count("/v1/auth/userpass/login/me"), 1);
    assert_eq!(count("/v1/auth/token/renew-self"), 3);
}

#[tokio::test]
async fn a_lease_of_a_login_that_gets_no_more_time_ends_with_it() {
    let (server, fixture, provider) = leasing(false);
    let fetched = fetch(&*provider, &fixture, "bao://db/creds/app/username")
        .await
        .unwrap();
    let lease = fetched.lease.unwrap();
    let handle = lease.handle.unwrap();
    let gone = Duration::from_secs(36 * 60);
    fixture.clock.advance(gone);
    let leases = provider.leases().unwrap();
    let renewal = leases.renew(&handle, &fixture.fetch_cx()).await.unwrap();
    assert_eq!(renewal.lasts, lease.lasts - gone);
    assert!(!paths(&server).contains(&"/v1/auth/token/renew-self".to_owned()));
}

#[tokio::test]
async fn a_login_that_cannot_be_replaced_yet_serves_to_its_end() {
    for status in [400, 429, 503] {
        let answers = usual();
        let login = "auth/userpass/login/me";
        let granted = json!({"auth": {"client_token": "t", "lease_duration": 60, "renewable": false}});
        answers.set(login, 200, granted.clone());
        let look_up = "sys/internal/ui/mounts/pki/issue/web";
        answers.set(look_up, 200, mount("pki/", "pki", None));
        answers.set("pki/issue/web", 200, json!({"data": {"certificate": "c"}}));
        let server = answers.serve();
        let (fixture, provider) = with_password(&server);
        let logins = || {
            let asked = paths(&server);
            asked.iter().filter(|path| path.contains("/login/")).count()
        };
        let certificate = "bao://pki/issue/web/certificate?common_name=a";
        fetch(&*provider, &fixture, certificate).await.unwrap();
        fixture.clock.advance(Duration::from_secs(28));
        answers.set(login, status, json!({"errors": ["no"]}));
        for text in [certificate, "bao://kv/app/db/user", certificate] {
            fetch(&*provider, &fixture, text).await.unwrap();
        }
        assert_eq!(logins(), 2, "tried in time, and once");
        fixture.clock.advance(Duration::from_secs(26));
        let ended = fetch(&*provider, &fixture, certificate).await.unwrap_err();
        assert!(ended.context.contains("/login/me"), "{ended}");
        answers.set(login, 200, granted);
        fixture.clock.advance(Duration::from_secs(31));
        fetch(&*provider, &fixture, certificate).await.unwrap();
    }
}

#[tokio::test]
async fn what_the_server_rotates_is_good_until_just_after_the_next_rotation() {
    let static_role = |clock: &str| {
        let mut data = json!({"username": "u", "password": "p", "ttl": 12,
            "last_vault_rotation": "2026-01-01T00:00:00.123456789Z"});
        data[clock] = json!(15);
        json!({"lease_id": "", "lease_duration": 0, "renewable": false, "data": data})
    };
    let answers = usual();
    let path = "db/static-creds/app";
    let text = "bao://db/static-creds/app/password";
    let look_up = "sys/internal/ui/mounts/db/static-creds/app";
    let server = answers.serve();
    for kind in ["database", "ldap", "openldap"] {
        answers.set(look_up, 200, mount("db/", kind, None));
        for clock in ["rotation_period", "rotation_schedule"] {
            answers.set(path, 200, static_role(clock));
            let (fixture, provider) = instance(&server);
            let fetched = fetch(&*provider, &fixture, text).await.unwrap();
            let lease = fetched.lease.expect("the next rotation");
            assert_eq!((lease.lasts, lease.rotates), (Duration::from_secs(13), true));
            assert!(lease.handle.is_none() && !lease.renewable);
        }
        for data in [
            json!({"password": "p", "ttl": 12}),
            json!({"password": "p", "rotation_period": 15}),
            json!({"password": "p", "rotation_period": 15, "ttl": "12"}),
        ] {
            answers.set(path, 200, json!({"data": data}));
            let (fixture, provider) = instance(&server);
            let fetched = fetch(&*provider, &fixture, text).await.unwrap();
            assert!(fetched.lease.is_none(), "{data}");
        }
    }
}

#[tokio::test]
async fn a_token_of_gcp_is_good_until_it_expires() {
    let answers = usual();
    let look_up = "sys/internal/ui/mounts/cloud/roleset/app/token";
    let server = answers.serve();
    let (fixture, _) = instance(&server);
    let now = fixture.fetch_cx().clock.wall();
    let expires = now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() + 3600;
    let data = json!({"token": "t", "expires_at_seconds": expires, "token_ttl": 3599});
    answers.set(
        "cloud/roleset/app/token",
        200,
        json!({"lease_id": "", "data": data}),
    );
    for (kind, lasts) in [("gcp", Some(Duration::from_secs(3600))), ("other", None)] {
        answers.set(look_up, 200, mount("cloud/", kind, None));
        let (fixture, provider) = instance(&server);
        let fetched = fetch(&*provider, &fixture, "bao://cloud/roleset/app/token/token").await;
        let lease = fetched.unwrap().lease;
        assert_eq!(lease.as_ref().map(|lease| lease.lasts), lasts, "{kind}");
        assert!(lease.is_none_or(|lease| !lease.rotates));
    }
}

#[tokio::test]
async fn a_duration_without_a_lease_is_no_lease() {
    let answers = usual();
    answers.set(
        "sys/internal/ui/mounts/kv1/a",
        200,
        mount("kv1/", "kv", Some("1")),
    );
    answers.set("sys/internal/ui/mounts/t/a", 200, mount("t/", "totp", None));
    let body =
        json!({"lease_id": "", "lease_duration": 2_764_800, "data": {"f": "v", "ttl": 5, "expiration": 7}});
    answers.set("kv1/a", 200, body.clone());
    answers.set("t/a", 200, body);
    let server = answers.serve();
    let (fixture, provider) = instance(&server);
    for text in ["bao://kv1/a/f", "bao://t/a/f"] {
        let fetched = fetch(&*provider, &fixture, text).await.unwrap();
        assert!(fetched.lease.is_none(), "{text}");
    }
}
