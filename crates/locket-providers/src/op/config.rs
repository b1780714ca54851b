//! The registry's entry, and which of the two ways to 1Password an instance goes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use locket_core::schemes::Fragment;
use locket_core::{Provider, Reach};

use super::core::CoreProvider;
use super::program::{Program, ProgramProvider};
use crate::{
    BuildCx, ConfigError, Credential, Facts, ProviderKind, SchemeSpec, Setting, SettingKind, http,
    onepassword,
};

/// 1Password service accounts in the registry.
pub static KIND: ProviderKind = ProviderKind {
    name: "op",
    title: "1Password service accounts",
    summary: "Reads 1Password items with the token of a service account",
    facts: Facts {
        logins: &["service account token"],
        batching: "50 items of a vault, once their ids are known",
        versions: "",
        leases: "",
        verified: "the core by the official client, with an emulator; the `op` program by a stand-in",
        // Of personal and family accounts, for all their service accounts together.
        daily_budget: Some(1000),
    },
    schemes: &[SchemeSpec {
        name: "op",
        bare: true,
        fragment: Fragment::Json,
    }],
    prefix: "op",
    settings: &[
        Setting {
            name: "token-file",
            env: &["OP_SERVICE_ACCOUNT_TOKEN"],
            kind: SettingKind::Credential,
            summary: "Token of the service account; it serves op-connect, too, where that is chosen and `connect.token-file` is not given",
        },
        Setting {
            name: "core",
            env: &[],
            kind: SettingKind::Path,
            summary: "1Password's own core, compiled ahead of time; looked for beside locket and in /usr/lib/locket unless given",
        },
        Setting {
            name: "cli",
            env: &[],
            kind: SettingKind::Path,
            summary: "1Password's `op` program; looked for in PATH where there is no core, unless given",
        },
    ],
    network: true,
    named_only: false,
    runs_programs: false,
    touches,
    parse: onepassword::parse,
    parse_every: Some(onepassword::parse_every),
    build,
};

/// The name of the compiled core beside the program.
const CORE: &str = "op-core.cwasm";

/// How an instance reaches 1Password.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Way {
    /// By the vendor's core in this file.
    Core(PathBuf),
    /// By the `op` program at this path.
    Program(PathBuf),
}

fn build(cx: &BuildCx<'_>) -> Result<Arc<dyn Provider>, ConfigError> {
    let token = token(cx)?;
    match way(cx)? {
        Way::Core(path) => Ok(Arc::new(CoreProvider::new(path, http::Client::new(cx)?, token))),
        Way::Program(path) => Ok(Arc::new(ProgramProvider::new(Program::new(cx, path)?, token))),
    }
}

fn touches(cx: &BuildCx<'_>) -> Reach {
    match way(cx) {
        Ok(Way::Core(path)) => Reach::of_files([path]),
        // Without a token nothing is ever asked.
        Ok(Way::Program(_)) if token(cx).is_ok() => Reach {
            runs_programs: true,
            ..Reach::default()
        },
        Ok(Way::Program(_)) | Err(_) => Reach::default(),
    }
}

fn token(cx: &BuildCx<'_>) -> Result<Credential, ConfigError> {
    let instance = cx.instance;
    cx.settings.credential("token-file").cloned().ok_or_else(|| {
        ConfigError::new(
            format!("`{instance}` has no token of a 1Password service account"),
            "Set `op.token-file` to a file that holds it, or OP_SERVICE_ACCOUNT_TOKEN to the token; for a Connect \
             server set `connect.host` and `connect.token-file`.",
        )
    })
}

fn way(cx: &BuildCx<'_>) -> Result<Way, ConfigError> {
    let path = |name: &str| cx.settings.path(name, cx.base_dir);
    match (path("core"), path("cli")) {
        (Some(_), Some(_)) => Err(ConfigError::new(
            format!("`{}` is told of a core and of a program", cx.instance),
            "Keep one of `op.core` and `op.cli`.",
        )),
        (Some(core), None) => Ok(Way::Core(core)),
        (None, Some(program)) => Ok(Way::Program(program)),
        (None, None) => found(cx, &installed()),
    }
}

/// Where a core is found without being named: beside the program, and where packages put it.
fn installed() -> Vec<PathBuf> {
    let beside = std::env::current_exe().ok();
    let beside = beside.as_deref().and_then(Path::parent).map(Path::to_owned);
    beside
        .into_iter()
        .chain([PathBuf::from("/usr/lib/locket")])
        .collect()
}

/// The core in the first of `places` that has one, else the program in `PATH`.
fn found(cx: &BuildCx<'_>, places: &[PathBuf]) -> Result<Way, ConfigError> {
    let core = places
        .iter()
        .map(|place| place.join(CORE))
        .find(|path| path.is_file());
    if let Some(core) = core {
        return Ok(Way::Core(core));
    }
    let program = cx.environment.get_os("PATH").and_then(|path| {
        std::env::split_paths(path)
            .map(|directory| directory.join("op"))
            .find(|path| path.is_file())
    });
    program.map(Way::Program).ok_or_else(|| {
        ConfigError::new(
            format!(
                "`{}` finds no way to 1Password: there is neither its core beside locket nor the `op` program",
                cx.instance
            ),
            "Make the core with `cargo xtask op-core` and put it beside the program or name it with `op.core`, or set \
             `op.cli` to the path of the `op` program.",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Fixture;

    #[test]
    fn a_core_that_is_found_comes_before_the_program_and_whatever_is_named_before_both() {
        let fixture = Fixture::new();
        let [program, core] = ["op", CORE].map(|name| fixture.write(name, ""));
        let bin = fixture.path("").to_str().unwrap().to_owned();
        let fixture = fixture.environment([("PATH", bin.as_str())]);
        let with_core = [fixture.path("nowhere"), fixture.path("")];
        let found_in = |places: &[PathBuf]| fixture.build(|cx| found(cx, places)).unwrap();
        assert_eq!(found_in(&with_core), Way::Core(core.clone()));
        assert_eq!(found_in(&[]), Way::Program(program.clone()));

        let named = |name| Fixture::new().set(name, "/opt/it").build(way).unwrap();
        assert_eq!(named("core"), Way::Core("/opt/it".into()));
        assert_eq!(named("cli"), Way::Program("/opt/it".into()));
        let both = Fixture::new().set("core", "/opt/it").set("cli", "/opt/it");
        let refused = both.build(way).unwrap_err();
        assert!(refused.hint.unwrap().contains("Keep one"), "{}", refused.message);
    }
}
