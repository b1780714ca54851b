use std::os::unix::fs::MetadataExt;

use locket_testkit::services::OpenBao;
use locket_testkit::{Fault, Faults, Rule};
use serde_json::json;

use crate::support::{Agent, Scene, eventually};

/// Outputs that need a real server, reached through a proxy that can break.
struct Outage {
    scene: Scene,
    bao: OpenBao,
    proxy: Faults,
}

impl Outage {
    fn new() -> Option<Self> {
        let bao = OpenBao::start()?;
        let proxy = Faults::before(&bao.url());
        let scene = Scene::new();
        bao.put("app", &json!({ "a": "first-a", "b": "first-b" }));
        scene.write("secrets/local", "here");
        scene.write("in/t", "{{ bao://secret/app/a }}-{{ bao://secret/app/b }}");
        scene.write("in/local", "{{ file://secrets/local }}");
        Some(Self { scene, bao, proxy })
    }

    fn watch(&self, more: &[&str]) -> Agent {
        let arguments = [
            "run",
            "--map",
            "in:out",
            "--debounce",
            "30ms",
            "--status-file",
            "status",
        ];
        let limits = ["--refresh", "200ms", "--request-timeout", "500ms"];
        let mut command = self.scene.locket(arguments.iter().chain(&limits).chain(more));
        Agent::start(
            command
                .env("BAO_ADDR", self.proxy.url())
                .env("BAO_TOKEN", self.bao.root_token()),
        )
    }

    /// Breaks the server, sees that nothing is lost, mends it, sees that the agent recovers by itself.
    fn survives(&self, break_it: impl FnOnce(&Self), mend: impl FnOnce(&Self)) {
        let agent = self.watch(&[]);
        self.scene.becomes("out/t", "first-a-first-b");
        self.scene.state_becomes("ready");
        break_it(self);
        self.bao.put("app", &json!({ "a": "second-a", "b": "second-b" }));
        self.scene.state_becomes("stale");
        assert_eq!(self.scene.read("out/t").as_deref(), Some("first-a-first-b"));
        let status = self.scene.status().to_string();
        assert!(
            status.contains("bao://secret/app/a") && status.contains("bao://secret/app/b"),
            "{status}"
        );
        let check = || {
            self.scene
                .locket(["healthcheck", "--status-file", "status"])
                .status()
                .unwrap()
        };
        assert!(check().success(), "every secret is in place");
        // An edit that needs nothing new is carried out with the last good value.
        self.scene.write("in/t", "edited {{ bao://secret/app/a }}");
        self.scene.becomes("out/t", "edited first-a");
        // Another provider goes on.
        self.scene.write("secrets/local", "changed");
        self.scene.becomes("out/local", "changed");
        mend(self);
        self.scene.becomes("out/t", "edited second-a");
        self.scene.state_becomes("ready");
        let (status, log) = agent.stop();
        assert!(status.success(), "{log}");
        assert!(log.contains("keeps its last good value"), "{log}");
        assert!(
            !log.contains("first-a") && !log.contains("second-a"),
            "a value is in the log: {log}"
        );
    }
}

#[test]
fn a_server_that_is_stopped_loses_nothing_and_is_found_again() {
    let Some(outage) = Outage::new() else { return };
    outage.survives(|outage| outage.proxy.go_down(), |outage| outage.proxy.go_up());
}

#[test]
fn a_server_that_accepts_and_hangs_loses_nothing_and_is_found_again() {
    let Some(outage) = Outage::new() else { return };
    outage.survives(
        |outage| {
            outage.proxy.inject(Rule::new(Fault::NeverAnswers));
        },
        |outage| outage.proxy.clear(),
    );
}

#[test]
fn a_server_that_answers_503_loses_nothing_and_is_found_again() {
    let Some(outage) = Outage::new() else { return };
    outage.survives(
        |outage| {
            outage.proxy.inject(Rule::new(Fault::Status(503)));
        },
        |outage| outage.proxy.clear(),
    );
}

