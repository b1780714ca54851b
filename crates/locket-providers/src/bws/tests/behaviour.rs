//! What a reference gives.

use locket_testkit::canary::Canary;

use super::*;

#[tokio::test]
async fn values_come_byte_for_byte() {
    let rig = Rig::new();
    let awkward = Canary::awkward("value");
    let id = rig.add("key", awkward.as_str());
    rig.add("empty", "");
    rig.gives(&id, awkward.bytes()).await;
    rig.gives("bws://prod/key", awkward.bytes()).await;
    rig.gives("bws://prod/empty", b"").await;
}

#[tokio::test]
async fn names_with_slashes_quotes_and_other_signs_are_found() {
    let rig = Rig::new();
    let names = [
        "a/b",
        "say \"hi\"",
        "100%",
        "über straße",
        "a+b & c=d",
        "?x#y",
        "*",
        " both ends ",
    ];
    for name in names {
        rig.add(name, name);
        let encoded: String = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
        rig.gives(&format!("bws://prod/{encoded}"), name.as_bytes()).await;
    }
    rig.add("Case", "upper");
    assert_eq!(rig.failure("bws://prod/case").await.kind, ErrorKind::NotFound);
}

#[tokio::test]
async fn the_version_is_the_revision_and_moves_with_it() {
    let rig = Rig::new();
    let id = rig.add("key", "one");
    let first = rig.get(&id).await.unwrap().version.unwrap();
    assert_eq!(rig.get(&id).await.unwrap().version.unwrap(), first);
    rig.fake.set_value(&id, "two");
    rig.gives(&id, b"two").await;
    assert_ne!(rig.get(&id).await.unwrap().version.unwrap(), first);
}

#[tokio::test]
async fn two_secrets_of_one_key_are_refused_with_their_ids() {
    let rig = Rig::new();
    let ids = [rig.add("db", "1"), rig.add("db", "2")];
    let error = rig.failure("bws://prod/db").await;
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(ids.iter().all(|id| error.context.contains(id)), "{error}");
    rig.gives(&ids[1], b"2").await;
    rig.fake.remove_secret(&ids[0]);
    rig.gives("bws://prod/db", b"2").await;
}

#[tokio::test]
async fn two_projects_of_one_name_are_refused_with_their_ids() {
    let rig = Rig::new();
    let twin = rig.fake.add_project("prod");
    rig.fake.grant(&rig.token, &[&rig.project, &twin]);
    rig.add("db", "1");
    rig.fake.add_secret(&twin, "db", "2");
    let error = rig.failure("bws://prod/db").await;
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(
        error.context.contains(&twin) && error.context.contains(&rig.project),
        "{error}"
    );
    rig.gives(&format!("bws://{twin}/db"), b"2").await;
}

#[tokio::test]
async fn what_does_not_exist_is_not_found_with_the_nearest_name() {
    let rig = Rig::new();
    rig.add("database", "v");
    let error = rig.failure("bws://prod/databse").await;
    assert_eq!(
        (error.kind, error.hint.as_deref()),
        (ErrorKind::NotFound, Some("Did you mean `database`?"))
    );
    let error = rig.failure("bws://00000000-0000-4000-8000-000000000000").await;
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert!(error.context.contains("does not say which"), "{error}");
}

#[tokio::test]
async fn what_the_account_may_not_read_is_denied_and_never_taken_for_missing() {
    let rig = Rig::new();
    let hidden = rig.fake.add_project("hidden");
    rig.fake.add_secret(&hidden, "db", "v");
    for reference in [
        "bws://hidden/db".to_owned(),
        format!("bws://{hidden}/db"),
        "bws://hidden/*".into(),
    ] {
        assert_eq!(
            rig.failure(&reference).await.kind,
            ErrorKind::Denied,
            "{reference}"
        );
    }
    let error = rig.failure("bws://prd/db").await;
    assert_eq!(
        (error.kind, error.hint.as_deref()),
        (ErrorKind::Denied, Some("Did you mean `prod`?"))
    );
}

#[tokio::test]
async fn an_access_that_was_taken_away_is_told_from_a_secret_that_was_deleted() {
    let rig = Rig::new();
    let other = rig.fake.add_project("other");
    rig.fake.grant(&rig.token, &[&rig.project, &other]);
    let (kept, id) = (rig.fake.add_secret(&other, "kept", "k"), rig.add("db", "v"));
    rig.get_all(&[&id, &kept, "bws://prod/db"]).await;

    rig.fake.grant(&rig.token, &[&other]);
    let results = rig.get_all(&[&id, &kept, "bws://prod/db"]).await;
    let denied = results[0].as_ref().unwrap_err();
    assert_eq!(denied.kind, ErrorKind::Denied);
    assert!(denied.context.contains("has lost the access"), "{denied}");
    assert!(results[1].is_ok(), "what may still be read is");
    assert_eq!(results[2].as_ref().unwrap_err().kind, ErrorKind::Denied);

    rig.fake.grant(&rig.token, &[]);
    let error = rig.failure(&id).await;
    assert_eq!(error.kind, ErrorKind::Denied);
    assert!(error.context.contains("no project"), "{error}");

    rig.fake.grant(&rig.token, &[&rig.project]);
    rig.gives(&id, b"v").await;
    rig.fake.remove_secret(&id);
    let error = rig.failure(&id).await;
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert!(error.context.contains("was deleted"), "{error}");
}

#[tokio::test]
async fn one_bad_reference_fails_alone() {
    let rig = Rig::new();
    let id = rig.add("db", "v");
    let results = rig
        .get_all(&[
            "bws://prod/nope",
            "bws://prod/db",
            "bws://nope/db",
            "bws://00000000-0000-4000-8000-000000000000",
            &id,
        ])
        .await;
    let kinds: Vec<_> = results
        .iter()
        .map(|result| result.as_ref().err().map(|error| error.kind))
        .collect();
    let (missing, denied) = (Some(ErrorKind::NotFound), Some(ErrorKind::Denied));
    assert_eq!(kinds, [missing, None, denied, missing, None]);
}

#[tokio::test]
async fn a_secret_that_was_changed_on_its_way_is_refused_alone() {
    let rig = Rig::new();
    let (good, bad) = (rig.add("good", "g"), rig.add("bad", "b"));
    rig.fake.break_secret(&bad);
    let results = rig.get_all(&[&good, &bad]).await;
    assert!(results[0].as_ref().unwrap().value.matches(b"g"));
    let error = results[1].as_ref().unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(
        error.context.contains(&bad) && error.context.contains("does not open"),
        "{error}"
    );
}
