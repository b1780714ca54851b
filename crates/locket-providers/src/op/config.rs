//! The registry's entry, and which of the two ways to 1Password an instance goes.

use std::path::PathBuf;
use std::sync::Arc;

use locket_core::schemes::Fragment;
use locket_core::{Provider, Reach};

use super::program::{Program, ProgramProvider};
use crate::{
    BuildCx, ConfigError, Credential, Facts, ProviderKind, SchemeSpec, Setting, SettingKind, onepassword,
};

/// 1Password service accounts in the registry.
pub static KIND: ProviderKind = ProviderKind {
    name: "op",
    title: "1Password service accounts",
    summary: "Reads 1Password items with the token of a service account",
    facts: Facts {
        logins: &["service account token"],
        batching: "50 items, once their ids are known",
        versions: "",
        leases: "",
        verified: "a stand-in for the `op` program",
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
            summary: "1Password's own core, compiled ahead of time; refused by this build, which hosts none",
        },
        Setting {
            name: "cli",
            env: &[],
            kind: SettingKind::Path,
            summary: "1Password's `op` program; looked for in PATH unless given",
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

/// How an instance reaches 1Password.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Way {
    /// By the `op` program at this path.
    Program(PathBuf),
}

fn build(cx: &BuildCx<'_>) -> Result<Arc<dyn Provider>, ConfigError> {
    let token = token(cx)?;
    match way(cx)? {
        Way::Program(path) => Ok(Arc::new(ProgramProvider::new(Program::new(cx, path)?, token))),
    }
}

fn touches(cx: &BuildCx<'_>) -> Reach {
    match way(cx) {
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
    if cx.settings.path("core", cx.base_dir).is_some() {
        return Err(ConfigError::new(
            format!(
                "`{}` is told to use 1Password's core (`op.core`), which this build of locket cannot host",
                cx.instance
            ),
            "Remove `op.core`, and set `op.cli` to the path of the `op` program.",
        ));
    }
    if let Some(path) = cx.settings.path("cli", cx.base_dir) {
        return Ok(Way::Program(path));
    }
    let program = cx.environment.get_os("PATH").and_then(|path| {
        std::env::split_paths(path)
            .map(|directory| directory.join("op"))
            .find(|path| path.is_file())
    });
    program.map(Way::Program).ok_or_else(|| {
        ConfigError::new(
            format!(
                "`{}` finds no way to 1Password: there is no `op` program",
                cx.instance
            ),
            "Set `op.cli` to the path of the `op` program.",
        )
    })
}
