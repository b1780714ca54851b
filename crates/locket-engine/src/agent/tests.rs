use std::cell::Cell;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use locket_core::plan::{Map, OnError, OutputSettings, Plan};
use locket_core::{Action, Diagnostic, Environment, ProviderError};
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::*;
use crate::notify::{LocalCourier, Notifier};
use crate::state::{State, Status, observe};
use crate::telemetry::Outlets;
use crate::testing::{Fake, clock};

mod cleanup;
mod conflicts;
mod deletions;
mod hiding;
#[path = "lease_tests.rs"]
mod leases;
mod owed;
mod phases;
mod stopping;
mod telemetry;
mod whole;
mod wildcards;
mod writing;

const SECOND: Duration = Duration::from_secs(1);

/// A directory with templates, outputs and state, and a provider.
struct Scene {
    dir: TempDir,
    fake: Fake,
    mode: Mode,
    on_error: OnError,
    actions: Vec<Action>,
}

struct Silent;

impl Observer for Silent {
    fn template(&self, _: &str, _: &[u8], _: &[Diagnostic]) {}
}

impl Scene {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        fs::create_dir(dir.path().join("in")).unwrap();
        let (fake, mode) = (Fake::default(), Mode::OneShot);
        Self {
            dir,
            fake,
            mode,
            on_error: OnError::Keep,
            actions: vec![],
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn template(&self, name: &str, text: &str) {
        fs::write(self.path("in").join(name), text).unwrap();
    }

    fn output(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.path("out").join(name)).ok()
    }

    fn status(&self) -> Status {
        observe(&self.path("status")).unwrap().status
    }

    /// Every change appends a line to a file.
    fn count_changes(&mut self) {
        let text = format!(
            "exec:sh -c 'echo \"$LOCKET_CHANGED\" >> {}'",
            self.path("told").display()
        );
        self.actions = vec![Action::parse(&text).unwrap()];
    }

    fn told(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("told")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Waits, in real time with the clock at rest, until the program that counts changes has written `lines`
    /// and nobody is owed anything; not for ever.
    async fn told_of(&self, lines: usize) -> Vec<String> {
        let owed = || fs::read_to_string(self.path("state/notify.json")).is_ok_and(|owed| owed != "[]");
        let mut looks = 0;
        while self.told().len() < lines || owed() {
            looks += 1;
            assert!(
                looks < 10_000,
                "told of {:?}, and somebody is still owed",
                self.told()
            );
            // A blocking task keeps the paused clock from advancing while the program runs.
            tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_millis(5)))
                .await
                .unwrap();
        }
        self.told()
    }

    fn setup(&self) -> Setup {
        let settings = OutputSettings {
            on_error: self.on_error,
            ..OutputSettings::default()
        };
        Setup {
            plan: Plan {
                maps: vec![Map {
                    source: self.path("in"),
                    destination: self.path("out"),
                    settings,
                }],
                out: self.path("out"),
                max_file_size: 1 << 20,
                delete_after: SECOND * 10,
                ..Plan::default()
            },
            instances: self.fake.instances(),
            schedule: Schedule {
                mode: self.mode,
                refresh: Some(SECOND * 3600),
                jitter: Duration::ZERO,
                debounce: SECOND / 2,
                deadline: SECOND * 60,
                request: SECOND * 10,
            },
            actions: self.actions.clone(),
            notifier: Notifier {
                courier: Arc::new(LocalCourier {
                    environment: Environment::from_iter([("PATH", "/usr/bin:/bin")]),
                }),
                timeout: SECOND * 300,
            },
            status_file: Some(self.path("status")),
            at_end: AtEnd::default(),
            outlets: Outlets::default(),
            surroundings: Surroundings::default(),
            handover: None,
            state_dir: Some(self.path("state")),
        }
    }

    /// Runs a single round, or until the script is over.
    async fn run(&self, script: impl AsyncFnOnce(mpsc::Sender<Command>)) -> Ending {
        self.run_with(|| self.setup(), script).await
    }

    /// The same with a setup of one's own.
    async fn run_with(
        &self,
        setup: impl Fn() -> Setup,
        script: impl AsyncFnOnce(mpsc::Sender<Command>),
    ) -> Ending {
        let (sender, commands) = mpsc::channel(8);
        let mut reload = || Some(setup());
        let cx = AgentCx {
            clock: clock(),
            observer: &Silent,
            commands,
            reload: &mut reload,
        };
        let script = async {
            script(sender.clone()).await;
            if self.mode != Mode::OneShot {
                sender.send(Command::Stop).await.unwrap();
            }
        };
        tokio::join!(run(setup(), cx), script).0
    }

    async fn one_shot(&self) -> Ending {
        self.run(async |_| {}).await
    }
}

