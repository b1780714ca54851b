//! An agent in which an attacker's code runs: where templates are read and where answers come in. The attack stands in
//! the test, as the functions that a provider gives to the agent, so that the program itself needs no hook.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test without the harness: it fails by panicking, prints, and its processes are told what to do"
)]

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use locket_core::plan::{Map, OutputSettings, Plan};
use locket_core::schemes::Fragment;
use locket_core::{
    BoxFuture, Capability, Clock, Diagnostic, Environment, FetchCx, Fetched, Locator, Provider,
    ProviderError, Reference, Scheme, Schemes, SecretBytes,
};
use locket_engine::agent::{
    self, AgentCx, AtEnd, Command as Order, Mode, Observer, Sandbox, Schedule, Setup, Surroundings,
};
use locket_engine::notify::{LocalCourier, Notifier};
use locket_engine::telemetry::Outlets;
use locket_engine::{Instance, InstanceLimits, Instances};
use locket_sys::landlock;

/// Says to the process that is attacked whether it is confined.
const SANDBOX: &str = "LOCKET_TEST_SANDBOX";

/// Says to it where it lives.
const GROUND_VARIABLE: &str = "LOCKET_TEST_GROUND";

/// Where the agent that is attacked lives.
static GROUND: OnceLock<PathBuf> = OnceLock::new();

/// What the attacker's code could do, and when it tried.
static LOOT: Mutex<Vec<Loot>> = Mutex::new(Vec::new());

#[derive(Debug)]
struct Loot {
    moment: Moment,
    done: Vec<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    Template,
    Answer,
}

/// The standard harness runs each test on a thread beside its own; an agent confines itself only while it has one.
fn main() {
    if let Ok(sandbox) = std::env::var(SANDBOX) {
        return victim(&sandbox);
    }
    without_the_sandbox_the_same_attack_succeeds();
    match landlock::version() {
        Ok(_) => an_agent_taken_over_at_the_template_stage_reads_writes_and_runs_nothing_else(),
        Err(refused) => eprintln!("skipped: {refused}"),
    }
}

/// Everything that an attacker would like to do. What succeeds is named.
fn attack(moment: Moment) {
    let ground = GROUND.get().unwrap();
    let outside = ground.join("outside");
    let done = |is_done: bool, what: &'static str| is_done.then_some(what);
    let done = [
        done(fs::read("/etc/shadow").is_ok(), "read /etc/shadow"),
        done(fs::read(outside.join("secret")).is_ok(), "read a file elsewhere"),
        done(fs::read_dir(&outside).is_ok(), "list a directory elsewhere"),
        done(
            fs::write(outside.join("planted"), "x").is_ok(),
            "write a file elsewhere",
        ),
        done(
            fs::write(ground.join("planted"), "x").is_ok(),
            "write a file beside the destination",
        ),
        done(
            fs::write(ground.join("in/planted"), "x").is_ok(),
            "write a template",
        ),
        done(
            fs::hard_link(outside.join("secret"), ground.join("out/name")).is_ok(),
            "give a file elsewhere a name in the destination",
        ),
        done(Command::new("/bin/true").status().is_ok(), "run a program"),
        done(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).is_ok(), "listen"),
        done(
            rustix::process::getppid()
                .is_some_and(|parent| rustix::process::test_kill_process(parent).is_ok()),
            "signal another process",
        ),
    ];
    let _ = fs::remove_file(ground.join("out/name"));
    let done = done.into_iter().flatten().collect();
    LOOT.lock().unwrap().push(Loot { moment, done });
}

/// Attacks when a template is read, on whichever thread that is.
fn parse(reference: &Reference) -> Result<Locator, Vec<Diagnostic>> {
    attack(Moment::Template);
    Ok(Locator::new(reference.locator(), "", ()))
}

/// Attacks when a secret is asked for.
#[derive(Debug)]
struct Hostile;

impl Provider for Hostile {
    fn capability(&self) -> Capability {
        Capability {
            items_per_call: 8,
            max_concurrent: 1,
            local: true,
        }
    }

    fn fetch<'a>(
        &'a self,
        batch: &'a [Locator],
        _cx: &'a FetchCx,
    ) -> BoxFuture<'a, Vec<Result<Fetched, ProviderError>>> {
        attack(Moment::Answer);
        let value = |locator: &Locator| Ok(Fetched::new(SecretBytes::copy_from(locator.item().as_bytes())));
        Box::pin(std::future::ready(batch.iter().map(value).collect()))
    }
}

#[derive(Debug)]
struct RealTime(std::time::Instant);