#[test]
fn a_start_during_an_outage_keeps_what_an_earlier_run_wrote() {
    let Some(outage) = Outage::new() else { return };
    outage.scene.write("out/t", "from an earlier run");
    outage.proxy.go_down();
    let agent = outage.watch(&["--deadline", "1s"]);
    outage.scene.state_becomes("stale");
    assert_eq!(outage.scene.read("out/t").as_deref(), Some("from an earlier run"));
    assert_eq!(
        outage.scene.read("out/local").as_deref(),
        Some("here"),
        "nothing else is held up"
    );
    outage.proxy.go_up();
    outage.scene.becomes("out/t", "first-a-first-b");
    drop(agent);
}

#[test]
fn a_thousand_templates_cost_one_read_for_each_secret_and_an_unchanged_round_writes_nothing() {
    let Some(bao) = OpenBao::start() else { return };
    let scene = Scene::new();
    for secret in 0..500 {
        bao.put(
            &format!("s{secret}"),
            &json!({ "value": format!("value-{secret}") }),
        );
    }
    bao.call("POST", "sys/auth/approle", &json!({ "type": "approle" }));
    let policy = "path \"secret/data/*\" { capabilities = [\"read\"] }";
    bao.call("POST", "sys/policies/acl/reader", &json!({ "policy": policy }));
    bao.call(
        "POST",
        "auth/approle/role/app",
        &json!({ "token_policies": ["reader"], "token_ttl": "1h" }),
    );
    let id = bao.call("GET", "auth/approle/role/app/role-id", &json!(null));
    let secret_id = bao.call("POST", "auth/approle/role/app/secret-id", &json!({}));
    scene.write("secret-id", secret_id["data"]["secret_id"].as_str().unwrap());
    let expected = |template: usize| -> String {
        (0..5)
            .map(|index| format!("k{index}=value-{}\n", (template * 5 + index) % 500))
            .collect()
    };
    for template in 0..1_000 {
        let text: String = (0..5)
            .map(|index| {
                format!(
                    "k{index}={{{{ bao://secret/s{}/value }}}}\n",
                    (template * 5 + index) % 500
                )
            })
            .collect();
        scene.write(&format!("in/{template}"), text);
    }
    let arguments = [
        "run",
        "--map",
        "in:out",
        "--status-file",
        "status",
        "--refresh",
        "off",
    ];
    let notify = [
        "--notify",
        "exec:sh -c 'echo told >> told'",
        "--state-dir",
        "state",
    ];
    let role = ["--bao.auth", "approle", "--bao.secret-id-file", "secret-id"];
    let mut command = scene.locket(arguments.iter().chain(&notify).chain(&role));
    let agent = Agent::start(
        command
            .env("BAO_ADDR", bao.url())
            .env("BAO_ROLE_ID", id["data"]["role_id"].as_str().unwrap()),
    );
    scene.state_becomes("ready");
    for template in [0, 499, 999] {
        assert_eq!(scene.read(&format!("out/{template}")), Some(expected(template)));
    }
    let requests = || {
        (
            bao.count("read", "secret/data/"),
            bao.count("update", "auth/approle/login"),
        )
    };
    assert_eq!(requests(), (500, 1), "{}", agent.log());
    eventually("the change is told", || scene.read("told").is_some());
    let stamps = || -> Vec<(u64, i64, i64)> {
        (0..1_000)
            .map(|template| std::fs::metadata(scene.path(&format!("out/{template}"))).unwrap())
            .map(|file| (file.ino(), file.mtime(), file.mtime_nsec()))
            .collect()
    };
    let before = stamps();
    agent.signal("HUP");
    agent.says("reload: 1000 outputs, 0 written, 1000 unchanged");
    assert_eq!(requests().0, 1_000, "one more read for each secret");
    assert_eq!(stamps(), before);
    assert_eq!(scene.read("told").as_deref(), Some("told\n"));
    bao.put("s7", &json!({ "value": "rotated" }));
    agent.signal("HUP");
    agent.says("reload: 1000 outputs, 10 written, 990 unchanged");
    let after = stamps();
    let changed: Vec<_> = (0..1_000)
        .filter(|template| before[*template] != after[*template])
        .collect();
    assert_eq!(changed, (0..10).map(|block| block * 100 + 1).collect::<Vec<_>>());
    eventually("the rotation is told once", || {
        scene.read("told").as_deref() == Some("told\ntold\n")
    });
}
