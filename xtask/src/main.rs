//! Build chores: `cargo xtask COMMAND`.

mod bench;
mod command;
mod dist;
mod fuzz;
mod generate;
mod services;
mod test;

use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask COMMAND
  test       install what the tests need, then run every check and test
  services   install the back ends and clients that the tests use, and say where
  generate   write the generated parts of the documentation; with --check, only say what is stale
  dist       build the static release binary and check it
  fuzz       build the fuzz targets and run each, or the named one, for a while: fuzz [TARGET] [--seconds N]
  bench      measure the release binary beside the bare minimum";

fn main() -> ExitCode {
    let command = std::env::args().nth(1).unwrap_or_default();
    let result = match command.as_str() {
        "test" => test::run(),
        "services" => services::install().map(|home| command::say(&home.display().to_string())),
        "generate" => generate::Mode::of(std::env::args().nth(2).as_deref()).and_then(generate::run),
        "dist" => dist::build().map(|binary| command::say(&binary.display().to_string())),
        "fuzz" => fuzz::run(std::env::args().skip(2)),
        "bench" => bench::run(),
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
