//! A panic inside a round: whoever panics has the secrets in hand, and what it says about them goes to the journal.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use locket_core::plan::{OutputSettings, Plan, Secret, Source};
use locket_core::schemes::Fragment;
use locket_core::{
    BoxFuture, Capability, Diagnostic, Environment, FetchCx, Fetched, Locator, Provider, ProviderError,
    Scheme, Schemes, SecretBytes,
};
use locket_engine::agent::{self, AgentCx, AtEnd, Mode, Observer, Schedule, Setup, Surroundings};
use locket_engine::notify::{LocalCourier, Notifier};
use locket_engine::telemetry::Outlets;
use locket_engine::{Instance, Instances};
use locket_testkit::canary::find_any_below;
use locket_testkit::{Canary, TokioClock};
use tempfile::TempDir;
use tokio::sync::mpsc;

/// Say to this test in a process of its own which canary to serve, and where to work.
const CANARY: &str = "LOCKET_TEST_CANARY";
const PLACE: &str = "LOCKET_TEST_PLACE";

#[test]
fn a_panic_inside_a_round_tells_no_secret_and_leaves_the_output() {
    let canary = Canary::text("held");
    let place = TempDir::new().unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "canaries::rounds::falls_over",
            "--ignored",
            "--nocapture",
        ])
        .env(CANARY, canary.as_str())
        .env(PLACE, place.path())
        .env("RUST_BACKTRACE", "full")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let told = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&told);
    assert!(!output.status.success());
    for control in ["in the midst of a round", "SecretBytes", "dispatch"] {
        assert!(
            text.contains(control),
            "the panic is not what it should be: {text}"
        );
    }
    assert_eq!(canary.find(&told), None);
    let written = std::fs::read(place.path().join("out/app")).unwrap();
    assert!(
        canary.find(&written).is_some(),
        "the first round wrote the output"
    );
    let found = find_any_below(&[&canary], &place.path().join("state")).unwrap();
    assert!(found.is_none(), "{found:?}");
    assert_eq!(
        std::fs::read_dir(place.path().join("out")).unwrap().count(),
        1,
        "nothing unfinished is left"
    );
}

/// Answers once, and falls over with all that it holds when it is asked again.
#[derive(Debug)]
struct FallsOver {
    value: String,
    was_asked: AtomicBool,
}

impl Provider for FallsOver {
    fn capability(&self) -> Capability {
        Capability {
            items_per_call: 1,
            max_concurrent: 1,
            local: true,
        }
    }

    fn fetch<'a>(
        &'a self,
        batch: &'a [Locator],
        _cx: &'a FetchCx,
    ) -> BoxFuture<'a, Vec<Result<Fetched, ProviderError>>> {
        Box::pin(async move {
            let fetched = Fetched::new(SecretBytes::copy_from(self.value.as_bytes()));
            assert!(
                !self.was_asked.swap(true, Ordering::Relaxed),
                "the provider fell over in the midst of a round: {fetched:?} {batch:?}"
            );
            vec![Ok(fetched)]
        })
    }
}

struct Silent;

impl Observer for Silent {
    fn template(&self, _: &str, _: &[u8], _: &[Diagnostic]) {}
}

#[tokio::test]
#[ignore = "panics: the test above runs it in a process of its own"]
#[expect(
    clippy::disallowed_methods,
    reason = "a process of its own is told what to hold by its environment"
)]
async fn falls_over() {
    let (Ok(value), Some(place)) = (std::env::var(CANARY), std::env::var_os(PLACE)) else {
        return;
    };
    let place = std::path::PathBuf::from(place);
    let (commands, received) = mpsc::channel(1);
    let cx = AgentCx {
        clock: Arc::new(TokioClock::new()),
        observer: &Silent,
        commands: received,
        reload: &mut || None,
    };
    let setup = Setup {
        handover: None,
        plan: Plan {
            secrets: vec![Secret {
                place: locket_core::plan::Place::File,
                name: "app".to_owned(),
                source: Source::Inline {
                    name: "app".to_owned(),
                    text: "password={{ falls://over }}".to_owned(),
                },
                settings: OutputSettings::default(),
            }],
            out: place.join("out"),
            max_file_size: 1 << 20,
            ..Plan::default()
        },
        instances: instances(value),
        schedule: Schedule {
            mode: Mode::Park,
            refresh: None,
            jitter: Duration::ZERO,
            debounce: Duration::ZERO,
            deadline: Duration::from_secs(60),
            request: Duration::from_secs(10),
        },
        actions: Vec::new(),
        notifier: Notifier {
            courier: Arc::new(LocalCourier {
                environment: Environment::default(),
            }),
            timeout: Duration::from_secs(60),
        },
        status_file: Some(place.join("state/status")),
        at_end: AtEnd::default(),
        outlets: Outlets::default(),
        state_dir: Some(place.join("state")),
        surroundings: Surroundings::default(),
    };
    let again = async {
        while !place.join("out/app").exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        commands.send(agent::Command::Reload).await.unwrap();
        std::future::pending::<()>().await;
    };
    tokio::join!(agent::run(setup, cx), again);
}

fn instances(value: String) -> Arc<Instances> {
    let provider: Arc<dyn Provider> = Arc::new(FallsOver {
        value,
        was_asked: AtomicBool::new(false),
    });
    let schemes = Schemes::new([Scheme {
        name: "falls".into(),
        bare: true,
        fragment: Fragment::Json,
    }]);
    let instance = Instance {
        parse: |reference| Ok(Locator::new(reference.locator(), "", ())),
        parse_every: None,
        build: Box::new(move || Ok(provider.clone())),
        limits: Default::default(),
    };
    Arc::new(Instances::new(schemes, [("falls".into(), instance)]))
}
