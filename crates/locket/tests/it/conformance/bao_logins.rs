//! The credentials of OpenBao's login methods: issued, replaced, made worthless.

use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use locket_core::{Clock, FetchCx};
use locket_providers::{Credential as Given, Settings};
use locket_testkit::fakes::token_review::Cluster;
use locket_testkit::jwt::unsigned;
use locket_testkit::{Canary, JwtIssuer, ManualClock, TestCa};
use serde_json::json;

use super::bao::{APPROLE, CERTIFICATE, JWT, KUBERNETES, Mount, USERPASS, credential};
use super::fixture::{Credential, Fixture, Secrets};
use super::trial::{Trial, is_value};

/// A user whose password changes.
pub(super) fn userpass(mount: &Mount, directory: &Path, secrets: &Secrets) -> (Settings, Credential) {
    let method = method(mount, "userpass");
    let user = format!("auth/{method}/users/ann");
    let file = directory.join("password");
    let settings = settings("userpass", &method)
        .with("username", "ann")
        .with_credential("password-file", Given::File(file.clone()));
    let issue = {
        let (mount, user, secrets) = (mount.clone(), user.clone(), secrets.clone());
        move || {
            let password = Canary::text("password");
            let body =
                json!({"password": password.as_str(), "token_policies": [mount.name], "token_ttl": "1h"});
            mount.admin.call("POST", &user, &body);
            secrets.add(&password);
            std::fs::write(&file, password.as_str()).unwrap();
        }
    };
    let end = {
        let (mount, method) = (mount.clone(), method.clone());
        move || {
            mount.admin.call("DELETE", &user, &json!(null));
            end_logins(&mount, &method);
        }
    };
    made(settings, issue, end)
}

/// A service account of a cluster that is asked by the server.
pub(super) fn kubernetes(mount: &Mount, directory: &Path, secrets: &Secrets) -> (Settings, Credential) {
    let method = method(mount, "kubernetes");
    let cluster = Rc::new(Cluster::start());
    let config = json!({"kubernetes_host": cluster.url(), "token_reviewer_jwt": "reviewer",
        "disable_local_ca_jwt": true, "kubernetes_ca_cert": TestCa::new().pem()});
    mount
        .admin
        .call("POST", &format!("auth/{method}/config"), &config);
    let role = json!({"bound_service_account_names": "app", "bound_service_account_namespaces": "default",
        "audience": "", "token_policies": [mount.name], "token_ttl": "1h"});
    mount
        .admin
        .call("POST", &format!("auth/{method}/role/reader"), &role);
    let file = directory.join("jwt");
    let settings = settings("kubernetes", &method)
        .with("role", "reader")
        .with_credential("jwt-file", Given::File(file.clone()));
    let issue = {
        let (cluster, file, secrets) = (cluster.clone(), file.clone(), secrets.clone());
        move || {
            static ISSUED: AtomicUsize = AtomicUsize::new(0);
            let id = ISSUED.fetch_add(1, Ordering::Relaxed);
            let account = json!({"name": "app", "uid": "app"});
            let token = unsigned(&json!({"iss": "kubernetes/serviceaccount", "jti": id.to_string(),
                "sub": "system:serviceaccount:default:app", "exp": 4_000_000_000_u64, "iat": 1, "nbf": 1,
                "kubernetes.io": {"namespace": "default", "serviceaccount": account}}));
            cluster.add(&token, "app");
            secrets.add(&Canary::of("service account token", token.as_str()));
            std::fs::write(&file, token).unwrap();
        }
    };
    let end = {
        let (mount, method) = (mount.clone(), method.clone());
        move || {
            cluster.remove(&std::fs::read_to_string(&file).unwrap());
            end_logins(&mount, &method);
        }
    };
    made(settings, issue, end)
}

