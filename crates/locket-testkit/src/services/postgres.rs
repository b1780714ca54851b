//! A real Postgres, in a directory of its own, on the loopback only.

use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::guard::{end, free_port, guarded};
use crate::services::find;

/// The user `nobody`: the server refuses to run as root.
const NOBODY: u32 = 65534;

/// Looks at a starting server, twenty milliseconds apart: longer than a start takes on a busy machine.
const LOOKS: usize = 3_000;

/// A running server with the database `postgres`. It is killed when this is dropped, and when the process ends.
#[derive(Debug)]
pub struct Postgres {
    guard: Child,
    port: u16,
    psql: PathBuf,
    #[expect(dead_code, reason = "held for as long as the server runs")]
    directory: TempDir,
}

impl Postgres {
    /// The user that may do everything.
    pub const ADMIN: &str = "admin";
    /// Its password.
    pub const ADMIN_PASSWORD: &str = "of the administrator";

    /// Starts a server, or says aloud that the test is skipped.
    ///
    /// # Panics
    /// In CI, when it is not installed; anywhere, when it does not start.
    pub fn start() -> Option<Self> {
        let [initdb, postgres, psql] = ["bin/initdb", "bin/postgres", "bin/psql"].map(find);
        // The user without rights may not pass the directory of the links, which is often in somebody's home.
        let real = |link: PathBuf| link.canonicalize().expect("a link that leads somewhere");
        let (initdb, postgres, psql) = (real(initdb?), real(postgres?), psql?);
        let directory = tempfile::tempdir().expect("a directory for the server");
        let path = directory.path();
        let (data, password) = (path.join("data"), path.join("password"));
        std::fs::write(&password, Self::ADMIN_PASSWORD).expect("a writable directory");
        if is_root() {
            for path in [path, &password] {
                chown(path, Some(NOBODY), Some(NOBODY)).expect("root can give files away");
            }
        }
        let mut made = unprivileged(&initdb);
        made.arg("-D").arg(&data).arg("--pwfile").arg(&password);
        made.args([
            "-U",
            Self::ADMIN,
            "--auth=scram-sha-256",
            "--no-locale",
            "-E",
            "UTF8",
            "--no-sync",
        ]);
        let made = surrounded(&mut made, path).output().expect("initdb runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let port = free_port();
        let mut command = guarded("postgres");
        let server = unprivileged(&postgres);
        command.arg(server.get_program()).args(server.get_args());
        command.arg("-D").arg(&data).arg("-p").arg(port.to_string());
        for setting in [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "fsync=off",
        ] {
            command.args(["-c", setting]);
        }
        let log = path.join("log");
        let output = std::fs::File::create(&log).expect("a writable directory");
        let guard = surrounded(&mut command, path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(output)
            .spawn()
            .expect("a shell starts");
        let server = Self {
            guard,
            port,
            psql,
            directory,
        };
        for _ in 0..LOOKS {
            if server.logs_in(Self::ADMIN, Self::ADMIN_PASSWORD) {
                return Some(server);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("{}", std::fs::read_to_string(log).unwrap_or_default());
    }

    /// Where it listens, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether `user` can log in with `password` and ask something.
    ///
    /// # Panics
    /// The client does not start.
    pub fn logs_in(&self, user: &str, password: &str) -> bool {
        Command::new(&self.psql)
            .args(["-h", "127.0.0.1", "-d", "postgres", "-tAc", "select current_user"])
            .args(["-p", &self.port.to_string(), "-U", user])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("PGPASSWORD", password)
            .env("PGCONNECT_TIMEOUT", "10")
            .output()
            .is_ok_and(|asked| asked.status.success() && asked.stdout.trim_ascii() == user.as_bytes())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        end(&mut self.guard);
    }
}

/// `program` as somebody who is not root.
fn unprivileged(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("/usr/bin/setpriv");
    command
        .args([format!("--reuid={NOBODY}"), format!("--regid={NOBODY}")])
        .arg("--clear-groups")
        .arg(program);
    command
}

fn surrounded<'a>(command: &'a mut Command, directory: &Path) -> &'a mut Command {
    command
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", directory)
        .current_dir(directory)
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_real_server_tells_a_right_password_from_a_wrong_one() {
        let Some(postgres) = Postgres::start() else { return };
        assert!(postgres.logs_in(Postgres::ADMIN, Postgres::ADMIN_PASSWORD));
        assert!(!postgres.logs_in(Postgres::ADMIN, "another"));
        assert!(!postgres.logs_in("nobody", Postgres::ADMIN_PASSWORD));
    }
}
