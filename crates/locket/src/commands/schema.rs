//! `locket schema`: the JSON schema of the configuration file, for editors and CI.

use clap::ArgMatches;

use super::{Command, format};
use crate::context::Context;
use crate::exit::Exit;
use crate::report::Failure;
use crate::{config, output};

pub(super) const COMMAND: Command = Command {
    name: "schema",
    about: "Print the JSON schema of locket.toml, for editors",
    arguments: |command| command,
    run,
};

fn run(_: &ArgMatches, _: &Context) -> Result<Exit, Failure> {
    output::text(&format::json(&config::schema()))?;
    Ok(Exit::Done)
}
