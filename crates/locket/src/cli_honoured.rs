//! Every option and argument of every command is honoured: the test that shows it is named here, and whoever adds an
//! option without one is stopped.

use std::collections::BTreeSet;
use std::path::Path;

use clap::{Arg, Command};

use crate::cli;
use crate::context::Style;
use crate::options::table;

/// A test, by its name and the file that it stands in, below this crate.
type Proof = (&'static str, &'static str);

/// Options that have layers: the same test takes each of them through every layer of every command that has it.
const LAYERED: Proof = (
    "every_option_is_honoured_by_every_command_that_takes_it",
    "src/settings/tests.rs",
);

/// Settings of providers, which have a table of their own.
const SETTINGS: Proof = (
    "every_setting_is_honoured_in_every_layer",
    "src/providers/tests.rs",
);

/// Arguments of single commands, and options with layers that change what a settled run does not show.
const TABLE: &str = include_str!("cli_honoured.txt");

/// What stands for every command in the table.
const EVERY: &str = "*";

/// The rows of the table: a command, one of its arguments, and the test.
fn rows() -> impl Iterator<Item = (&'static str, &'static str, Proof)> {
    let lines = TABLE
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let lines: Vec<_> = lines.collect();
    let (pairs, rest) = lines.as_chunks();
    assert!(rest.is_empty(), "a row without a test: {rest:?}");
    let rows: Vec<_> = pairs.iter().map(|[head, proof]| row(head, proof)).collect();
    rows.into_iter()
        .flat_map(|(command, arguments, proof)| arguments.map(move |argument| (command, argument, proof)))
}

fn row(head: &'static str, proof: &'static str) -> (&'static str, impl Iterator<Item = &'static str>, Proof) {
    let (command, arguments) = head.split_once(": ").expect("`COMMAND: ARGUMENTS`");
    let (file, test) = proof.trim_start().split_once(' ').expect("`FILE NAME`");
    (command, arguments.split(' '), (test, file))
}

/// The test that shows that `command` honours `arg`.
fn proof(command: &str, arg: &Arg) -> Option<Proof> {
    let id = arg.get_id().as_str();
    let listed = |command: &str| {
        let row = rows().find(|(name, known, _)| *name == command && *known == id);
        row.map(|(.., proof)| proof)
    };
    if let Some(own) = listed(command) {
        return Some(own);
    }
    // An option of a command reaches its sub-commands.
    if let Some((above, _)) = command.rsplit_once(' ').filter(|_| arg.is_global_set()) {
        return proof(above, arg);
    }
    if let Some(apart) = listed(EVERY) {
        return Some(apart);
    }
    if arg.get_help_heading().is_some() {
        return Some(SETTINGS);
    }
    table::all().any(|opt| opt.name == id).then_some(LAYERED)
}

/// Every command with its way from the top, and its arguments.
fn arguments(command: &Command, way: &str, found: &mut Vec<(String, Arg)>) {
    for arg in command.get_arguments() {
        if !matches!(arg.get_id().as_str(), "help" | "version") {
            found.push((way.to_owned(), arg.clone()));
        }
    }
    for sub in command.get_subcommands() {
        let way = format!("{way} {}", sub.get_name());
        arguments(sub, way.trim_start(), found);
    }
}

fn every_argument() -> Vec<(String, Arg)> {
    let mut tree = cli::parser(Style::Plain);
    tree.build();
    let mut found = Vec::new();
    arguments(&tree, "", &mut found);
    found
}

#[test]
fn every_argument_of_every_command_names_the_test_that_shows_it_is_honoured() {
    let all = every_argument();
    assert!(all.len() > 100, "only {} arguments were found", all.len());
    let mut wrong = BTreeSet::new();
    for (command, arg) in &all {
        let name = format!("`{command}` {}", arg.get_id());
        match proof(command, arg) {
            None => {
                wrong.insert(format!("{name}: no test shows that it is honoured"));
            }
            Some((test, file)) => {
                let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
                let text = std::fs::read_to_string(path).unwrap_or_default();
                if !text.contains(&format!("fn {test}(")) {
                    wrong.insert(format!("{name}: there is no test `{test}` in {file}"));
                }
            }
        }
    }
    let wrong: Vec<_> = wrong.into_iter().collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_test_is_named_for_what_no_command_takes() {
    let all = every_argument();
    for (command, id, _) in rows() {
        let is_there = all
            .iter()
            .any(|(known, arg)| (known == command || command == EVERY) && arg.get_id() == id);
        assert!(is_there, "`{command}` has no `{id}`");
    }
}

#[test]
fn an_option_without_a_test_is_found_out() {
    let unknown = Arg::new("surprise").long("surprise");
    assert!(proof("run", &unknown).is_none());
    assert!(proof("run", &Arg::new("map")).is_some());
}
