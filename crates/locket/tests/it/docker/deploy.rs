//! The examples in `deploy/`, brought up as they stand, with the image that they name.

use std::fs;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use locket_testkit::fakes::connect::Item;
use locket_testkit::fakes::onepassword::OnePassword;
use locket_testkit::services::{Engine, find, openbao_program, release};
use locket_testkit::{Canary, Server, TestCa};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::{all, docker, engine};
use crate::documents::Page;
use crate::support::{Scene, eventually};

/// As many bytes as the image that holds everything may have, so that growth is noticed.
const LARGEST: u64 = 15_000_000;

pub(crate) fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy")
}

/// The engine, with the image `locket:latest`.
fn with_image() -> Option<&'static Engine> {
    static ENGINE: OnceLock<Option<&'static Engine>> = OnceLock::new();
    *ENGINE.get_or_init(|| {
        let binary = release()?;
        let engine = engine()?;
        build_image(engine, &binary);
        Some(engine)
    })
}

/// Builds `locket:latest`.
pub(crate) fn build_image(engine: &Engine, binary: &Path) {
    build_image_for(engine, binary, "", "locket:latest", None);
}

/// The same with a provider of its own, and with what is put beside the program.
fn build_image_for(engine: &Engine, binary: &Path, provider: &str, tag: &str, core: Option<&Path>) {
    let context = tempfile::tempdir().unwrap();
    if let Some(core) = core {
        fs::copy(core, context.path().join("op-core.cwasm")).unwrap();
    }
    fs::copy(binary, context.path().join("locket")).unwrap();
    fs::write(context.path().join("sbom.cdx.json"), "{}").unwrap();
    let file = deploy().join("image/Dockerfile");
    let mut build = docker(engine, context.path(), &["build", "--quiet", "--file"]);
    build.arg(file).args(["--build-arg", "VERSION=1.2.3"]);
    build.args(["--build-arg", &format!("PROVIDER={provider}")]);
    succeed(build.args(["--tag", tag, "."]));
}

/// The same, with a server for the examples to ask.
fn with_server() -> Option<&'static Engine> {
    static ENGINE: OnceLock<Option<&'static Engine>> = OnceLock::new();
    *ENGINE.get_or_init(|| {
        let program = openbao_program()?;
        let engine = with_image()?;
        build_server(engine, &program);
        Some(engine)
    })
}

/// Builds the image of the server that the examples ask.
pub(crate) fn build_server(engine: &Engine, program: &Path) {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "FROM busybox\nCOPY bao /bin/bao\n").unwrap();
    let mut build = docker(engine, program.parent().unwrap(), &["build", "--quiet", "--file"]);
    succeed(build.arg(file.path()).args(["--tag", "openbao/openbao:2", "."]));
}

pub(crate) fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", all(&output));
    all(&output)
}

/// An example in a directory of its own, brought up under a name of its own. Dropped, it is taken down.
pub(crate) struct Example<'a> {
    engine: &'a Engine,
    pub(crate) scene: Scene,
    project: String,
    user: &'static str,
}

impl<'a> Example<'a> {
    pub(crate) fn new(engine: &'a Engine, name: &str, project: &str, user: &'static str) -> Self {
        let scene = Scene::new();
        // Whoever the container runs as reads what is mounted.
        fs::set_permissions(scene.path(""), fs::Permissions::from_mode(0o755)).unwrap();
        let mut copy = Command::new("cp");
        copy.arg("-r").arg(deploy().join(name).join("."));
        succeed(copy.arg(scene.path("")));
        Self {
            engine,
            scene,
            project: project.to_owned(),
            user,
        }
    }

    pub(crate) fn compose(&self, arguments: &[&str]) -> Command {
        let mut command = docker(self.engine, &self.scene.path(""), &["compose", "--project-name"]);
        command.arg(&self.project).args(arguments);
        command.env("LOCKET_USER", self.user);
        // As a shell has it.
        command.env("PWD", self.scene.path(""));
        command
    }

    pub(crate) fn up(&self) {
        succeed(&mut self.compose(&["up", "--detach", "--wait", "--wait-timeout", "120"]));
    }

    pub(crate) fn logs(&self, service: &str) -> String {
        succeed(&mut self.compose(&["logs", "--no-log-prefix", service]))
    }

