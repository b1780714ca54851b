//! What a reference gives.

use locket_testkit::canary::Canary;

use super::*;

#[tokio::test]
async fn values_come_byte_for_byte_alone_and_in_a_list() {
    for generations in [Generations::Third, Generations::Fourth] {
        let rig = Rig::new();
        rig.fake.speak(generations);
        let awkward = Canary::awkward("value");
        rig.put("AWKWARD", awkward.as_str());
        rig.put("EMPTY", "");
        rig.gives("infisical:///AWKWARD", awkward.bytes()).await;
        rig.gives("infisical:///EMPTY", b"").await;
        let results = rig.get_all(&["infisical:///AWKWARD", "infisical:///EMPTY"]).await;
        assert!(results[0].as_ref().unwrap().value.matches(awkward.bytes()));
        assert!(results[1].as_ref().unwrap().value.is_empty());
    }
}

#[tokio::test]
async fn options_beat_the_settings() {
    let rig = Rig::new();
    for (place, value) in [
        (ROOT, "root"),
        (("p1", "prod", "/app/db"), "folder"),
        (("p1", "dev", "/"), "dev"),
        (("p2", "prod", "/"), "other project"),
    ] {
        rig.fake.put(place, Secret::new("K", value));
        rig.fake.grant(rig.identity, place.0, place.1, Some(Role::Read));
    }
    for (reference, value) in [
        ("infisical:///K", "root"),
        ("infisical:///K?path=/app/db", "folder"),
        ("infisical:///K?path=app/db/", "folder"),
        ("infisical:///K?env=dev", "dev"),
        ("infisical:///K?project_id=p2", "other project"),
    ] {
        rig.gives(reference, value.as_bytes()).await;
    }
    let bare = Fixture::new()
        .set("url", &rig.server.url())
        .set_credential("token-file", "a.b.c");
    let provider = bare.build(KIND.build).unwrap();
    rig.asked();
    for (reference, said) in [
        ("infisical:///K", "project_id"),
        ("infisical:///K?project_id=p1", "env"),
        ("infisical:///K?env=prod", "project_id"),
    ] {
        let batch = [locator(reference)];
        let error = provider
            .fetch(&batch, &bare.fetch_cx())
            .await
            .remove(0)
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid);
        assert!(error.hint.unwrap().contains(said), "{reference}");
    }
    assert_eq!(rig.asked().len(), 0, "nobody is asked for what cannot be");
}

#[tokio::test]
async fn a_default_path_and_type_stand_in_for_what_references_leave_out() {
    let rig = Rig::over(
        universal(),
        &[
            ("client-id", "client"),
            ("default-path", "app"),
            ("default-secret-type", "personal"),
        ],
        &[("client-secret-file", "secret")],
        |fake, request| fake.answer(&request),
    );
    rig.fake.put(("p1", "prod", "/app"), Secret::new("K", "shared"));
    rig.fake
        .put(("p1", "prod", "/app"), Secret::new("K", "mine").personal());
    rig.gives("infisical:///K", b"mine").await;
    rig.gives("infisical:///K?type=shared", b"shared").await;
    let members = rig.get("infisical:///*").await.unwrap().members.unwrap();
    assert!(
        members.get("K").unwrap().value.matches(b"shared"),
        "a wildcard is of shared secrets"
    );
}

#[tokio::test]
async fn a_personal_secret_is_never_taken_for_a_shared_one_nor_the_reverse() {
    let rig = Rig::new();
    rig.put("BOTH", "shared");
    rig.put("SHARED", "shared");
    rig.fake.put(ROOT, Secret::new("BOTH", "mine").personal());
    rig.gives("infisical:///BOTH?type=personal", b"mine").await;
    rig.gives("infisical:///BOTH", b"shared").await;
    let results = rig.get_all(&["infisical:///BOTH", "infisical:///SHARED"]).await;
    assert!(
        results[0].as_ref().unwrap().value.matches(b"shared"),
        "in a list as well"
    );
    let error = rig.failure("infisical:///SHARED?type=personal").await;
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert!(error.hint.unwrap().contains("type=personal"));
}

