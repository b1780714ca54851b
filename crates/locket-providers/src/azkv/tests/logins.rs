//! The ways to log in: what they send, when they log in again, and what refusals of logins say.

use std::os::unix::fs::PermissionsExt;

use super::*;

fn with_certificate(rig: Rig, pem: &str) -> Rig {
    rig.fixture.write("certificate.pem", pem);
    let id = rig.application.client_id.clone();
    rig.set("certificate-file", "certificate.pem")
        .set("client-id", &id)
}

#[tokio::test]
async fn a_token_is_renewed_before_its_sixty_minutes_are_over() {
    let rig = Rig::new();
    let reference = rig.add("s", "v");
    let provider = rig.provider();
    rig.gives(&provider, &reference, "v").await;
    rig.asked();
    rig.pass(39 * MINUTE);
    rig.gives(&provider, &reference, "v").await;
    assert_eq!(rig.asked(), ["/secrets/s"]);
    rig.pass(2 * MINUTE);
    rig.gives(&provider, &reference, "v").await;
    assert_eq!(rig.asked().len(), 2, "a token and the read");
    rig.pass(5 * 60 * MINUTE);
    rig.gives(&provider, &reference, "v").await;
    assert_eq!(rig.asked().len(), 2, "after a long rest as well");
}

#[tokio::test]
async fn a_token_that_counts_no_more_is_replaced_once() {
    let rig = Rig::new();
    let reference = rig.add("s", "v");
    let provider = rig.provider();
    rig.gives(&provider, &reference, "v").await;
    rig.fake.end_tokens();
    rig.asked();
    rig.gives(&provider, &reference, "v").await;
    assert_eq!(rig.asked().len(), 3, "refused, logged in, read");
}

#[tokio::test]
async fn a_certificate_signs_the_login_wherever_it_stands_in_its_file() {
    let rig = Rig::without_login();
    let reference = rig.add("s", "v");
    let pem = rig.application.certificate_pem.clone();
    let stranger = rig.fake.application().certificate_pem;
    let (key, certificate) = pem.split_at(pem.find("-----BEGIN CERTIFICATE").unwrap());
    let foreign = &stranger[stranger.find("-----BEGIN CERTIFICATE").unwrap()..];
    let mut rig = rig;
    for text in [
        pem.clone(),
        format!("{certificate}{key}"),
        format!("{foreign}{certificate}{key}"),
    ] {
        rig = with_certificate(rig, &text);
        rig.gives(&rig.provider(), &reference, "v").await;
    }
    rig = with_certificate(rig, &format!("{key}{foreign}"));
    let error = rig.get(&reference).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Auth);
    assert!(error.context.contains("no certificate that belongs"), "{error}");
    rig.fixture.write("certificate.pem", "0\u{1}pfx");
    let error = rig.get(&reference).await.unwrap_err();
    assert!(error.hint.unwrap().contains("openssl pkcs12 -in"));
    rig = with_certificate(rig, &pem);
    rig.fake.revoke_application();
    let error = rig.get(&reference).await.unwrap_err();
    assert!(
        error.context.contains("not registered") && error.context.contains("AADSTS700027"),
        "{error}"
    );
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_named_and_heals_by_itself() {
    let mut rig = Rig::without_login();
    let reference = rig.add("s", "v");
    // The service lives by a clock of its own.
    let clock = Arc::new(locket_testkit::ManualClock::new());
    rig.fake = Azure::by(clock);
    rig.application = rig.fake.application();
    rig.fake.set("prod", "s", "v");
    let answering = rig.fake.clone();
    rig.server = Server::builder()
        .tls(&rig.ca)
        .start(move |request| answering.answer(&request));
    let port = rig.server.address().port();
    let pem = rig.application.certificate_pem.clone();
    let rig = with_certificate(rig, &pem).set("authority-host", &format!("https://localhost:{port}"));
    let provider = rig.provider();
    rig.fixture.clock.set_wall_ahead(40 * MINUTE);
    let error = rig.ask(&provider, &rig.at("s")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable, "{error:?}");
    assert!(
        error.context.contains("clock is 40m ahead of Microsoft's"),
        "{error}"
    );
    rig.fixture.clock.set_wall_back(40 * MINUTE);
    rig.gives(&provider, &rig.at("s"), "v").await;
    drop(reference);
}

