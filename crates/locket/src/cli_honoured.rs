//! Every option and argument of every command is honoured: the test that shows it is named here, and whoever adds an
//! option without one is stopped. A test that is named runs the command and says the option.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::{Arg, Command};

use crate::cli;
use crate::context::Style;
use crate::options::table;
use crate::settings::tests::walks;

/// A test, by its name and the file that it stands in, below this crate. Transcripts have a file and no name.
#[derive(Clone, Copy)]
struct Proof {
    test: &'static str,
    file: &'static str,
    /// Why it need not say the option or run the command itself.
    although: Option<&'static str>,
}

/// Options that have layers: the same test takes each of them through every layer of every command that has it.
const LAYERED: Proof = Proof {
    test: "every_option_is_honoured_by_every_command_that_takes_it",
    file: "src/settings/tests/honoured.rs",
    although: Some("it walks the table of options"),
};

/// Settings of providers, which have a table of their own.
const SETTINGS: Proof = Proof {
    test: "every_setting_is_honoured_in_every_layer",
    file: "src/providers/tests.rs",
    although: Some("it walks the settings of all providers"),
};

/// Arguments of single commands, and options with layers that change what a settled run does not show.
const TABLE: &str = include_str!("cli_honoured.txt");

/// What stands for every command in the table.
const EVERY: &str = "*";

/// What begins the line of a row that says why its test need not say the option or run the command itself.
const ALTHOUGH: &str = "although ";

/// The rows of the table: a command, one of its arguments, and the test.
fn rows() -> Vec<(&'static str, &'static str, Proof)> {
    let lines = TABLE
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut rows: Vec<(&str, Vec<&str>, Option<Proof>)> = Vec::new();
    for line in lines {
        let Some(more) = line.strip_prefix("    ") else {
            let (command, arguments) = line.split_once(": ").expect("`COMMAND: ARGUMENTS`");
            rows.push((command, arguments.split(' ').collect(), None));
            continue;
        };
        let (.., proof) = rows.last_mut().expect("a test belongs to a row");
        match (proof, more.strip_prefix(ALTHOUGH)) {
            (Some(proof), Some(reason)) => proof.although = Some(reason),
            (proof @ None, None) => {
                let (file, test) = more.split_once(' ').unwrap_or((more, ""));
                let although = None;
                *proof = Some(Proof { test, file, although });
            }
            _ => panic!("`{more}` is neither the test of a row nor a reason"),
        }
    }
    let rows = rows.into_iter().flat_map(|(command, arguments, proof)| {
        let proof = proof.unwrap_or_else(|| panic!("a row without a test: {command}"));
        arguments
            .into_iter()
            .map(move |argument| (command, argument, proof))
    });
    rows.collect()
}

/// The test that shows that `command` honours `arg`.
fn proof(command: &str, arg: &Arg) -> Option<Proof> {
    let id = arg.get_id().as_str();
    let listed = |command: &str| {
        let row = rows()
            .into_iter()
            .find(|(name, known, _)| *name == command && *known == id);
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

/// The text of a test: its own, and that of whatever it mentions of its file, of the `mod.rs` beside it, and of files
/// that it names in `use super::`.
fn text(proof: Proof) -> Option<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(proof.file);
    let whole = fs::read_to_string(&path).ok()?;
    if proof.test.is_empty() {
        return Some(whole);
    }
    let own = items(&whole);
    own.iter().find(|(name, _)| *name == proof.test)?;
    let beside: Vec<_> = helpers(&path, &whole)
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .collect();
    let all: Vec<_> = own
        .into_iter()
        .chain(beside.iter().flat_map(|text| items(text)))
        .collect();
    let mut wanted = vec![proof.test];
    let mut seen = BTreeSet::new();
    let mut text = String::new();
    while let Some(name) = wanted.pop() {
        if !seen.insert(name) {
            continue;
        }
        for (_, item) in all.iter().filter(|(known, _)| *known == name) {
            text.push_str(item);
            wanted.extend(item.split(|char: char| !is_of_name(char)));
        }
    }
    Some(text)
}

fn is_of_name(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

/// The files of whose helpers a test may make use.
fn helpers(path: &Path, text: &str) -> Vec<PathBuf> {
    let named = text.lines().filter_map(|line| {
        let (name, _) = line.strip_prefix("use super::")?.split_once("::")?;
        Some(path.with_file_name(name).with_extension("rs"))
    });
    named.chain([path.with_file_name("mod.rs")]).collect()
}

/// The functions and constants of a file by their names, each with all that follows it up to the next.
fn items(text: &str) -> Vec<(&str, &str)> {
    const BEFORE: &[&str] = &["pub", "pub(crate)", "pub(super)", "async", "unsafe"];
    const KINDS: &[&str] = &["fn", "const", "static", "struct", "enum", "impl", "mod"];
    let mut starts = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let is_near = line.len() - line.trim_start_matches(' ').len() <= 4;
        let mut words = line.split_whitespace().skip_while(|word| BEFORE.contains(word));
        if is_near && words.next().is_some_and(|word| KINDS.contains(&word)) {
            let name = words.next().filter(|name| *name != "fn").or_else(|| words.next());
            let name = name.and_then(|name| name.split(|char: char| !is_of_name(char)).next());
            starts.push((name.unwrap_or_default(), at));
        }
        at += line.len();
    }
    let ends = starts.iter().skip(1).map(|(_, start)| *start).chain([at]);
    let spans: Vec<_> = starts.iter().zip(ends).collect();
    spans
        .into_iter()
        .map(|((name, start), end)| (*name, &text[*start..end]))
        .collect()
}

/// Whether a test with this text runs `command`.
fn runs(text: &str, command: &str) -> bool {
    let in_shell = ["locket", "$L"]
        .iter()
        .any(|program| says(text, &format!("{program} {command}")));
    let is_word = |word: &str| text.contains(&format!("\"{word}\""));
    in_shell || command.split(' ').all(is_word)
}

/// Whether a text holds `word`, and not only as the beginning of a longer one.
fn says(text: &str, word: &str) -> bool {
    let mut rest = text.match_indices(word).map(|(at, _)| &text[at + word.len()..]);
    rest.any(|rest| !rest.starts_with(|char: char| is_of_name(char) || char == '-'))
}

/// Whether a test with this text gives `arg` in some layer. What has no flag is given by running the command.
fn gives(text: &str, arg: &Arg) -> bool {
    let Some(long) = arg.get_long() else {
        return true;
    };
    let aliases = arg.get_all_aliases().unwrap_or_default();
    let mut flags: Vec<_> = aliases
        .iter()
        .chain([&long])
        .map(|name| format!("--{name}"))
        .collect();
    flags.extend(arg.get_short().map(|short| format!("\"-{short}\"")));
    if let Some(opt) = table::all().find(|opt| arg.get_id() == opt.name) {
        flags.extend(opt.variables.iter().map(|variable| (*variable).to_owned()));
        flags.push(format!("{} =", opt.name));
    }
    flags.iter().any(|flag| says(text, flag))
}

/// The command of which `arg` is shown: what a command hands to all its sub-commands is parsed and settled once.
fn whose<'a>(command: &'a str, arg: &Arg) -> &'a str {
    let id = arg.get_id().as_str();
    let is_listed = rows()
        .iter()
        .any(|(name, known, _)| *name == command && *known == id);
    match command.rsplit_once(' ') {
        Some((above, _)) if !is_listed && arg.is_global_set() => whose(above, arg),
        _ => command,
    }
}

