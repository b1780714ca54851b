//! Secrets of builds: the step that needs one reads it, and nothing keeps it.

use std::fs;
use std::path::Path;
use std::process::Output;

use locket_testkit::fakes::azure::Azure;
use locket_testkit::services::Engine;
use locket_testkit::{Canary, Server, TestCa};

use super::{all, engine};
use crate::support::{Scene, eventually};

/// Reads a secret of each shape; what it leaves tells their sizes alone, and a control value.
const DOCKERFILE: &str = r#"
FROM busybox
RUN --mount=type=secret,id=token --mount=type=secret,id=binary \
    wc -c < /run/secrets/token > /sizes; wc -c < /run/secrets/binary >> /sizes; \
    sha256sum /run/secrets/binary | cut -d ' ' -f 1 >> /sizes
RUN --mount=type=secret,id=token,env=TOKEN printf %s "$TOKEN" | wc -c >> /sizes
RUN --mount=type=secret,id=large wc -c < /run/secrets/large >> /sizes
RUN echo CONTROL > /control
"#;

struct Builds {
    engine: &'static Engine,
    scene: Scene,
    token: Canary,
    binary: Canary,
}

impl Builds {
    fn new() -> Option<Self> {
        let engine = engine()?;
        let (token, binary) = (Canary::text("token"), Canary::binary("binary"));
        let scene = Scene::new();
        scene.write("secrets/token", token.bytes());
        scene.write("secrets/binary", binary.bytes());
        scene.write(
            "secrets/large",
            token.as_str().repeat(200 * 1024 / token.as_str().len() + 1),
        );
        scene.write(
            "context/Dockerfile",
            DOCKERFILE.replace("CONTROL", &control(&token)),
        );
        Some(Self {
            engine,
            scene,
            token,
            binary,
        })
    }

    fn build(&self, words: &[&str]) -> Output {
        let mut command = self.scene.locket([
            "build",
            "--secret",
            "token={{ file://secrets/token }}",
            "--secret",
            "binary=@binary.template",
            "--secret",
            "large={{ file://secrets/large }}",
            "--",
        ]);
        self.scene.write("binary.template", "{{ file://secrets/binary }}");
        command
            .arg(self.engine.docker().get_program())
            .args(words)
            .envs(self.engine.environment());
        command.output().unwrap()
    }
}

/// A value that is to be found, made from the secret so that no other test has it.
fn control(token: &Canary) -> String {
    format!("control-{}", token.as_str().chars().rev().collect::<String>())
}

#[test]
fn the_step_reads_every_secret_and_neither_image_nor_engine_keeps_one() {
    let Some(builds) = Builds::new() else { return };
    let engine = builds.engine;
    for (tag, words) in [
        (
            "locket-built",
            &["build", "--no-cache", "-t", "locket-built", "context"][..],
        ),
        (
            "locket-buildx",
            &[
                "buildx",
                "build",
                "--no-cache",
                "--load",
                "-t",
                "locket-buildx",
                "context",
            ],
        ),
    ] {
        let built = builds.build(words);
        assert!(built.status.success(), "{}", all(&built));
        let sizes = engine.run(&["run", "--rm", "--network", "none", tag, "cat", "/sizes"]);
        let large = fs::metadata(builds.scene.path("secrets/large")).unwrap().len();
        let mut lines = sizes.lines();
        assert_eq!(
            lines.next(),
            Some(builds.token.bytes().len().to_string().as_str()),
            "{sizes}"
        );
        assert_eq!(
            lines.next(),
            Some(builds.binary.bytes().len().to_string().as_str()),
            "{sizes}"
        );
        lines.next();
        assert_eq!(
            lines.next(),
            Some(builds.token.bytes().len().to_string().as_str()),
            "{sizes}"
        );
        assert_eq!(lines.next(), Some(large.to_string().as_str()), "{sizes}");
        let history = engine.run(&["history", "--no-trunc", tag]);
        assert!(
            !history.contains(builds.token.as_str()) && history.contains(&control(&builds.token)),
            "{history}"
        );
        let saved = tempfile::tempdir().unwrap();
        engine.run(&[
            "save",
            "-o",
            saved.path().join("image.tar").to_str().unwrap(),
            tag,
        ]);
        assert!(
            holds(saved.path(), &Canary::of("control", control(&builds.token))),
            "what is there is found"
        );
        assert!(!holds(saved.path(), &builds.token) && !holds(saved.path(), &builds.binary));
    }
    assert!(
        holds(
            &engine.data_root(),
            &Canary::of("control", control(&builds.token))
        ),
        "what is there is found"
    );
    assert!(
        !holds(&engine.data_root(), &builds.token),
        "the engine keeps the text"
    );
    assert!(
        !holds(&engine.data_root(), &builds.binary),
        "the engine keeps the binary"
    );
}

