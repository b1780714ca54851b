//! When the core ends, what it leaves, and that a session serves whoever comes.

use std::sync::{Mutex, mpsc};
use std::time::SystemTime;

use locket_core::Clock;
use locket_testkit::ManualClock;
use tokio::sync::oneshot;

use super::*;
use crate::op::core::invocation;
use crate::op::core::session::burst;
use crate::op::core::value::locked;

/// A clock that holds whoever reads its wall, once: the core stands still in the middle of its work.
#[derive(Debug, Default)]
struct Turnstile {
    clock: ManualClock,
    hold: Mutex<Option<Hold>>,
}

#[derive(Debug)]
struct Hold {
    reached: oneshot::Sender<()>,
    released: mpsc::Receiver<()>,
}

/// The test's side of it.
struct Held {
    reached: oneshot::Receiver<()>,
    release: mpsc::Sender<()>,
}

impl Turnstile {
    fn new() -> (Arc<Self>, Held) {
        let (reached, arrival) = oneshot::channel();
        let (release, released) = mpsc::channel();
        let turnstile = Self {
            hold: Some(Hold { reached, released }).into(),
            ..Self::default()
        };
        let held = Held {
            reached: arrival,
            release,
        };
        (Arc::new(turnstile), held)
    }
}

impl Clock for Turnstile {
    fn wall(&self) -> SystemTime {
        let hold = locked(&self.hold).take();
        if let Some(Hold { reached, released }) = hold {
            let _ = reached.send(());
            let _ = released.recv();
        }
        self.clock.wall()
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }
}

fn cx(clock: Arc<dyn Clock>) -> FetchCx {
    FetchCx::new(clock, Duration::from_secs(60))
}

/// What one `fetch` of one reference gives.
async fn asked(provider: &Arc<dyn Provider>, cx: FetchCx) -> Answer {
    let batch = [locator("op://vault/db/f")];
    provider.fetch(&batch, &cx).await.remove(0)
}

#[tokio::test]
async fn a_call_that_is_given_up_stops_the_core_in_the_middle_of_its_work() {
    let Some(rig) = Rig::new() else { return };
    let cx = rig.fixture.fetch_cx();
    let http = rig.fixture.build(Client::new).unwrap();
    let home = Url::parse(&rig.server.url()).unwrap();
    let traffic = Traffic {
        http: &http,
        home: &home,
        cx: &cx,
    };
    let token = SecretBytes::new(rig.token().into_bytes());
    for given_up in [false, true] {
        let code = Arc::new(Code::at(rig.core.clone()));
        let (clock, held) = Turnstile::new();
        let mut machine = code.machine(clock).unwrap();
        let config = invocation::client(&token).unwrap();
        let (told, went_well) = oneshot::channel();
        let computing = burst(&code, &traffic, move || {
            let promise = machine.call("init_client", &config);
            let ran = promise.and_then(|promise| machine.run(&promise, Vec::new(), Duration::ZERO));
            told.send(ran.is_ok())
        });
        if given_up {
            tokio::select! {
                _ = computing => panic!("it was not held"),
                reached = held.reached => reached.unwrap(),
            }
            held.release.send(()).unwrap();
        } else {
            held.release.send(()).unwrap();
            computing.await.unwrap().unwrap();
        }
        assert_eq!(went_well.await.unwrap(), !given_up);
    }
}

#[tokio::test]
async fn a_core_that_computes_past_the_deadline_is_left_and_the_next_call_begins_anew() {
    let Some(rig) = Rig::new() else { return };
    rig.add("db", &["f"]);
    let provider = rig.provider();
    let (clock, held) = Turnstile::new();
    let passing = async {
        held.reached.await.unwrap();
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(61)).await;
        tokio::time::resume();
    };
    let (answer, ()) = tokio::join!(asked(&provider, cx(clock)), passing);
    let error = answer.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.context.contains("no time was left"), "{error}");
    held.release.send(()).unwrap();
    assert!(is_text(&asked(&provider, rig.fixture.fetch_cx()).await, "db-f"));
}

#[tokio::test]
async fn past_the_deadline_nothing_begins() {
    let Some(rig) = Rig::new() else { return };
    rig.add("db", &["f"]);
    let provider = rig.provider();
    let (clock, mut held) = Turnstile::new();
    let late = FetchCx::new(clock, Duration::ZERO);
    let error = asked(&provider, late).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(held.reached.try_recv().is_err(), "the core ran");
    assert_eq!(rig.server.request_count(), 0);
}

