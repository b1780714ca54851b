//! Dynamic secrets of a real OpenBao through a running agent: Postgres users with real leases, certificates.

use std::path::Path;

use locket_testkit::services::{OpenBao, Postgres};
use serde_json::json;

use crate::support::{Agent, Scene, eventually};

/// An agent's directory, with an AppRole that may do what `policy` says and nothing about leases but the default.
pub(crate) fn scene(bao: &OpenBao, policy: &str) -> Scene {
    let admin = bao.admin();
    admin.policy("app", policy);
    let role = json!({"token_policies": ["app"], "token_ttl": "18s", "token_max_ttl": "1h"});
    let role_id = admin.approle("approle", "app", &role);
    let scene = Scene::new();
    scene.write("secret-id", admin.secret_id("approle", "app", &json!({})));
    let config = format!(
        "[bao]\nurl = {:?}\nrole-id = {role_id:?}\nsecret-id-file = \"secret-id\"\n",
        bao.url()
    );
    scene.write("locket.toml", config);
    scene
}

fn park(scene: &Scene) -> Agent {
    let told = format!("exec:sh -c 'echo told >> {}'", scene.path("told").display());
    let arguments = [
        "run",
        "--map",
        "in:out",
        "--mode",
        "park",
        "--config",
        "locket.toml",
    ];
    let files = [
        "--status-file",
        "status",
        "--state-dir",
        "state",
        "--notify",
        &told,
    ];
    Agent::start(&mut scene.locket(arguments.into_iter().chain(files)))
}

fn told(scene: &Scene) -> usize {
    scene.read("told").map_or(0, |text| text.lines().count())
}

/// Postgres users that live for four seconds at a time and fifteen in all.
pub(crate) fn database(bao: &OpenBao, postgres: &Postgres) {
    let admin = bao.admin();
    admin.mount("database", "database");
    let address = format!("127.0.0.1:{}/postgres?sslmode=disable", postgres.port());
    admin.call(
        "POST",
        "database/config/pg",
        &json!({
            "plugin_name": "postgresql-database-plugin",
            "allowed_roles": "app",
            "connection_url": format!("postgresql://{{{{username}}}}:{{{{password}}}}@{address}"),
            "username": Postgres::ADMIN,
            "password": Postgres::ADMIN_PASSWORD,
        }),
    );
    let create = r#"CREATE ROLE "{{name}}" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}';"#;
    let role =
        json!({"db_name": "pg", "creation_statements": [create], "default_ttl": "4s", "max_ttl": "15s"});
    admin.call("POST", "database/roles/app", &role);
}

/// User and password as the output has them.
fn credentials(scene: &Scene) -> Option<(String, String)> {
    let text = scene.read("out/app")?;
    let (user, password) = text.trim_end().split_once(' ')?;
    Some((user.to_owned(), password.to_owned()))
}

