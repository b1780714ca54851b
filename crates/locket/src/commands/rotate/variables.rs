//! The variables of a project's `.env` with their secrets in place: what containers are made with below `locket exec`.

use std::path::Path;

use clap::ArgMatches;
use locket_core::Environment;

use super::super::run::Screen;
use super::super::variables;
use crate::context::Context;
use crate::report::Failure;
use crate::settings::{self, Keys, Named, ProgramSettings, VariableForm};

/// The environment as `locket exec --env FILE` makes it; `None` where there is no such file.
///
/// # Errors
/// Some secret in it has no value.
pub(super) fn below_exec(
    file: &Path,
    matches: &ArgMatches,
    context: &Context,
) -> Result<Option<Environment>, Failure> {
    if !file.exists() {
        return Ok(None);
    }
    let loaded = settings::load_quietly(matches, context, |layers| {
        let named = Named {
            form: VariableForm::File,
            given: layers.given_by_flag("env", &file.to_string_lossy()),
        };
        let mut settings = ProgramSettings::of(layers, vec![named], &Keys::default(), context);
        settings.plan.allowed_names.clear();
        settings
    })?;
    let screen = Screen::of(&loaded, context);
    let settings = loaded.open(context);
    let generation = variables::resolve(&settings, &screen, context)?;
    let inherited = settings
        .common
        .providers
        .without_credentials(&context.environment);
    let inherited = inherited
        .iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let resolved = generation.variables.iter().map(|variable| {
        #[expect(
            clippy::disallowed_methods,
            reason = "a program gets it in its environment, as the user runs it"
        )]
        let value = std::os::unix::ffi::OsStringExt::from_vec(variable.value.expose().to_vec());
        (variable.name.clone().into(), value)
    });
    Ok(Some(inherited.chain(resolved).collect()))
}
