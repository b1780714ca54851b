//! What can be named, and what is asked for it.

use super::*;

#[tokio::test]
async fn a_vault_is_asked_how_to_log_in_once_and_a_token_serves_all_reads() {
    let rig = Rig::new();
    let references: Vec<_> = (0..20)
        .map(|number| rig.add(&format!("s{number}"), &format!("v{number}")))
        .collect();
    let provider = rig.provider();
    let read = references.iter().map(|reference| rig.ask(&provider, reference));
    for (number, fetched) in join_all(read).await.into_iter().enumerate() {
        assert!(fetched.unwrap().value.matches(format!("v{number}").as_bytes()));
    }
    let asked = rig.asked();
    assert_eq!(
        asked.len(),
        22,
        "one challenge, one token, twenty reads: {asked:?}"
    );
    assert_eq!(asked.iter().filter(|path| path.ends_with("/token")).count(), 1);
    rig.gives(&provider, &references[0], "v0").await;
    assert_eq!(rig.asked(), ["/secrets/s0"]);
}

#[tokio::test]
async fn versions_are_chosen_and_told() {
    let rig = Rig::new();
    let first = rig.fake.set("prod", "rotating", "one");
    let second = rig.fake.set("prod", "rotating", "two \"quoted\" \\ ä\n");
    let provider = rig.provider();
    rig.gives(&provider, &rig.at("rotating"), "two \"quoted\" \\ ä\n")
        .await;
    rig.gives(&provider, &rig.at(&format!("rotating/{first}")), "one")
        .await;
    let fetched = rig.get(&rig.at("rotating")).await.unwrap();
    assert_eq!(fetched.version.unwrap().0, second);
    let error = rig.get(&rig.at("rotating/0123")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert!(error.context.contains("no version `0123`"), "{error}");
    assert_eq!(
        locator("azkv://Prod/Secret").item(),
        locator("azkv://prod/secret").item(),
        "case means nothing"
    );
}

#[tokio::test]
async fn a_name_alone_is_in_the_vault_of_the_settings() {
    let rig = Rig::new();
    rig.add("s", "v");
    let error = rig.get("azkv://s").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(error.hint.unwrap().contains("azkv.vault"));
    let host = format!("https://prod.vault.localhost:{}/", rig.server.address().port());
    let rig = rig.set("vault", &host);
    rig.gives(&rig.provider(), "azkv://s", "v").await;
}

#[tokio::test]
async fn all_secrets_of_a_vault_come_page_by_page_without_those_that_are_disabled() {
    let rig = Rig::new();
    for number in 0..53 {
        rig.add(&format!("s{number}"), &format!("v{number}"));
    }
    rig.fake.disable("prod", "s7");
    rig.fake.delete("prod", "s8");
    let fetched = rig.get(&rig.at("*")).await.unwrap();
    let members = fetched.members.unwrap();
    assert_eq!(members.names().count(), 51);
    for number in [0, 9, 52] {
        let member = members.get(&format!("s{number}")).unwrap();
        assert!(member.value.matches(format!("v{number}").as_bytes()));
    }
    let asked = rig.asked();
    assert_eq!(asked.iter().filter(|path| *path == "/secrets").count(), 1 + 3);
    assert_eq!(
        asked.len(),
        1 + 1 + 3 + 51,
        "challenge, token, three pages, and each secret"
    );
}

#[tokio::test]
async fn a_secret_that_is_deleted_between_the_list_and_its_read_is_no_member_and_spoils_no_other() {
    let rig = Rig::answered_by(|fake, request| {
        let answer = fake.answer(&request);
        if request.path == "/secrets" && request.bearer().is_some() {
            fake.delete("prod", "s3");
        }
        answer
    });
    let rig = rig.with_secret();
    for number in 0..20 {
        rig.add(&format!("s{number}"), &format!("v{number}"));
    }
    let provider = rig.provider();
    let fetched = rig.ask(&provider, &rig.at("*")).await.unwrap();
    let members = fetched.members.unwrap();
    let left: Vec<_> = (0..20).filter(|number| *number != 3).collect();
    let names: Vec<_> = left.iter().map(|number| format!("s{number}")).collect();
    assert_eq!(members.names().collect::<Vec<_>>(), names, "in the list's order");
    for number in left {
        let member = members.get(&format!("s{number}")).unwrap();
        assert!(member.value.matches(format!("v{number}").as_bytes()));
    }
    let asked = rig.asked();
    assert!(asked.iter().any(|path| path == "/secrets/s3"), "it was listed");
    assert!(
        !asked.iter().any(|path| path.contains("deletedsecrets")),
        "nobody wants to know why"
    );
    rig.fake.deny("prod", "s4");
    let error = rig.ask(&provider, &rig.at("*")).await.unwrap_err();
    assert_eq!(
        error.kind,
        ErrorKind::Denied,
        "what may not be read is not left out"
    );
}

#[tokio::test]
async fn a_vault_that_has_no_list_is_no_empty_vault() {
    let rig = Rig::answered_by(|fake, request| match &*request.path {
        "/secrets" if request.bearer().is_some() => Response::json(
            404,
            &serde_json::json!({"error": {"code": "NotFound", "message": "canary"}}),
        ),
        _ => fake.answer(&request),
    });
    let rig = rig.with_secret();
    let error = rig.get(&rig.at("*")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
}

#[tokio::test]
async fn a_slow_secret_of_a_vault_does_not_keep_the_next_ones_waiting() {
    let mut rig = Rig::new();
    for number in 0..20 {
        rig.add(&format!("s{number}"), &format!("v{number}"));
    }
    let (fake, both) = (rig.fake.clone(), Arc::new(Barrier::new(2)));
    let is_paired = Arc::new(AtomicBool::new(true));
    let pairs = is_paired.clone();
    rig.server = Server::builder()
        .tls(&rig.ca)
        .start_async(move |request: Request| {
            let (fake, both, pairs) = (fake.clone(), both.clone(), pairs.clone());
            async move {
                // The last one of eight and the ninth are answered when both were asked for.
                if ["/secrets/s7", "/secrets/s8"].contains(&&*request.path) && pairs.load(Ordering::SeqCst) {
                    both.wait().await;
                }
                fake.answer(&request)
            }
        });
    let authority = format!("https://localhost:{}", rig.server.address().port());
    let rig = rig.set("authority-host", &authority);
    let members = rig.get(&rig.at("*")).await.unwrap().members.unwrap();
    let names: Vec<_> = (0..20).map(|number| format!("s{number}")).collect();
    assert_eq!(members.names().collect::<Vec<_>>(), names, "in the list's order");
    assert!(members.get("s7").unwrap().value.matches(b"v7"));
    let peak = rig.server.peak_concurrency();
    assert!((2..=8).contains(&peak), "{peak} at once");
    rig.server.forget();
    is_paired.store(false, Ordering::SeqCst);
    let rig = rig.set("max-concurrent", "1");
    rig.fake.delete("prod", "s7");
    rig.get(&rig.at("*")).await.unwrap();
    assert_eq!(rig.server.peak_concurrency(), 1, "no more than the setting says");
}

#[tokio::test]
async fn a_list_that_goes_on_elsewhere_is_not_followed_there() {
    let elsewhere = Server::start(|_| Response::status(500));
    let url = elsewhere.url();
    let rig = Rig::answered_by(move |fake, request| match &*request.path {
        "/secrets" if request.bearer().is_some() => Response::json(
            200,
            &serde_json::json!({"value": [], "nextLink": format!("{url}/secrets")}),
        ),
        _ => fake.answer(&request),
    });
    let rig = rig.with_secret();
    let error = rig.get(&rig.at("*")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert_eq!(elsewhere.request_count(), 0);
}

#[test]
fn what_can_never_name_a_secret_is_refused_with_the_form() {
    for (text, says) in [
        ("azkv://prod/db_password", "letters, digits and `-`"),
        ("azkv://prod/a/b/c", "more than"),
        ("azkv://prod//", "cannot name"),
        ("azkv://pr_od/secret", "neither"),
        ("azkv://prod:443/secret", "neither"),
        ("azkv://prod/secret?version=1", "no option"),
        ("azkv://prod/secret/v_1", "version"),
    ] {
        let wrong = (KIND.parse)(&reference(text)).expect_err(text);
        assert!(
            wrong.iter().any(|wrong| wrong.message.contains(says)),
            "{text}: {wrong:?}"
        );
    }
    let every = KIND.parse_every.unwrap();
    for text in ["azkv://prod/secret/", "azkv://prod"] {
        assert!(every(&reference(text)).is_err(), "{text}");
    }
}

#[test]
fn clouds_apart_have_vaults_and_logins_of_their_own() {
    use super::super::cloud::Cloud;
    let suffix = |name| Cloud::named(name).unwrap().suffix;
    assert_eq!(suffix(None), "vault.azure.net");
    assert_eq!(suffix(Some("AzureChinaCloud")), "vault.azure.cn");
    assert_eq!(suffix(Some("usgov")), "vault.usgovcloudapi.net");
    assert!(Cloud::named(Some("germany")).is_err());
}