#[tokio::test]
async fn a_federated_token_is_read_again_for_each_login() {
    let rig = Rig::without_login();
    let reference = rig.add("s", "v");
    rig.fixture.write("federated", &rig.application.federated_token);
    let id = rig.application.client_id.clone();
    let rig = rig.set("federated-token-file", "federated").set("client-id", &id);
    let provider = rig.provider();
    rig.gives(&provider, &reference, "v").await;
    rig.fake.revoke_application();
    rig.fixture
        .write("federated", &rig.fake.application().federated_token);
    rig.pass(50 * MINUTE);
    rig.gives(&provider, &reference, "v").await;
    rig.fixture.write(
        "federated",
        &locket_testkit::jwt::unsigned(&serde_json::json!({"sub": "other"})),
    );
    rig.fake.end_tokens();
    let error = rig.ask(&provider, &reference).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Auth);
    assert!(error.hint.unwrap().contains("federated credential"));
}

#[tokio::test]
async fn each_refusal_of_a_login_says_what_to_do() {
    let says = async |rig: &Rig, context: &str, hint: &str| {
        let error = rig.get(&rig.at("s")).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Auth);
        assert!(error.context.contains(context), "{context}: {error}");
        assert!(
            error.hint.as_deref().unwrap_or_default().contains(hint),
            "{hint}: {error:?}"
        );
        assert!(!format!("{error:?}").contains("what Entra says"), "{error:?}");
    };
    let rig = Rig::new();
    rig.add("s", "v");
    rig.fake.expire_secrets();
    says(
        &rig,
        "the client secret has expired (AADSTS7000222)",
        "az ad app credential reset",
    )
    .await;
    let rig = Rig::new();
    rig.fixture.write("client-secret-file", "wrong");
    says(&rig, "the client secret is wrong", "not its id").await;
    let rig = Rig::new().set("client-id", "another");
    says(&rig, "has no application another", "azkv.client-id").await;
    let rig = Rig::new().set("tenant-id", "contoso.example");
    says(&rig, "there is no tenant contoso.example", "azkv.tenant-id").await;
    let rig = Rig::new().set("tenant-id", "00000000-0000-4000-8000-000000000000");
    says(&rig, "the vault is in the tenant 11111111-", "azkv.tenant-id").await;
    assert!(
        !rig.asked().iter().any(|path| path.ends_with("token")),
        "nobody is asked in vain"
    );
}

#[tokio::test]
async fn a_refused_login_is_not_repeated_for_every_secret() {
    let rig = Rig::new();
    let references: Vec<_> = (0..10)
        .map(|number| rig.add(&format!("s{number}"), "v"))
        .collect();
    rig.fake.revoke_application();
    let provider = rig.provider();
    for reference in &references {
        assert_eq!(
            rig.ask(&provider, reference).await.unwrap_err().kind,
            ErrorKind::Auth
        );
    }
    assert_eq!(
        rig.asked().iter().filter(|path| path.ends_with("/token")).count(),
        1
    );
}

#[tokio::test]
async fn a_machine_has_an_identity_or_is_told_how_to_get_one() {
    let rig = Rig::without_login();
    let reference = rig.add("s", "v");
    let url = rig.server.url();
    let rig = rig.set("imds-endpoint", &url).set("client-id", "one-of-several");
    let provider = rig.provider();
    rig.gives(&provider, &reference, "v").await;
    let asked = rig.server.requests();
    let login = asked
        .iter()
        .find(|request| request.path.starts_with("/metadata"))
        .unwrap();
    assert_eq!(login.param("client_id").as_deref(), Some("one-of-several"));
    rig.fake.remove_identity();
    rig.fake.end_tokens();
    let error = rig.ask(&provider, &reference).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Auth);
    assert!(error.hint.unwrap().contains("az vm identity assign"));
}

