//! The ways to be somebody: what they read, when they read it again, and how they renew themselves.

use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};

use locket_testkit::fakes::oci::Session;

use super::*;

#[tokio::test]
async fn a_profile_inherits_from_the_default_and_a_tilde_is_the_home() {
    let rig = Rig::without_identity();
    let (id, key) = (rig.add("s", b"v"), rig.fake.api_key());
    let home = rig.fixture.path("home");
    std::fs::create_dir_all(home.join(".oci")).unwrap();
    rig.fixture.write("home/.oci/k.pem", &key.pem);
    let config = format!(
        "# a comment\n[DEFAULT]\ntenancy = {}\nuser=ocid1.user.oc1..other\nregion: eu-frankfurt-1\n\n[PROD]\nuser={}\nFingerprint = {}\nkey_file = ~/.oci/k.pem\nlog_requests = true\n",
        key.tenancy, key.user, key.fingerprint
    );
    rig.fixture.write("home/.oci/config", &config);
    let home = home.to_str().unwrap();
    let at_home = |rig: Rig| Rig {
        fixture: rig
            .fixture
            .environment([("HOME", home), ("SSL_CERT_FILE", "/dev/null")]),
        ..rig
    };
    let rig = at_home(rig).set("profile", "PROD");
    rig.gives(&rig.provider(), &id, b"v").await;
    let rig = rig.set("profile", "PORD");
    let error = rig.get(&id).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Auth);
    assert!(error.hint.unwrap().contains("`PROD`"));
    let rig = rig.set("profile", "DEFAULT");
    let error = rig.get(&id).await.unwrap_err();
    assert!(
        error.context.contains("`DEFAULT`") && error.context.contains("key_file"),
        "{error}"
    );
    let touched = rig
        .set("profile", "PROD")
        .fixture
        .build(|cx| KIND.reach(cx))
        .files;
    assert!(
        touched.iter().any(|path| path.ends_with(".oci/k.pem")),
        "{touched:?}"
    );
}

#[tokio::test]
async fn a_key_under_a_pass_phrase_takes_it_from_the_profile_or_from_a_file() {
    let Some(openssl) = locket_testkit::services::find("openssl") else {
        return;
    };
    let rig = Rig::new();
    let id = rig.add("s", b"v");
    let plain = rig.fixture.path("key.pem");
    let locked = rig.fixture.path("locked.pem");
    let made = std::process::Command::new(openssl)
        .args(["pkcs8", "-topk8", "-passout", "pass:sesame", "-in"])
        .arg(&plain)
        .arg("-out")
        .arg(&locked)
        .status()
        .unwrap();
    assert!(made.success());
    std::fs::rename(&locked, &plain).unwrap();
    let error = rig.get(&id).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Auth);
    assert!(error.context.contains("no pass phrase"), "{error}");
    let config = std::fs::read_to_string(rig.fixture.path("config")).unwrap();
    let provider = rig.provider();
    rig.fixture
        .write("config", &format!("{config}pass_phrase = wrong\n"));
    let error = rig.ask(&provider, &id).await.unwrap_err();
    assert!(error.context.contains("pass phrase is wrong"), "{error}");
    assert!(!format!("{error:?}").contains("`wrong`"));
    rig.fixture
        .write("config", &format!("{config}pass_phrase = sesame\n"));
    rig.gives(&provider, &id, b"v").await;
    rig.fixture.write("config", &config);
    let rig = Rig {
        fixture: rig.fixture.set_credential("pass-phrase-file", "sesame\n"),
        ..rig
    };
    rig.gives(&rig.provider(), &id, b"v").await;
}

#[tokio::test]
async fn settings_alone_are_enough_for_an_api_key() {
    let rig = Rig::without_identity();
    let (id, key) = (rig.add("s", b"v"), rig.fake.api_key());
    let rig = Rig {
        fixture: rig.fixture.set_credential("key-file", &key.pem),
        ..rig
    };
    let rig = rig
        .set("tenancy", &key.tenancy)
        .set("fingerprint", &key.fingerprint);
    let error = rig.get(&id).await.unwrap_err();
    assert!(error.hint.unwrap().contains("oci.user"));
    let rig = rig.set("user", &key.user);
    rig.gives(&rig.provider(), &id, b"v").await;
}

#[tokio::test]
async fn a_replaced_key_counts_at_once_and_a_revoked_one_is_told() {
    let rig = Rig::new();
    let id = rig.add("s", b"v");
    let provider = rig.provider();
    rig.gives(&provider, &id, b"v").await;
    rig.fake.revoke_api_keys();
    let error = rig.ask(&provider, &id).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Auth);
    assert!(error.hint.unwrap().contains("fingerprint"));
    let key = rig.fake.api_key();
    rig.fixture.write("key.pem", &key.pem);
    let config = std::fs::read_to_string(rig.fixture.path("config")).unwrap();
    rig.fixture
        .write("config", &format!("{config}fingerprint={}\n", key.fingerprint));
    rig.gives(&provider, &id, b"v").await;
}

