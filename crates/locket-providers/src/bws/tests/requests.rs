//! What is asked, and how often; and what happens when remembered names are no longer right.

use futures_util::future::join_all;

use super::*;

#[tokio::test]
async fn a_hundred_references_over_twenty_secrets_are_one_request_beside_login_and_names() {
    let rig = Rig::new();
    let ids: Vec<_> = (0..20)
        .map(|at| rig.add(&format!("key {at}"), &format!("value {at}")))
        .collect();
    // By id in two spellings, by name in two, and a bare id: five ways to each of twenty secrets.
    let references: Vec<_> = (0..100)
        .map(|at| {
            let (secret, way) = (at % 20, at / 20);
            let (id, project) = (&ids[secret], &rig.project);
            match way {
                0 => format!("bws://{id}"),
                1 => format!("bws://{}", id.to_uppercase()),
                2 => format!("bws://prod/key {secret}"),
                3 => format!("bws://{project}/key {secret}"),
                _ => id.clone(),
            }
        })
        .collect();
    let references: Vec<_> = references.iter().map(String::as_str).collect();
    for (round, due) in [
        // The lists are asked for at once, in either order.
        ("the first round", &[LOGIN, PROJECTS, OF_PROJECT, BY_IDS][..]),
        ("any other round", &[BY_IDS]),
    ] {
        let results = rig.get_all(&references).await;
        for (at, result) in results.iter().enumerate() {
            let value = format!("value {}", at % 20);
            assert!(
                result.as_ref().unwrap().value.matches(value.as_bytes()),
                "{}",
                references[at]
            );
        }
        let mut asked = rig.asked();
        if let Some(lists) = asked.get_mut(1..3) {
            lists.sort();
        }
        assert_eq!(asked, due, "{round}");
    }
}

#[tokio::test]
async fn more_secrets_than_one_request_takes_are_asked_for_in_several() {
    let rig = Rig::new();
    let ids: Vec<_> = (0..260).map(|at| rig.add("k", &at.to_string())).collect();
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    assert!(rig.get_all(&ids).await.iter().all(Result::is_ok));
    assert_eq!(rig.asked(), [LOGIN, BY_IDS, BY_IDS]);
    let capability = rig.provider.capability();
    assert_eq!(
        capability.items_per_call, 250,
        "so that the engine makes no call of more"
    );
}

#[tokio::test]
async fn secrets_that_are_missing_cost_a_fixed_number_of_requests_however_many_they_are() {
    let rig = Rig::new();
    let ids: Vec<_> = (0..10).map(|at| rig.add("k", &at.to_string())).collect();
    let all: Vec<_> = ids.iter().map(String::as_str).collect();
    rig.get_all(&all).await;
    for id in &ids[..4] {
        rig.fake.remove_secret(id);
    }
    rig.asked();
    let results = rig.get_all(&all).await;
    for (at, result) in results.iter().enumerate() {
        match result {
            Err(error) => assert!(at < 4 && error.kind == ErrorKind::NotFound, "{at}: {error}"),
            Ok(fetched) => assert!(fetched.value.matches(at.to_string().as_bytes())),
        }
    }
    assert_eq!(rig.asked(), [BY_IDS, READABLE, BY_IDS, PROJECTS]);
    rig.failure(&ids[0]).await;
    assert_eq!(
        rig.asked(),
        [BY_IDS, PROJECTS],
        "one alone need not be searched for"
    );
    rig.failure("bws://prod/none").await;
    assert_eq!(rig.asked(), [OF_PROJECT], "nor a name");
    rig.failure("bws://none/none").await;
    assert_eq!(rig.asked(), [PROJECTS]);
}

#[tokio::test]
async fn callers_at_once_share_login_and_lists() {
    let rig = Rig::new();
    for at in 0..10 {
        rig.add(&format!("k{at}"), &at.to_string());
    }
    let references: Vec<_> = (0..10).map(|at| format!("bws://prod/k{at}")).collect();
    let results = join_all(references.iter().map(|reference| rig.get(reference))).await;
    assert!(results.iter().all(Result::is_ok));
    let asked = rig.asked();
    let count = |path: &str| asked.iter().filter(|asked| *asked == path).count();
    assert_eq!([LOGIN, PROJECTS, OF_PROJECT, BY_IDS].map(count), [1, 1, 1, 10]);
}

#[tokio::test]
async fn a_wildcard_and_the_keys_of_its_project_are_one_read() {
    let rig = Rig::new();
    rig.add("a", "1");
    rig.add("b", "2");
    let results = rig.get_all(&["bws://prod/*", "bws://prod/a"]).await;
    let members = results[0].as_ref().unwrap().members.as_ref().unwrap();
    assert_eq!(members.names().collect::<Vec<_>>(), ["a", "b"]);
    assert!(members.get("b").unwrap().value.matches(b"2"));
    assert!(results[1].as_ref().unwrap().value.matches(b"1"));
    assert_eq!(rig.asked(), [LOGIN, PROJECTS, OF_PROJECT, BY_IDS]);
    let added = rig.add("c", "3");
    let names = async || {
        let fetched = rig.get("bws://prod/*").await.unwrap();
        fetched
            .members
            .unwrap()
            .names()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        names().await,
        ["a", "b", "c"],
        "a list is never remembered for a wildcard"
    );
    assert_eq!(rig.asked(), [OF_PROJECT, BY_IDS]);
    rig.fake.remove_secret(&added);
    assert_eq!(names().await, ["a", "b"]);
}