#[tokio::test]
async fn a_metadata_service_that_is_not_ready_is_asked_again_later() {
    for (status, kind) in [
        (404, ErrorKind::Unavailable),
        (410, ErrorKind::Unavailable),
        (500, ErrorKind::Unavailable),
        (429, ErrorKind::RateLimited { retry_after: None }),
    ] {
        let rig = Rig::answered_by(move |fake, request| match request.path.starts_with("/metadata") {
            true => Response::status(status),
            false => fake.answer(&request),
        });
        let url = rig.server.url();
        let rig = rig.set("imds-endpoint", &url).set("auth", "managed-identity");
        let error = rig.get(&rig.at("s")).await.unwrap_err();
        assert_eq!(error.kind, kind, "{status}");
        assert_eq!(
            rig.asked().len(),
            2,
            "the engine asks again, and not the provider"
        );
    }
}

#[test]
fn an_agent_of_azure_arc_is_shown_the_file_that_it_names_and_no_other() {
    use super::super::identity::tests::arc;
    use crate::http::Authority;
    let rig = Rig::without_login();
    let endpoint = format!("{}/arc/token", rig.server.url());
    let keys = rig.fixture.path("tokens");
    std::fs::create_dir(&keys).unwrap();
    std::fs::write(keys.join("1.key"), "proof").unwrap();
    std::fs::write(rig.fixture.path("other.key"), "proof").unwrap();
    let cx = rig.fixture.fetch_cx();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    rig.fixture.build(|build| {
        let authority = arc(build, &endpoint, &keys);
        rig.fake.arc_key(keys.join("1.key"));
        assert!(runtime.block_on(authority.login(&cx)).is_ok());
        rig.fake.arc_key(rig.fixture.path("other.key"));
        let error = runtime.block_on(authority.login(&cx)).unwrap_err();
        assert!(
            error.context.contains("no key file in its own directory"),
            "{error}"
        );
    });
}

