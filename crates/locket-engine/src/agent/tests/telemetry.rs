//! The audit log and the metrics of whole runs. The clock runs here, since a thread writes the log.

use serde_json::Value;

use super::*;
use crate::telemetry::AuditTarget;

fn audited(scene: &Scene) -> Setup {
    Setup {
        outlets: Outlets {
            audit: Some(AuditTarget::File(scene.path("audit"))),
            metrics: None,
        },
        ..scene.setup()
    }
}

fn lines(scene: &Scene, event: &str) -> Vec<Value> {
    let text = fs::read_to_string(scene.path("audit")).unwrap();
    let lines = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["event"] == event).collect()
}

#[tokio::test]
async fn every_read_write_and_notification_is_a_line_without_any_value() {
    let mut scene = Scene::new();
    scene.count_changes();
    scene.fake.set("a", "canary-value");
    scene.template("good", "x {{ fake://a }}");
    scene.template("bad", "{{ fake://nowhere }}");
    scene.run_with(|| audited(&scene), async |_| {}).await;
    let resolved = lines(&scene, "resolve");
    assert_eq!(resolved.len(), 2, "{resolved:?}");
    let of = |reference: &str| {
        resolved
            .iter()
            .find(|line| line["reference"] == reference)
            .unwrap()
    };
    assert_eq!(
        (&of("fake://a")["outcome"], &of("fake://a")["provider"]),
        (&"ok".into(), &"fake".into())
    );
    assert_eq!(of("fake://a")["fingerprint"].as_str().unwrap().len(), 64);
    assert_eq!(of("fake://nowhere")["outcome"], "not-found");
    let written = lines(&scene, "write");
    assert_eq!(written.len(), 1);
    assert_eq!(written[0]["target"], scene.path("out/good").display().to_string());
    assert_eq!(
        (&written[0]["outcome"], &written[0]["mode"]),
        (&"created".into(), &"0600".into())
    );
    assert_ne!(
        written[0]["fingerprint"],
        of("fake://a")["fingerprint"],
        "the file holds more than the value"
    );
    assert_eq!(lines(&scene, "notify")[0]["outcome"], "told");
    let text = fs::read_to_string(scene.path("audit")).unwrap();
    assert!(!text.contains("canary") && text.contains("fake://a"), "{text}");

    let first = of("fake://a")["fingerprint"].clone();
    scene.run_with(|| audited(&scene), async |_| {}).await;
    assert_eq!(lines(&scene, "write").len(), 1, "nothing was written again");
    let again = lines(&scene, "resolve");
    assert_eq!(
        again.iter().filter(|line| line["fingerprint"] == first).count(),
        2,
        "the key is kept"
    );
}

#[tokio::test]
async fn without_its_audit_log_a_run_does_not_begin() {
    let scene = Scene::new();
    scene.template("a", "x");
    let nowhere = || Setup {
        outlets: Outlets {
            audit: Some(AuditTarget::File(scene.path("no/audit"))),
            metrics: None,
        },
        ..scene.setup()
    };
    let stateless = || Setup {
        state_dir: None,
        ..audited(&scene)
    };
    let setups: [&dyn Fn() -> Setup; 2] = [&nowhere, &stateless];
    for setup in setups {
        let ending = scene.run_with(setup, async |_| {}).await;
        assert_eq!(ending.refused.len(), 1, "{ending:?}");
        assert_eq!(scene.output("a"), None);
    }
}

