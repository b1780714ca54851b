//! From rows to flags.

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, Command, ValueHint};

use super::opt::{Opt, Shape};

/// Adds a flag for each row.
pub(crate) fn add_flags(command: Command, rows: &[&'static Opt]) -> Command {
    rows.iter().fold(command, |command, opt| command.arg(flag(opt)))
}

fn flag(opt: &'static Opt) -> Arg {
    let arg = Arg::new(opt.name)
        .long(opt.name)
        .visible_aliases(opt.aliases.iter().copied())
        .value_name(opt.placeholder)
        .action(if opt.is_list() {
            ArgAction::Append
        } else {
            ArgAction::Set
        })
        .help(help(opt));
    let arg = match opt.short {
        Some(short) => arg.short(short),
        None => arg,
    };
    match opt.shape {
        Shape::Word(words) => arg.value_parser(PossibleValuesParser::new(words)),
        Shape::Switch => arg
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .value_parser(PossibleValuesParser::new(["true", "false"]))
            .hide_possible_values(true),
        Shape::Path if opt.placeholder == "DIR" => arg.value_hint(ValueHint::DirPath),
        Shape::Path | Shape::Paths => arg.value_hint(ValueHint::FilePath),
        _ => arg,
    }
}

fn help(opt: &Opt) -> String {
    let mut help = opt.summary.to_owned();
    if opt.is_list() {
        help.push_str("; repeatable");
    }
    if !opt.variables.is_empty() {
        help.push_str(&format!(" [env: {}]", opt.variables.join(", ")));
    }
    if !opt.default.is_empty() {
        help.push_str(&format!(" [default: {}]", opt.default));
    }
    help
}
