//! Every command, when it succeeds and when it fails. The list of commands is the program's own help.

use std::collections::BTreeSet;

use super::world::{self, World};
use crate::support::locket;

/// One way to call a command.
struct Call {
    arguments: &'static [&'static str],
    /// The secret that is typed in.
    input: Option<&'static str>,
    /// More variables; in a value, `{NAME}` stands for the secret of this name.
    variables: &'static [(&'static str, &'static str)],
    stdout: Stdout,
    ends: Ends,
}

/// What may stand on standard output.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stdout {
    Anything,
    NoSecret,
}

/// How a call ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    Well,
    Badly,
    /// As the machine has it.
    Somehow,
}

const fn call(arguments: &'static [&'static str], ends: Ends) -> Call {
    Call {
        arguments,
        input: None,
        variables: &[],
        stdout: Stdout::NoSecret,
        ends,
    }
}

impl Call {
    const fn prints(self) -> Self {
        Self {
            stdout: Stdout::Anything,
            ..self
        }
    }

    const fn typed(self, secret: &'static str) -> Self {
        Self {
            input: Some(secret),
            ..self
        }
    }

    const fn with(self, variables: &'static [(&'static str, &'static str)]) -> Self {
        Self { variables, ..self }
    }
}

use Ends::{Badly, Somehow, Well};