#[tokio::test]
async fn a_log_that_fails_later_stops_nothing_and_shows_in_the_status() {
    let mut scene = Scene::new();
    scene.mode = Mode::Park;
    scene.fake.set("a", "1");
    scene.template("a", "{{ fake://a }}");
    scene
        .run_with(
            || audited(&scene),
            async |commands| {
                becomes(&scene, State::Ready).await;
                fs::remove_file(scene.path("audit")).unwrap();
                fs::create_dir(scene.path("audit")).unwrap();
                scene.fake.set("a", "2");
                commands.send(Command::Reload).await.unwrap();
                becomes(&scene, State::Stale).await;
                // Secrets arrive all the same.
                while scene.output("a").as_deref() != Some("2") {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                let status = scene.status();
                assert_eq!(status.failing[0].target, scene.path("audit"));
                assert!(status.failing[0].last_success.is_some());
                fs::remove_dir(scene.path("audit")).unwrap();
                becomes(&scene, State::Ready).await;
            },
        )
        .await;
    assert!(
        !lines(&scene, "resolve").is_empty(),
        "the lines were kept until then"
    );
}

async fn becomes(scene: &Scene, state: State) {
    for _ in 0..2_000 {
        if scene.path("status").exists()
            && observe(&scene.path("status")).is_ok_and(|seen| seen.status.state == state)
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it never became {state:?}");
}

#[tokio::test]
async fn metrics_tell_of_rounds_outputs_calls_and_notifications() {
    let mut scene = Scene::new();
    scene.mode = Mode::Park;
    scene.count_changes();
    scene.fake.set("a", "canary-value");
    scene.template("good", "{{ fake://a }}");
    scene.template("bad", "{{ fake://nowhere }}");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let setup = || Setup {
        outlets: Outlets {
            audit: None,
            metrics: Some(address),
        },
        ..scene.setup()
    };
    scene
        .run_with(setup, async |_| {
            becomes(&scene, State::Failed).await;
            let mut page = String::new();
            for _ in 0..2_000 {
                page = fetch(address).await;
                if page.contains("locket_notifications_total{outcome=\"told\"} 1") {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            for sample in [
                "locket_rounds_total{reason=\"start\"} 1",
                "locket_outputs{standing=\"good\"} 1",
                "locket_outputs{standing=\"missing\"} 1",
                "locket_writes_total 1",
                "locket_provider_calls_total{provider=\"fake\",outcome=\"ok\"} 1",
                "locket_provider_calls_total{provider=\"fake\",outcome=\"not-found\"} 1",
                "locket_notifications_total{outcome=\"told\"} 1",
            ] {
                assert!(page.contains(&format!("\n{sample}\n")), "{sample} in {page}");
            }
            assert!(!page.contains("canary"));
        })
        .await;
    assert!(
        tokio::net::TcpStream::connect(address).await.is_err(),
        "nobody listens any more"
    );
}

async fn fetch(address: std::net::SocketAddr) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).await.unwrap();
    page
}

#[tokio::test]
async fn an_address_in_use_refuses_the_run() {
    let scene = Scene::new();
    scene.template("a", "x");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let setup = || Setup {
        outlets: Outlets {
            audit: None,
            metrics: Some(taken.local_addr().unwrap()),
        },
        ..scene.setup()
    };
    let ending = scene.run_with(setup, async |_| {}).await;
    assert_eq!(ending.refused.len(), 1);
    assert_eq!(scene.output("a"), None);
}

#[tokio::test]
async fn a_run_whose_audit_log_or_metrics_are_refused_leaves_no_status_file() {
    let scene = Scene::new();
    scene.fake.set("a", "v");
    scene.template("t", "{{ fake://a }}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let no_log = Outlets {
        audit: Some(AuditTarget::File(scene.path("none/audit"))),
        metrics: None,
    };
    let no_metrics = Outlets {
        audit: None,
        metrics: Some(taken.local_addr().unwrap()),
    };
    for outlets in [no_log, no_metrics] {
        let setup = || Setup {
            outlets: outlets.clone(),
            ..scene.setup()
        };
        let ending = scene.run_with(setup, async |_| {}).await;
        assert_eq!(ending.refused.len(), 1, "{ending:?}");
        assert!(!scene.path("status").exists());
    }
    assert_eq!(scene.one_shot().await.refused, []);
    assert!(scene.path("status").exists());
}
