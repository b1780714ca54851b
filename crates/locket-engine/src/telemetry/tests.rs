use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::*;
use locket_core::SecretBytes;

const PATIENCE: Duration = Duration::from_secs(20);

fn record(outcome: &str) -> Record<'_> {
    Record {
        event: "write",
        outcome,
        target: Some("/run/a \"b\"\n".to_owned()),
        ..Record::at(SystemTime::UNIX_EPOCH + Duration::from_millis(1_500), 7)
    }
}

async fn write(target: &AuditTarget, outcomes: &[&str]) {
    let log = AuditLog::open(target).unwrap();
    for outcome in outcomes {
        log.write(&record(outcome), false);
    }
    assert_eq!(log.finish(PATIENCE).await, Ok(()));
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Waits, in real time, until something is so.
async fn eventually(mut ready: impl FnMut() -> bool) {
    for _ in 0..2_000 {
        if ready() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it never came");
}

#[tokio::test]
async fn each_line_is_json_with_what_applies_and_the_file_is_private() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit");
    let target = AuditTarget::File(path.clone());
    write(&target, &["created"]).await;
    write(&target, &["replaced"]).await;
    let lines = lines(&path);
    assert_eq!(lines.len(), 2, "a later run appends");
    assert_eq!(lines[0]["time"], "1970-01-01T00:00:01.500Z");
    assert_eq!(lines[0]["generation"], 7);
    assert_eq!(lines[0]["target"], "/run/a \"b\"\n");
    assert!(lines[0].get("reference").is_none());
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
}

#[tokio::test]
async fn a_rotated_file_is_noticed_with_the_next_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit");
    let log = AuditLog::open(&AuditTarget::File(path.clone())).unwrap();
    log.write(&record("first"), false);
    eventually(|| fs::read_to_string(&path).is_ok_and(|text| text.contains("first"))).await;
    fs::rename(&path, directory.path().join("audit.1")).unwrap();
    log.write(&record("second"), false);
    assert_eq!(log.finish(PATIENCE).await, Ok(()));
    assert_eq!(lines(&path)[0]["outcome"], "second");
    assert_eq!(lines(&directory.path().join("audit.1")).len(), 1);
}

#[tokio::test]
async fn a_link_a_directory_and_a_missing_place_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("precious");
    fs::write(&target, "x").unwrap();
    let link = directory.path().join("link");
    symlink(&target, &link).unwrap();
    for path in [
        link,
        directory.path().to_owned(),
        directory.path().join("no/audit"),
    ] {
        assert!(
            AuditLog::open(&AuditTarget::File(path.clone())).is_err(),
            "{}",
            path.display()
        );
    }
    assert_eq!(fs::read_to_string(&target).unwrap(), "x");
    assert!(AuditLog::open(&AuditTarget::Journal(directory.path().join("none"))).is_err());
}

#[tokio::test]
async fn lines_wait_for_a_log_that_cannot_be_written_and_that_shows() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit");
    let log = AuditLog::open(&AuditTarget::File(path.clone())).unwrap();
    log.write(&record("one"), false);
    eventually(|| path.exists() && fs::read_to_string(&path).unwrap().contains("one")).await;
    fs::rename(&path, directory.path().join("away")).unwrap();
    fs::create_dir(&path).unwrap();
    log.write(&record("two"), false);
    log.changed().await;
    assert!(log.health().failure.is_some());
    fs::remove_dir(&path).unwrap();
    log.changed().await;
    assert_eq!(log.health(), Health::default());
    assert_eq!(log.finish(PATIENCE).await, Ok(()));
    assert_eq!(lines(&path)[0]["outcome"], "two");
}

#[tokio::test]
async fn lines_that_are_never_written_are_counted_at_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit");
    let log = AuditLog::open(&AuditTarget::File(path.clone())).unwrap();
    fs::rename(&path, directory.path().join("away")).unwrap();
    fs::create_dir(&path).unwrap();
    for outcome in ["one", "two", "three"] {
        log.write(&record(outcome), false);
    }
    let left = log.finish(PATIENCE).await.unwrap_err();
    assert!(left.starts_with("3 lines of the audit log"), "{left}");
}

#[tokio::test]
async fn the_journal_gets_fields_in_its_own_protocol_and_a_new_socket_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let path: PathBuf = directory.path().join("socket");
    let journal = UnixDatagram::bind(&path).unwrap();
    let log = AuditLog::open(&AuditTarget::Journal(path.clone())).unwrap();
    log.write(&record("failed"), true);
    let mut buffer = [0; 4096];
    let length = journal.recv(&mut buffer).unwrap();
    let entry = String::from_utf8(buffer[..length].to_vec()).unwrap();
    let fields: Vec<_> = entry.lines().map(|line| line.split_once('=').unwrap()).collect();
    assert_eq!(
        fields[1..4],
        [
            ("PRIORITY", "4"),
            ("SYSLOG_IDENTIFIER", "locket"),
            ("LOCKET_EVENT", "write")
        ]
    );
    assert_eq!(
        serde_json::from_str::<Value>(fields[0].1).unwrap()["outcome"],
        "failed"
    );
    drop(journal);
    fs::remove_file(&path).unwrap();
    let journal = UnixDatagram::bind(&path).unwrap();
    log.write(&record("created"), false);
    assert!(journal.recv(&mut buffer).unwrap() > 0);
    assert_eq!(log.finish(PATIENCE).await, Ok(()));
}