impl Clock for RealTime {
    fn wall(&self) -> std::time::SystemTime {
        std::time::SystemTime::now()
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

struct Nobody;

impl Observer for Nobody {
    fn template(&self, _name: &str, _text: &[u8], _found: &[Diagnostic]) {}
}

fn setup(ground: &Path, sandbox: Sandbox) -> Setup {
    let schemes = Schemes::new([Scheme {
        name: "toy".into(),
        bare: true,
        fragment: Fragment::Json,
    }]);
    let instance = Instance {
        parse,
        parse_every: None,
        build: Box::new(|| Ok(Arc::new(Hostile))),
        limits: InstanceLimits::default(),
    };
    Setup {
        plan: Plan {
            maps: vec![Map {
                source: ground.join("in"),
                destination: ground.join("out"),
                settings: OutputSettings::default(),
            }],
            out: ground.join("out"),
            max_file_size: 1 << 20,
            delete_after: Duration::from_secs(10),
            ..Plan::default()
        },
        instances: Arc::new(Instances::new(schemes, [("toy".into(), instance)])),
        schedule: Schedule {
            mode: Mode::Watch,
            refresh: None,
            jitter: Duration::ZERO,
            debounce: Duration::from_millis(20),
            deadline: Duration::from_secs(60),
            request: Duration::from_secs(10),
        },
        actions: Vec::new(),
        notifier: Notifier {
            courier: Arc::new(LocalCourier {
                environment: Environment::default(),
            }),
            timeout: Duration::from_secs(1),
        },
        status_file: Some(ground.join("status")),
        at_end: AtEnd::default(),
        outlets: Outlets::default(),
        state_dir: None,
        handover: None,
        surroundings: Surroundings {
            sandbox,
            ..Surroundings::default()
        },
    }
}

/// Runs the agent through a start and an edit in a process of its own, with the attacker in it, and gives what the
/// attacker could do before the agent was ready, and afterwards.
fn taken_over(sandbox: Sandbox) -> (Vec<String>, Vec<String>) {
    let ground = tempfile::tempdir().unwrap();
    let at = |name: &str| ground.path().join(name);
    for directory in ["in", "outside"] {
        fs::create_dir(at(directory)).unwrap();
    }
    fs::write(at("outside/secret"), "x").unwrap();
    fs::write(at("in/t"), "one {{ toy://a }}").unwrap();
    let victim = Command::new(std::env::current_exe().unwrap())
        .env(GROUND_VARIABLE, ground.path())
        .env(SANDBOX, format!("{sandbox:?}"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let patience = std::time::Instant::now() + Duration::from_secs(60);
    while fs::read(at("out/t")).ok().as_deref() != Some(b"one a") {
        assert!(std::time::Instant::now() < patience, "the agent never got ready");
        std::thread::sleep(Duration::from_millis(5));
    }
    fs::write(at("in/t"), "two {{ toy://b }}").unwrap();
    let output = victim.wait_with_output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{told}");
    let of = |when: &str| {
        let lines = told.lines().filter_map(|line| line.strip_prefix(when));
        lines.map(|line| line.trim().to_owned()).collect::<Vec<_>>()
    };
    for moment in ["answer", "template"] {
        assert!(
            told.contains(&format!("later {moment}")),
            "there was no attack at that moment: {told}"
        );
    }
    (
        of("first template: "),
        [of("later template: "), of("later answer: ")].concat(),
    )
}

fn an_agent_taken_over_at_the_template_stage_reads_writes_and_runs_nothing_else() {
    let (before, after) = taken_over(Sandbox::Auto);
    assert!(
        before.len() >= 8,
        "the control: what the attack can do before {before:?}"
    );
    if rustix::process::geteuid().is_root() {
        assert!(before.iter().any(|done| done.contains("/etc/shadow")));
    }
    let version = landlock::version().unwrap();
    let excused = |done: &String| {
        (done == "listen" && !version.limits_listening())
            || (done == "signal another process" && !version.limits_signals())
    };
    let after: Vec<_> = after.into_iter().filter(|done| !excused(done)).collect();
    assert_eq!(after, Vec::<String>::new());
}

fn without_the_sandbox_the_same_attack_succeeds() {
    let (mut before, mut after) = taken_over(Sandbox::Off);
    for list in [&mut before, &mut after] {
        // There is no destination yet when the first template is read.
        list.retain(|done| !done.contains("a name in the destination"));
        list.sort();
        list.dedup();
    }
    assert_eq!(before, after);
    assert!(after.len() >= 8, "{after:?}");
}

/// The agent with the attacker in it.
fn victim(sandbox: &str) {
    let ground = PathBuf::from(std::env::var_os(GROUND_VARIABLE).unwrap());
    let sandbox = match sandbox {
        "Off" => Sandbox::Off,
        _ => Sandbox::Auto,
    };
    GROUND.set(ground.clone()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (orders, commands) = tokio::sync::mpsc::channel(1);
        let mut reload = || None;
        let cx = AgentCx {
            clock: Arc::new(RealTime(std::time::Instant::now())),
            observer: &Nobody,
            commands,
            reload: &mut reload,
        };
        let stop = async {
            while fs::read(ground.join("out/t")).ok().as_deref() != Some(b"two b") {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            orders.send(Order::Stop).await.unwrap();
        };
        let (ending, ()) = tokio::join!(agent::run(setup(&ground, sandbox), cx), stop);
        assert!(
            ending.unresolved.is_empty() && ending.unwritten.is_empty(),
            "{ending:?}"
        );
    });
    assert_eq!(landlock::confined().is_some(), sandbox == Sandbox::Auto);
    let mut when = "first";
    for Loot { moment, done } in LOOT.lock().unwrap().iter() {
        let moment = match moment {
            Moment::Template => "template",
            Moment::Answer => "answer",
        };
        println!("{when} {moment}");
        for done in done {
            println!("{when} {moment}: {done}");
        }
        when = "later";
    }
}
