//! `--PREFIX.NAME` for every provider setting; a hyphen may stand for the dot.

use std::cell::Cell;
use std::ffi::OsString;

use clap::{Arg, ArgAction, Command, ValueHint};
use locket_providers::{Setting, SettingKind};

use super::sections::{Section, check_text, kinds, literal_name, loans, sections};
use crate::options::Layers;
use crate::report::Problem;

thread_local! {
    /// The parser takes the arguments of a command from a plain function, which can be told nothing.
    static LEFT_OUT: Cell<bool> = const { Cell::new(false) };
}

/// Adds the flags of every provider in this build.
pub(crate) fn add_flags(command: Command) -> Command {
    if LEFT_OUT.get() {
        return command;
    }
    sections().iter().fold(command, |command, section| {
        let flags = section.settings.iter().map(|setting| flag(section, setting));
        command.args(flags)
    })
}

/// Parses without the flags of providers, which most command lines have none of: making them costs more than the rest
/// of the parser.
pub(crate) fn without_flags<T>(parse: impl FnOnce() -> T) -> T {
    LEFT_OUT.set(true);
    let parsed = parse();
    LEFT_OUT.set(false);
    parsed
}

/// Whether any of `arguments` may be the flag of a provider. Those of a program that is started count, too.
pub(crate) fn may_be_among(arguments: &[OsString]) -> bool {
    let words = arguments.iter().map(|word| word.as_encoded_bytes());
    let names = words.filter_map(|word| word.strip_prefix(b"--")?.split(|byte| *byte == b'=').next());
    names.into_iter().any(is_flag)
}

/// Whether a setting has this flag; `--env-file` begins with the name of a provider and is none.
fn is_flag(flag: &[u8]) -> bool {
    let is = |prefix: &str, setting: &Setting| {
        let rest = flag.strip_prefix(prefix.as_bytes());
        matches!(rest, Some([b'.' | b'-', name @ ..]) if name == setting.name.as_bytes())
    };
    kinds()
        .iter()
        .any(|kind| kind.all_settings().any(|setting| is(kind.prefix, setting)))
        || loans().any(|loan| is(loan.prefix, loan.setting))
}

/// Complains about texts of flags that are not what their setting wants.
pub(super) fn check(layers: &mut Layers<'_>) {
    let mut problems = Vec::new();
    for section in sections() {
        for setting in &section.settings {
            let name = id(section.prefix, setting.name);
            if let Some(given) = layers.flag(&name, &name)
                && let Err(wrong) = check_text(setting, &given.text)
            {
                problems.extend(given.wrong([wrong]));
            }
        }
    }
    layers.problems.extend(problems);
}

/// What to say of a flag that nobody has, when it would give the value of a credential on the command line.
pub(crate) fn advice_on_literal(flag: &str) -> Option<Problem> {
    let name = flag.trim_start_matches('-');
    let sections = sections();
    let settings = sections.iter().flat_map(|section| {
        let settings = section.settings.iter();
        settings.map(move |setting| (section.prefix, *setting))
    });
    let mut literals = settings.filter_map(|(prefix, setting)| {
        let literal = literal_name(setting)?;
        let spellings = [id(prefix, literal), format!("{prefix}-{literal}")];
        spellings
            .iter()
            .any(|spelling| spelling == name)
            .then_some((prefix, setting, literal))
    });
    let (prefix, setting, literal) = literals.next()?;
    let variables = match setting.env.first() {
        Some(variable) => format!(", set {variable} or {variable}_FILE"),
        None => String::new(),
    };
    Some(Problem::Told {
        message: format!(
            "--{}: a credential does not belong on the command line, where others can read it",
            id(prefix, literal)
        ),
        help: Some(format!(
            "Name a file with --{}{variables}, or name a reference in the configuration file.",
            id(prefix, setting.name)
        )),
    })
}

/// The identity of a setting's flag, which is its name without dashes.
pub(super) fn id(prefix: &str, name: &str) -> String {
    format!("{prefix}.{name}")
}

fn flag(section: &Section, setting: &'static Setting) -> Arg {
    let (placeholder, hint) = match setting.kind {
        SettingKind::Path | SettingKind::CredentialPath | SettingKind::Credential => {
            ("FILE", ValueHint::FilePath)
        }
        SettingKind::Duration => ("DUR", ValueHint::Other),
        SettingKind::Count => ("NUMBER", ValueHint::Other),
        SettingKind::Choice(_) => ("WORD", ValueHint::Other),
        SettingKind::Text | SettingKind::Command | SettingKind::List | SettingKind::Table => {
            ("TEXT", ValueHint::Other)
        }
    };
    let id = id(section.prefix, setting.name);
    Arg::new(id.clone())
        .long(id)
        .alias(format!("{}-{}", section.prefix, setting.name))
        .value_name(placeholder)
        .value_hint(hint)
        .action(ArgAction::Set)
        .help_heading(format!("Options of {}", section.title))
        .help(help(setting))
}

fn help(setting: &Setting) -> String {
    let mut help = setting.summary.to_owned();
    if let SettingKind::Choice(words) = setting.kind {
        help.push_str(&format!(" [possible values: {}]", words.join(", ")));
    }
    let variables = setting.env.iter().map(|name| match setting.kind {
        SettingKind::Credential => format!("{name}, {name}_FILE"),
        _ => (*name).to_owned(),
    });
    let variables: Vec<_> = variables.collect();
    if !variables.is_empty() {
        help.push_str(&format!(" [env: {}]", variables.join(", ")));
    }
    help
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_providers_are_told_from_those_that_only_begin_alike() {
        let among = |word: &str| may_be_among(&["locket".into(), "exec".into(), word.into()]);
        for section in sections() {
            for setting in &section.settings {
                let (prefix, name) = (section.prefix, setting.name);
                for flag in [format!("--{prefix}.{name}"), format!("--{prefix}-{name}=x")] {
                    assert!(among(&flag), "{flag}");
                }
            }
        }
        for flag in [
            "--env-file",
            "--env",
            "--file-mode=0440",
            "connect.host",
            "-e",
            "--",
        ] {
            assert!(!among(flag), "{flag}");
        }
    }
}
