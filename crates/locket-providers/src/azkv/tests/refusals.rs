//! Each failure has a message of its own with the next step, and none shows a value.

use super::*;

#[tokio::test]
async fn disabled_deleted_denied_and_missing_secrets_are_told_apart() {
    let rig = Rig::new();
    for name in ["off", "gone", "hidden"] {
        rig.add(name, "value-canary");
    }
    rig.fake.disable("prod", "off");
    rig.fake.delete("prod", "gone");
    rig.fake.deny("prod", "hidden");
    let provider = rig.provider();
    for (name, kind, context, hint) in [
        (
            "off",
            ErrorKind::Denied,
            "is disabled",
            "set-attributes --enabled true",
        ),
        (
            "gone",
            ErrorKind::NotFound,
            "can be recovered",
            "az keyvault secret recover --vault-name prod --name gone",
        ),
        (
            "hidden",
            ErrorKind::Denied,
            "may not be read",
            "Key Vault Secrets User",
        ),
    ] {
        let error = rig.ask(&provider, &rig.at(name)).await.unwrap_err();
        assert_eq!(error.kind, kind, "{name}: {error}");
        assert!(error.context.contains(context), "{error}");
        assert!(error.hint.as_deref().unwrap().contains(hint), "{error:?}");
        assert!(!format!("{error:?}").contains("canary"));
    }
    let error = rig.ask(&provider, &rig.at("nowhere")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert!(error.context.contains("has no secret `nowhere`"), "{error}");
}

#[tokio::test]
async fn a_firewall_of_the_vault_is_named() {
    let rig = Rig::answered_by(|fake, request| match request.bearer() {
        Some(_) => Response::json(
            403,
            &serde_json::json!({"error": {"code": "Forbidden", "message": "canary",
                "innererror": {"code": "ForbiddenByFirewall"}}}),
        ),
        None => fake.answer(&request),
    });
    let rig = rig.with_secret();
    let error = rig.get(&rig.at("s")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Denied);
    assert!(
        error.context.contains("firewall") && error.hint.unwrap().contains("Networking"),
        "{}",
        error.context
    );
}

#[tokio::test]
async fn no_token_is_sent_to_a_vault_that_asks_for_another_service() {
    for foreign in [
        "https://management.azure.com",
        "https://localhost.evil.example",
        "http://vault.localhost",
        "https://ault.localhost",
        "nonsense",
    ] {
        let rig = Rig::new();
        let reference = rig.add("s", "v");
        rig.fake.ask_for(foreign);
        let error = rig.get(&reference).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Denied, "{foreign}: {error}");
        assert!(error.hint.unwrap().contains("No token is sent there"));
        assert_eq!(
            rig.asked(),
            ["/secrets/s"],
            "{foreign}: neither a login nor a second request"
        );
    }
}

#[tokio::test]
async fn a_vault_that_does_not_exist_has_no_address_and_the_message_says_so() {
    let rig = Rig::new();
    let error = rig.get("azkv://no-such-vault.vault.invalid/s").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.context.contains("has no address"), "{error}");
    assert!(error.hint.unwrap().contains("no vault of this name"));
}

#[tokio::test]
async fn throttling_says_how_long_to_wait_and_what_is_no_vault_says_that() {
    let rig = Rig::answered_by(|fake, request| match request.bearer() {
        Some(_) => Response::json(
            429,
            &serde_json::json!({"error": {"code": "Throttled", "message": "canary"}}),
        )
        .with_header("retry-after", "9"),
        None => fake.answer(&request),
    });
    let rig = rig.with_secret();
    let error = rig.get(&rig.at("s")).await.unwrap_err();
    let retry_after = Some(Duration::from_secs(9));
    assert_eq!(error.kind, ErrorKind::RateLimited { retry_after });
    assert!(!format!("{error:?}").contains("canary"));
    for answer in [
        Response::text(200, "canary"),
        Response::text(401, "canary"),
        Response::text(403, "canary"),
    ] {
        let rig = Rig::answered_by(move |_, _| answer.clone()).with_secret();
        let error = rig.get(&rig.at("s")).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
        assert!(!format!("{error:?}").contains("canary"));
    }
}