/// Every command with the ways to call it. Commands whose job it is to print a value may do so on standard output, and
/// nowhere else.
fn calls() -> Vec<(&'static str, Vec<Call>)> {
    vec![
        (
            "run",
            vec![
                call(
                    &[
                        "run",
                        "--mode",
                        "one-shot",
                        "--map",
                        "in:out/run",
                        "--status-file",
                        "state/status",
                        "--state-dir",
                        "state/dir",
                    ],
                    Well,
                ),
                call(&["run", "--map", "nowhere:out/x"], Badly),
                call(
                    &[
                        "run",
                        "--mode",
                        "one-shot",
                        "--out",
                        "out",
                        "--secret",
                        "x={{ store://text | totp }}",
                    ],
                    Badly,
                ),
                call(
                    &[
                        "run",
                        "--on-error",
                        "error",
                        "--out",
                        "out",
                        "--secret",
                        "x={{ store://nothing }}",
                    ],
                    Badly,
                ),
                call(
                    &[
                        "run",
                        "--mode",
                        "one-shot",
                        "--map",
                        "in:out/run",
                        "--config",
                        "given/literal.toml",
                    ],
                    Badly,
                ),
                call(&["run", "--mode", "one-shot", "--map", "in:given/file/x"], Badly),
            ],
        ),
        (
            "exec",
            vec![
                call(
                    &[
                        "exec",
                        "-e",
                        "A={{ store://text }}",
                        "--",
                        "sh",
                        "-c",
                        "test -n \"$A\"",
                    ],
                    Well,
                ),
                call(
                    &[
                        "exec",
                        "-e",
                        "A={{ store://text }}",
                        "--watch",
                        "--",
                        "sh",
                        "-c",
                        "exit 3",
                    ],
                    Badly,
                ),
                call(
                    &[
                        "exec",
                        "--mask",
                        "-e",
                        "A={{ store://text }}",
                        "--",
                        "sh",
                        "-c",
                        "echo $A; echo $A >&2",
                    ],
                    Well,
                ),
                call(
                    &["exec", "-e", "A={{ store://text }}", "--", "no-such-program"],
                    Badly,
                ),
                call(&["exec", "-e", "A={{ store://binary }}", "--", "true"], Somehow),
                call(&["exec", "-e", "given/bad.env", "--", "true"], Badly),
                call(
                    &["exec", "--as-file", "A={{ store://binary }}", "--", "true"],
                    Well,
                ),
                call(
                    &["exec", "-e", "A={{ store://text | totp }}", "--", "true"],
                    Badly,
                ),
            ],
        ),
        (
            "env",
            vec![
                call(&["env", "-e", "A={{ store://text }}"], Well).prints(),
                call(
                    &["env", "-e", "A={{ store://awkward }}", "--format", "json"],
                    Somehow,
                )
                .prints(),
                call(
                    &["env", "-e", "A={{ store://awkward }}", "--format", "docker"],
                    Somehow,
                )
                .prints(),
                call(&["env", "-e", "A={{ store://nothing }}"], Badly),
                call(&["env", "-e", "given/bad.env"], Badly),
            ],
        ),
        (
            "compose up",
            vec![
                call(
                    &["compose", "up", "--secrets=A={{ store://text }}", "locket"],
                    Well,
                )
                .prints(),
                call(
                    &[
                        "compose",
                        "up",
                        "--secrets=A={{ store://nothing }}",
                        "--env=B={{ store://text }}",
                        "locket",
                    ],
                    Badly,
                ),
                call(
                    &["compose", "up", "--secrets=A={{ store://text | totp }}", "locket"],
                    Badly,
                ),
                call(&["compose", "up", "--env-file=given/bad.env", "locket"], Badly),
            ],
        ),
        (
            "compose down",
            vec![call(&["compose", "down", "--secrets=A={{ store://text }}"], Well)],
        ),
        ("compose stop", vec![call(&["compose", "stop", "locket"], Well)]),
        ("compose metadata", vec![call(&["compose", "metadata"], Well)]),
        (
            "build",
            vec![
                call(
                    &["build", "--secret", "a={{ store://text }}", "--", "echo", "build"],
                    Well,
                ),
                call(
                    &[
                        "build",
                        "--secret",
                        "a={{ store://binary }}",
                        "--",
                        "echo",
                        "build",
                    ],
                    Well,
                ),
                call(
                    &[
                        "build",
                        "--secret",
                        "a={{ store://text }}",
                        "--",
                        "echo",
                        "compose",
                        "build",
                    ],
                    Badly,
                ),
                call(
                    &[
                        "build",
                        "--secret",
                        "a={{ store://nothing }}",
                        "--",
                        "echo",
                        "build",
                    ],
                    Badly,
                ),
            ],
        ),
        (
            "sync",
            vec![
                // It ends with 3 the first time, as something changed.
                call(&["sync", "given/map.csv", "--state-dir", "state/sync"], Somehow),
                call(&["sync", "given/map.csv", "--state-dir", "state/sync"], Well),
                call(
                    &["sync", "given/map.csv", "--state-dir", "state/sync", "--drill"],
                    Somehow,
                ),
                call(&["sync", "given/failing.csv", "--state-dir", "state/sync"], Badly),
            ],
        ),
        (
            "inject",
            vec![
                call(&["inject", "--map", "in:out/inject"], Well),
                call(
                    &[
                        "inject",
                        "--secret",
                        "x={{ store://awkward | pem \"KEY\" }}",
                        "--out",
                        "out",
                    ],
                    Badly,
                ),
                call(
                    &[
                        "inject",
                        "--secret",
                        "x={{ store://json#inner.deeper }}",
                        "--out",
                        "out",
                    ],
                    Badly,
                ),
                call(
                    &[
                        "inject",
                        "--secret",
                        "x={{ store://awkward | base64-decode }}",
                        "--out",
                        "out",
                    ],
                    Badly,
                ),
                call(
                    &[
                        "inject",
                        "--secret",
                        "x={{ store://json | bcrypt }}",
                        "--out",
                        "out",
                    ],
                    Somehow,
                ),
                call(
                    &[
                        "inject",
                        "--on-error",
                        "passthrough",
                        "--secret",
                        "x={{ store://no }}",
                        "--out",
                        "out",
                    ],
                    Badly,
                ),
            ],
        ),
        (
            "healthcheck",
            vec![
                call(&["healthcheck", "--status-file", "state/status"], Somehow),
                call(&["healthcheck", "--status-file", "in/all"], Badly),
            ],
        ),
        (
            "get",
            vec![
                call(&["get", "store://text"], Well).prints(),
                call(&["get", "{{ store://awkward | base64 }}"], Well).prints(),
                call(&["get", "file://given/file"], Well).prints(),
                call(&["get", "store://texts"], Badly),
                call(&["get", "file://given/identity.txt#key"], Badly),
                call(&["get", "{{ store://text | json \"a\" }}"], Badly),
                call(&["get", "{{ store://text | pem \"CERTIFICATE\" }}"], Badly),
                call(
                    &["get", "store://text", "--store.identity-file", "given/token"],
                    Badly,
                ),
                call(&["get", "store://text"], Badly)
                    .with(&[("LOCKET_IDENTITY_FILE", ""), ("LOCKET_IDENTITY", "{token}")]),
                call(&["get", "bao://secret/canaries/value"], Badly).with(&[("BAO_TOKEN", "{token}")]),
                call(
                    &["get", "bao://secret/canaries/value", "--deadline", "100ms"],
                    Badly,
                )
                .with(&[("BAO_ADDR", "http://user:{password}@127.0.0.1:1")]),
                call(
                    &[
                        "get",
                        "bao://secret/canaries/value",
                        "--deadline",
                        "100ms",
                        "--bao.proxy",
                        "http://127.0.0.1:1",
                    ],
                    Badly,
                ),
                call(
                    &["get", "bao://secret/canaries/value", "--deadline", "100ms"],
                    Badly,
                )
                .with(&[
                    ("HTTP_PROXY", "http://user:{password}@127.0.0.1:1"),
                    ("BAO_ADDR", "http://10.255.255.1:1"),
                ]),
            ],
        ),
        (
            "render",
            vec![
                call(&["render", "in/all"], Well).prints(),
                call(&["render", "-"], Badly).typed("{{ store://text | totp }}"),
                call(&["render", "-"], Badly).typed("{{ store://text | nonsense }}"),
            ],
        ),
        (
            "plan",
            vec![
                call(&["plan", "--map", "in:out/plan"], Well),
                call(&["plan", "--format", "json", "--map", "in:out/plan"], Well),
                call(&["plan", "--secret", "x={{ store://text | totp }}"], Somehow),
            ],
        ),
        (
            "providers",
            vec![
                call(&["providers"], Well),
                call(&["providers", "--json"], Somehow),
            ],
        ),
        (
            "providers check",
            vec![
                call(
                    &[
                        "providers",
                        "check",
                        "store://text",
                        "store://nothing",
                        "bao://secret/canaries/value",
                    ],
                    Badly,
                ),
                call(&["providers", "check", "bao://secret/canaries/value"], Badly)
                    .with(&[("BAO_TOKEN", "{token}")]),
            ],
        ),
        (
            "doctor",
            vec![
                call(&["doctor", "--map", "in:out/doctor"], Somehow),
                call(&["doctor", "--json", "--map", "in:out/doctor"], Somehow),
                call(&["doctor", "--config", "given/literal.toml"], Badly),
            ],
        ),
        // What they hand out on an engine is searched where there is one.
        (
            "plugin",
            vec![call(&["plugin", "--config", "given/literal.toml"], Badly)],
        ),
        (
            "volume",
            vec![call(&["volume", "--config", "given/literal.toml"], Badly)],
        ),
        (
            "swarm sync",
            vec![
                call(&["swarm", "sync", "--config", "given/literal.toml"], Badly),
                call(&["swarm", "sync", "--dry-run"], Badly).with(&[("DOCKER_HOST", "unix:///nowhere.sock")]),
            ],
        ),
        (
            "systemd",
            vec![
                call(&["systemd", "run"], Somehow),
                call(&["systemd", "run", "--config", "given/literal.toml"], Somehow),
            ],
        ),
        (
            "check",
            vec![
                call(&["check", "given/compose.yaml"], Badly),
                call(&["check", "given/compose.yaml", "--format", "json"], Badly),
                call(&["check", "given/compose.yaml", "--format", "sarif"], Badly),
                call(&["check", "given/compose.yaml", "--format", "github"], Badly),
                call(&["check", "given/broken.yaml"], Badly),
                call(&["check", "given/compose.env"], Badly),
                call(&["check", "given/literal.toml"], Badly),
            ],
        ),
        (
            "init",
            vec![
                call(&["init", "--dry-run", "given/project"], Well),
                call(&["init", "given/project"], Well),
                call(&["init", "given/project"], Well),
                call(&["init", "--service", "nobody", "given/project"], Badly),
                call(&["init", "--file", "given/broken.yaml", "given"], Badly),
            ],
        ),
        (
            "rotate",
            vec![
                // What the second one leaves behind keeps the first from doing its work later.
                call(
                    &[
                        "rotate",
                        "--file",
                        "given/project/rotated.yaml",
                        "api_token",
                        "--dry-run",
                    ],
                    Somehow,
                ),
                call(
                    &[
                        "rotate",
                        "--file",
                        "given/project/rotated.yaml",
                        "api_token",
                        "--exec",
                        "false",
                    ],
                    Badly,
                ),
                call(
                    &["rotate", "--file", "given/project/rotated.yaml", "nothing"],
                    Badly,
                ),
                call(&["rotate", "--file", "given/broken.yaml", "nothing"], Badly),
            ],
        ),
        (
            "migrate",
            vec![
                call(&["migrate", "--file", "given/plain/compose.yaml"], Well),
                call(&["migrate", "--file", "given/broken.yaml"], Badly),
                call(
                    &[
                        "migrate",
                        "--apply",
                        "--backup",
                        "given/kept",
                        "--file",
                        "given/plain/compose.yaml",
                    ],
                    Somehow,
                ),
            ],
        ),
        ("completions", vec![call(&["completions", "bash"], Well)]),
        ("man", vec![call(&["man"], Somehow)]),
        ("schema", vec![call(&["schema"], Somehow)]),
        ("store init", vec![call(&["store", "init"], Somehow)]),
        (
            "store set",
            vec![
                call(&["store", "set", "typed"], Well).typed("{typed}"),
                call(&["store", "set", "a//b"], Badly).typed("{typed}"),
                call(&["store", "set", "typed", "--file", "nowhere/store"], Badly).typed("{typed}"),
            ],
        ),
        (
            "store get",
            vec![
                call(&["store", "get", "text"], Well).prints(),
                call(&["store", "get", "texts"], Badly),
                call(&["store", "get", "text", "--file", "given/file"], Badly),
            ],
        ),
        (
            "store list",
            vec![
                call(&["store", "list"], Well),
                call(&["store", "list", "--long"], Well),
            ],
        ),
        (
            "store import",
            vec![
                call(&["store", "import", "given/good.env"], Somehow),
                call(&["store", "import", "given/bad.env"], Badly),
                call(&["store", "import", "given/bad.json"], Badly),
            ],
        ),
        ("store export", vec![call(&["store", "export"], Well).prints()]),
        (
            "store rekey",
            vec![
                call(&["store", "rekey"], Somehow),
                call(&["store", "rekey", "--add", "{token}"], Badly),
            ],
        ),
        (
            "store rm",
            vec![
                call(&["store", "rm", "rotated"], Somehow),
                call(&["store", "rm", "others"], Badly),
            ],
        ),
    ]
}

