//! What can be named, and what is asked for it.

use super::*;

const SECRET: &str = "ocid1.vaultsecret.oc1.iad.aaaaaaaasecret1";

#[tokio::test]
async fn a_secret_is_read_by_its_ocid_bare_or_not_byte_for_byte() {
    let rig = Rig::new();
    let content = b"\0\xff not text \r\n\n";
    let id = rig.add("binary", content);
    let provider = rig.provider();
    for text in [format!("oci://{id}"), id.clone(), format!("{id}?stage=current")] {
        rig.gives(&provider, &text, content).await;
        assert_eq!(locator(&text), locator(&id), "{text} is the same read");
    }
    let asked = format!("/20190301/secretbundles/{id}?stage=CURRENT");
    assert_eq!(rig.asked(), [asked.as_str(); 3]);
}

#[tokio::test]
async fn a_secret_is_read_by_its_name_in_a_vault() {
    let rig = Rig::new();
    rig.add("db_password", b"named");
    let vault = rig.vault.clone();
    rig.gives(&rig.provider(), &format!("oci://{vault}/db_password"), b"named")
        .await;
    let asked = format!(
        "/20190301/secretbundles/actions/getByName?secretName=db_password&vaultId={vault}&stage=CURRENT"
    );
    assert_eq!(rig.asked(), [asked]);
    let error = rig.get("oci://db_password").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(error.hint.unwrap().contains("oci.vault"));
    let rig = rig.set("vault", &vault);
    rig.gives(&rig.provider(), "oci://db_password", b"named").await;
}

#[tokio::test]
async fn stages_and_versions_are_chosen_and_versions_told() {
    let rig = Rig::new();
    let id = rig.add("rotating", b"one");
    rig.fake.rotate_named(&id, b"two", "blue");
    rig.fake.rotate(&id, b"three");
    rig.fake.add_pending(&id, b"four");
    let provider = rig.provider();
    for (choice, value) in [
        ("", "three"),
        ("?stage=CURRENT", "three"),
        ("?stage=PREVIOUS", "two"),
        ("?stage=LATEST", "four"),
        ("?stage=PENDING", "four"),
        ("?stage=DEPRECATED", "one"),
        ("?version=1", "one"),
        ("?version=blue", "two"),
        ("?stage=PREVIOUS&version=2", "two"),
    ] {
        rig.gives(&provider, &format!("oci://{id}{choice}"), value.as_bytes())
            .await;
    }
    let fetched = rig.get(&format!("oci://{id}")).await.unwrap();
    assert_eq!(fetched.version.unwrap().0, "3");
    let asked = rig.asked();
    assert!(asked.contains(&format!("/20190301/secretbundles/{id}?versionNumber=1")));
    assert!(asked.contains(&format!("/20190301/secretbundles/{id}?secretVersionName=blue")));
}

#[tokio::test]
async fn a_version_that_does_not_exist_is_missing_and_a_secret_out_of_sight_denied() {
    let rig = Rig::new();
    let id = rig.add("secret", b"value");
    rig.fake.rotate(&id, b"newer");
    rig.fake.end_version(&id, 1);
    let provider = rig.provider();
    for choice in ["?version=9", "?version=green", "?version=1", "?stage=PENDING"] {
        let error = rig
            .ask(&provider, &format!("oci://{id}{choice}"))
            .await
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotFound, "{choice}: {error}");
        assert!(error.hint.unwrap().contains("versions"));
    }
    rig.fake.deny(&id);
    for choice in ["", "?version=9"] {
        let error = rig
            .ask(&provider, &format!("oci://{id}{choice}"))
            .await
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::Denied, "{choice}: {error}");
    }
}

#[tokio::test]
async fn one_secret_in_a_batch_is_one_request() {
    let rig = Rig::new();
    let (one, other) = (rig.add("one", b"1"), rig.add("other", b"2"));
    let batch = [&one, &one, &one, &other].map(|id| locator(id));
    let answers = rig.provider().fetch(&batch, &rig.fixture.fetch_cx()).await;
    let values: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    assert!(values[..3].iter().all(|fetched| fetched.value.matches(b"1")));
    assert!(values[3].value.matches(b"2"));
    assert_eq!(rig.asked().len(), 2);
}

#[test]
fn what_can_never_name_a_secret_is_refused_with_the_form() {
    let vault = "ocid1.vault.oc1.iad.bbbb.vault1";
    for text in [
        format!("oci://{vault}"),
        format!("oci://{vault}/"),
        format!("oci://{vault}/a/b"),
        "oci://ocid1.tenancy.oc1..aaaa".to_owned(),
        "oci://ocid1.vaultsecret.oc1".to_owned(),
        "oci://notavault/name".to_owned(),
        format!("oci://{SECRET}?stage=CURENT"),
        format!("oci://{SECRET}?version=0"),
        format!("oci://{SECRET}?versoin=1"),
    ] {
        let wrong = parsed(&text).expect_err(&text);
        assert!(wrong[0].help.is_some(), "{text}: {wrong:?}");
    }
    // The identifiers of the seed's map, whose end is left out with dots.
    assert!(parsed("ocid1.vaultsecret.oc1..aaaa...dbpass").is_ok());
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let refused = |name, text| Rig::new().set(name, text).build().unwrap_err();
    assert!(refused("vault", SECRET).message.contains("OCID of a vault"));
    assert!(refused("region", "nowhere").hint.unwrap().contains("full name"));
    assert!(
        refused("auth", "oke_workload_identity")
            .hint
            .unwrap()
            .contains("api-key")
    );
}