#[tokio::test]
async fn imports_count_less_than_the_folder_and_the_last_one_most() {
    let rig = Rig::new();
    let (one, two) = (("p1", "prod", "/one"), ("p1", "prod", "/two"));
    for (place, keys) in [
        (one, &["ONE", "BOTH", "ALL"][..]),
        (two, &["TWO", "BOTH", "ALL"]),
        (ROOT, &["ALL"]),
    ] {
        for key in keys {
            rig.fake.put(place, Secret::new(key, place.2));
        }
        rig.fake.import(ROOT, if place == ROOT { two } else { place });
    }
    let expected = [("ONE", "/one"), ("TWO", "/two"), ("BOTH", "/two"), ("ALL", "/")];
    let references = expected.map(|(key, _)| format!("infisical:///{key}"));
    let listed = rig.get_all(&references.each_ref().map(String::as_str)).await;
    for ((key, value), listed) in expected.iter().zip(listed) {
        rig.gives(&format!("infisical:///{key}"), value.as_bytes()).await;
        assert!(
            listed.unwrap().value.matches(value.as_bytes()),
            "{key} of the list"
        );
    }
}

#[tokio::test]
async fn the_version_moves_with_the_value() {
    let rig = Rig::new();
    rig.put("K", "one");
    rig.put("L", "x");
    let version = async |references: &[&str]| {
        let fetched = rig.get_all(references).await.remove(0).unwrap();
        fetched.version.unwrap().0
    };
    assert_eq!(version(&["infisical:///K"]).await, "1");
    rig.put("K", "two");
    assert_eq!(version(&["infisical:///K"]).await, "2");
    assert_eq!(version(&["infisical:///K", "infisical:///L"]).await, "2");
}