fn stamp(path: &Path) -> (u64, i64, i64) {
    let metadata = fs::metadata(path).unwrap();
    (metadata.ino(), metadata.mtime(), metadata.mtime_nsec())
}

#[tokio::test(start_paused = true)]
async fn templates_come_out_rendered_and_an_unchanged_round_writes_nothing() {
    let scene = Scene::new();
    scene.fake.set("db/user", "ann");
    scene.fake.set("db/pass", "s3cret");
    scene.template(
        "app.conf",
        "user={{ fake://db/user }} pass={{ fake://db/pass }}\n",
    );
    scene.template("deep", "{{ fake://db/pass }}");
    let ending = scene.one_shot().await;
    assert_eq!(
        ending,
        Ending {
            changed: 2,
            ..Ending::default()
        }
    );
    assert_eq!(
        scene.output("app.conf").as_deref(),
        Some("user=ann pass=s3cret\n")
    );
    assert_eq!(scene.output("deep").as_deref(), Some("s3cret"));
    let calls = scene.fake.calls();
    assert_eq!((calls.len(), calls[0].len()), (1, 2), "one read for the item");
    assert_eq!(scene.status().state, State::Done);
    let before = stamp(&scene.path("out/app.conf"));
    assert_eq!(scene.one_shot().await, Ending::default());
    assert_eq!(stamp(&scene.path("out/app.conf")), before);
}

#[tokio::test(start_paused = true)]
async fn a_missing_secret_fails_its_own_output_only() {
    let scene = Scene::new();
    scene.fake.set("a", "v");
    scene.template("good", "{{ fake://a }}");
    scene.template("bad", "{{ fake://nowhere }}");
    let ending = scene.one_shot().await;
    assert_eq!(ending.unresolved, [scene.path("out/bad")]);
    assert_eq!(
        (scene.output("good").as_deref(), scene.output("bad")),
        (Some("v"), None)
    );
    let status = scene.status();
    assert_eq!(status.state, State::Failed);
    assert_eq!(status.failing[0].reference.as_deref(), Some("fake://nowhere"));
    assert_eq!(status.failing[0].last_success, None);
}

#[tokio::test(start_paused = true)]
async fn a_mistake_in_one_template_stops_no_other() {
    let scene = Scene::new();
    scene.fake.set("a", "v");
    scene.template("good", "{{ fake://a }}");
    scene.template("bad", "{{ fkae://a }}");
    let ending = scene.one_shot().await;
    assert_eq!(ending.unresolved, [scene.path("out/bad")]);
    assert_eq!(scene.output("good").as_deref(), Some("v"));
}

