//! The engine that counts, held against the real one: the same calls, the same statuses and fields.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use locket_testkit::Server;
use locket_testkit::fakes::docker::Docker;
use locket_testkit::services::Engine;
use serde_json::{Value, json};

use super::containers::LISTENER;
use crate::support::eventually;

const PROJECT: &str = "com.docker.compose.project";
const SERVICE: &str = "com.docker.compose.service";

/// What of an answer is read, with the status.
fn seen(status: u16, body: &Value) -> Value {
    let has_id = |of: &Value| of["Id"].as_str().is_some_and(|id| id.len() == 64);
    let fields = match body {
        Value::Array(listed) => listed
            .iter()
            .map(|one| {
                json!({ "id": has_id(one), "names": one["Names"], "state": one["State"], "labels": one["Labels"] })
            })
            .collect(),
        one if one["Config"].is_object() => json!({
            "id": has_id(one),
            "running": one["State"]["Running"],
            "image": one["Config"]["Image"],
            "labels": one["Config"]["Labels"],
        }),
        // Texts of refusals are for people.
        one => json!({ "has a message": one["message"].is_string() }),
    };
    json!({ "status": status, "fields": fields })
}

/// The labels of Compose of a container.
fn labels(name: &str) -> [(&str, &str); 2] {
    [(PROJECT, "told"), (SERVICE, name.trim_start_matches("told-"))]
}

fn asked(mut stream: impl Read + Write, method: &str, path: &str) -> (u16, Value) {
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: engine\r\nContent-Length: 0\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or_default())
}

/// What both engines answer to the same question.
fn same(engine: &Engine, server: &Server, method: &str, path: &str) -> Value {
    let real = asked(UnixStream::connect(engine.socket()).unwrap(), method, path);
    let fake = asked(TcpStream::connect(server.address()).unwrap(), method, path);
    let [real, fake] = [real, fake].map(|(status, body)| seen(status, &body));
    assert_eq!(real, fake, "{method} {path}");
    real
}

/// The question for the containers with these labels.
fn labelled(labels: &[String], more: &str) -> String {
    let filters = json!({ "label": labels }).to_string();
    let filters: String = filters.bytes().map(|byte| format!("%{byte:02X}")).collect();
    format!("/containers/json?filters={filters}{more}")
}

#[test]
fn the_engine_that_counts_answers_as_the_real_one_does() {
    let Some(engine) = Engine::shared() else { return };
    let names = ["told-app", "told-stopped", "told-mail"];
    let docker = Docker::new();
    for name in names {
        let mut arguments: Vec<String> = ["run", "--detach", "--stop-signal", "KILL", "--name", name]
            .map(str::to_owned)
            .into();
        for (label, value) in labels(name) {
            arguments.extend(["--label".to_owned(), format!("{label}={value}")]);
        }
        arguments.extend(["busybox", "sh", "-c", LISTENER].map(str::to_owned));
        engine.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        docker.add(name, "busybox", &labels(name));
    }
    let answering = docker.clone();
    let server = Server::start(move |request| answering.answer(&request));
    let real = |method: &str, path: &str| asked(UnixStream::connect(engine.socket()).unwrap(), method, path);
    let fake = |method: &str, path: &str| asked(TcpStream::connect(server.address()).unwrap(), method, path);
    let same = |method: &str, path: &str| same(engine, &server, method, path);
    let project = format!("{PROJECT}=told");

    assert_eq!(
        same("POST", "/containers/told-stopped/kill?signal=SIGKILL")["status"],
        204
    );
    eventually("the real one has stopped", || {
        real("GET", "/containers/told-stopped/json").1["State"]["Running"] == json!(false)
    });
    for name in names {
        assert_eq!(same("GET", &format!("/containers/{name}/json"))["status"], 200);
    }
    for (ask, name) in [
        (&real as &dyn Fn(&str, &str) -> (u16, Value), "real"),
        (&fake, "fake"),
    ] {
        let (_, by_name) = ask("GET", "/containers/told-app/json");
        let id = by_name["Id"].as_str().unwrap();
        let (status, by_id) = ask("GET", &format!("/containers/{id}/json"));
        assert_eq!((status, &by_id["Id"]), (200, &by_name["Id"]), "{name}");
    }
    assert_eq!(same("GET", "/containers/nobody/json")["status"], 404);

    let all = same("GET", &labelled(std::slice::from_ref(&project), "&all=true"));
    assert_eq!(all["fields"].as_array().map(Vec::len), Some(3));
    assert_eq!(
        all["fields"][0]["names"],
        json!(["/told-mail"]),
        "the newest comes first"
    );
    let running = same("GET", &labelled(std::slice::from_ref(&project), ""));
    assert_eq!(running["fields"].as_array().map(Vec::len), Some(2));
    let mail = same(
        "GET",
        &labelled(&[project.clone(), format!("{SERVICE}=mail")], "&all=true"),
    );
    assert_eq!(mail["fields"][0]["names"], json!(["/told-mail"]));
    let nobody = same(
        "GET",
        &labelled(&[project, format!("{SERVICE}=nobody")], "&all=true"),
    );
    assert_eq!(nobody["fields"], json!([]));

    for (path, status) in [
        ("/containers/told-app/kill?signal=SIGHUP", 204),
        ("/containers/told-app/kill?signal=SIGNONE", 400),
        ("/containers/told-stopped/kill?signal=SIGHUP", 409),
        ("/containers/nobody/kill?signal=SIGHUP", 404),
        ("/containers/told-app/restart", 204),
        ("/containers/told-stopped/restart", 204),
        ("/containers/nobody/restart", 404),
    ] {
        assert_eq!(same("POST", path)["status"], status, "{path}");
    }
    // A restart starts what was stopped.
    for name in names {
        let after = same("GET", &format!("/containers/{name}/json"));
        assert_eq!(after["fields"]["running"], true, "{name}");
    }
    let told = docker.take_told();
    assert_eq!(told["told-app"], ["SIGHUP", "restart"]);
    assert_eq!(told["told-stopped"], ["SIGKILL", "restart"]);
}

#[test]
fn both_engines_take_signals_and_restarts_of_a_paused_container() {
    let Some(engine) = Engine::shared() else { return };
    let name = "told-paused";
    let label = "locket.test=paused";
    engine.run(&[
        "run",
        "--detach",
        "--stop-signal",
        "KILL",
        "--label",
        label,
        "--name",
        name,
        "busybox",
        "sh",
        "-c",
        LISTENER,
    ]);
    let paused = engine.docker().args(["pause", name]).output().unwrap();
    if !paused.status.success() {
        println!("skipped: this machine cannot freeze processes");
        return;
    }
    let docker = Docker::new();
    docker.add(name, "busybox", &[("locket.test", "paused")]);
    docker.pause(name);
    let answering = docker.clone();
    let server = Server::start(move |request| answering.answer(&request));
    let same = |method: &str, path: &str| same(engine, &server, method, path);
    let listed = same("GET", &labelled(&[label.to_owned()], ""));
    assert_eq!(listed["fields"][0]["state"], "paused");
    let inspect = format!("/containers/{name}/json");
    assert_eq!(same("GET", &inspect)["fields"]["running"], true);
    let signal = format!("/containers/{name}/kill?signal=SIGHUP");
    assert_eq!(same("POST", &signal)["status"], 204);
    let restart = format!("/containers/{name}/restart");
    assert_eq!(same("POST", &restart)["status"], 204);
    let listed = same("GET", &labelled(&[label.to_owned()], ""));
    assert_eq!(listed["fields"][0]["state"], "running");
    assert_eq!(docker.take_told()[name], ["SIGHUP", "restart"]);
}