#[test]
fn no_command_tells_a_secret_where_it_does_not_belong() {
    let world = World::new();
    let value = |name: &str| world.canary(name).as_str().to_owned();
    world.scene.write(
        "given/literal.toml",
        format!("[bao]\ntoken = \"{}\"\n", value("token")),
    );
    world
        .scene
        .write("given/good.env", format!("IMPORTED={}\n", value("text")));
    world.scene.write(
        "given/bad.env",
        format!("GOOD={0}\n{0} is no name\nOPEN=\"{0}\n", value("text")),
    );
    world.scene.write(
        "given/compose.yaml",
        format!(
            "services:\n  db:\n    image: postgres\n    env_file: compose.env\n    environment: {{A_PASSWORD: '{0}', B: {0}}}\n    command: app --token {0}\n",
            value("text")
        ),
    );
    world.scene.write(
        "given/compose.env",
        format!("C_PASSWORD={0}\nD=\"{0}\"\n", value("text")),
    );
    world.scene.write(
        "given/broken.yaml",
        format!(
            "services:\n  db:\n    environment:\n      P: \"{}\n",
            value("text")
        ),
    );
    world.scene.write(
        "given/bad.json",
        format!("{{\"a\": \"{0}\", \"b\": {0}}}", value("text")),
    );
    world.scene.write(
        "given/broken.yaml",
        format!(
            "services:\n  a:\n    environment:\n      PASSWORD: \"{}\n",
            value("text")
        ),
    );
    for place in ["given/project", "given/plain"] {
        world.scene.write(
            &format!("{place}/compose.yaml"),
            format!("services:\n  db:\n    image: postgres\n    environment:\n      POSTGRES_PASSWORD: {0}\n  app:\n    image: unknown\n    environment:\n      API_TOKEN: {1}\n", value("text"), value("other")),
        );
    }
    world.scene.write(
        "given/project/rotated.yaml",
        "services:\n  app:\n    image: unknown\n    secrets: [api_token]\nsecrets:\n  api_token: {file: ./api_token.txt}\n",
    );
    world.scene.write("given/project/api_token.txt", value("token"));
    let mut leaks = Vec::new();
    let mut unexpected = Vec::new();
    let mut told = 0;
    for call in calls().into_iter().flat_map(|(_, calls)| calls) {
        for format in ["text", "json"] {
            let arguments: Vec<_> = call.arguments.iter().map(|word| filled(&world, word)).collect();
            let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
            let name = arguments.join(" ");
            let mut command = world.command(&arguments);
            command.env("LOCKET_LOG_FORMAT", format);
            let variables = call
                .variables
                .iter()
                .map(|(name, text)| (name, filled(&world, text)));
            command.envs(variables);
            let input = call.input.map(|text| filled(&world, text));
            let ran = world::run(&mut command, input.as_ref().map(String::as_bytes));
            told += ran.stderr.len();
            let stderr = String::from_utf8_lossy(&ran.stderr);
            match (call.ends, ran.status.success()) {
                (Well, false) | (Badly, true) => {
                    unexpected.push(format!("`{name}` ended with {}: {stderr}", ran.status));
                }
                _ => {}
            }
            leaks.extend(world.found_in(&format!("standard error of `{name}`"), &ran.stderr));
            let found = world.found_in(&format!("standard output of `{name}`"), &ran.stdout);
            match (call.stdout, call.ends) {
                (Stdout::Anything, Well) if found.is_none() => {
                    unexpected.push(format!(
                        "`{name}` should print a secret, and the search finds none"
                    ));
                }
                (Stdout::Anything, _) => {}
                (Stdout::NoSecret, _) => leaks.extend(found),
            }
            leaks.extend(
                world
                    .found_in_files()
                    .into_iter()
                    .map(|leak| format!("after `{name}` {leak}")),
            );
        }
    }
    assert!(leaks.is_empty(), "{}", leaks.join("\n"));
    assert!(unexpected.is_empty(), "{}", unexpected.join("\n"));
    assert!(told > 10_000, "the log is on");
    // What was asked for is there, so that the search would have found it elsewhere, too.
    for output in ["out/run/all", "out/inject/all", "out/run/binary"] {
        let text = std::fs::read(world.scene.path(output)).unwrap();
        assert!(
            world.found_in(output, &text).is_some(),
            "{output} holds no secret"
        );
    }
}