#[tokio::test(start_paused = true)]
async fn an_optional_secret_that_does_not_exist_is_empty() {
    let scene = Scene::new();
    scene.template("a", "[{{ fake://nowhere?optional }}]");
    assert_eq!(scene.one_shot().await.unresolved, [""; 0].map(PathBuf::from));
    assert_eq!(scene.output("a").as_deref(), Some("[]"));
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_hangs_holds_up_no_other_output() {
    let mut scene = Scene::new();
    scene.mode = Mode::Park;
    scene.fake.set("a", "v");
    scene.template("good", "{{ fake://a }}");
    scene.template("bad", "{{ dead://b }}");
    let ending = scene
        .run(async |_| {
            tokio::time::sleep(SECOND).await;
            assert_eq!(
                scene.output("good").as_deref(),
                Some("v"),
                "before any time limit"
            );
            assert_eq!(scene.status().state, State::Starting);
            tokio::time::sleep(SECOND * 70).await;
            assert_eq!(scene.status().state, State::Failed);
        })
        .await;
    assert_eq!(ending.unresolved, [scene.path("out/bad")]);
}

#[tokio::test(start_paused = true)]
async fn an_outage_keeps_the_last_good_value_and_heals_by_itself() {
    let mut scene = Scene::new();
    scene.mode = Mode::Park;
    scene.fake.set("a", "old");
    scene.template("t", "{{ fake://a }}");
    scene
        .run(async |_| {
            tokio::time::sleep(SECOND).await;
            assert_eq!(scene.status().state, State::Ready);
            scene.fake.set("a", "new");
            scene
                .fake
                .fail(Some(ProviderError::unavailable("connection refused")));
            scene.fake.calls();
            tokio::time::sleep(SECOND * 3600).await;
            assert_eq!(scene.output("t").as_deref(), Some("old"));
            let status = scene.status();
            assert_eq!(status.state, State::Stale);
            assert_eq!(status.failing[0].reference.as_deref(), Some("fake://a"));
            assert!(status.failing[0].last_success.is_some());
            tokio::time::sleep(SECOND * 3500).await;
            let calls = scene.fake.calls().len();
            assert!((12..60).contains(&calls), "{calls} attempts in an hour");
            scene.fake.fail(None);
            tokio::time::sleep(SECOND * 301).await;
            assert_eq!(scene.output("t").as_deref(), Some("new"));
            assert_eq!(scene.status().state, State::Ready);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_output_of_an_earlier_run_counts_as_stale_and_a_missing_one_as_failed() {
    let mut scene = Scene::new();
    scene.mode = Mode::Park;
    scene.template("here", "{{ fake://a }}");
    scene.template("not", "{{ fake://b }}");
    fs::create_dir(scene.path("out")).unwrap();
    fs::write(scene.path("out/here"), "earlier").unwrap();
    scene.fake.fail(Some(ProviderError::denied("permission denied")));
    scene
        .run(async |_| {
            tokio::time::sleep(SECOND * 61).await;
            let status = scene.status();
            assert_eq!(status.state, State::Failed);
            let ages: Vec<_> = status
                .failing
                .iter()
                .map(|failing| failing.last_success.is_some())
                .collect();
            assert_eq!(ages, [true, false]);
            assert_eq!(scene.output("here").as_deref(), Some("earlier"));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_rotated_secret_changes_its_outputs_and_tells_once() {
    let mut scene = Scene::new();
    scene.mode = Mode::Park;
    scene.count_changes();
    for name in ["a", "b", "c"] {
        scene.fake.set(name, "old");
        scene.template(name, &format!("{{{{ fake://{name} }}}}"));
    }
    scene.template("d", "{{ fake://a }}");
    scene
        .run(async |commands| {
            assert_eq!(scene.told_of(4).await.len(), 4, "creating is a change");
            let kept = stamp(&scene.path("out/b"));
            tokio::time::sleep(SECOND * 3600).await;
            assert_eq!(scene.told().len(), 4, "an unchanged round tells nobody");
            scene.fake.set("a", "new");
            commands.send(Command::Reload).await.unwrap();
            let told = scene.told_of(6).await;
            assert_eq!(scene.output("a").as_deref(), Some("new"));
            assert_eq!(scene.output("d").as_deref(), Some("new"));
            assert_eq!(stamp(&scene.path("out/b")), kept);
            let paths = ["a", "d"].map(|name| scene.path("out").join(name).display().to_string());
            assert_eq!(told[4..], paths);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn passthrough_puts_the_text_only_where_nothing_is() {
    let mut scene = Scene::new();
    scene.on_error = OnError::Passthrough;
    scene.template("new", "x={{ fake://a }}");
    scene.template("old", "x={{ fake://a }}");
    fs::create_dir(scene.path("out")).unwrap();
    fs::write(scene.path("out/old"), "x=good").unwrap();
    let ending = scene.one_shot().await;
    assert_eq!(ending.unresolved, [scene.path("out/new"), scene.path("out/old")]);
    assert_eq!(scene.output("new").as_deref(), Some("x={{ fake://a }}"));
    assert_eq!(scene.output("old").as_deref(), Some("x=good"));
    assert_eq!(scene.status().state, State::Failed);
}

#[tokio::test(start_paused = true)]
async fn ignore_makes_an_output_optional() {
    let mut scene = Scene::new();
    scene.on_error = OnError::Ignore;
    scene.template("t", "x={{ fake://a }}");
    assert_eq!(scene.one_shot().await, Ending::default());
    assert_eq!(scene.output("t"), None);
    assert_eq!(scene.status().state, State::Done);
}

#[tokio::test(start_paused = true)]
async fn error_ends_the_run_in_the_first_round_and_not_later() {
    let mut scene = Scene::new();
    scene.mode = Mode::Park;
    scene.on_error = OnError::Error;
    scene.fake.set("a", "v");
    scene.template("t", "x={{ fake://a }}");
    scene
        .run(async |_| {
            tokio::time::sleep(SECOND).await;
            scene.fake.unset("a");
            tokio::time::sleep(SECOND * 3601).await;
            assert_eq!(scene.output("t").as_deref(), Some("x=v"));
            assert_eq!(scene.status().state, State::Stale);
        })
        .await;
    // The script's own stop finds nobody: the run is over.
    let (_sender, commands) = mpsc::channel(1);
    let mut reload = || None;
    let cx = AgentCx {
        clock: clock(),
        observer: &Silent,
        commands,
        reload: &mut reload,
    };
    let ending = run(scene.setup(), cx).await;
    assert_eq!(
        (ending.unresolved, ending.was_stopped),
        (vec![scene.path("out/t")], false)
    );
}

#[tokio::test(start_paused = true)]
async fn a_template_that_stays_gone_takes_its_output_with_it() {
    let mut scene = Scene::new();
    scene.mode = Mode::Park;
    scene.fake.set("a", "v");
    for name in ["a", "b", "c"] {
        scene.template(name, "{{ fake://a }}");
    }
    scene
        .run(async |commands| {
            tokio::time::sleep(SECOND).await;
            fs::remove_file(scene.path("in/a")).unwrap();
            fs::rename(scene.path("in/b"), scene.path("in/elsewhere")).unwrap();
            commands.send(Command::Reload).await.unwrap();
            tokio::time::sleep(SECOND * 5).await;
            assert!(
                scene.output("a").is_some() && scene.output("b").is_some(),
                "not yet"
            );
            fs::rename(scene.path("in/elsewhere"), scene.path("in/b")).unwrap();
            tokio::time::sleep(SECOND * 10).await;
            assert_eq!(scene.output("a"), None);
            assert!(scene.output("b").is_some(), "it came back");
            for name in ["b", "c"] {
                fs::remove_file(scene.path("in").join(name)).unwrap();
            }
            commands.send(Command::Reload).await.unwrap();
            tokio::time::sleep(SECOND * 60).await;
            assert!(
                scene.output("b").is_some(),
                "all gone at once: nothing is deleted"
            );
            assert!(scene.output("c").is_some());
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_file_that_we_did_not_write_is_not_removed() {
    let mut scene = Scene::new();
    scene.mode = Mode::Park;
    scene.fake.set("a", "v");
    scene.template("mine", "{{ fake://a }}");
    scene.template("stays", "{{ fake://a }}");
    scene
        .run(async |commands| {
            tokio::time::sleep(SECOND).await;
            fs::remove_file(scene.path("in/mine")).unwrap();
            commands.send(Command::Reload).await.unwrap();
            tokio::time::sleep(SECOND).await;
            fs::remove_file(scene.path("out/mine")).unwrap();
            fs::write(scene.path("out/mine"), "another's").unwrap();
            tokio::time::sleep(SECOND * 30).await;
            assert_eq!(scene.output("mine").as_deref(), Some("another's"));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_second_agent_on_one_status_file_is_refused() {
    let mut scene = Scene::new();
    scene.mode = Mode::Park;
    scene
        .run(async |_| {
            tokio::time::sleep(SECOND).await;
            let (_sender, commands) = mpsc::channel(1);
            let mut reload = || None;
            let cx = AgentCx {
                clock: clock(),
                observer: &Silent,
                commands,
                reload: &mut reload,
            };
            let ending = run(scene.setup(), cx).await;
            assert!(ending.refused[0].message.contains("another agent"));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_one_time_code_follows_its_period_and_is_no_change() {
    let mut scene = Scene::new();
    scene.mode = Mode::Park;
    scene.count_changes();
    scene.fake.set("seed", "JBSWY3DPEHPK3PXP");
    scene.template("code", "code={{ fake://seed | totp }}\n");
    scene
        .run(async |_| {
            let told = scene.told_of(1).await.len();
            let mut codes = std::collections::BTreeSet::new();
            for _ in 0..10 {
                let code = scene.output("code").unwrap();
                tokio::time::sleep(SECOND * 30).await;
                // The period is over; the thread that writes may take a moment.
                for _ in 0..100 {
                    if scene.output("code").as_ref() != Some(&code) {
                        break;
                    }
                    tokio::time::sleep(SECOND / 10).await;
                }
                codes.insert(code);
            }
            assert!(codes.len() >= 9, "{codes:?}");
            assert_eq!(scene.told().len(), told);
            assert_eq!(scene.fake.calls().len(), 1, "codes are computed here");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn moving_the_source_directory_away_deletes_nothing() {
    let mut scene = Scene::new();
    scene.mode = Mode::Park;
    scene.fake.set("a", "v");
    for name in ["a", "b"] {
        scene.template(name, "{{ fake://a }}");
    }
    scene
        .run(async |commands| {
            tokio::time::sleep(SECOND).await;
            fs::rename(scene.path("in"), scene.path("away")).unwrap();
            commands.send(Command::Reload).await.unwrap();
            tokio::time::sleep(SECOND * 60).await;
            assert!(scene.output("a").is_some() && scene.output("b").is_some());
            fs::rename(scene.path("away"), scene.path("in")).unwrap();
            fs::remove_file(scene.path("in/a")).unwrap();
            commands.send(Command::Reload).await.unwrap();
            tokio::time::sleep(SECOND * 60).await;
            assert_eq!(scene.output("a"), None, "one of two templates is another matter");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_output_that_somebody_takes_away_and_that_cannot_be_had_is_missing() {
    let mut scene = Scene::new();
    scene.mode = Mode::Park;
    scene.fake.set("a", "v");
    scene.template("t", "{{ fake://a }}");
    scene.template("wrong", "{{ fake://a }}");
    scene
        .run(async |commands| {
            tokio::time::sleep(SECOND).await;
            scene.fake.unset("a");
            scene.template("wrong", "{{ fkae://a }}");
            commands.send(Command::Reload).await.unwrap();
            tokio::time::sleep(SECOND).await;
            assert_eq!(scene.status().state, State::Stale, "the files are there");
            for name in ["t", "wrong"] {
                fs::remove_file(scene.path("out").join(name)).unwrap();
            }
            tokio::time::sleep(SECOND * 3601).await;
            let status = scene.status();
            assert_eq!(status.state, State::Failed);
            assert!(
                status
                    .failing
                    .iter()
                    .all(|failing| failing.last_success.is_none())
            );
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_changed_asks_for_what_is_new_and_for_nothing_else() {
    let mut scene = Scene::new();
    scene.mode = Mode::Park;
    scene.fake.set("a", "v");
    scene.fake.set("b", "w");
    scene.template("old", "{{ fake://a }}");
    scene
        .run(async |commands| {
            tokio::time::sleep(SECOND).await;
            scene.fake.set("a", "rotated");
            scene.template("new", "{{ fake://a }} {{ fake://b }}");
            commands.send(Command::Replan).await.unwrap();
            tokio::time::sleep(SECOND).await;
            assert_eq!(scene.output("new").as_deref(), Some("v w"));
            assert_eq!(scene.fake.calls(), [["a/"], ["b/"]]);
            commands.send(Command::Reload).await.unwrap();
            tokio::time::sleep(SECOND).await;
            assert_eq!(scene.output("new").as_deref(), Some("rotated w"));
            assert_eq!(scene.output("old").as_deref(), Some("rotated"));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_placeholder_of_an_earlier_run_is_no_good_output() {
    let mut scene = Scene::new();
    scene.on_error = OnError::Passthrough;
    scene.template("t", "x={{ fake://a }}");
    for mode in [Mode::OneShot, Mode::Park] {
        scene.mode = mode;
        scene.run(async |_| tokio::time::sleep(SECOND * 61).await).await;
        assert_eq!(scene.output("t").as_deref(), Some("x={{ fake://a }}"));
        assert_eq!(scene.status().state, State::Failed, "{mode:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn leftovers_go_from_directories_that_have_no_template_any_more() {
    const LEFTOVER: &str = ".locket-0123456789abcdef.tmp";
    let scene = Scene::new();
    scene.fake.set("a", "v");
    scene.template("t", "{{ fake://a }}");
    fs::create_dir_all(scene.path("out/gone/deep")).unwrap();
    for name in [LEFTOVER, "foreign"] {
        fs::write(scene.path("out/gone/deep").join(name), "x").unwrap();
    }
    scene.one_shot().await;
    assert!(!scene.path("out/gone/deep").join(LEFTOVER).exists());
    assert!(scene.path("out/gone/deep/foreign").exists());
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_keeps_failing_holds_up_no_refresh_of_others() {
    let mut scene = Scene::new();
    scene.mode = Mode::Park;
    scene.fake.set("a", "old");
    scene.template("good", "{{ fake://a }}");
    scene.template("bad", "{{ fake://b }}");
    scene.fake.break_item("b");
    scene
        .run(async |commands| {
            tokio::time::sleep(SECOND * 1800).await;
            scene.fake.set("a", "new");
            commands.send(Command::Reload).await.unwrap();
            tokio::time::sleep(SECOND).await;
            assert_eq!(scene.output("good").as_deref(), Some("new"));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn another_limit_of_requests_counts_from_the_reload_on() {
    let mut scene = Scene::new();
    scene.mode = Mode::Park;
    scene.fake.set("a", "v");
    scene.template("t", "{{ fake://a }}");
    let limit = Cell::new(SECOND);
    let setup = || {
        let mut setup = scene.setup();
        setup.schedule.request = limit.get();
        setup
    };
    scene
        .run_with(setup, async |commands| {
            tokio::time::sleep(SECOND).await;
            scene.fake.delay(SECOND * 20);
            scene.fake.set("a", "slow");
            commands.send(Command::Reload).await.unwrap();
            tokio::time::sleep(SECOND * 10).await;
            assert_eq!(scene.status().state, State::Stale, "that was too slow");
            limit.set(SECOND * 30);
            commands.send(Command::Reload).await.unwrap();
            tokio::time::sleep(SECOND * 50).await;
            assert_eq!(scene.output("t").as_deref(), Some("slow"));
            assert_eq!(scene.status().state, State::Ready);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn the_status_moves_with_a_reload_and_its_old_file_is_of_no_living_agent() {
    let mut scene = Scene::new();
    scene.mode = Mode::Park;
    scene.template("t", "x");
    let file = Cell::new(Some("status"));
    let setup = || Setup {
        status_file: file.get().map(|name| scene.path(name)),
        ..scene.setup()
    };
    let seen = |name: &str| observe(&scene.path(name)).ok();
    let is_healthy =
        |name: &str| seen(name).is_some_and(|seen| seen.alive && seen.status.state == State::Ready);
    fs::create_dir(scene.path("occupied")).unwrap();
    scene
        .run_with(setup, async |commands| {
            tokio::time::sleep(SECOND).await;
            assert!(is_healthy("status"));
            for (wanted, shown) in [(Some("other"), "other"), (Some("occupied"), "other")] {
                file.set(wanted);
                commands.send(Command::Replan).await.unwrap();
                tokio::time::sleep(SECOND).await;
                assert!(is_healthy(shown), "{wanted:?}");
                assert!(!seen("status").unwrap().alive);
            }
            file.set(None);
            commands.send(Command::Replan).await.unwrap();
            tokio::time::sleep(SECOND).await;
            assert!(!seen("other").unwrap().alive);
        })
        .await;
}