#[tokio::test]
async fn what_the_core_held_is_wiped() {
    let Some(rig) = Rig::new() else { return };
    rig.add("db", &["password"]);
    let line = rig.line();
    let traffic = line.traffic();
    let session = rig.session(&traffic).await;
    let call = Call::SecretsResolveAll {
        secret_references: &["op://vault/db/password"],
    };
    let (mut session, _) = session
        .call(call, &traffic)
        .await
        .map_err(|failed| failed.error)
        .unwrap();
    let email = rig.account.email().as_bytes();
    assert!(
        session.machine().holds(email),
        "what is looked for is found while it is there"
    );
    session.machine().wipe();
    assert!(!session.machine().holds(email));
    assert!(!session.machine().holds(b"db-password"));
}

#[tokio::test]
async fn what_a_call_gave_is_gone_with_its_last_reader_while_the_session_goes_on() {
    let Some(rig) = Rig::new() else { return };
    rig.add("db", &["password"]);
    let line = rig.line();
    let traffic = line.traffic();
    let mut session = rig.session(&traffic).await;
    let (of_login, held) = session.machine().bodies();
    assert_eq!(held, 0, "of {of_login} bodies");
    for round in 1..=3 {
        let call = Call::SecretsResolveAll {
            secret_references: &["op://vault/db/password"],
        };
        let called = session.call(call, &traffic).await;
        let (kept, text) = called.map_err(|failed| failed.error).unwrap();
        session = kept;
        assert!(text.contains("db-password"));
        let answer = Arc::downgrade(&text);
        assert_eq!(answer.strong_count(), 1, "held by others in round {round}");
        drop(text);
        assert_eq!(answer.strong_count(), 0);
        let (all, held) = session.machine().bodies();
        assert!(all > of_login, "the call asked for nothing");
        assert_eq!(held, 0, "of {all} bodies in round {round}");
    }
}

#[tokio::test]
async fn readers_at_one_time_share_one_login() {
    let Some(rig) = Rig::new() else { return };
    rig.add("db", &["f"]);
    let provider = rig.provider();
    let both = tokio::join!(
        rig.fetch_one(&provider, "op://vault/db/f"),
        rig.fetch_one(&provider, "op://vault/db/f")
    );
    assert!(is_text(&both.0, "db-f") && is_text(&both.1, "db-f"));
    assert_eq!(logins(&rig), 1);
}

#[tokio::test]
async fn another_token_is_another_login() {
    let Some(rig) = Rig::new() else { return };
    rig.add("db", &["f"]);
    let provider = rig.provider();
    for expected in [1, 1, 2] {
        if expected == 2 {
            let other = rig.fake.account(&[&rig.vault]);
            rig.fixture
                .write("token-file", &other.token(&rig.server.address().to_string()));
        }
        assert!(is_text(
            &rig.fetch_one(&provider, "op://vault/db/f").await,
            "db-f"
        ));
        assert_eq!(logins(&rig), expected);
    }
}

fn logins(rig: &Rig) -> usize {
    let requests = rig.server.requests();
    requests
        .iter()
        .filter(|request| request.path == "/api/v3/auth/start")
        .count()
}

#[tokio::test]
async fn a_redirection_is_not_followed() {
    let Some(rig) = Rig::new() else { return };
    let elsewhere = Server::builder().tls(&rig.ca).start(|_| Response::status(404));
    let location = format!("{}/api/v3/auth/start", elsewhere.url());
    let redirecting = Server::builder()
        .tls(&rig.ca)
        .start(move |_| Response::status(307).with_header("location", &location));
    rig.fixture.write(
        "token-file",
        &rig.account.token(&redirecting.address().to_string()),
    );
    let error = rig
        .fetch_one(&rig.provider(), "op://vault/db/f")
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
    assert_eq!((redirecting.request_count(), elsewhere.request_count()), (1, 0));
}

#[tokio::test]
async fn two_vaults_are_two_lists_more_at_first_and_two_reads_a_round() {
    let Some(rig) = Rig::new() else { return };
    let other = rig.fake.add_vault("other");
    let account = rig.fake.account(&[&rig.vault, &other]);
    rig.fixture
        .write("token-file", &account.token(&rig.server.address().to_string()));
    let mut references = Vec::new();
    for (vault, id) in [("vault", &rig.vault), ("other", &other)] {
        for title in (0..10).map(|number| format!("item {number}")) {
            rig.fake
                .add_item(id, Item::login(&title, &format!("{vault} {title}")));
            references.push(format!("op://{vault}/{title}/password"));
        }
    }
    let provider = rig.provider();
    for requests in [10, 2] {
        rig.server.forget();
        for (answer, reference) in rig.fetch(&provider, &references).await.iter().zip(&references) {
            let expected = reference["op://".len()..]
                .trim_end_matches("/password")
                .replace('/', " ");
            assert!(is_text(answer, &expected), "{reference}: {answer:?}");
        }
        assert_eq!(rig.server.request_count(), requests);
    }
}
