//! Leases as a running agent lives with them, on a clock that jumps ahead.

use super::*;
use crate::testing::{Issued, Terms};

const TERMS: Terms = Terms {
    ttl: Duration::from_secs(60),
    max: Duration::from_secs(600),
    renewable: true,
};

fn staying() -> Scene {
    let mut scene = Scene::new();
    scene.mode = Mode::Park;
    scene
}

async fn pass(seconds: u32) {
    tokio::time::sleep(SECOND * seconds).await;
}

fn revoked(issued: &[Issued]) -> Vec<bool> {
    issued.iter().map(|lease| lease.revoked.is_some()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_renewed_over_many_lives_and_replaced_before_its_longest_time_is_over() {
    let mut scene = staying();
    scene.count_changes();
    scene.fake.lease("db", TERMS);
    scene.template("app", "{{ fake://db/user }} {{ fake://db/pass }}");
    scene
        .run(async |_| {
            // The program that is told runs in real time: where the clock ran on without it, it would pass its time limit.
            assert_eq!(scene.told_of(1).await.len(), 1, "of the beginning");
            pass(500).await;
            assert_eq!(scene.fake.issued().len(), 1);
            assert!(scene.fake.renewals().len() > 7, "{:?}", scene.fake.renewals());
            assert_eq!(scene.output("app").as_deref(), Some("db-1user db-1pass"));
            for _ in 0..100 {
                if scene.fake.issued().len() > 1 {
                    break;
                }
                pass(1).await;
            }
            let told = scene.told_of(2).await;
            assert_eq!(scene.output("app").as_deref(), Some("db-2user db-2pass"));
            let issued = scene.fake.issued();
            assert!(issued[1].at < issued[0].ends, "before the end of the first");
            assert_eq!(told.len(), 2, "when it was made and when it changed");
            pass(30).await;
            assert_eq!(scene.status().state, State::Ready);
        })
        .await;
    assert_eq!(scene.fake.issued().len(), 2);
    let last = scene.fake.issued().pop().unwrap();
    assert!(last.revoked.unwrap() < last.ends, "revoked at the end of the run");
}

#[tokio::test(start_paused = true)]
async fn certificate_and_key_in_two_files_are_of_one_issue_and_switch_together() {
    let mut scene = staying();
    let told = scene.path("told");
    let action = format!("exec:sh -c 'echo told >> {}'", told.display());
    scene.actions = vec![Action::parse(&action).unwrap()];
    scene.fake.lease(
        "pki",
        Terms {
            renewable: false,
            ..TERMS
        },
    );
    scene.template("crt", "{{ fake://pki/certificate }}");
    scene.template("key", "{{ fake://pki/private_key }}");
    scene
        .run(async |_| {
            for number in 1..=3 {
                pass(if number == 1 { 1 } else { 40 }).await;
                let texts = ["crt", "key"].map(|name| scene.output(name).unwrap());
                let wanted = ["certificate", "private_key"].map(|part| format!("pki-{number}{part}"));
                assert_eq!(texts, wanted);
                let told = scene.told_of(number).await;
                assert_eq!(told.len(), number, "one word for both");
            }
        })
        .await;
    assert!(scene.fake.renewals().is_empty());
}

#[tokio::test(start_paused = true)]
async fn refreshes_ask_for_no_new_lease_while_the_present_one_is_good() {
    let scene = staying();
    scene.fake.lease(
        "db",
        Terms {
            ttl: SECOND * 7200,
            max: SECOND * 720_000,
            renewable: true,
        },
    );
    scene.fake.set("kv", "old");
    scene.template("app", "{{ fake://db }} {{ fake://kv }}");
    scene
        .run(async |_| {
            pass(10).await;
            scene.fake.set("kv", "new");
            pass(3600 * 5).await;
            assert_eq!(
                scene.output("app").as_deref(),
                Some("db-1 new"),
                "the others are asked for"
            );
        })
        .await;
    assert_eq!(scene.fake.issued().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn another_provider_after_a_reload_gives_another_lease_and_the_old_one_is_revoked() {
    let scene = staying();
    scene.fake.lease("db", TERMS);
    scene.template("app", "{{ fake://db }}");
    scene
        .run(async |orders| {
            pass(5).await;
            orders.send(Command::Reload).await.unwrap();
            pass(5).await;
            assert_eq!(scene.output("app").as_deref(), Some("db-2"));
            assert_eq!(
                revoked(&scene.fake.issued()),
                [false, false],
                "consumers need a moment"
            );
            pass(10).await;
            assert_eq!(revoked(&scene.fake.issued()), [true, false]);
        })
        .await;
    assert_eq!(revoked(&scene.fake.issued()), [true, true]);
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_revoked_once_no_template_wants_it() {
    let mut scene = Scene::new();
    scene.mode = Mode::Watch;
    scene.fake.lease("db", TERMS);
    scene.fake.set("kv", "v");
    scene.template("app", "{{ fake://db }}");
    scene
        .run(async |_| {
            pass(5).await;
            scene.template("app", "{{ fake://kv }}");
            while scene.output("app").as_deref() != Some("v") {
                tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_millis(5)))
                    .await
                    .unwrap();
                pass(1).await;
            }
            assert_eq!(revoked(&scene.fake.issued()), [false]);
            pass(20).await;
            assert_eq!(revoked(&scene.fake.issued()), [true]);
            assert_eq!(scene.fake.issued().len(), 1);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_lease_lives_on_while_its_credentials_stand_in_an_output_that_cannot_be_made_anew() {
    for mistake in [
        "{{ fake://db | nonsense }}",
        "{{ fake://db }} {{ fake://missing }}",
        "{{ fake://missing }}",
    ] {
        let mut scene = Scene::new();
        scene.mode = Mode::Watch;
        scene.fake.lease("db", TERMS);
        scene.fake.set("kv", "v");
        scene.template("app", "{{ fake://db }}");
        let awake = async || {
            tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_millis(5)))
                .await
                .unwrap();
            pass(1).await;
        };
        scene
            .run(async |_| {
                pass(5).await;
                scene.template("app", mistake);
                while scene.status().failing.is_empty() {
                    awake().await;
                }
                pass(30).await;
                assert_eq!(scene.output("app").as_deref(), Some("db-1"), "{mistake}");
                assert_eq!(revoked(&scene.fake.issued()), [false], "{mistake}");
                // As soon as something else is in its place, it ends.
                scene.template("app", "{{ fake://kv }}");
                while scene.output("app").as_deref() != Some("v") {
                    awake().await;
                }
                pass(20).await;
                assert_eq!(revoked(&scene.fake.issued()), [true], "{mistake}");
            })
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_single_round_hands_out_is_not_revoked() {
    let scene = Scene::new();
    scene.fake.lease("db", TERMS);
    scene.template("app", "{{ fake://db }}");
    scene.one_shot().await;
    assert_eq!(scene.output("app").as_deref(), Some("db-1"));
    assert_eq!(revoked(&scene.fake.issued()), [false]);
}

#[tokio::test(start_paused = true)]
async fn an_outage_past_the_end_of_a_lease_costs_few_requests_and_ends_with_a_new_lease() {
    let scene = staying();
    scene.fake.lease("db", TERMS);
    scene.template("app", "{{ fake://db }}");
    scene
        .run(async |_| {
            pass(5).await;
            scene.fake.fail(Some(ProviderError::unavailable("refused")));
            pass(600).await;
            assert_eq!(scene.output("app").as_deref(), Some("db-1"), "the last one stays");
            assert_eq!(scene.status().state, State::Stale);
            let renewals = scene.fake.renewals().len();
            assert!((1..40).contains(&renewals), "{renewals} renewals");
            scene.fake.calls();
            scene.fake.fail(None);
            // The longest pause of the back-off: more would outlast a lease that was had at once.
            pass(310).await;
            assert_eq!(scene.output("app").as_deref(), Some("db-2"));
            assert_eq!(scene.status().state, State::Ready);
            assert_eq!(scene.fake.issued().len(), 2);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_asked_for_anew_until_it_is_had_whatever_the_answers_were() {
    for error in [
        ProviderError::not_found("no such role"),
        ProviderError::invalid("refused"),
    ] {
        let scene = staying();
        scene.fake.lease("db", TERMS);
        scene.template("app", "{{ fake://db }}");
        scene
            .run(async |_| {
                pass(5).await;
                scene.fake.refuse_renewals(Some(error.clone()));
                scene.fake.fail(Some(error.clone()));
                pass(600).await;
                scene.fake.calls();
                scene.fake.refuse_renewals(None);
                scene.fake.fail(None);
                pass(310).await;
                assert_eq!(scene.output("app").as_deref(), Some("db-2"), "{error}");
            })
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_refuses_every_renewal_is_asked_for_one_lease_in_a_life() {
    let scene = staying();
    scene.fake.lease("db", TERMS);
    scene
        .fake
        .refuse_renewals(Some(ProviderError::denied("the policy does not allow it")));
    scene.template("app", "{{ fake://db }}");
    scene.run(async |_| pass(600).await).await;
    let issued = scene.fake.issued().len();
    assert!((14..=19).contains(&issued), "{issued} leases in ten lives");
}

#[tokio::test(start_paused = true)]
async fn an_end_that_cannot_revoke_does_not_wait_for_ever() {
    let scene = staying();
    scene.fake.lease("db", TERMS);
    scene
        .fake
        .refuse_revocations(Some(ProviderError::denied("the policy does not allow it")));
    scene.template("app", "{{ fake://db }}");
    let ending = scene.run(async |_| pass(5).await).await;
    assert!(ending.was_stopped);
    assert_eq!(revoked(&scene.fake.issued()), [false]);
}