#[test]
fn equal_values_have_equal_digests_on_one_machine_only() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let digest = |directory: &Path, value: &[u8]| {
        Fingerprints::open(directory)
            .unwrap()
            .of(&SecretBytes::copy_from(value))
    };
    let first = digest(here.path(), b"s3cret");
    assert_eq!((first.len(), digest(here.path(), b"s3cret")), (64, first.clone()));
    assert_ne!(digest(here.path(), b"other"), first);
    assert_ne!(
        digest(there.path(), b"s3cret"),
        first,
        "the key is the machine's own"
    );
    let key = here.path().join("audit.key");
    assert_eq!(fs::metadata(key).unwrap().mode() & 0o7777, 0o600);
}

fn snapshot() -> Snapshot {
    let mut snapshot = Snapshot {
        rounds: [("start", 1), ("refresh", 2)].into(),
        outputs: [("good", 3), ("missing", 0)].into(),
        writes: 4,
        last_success: Some(1_700_000_000),
        calls: [((Arc::from("odd\"name\\"), "ok"), 5)].into(),
        notifications: [("told", 6)].into(),
        leases: [(Arc::from("bao"), 1_700_000_600)].into(),
        audit_lost: Some(0),
        ..Snapshot::default()
    };
    snapshot.durations.observe(Duration::from_millis(30));
    snapshot.durations.observe(Duration::from_secs(7));
    snapshot
}

/// The samples of a page by name and labels, as a scraper reads it; any mistake in the format is one of the test.
fn samples(page: &str) -> std::collections::BTreeMap<String, f64> {
    let mut families = std::collections::BTreeSet::new();
    let mut samples = std::collections::BTreeMap::new();
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# ") {
            let mut words = rest.splitn(3, ' ');
            let (kind, name) = (words.next().unwrap(), words.next().unwrap());
            let text = words.next().unwrap();
            assert!(matches!(kind, "HELP" | "TYPE"), "{line}");
            if kind == "TYPE" {
                assert!(matches!(text, "counter" | "gauge" | "histogram"), "{line}");
                assert!(families.insert(name.to_owned()), "{name} is described twice");
            }
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        let name = series.split('{').next().unwrap();
        assert!(
            name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'),
            "{line}"
        );
        let described = ["", "_bucket", "_sum", "_count"].iter().any(|end| {
            name.strip_suffix(end)
                .is_some_and(|family| families.contains(family))
        });
        assert!(described, "{line} has no TYPE before it");
        assert!(
            samples
                .insert(series.to_owned(), value.parse().unwrap())
                .is_none(),
            "{line} comes twice"
        );
    }
    samples
}

#[test]
fn the_page_is_in_the_text_format_with_each_family_described() {
    let samples = samples(&snapshot().text());
    let value = |series: &str| {
        samples
            .get(series)
            .copied()
            .unwrap_or_else(|| panic!("{series}: {samples:?}"))
    };
    assert_eq!(value("locket_rounds_total{reason=\"refresh\"}"), 2.0);
    assert_eq!(value("locket_round_duration_seconds_bucket{le=\"0.05\"}"), 1.0);
    assert_eq!(value("locket_round_duration_seconds_bucket{le=\"10\"}"), 2.0);
    assert_eq!(value("locket_round_duration_seconds_bucket{le=\"+Inf\"}"), 2.0);
    assert_eq!(value("locket_round_duration_seconds_count"), 2.0);
    assert_eq!(value("locket_outputs{standing=\"missing\"}"), 0.0);
    assert_eq!(
        value("locket_provider_calls_total{provider=\"odd\\\"name\\\\\",outcome=\"ok\"}"),
        5.0
    );
    assert_eq!(
        value("locket_lease_expiry_timestamp_seconds{provider=\"bao\"}"),
        1_700_000_600.0
    );
    assert!(
        samples
            .keys()
            .any(|series| series.starts_with("locket_build_info{version=\""))
    );
    assert!(
        !Snapshot::default().text().contains("audit"),
        "without an audit log there is none"
    );
}

fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[tokio::test]
async fn the_server_answers_one_page_and_lets_nobody_stay() {
    let board = Board::default();
    board.show(snapshot());
    let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let server = Server::start(listener, board).unwrap();
    let address = server.address();
    tokio::task::spawn_blocking(move || {
        let page = ask(address, "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n");
        let (head, body) = page.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert!(head.contains("text/plain; version=0.0.4"), "{head}");
        assert_eq!(samples(body), samples(&snapshot().text()));
        assert!(ask(address, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").starts_with("HTTP/1.1 404"));
        assert!(ask(address, "POST /metrics HTTP/1.1\r\nhost: x\r\n\r\n").starts_with("HTTP/1.1 405"));
        assert!(!ask(address, "nonsense\r\n\r\n").contains("locket_"));
        // Those who connect and say nothing take the places, until one leaves.
        let mut silent: Vec<_> = (0..16).map(|_| TcpStream::connect(address).unwrap()).collect();
        let mut turned_away = String::new();
        for _ in 0..1_000 {
            let mut stream = TcpStream::connect(address).unwrap();
            let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n");
            turned_away.clear();
            if stream.read_to_string(&mut turned_away).is_err() || turned_away.is_empty() {
                break;
            }
        }
        assert!(turned_away.is_empty(), "the seventeenth is turned away");
        silent.clear();
        let answers = || ask_gently(address).starts_with("HTTP/1.1 200");
        assert!(
            (0..1_000).any(|_| answers()),
            "a place that is free again is given away"
        );
    })
    .await
    .unwrap();
    drop(server);
}

fn ask_gently(address: SocketAddr) -> String {
    let mut answer = String::new();
    if let Ok(mut stream) = TcpStream::connect(address) {
        let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n");
        let _ = stream.read_to_string(&mut answer);
    }
    answer
}