#[tokio::test]
async fn a_project_without_secrets_is_no_error_for_a_wildcard() {
    let rig = Rig::new();
    let fetched = rig.get("bws://prod/*").await.unwrap();
    assert_eq!(fetched.members.unwrap().names().count(), 0);
    assert_eq!(rig.asked(), [LOGIN, PROJECTS, OF_PROJECT]);
}

#[tokio::test]
async fn a_key_that_passed_to_another_secret_means_the_other_secret() {
    let rig = Rig::new();
    let old = rig.add("db", "old");
    rig.gives("bws://prod/db", b"old").await;
    rig.fake.rename_secret(&old, "db (before the move)");
    rig.add("db", "new");
    rig.asked();
    rig.gives("bws://prod/db", b"new").await;
    assert_eq!(rig.asked(), [BY_IDS, PROJECTS, OF_PROJECT, BY_IDS]);
    rig.gives("bws://prod/db (before the move)", b"old").await;
}

#[tokio::test]
async fn a_secret_made_anew_under_its_key_is_found_again() {
    let rig = Rig::new();
    let old = rig.add("db", "old");
    rig.gives("bws://prod/db", b"old").await;
    rig.fake.remove_secret(&old);
    rig.add("db", "new");
    rig.gives("bws://prod/db", b"new").await;
}

#[tokio::test]
async fn a_secret_that_moved_to_another_project_is_no_longer_in_this_one() {
    let rig = Rig::new();
    let secret = rig.add("db", "value");
    let other = rig.fake.add_project("other");
    rig.fake.grant(&rig.token, &[&rig.project, &other]);
    rig.gives("bws://prod/db", b"value").await;
    rig.fake.move_secret(&secret, &other);
    assert_eq!(rig.failure("bws://prod/db").await.kind, ErrorKind::NotFound);
    rig.gives("bws://other/db", b"value").await;
}

#[tokio::test]
async fn a_name_that_passed_to_another_project_means_the_other_project() {
    let rig = Rig::new();
    rig.add("db", "old");
    rig.gives("bws://prod/db", b"old").await;
    let next = rig.fake.add_project("next");
    rig.fake.add_secret(&next, "db", "new");
    rig.fake.grant(&rig.token, &[&rig.project, &next]);
    rig.fake.rename_project(&rig.project, "prod (before the move)");
    rig.fake.rename_project(&next, "prod");
    rig.gives("bws://prod/db", b"new").await;
    rig.gives(&format!("bws://{}/db", rig.project), b"old").await;
}

#[tokio::test]
async fn a_session_is_replaced_before_it_ends_and_when_it_is_refused() {
    let rig = Rig::new();
    rig.fake.sessions_last(Duration::from_secs(600));
    let id = rig.add("k", "v");
    rig.gives(&id, b"v").await;
    rig.gives(&id, b"v").await;
    assert_eq!(rig.asked(), [LOGIN, BY_IDS, BY_IDS]);
    rig.fixture.clock.advance(Duration::from_secs(595));
    rig.gives(&id, b"v").await;
    assert_eq!(rig.asked(), [LOGIN, BY_IDS], "ten seconds before its end");
    rig.fake.end_sessions();
    rig.gives(&id, b"v").await;
    assert_eq!(rig.asked(), [BY_IDS, LOGIN, BY_IDS]);
}

#[tokio::test]
async fn clocks_that_are_hours_apart_neither_end_a_session_early_nor_keep_it_too_long() {
    const HOURS: Duration = Duration::from_secs(5 * 3600);
    // The tests' server stamps its sessions with the real time, from which this clock is years away; and then:
    for date in ["Thu, 01 Jan 1970 05:00:00 GMT", "Wed, 02 Jan 2030 08:04:05 GMT"] {
        let rig = Rig::with(|fake, request| fake.answer(&request).with_header("date", date));
        let clock = &rig.fixture.clock;
        rig.fake.sessions_last(Duration::from_secs(600));
        let id = rig.add("k", "v");
        rig.gives(&id, b"v").await;
        assert_eq!(rig.asked(), [LOGIN, BY_IDS]);
        clock.set_wall_ahead(HOURS);
        rig.gives(&id, b"v").await;
        assert_eq!(rig.asked(), [BY_IDS], "ahead");
        clock.set_wall_back(2 * HOURS);
        rig.gives(&id, b"v").await;
        assert_eq!(rig.asked(), [BY_IDS], "behind");
        clock.advance(Duration::from_secs(595));
        rig.gives(&id, b"v").await;
        assert_eq!(rig.asked(), [LOGIN, BY_IDS], "its time is over all the same");
    }
}

#[tokio::test]
async fn a_replaced_token_counts_at_once_even_if_it_is_of_another_organization() {
    let other = Bitwarden::new();
    let theirs = other.add_project("prod");
    other.add_secret(&theirs, "db", "theirs");
    let token = other.access_token(&[&theirs]);
    let elsewhere = other.clone();
    let rig = Rig::with(move |fake, request| match fake.answer(&request) {
        answer if answer.status.is_success() => answer,
        _ => elsewhere.answer(&request),
    });
    rig.add("db", "ours");
    rig.gives("bws://prod/db", b"ours").await;
    rig.fixture.write("token-file", &token);
    rig.gives("bws://prod/db", b"theirs").await;
}
