//! Options said again, for a program that is started later and elsewhere. Nothing here knows what they mean.

use std::ffi::OsString;
use std::path::Path;

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, ValueHint};

/// The options of `command` that its command line gives, each as a word; those of `told` are somebody else's to say.
/// Paths count from `directory` and come out absolute.
pub(crate) fn again(
    command: &Command,
    matches: &ArgMatches,
    directory: &Path,
    told: &[&str],
) -> Vec<OsString> {
    let given = |arg: &&Arg| {
        let id = arg.get_id().as_str();
        // Flags of providers are made only where one may be meant.
        matches.try_contains_id(id).is_ok() && matches.value_source(id) == Some(ValueSource::CommandLine)
    };
    let options = command
        .get_arguments()
        .filter(|arg| !told.contains(&arg.get_id().as_str()))
        .filter(given);
    options.flat_map(|arg| words(arg, matches, directory)).collect()
}

fn words(arg: &Arg, matches: &ArgMatches, directory: &Path) -> Vec<OsString> {
    let Some(long) = arg.get_long() else {
        return Vec::new();
    };
    if !arg.get_action().takes_values() {
        return vec![format!("--{long}").into()];
    }
    let is_path = matches!(
        arg.get_value_hint(),
        ValueHint::FilePath | ValueHint::DirPath | ValueHint::AnyPath
    );
    let values = matches.get_raw(arg.get_id().as_str()).into_iter().flatten();
    let word = |value| {
        let mut word = OsString::from(format!("--{long}="));
        match is_path {
            true => word.push(directory.join(value)),
            false => word.push(value),
        }
        word
    };
    values.map(word).collect()
}