#[tokio::test]
async fn a_session_ends_by_its_own_time_and_a_refreshed_one_is_found() {
    let rig = Rig::without_identity();
    let id = rig.add("s", b"v");
    let session = |rig: &Rig| {
        let Session { token, pem } = rig.fake.session(60 * MINUTE);
        rig.fixture.write("key.pem", &pem);
        rig.fixture.write("token", &token);
        rig.fixture
            .write("config", "[TEST]\nkey_file=key.pem\nsecurity_token_file=token\n");
    };
    session(&rig);
    let rig = rig.set("config-file", "config").set("profile", "TEST");
    let provider = rig.provider();
    rig.gives(&provider, &id, b"v").await;
    rig.asked();
    rig.pass(60 * MINUTE);
    let error = rig.ask(&provider, &id).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Auth);
    assert!(
        error.context.contains("expired at 2030-01-02T04:04:05Z"),
        "{error}"
    );
    assert!(error.hint.unwrap().contains("oci session refresh --profile TEST"));
    assert!(rig.asked().is_empty(), "nobody is asked with a token that ended");
    session(&rig);
    rig.gives(&provider, &id, b"v").await;
}

#[tokio::test]
async fn a_resource_principal_follows_the_files_that_its_platform_replaces() {
    let rig = Rig::without_identity();
    let id = rig.add("s", b"v");
    let issue = |rig: &Rig| {
        let Session { token, pem } = rig.fake.session(15 * MINUTE);
        rig.fixture.write("key.pem", &pem);
        rig.fixture.write("token", &token)
    };
    let token = issue(&rig);
    let key = rig.fixture.path("key.pem");
    let (token, key) = (token.to_str().unwrap(), key.to_str().unwrap());
    let value = |text: &str| {
        let bytes = locket_core::SecretBytes::copy_from(text.as_bytes());
        crate::Credential::Value(Arc::new(bytes))
    };
    let mut rig = Rig {
        fixture: rig.fixture.environment([
            ("OCI_RESOURCE_PRINCIPAL_VERSION", "2.2"),
            ("OCI_RESOURCE_PRINCIPAL_RPST", token),
            ("OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM", key),
        ]),
        ..rig
    };
    rig.fixture.settings = rig
        .fixture
        .settings
        .clone()
        .with_credential("resource-token-file", value(token))
        .with_credential("resource-key-file", value(key));
    let provider = rig.provider();
    for _ in 0..3 {
        rig.gives(&provider, &id, b"v").await;
        rig.pass(10 * MINUTE);
        issue(&rig);
    }
    rig.pass(20 * MINUTE);
    let error = rig.ask(&provider, &id).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Auth);
    assert!(error.context.contains("expired"), "{error}");
    let touched = rig.fixture.build(|cx| KIND.reach(cx)).files;
    assert!(touched.iter().any(|path| path.to_str() == Some(token)));
}

#[tokio::test]
async fn an_instance_makes_a_token_of_its_certificate_and_renews_it_before_its_end() {
    let rig = Rig::instance();
    let id = rig.add("s", b"v");
    let provider = rig.provider();
    rig.gives(&provider, &id, b"v").await;
    let login = [
        "/opc/v2/identity/cert.pem",
        "/opc/v2/identity/key.pem",
        "/opc/v2/identity/intermediate.pem",
        "/v1/x509",
    ];
    let read = format!("/20190301/secretbundles/{id}?stage=CURRENT");
    let (first, again) = ([&login[..], &[&read]].concat(), [read.as_str()]);
    assert_eq!(rig.asked(), first);
    rig.gives(&provider, &id, b"v").await;
    assert_eq!(rig.asked(), again, "the token serves until it is renewed");
    // Tokens last 20 minutes. The platform renews the certificate meanwhile.
    rig.fake.renew_certificate(1);
    rig.pass(14 * MINUTE);
    rig.gives(&provider, &id, b"v").await;
    assert_eq!(
        rig.asked(),
        first,
        "renewed past two thirds of its time, with the new certificate"
    );
    rig.pass(3 * 60 * MINUTE);
    rig.gives(&provider, &id, b"v").await;
    assert_eq!(rig.asked(), first, "after a long rest a new one is made at once");
}

#[tokio::test]
async fn a_renewal_that_fails_costs_nothing_while_the_token_lasts() {
    let rig = Rig::instance();
    let id = rig.add("s", b"v");
    let provider = rig.provider();
    rig.gives(&provider, &id, b"v").await;
    rig.fake.distrust_instance();
    rig.pass(14 * MINUTE);
    rig.gives(&provider, &id, b"v").await;
    rig.pass(6 * MINUTE);
    let error = rig.ask(&provider, &id).await.unwrap_err();
    assert_eq!(
        error.kind,
        ErrorKind::Auth,
        "the token has ended, and the certificate counts no more"
    );
    assert!(
        error.context.contains("does not accept the certificate"),
        "{error}"
    );
    rig.fake.renew_certificate(2);
    rig.pass(MINUTE);
    rig.gives(&provider, &id, b"v").await;
    rig.server.forget();
    rig.pass(14 * MINUTE);
    rig.gives(&provider, &id, b"v").await;
}