#[tokio::test]
async fn what_does_not_exist_is_not_found_with_the_nearest_name() {
    let rig = Rig::new();
    rig.put("DATABASE", "v");
    rig.put("OTHER", "v");
    let alone = rig.failure("infisical:///DATABSE").await;
    let listed = rig
        .get_all(&["infisical:///DATABSE", "infisical:///OTHER"])
        .await
        .remove(0)
        .unwrap_err();
    for error in [alone, listed] {
        assert_eq!(
            (error.kind, error.hint.as_deref()),
            (ErrorKind::NotFound, Some("Did you mean `DATABASE`?"))
        );
        assert!(
            error.context.contains("`DATABSE`") && error.context.contains("`prod`"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_place_that_does_not_exist_is_a_mistake_and_never_a_missing_secret() {
    let rig = Rig::new();
    rig.put("K", "v");
    for place in ["path=/none", "env=none", "project_id=none"] {
        for references in [
            vec![format!("infisical:///K?{place}")],
            vec![
                format!("infisical:///K?{place}"),
                format!("infisical:///L?{place}"),
            ],
            vec![format!("infisical:///*?{place}")],
        ] {
            let references: Vec<_> = references.iter().map(String::as_str).collect();
            let error = rig.get_all(&references).await.remove(0).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Invalid, "{references:?}: {error}");
            assert!(error.context.contains("no such place"), "{error}");
        }
    }
}

#[tokio::test]
async fn what_the_identity_may_not_read_is_denied_and_never_taken_for_missing() {
    let rig = Rig::new();
    rig.fake.put(("p1", "dev", "/"), Secret::new("K", "v"));
    for reference in [
        "infisical:///K?env=dev",
        "infisical:///NONE?env=dev",
        "infisical:///*?env=dev",
    ] {
        let error = rig.failure(reference).await;
        assert_eq!(error.kind, ErrorKind::Denied, "{reference}");
        assert!(error.hint.unwrap().contains("Read Value"), "{reference}");
    }
    rig.put("K", "v");
    rig.gives("infisical:///K", b"v").await;
    rig.fake.grant(rig.identity, "p1", "prod", None);
    assert_eq!(
        rig.failure("infisical:///K").await.kind,
        ErrorKind::Denied,
        "taken away"
    );
}

#[tokio::test]
async fn the_word_that_stands_for_a_hidden_value_is_never_given_out() {
    let rig = Rig::new();
    rig.put("OPEN", "v");
    rig.fake.put(ROOT, Secret::new("SHUT", "v").hidden());
    let results = rig.get_all(&["infisical:///OPEN", "infisical:///SHUT"]).await;
    assert!(results[0].is_ok());
    for error in [
        results[1].as_ref().unwrap_err().clone(),
        rig.failure("infisical:///SHUT").await,
    ] {
        assert_eq!(error.kind, ErrorKind::Denied);
        assert!(error.hint.unwrap().contains("Read Value"));
    }
    assert_eq!(rig.failure("infisical:///*").await.kind, ErrorKind::Denied);
    rig.fake.grant(rig.identity, "p1", "prod", Some(Role::Describe));
    assert_eq!(rig.failure("infisical:///OPEN").await.kind, ErrorKind::Denied);
}

#[tokio::test]
async fn a_role_for_single_secrets_reads_several_one_by_one() {
    let rig = Rig::new();
    rig.fake.grant(rig.identity, "p1", "prod", Some(Role::ReadSingle));
    rig.put("A", "1");
    rig.put("B", "2");
    let results = rig
        .get_all(&[
            "infisical:///A",
            "infisical:///B",
            "infisical:///NONE",
            "infisical:///*",
        ])
        .await;
    assert!(results[0].as_ref().unwrap().value.matches(b"1"));
    assert!(results[1].as_ref().unwrap().value.matches(b"2"));
    let missing = results[2].as_ref().unwrap_err();
    assert_eq!(missing.kind, ErrorKind::NotFound);
    assert!(missing.context.contains("or is not there itself"), "{missing}");
    assert_eq!(results[3].as_ref().unwrap_err().kind, ErrorKind::Denied);
}

#[tokio::test]
async fn what_a_list_leaves_out_since_it_may_not_be_read_is_denied_and_never_taken_for_missing() {
    let rig = Rig::new();
    rig.fake
        .grant(rig.identity, "p1", "prod", Some(Role::ReadNamed("APP_")));
    for key in ["APP_KEY", "APP_URL", "ROOT_KEY"] {
        rig.put(key, key);
    }
    let references = ["infisical:///APP_KEY", "infisical:///APP_URL"];
    assert!(rig.get_all(&references).await.iter().all(Result::is_ok));
    assert_eq!(
        rig.asked(),
        [LOGIN, LIST],
        "nothing is left out, nothing is asked again"
    );
    let results = rig
        .get_all(&[
            "infisical:///APP_KEY",
            "infisical:///ROOT_KEY",
            "infisical:///APP_URL",
            "infisical:///APP_KYE",
            "infisical:///*",
        ])
        .await;
    assert!(results[0].as_ref().unwrap().value.matches(b"APP_KEY"));
    assert!(results[2].as_ref().unwrap().value.matches(b"APP_URL"));
    for denied in [
        results[1].as_ref().unwrap_err().clone(),
        rig.failure("infisical:///ROOT_KEY").await,
    ] {
        assert_eq!(denied.kind, ErrorKind::Denied);
        assert!(denied.hint.unwrap().contains("Read Value"));
    }
    let missing = results[3].as_ref().unwrap_err();
    assert_eq!(missing.kind, ErrorKind::NotFound);
    assert_eq!(missing.hint.as_deref(), Some("Did you mean `APP_KEY`?"));
    let members = results[4].as_ref().unwrap().members.as_ref().unwrap();
    assert_eq!(members.names().collect::<Vec<_>>(), ["APP_KEY", "APP_URL"]);
    let mut asked = rig.asked();
    asked.sort();
    assert_eq!(
        asked,
        [
            LIST,
            "/api/v4/secrets/APP_KYE",
            "/api/v4/secrets/ROOT_KEY",
            "/api/v4/secrets/ROOT_KEY",
        ],
        "one for each that the list lacks, and one for the one that was asked for alone"
    );
}

#[tokio::test]
async fn what_a_list_leaves_out_and_its_own_request_gives_is_given() {
    let rig = Rig::with(|fake, request| match request.path == LIST {
        true => Response::json(200, &serde_json::json!({"secrets": [], "imports": []})),
        false => fake.answer(&request),
    });
    rig.put("A", "1");
    rig.put("B", "2");
    let results = rig.get_all(&["infisical:///A", "infisical:///B"]).await;
    assert!(results[0].as_ref().unwrap().value.matches(b"1"));
    assert!(results[1].as_ref().unwrap().value.matches(b"2"));
}

#[tokio::test]
async fn an_older_server_that_calls_a_missing_secret_a_bad_request_is_understood() {
    let rig = Rig::with(|fake, request| {
        let answer = fake.answer(&request);
        match answer.status.as_u16() {
            404 if request.path.ends_with("/K") => Response::json(
                400,
                &serde_json::json!({"statusCode": 400, "message": "Secret not found", "error": "Bad Request"}),
            ),
            _ => answer,
        }
    });
    rig.fake.speak(Generations::Fourth);
    assert_eq!(rig.failure("infisical:///K").await.kind, ErrorKind::NotFound);
    assert_eq!(
        rig.failure("infisical:///K?path=/none").await.kind,
        ErrorKind::Invalid
    );
}