#[test]
fn postgres_credentials_are_renewed_replaced_when_they_must_be_and_revoked_at_the_end() {
    let (Some(bao), Some(postgres)) = (OpenBao::start(), Postgres::start()) else {
        return;
    };
    database(&bao, &postgres);
    let scene = scene(&bao, r#"path "database/creds/app" { capabilities = ["read"] }"#);
    scene.write(
        "in/app",
        "{{ bao://database/creds/app/username }} {{ bao://database/creds/app/password }}\n",
    );
    bao.audit();
    let renewals = || bao.count("update", "sys/leases/renew");
    let agent = park(&scene);
    eventually("the output is there", || credentials(&scene).is_some());
    let (user, password) = credentials(&scene).unwrap();
    assert!(postgres.logs_in(&user, &password));
    assert!(
        !postgres.logs_in(&user, "another"),
        "the control of every success"
    );

    eventually("the lease is renewed over several lives", || renewals() >= 3);
    assert!(
        postgres.logs_in(&user, &password),
        "twelve seconds and more later"
    );
    // Looked at in this order: whoever was told of another user finds it in the file.
    let told_so_far = told(&scene);
    assert_eq!(credentials(&scene).unwrap().0, user, "and it is the same user");
    assert_eq!(
        told_so_far, 1,
        "who was told of the beginning, and of nothing since"
    );

    eventually("another user comes in its place", || {
        credentials(&scene).is_some_and(|(now, _)| now != user)
    });
    eventually("the consumer is told", || told(&scene) == 2);
    eventually("the first user is gone in the end", || {
        !postgres.logs_in(&user, &password)
    });
    assert!(
        bao.count("update", "auth/token/renew-self") > 0,
        "the login went on as well"
    );
    assert_eq!(bao.count("update", "auth/approle/login"), 1);

    let (user, password) = credentials(&scene).unwrap();
    assert!(postgres.logs_in(&user, &password), "the control of what follows");
    let reads = bao.count("read", "database/creds/app");
    let (status, log) = agent.stop();
    assert!(status.success(), "{log}");
    eventually("the user is gone", || !postgres.logs_in(&user, &password));
    assert!(
        log.contains("1 lease revoked") || log.contains("leases revoked"),
        "{log}"
    );
    assert!(reads <= 3, "{reads} users were made");
    assert!(!log.contains(&password), "the log holds no password");
    for file in walk(&scene.path("state"))
        .into_iter()
        .chain([scene.path("status")])
    {
        let bytes = std::fs::read(&file).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(
            !text.contains(&password) && !text.contains(&user),
            "{}",
            file.display()
        );
    }
}

#[test]
fn a_reload_keeps_the_lease_and_one_shot_leaves_what_it_handed_out() {
    let (Some(bao), Some(postgres)) = (OpenBao::start(), Postgres::start()) else {
        return;
    };
    database(&bao, &postgres);
    bao.call(
        "POST",
        "database/roles/app",
        &json!({"db_name": "pg", "default_ttl": "1h", "creation_statements": [
            r#"CREATE ROLE "{{name}}" WITH LOGIN PASSWORD '{{password}}';"#]}),
    );
    let scene = scene(&bao, r#"path "database/creds/app" { capabilities = ["read"] }"#);
    // Long enough that nothing but the reload can be the reason of a request.
    let role = json!({"token_policies": ["app"], "token_ttl": "1h"});
    bao.call("POST", "auth/approle/role/app", &role);
    scene.write(
        "in/app",
        "{{ bao://database/creds/app/username }} {{ bao://database/creds/app/password }}\n",
    );
    bao.audit();
    let agent = park(&scene);
    eventually("the output is there", || credentials(&scene).is_some());
    let (user, password) = credentials(&scene).unwrap();
    // A reload within the first round would be a part of it.
    agent.says("start:");
    agent.signal("HUP");
    agent.says("reload:");
    agent.signal("HUP");
    eventually("it was reloaded twice", || {
        agent.log().matches("reload:").count() == 2
    });
    assert_eq!(credentials(&scene).unwrap().0, user);
    assert_eq!(bao.count("read", "database/creds/app"), 1);
    assert_eq!(bao.count("update", "auth/approle/login"), 1, "nor a new login");
    assert!(postgres.logs_in(&user, &password));
    agent.stop();
    eventually("the user is gone", || !postgres.logs_in(&user, &password));

    let once = scene
        .locket(["inject", "--map", "in:once", "--config", "locket.toml"])
        .output()
        .unwrap();
    assert!(once.status.success(), "{}", String::from_utf8_lossy(&once.stderr));
    let text = scene.read("once/app").unwrap();
    let (user, password) = text.trim_end().split_once(' ').unwrap();
    assert!(postgres.logs_in(user, password), "it is the caller's now");
}

#[test]
fn certificate_and_key_are_of_one_issue_and_are_issued_anew_together() {
    let Some(bao) = OpenBao::start() else { return };
    let admin = bao.admin();
    admin.mount("pki", "pki");
    admin.call(
        "POST",
        "pki/root/generate/internal",
        &json!({"common_name": "root", "ttl": "24h", "key_type": "ec"}),
    );
    let role = json!({"allow_any_name": true, "key_type": "ec", "not_before_duration": "1s"});
    admin.call("POST", "pki/roles/web", &role);
    let scene = scene(&bao, r#"path "pki/issue/web" { capabilities = ["update"] }"#);
    for (name, field) in [
        ("crt", "certificate"),
        ("key", "private_key"),
        ("serial", "serial_number"),
    ] {
        let reference = format!("bao://pki/issue/web/{field}?common_name=a.example&ttl=9s");
        scene.write(&format!("in/{name}"), format!("{{{{ {reference} }}}}"));
    }
    bao.audit();
    let issues = || bao.count("update", "pki/issue/web");
    let agent = park(&scene);
    eventually("the first is there", || told(&scene) == 1);
    assert_eq!(issues(), 1, "three files, one issue");
    let first = ["crt", "key", "serial"].map(|name| scene.read(&format!("out/{name}")).unwrap());
    eventually("another is there", || told(&scene) >= 2);
    let second = ["crt", "key", "serial"].map(|name| scene.read(&format!("out/{name}")).unwrap());
    for (before, after) in first.iter().zip(&second) {
        assert_ne!(before, after, "all three were replaced");
    }
    let (status, log) = agent.stop();
    assert!(status.success(), "{log}");
    assert_eq!(issues(), told(&scene), "one issue for each word to the consumer");
    for [certificate, key, _] in [&first, &second] {
        assert_eq!(
            public_key(&scene, "x509", certificate),
            public_key(&scene, "pkey", key)
        );
    }
    assert_ne!(
        public_key(&scene, "x509", &first[0]),
        public_key(&scene, "pkey", &second[1]),
        "the control: keys of two issues differ"
    );
}

/// The public key of a certificate or of a private key.
fn public_key(scene: &Scene, kind: &str, pem: &str) -> Vec<u8> {
    scene.write("pem", pem);
    let mut openssl = std::process::Command::new("openssl");
    let how: &[&str] = match kind {
        "x509" => &["x509", "-noout", "-pubkey"],
        _ => &["pkey", "-pubout"],
    };
    let output = openssl
        .args(how)
        .arg("-in")
        .arg(scene.path("pem"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(!output.stdout.is_empty());
    output.stdout
}

fn walk(directory: &Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return Vec::new();
    };
    entries
        .flatten()
        .flat_map(|entry| match entry.path() {
            path if path.is_dir() => walk(&path),
            path => vec![path],
        })
        .collect()
}

#[test]
fn a_login_that_cannot_be_repeated_lives_from_refresh_to_refresh() {
    let Some(bao) = OpenBao::start() else { return };
    bao.put("app", &json!({"f": "one"}));
    let admin = bao.admin();
    admin.policy("read", r#"path "secret/*" { capabilities = ["read"] }"#);
    let role = json!({"token_policies": ["read"], "token_period": "6s", "secret_id_num_uses": 1});
    let role_id = admin.approle("approle", "app", &role);
    let scene = Scene::new();
    scene.write("secret-id", admin.secret_id("approle", "app", &json!({})));
    let config = format!(
        "[bao]\nurl = {:?}\nrole-id = {role_id:?}\nsecret-id-file = \"secret-id\"\n",
        bao.url()
    );
    scene.write("locket.toml", config);
    scene.write("in/t", "{{ bao://secret/app/f }}");
    bao.audit();
    let arguments = [
        "run",
        "--map",
        "in:out",
        "--config",
        "locket.toml",
        "--refresh",
        "10s",
    ];
    let _agent = Agent::start(&mut scene.locket(arguments));
    eventually("the output is there", || {
        scene.read("out/t").as_deref() == Some("one")
    });
    bao.put("app", &json!({"f": "two"}));
    eventually("the next refresh is answered", || {
        scene.read("out/t").as_deref() == Some("two")
    });
    assert!(bao.count("update", "auth/token/renew-self") > 0);
    assert_eq!(bao.count("update", "auth/approle/login"), 1);
}
