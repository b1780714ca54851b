//! What `locket plugin` was told.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use locket_docker::allow::Allowance;
use locket_engine::telemetry::AuditTarget;

use crate::options::{Given, Layers, table, values};
use crate::settings::{self, Common, state_dir};

/// Where the engine looks for plugins; the driver is called like the file.
const SOCKET: &str = "/run/docker/plugins/locket.sock";

/// Where volumes are mounted: gone with the machine's memory, as what is in them.
const RUNTIME_DIR: &str = "/run/locket/volumes";

const NOTIFY_TIMEOUT: Duration = Duration::from_secs(5 * 60);

#[derive(Args, Clone, Debug)]
pub(super) struct PluginArgs {
    /// Socket that the engine finds the plugin by; the driver is called like the file [default: /run/docker/plugins/locket.sock]
    #[arg(long, value_name = "FILE")]
    pub(super) socket: Option<PathBuf>,

    /// Directory in which volumes are mounted, in memory [default: /run/locket/volumes]
    #[arg(long, value_name = "DIR")]
    pub(super) runtime_dir: Option<PathBuf>,
}

/// Everything that a plugin was told.
#[derive(Debug)]
pub(super) struct PluginSettings {
    pub(super) socket: PathBuf,
    pub(super) runtime_dir: PathBuf,
    pub(super) state_dir: PathBuf,
    /// Where hand-outs, reads and writes are written down.
    pub(super) audit: Option<AuditTarget>,
    /// How long a failing notification is tried again.
    pub(super) notify_timeout: Duration,
    /// What labels of Swarm secrets may ask for.
    pub(super) allow: Allowance,
    /// The providers of Swarm secrets.
    pub(super) common: Common,
}

impl PluginSettings {
    pub(super) fn settle(layers: &mut Layers<'_>, args: &PluginArgs) -> Self {
        let directory = layers.context().directory.clone();
        let given = |flag: &Option<PathBuf>| flag.as_ref().map(|path| directory.join(path));
        let in_file = |name: &str| {
            let mut files = layers.files();
            files.find_map(|file| file.plugin.get(name).map(Given::path))
        };
        let place = |flag: &Option<PathBuf>, name: &str, default: &str| {
            let place = given(flag).or_else(|| in_file(name));
            place.unwrap_or_else(|| PathBuf::from(default))
        };
        let socket = place(&args.socket, "socket", SOCKET);
        let runtime_dir = place(&args.runtime_dir, "runtime-dir", RUNTIME_DIR);
        let allow = layers.files().find_map(|file| file.swarm.allow.clone());
        Self {
            socket,
            runtime_dir,
            state_dir: state_dir(layers),
            audit: settings::audit(layers),
            notify_timeout: layers.settle(&table::NOTIFY_TIMEOUT, NOTIFY_TIMEOUT, values::positive_duration),
            allow: allow.unwrap_or_default(),
            common: Common::settle(layers),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::testing;

    fn settled(args: &PluginArgs, toml: &str) -> PluginSettings {
        let directory = tempfile::tempdir().unwrap();
        testing::settled(directory.path(), &[], &[], toml, |layers, _| {
            PluginSettings::settle(layers, args)
        })
        .unwrap()
    }

    fn args(line: &[&str]) -> PluginArgs {
        super::super::super::arguments(&testing::matches(line)).unwrap()
    }

    #[test]
    fn a_plugin_is_where_flags_else_the_file_say() {
        let nothing = args(&["plugin"]);
        let usual = settled(&nothing, "");
        assert_eq!(
            (usual.socket.as_path(), usual.runtime_dir.as_path()),
            (Path::new(SOCKET), Path::new(RUNTIME_DIR))
        );
        let toml = "[plugin]\nsocket = '/run/a.sock'\nruntime-dir = '/run/a'\n";
        let by_file = settled(&nothing, toml);
        assert_eq!(
            (by_file.socket.as_path(), by_file.runtime_dir.as_path()),
            (Path::new("/run/a.sock"), Path::new("/run/a"))
        );
        let flags = ["--socket", "/run/b.sock", "--runtime-dir", "/run/b"];
        for command in ["plugin", "volume"] {
            let line = [&[command], &flags[..]].concat();
            let by_flag = settled(&args(&line), toml);
            assert_eq!(
                (by_flag.socket.as_path(), by_flag.runtime_dir.as_path()),
                (Path::new("/run/b.sock"), Path::new("/run/b"))
            );
        }
    }

    #[test]
    fn a_plugin_keeps_and_tells_as_every_layer_says() {
        let settled = |line: &[&str], variables: &[(&str, &str)], toml: &str| {
            let directory = tempfile::tempdir().unwrap();
            let settings = testing::settled_as(line, directory.path(), variables, toml, |layers, _| {
                PluginSettings::settle(layers, &args(line))
            });
            let settings = settings.unwrap();
            let times = (settings.notify_timeout, settings.common.request_timeout);
            format!("{:?} {:?} {times:?}", settings.state_dir, settings.audit)
        };
        for command in ["plugin", "volume"] {
            let default = settled(&[command], &[("HOME", "/home")], "");
            for (flag, variable, text) in [
                ("--state-dir", "LOCKET_STATE_DIR", "/state"),
                ("--audit-log", "LOCKET_AUDIT_LOG", "/var/log/locket"),
                ("--notify-timeout", "LOCKET_NOTIFY_TIMEOUT", "17m"),
                ("--request-timeout", "LOCKET_REQUEST_TIMEOUT", "17s"),
            ] {
                let home = ("HOME", "/home");
                let by_flag = settled(&[command, flag, text], &[home], "");
                assert_ne!(by_flag, default, "{command} {flag}");
                assert_eq!(
                    settled(&[command], &[home, (variable, text)], ""),
                    by_flag,
                    "{variable}"
                );
                let toml = format!("[run]\n{} = '{text}'\n", flag.trim_start_matches('-'));
                assert_eq!(settled(&[command], &[home], &toml), by_flag, "{toml}");
            }
        }
    }

    #[test]
    fn nothing_is_allowed_that_the_file_does_not_name() {
        let nothing = args(&["plugin"]);
        assert_eq!(settled(&nothing, "").allow, Allowance::default());
        let some = settled(
            &nothing,
            "[swarm]\nallow = ['file:///run/*', { reference = 'bao://kv/**', service = 'a_*' }]\n",
        );
        assert_ne!(some.allow, Allowance::default());
    }
}
