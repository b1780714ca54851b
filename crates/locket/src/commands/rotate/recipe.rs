//! How a password is changed inside of a running service. Everything secret goes to standard input of a program in the
//! container; arguments name users and databases only.

use data_encoding::HEXLOWER;
use locket_compose::images::Recipe;
use locket_compose::rotate::Inside;
use locket_core::{SecretBuilder, SecretBytes};
use sha2::{Digest, Sha256};

use super::super::project::Answer;
use crate::report::Failure;

/// A place where programs can be run beside services.
pub(super) trait Shell {
    /// Runs `script` in a container of a service, with `input` on its standard input.
    ///
    /// # Errors
    /// It cannot be run.
    fn shell(
        &self,
        service: &str,
        script: &str,
        arguments: &[&str],
        input: &SecretBytes,
    ) -> Result<Answer, Failure>;

    /// Whether that can be done now.
    ///
    /// # Errors
    /// The service does not run, or not here; with what to do.
    fn reach(&self, service: &str) -> Result<(), Failure>;
}

/// `psql` itself makes the verifier that the server keeps, so that no log of statements shows the password. It is told
/// by `\password`, whose questions it asks on standard input where there is no terminal.
const POSTGRES_SET: &str = r#"IFS= read -r password
export PGPASSWORD="$password"
exec psql -X -q -w -U "$1" -d "$2" -v ON_ERROR_STOP=1"#;

/// By its own address, since images trust the loopback.
const POSTGRES_TRY: &str = r#"IFS= read -r password
export PGPASSWORD="$password" PGCONNECT_TIMEOUT=10
host=$(hostname -i 2>/dev/null | cut -d' ' -f1)
exec psql -X -q -w -h "${host:-127.0.0.1}" -U "$1" -d "$2" -c 'select 1'"#;

const MYSQL: &str = r#"IFS= read -r password
export MYSQL_PWD="$password"
client=$(command -v mariadb || command -v mysql) || exit 127
exec "$client" --no-defaults --batch --silent -u "$1""#;

const REDIS: &str = r#"client=$(command -v valkey-cli || command -v redis-cli) || exit 127
unset REDISCLI_AUTH
exec "$client""#;

/// The service did not take the value; what it said is not repeated, since it may quote it.
const REFUSED: &str = "the service did not take the new value";

/// What of a kept value is the password that is in force in the service. Images read a file as the shell's `$(…)` does,
/// without the line ends that it ends in; PostgreSQL's own programs drop carriage returns there as well.
///
/// # Errors
/// More than one line is left, which none of the scripts here can pass on.
pub(super) fn in_force(inside: &Inside, value: &SecretBytes) -> Result<SecretBytes, Failure> {
    let dropped: &[u8] = match inside.recipe {
        Recipe::Postgres => b"\r\n",
        Recipe::Mysql | Recipe::Redis => b"\n",
    };
    #[expect(clippy::disallowed_methods, reason = "its line ends are looked at")]
    let bytes = value.expose();
    let last = bytes.iter().rposition(|byte| !dropped.contains(byte));
    let password = &bytes[..last.map_or(0, |last| last + 1)];
    match password.contains(&b'\n') {
        false => Ok(SecretBytes::copy_from(password)),
        true => Err(Failure::usage(format!(
            "the value has more than one line, and {} can only be given a password of one",
            inside.service
        ))
        .help("Give it a password of one line there and where it is kept, or name a program that changes it with `--exec`.")),
    }
}