#[test]
fn while_it_builds_the_secret_is_in_no_file_and_on_no_command_line() {
    let Some(builds) = Builds::new() else { return };
    builds.scene.write(
        "context/Dockerfile",
        "FROM busybox\nRUN --mount=type=secret,id=token --mount=type=secret,id=binary --mount=type=secret,id=large while [ ! -e /tmp/never ]; do sleep 0.05; done\n",
    );
    std::thread::scope(|scope| {
        let build = scope.spawn(|| builds.build(&["build", "--no-cache", "--progress", "plain", "context"]));
        let is_ours = |line: &str| line.contains("while [ ! -e /tmp/never ]") && line.contains("sh\0-c");
        let running = || {
            command_lines()
                .into_iter()
                .find(|(_, line)| is_ours(line) && !line.contains("docker"))
        };
        eventually("the step runs", || running().is_some());
        for (pid, line) in command_lines() {
            assert!(!line.contains(builds.token.as_str()), "{pid}: {line}");
        }
        // Everything of the engine, and all the user brought but the secrets themselves.
        for place in [
            builds.engine.data_root(),
            builds.scene.path("context"),
            builds.scene.path("binary.template"),
        ] {
            assert!(!holds(&place, &builds.token), "{}", place.display());
        }
        let (pid, _) = running().unwrap();
        assert!(
            std::process::Command::new("kill")
                .args(["-s", "KILL", &pid])
                .status()
                .unwrap()
                .success()
        );
        build.join().unwrap();
    });
}

#[test]
fn compose_builds_take_secrets_from_the_variables_that_the_file_names() {
    let Some(builds) = Builds::new() else { return };
    builds.scene.write(
        "context/Dockerfile",
        "FROM busybox\nRUN --mount=type=secret,id=token wc -c < /run/secrets/token > /sizes\n",
    );
    let file = "name: locket-built\nservices:\n  app:\n    image: locket-composed\n    build:\n      context: context\n      secrets: [token]\nsecrets:\n  token:\n    LINE\n";
    let build = || {
        let mut command =
            builds
                .scene
                .locket(["build", "--secret", "token={{ file://secrets/token }}", "--"]);
        let docker = builds.engine.docker();
        command
            .arg(docker.get_program())
            .args(["compose", "build"])
            .envs(builds.engine.environment());
        command.output().unwrap()
    };
    builds
        .scene
        .write("compose.yaml", file.replace("LINE", "environment: NPM_TOKEN"));
    let built = build();
    assert!(built.status.success(), "{}", all(&built));
    let sizes = builds.engine.run(&[
        "run",
        "--rm",
        "--network",
        "none",
        "locket-composed",
        "cat",
        "/sizes",
    ]);
    assert_eq!(sizes, builds.token.bytes().len().to_string());
    builds
        .scene
        .write("compose.yaml", file.replace("LINE", "file: secrets/token"));
    let refused = build();
    assert_eq!(refused.status.code(), Some(2));
    let said = all(&refused);
    let lines: Vec<_> = said.lines().map(str::trim).collect();
    let is_told = lines
        .windows(2)
        .any(|pair| pair == ["token:", "environment: TOKEN"]);
    assert!(is_told, "{said}");
}

