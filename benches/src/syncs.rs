//! `locket sync` of a large map, beside a script with one command for each row.

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use locket_testkit::fakes::docker::Docker;
use locket_testkit::{Response, Server};
use serde_json::json;

use crate::process::{command, median, time_to};
use crate::scenes::{Binaries, millis, scratch};
use crate::table::Table;

const ROWS: usize = 1_000;
const CONTAINERS: usize = 200;
const CHANGED: usize = 50;
const TURNS: usize = 3;

/// What such scripts do for each row: fetch, compare, put in place, tell the row's container. The clients are the least
/// that a client can be, where `oci` and `docker` start an interpreter or read a configuration; and what they fetch is
/// written as it comes, without `base64 -d`.
const SCRIPT: &str = r#"#!/bin/sh
set -eu
ask=$1 vault=$2 engine=$3 map=$4
mkdir -p .tmp
changed=0
while IFS=, read -r reference path mode container signal; do
    tmp=.tmp/$container.$$
    umask 077
    "$ask" GET "$vault" "/v1/kv/data/$reference" > "$tmp" || { echo "ERR: fetch $reference failed"; continue; }
    chmod "$mode" "$tmp"
    if [ ! -f "$path" ] || ! cmp -s "$tmp" "$path"; then
        mv -f "$tmp" "$path"
        echo "Updated $path from $reference"
        changed=1
        "$ask" POST "$engine" "/containers/$container/kill?signal=$signal" || true
    else
        rm -f "$tmp"
    fi
done < "$map"
[ "$changed" -eq 1 ] && exit 3 || exit 0
"#;

/// One round after fifty secrets changed.
pub(crate) fn sync(binaries: &Binaries<'_>, table: &mut Table) {
    let generation = Arc::new(AtomicUsize::new(0));
    let vault = vault(generation.clone());
    let docker = Docker::new();
    for container in 0..CONTAINERS {
        docker.add(&format!("c{container}"), "app", &[]);
    }
    let answering = docker.clone();
    let engine = Server::start(move |request| answering.answer(&request));
    let dir = scratch();
    let path = |name: &str| dir.path().join(name);
    fs::write(path("script"), SCRIPT).unwrap();
    fs::set_permissions(path("script"), fs::Permissions::from_mode(0o700)).unwrap();
    let base = dir.path().display();
    let (mut ours, mut theirs) = (String::new(), String::new());
    for row in 0..ROWS {
        let container = row % CONTAINERS;
        let _ = writeln!(
            ours,
            "bao://kv/s{row}/value,{base}/ours/{row},0600,c{container},HUP"
        );
        let _ = writeln!(theirs, "s{row},theirs/{row},0600,c{container},SIGHUP");
    }
    fs::write(path("ours.csv"), ours).unwrap();
    fs::write(path("theirs.csv"), theirs).unwrap();
    fs::create_dir(path("theirs")).unwrap();

    let round = || {
        let mut locket = command(binaries.locket);
        locket.args(["sync", "ours.csv", "--state-dir", "state", "--log-level", "error"]);
        locket
            .env("BAO_ADDR", vault.url())
            .env("BAO_TOKEN", "t")
            .env("DOCKER_HOST", engine.url().replace("http://", "tcp://"));
        time_to(3, locket.current_dir(dir.path()))
    };
    let by_script = || {
        let mut script = command("/bin/sh".as_ref());
        script
            .args([
                "./script".as_ref(),
                binaries.bare.with_file_name("ask").as_os_str(),
            ])
            .args([vault.address().to_string(), engine.address().to_string()])
            .arg("theirs.csv");
        time_to(3, script.current_dir(dir.path()))
    };
    // Requests of a round, and signals among them.
    let counted = || {
        let requests = vault.request_count() + engine.request_count();
        vault.forget();
        engine.forget();
        (requests, docker.take_told().values().map(Vec::len).sum::<usize>())
    };
    round();
    by_script();
    counted();
    let (mut times, mut script_times) = (Vec::new(), Vec::new());
    let (mut asked, mut script_asked) = ((0, 0), (0, 0));
    for turn in 1..=TURNS {
        generation.store(turn, Ordering::Relaxed);
        times.push(round());
        asked = counted();
        script_times.push(by_script());
        script_asked = counted();
        for row in [0, CHANGED, ROWS - 1] {
            let expected = value(row, turn);
            let content = |name: &str| fs::read_to_string(path(name).join(row.to_string())).unwrap();
            assert_eq!(content("ours"), expected);
            assert!(content("theirs").contains(&expected));
        }
    }
    let (ours, theirs) = (median(times), median(script_times));
    let ratio = theirs.as_secs_f64() / ours.as_secs_f64();
    let what = format!("sync of {ROWS} rows over {CONTAINERS} containers, {CHANGED} secrets changed");
    table.gate(
        what.clone(),
        millis(ours),
        format!("a script with one command a row {}", millis(theirs)),
        format!("a fifth (is 1 in {ratio:.1})"),
        ratio >= 5.0,
    );
    table.gate(
        format!("{what}: requests"),
        format!("{}, {} of them signals", asked.0, asked.1),
        format!(
            "the script {}, {} of them signals",
            script_asked.0, script_asked.1
        ),
        "one a row, one for the mount, one signal a container",
        asked.0 <= ROWS + 1 + asked.1 && asked.1 == CHANGED / 2 && asked.0 < script_asked.0,
    );
}

/// Secrets of which the first rows of the first containers change with each generation.
fn vault(generation: Arc<AtomicUsize>) -> Server {
    Server::start(move |request| {
        if request.path.starts_with("/v1/sys/internal/ui/mounts/") {
            let data = json!({ "path": "kv/", "type": "kv", "options": { "version": "2" } });
            return Response::json(200, &json!({ "data": data }));
        }
        let row = request
            .path
            .strip_prefix("/v1/kv/data/s")
            .and_then(|row| row.parse().ok());
        let Some(row) = row else {
            return Response::json(404, &json!({ "errors": [] }));
        };
        let value = value(row, generation.load(Ordering::Relaxed));
        let metadata = json!({ "version": 1, "destroyed": false, "deletion_time": "" });
        Response::json(
            200,
            &json!({ "data": { "data": { "value": value }, "metadata": metadata } }),
        )
    })
}

/// Two rows of each of 25 containers change.
fn value(row: usize, generation: usize) -> String {
    let is_changing = row % CONTAINERS < CHANGED / 2 && row < 2 * CONTAINERS;
    match is_changing {
        true => format!("value-{generation}-of-s{row}"),
        false => format!("value-of-s{row}"),
    }
}