    pub(crate) fn inspect(&self, service: &str, format: &str) -> String {
        let container = format!("{}-{service}-1", self.project);
        self.engine.run(&["inspect", "--format", format, &container])
    }
}

impl Drop for Example<'_> {
    fn drop(&mut self) {
        let _ = self.compose(&["down", "--volumes", "--timeout", "1"]).output();
    }
}

#[test]
fn the_image_is_one_program_that_belongs_to_nobody() {
    let Some(engine) = with_image() else { return };
    let told = |format: &str| engine.run(&["image", "inspect", "--format", format, "locket:latest"]);
    assert_eq!(told("{{.Config.User}}"), "65532:65532");
    assert_eq!(told("{{json .Config.Entrypoint}}"), r#"["/locket","run"]"#);
    assert!(told("{{json .Config.Healthcheck.Test}}").contains("healthcheck"));
    assert!(told("{{json .Config.Labels}}").contains(r#""org.opencontainers.image.version":"1.2.3""#));
    let size: u64 = told("{{.Size}}").parse().unwrap();
    assert!((1_000_000..=LARGEST).contains(&size), "{size} bytes");

    let container = engine.run(&["create", "locket:latest"]);
    let script = "docker export \"$1\" | tar -t";
    let mut list = Command::new("sh");
    list.args(["-c", script, "list", &container])
        .envs(engine.environment());
    let listed = succeed(&mut list);
    engine.run(&["rm", &container]);
    let files: Vec<_> = listed.lines().filter(|name| !name.ends_with('/')).collect();
    // The engine itself adds the mount points of a container.
    let own = ["locket", "usr/share/doc/locket/sbom.cdx.json"];
    assert!(own.iter().all(|name| files.contains(name)), "{files:?}");
    let foreign: Vec<_> = files
        .iter()
        .filter(|name| !own.contains(name) && !name.starts_with("etc/") && !name.starts_with(".dockerenv"))
        .filter(|name| !name.starts_with("dev/"))
        .collect();
    assert!(foreign.is_empty(), "{foreign:?}");
}

#[test]
fn an_image_for_one_provider_asks_it_without_being_told() {
    let (Some(engine), Some(binary)) = (with_image(), release()) else {
        return;
    };
    build_image_for(engine, &binary, "op", "locket:only-op", None);
    let ask = |image: &str| {
        let mut run = engine.docker();
        run.args([
            "run",
            "--rm",
            "--entrypoint",
            "/locket",
            image,
            "get",
            "op://vault/item/field",
        ]);
        let output = run.output().unwrap();
        assert!(!output.status.success());
        all(&output)
    };
    let of_one = "has no token of a 1Password service account";
    let told = ask("locket:only-op");
    assert!(told.contains(of_one), "{told}");
    let told = ask("locket:latest");
    assert!(
        told.contains("has no credentials") && !told.contains(of_one),
        "{told}"
    );
}

#[test]
fn the_image_for_service_accounts_reads_1password_by_the_core_that_it_holds() {
    let (Some(engine), Some(binary)) = (with_image(), release()) else {
        return;
    };
    let Some(core) = find("op-core/op-core.cwasm") else {
        return;
    };
    build_image_for(engine, &binary, "op", "locket:op", Some(&core));
    let fake = OnePassword::new();
    let vault = fake.add_vault("prod");
    let password = Canary::text("password");
    fake.add_item(&vault, Item::login("database", password.as_str()));
    let who = fake.account(&[&vault]);
    let ca = TestCa::new();
    let server = Server::builder()
        .tls(&ca)
        .start(move |request| fake.answer(&request));
    relay(engine, server.address());
    let files = tempfile::tempdir().unwrap();
    fs::set_permissions(files.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for (name, text) in [
        ("ca.pem", ca.pem()),
        ("token", who.token(&server.address().to_string())),
    ] {
        fs::write(files.path().join(name), text).unwrap();
        fs::set_permissions(files.path().join(name), fs::Permissions::from_mode(0o444)).unwrap();
    }
    let ask = |image: &str, more: &[&str]| {
        let mut run = engine.docker();
        run.args(["run", "--rm", "--network=host", "--read-only", "--cap-drop=ALL"]);
        run.args(["--security-opt=no-new-privileges", "--entrypoint=/locket"]);
        run.arg(format!("--volume={}:/files:ro", files.path().display()));
        run.args(more).arg(image);
        run.args([
            "get",
            "op://prod/database/password",
            "--provider=op",
            "--op.timeout=60s",
        ]);
        run.args(["--token-file=/files/token", "--op.ca-file=/files/ca.pem"]);
        run.output().unwrap()
    };
    let reads = |image: &str, more: &[&str]| {
        let output = ask(image, more);
        assert!(output.status.success(), "{image}: {}", all(&output));
        assert_eq!(String::from_utf8_lossy(&output.stdout), password.as_str());
    };
    reads("locket:op", &[]);

    // The image that holds everything has the core where somebody puts it, by a mount or on top.
    let told = all(&ask("locket:latest", &[]));
    assert!(told.contains("finds no way to 1Password"), "{told}");
    let place = "/usr/lib/locket/op-core.cwasm";
    let mount = format!("--volume={}:{place}:ro", core.display());
    reads("locket:latest", &[&mount]);
    let page = Page::at("docs/how-to/container.md").text;
    let file = page
        .split("```dockerfile\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    fs::write(files.path().join("Dockerfile"), file.unwrap()).unwrap();
    fs::copy(&core, files.path().join("op-core.cwasm")).unwrap();
    let mut build = docker(
        engine,
        files.path(),
        &["build", "--quiet", "--tag", "locket:mine", "."],
    );
    succeed(&mut build);
    reads("locket:mine", &[]);
}

/// Passes on what comes to `address` on the engine's own loopback to the same address of this machine.
#[expect(
    clippy::disallowed_methods,
    reason = "sockets of two networks are copied on threads"
)]
fn relay(engine: &Engine, address: SocketAddr) {
    let namespace = fs::File::open(format!("/proc/{}/ns/net", engine.pid())).unwrap();
    let listening = std::thread::spawn(move || {
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
        TcpListener::bind(address).unwrap()
    });
    let listener = listening.join().unwrap();
    std::thread::spawn(move || {
        for near in listener.incoming().flatten() {
            let far = TcpStream::connect(address).unwrap();
            let ends = [(near.try_clone().unwrap(), far.try_clone().unwrap()), (far, near)];
            for (mut from, mut to) in ends {
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Write);
                });
            }
        }
    });
}

