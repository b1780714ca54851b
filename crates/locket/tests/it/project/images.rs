//! Images of the names that projects use, built from programs of this machine: there is no registry in a test.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use locket_testkit::services::{Engine, find};
use tempfile::TempDir;

/// An image to be.
pub(super) struct Image {
    root: TempDir,
    changes: Vec<String>,
}

impl Image {
    /// A shell and its commands, with users as a real image has them.
    pub(super) fn new(engine: &Engine) -> Self {
        let root = TempDir::new().unwrap();
        for name in [
            "bin",
            "etc",
            "tmp",
            "usr/bin",
            "usr/local/bin",
            "var/lib",
            "run/secrets",
            "data",
        ] {
            fs::create_dir_all(root.path().join(name)).unwrap();
        }
        fs::set_permissions(root.path().join("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
        fs::set_permissions(root.path().join("data"), fs::Permissions::from_mode(0o777)).unwrap();
        let busybox = engine.busybox();
        fs::copy(&busybox, root.path().join("bin/busybox")).unwrap();
        let list = Command::new(&busybox).arg("--list").output().unwrap();
        for name in String::from_utf8_lossy(&list.stdout)
            .lines()
            .filter(|name| *name != "busybox")
        {
            symlink("busybox", root.path().join("bin").join(name)).unwrap();
        }
        let image = Self {
            root,
            changes: vec!["ENV PATH=/usr/local/bin:/usr/bin:/bin".to_owned()],
        };
        image.file(
            "etc/passwd",
            0o644,
            "root:x:0:0::/:/bin/sh\npostgres:x:70:70::/var/lib:/bin/sh\nredis:x:999:999::/data:/bin/sh\ngrafana:x:472:0::/:/bin/sh\n",
        );
        image.file("etc/group", 0o644, "root:x:0:\npostgres:x:70:\nredis:x:999:\n");
        image
    }

    /// A file in it.
    pub(super) fn file(&self, path: &str, mode: u32, text: &str) {
        let path = self.root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// A directory of this machine, at the same place.
    pub(super) fn directory(&self, path: &Path) {
        let target = self.root.path().join(path.strip_prefix("/").unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        let copied = Command::new("cp")
            .arg("-aL")
            .arg(path)
            .arg(&target)
            .status()
            .unwrap();
        assert!(copied.success());
    }

    /// A program of this machine with its libraries, at the same place.
    pub(super) fn program(&self, path: &Path) {
        self.copy(path);
        let told = Command::new("ldd").arg(path).output().unwrap();
        for line in String::from_utf8_lossy(&told.stdout).lines() {
            let library = line
                .split_whitespace()
                .find(|word| word.starts_with('/'))
                .map(PathBuf::from);
            if let Some(library) = library {
                self.copy(&library);
            }
        }
    }

    fn copy(&self, path: &Path) {
        let target = self.root.path().join(path.strip_prefix("/").unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        if !target.exists() {
            fs::copy(path, &target).unwrap();
        }
    }

    /// What its configuration says, as a line of a Dockerfile.
    pub(super) fn change(mut self, line: &str) -> Self {
        self.changes.push(line.to_owned());
        self
    }

    /// Makes it known to the engine as `name`.
    pub(super) fn import(&self, engine: &Engine, name: &str) {
        let mut tar = Command::new("tar")
            .args(["-cf", "-", "--numeric-owner", "-C"])
            .arg(self.root.path())
            .arg(".")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let archive = tar.stdout.take().unwrap();
        let mut import = engine.docker();
        import.arg("import");
        for change in &self.changes {
            import.args(["--change", change]);
        }
        let imported = import.args(["-", name]).stdin(archive).output().unwrap();
        tar.wait().unwrap();
        assert!(imported.status.success(), "{}", super::said(&imported));
    }
}

/// A program of this machine, where it really is.
pub(super) fn program(name: &str) -> Option<PathBuf> {
    Some(fs::canonicalize(find(&format!("bin/{name}"))?).unwrap())
}

/// `redis:7-alpine`: the real server, started as the official image starts it.
pub(super) fn redis(engine: &Engine) -> Option<()> {
    // Imported anew it would be another image, and running containers would be made anew, too.
    static MADE: OnceLock<Option<()>> = OnceLock::new();
    *MADE.get_or_init(|| make_redis(engine))
}

fn make_redis(engine: &Engine) -> Option<()> {
    let (server, client) = (program("redis-server")?, program("redis-cli")?);
    let image = Image::new(engine)
        .change(r#"ENTRYPOINT ["docker-entrypoint.sh"]"#)
        .change(r#"CMD ["redis-server"]"#)
        .change("WORKDIR /data");
    for path in [&server, &client, &PathBuf::from("/usr/bin/setpriv")] {
        image.program(path);
    }
    for (name, path) in [("redis-server", &server), ("redis-cli", &client)] {
        if !path.ends_with(name) {
            let _ = symlink(path, image.root.path().join("usr/local/bin").join(name));
        }
    }
    image.file(
        "usr/local/bin/docker-entrypoint.sh",
        0o755,
        "#!/bin/sh\nset -e\nif [ \"${1#-}\" != \"$1\" ]; then set -- redis-server \"$@\"; fi\nif [ \"$1\" = redis-server ] && [ \"$(id -u)\" = 0 ]; then exec /usr/bin/setpriv --reuid=999 --regid=999 --clear-groups \"$0\" \"$@\"; fi\nexec \"$@\"\n",
    );
    image.import(engine, "redis:7-alpine");
    Some(())
}

/// `postgres:17-alpine`: a real server, set up as the official image does it: from `POSTGRES_PASSWORD_FILE`, trusting
/// its own socket, asking everybody else.
pub(super) fn postgres(engine: &Engine) -> Option<()> {
    static MADE: OnceLock<Option<()>> = OnceLock::new();
    *MADE.get_or_init(|| make_postgres(engine))
}

/// The same for an engine that is one test's own.
pub(super) fn make_postgres(engine: &Engine) -> Option<()> {
    let psql = program("psql")?;
    let releases = fs::read_dir("/usr/lib/postgresql").ok()?;
    let release = releases.flatten().map(|entry| entry.path()).max()?;
    let number = release.file_name()?.to_string_lossy().into_owned();
    let image = Image::new(engine)
        .change(r#"ENTRYPOINT ["docker-entrypoint.sh"]"#)
        .change(r#"CMD ["postgres"]"#);
    drop(psql);
    for name in ["postgres", "initdb", "psql", "pg_isready"] {
        let path = release.join("bin").join(name);
        image.program(&path);
        symlink(&path, image.root.path().join("usr/local/bin").join(name)).unwrap();
    }
    image.program(Path::new("/usr/bin/setpriv"));
    image.directory(Path::new(&format!("/usr/share/postgresql/{number}")));
    for library in ["dict_snowball.so", "plpgsql.so"] {
        image.program(&release.join("lib").join(library));
    }
    image.file(
        "usr/local/bin/docker-entrypoint.sh",
        0o755,
        "#!/bin/sh
set -e
export LC_ALL=C PGDATA=/var/lib/postgresql/data
if [ -n \"$POSTGRES_PASSWORD\" ] && [ -n \"$POSTGRES_PASSWORD_FILE\" ]; then echo 'both are set' >&2; exit 1; fi
if [ -n \"$POSTGRES_PASSWORD_FILE\" ]; then POSTGRES_PASSWORD=$(cat \"$POSTGRES_PASSWORD_FILE\"); export POSTGRES_PASSWORD; unset POSTGRES_PASSWORD_FILE; fi
if [ \"$(id -u)\" = 0 ]; then
    mkdir -p \"$PGDATA\" /run/postgresql /var/run/postgresql; chown -R postgres \"$PGDATA\" /run/postgresql /var/run/postgresql; chmod 700 \"$PGDATA\"
    exec /usr/bin/setpriv --reuid=70 --regid=70 --clear-groups \"$0\" \"$@\"
fi
if [ ! -s \"$PGDATA/PG_VERSION\" ]; then
    printf '%s\\n' \"$POSTGRES_PASSWORD\" >/tmp/pw
    initdb --username=\"${POSTGRES_USER:-postgres}\" --pwfile=/tmp/pw --no-sync >/dev/null
    rm /tmp/pw
    printf 'local all all trust\\nhost all all all scram-sha-256\\n' >\"$PGDATA/pg_hba.conf\"
fi
exec \"$@\" -c listen_addresses=\"${LISTEN:-*}\" -c fsync=off -c unix_socket_directories=/var/run/postgresql,/tmp -c log_statement=all
",
    );
    image.import(engine, "postgres:17-alpine");
    Some(())
}

/// `mariadb:11`: a real server, set up as the official image does it: from the files that its variables name, with `root`
/// at two hosts and a user of its own.
pub(super) fn mariadb(engine: &Engine) -> Option<()> {
    static MADE: OnceLock<Option<()>> = OnceLock::new();
    *MADE.get_or_init(|| make_mariadb(engine))
}

fn make_mariadb(engine: &Engine) -> Option<()> {
    let (server, client, install) = (
        program("mariadbd")?,
        program("mariadb")?,
        program("mariadb-install-db")?,
    );
    let image = Image::new(engine)
        .change(r#"ENTRYPOINT ["docker-entrypoint.sh"]"#)
        .change(r#"CMD ["mariadbd"]"#);
    for path in [&server, &client, &PathBuf::from("/usr/bin/setpriv")] {
        image.program(path);
    }
    symlink(&server, image.root.path().join("usr/local/bin/mariadbd")).unwrap();
    for directory in ["/usr/share/mysql/english", "/usr/share/mysql/charsets"] {
        image.directory(Path::new(directory));
    }
    symlink("../run", image.root.path().join("var/run")).unwrap();
    fs::create_dir_all(image.root.path().join("var/lib/mysql")).unwrap();
    let made = Command::new(install)
        .args([
            "--no-defaults",
            "--skip-test-db",
            "--auth-root-authentication-method=normal",
            "--user=root",
        ])
        .arg(format!(
            "--datadir={}",
            image.root.path().join("var/lib/mysql").display()
        ))
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", super::said(&made));
    image.file(
        "usr/local/bin/docker-entrypoint.sh",
        0o755,
        r#"#!/bin/sh
set -e
[ "$1" = mariadbd ] || exec "$@"
for name in MARIADB_ROOT_PASSWORD MARIADB_PASSWORD; do
    eval "value=\$$name file=\$${name}_FILE"
    if [ -n "$value" ] && [ -n "$file" ]; then echo 'both are set' >&2; exit 1; fi
    if [ -n "$file" ]; then export "$name=$(cat "$file")"; fi
    unset "${name}_FILE"
done
if [ "$(id -u)" = 0 ]; then
    mkdir -p /run/mysqld; chown -R 999:999 /run/mysqld /var/lib/mysql
    exec /usr/bin/setpriv --reuid=999 --regid=999 --clear-groups "$0" "$@"
fi
shift
if [ ! -e /var/lib/mysql/made ]; then
    touch /var/lib/mysql/made
    for name in MARIADB_ROOT_PASSWORD MARIADB_PASSWORD; do
        eval "value=\$$name"
        eval "$name=\$(printf %s \"\$value\" | sed -e 's/\\\\/\\\\\\\\/g' -e \"s/'/''/g\")"
    done
    cat >/tmp/made.sql <<MADE
DELETE FROM mysql.global_priv WHERE User = '';
FLUSH PRIVILEGES;
ALTER USER root@localhost IDENTIFIED BY '$MARIADB_ROOT_PASSWORD';
CREATE USER root@'%' IDENTIFIED BY '$MARIADB_ROOT_PASSWORD';
GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;
CREATE DATABASE app;
CREATE USER app@'%' IDENTIFIED BY '$MARIADB_PASSWORD';
GRANT ALL ON app.* TO app@'%';
MADE
    set -- --init-file=/tmp/made.sql "$@"
fi
exec mariadbd --no-defaults --datadir=/var/lib/mysql --socket=/run/mysqld/mysqld.sock --lc-messages-dir=/usr/share/mysql \
    --innodb-flush-log-at-trx-commit=0 --general-log --general-log-file=/var/lib/mysql/statements.log "$@"
"#,
    );
    image.import(engine, "mariadb:11");
    Some(())
}

/// `grafana/grafana:12.1.0`: only the user that the real one has.
pub(super) fn grafana(engine: &Engine) {
    Image::new(engine)
        .change("USER 472")
        .change(r#"CMD ["sleep", "1000"]"#)
        .import(engine, "grafana/grafana:12.1.0");
}