/// Makes `value` the password, logging in with whichever of `known` works.
///
/// # Errors
/// None of them works, or the service refuses.
pub(super) fn set(
    place: &dyn Shell,
    inside: &Inside,
    value: &SecretBytes,
    known: &[&SecretBytes],
) -> Result<(), Failure> {
    let value = &in_force(inside, value)?;
    let is_set = |password: &SecretBytes| -> Result<bool, Failure> {
        match inside.recipe {
            Recipe::Postgres => {
                let mut input = line(password);
                input.extend(format!("\\password {}\n", identifier(&inside.user)).as_bytes());
                for _ in 0..2 {
                    extend(&mut input, value);
                    input.extend(b"\n");
                }
                let arguments = [inside.user.as_str(), inside.database.as_str()];
                Ok(place
                    .shell(&inside.service, POSTGRES_SET, &arguments, &input.finish())?
                    .is_good)
            }
            Recipe::Mysql => {
                for statements in [quiet, own, altered] {
                    let mut input = line(password);
                    statements(&mut input, inside, value);
                    let user = [inside.user.as_str()];
                    let answer = place.shell(&inside.service, MYSQL, &user, &input.finish())?;
                    if answer.is_good {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Recipe::Redis => redis(
                place,
                inside,
                password,
                &format!("ACL SETUSER default on #{}", digest(value)),
            ),
        }
    };
    for password in known {
        if is_set(&in_force(inside, password)?)? {
            return Ok(());
        }
    }
    Err(Failure::work(format!("{}: {REFUSED}", inside.service))
        .help("Check that the service runs and that the secret's file holds the password that is in force."))
}

/// Without a trace in a log of statements, for whoever may switch that off.
fn quiet(input: &mut SecretBuilder, inside: &Inside, value: &SecretBytes) {
    input.extend(b"SET SESSION sql_log_off = 1;\n");
    own(input, inside, value);
}

/// As MariaDB has it: everybody may do so for themselves. Its `ALTER USER CURRENT_USER()` says nothing and changes
/// nothing.
fn own(input: &mut SecretBuilder, inside: &Inside, value: &SecretBytes) {
    input.extend(b"SET PASSWORD = PASSWORD('");
    extend_escaped(input, value, b"'\\");
    input.extend(b"');\n");
    elsewhere(input, inside, value);
}

/// As MySQL has it, which keeps passwords out of its logs by itself.
fn altered(input: &mut SecretBuilder, inside: &Inside, value: &SecretBytes) {
    input.extend(b"ALTER USER CURRENT_USER() IDENTIFIED BY '");
    extend_escaped(input, value, b"'\\");
    input.extend(b"';\n");
    elsewhere(input, inside, value);
}

/// Images make two users of `root`.
fn elsewhere(input: &mut SecretBuilder, inside: &Inside, value: &SecretBytes) {
    if inside.user == "root" {
        input.extend(b"ALTER USER IF EXISTS 'root'@'%' IDENTIFIED BY '");
        extend_escaped(input, value, b"'\\");
        input.extend(b"';\n");
    }
}

/// Whether who logs in with `value` can change the password. At its own socket PostgreSQL may ask for none.
///
/// # Errors
/// It cannot be asked.
pub(super) fn admits(place: &dyn Shell, inside: &Inside, value: &SecretBytes) -> Result<bool, Failure> {
    match inside.recipe {
        Recipe::Postgres => {
            let password = in_force(inside, value)?;
            let arguments = [inside.user.as_str(), inside.database.as_str()];
            Ok(place
                .shell(
                    &inside.service,
                    POSTGRES_SET,
                    &arguments,
                    &line(&password).finish(),
                )?
                .is_good)
        }
        Recipe::Mysql | Recipe::Redis => opens(place, inside, value),
    }
}

/// Whether `value` opens the service.
///
/// # Errors
/// It cannot be asked.
pub(super) fn opens(place: &dyn Shell, inside: &Inside, value: &SecretBytes) -> Result<bool, Failure> {
    let value = &in_force(inside, value)?;
    match inside.recipe {
        Recipe::Postgres => {
            let arguments = [inside.user.as_str(), inside.database.as_str()];
            Ok(place
                .shell(&inside.service, POSTGRES_TRY, &arguments, &line(value).finish())?
                .is_good)
        }
        Recipe::Mysql => {
            let mut input = line(value);
            input.extend(b"SELECT 1;\n");
            Ok(place
                .shell(&inside.service, MYSQL, &[inside.user.as_str()], &input.finish())?
                .is_good)
        }
        Recipe::Redis => redis(place, inside, value, "PING"),
    }
}

/// Takes `value` away where several can be in force at once.
///
/// # Errors
/// The service refuses.
pub(super) fn drop_value(
    place: &dyn Shell,
    inside: &Inside,
    value: &SecretBytes,
    by: &SecretBytes,
) -> Result<(), Failure> {
    let value = &in_force(inside, value)?;
    let by = &in_force(inside, by)?;
    if inside.recipe != Recipe::Redis || value == by {
        return Ok(());
    }
    // One that is not in force any more cannot be taken away.
    if !redis(place, inside, value, "PING")? {
        return Ok(());
    }
    match redis(
        place,
        inside,
        by,
        &format!("ACL SETUSER default !{}", digest(value)),
    )? {
        true => Ok(()),
        false => Err(Failure::work(format!(
            "{}: both values are still in force",
            inside.service
        ))),
    }
}

/// Whether the server takes the password, and then `command`.
fn redis(place: &dyn Shell, inside: &Inside, password: &SecretBytes, command: &str) -> Result<bool, Failure> {
    let mut input = SecretBuilder::with_capacity(256);
    input.extend(b"AUTH \"");
    extend_escaped(&mut input, password, b"\"\\");
    input.extend(format!("\"\n{command}\n").as_bytes());
    let answer = place.shell(&inside.service, REDIS, &[], &input.finish())?;
    let text = String::from_utf8_lossy(&answer.stdout).into_owned();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let is_in = lines.next() == Some("OK");
    Ok(is_in && matches!(lines.next(), Some("OK" | "PONG")))
}

/// The first line of a script's input: the password that it logs in with.
fn line(password: &SecretBytes) -> SecretBuilder {
    let mut input = SecretBuilder::with_capacity(256);
    extend(&mut input, password);
    input.extend(b"\n");
    input
}

fn extend(input: &mut SecretBuilder, value: &SecretBytes) {
    #[expect(
        clippy::disallowed_methods,
        reason = "it is written to a program's standard input"
    )]
    input.extend(value.expose());
}

/// Every one of `special` gets a backslash before it.
fn extend_escaped(input: &mut SecretBuilder, value: &SecretBytes, special: &[u8]) {
    #[expect(
        clippy::disallowed_methods,
        reason = "it is written to a program's standard input"
    )]
    for byte in value.expose() {
        if special.contains(byte) {
            input.extend(b"\\");
        }
        input.extend(&[*byte]);
    }
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn digest(value: &SecretBytes) -> String {
    #[expect(
        clippy::disallowed_methods,
        reason = "the server takes the digest instead of the password"
    )]
    let digest = Sha256::digest(value.expose());
    HEXLOWER.encode(&digest)
}