#[test]
fn a_sidecar_has_filled_a_volume_in_memory_when_the_application_starts_whoever_it_runs_as() {
    let Some(engine) = with_server() else { return };
    for user in ["65532:65532", "0", "1000", "4242"] {
        let example = Example::new(
            engine,
            "sidecar",
            &format!("sidecar-{}", user.replace(':', "-")),
            user,
        );
        example.up();
        let read = example.logs("app");
        assert!(
            read.contains("user = app\npassword = \"correct horse\""),
            "{read}"
        );

        let held = example.inspect(
            "locket",
            "{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}} {{.Config.User}}",
        );
        assert_eq!(held, format!("true [ALL] [no-new-privileges:true] {user}"));
        let mounted = succeed(&mut example.compose(&["exec", "-T", "app", "cat", "/proc/mounts"]));
        let volume = mounted.lines().find(|line| line.contains(" /run/secrets/app "));
        let volume = volume.unwrap_or_else(|| panic!("{mounted}"));
        assert!(
            volume.starts_with("tmpfs ") && volume.contains("noexec"),
            "{volume}"
        );

        // The value shows where it is an argument, and nowhere about locket or the application.
        assert!(example.inspect("seed", "{{json .}}").contains("correct horse"));
        for service in ["locket", "app"] {
            assert!(!example.inspect(service, "{{json .}}").contains("correct horse"));
        }
        let health = example
            .compose(&["exec", "-T", "locket", "/locket", "healthcheck"])
            .output();
        assert!(health.unwrap().status.success());
    }
}

