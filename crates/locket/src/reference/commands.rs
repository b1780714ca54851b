//! Commands, their arguments and options, from the parser's own tree.

use std::fmt::Write as _;

use clap::{Arg, Command};

use super::markdown::{block, code, codes, table};
use crate::cli;
use crate::context::Style;
use crate::exit::Exit;
use crate::options::{Key, Opt, table as options};

/// The whole tree, with everything that is added when a command is named.
pub(super) fn tree() -> Command {
    let mut tree = cli::parser(Style::Plain);
    tree.build();
    tree
}

/// Every command with what it does, and the link to its page.
pub(super) fn index() -> String {
    let tree = tree();
    let rows = tree.get_subcommands().map(|command| {
        let name = command.get_name();
        [format!("[`locket {name}`](commands/{name}.md)"), about(command)]
    });
    table(["command", "what it does"], rows)
}

/// Everything about one command; `None` if there is none of this name.
pub(super) fn page(name: &str) -> Option<String> {
    let mut tree = tree();
    let command = tree.find_subcommand_mut(name)?;
    let mut page = format!("{}.\n\n", about(command));
    describe(command, Shared::Shown, &mut page);
    let below: Vec<_> = command
        .get_subcommands()
        .map(|sub| sub.get_name().to_owned())
        .collect();
    for name in below {
        if let Some(sub) = command.find_subcommand_mut(&name) {
            let _ = write!(page, "\n## `{}`\n\n{}.\n\n", shown(sub), about(sub));
            describe(sub, Shared::Left, &mut page);
        }
    }
    Some(page)
}

/// What each exit code means.
pub(super) fn exit_codes() -> String {
    let rows = Exit::ALL
        .iter()
        .map(|exit| [exit.code().to_string(), exit.meaning().to_owned()]);
    table(["code", "meaning"], rows)
}

/// What happens to options that a command shares with the one above it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shared {
    Shown,
    Left,
}

fn describe(command: &mut Command, shared: Shared, page: &mut String) {
    let usage = command.render_usage().to_string();
    let usage: Vec<_> = usage
        .trim_start_matches("Usage:")
        .lines()
        .map(str::trim)
        .collect();
    page.push_str(&block("text", &usage.join("\n")));
    let arguments: Vec<_> = command
        .get_positionals()
        .filter(|arg| !arg.is_hide_set())
        .collect();
    if !arguments.is_empty() {
        let rows = arguments.iter().map(|arg| [code(&placeholder(arg)), help(arg)]);
        let _ = write!(page, "\n{}", table(["argument", "meaning"], rows));
    }
    let is_own = |arg: &&Arg| {
        arg.get_long().is_some()
            && !arg.is_hide_set()
            && arg.get_help_heading().is_none()
            && (shared == Shared::Shown || !arg.is_global_set())
            && arg.get_id() != "help"
            && arg.get_id() != "version"
    };
    let options: Vec<_> = command.get_arguments().filter(is_own).collect();
    if !options.is_empty() {
        let rows = options.iter().map(|arg| option(arg));
        let head = ["option", "variable", "in the file", "default", "meaning"];
        let _ = write!(page, "\n{}", table(head, rows));
    }
    if command
        .get_arguments()
        .any(|arg| arg.get_help_heading().is_some())
    {
        page.push_str("\nBeside these, every [setting of a provider](../providers.md) is an option, such as `--bao.url`.\n");
    }
}

fn option(arg: &Arg) -> [String; 5] {
    let value = match arg.get_action().takes_values() {
        true => format!(" {}", code(&placeholder(arg))),
        false => String::new(),
    };
    let flags = format!("{}{value}", codes(flags(arg).iter().map(String::as_str)));
    match row(arg) {
        Some(opt) => [
            flags,
            codes(opt.variables.iter().copied()),
            in_file(opt),
            opt.default.to_owned(),
            meaning(arg, opt.summary),
        ],
        None => {
            let default = arg
                .get_default_values()
                .iter()
                .map(|value| value.to_string_lossy().into_owned());
            let default: Vec<_> = default.collect();
            [flags, String::new(), String::new(), default.join(", "), help(arg)]
        }
    }
}

/// The row of an option that has layers.
fn row(arg: &Arg) -> Option<&'static Opt> {
    let has_its_summary = |opt: &&Opt| {
        arg.get_help()
            .is_some_and(|help| help.to_string().starts_with(opt.summary))
    };
    options::all().find(|opt| arg.get_id() == opt.name && has_its_summary(opt))
}

/// How an option is written in the configuration.
pub(super) fn in_file(opt: &Opt) -> String {
    match opt.key {
        Key::Run => code("[run]"),
        Key::Exec => code("[exec]"),
        Key::Tables(name) => code(&format!("[[{name}]]")),
        Key::None => String::new(),
    }
}

/// The option with its dashes, aliases included.
fn flags(arg: &Arg) -> Vec<String> {
    let aliases = arg.get_visible_aliases().unwrap_or_default();
    let long = arg.get_long().into_iter().chain(aliases);
    let short = arg.get_short().map(|short| format!("-{short}"));
    long.map(|name| format!("--{name}")).chain(short).collect()
}

fn placeholder(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default();
    match names {
        [] => arg.get_id().as_str().to_uppercase(),
        names => names.join(" "),
    }
}

fn help(arg: &Arg) -> String {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    meaning(arg, &help)
}

/// `text`, with the words that the option takes.
fn meaning(arg: &Arg, text: &str) -> String {
    let words: Vec<_> = match arg.get_action().takes_values() {
        true => arg.get_possible_values(),
        false => Vec::new(),
    };
    let names = words
        .iter()
        .filter(|word| !word.is_hide_set())
        .map(clap::builder::PossibleValue::get_name);
    match words.is_empty() {
        true => text.to_owned(),
        false => format!("{text}: {}", codes(names)),
    }
}

fn about(command: &Command) -> String {
    command.get_about().map(ToString::to_string).unwrap_or_default()
}

fn shown(command: &Command) -> String {
    command.get_bin_name().unwrap_or(command.get_name()).to_owned()
}
