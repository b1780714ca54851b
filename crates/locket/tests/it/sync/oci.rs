//! The map of seed 003 against a tenancy of Oracle Cloud, with memory below the files and containers of a real engine.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use locket_testkit::Server;
use locket_testkit::fakes::oci::Oci;
use locket_testkit::services::Engine;

use super::containers::{start, times};
use crate::support::{Mount, Scene, eventually};

#[test]
fn the_map_of_the_seed_as_its_users() {
    let Some(engine) = Engine::shared() else { return };
    for name in ["myapp", "mailrelay"] {
        start(engine, name, &[]);
    }
    let fake = Oci::new();
    let vault = fake.add_vault();
    let database = fake.add_secret(&vault, "dbpass", b"hunter2\n");
    let mail = fake.add_secret(&vault, "smtpcred", b"relay\x00\xff\r\n");
    let key = fake.add_secret(&vault, "apikey", b"key");
    let answering = fake.clone();
    let server = Server::start(move |request| answering.answer(&request));
    let scene = Scene::new();
    let memory = scene.path("secrets");
    let _memory = Mount::tmpfs(&memory, "8m");
    let at = memory.display();
    scene.write(
        "map.csv",
        format!(
            "# ocid,path,mode,container,signal\n{database},{at}/db_password,0600,myapp,HUP\n\
             {mail},{at}/smtp_password,0600,mailrelay,USR1\n{key},{at}/my_api_key,0400,,\n"
        ),
    );
    let round = || {
        let mut command = scene.locket(["sync", "map.csv", "--state-dir", "state", "--deadline", "3s"]);
        command
            .args([
                "--oci.endpoint",
                &server.url(),
                "--oci.auth-endpoint",
                &server.url(),
            ])
            .env("OCI_CLI_AUTH", "instance_principal")
            .env("OCI_METADATA_BASE_URL", format!("{}/opc/v2", server.url()))
            .env("DOCKER_HOST", format!("unix://{}", engine.socket().display()));
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let told = || {
        let each = ["myapp", "mailrelay"]
            .map(|name| [times(engine, name, "got HUP"), times(engine, name, "got USR1")]);
        each.concat()
    };
    let (code, out, log) = round();
    assert_eq!(code, Some(3), "{log}");
    let mut lines: Vec<_> = out.lines().collect();
    lines.sort_unstable();
    let mut expected = [
        format!("Updated {at}/db_password from {database}"),
        format!("Updated {at}/my_api_key from {key}"),
        format!("Updated {at}/smtp_password from {mail}"),
    ];
    expected.sort_unstable();
    assert_eq!(lines, expected);
    eventually("each container gets its signal once", || told() == [1, 0, 0, 1]);
    assert_eq!(fs::read(memory.join("db_password")).unwrap(), b"hunter2\n");
    assert_eq!(
        fs::read(memory.join("smtp_password")).unwrap(),
        b"relay\x00\xff\r\n"
    );
    let mode = |name: &str| fs::metadata(memory.join(name)).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode("db_password"), mode("my_api_key")), (0o600, 0o400));

    let (code, out, log) = round();
    assert_eq!((code, out.as_str()), (Some(0), ""), "{log}");

    fake.rotate(&database, b"hunter3");
    let (code, out, log) = round();
    assert_eq!(code, Some(3), "{log}");
    assert_eq!(out, format!("Updated {at}/db_password from {database}\n"));
    eventually("one container is told", || told() == [2, 0, 0, 1]);

    fake.deny(&mail);
    fake.rotate(&key, b"key2");
    let (code, out, log) = round();
    assert_eq!(code, Some(1), "{log}");
    assert_eq!(
        out,
        format!("Updated {at}/my_api_key from {key}\n"),
        "the other rows go on"
    );
    assert!(log.contains(&format!("ERR: fetch {mail} failed: ")), "{log}");
    assert_eq!(
        fs::read(memory.join("smtp_password")).unwrap(),
        b"relay\x00\xff\r\n",
        "it keeps its last value"
    );
    assert_eq!(told(), [2, 0, 0, 1]);
}