#[test]
fn a_volume_that_belongs_to_one_user_is_filled_by_that_user() {
    let Some(engine) = with_server() else { return };
    let example = Example::new(engine, "sidecar", "sidecar-owned", "1000:1000");
    let file = example.scene.path("compose.yaml");
    let text = fs::read_to_string(&file).unwrap();
    let owned = text.replace("o: \"size", "o: \"uid=1000,gid=1000,mode=700,size");
    assert_ne!(owned, text);
    fs::write(&file, owned).unwrap();
    example.up();
    let listed = succeed(&mut example.compose(&["exec", "-T", "app", "ls", "-nd", "/run/secrets/app"]));
    let words: Vec<_> = listed.split_whitespace().collect();
    assert_eq!(
        [words[0], words[2], words[3]],
        ["drwx------", "1000", "1000"],
        "{listed}"
    );
    assert!(example.logs("app").contains("correct horse"));
}

#[test]
fn an_edited_template_and_a_rotated_secret_reach_a_consumer_that_follows_its_file() {
    let Some(engine) = with_server() else { return };
    let example = Example::new(engine, "hot-reload", "hot-reload", "");
    example.up();
    let loads = |text: &str| {
        eventually(&format!("{text} is loaded"), || {
            example.logs("consumer").contains(text)
        });
        example.logs("consumer").matches("loaded").count()
    };
    assert_eq!(loads("Host(`traefik.localhost`)"), 1);
    let first = example.logs("consumer");
    let hash = |log: &str| {
        let lines: Vec<_> = log.lines().filter(|line| line.contains("admin:$2")).collect();
        lines.last().map(|line| line.trim().to_owned()).unwrap()
    };

    let template = example.scene.path("templates/routes.yaml");
    let text = fs::read_to_string(&template).unwrap();
    fs::write(&template, text.replace("traefik.localhost", "board.localhost")).unwrap();
    assert_eq!(loads("Host(`board.localhost`)"), 2);
    let second = example.logs("consumer");
    assert_eq!(
        hash(&second),
        hash(&first),
        "a hash is kept while the password is the same"
    );

    let put = [
        "exec",
        "-T",
        "-e",
        "BAO_ADDR=http://127.0.0.1:8200",
        "-e",
        "BAO_TOKEN=only-for-trying",
        "bao",
    ];
    let put = [
        &put[..],
        &[
            "bao",
            "kv",
            "put",
            "-mount=secret",
            "dashboard",
            "password=second",
        ],
    ]
    .concat();
    succeed(&mut example.compose(&put));
    eventually("the rotated password is loaded", || {
        hash(&example.logs("consumer")) != hash(&first)
    });
    assert_eq!(example.logs("consumer").matches("loaded").count(), 3);
}

#[test]
fn compose_gives_an_application_what_the_program_on_the_host_resolves() {
    let Some(engine) = engine() else { return };
    let example = Example::new(engine, "compose-provider", "deploy-provider", "");
    let identity = example.scene.path("identity.txt");
    // What the file itself says is to be done before, with an answer for the command that asks.
    let text = example.scene.read("compose.yaml").unwrap();
    let before: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("#   locket "))
        .collect();
    assert_eq!(before.len(), 2, "{text}");
    for words in before {
        let mut locket = example.scene.locket(words.split(' '));
        locket.env("LOCKET_IDENTITY_FILE", &identity);
        let file = example.scene.path("input");
        fs::write(&file, "twelve chars").unwrap();
        succeed(locket.stdin(fs::File::open(&file).unwrap()));
    }
    let up = example
        .compose(&["up", "--abort-on-container-exit"])
        .env("LOCKET_IDENTITY_FILE", &identity)
        .output()
        .unwrap();
    assert!(
        all(&up).contains("the password has 12 characters"),
        "{}",
        all(&up)
    );
}

#[test]
fn an_example_that_names_files_by_where_it_is_started_says_where_that_is() {
    let mut found = 0;
    for entry in fs::read_dir(deploy()).unwrap() {
        let entry = entry.unwrap();
        let text = fs::read_to_string(entry.path().join("compose.yaml")).unwrap_or_default();
        if !text.contains("${PWD}") {
            continue;
        }
        found += 1;
        let name = entry.file_name().into_string().unwrap();
        assert!(text.contains(&format!("`cd deploy/{name}`")), "{name}");
        for page in Page::all() {
            let from_elsewhere = format!("-f deploy/{name}");
            assert!(!page.text.contains(&from_elsewhere), "{}", page.path.display());
        }
    }
    assert!(found > 0, "no example does");
}
