//! Where what must outlive the process is kept.

use std::path::PathBuf;

use locket_core::Environment;

use crate::options::{Layers, table};

/// The one that was given; else the machine's directory for root and the user's for a user; the machine's again for a
/// user without a home, as in containers.
pub(crate) fn state_dir(layers: &mut Layers<'_>) -> PathBuf {
    let environment = &layers.context().environment;
    let usual = || usual(environment);
    layers.path(&table::STATE_DIR).unwrap_or_else(usual)
}

fn usual(environment: &Environment) -> PathBuf {
    const SYSTEM: &str = "/var/lib/locket";
    let absolute = |name| {
        let path = environment.get_os(name).map(PathBuf::from);
        path.filter(|path| path.is_absolute())
    };
    let user = absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")));
    match user {
        Some(user) if !rustix::process::geteuid().is_root() => user.join("locket"),
        _ => PathBuf::from(SYSTEM),
    }
}
