//! What `get` and `render` have in common: one text, rendered once.

use std::collections::BTreeSet;
use std::sync::Arc;

use locket_core::SecretBytes;
use locket_core::template::{self, RenderError};
use locket_engine::sources::Parsed;
use locket_engine::{Instances, once};

use crate::context::Context;
use crate::report::{Cause, Failure, Problem};
use crate::runtime;
use crate::settings::Common;

/// Renders `parsed`, asking whom it names. References without a value are told by `blame`.
///
/// # Errors
/// Wrong settings of the providers that are needed, before anybody is asked; then every reference without a value.
pub(super) fn render(
    parsed: &Parsed,
    common: &Common,
    instances: &Arc<Instances>,
    context: &Context,
    blame: impl FnOnce(Vec<RenderError>) -> Vec<Problem>,
) -> Result<SecretBytes, Failure> {
    make_providers(parsed, instances)?;
    let rendering = once::render(
        parsed,
        instances,
        &context.clock,
        common.request_timeout,
        common.deadline,
    );
    match runtime::block_on(rendering)? {
        Ok(rendered) => Ok(rendered.bytes),
        Err(errors) => Err(Failure::new(Cause::Unresolved, blame(errors))),
    }
}

/// Makes every provider that is needed.
fn make_providers(parsed: &Parsed, instances: &Instances) -> Result<(), Failure> {
    let names: BTreeSet<_> = parsed.keys.iter().map(|key| key.instance.clone()).collect();
    let refused = names.iter().filter_map(|name| instances.provider(name).err());
    let problems: Vec<_> = refused
        .map(|error| Problem::Told {
            message: error.context,
            help: error.hint,
        })
        .collect();
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Failure::new(Cause::Usage, problems))
    }
}

/// Why an expression has no value, and what to do.
pub(super) fn reason(problem: &template::Problem) -> (String, Option<String>) {
    match problem {
        template::Problem::Unresolved(error) => (error.context.clone(), error.hint.clone()),
        template::Problem::Unsuitable(reason) => (reason.clone(), None),
    }
}