/// The flow of seed 002: the login of Azure's own program is enough, and nothing is copied into a file.
#[test]
fn a_build_takes_its_secret_from_a_key_vault_with_the_login_of_azures_program() {
    let Some(engine) = engine() else { return };
    let (fake, ca, scene) = (Azure::new(), TestCa::new(), Scene::new());
    let answering = fake.clone();
    let server = Server::builder()
        .tls(&ca)
        .start(move |request| answering.answer(&request));
    let (port, value) = (server.address().port(), Canary::text("azure"));
    fake.set("prod", "mysecret", value.as_str());
    let token = fake.token(&format!("https://vault.localhost:{port}"));
    scene.write("home/.azure/azureProfile.json", "{}");
    scene.write(
        "bin/az",
        format!("#!/bin/sh\necho '{{\"accessToken\": \"{token}\", \"expires_on\": 4000000000}}'\n"),
    );
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(scene.path("bin/az"), mode).unwrap();
    scene.write(
        "context/Dockerfile",
        "FROM busybox\nRUN --mount=type=secret,id=mysecret (printf control-; rev < /run/secrets/mysecret) > /control\n",
    );
    let secret = format!("mysecret={{{{ azkv://prod.vault.localhost:{port}/mysecret }}}}");
    let docker = engine.docker();
    let built = scene
        .locket(["build", "--secret", &secret, "--"])
        .arg(docker.get_program())
        .args(["build", "--no-cache", "-t", "locket-azure", "context"])
        .envs(engine.environment())
        .env("HOME", scene.path("home"))
        .env("PATH", format!("{}:/usr/bin:/bin", scene.path("bin").display()))
        .env("SSL_CERT_FILE", ca.file())
        .env("AZURE_AUTHORITY_HOST", format!("https://localhost:{port}"))
        .output()
        .unwrap();
    let said = all(&built);
    assert!(built.status.success(), "{said}");
    assert!(
        value.find(said.as_bytes()).is_none() && !said.contains(&token),
        "{said}"
    );
    let made = engine.run(&[
        "run",
        "--rm",
        "--network",
        "none",
        "locket-azure",
        "cat",
        "/control",
    ]);
    assert_eq!(made, control(&value), "the step read the value");
    let saved = scene.path("saved.tar");
    engine.run(&["save", "-o", saved.to_str().unwrap(), "locket-azure"]);
    let control = Canary::of("control", control(&value));
    assert!(holds(&saved, &control), "what is there is found");
    assert!(!holds(&saved, &value), "the image holds the secret");
}

#[test]
fn the_client_gets_none_of_our_credentials_unless_that_is_asked_for() {
    let scene = Scene::new();
    scene.write("secrets/a", "x");
    scene.write("docker", "#!/bin/sh\necho \"${OP_CONNECT_TOKEN-none} $*\"\n");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(scene.path("docker"), mode).unwrap();
    let built = |more: &[&str]| {
        let command = ["--", "./docker", "build", "."];
        let words = ["build", "--secret", "a={{ file://secrets/a }}"]
            .iter()
            .chain(more)
            .chain(&command);
        let output = scene
            .locket(words)
            .env("OP_CONNECT_TOKEN", "token")
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert_eq!(
        built(&[]),
        "none build --secret=id=a,env=LOCKET_BUILD_SECRET_0 .\n"
    );
    assert!(built(&["--keep-credentials"]).starts_with("token build "));
}

#[test]
fn what_builds_nothing_is_refused() {
    let scene = Scene::new();
    scene.write("secrets/a", "x");
    let refused = scene
        .locket([
            "build",
            "--secret",
            "a={{ file://secrets/a }}",
            "--",
            "docker",
            "ps",
        ])
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        all(&refused).contains("this command builds no image"),
        "{}",
        all(&refused)
    );
}

/// Whether a file at or below `place` holds a secret in any form. The engine is at work: what vanishes is left out.
fn holds(place: &Path, canary: &Canary) -> bool {
    let Ok(metadata) = fs::symlink_metadata(place) else {
        return false;
    };
    if metadata.is_dir() {
        let entries = fs::read_dir(place).into_iter().flatten().flatten();
        return entries.into_iter().any(|entry| holds(&entry.path(), canary));
    }
    metadata.is_file() && fs::read(place).is_ok_and(|bytes| canary.find(bytes).is_some())
}

/// The command lines of this machine, by their numbers.
fn command_lines() -> Vec<(String, String)> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|entry| {
            let pid = entry
                .file_name()
                .into_string()
                .ok()
                .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))?;
            let line = fs::read(entry.path().join("cmdline")).ok()?;
            Some((pid, String::from_utf8_lossy(&line).into_owned()))
        })
        .collect()
}
