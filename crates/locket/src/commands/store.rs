//! `locket store …`: the embedded store from the command line. A value never comes from argv, and goes nowhere but to
//! standard output when it is asked for.

use std::ffi::OsString;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clap::{ArgGroup, ArgMatches, Args, Subcommand, ValueEnum};
use locket_core::{ProviderError, SecretBuilder, SecretBytes};
use locket_providers::store::{
    Change, ExportFormat, ImportError, ImportFormat, NameError, OnConflict, OwnKey, Recipient,
    RecipientError, Rekey, SecretName, Store,
};
use zeroize::Zeroizing;

use super::Command;
use crate::context::Context;
use crate::exit::Exit;
use crate::options::{self, table};
use crate::report::{self, Cause, Failure, Problem};
use crate::settings::{self, Common};
use crate::{output, prompt, runtime};

pub(super) const COMMAND: Command = Command {
    name: "store",
    about: "Keep secrets in an encrypted file that is safe to commit",
    arguments: |command| {
        let command = options::add_flags(command, table::EVERY);
        // Before or after the sub-command alike.
        StoreArgs::augment_args(command).mut_args(|argument| argument.global(true))
    },
    run,
};

/// What stands before `://` in references to the store.
const SCHEME: &str = "store";

// Not a doc comment, which would become the help. The settings stand under the names that the layers of every
// provider's settings go by.
#[derive(Args)]
struct StoreArgs {
    /// The store's file [env: LOCKET_STORE_FILE] [default: locket.store]
    #[arg(id = "store.file", long = "file", alias = "store.file", value_name = "FILE")]
    _file: Option<String>,
    /// The age identity that opens it [env: LOCKET_IDENTITY, LOCKET_IDENTITY_FILE] [default: ~/.config/locket/identity.txt]
    #[arg(
        id = "store.identity-file",
        long = "identity-file",
        aliases = ["identity", "store.identity-file"],
        value_name = "FILE"
    )]
    _identity_file: Option<String>,
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Make an empty store, and an identity if there is none
    Init {
        /// Somebody else who can open it (age1…)
        #[arg(long = "recipient", value_name = "RECIPIENT")]
        recipients: Vec<String>,
    },
    /// Add or replace a secret: the bytes of standard input, or asked for on a terminal
    Set {
        /// Letters, digits and `. _ - @ + /`
        name: String,
        /// Refused, with advice
        #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
        value: Vec<OsString>,
        /// Take an empty standard input as an empty value
        #[arg(long)]
        allow_empty: bool,
    },
    /// Print the exact bytes of a secret
    Get {
        /// Its name
        name: String,
    },
    /// List the names of all secrets
    List {
        /// With the time since the last change and the length in bytes
        #[arg(long, short)]
        long: bool,
    },
    /// Remove secrets: all of them or none
    #[command(visible_alias = "remove")]
    Rm {
        /// Their names
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
    /// Add the secrets of an env file, a JSON file or another store: all of them or none
    #[command(group = ArgGroup::new("conflict").args(["replace", "keep"]))]
    Import {
        /// The file, encrypted with age or not; `-` for standard input
        source: PathBuf,
        /// How it is written; told by the content unless given
        #[arg(long, value_name = "FORMAT")]
        format: Option<Format>,
        /// Take the new value where there is another one
        #[arg(long)]
        replace: bool,
        /// Leave the present value where there is another one
        #[arg(long)]
        keep: bool,
    },
    /// Print all secrets as plain text
    Export {
        /// Print them on a terminal, too
        #[arg(long)]
        show: bool,
        /// How they are written
        #[arg(long, value_name = "FORMAT", default_value = "json")]
        format: Format,
    },
    /// Change who can open the store, and encrypt it afresh
    Rekey {
        /// Who can open it from now on (age1…)
        #[arg(long, value_name = "RECIPIENT")]
        add: Vec<String>,
        /// Who cannot any more
        #[arg(long, value_name = "RECIPIENT")]
        remove: Vec<String>,
        /// Put a new key of your own in the old one's place
        #[arg(long)]
        new_identity: bool,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Dotenv,
    Json,
}

/// A larger file to import is none that a person wrote.
const IMPORT_LIMIT: usize = 128 << 20;

/// One byte more than the store takes, so that it says what is wrong.
const VALUE_LIMIT: usize = (16 << 20) + 1;

fn run(matches: &ArgMatches, context: &Context) -> Result<Exit, Failure> {
    let StoreArgs { action, .. } = super::arguments(matches)?;
    let store = open(matches, context)?;
    let now = context.clock.wall();
    match action {
        Action::Init { recipients } => init(&store, &parse_recipients(&recipients)?, now)?,
        Action::Set {
            name,
            value,
            allow_empty,
        } => {
            let name = parse_name(&name)?;
            refuse_argument(&name, &value)?;
            if io::stdin().is_terminal() {
                // Nobody should type a secret for a store that does not open.
                store.list().map_err(failed)?;
            }
            let value = read_value(&name)?;
            if value.is_empty() && !allow_empty {
                return Err(Failure::usage("standard input is empty, so nothing was set")
                    .help("Check the command before the `|`; `--allow-empty` sets an empty value."));
            }
            set(&store, &name, value, now)?;
        }
        Action::Get { name } => output::secret(&store.get(&parse_name(&name)?).map_err(failed)?)?,
        Action::List { long: false } => list(&store)?,
        Action::List { long: true } => list_long(&store, now)?,
        Action::Rm { names } => {
            let names = names
                .iter()
                .map(|name| parse_name(name))
                .collect::<Result<Vec<_>, _>>()?;
            store.remove(&names).map_err(failed)?;
        }
        Action::Import {
            source,
            format,
            replace,
            keep,
        } => {
            let on_conflict = match (replace, keep) {
                (true, _) => OnConflict::Replace,
                (_, true) => OnConflict::Keep,
                _ => OnConflict::Refuse,
            };
            import(&store, &context.directory, &source, format, on_conflict, now)?;
        }
        Action::Export { show, format } => {
            if io::stdout().is_terminal() && !show {
                return Err(Failure::usage("all secrets would be shown on this terminal")
                    .help("Redirect the output, or confirm with `--show`."));
            }
            output::secret(&store.export(format.into()).map_err(failed)?)?;
        }
        Action::Rekey {
            add,
            remove,
            new_identity,
        } => {
            let own_key = if new_identity { OwnKey::Renew } else { OwnKey::Keep };
            let change = Rekey {
                add: parse_recipients(&add)?,
                remove: parse_recipients(&remove)?,
                own_key,
            };
            output::text(&lines(&store.rekey(&change, now).map_err(failed)?))?;
            if !change.remove.is_empty() {
                note(
                    "whoever was removed still knows what was in the store: set anew the values that matter",
                );
            }
        }
    }
    Ok(Exit::Done)
}

fn init(store: &Store, others: &[Recipient], now: SystemTime) -> Result<(), Failure> {
    let created = store.init(others, now).map_err(failed)?;
    if let Some(identity) = &created.identity {
        note(format_args!(
            "made the identity {}; keep a copy of it, since nothing else opens your secrets",
            identity.display()
        ));
    }
    note(format_args!(
        "made {} for these recipients:",
        store.path().display()
    ));
    output::text(&lines(&created.recipients))
}

fn set(store: &Store, name: &SecretName, value: SecretBytes, now: SystemTime) -> Result<(), Failure> {
    match store.set(name, value, now).map_err(failed)? {
        Change::Added => note(format_args!("added {name}")),
        Change::Replaced => note(format_args!("replaced {name}")),
        Change::Unchanged => note(format_args!("{name} has this value already")),
    }
    Ok(())
}

fn list(store: &Store) -> Result<(), Failure> {
    let names = store.list().map_err(failed)?;
    output::text(&lines(names.iter().map(|secret| &secret.name)))
}

fn list_long(store: &Store, now: SystemTime) -> Result<(), Failure> {
    let secrets = store.list().map_err(failed)?;
    let width = secrets
        .iter()
        .map(|secret| secret.name.as_str().len())
        .max()
        .unwrap_or(0);
    let rows = secrets.iter().map(|secret| {
        let age = match secret.updated.map(|updated| now.duration_since(updated)) {
            Some(age) => coarse(age.unwrap_or_default()),
            None => "-".into(),
        };
        format!("{:width$}  {age:>4}  {:>8}", secret.name.as_str(), secret.bytes)
    });
    output::text(&lines(rows))
}

fn import(
    store: &Store,
    directory: &Path,
    source: &Path,
    format: Option<Format>,
    on_conflict: OnConflict,
    now: SystemTime,
) -> Result<(), Failure> {
    let file = if source == Path::new("-") {
        unbuffered_stdin()
    } else {
        File::open(directory.join(source))
    };
    let bytes = file.and_then(|mut file| read_all(&mut file, IMPORT_LIMIT));
    let bytes =
        bytes.map_err(|error| Failure::work(format!("{} cannot be read: {error}", source.display())))?;
    #[expect(clippy::disallowed_methods, reason = "the file is parsed")]
    let secrets = store.read_import(bytes.expose(), format.map(ImportFormat::from));
    let secrets = secrets.map_err(|error| match error {
        ImportError::Sealed(error) => failed(error),
        ImportError::Problems(problems) => {
            let told = problems
                .iter()
                .map(|problem| Problem::told(format!("{}, {problem}", source.display())));
            Failure::new(Cause::Usage, told.collect())
        }
    })?;
    let imported = store.import(secrets, on_conflict, now).map_err(failed)?;
    for (names, what) in [
        (&imported.added, "added"),
        (&imported.replaced, "replaced"),
        (&imported.unchanged, "unchanged"),
        (&imported.kept, "kept"),
    ] {
        for name in names {
            note(format_args!("{what} {name}"));
        }
    }
    Ok(())
}

/// Adds `secrets` to the store that flags, variables and the configuration name: all of them or none.
///
/// # Errors
/// The store does not open, or holds another value for one of them.
#[cfg(feature = "command-migrate")]
pub(super) fn add(
    matches: &ArgMatches,
    context: &Context,
    secrets: impl IntoIterator<Item = (String, SecretBytes)>,
) -> Result<(), Failure> {
    let named = secrets
        .into_iter()
        .map(|(name, value)| Ok((parse_name(&name)?, value)))
        .collect::<Result<_, Failure>>()?;
    let store = open(matches, context)?;
    store
        .import(named, OnConflict::Refuse, context.clock.wall())
        .map_err(failed)?;
    Ok(())
}

/// The secret `name` of the store that flags, variables and the configuration name.
///
/// # Errors
/// It is no name, or the settings of the store are wrong.
#[cfg(feature = "command-rotate")]
pub(super) fn secret(
    matches: &ArgMatches,
    context: &Context,
    name: &str,
) -> Result<(Store, SecretName), Failure> {
    let name = parse_name(name)?;
    Ok((open(matches, context)?, name))
}

/// The store that flags, variables and the configuration name.
fn open(matches: &ArgMatches, context: &Context) -> Result<Store, Failure> {
    let common = settings::load(matches, context, Common::settle)?.open(context);
    let told = runtime::block_on(common.providers.told(SCHEME, context, common.deadline))?;
    // The command line and the files, unlike the store itself, are the user's to correct.
    let told = told.map_err(|error| told_wrong(Failure::usage, error))?;
    Ok(Store::from_settings(
        &told,
        &context.environment,
        &context.directory,
    ))
}

/// Not by clap, whose message would repeat a private key or a value that came to stand here.
fn parse_name(text: &str) -> Result<SecretName, Failure> {
    text.parse().map_err(|error: NameError| {
        Failure::usage(error.to_string()).help("A name is like `api-key` or `db/password`.")
    })
}

fn parse_recipients(texts: &[String]) -> Result<Vec<Recipient>, Failure> {
    let parse = |text: &String| {
        text.parse()
            .map_err(|error: RecipientError| Failure::usage(error.to_string()).help(error.hint()))
    };
    texts.iter().map(parse).collect()
}

/// A value among the arguments is in the process list and in the shell's history by now: it is not repeated here.
fn refuse_argument(name: &SecretName, value: &[OsString]) -> Result<(), Failure> {
    if value.is_empty() {
        return Ok(());
    }
    Err(
        Failure::usage("a value does not belong on the command line, where others can read it").help(format!(
            "Give it on standard input, `printf %s \"$VALUE\" | locket store set {name}`, or run `locket store set {name}` and type it."
        )),
    )
}

/// The bytes of standard input as they are; on a terminal, the line that is typed.
fn read_value(name: &SecretName) -> Result<SecretBytes, Failure> {
    if io::stdin().is_terminal() {
        return prompt::secret(io::stdin().as_fd(), &format!("Value of {name} (not shown): "));
    }
    let value = unbuffered_stdin()
        .and_then(|mut stdin| read_all(&mut stdin, VALUE_LIMIT))
        .map_err(|error| Failure::work(format!("standard input cannot be read: {error}")))?;
    #[expect(clippy::disallowed_methods, reason = "only its line ends are looked at")]
    let bytes = value.expose();
    if bytes.ends_with(b"\n") && bytes.iter().filter(|byte| **byte == b'\n').count() == 1 {
        note("the value ends with a newline, which is kept; `printf %s` writes none");
    }
    Ok(value)
}

/// Not through the buffer of `Stdin`, which would keep a copy for the life of the process.
fn unbuffered_stdin() -> io::Result<File> {
    io::stdin().as_fd().try_clone_to_owned().map(File::from)
}

/// Everything up to the end, or up to `limit` bytes.
fn read_all(from: &mut dyn Read, limit: usize) -> io::Result<SecretBytes> {
    let mut value = SecretBuilder::with_capacity(4096);
    let mut chunk = Zeroizing::new([0; 4096]);
    while value.len() < limit {
        match from.read(chunk.as_mut_slice()) {
            Ok(0) => break,
            Ok(count) => value.extend(&chunk[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(value.finish())
}

pub(super) fn failed(error: ProviderError) -> Failure {
    told_wrong(Failure::work, error)
}

fn told_wrong(failure: fn(String) -> Failure, error: ProviderError) -> Failure {
    let failure = failure(error.context);
    match error.hint {
        Some(hint) => failure.help(hint),
        None => failure,
    }
}

/// Says to a person what was done; standard output stays free for values and lists.
fn note(text: impl Display) {
    report::tell(&format!("{text}\n"));
}

fn lines<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| format!("{item}\n")).collect()
}

/// A duration in its largest unit, as people say ages.
fn coarse(age: Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86400),
    }
}

impl From<Format> for ImportFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Dotenv => Self::Dotenv,
            Format::Json => Self::Json,
        }
    }
}

impl From<Format> for ExportFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Dotenv => Self::Dotenv,
            Format::Json => Self::Json,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_told_in_its_largest_unit() {
        for (seconds, told) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (7199, "1h"),
            (86400 * 90, "90d"),
        ] {
            assert_eq!(coarse(Duration::from_secs(seconds)), told);
        }
    }

    #[test]
    fn reading_stops_at_the_limit() {
        let read = |limit| read_all(&mut [7; 10_000].as_slice(), limit).unwrap().len();
        assert_eq!(read(usize::MAX), 10_000);
        assert_eq!(read(5000), 8192, "whole chunks");
    }
}