#[tokio::test]
async fn a_token_that_the_service_no_longer_takes_is_replaced_once() {
    let rig = Rig::instance();
    let id = rig.add("s", b"v");
    let provider = rig.provider();
    rig.gives(&provider, &id, b"v").await;
    rig.fake.end_tokens();
    rig.asked();
    rig.gives(&provider, &id, b"v").await;
    let asked = rig.asked();
    assert_eq!(asked.iter().filter(|path| path.contains("x509")).count(), 1);
    assert_eq!(asked.iter().filter(|path| path.contains(&id)).count(), 2);
}

#[tokio::test]
async fn an_instance_finds_its_region_by_what_it_is_told() {
    let rig = Rig::instance();
    let provider = rig.provider();
    drop(provider);
    for (region, domain) in [
        ("us-ashburn-1", "oraclecloud.com"),
        ("xx-new-9", "oracle.example"),
    ] {
        rig.fake.move_instance(region, domain);
        let identity = rig.fixture.build(super::super::identity::identity).unwrap();
        let found = identity.region(&rig.fixture.fetch_cx()).await.unwrap().unwrap();
        let auth = found.auth().unwrap().join([""; 0]);
        assert_eq!(auth.as_str(), format!("https://auth.{region}.{domain}/"));
    }
    let asked = rig.asked();
    assert_eq!(
        asked.last().map(String::as_str),
        Some("/opc/v2/instance/regionInfo")
    );
}

#[tokio::test]
async fn a_machine_that_is_no_instance_says_so() {
    let rig = Rig::instance();
    let id = rig.add("s", b"v");
    let status = Arc::new(AtomicU16::new(404));
    let answering = Arc::clone(&status);
    let nobody = Server::start(move |_| Response::status(answering.load(Ordering::SeqCst)));
    let rig = rig.set("metadata-url", &format!("{}/latest", nobody.url()));
    for (answer, kind) in [
        // An instance that boots says the same for a while.
        (404, ErrorKind::Unavailable),
        (401, ErrorKind::Auth),
        (403, ErrorKind::Auth),
    ] {
        status.store(answer, Ordering::SeqCst);
        let error = rig.get(&id).await.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.context.contains("gives no certificate"), "{error}");
        assert!(error.hint.unwrap().contains("oci setup config"));
    }
    nobody.go_down();
    let error = rig.get(&id).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(
        error.context.contains("the metadata service does not answer"),
        "{error}"
    );
    assert!(error.hint.unwrap().contains("Oracle Cloud's instances alone"));
}

#[tokio::test]
async fn an_instance_that_still_boots_is_asked_again_and_reads_once_it_has_its_certificate() {
    let is_up = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&is_up);
    let rig = Rig::without_identity().answered_by(move |fake, request| {
        match request.path.starts_with("/opc/") && !seen.load(Ordering::SeqCst) {
            true => Response::status(404),
            false => fake.answer(&request),
        }
    });
    let url = rig.server.url();
    let rig = rig
        .set("auth", "instance-principal")
        .set("metadata-url", &format!("{url}/opc/v2"))
        .set("auth-endpoint", &url);
    let id = rig.add("s", b"v");
    let provider = rig.provider();
    for _ in 0..2 {
        let error = rig.ask(&provider, &id).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
        assert_eq!(
            rig.asked(),
            ["/opc/v2/identity/cert.pem"],
            "the engine asks again, and not the provider"
        );
    }
    is_up.store(true, Ordering::SeqCst);
    rig.gives(&provider, &id, b"v").await;
}

#[test]
fn without_a_word_the_configuration_in_the_home_decides_then_the_platform_then_the_instance() {
    let chosen = |rig: Rig| {
        let identity = rig.fixture.build(super::super::identity::identity);
        identity.map(|identity| {
            format!("{identity:?}")
                .split_whitespace()
                .next()
                .unwrap()
                .to_owned()
        })
    };
    assert_eq!(chosen(Rig::new()).unwrap(), "Given");
    assert_eq!(chosen(Rig::without_identity()).unwrap(), "Instance");
    let mut platform = Rig::without_identity();
    platform.fixture = platform
        .fixture
        .environment([("OCI_RESOURCE_PRINCIPAL_VERSION", "2.2")]);
    assert!(
        chosen(platform)
            .unwrap_err()
            .message
            .contains("OCI_RESOURCE_PRINCIPAL_RPST")
    );
    let mut newer = Rig::without_identity();
    newer.fixture = newer
        .fixture
        .environment([("OCI_RESOURCE_PRINCIPAL_VERSION", "3.0")]);
    assert!(chosen(newer).unwrap_err().message.contains("3.0"));
}
