//! Build chores: `cargo xtask COMMAND`.

mod again;
mod archive;
mod bench;
mod command;
mod contract;
mod counts;
mod dist;
mod features;
mod fuzz;
mod generate;
mod image;
mod mutants;
mod npm;
mod op_core;
mod peers;
mod plugin;
mod services;
mod test;

use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask COMMAND
  test       install what the tests need, then run every check and test; with --contract, also those against official
             clients that take long to build
  services   install the back ends and clients that the tests use, and say where
  generate   write the generated parts of the documentation; with --check, only say what is stale
  op-core    fetch 1Password's own core by its hash, compile it ahead of time, and say where it is; with --update, write
             the table of its imports anew
  dist       build the static release binary, check it, and pack it as it is published, in target/dist
  features   compile and test every feature alone; with --sizes, build the slim sets and write what each weighs, how
             soon it is healthy and what it holds in memory; with --sizes SET..., only those; with --sizes BINARY,
             only say that of a static binary
  image      build the container image locket:latest, or locket:SET of the named slim sets, with `docker build`
  plugin     write the directory of the managed plugin, and with a NAME run `docker plugin create NAME` on it
  fuzz       build the fuzz targets and run each, or the named one, for a while: fuzz [TARGET] [--seconds N]
  mutants    break the engine on purpose in a copy, once for each row of a list, and expect the simulation to notice;
             words choose among the rows
  bench      measure the release binary beside the bare minimum; names of scenes choose among them
  peers      measure beside other tools, which are installed for it, and write the page about it
  counts     count the instructions of parsing, rendering and comparing against the record; with --update, record them";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let arguments: Vec<String> = arguments.collect();
    let result = match command.as_str() {
        "test" => test::Lane::of(&arguments).and_then(test::run),
        "services" => services::install().map(|home| command::say(&home.display().to_string())),
        "generate" => generate::Mode::of(arguments.first().map(String::as_str)).and_then(generate::run),
        "op-core" => op_core::make(&arguments).map(|core| command::say(&core.display().to_string())),
        "dist" => dist::build()
            .and_then(|binary| dist::pack(&binary))
            .map(|archive| command::say(&archive.display().to_string())),
        "features" => match arguments.first().map(String::as_str) {
            None => features::check().and_then(|()| features::test()),
            Some("--sizes") => match &arguments[1..] {
                [binary] if Path::new(binary).is_file() => features::size(binary),
                sets => features::sizes(&sets.iter().map(String::as_str).collect::<Vec<_>>()),
            },
            Some(_) => Err(USAGE.to_owned()),
        },
        "image" => image::run(&arguments),
        "plugin" => plugin::run(&arguments),
        "fuzz" => fuzz::run(arguments.into_iter()),
        "mutants" => mutants::run(&arguments),
        "bench" => bench::run(&arguments),
        "peers" => peers::run(),
        "counts" => counts::Mode::of(&arguments).and_then(counts::run),
        _ => Err(USAGE.to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            command::say(&format!("xtask: {reason}"));
            ExitCode::FAILURE
        }
    }
}