/// What is wrong with the test that is named for an argument.
fn fault(command: &str, arg: &Arg) -> Option<String> {
    let Some(proof) = proof(command, arg) else {
        return Some("no test shows that it is honoured".to_owned());
    };
    let Proof { test, file, although } = proof;
    if test == LAYERED.test && !walks(command) {
        return Some(format!("`{test}` in {file} does not run the command"));
    }
    let Some(text) = text(proof) else {
        return Some(format!("there is no test `{test}` in {file}"));
    };
    let is_for_all = rows()
        .iter()
        .any(|(row, id, _)| *row == EVERY && arg.get_id() == id);
    let fault = if !is_for_all && !runs(&text, whose(command, arg)) {
        format!("`{test}` in {file} does not run the command")
    } else if !gives(&text, arg) {
        format!("`{test}` in {file} does not say it")
    } else {
        return None;
    };
    although.is_none().then_some(fault)
}

#[test]
fn every_argument_of_every_command_names_the_test_that_shows_it_is_honoured() {
    let all = every_argument();
    assert!(all.len() > 100, "only {} arguments were found", all.len());
    let faults = all
        .iter()
        .filter_map(|(command, arg)| Some(format!("`{command}` {}: {}", arg.get_id(), fault(command, arg)?)));
    let faults: BTreeSet<_> = faults.collect();
    let faults: Vec<_> = faults.into_iter().collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_test_that_runs_another_command_or_leaves_the_option_out_shows_nothing() {
    let shown = "scene.locket([\"sync\", \"map.csv\", \"--every\", \"1h\"]);";
    assert!(runs(shown, "sync") && !runs(shown, "run") && !runs(shown, "swarm sync"));
    assert!(runs("$ locket store set x", "store set") && !runs("the store set it", "store set"));
    let option = |name: &'static str| Arg::new(name).long(name);
    assert!(gives(shown, &option("every")));
    assert!(!gives(shown, &option("ever")) && !gives(shown, &option("jitter")));
    assert!(
        gives("(\"LOCKET_MODE\", \"park\")", &option("mode")),
        "a variable of it"
    );
    assert!(gives("[run]\nmode = 'park'", &option("mode")), "its key");
    let file = "fn one() {\n    two();\n}\n\nfn two() {\n    \"--a\";\n}\n\nfn three() {\n    \"--b\";\n}\n";
    let names: Vec<_> = items(file).iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["one", "two", "three"]);
    let own = Proof {
        test: "flags_beat_variables_beat_the_file",
        file: "src/settings/tests.rs",
        although: None,
    };
    let text = text(own).unwrap();
    assert!(says(&text, "--debounce"), "{text}");
    assert!(says(&text, "fn settled"), "what it calls belongs to it");
    assert!(!says(&text, "--status-file"), "what others say does not");
}

#[test]
fn no_test_is_named_for_what_no_command_takes() {
    let all = every_argument();
    for (command, id, proof) in rows() {
        let named = all
            .iter()
            .find(|(known, arg)| (known == command || command == EVERY) && arg.get_id() == id);
        let Some((_, arg)) = named else {
            panic!("`{command}` has no `{id}`");
        };
        if proof.although.is_some() {
            let text = text(proof).unwrap();
            let is_plain = gives(&text, arg) && runs(&text, command);
            assert!(!is_plain, "the test of `{command}` {id} needs no reason");
        }
    }
}

#[test]
fn an_option_without_a_test_is_found_out() {
    let unknown = Arg::new("surprise").long("surprise");
    assert!(proof("run", &unknown).is_none());
    assert!(proof("run", &Arg::new("map")).is_some());
}
