//! `locket man`: the manual pages, made of the parser's own tree.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{ArgMatches, Args, ValueHint};
use clap_mangen::Man;

use super::{Command, arguments};
use crate::context::{Context, Style};
use crate::exit::Exit;
use crate::report::Failure;
use crate::{cli, output};

pub(super) const COMMAND: Command = Command {
    name: "man",
    about: "Print the manual page of a command, or write all of them",
    arguments: ManArgs::augment_args,
    run,
};

#[derive(Args)]
struct ManArgs {
    /// The command, such as `run` or `store set`; without any, locket itself
    #[arg(conflicts_with = "out")]
    command: Vec<String>,
    /// Write every page into this directory, which is made
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    out: Option<PathBuf>,
}

fn run(matches: &ArgMatches, context: &Context) -> Result<Exit, Failure> {
    let ManArgs { command, out } = arguments(matches)?;
    let mut tree = cli::parser(Style::Plain);
    tree.build();
    match out {
        Some(out) => write_all(&tree, &context.directory.join(out))?,
        None => {
            let named = find(&tree, &command)?;
            output::text(&String::from_utf8_lossy(
                &page(named).map_err(|error| cannot_write(&error))?,
            ))?;
        }
    }
    Ok(Exit::Done)
}

fn find<'a>(tree: &'a clap::Command, words: &[String]) -> Result<&'a clap::Command, Failure> {
    let mut at = tree;
    for word in words {
        at = at.find_subcommand(word).ok_or_else(|| {
            Failure::usage(format!("there is no command `{}`", words.join(" ")))
                .help("`locket --help` lists the commands.")
        })?;
    }
    Ok(at)
}

fn write_all(tree: &clap::Command, directory: &Path) -> Result<(), Failure> {
    fs::create_dir_all(directory).map_err(|error| cannot_write(&error))?;
    let mut open = vec![tree];
    while let Some(command) = open.pop() {
        let path = directory.join(format!("{}.1", title(command)));
        page(command)
            .and_then(|page| fs::write(&path, page))
            .map_err(|error| Failure::work(format!("{} cannot be written: {error}", path.display())))?;
        open.extend(command.get_subcommands());
    }
    Ok(())
}

/// One page in roff.
fn page(command: &clap::Command) -> io::Result<Vec<u8>> {
    // Its name is that of the whole way to it, as for git: `locket-store-set`.
    let named = command.clone().name(title(command));
    let man = Man::new(named)
        .section("1")
        .source(format!("locket {}", env!("CARGO_PKG_VERSION")));
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    page.extend(synopsis(command).into_bytes());
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    page.extend(exit_status().into_bytes());
    Ok(page)
}

fn title(command: &clap::Command) -> String {
    command
        .get_bin_name()
        .unwrap_or(command.get_name())
        .replace(' ', "-")
}

/// The usage as the help has it; a list of every option would be longer than the page.
fn synopsis(command: &clap::Command) -> String {
    let usage = command.clone().render_usage().to_string();
    let lines = usage
        .trim_start_matches("Usage:")
        .lines()
        .map(|line| roff(line.trim()));
    format!(".SH SYNOPSIS\n{}\n", lines.collect::<Vec<_>>().join("\n.br\n"))
}

fn exit_status() -> String {
    let codes = Exit::ALL.map(|exit| format!(".TP\n\\fB{}\\fR\n{}\n", exit.code(), roff(exit.meaning())));
    format!(".SH \"EXIT STATUS\"\n{}", codes.concat())
}

/// `text` without what roff obeys.
fn roff(text: &str) -> String {
    text.replace('\\', "\\\\").replace('-', "\\-")
}

fn cannot_write(error: &io::Error) -> Failure {
    Failure::work(format!("the manual cannot be written: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(words: &[&str]) -> String {
        let mut tree = cli::parser(Style::Plain);
        tree.build();
        let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
        String::from_utf8(page(find(&tree, &words).unwrap()).unwrap()).unwrap()
    }

    #[test]
    fn a_page_has_its_title_its_options_and_the_exit_codes() {
        let run = text(&["run"]);
        assert!(run.contains(".TH locket-run 1"), "{run}");
        assert!(
            run.contains("\\-\\-on\\-error") && run.contains("LOCKET_REFRESH"),
            "{run}"
        );
        assert!(run.contains("EXIT STATUS") && run.contains("\\fB4\\fR"), "{run}");
        assert!(text(&["store", "set"]).contains(".TH locket-store-set 1"));
        assert!(text(&[]).contains(".TH locket 1"));
    }

    #[test]
    fn every_command_gets_a_page() {
        let directory = tempfile::tempdir().unwrap();
        let mut tree = cli::parser(Style::Plain);
        tree.build();
        write_all(&tree, directory.path()).unwrap();
        for command in super::super::COMMANDS {
            assert!(
                directory
                    .path()
                    .join(format!("locket-{}.1", command.name))
                    .exists(),
                "{}",
                command.name
            );
        }
        assert!(directory.path().join("locket-store-import.1").exists());
    }
}