#[tokio::test]
async fn whoever_is_logged_in_with_the_azure_cli_needs_nothing_else() {
    let rig = Rig::without_login();
    let reference = rig.add("s", "v");
    let resource = format!("https://vault.localhost:{}", rig.server.address().port());
    let write = |script: &str| {
        let path = rig.fixture.write("az", script);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    let answer = |token: &str, ends: u64| {
        format!(
            "#!/bin/sh\necho \"$@\" >>\"$LOG\"\necho '{{\"accessToken\": \"{token}\", \"expires_on\": {ends}, \"expiresOn\": \"2030-01-02 04:04:05.000000\", \"tokenType\": \"Bearer\"}}'\n"
        )
    };
    let hour = locket_testkit::clock::EPOCH.as_secs() + 3600;
    write(&answer(&rig.fake.token(&resource), hour));
    std::fs::create_dir(rig.fixture.path("azure")).unwrap();
    rig.fixture.write("azure/azureProfile.json", "{}");
    let text = |name: &str| rig.fixture.path(name).to_str().unwrap().to_owned();
    let (log, config, ca) = (text("log"), text("azure"), text(""));
    let path = format!("{ca}:/usr/bin:/bin");
    let variables = [
        ("PATH", path.as_str()),
        ("AZURE_CONFIG_DIR", &config),
        ("LOG", &log),
        ("SSL_CERT_FILE", "/dev/null"),
    ];
    let rig = Rig {
        fixture: rig.fixture.environment(variables),
        ..rig
    };
    assert!(rig.fixture.build(|cx| KIND.reach(cx)).runs_programs);
    let provider = rig.provider();
    rig.gives(&provider, &reference, "v").await;
    rig.gives(&provider, &reference, "v").await;
    let calls = || std::fs::read_to_string(&log).unwrap();
    let call = format!(
        "account get-access-token --output json --resource {resource} --tenant {}\n",
        rig.fake.tenant()
    );
    assert_eq!(calls(), call, "one call for both reads");
    rig.pass(41 * MINUTE);
    let write = |script: &str| {
        let path = rig.fixture.write("az", script);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    write(&answer(&rig.fake.token(&resource), hour + 41 * 60));
    rig.gives(&provider, &reference, "v").await;
    assert_eq!(calls(), call.repeat(2), "and another before the hour is over");
    write("#!/bin/sh\necho \"ERROR: canary Please run 'az login' to setup account.\" >&2\nexit 1\n");
    rig.fake.end_tokens();
    let error = rig.ask(&provider, &reference).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Auth);
    assert!(
        error.hint.as_deref().unwrap().contains("az login --tenant"),
        "{error:?}"
    );
    assert!(!format!("{error:?}").contains("canary"));
}

#[tokio::test]
async fn what_the_azure_cli_says_is_final_only_if_logging_in_would_help() {
    let rig = Rig::without_login().set("auth", "cli");
    let reference = rig.add("s", "v");
    // What it does stands in another file, which nobody executes while it is written.
    let case = rig.fixture.path("case");
    let program = rig
        .fixture
        .write("az", &format!("#!/bin/sh\n. {}\n", case.display()));
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", program.parent().unwrap().display());
    let variables = [("PATH", path.as_str()), ("SSL_CERT_FILE", "/dev/null")];
    let rig = Rig {
        fixture: rig.fixture.environment(variables),
        ..rig
    };
    let says = |text: &str| format!("echo \"ERROR: canary {text}\" >&2\nexit 1\n");
    for (script, kind, context, hint) in [
        (
            says("Please run 'az login' to setup account."),
            ErrorKind::Auth,
            "nobody is logged in",
            "az login --tenant",
        ),
        (
            says("AADSTS700082: The refresh token has expired. Please run: az login"),
            ErrorKind::Auth,
            "nobody is logged in",
            "az login --tenant",
        ),
        (
            says("AADSTS7000215: Invalid client secret provided."),
            ErrorKind::Auth,
            "nobody is logged in",
            "az login --tenant",
        ),
        (
            says("AADSTS90033: A transient error has occurred. Please run: az login"),
            ErrorKind::Unavailable,
            "ended with exit status: 1",
            "by hand",
        ),
        (
            says("Failed to resolve 'login.microsoftonline.com'"),
            ErrorKind::Unavailable,
            "ended with exit status: 1",
            "by hand",
        ),
        (
            "kill -9 $$\n".to_owned(),
            ErrorKind::Unavailable,
            "ended with signal: 9",
            "by hand",
        ),
    ] {
        rig.fixture.write("case", &script);
        let error = rig.get(&reference).await.unwrap_err();
        assert_eq!(error.kind, kind, "{script}: {error:?}");
        assert!(error.context.contains(context), "{script}: {error:?}");
        assert!(error.hint.as_deref().unwrap().contains(hint), "{error:?}");
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }
    let resource = format!("https://vault.localhost:{}", rig.server.address().port());
    let token = rig.fake.token(&resource);
    let ends = locket_testkit::clock::EPOCH.as_secs() + 3600;
    rig.fixture.write(
        "case",
        &format!("echo '{{\"accessToken\": \"{token}\", \"expires_on\": {ends}}}'\n"),
    );
    rig.gives(&rig.provider(), &reference, "v").await;
}

#[test]
fn without_a_word_what_is_given_decides() {
    let way = |rig: &Rig| {
        let identity = rig.fixture.build(|cx| {
            super::super::identity::identity(cx, super::super::cloud::Cloud::named(None).unwrap())
        });
        identity.map(|identity| format!("{identity:?}"))
    };
    assert!(way(&Rig::new()).unwrap().contains("Secret("));
    assert!(way(&Rig::without_login()).unwrap().contains("Imds("));
    let app = Rig::without_login().set("identity-endpoint", "http://127.0.0.1:1/msi/token");
    assert!(way(&app).unwrap_err().hint.unwrap().contains("IDENTITY_HEADER"));
    let lacking = Rig::without_login().set("auth", "client-certificate");
    assert!(way(&lacking).unwrap_err().message.contains("certificate-file"));
    let unknown = Rig::without_login().set("auth", "device-code");
    assert!(
        way(&unknown)
            .unwrap_err()
            .hint
            .unwrap()
            .contains("workload-identity")
    );
}
