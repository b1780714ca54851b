//! `locket get REFERENCE`: the exact bytes of one secret.

use clap::{ArgMatches, Args};
use locket_core::template::RenderError;

use super::{Command, once};
use crate::context::Context;
use crate::exit::Exit;
use crate::options::{self, table};
use crate::report::{Cause, Failure, Problem};
use crate::settings::{self, Common};
use crate::{output, providers};

pub(super) const COMMAND: Command = Command {
    name: "get",
    about: "Print one secret, its exact bytes and nothing else",
    arguments: |command| {
        let command = GetArgs::augment_args(command);
        let command = options::add_flags(command, table::EVERY);
        providers::add_flags(options::add_flags(command, table::READING))
    },
    run,
};

#[derive(Args)]
struct GetArgs {
    /// What to read, such as `store://name`, `bao://mount/path/field` or `{{ op://vault/item/field | base64 }}`
    reference: String,
}

fn run(matches: &ArgMatches, context: &Context) -> Result<Exit, Failure> {
    let GetArgs { reference } = super::arguments(matches)?;
    let common = settings::load(matches, context, Common::settle)?.open(context);
    let instances = common.providers.instances(context);
    let parsed = once::reference(&reference, &instances)
        .map_err(|problem| Failure::new(Cause::Usage, vec![problem]))?;
    let value = once::render(&parsed, &common, &instances, context, |errors| {
        errors.iter().map(unresolved).collect()
    })?;
    output::secret(&value)?;
    Ok(Exit::Done)
}

fn unresolved(error: &RenderError) -> Problem {
    let (reason, help) = once::reason(&error.problem);
    Problem::Told {
        message: format!("{}: {reason}", error.reference),
        help,
    }
}