/// A token of an issuer whose key the server knows, until it knows another.
pub(super) fn jwt(mount: &Mount, directory: &Path, secrets: &Secrets) -> (Settings, Credential) {
    let method = method(mount, "jwt");
    let config = format!("auth/{method}/config");
    let trusts = |issuer: &JwtIssuer| json!({"jwt_validation_pubkeys": [issuer.public_key_pem()], "jwt_supported_algs": ["EdDSA"]});
    mount.admin.call("POST", &config, &trusts(&JwtIssuer::new()));
    let role = json!({"role_type": "jwt", "user_claim": "sub", "bound_audiences": ["bao"],
        "token_policies": [mount.name], "token_ttl": "1h"});
    mount
        .admin
        .call("POST", &format!("auth/{method}/role/reader"), &role);
    let file = directory.join("jwt");
    let settings = settings("jwt", &method)
        .with("role", "reader")
        .with_credential("jwt-file", Given::File(file.clone()));
    let issue = {
        let (mount, config, secrets) = (mount.clone(), config.clone(), secrets.clone());
        move || {
            let issuer = JwtIssuer::new();
            mount.admin.call("POST", &config, &trusts(&issuer));
            let claims = json!({"sub": "app", "aud": "bao", "exp": 4_000_000_000_u64, "iat": 1, "nbf": 1});
            let token = issuer.token(&claims);
            secrets.add(&Canary::of("signed token", token.as_str()));
            std::fs::write(&file, token).unwrap();
        }
    };
    let end = {
        let (mount, method) = (mount.clone(), method.clone());
        move || {
            mount.admin.call("POST", &config, &trusts(&JwtIssuer::new()));
            end_logins(&mount, &method);
        }
    };
    made(settings, issue, end)
}

/// A certificate that the server accepts until its entry is gone.
pub(super) fn certificate(mount: &Mount, directory: &Path) -> (Settings, Credential) {
    let method = method(mount, "cert");
    let (_, ca) = locket_testkit::services::OpenBao::shared_tls().unwrap();
    let entry = format!("auth/{method}/certs/reader");
    let settings = settings("cert", &method)
        .with("role", "reader")
        .with("client-cert-file", directory.join("client.pem").to_str().unwrap())
        .with("client-key-file", directory.join("client.key").to_str().unwrap());
    let issue = {
        let (mount, entry) = (mount.clone(), entry.clone());
        move || {
            let body = json!({"certificate": ca.pem(), "allowed_common_names": [mount.name],
                "token_policies": [mount.name], "token_ttl": "1h"});
            mount.admin.call("POST", &entry, &body);
        }
    };
    let end = {
        let (mount, method) = (mount.clone(), method.clone());
        move || {
            mount.admin.call("DELETE", &entry, &json!(null));
            end_logins(&mount, &method);
        }
    };
    made(settings, issue, end)
}

fn method(mount: &Mount, kind: &str) -> String {
    let method = format!("{kind}-{}", mount.name);
    mount.admin.mount_auth(&method, kind);
    method
}

fn settings(auth: &str, method: &str) -> Settings {
    Settings::default().with("auth", auth).with("auth-mount", method)
}

/// What was logged in by this method is logged in no more.
fn end_logins(mount: &Mount, method: &str) {
    let logins = format!("sys/leases/revoke-prefix/auth/{method}/login");
    mount.admin.call("POST", &logins, &json!({"sync": true}));
}

fn made(settings: Settings, issue: impl Fn() + 'static, end: impl Fn() + 'static) -> (Settings, Credential) {
    issue();
    (settings, credential(Rc::new(issue), Rc::new(end)))
}

#[test]
fn the_token_of_every_login_is_renewed_while_a_run_goes_on() {
    for fixture in [&APPROLE, &USERPASS, &KUBERNETES, &JWT, &CERTIFICATE] {
        if !fixture.is_installed() {
            return;
        }
        let trial = Trial::new(fixture);
        let manual = Arc::new(ManualClock::new());
        let clock: Arc<dyn Clock> = manual.clone();
        let provider = trial.provider_by(&clock).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let sample = &trial.references().text;
        for _ in 0..3 {
            let cx = FetchCx::new(clock.clone(), clock.monotonic() + Duration::from_secs(60));
            let read = runtime.block_on(trial.fetch_in(&provider, &[&sample.reference], &cx));
            is_value(&read.unwrap()[0], sample).unwrap();
            manual.advance(Duration::from_secs(41 * 60));
        }
        let requests = trial.upstream().unwrap().faults.requests();
        let count = |part: &str| {
            requests
                .iter()
                .filter(|request| request.path.contains(part))
                .count()
        };
        assert_eq!(
            (count("/login"), count("/renew-self")),
            (1, 2),
            "{}: one login, and a renewal past two thirds of each hour",
            fixture.name()
        );
    }
}