/// `text` with the secrets that it names in braces of their own.
pub(super) fn filled(world: &World, text: &str) -> String {
    ["typed", "token", "password"]
        .iter()
        .fold(text.to_owned(), |text, name| {
            text.replace(&format!("{{{name}}}"), world.canary(name).as_str())
        })
}

#[test]
fn every_command_of_the_program_is_searched() {
    let searched: BTreeSet<_> = calls().iter().map(|(name, _)| (*name).to_owned()).collect();
    let commands = commands(&[]);
    assert!(
        commands.len() > 12 && commands.contains("store set"),
        "{commands:?}"
    );
    let missing: Vec<_> = commands.difference(&searched).collect();
    assert!(
        missing.is_empty(),
        "{missing:?} are not searched for secrets: add them to the table `calls`"
    );
}

/// The commands below `path` that do something, by the program's own help.
fn commands(path: &[&str]) -> BTreeSet<String> {
    let help = run_help(path);
    let listed = help
        .lines()
        .skip_while(|line| line.trim() != "Commands:")
        .skip(1)
        .take_while(|line| line.starts_with("  "))
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next());
    let mut found = BTreeSet::new();
    for name in listed {
        let below: Vec<_> = path.iter().copied().chain([name]).collect();
        let deeper = commands(&below);
        match deeper.is_empty() {
            true => found.extend([below.join(" ")]),
            false => found.extend(deeper),
        }
    }
    found
}

fn run_help(path: &[&str]) -> String {
    let output = locket().args(path).arg("--help").output().unwrap();
    assert!(output.status.success(), "{path:?} has no help");
    String::from_utf8(output.stdout).unwrap()
}
