//! Answers from the environment that the process was started with; nothing is read later.

use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use locket_core::schemes::Fragment;
use locket_core::{
    BoxFuture, Capability, Diagnostic, Environment, FetchCx, Fetched, Locator, Members, Provider,
    ProviderError, Reference, SecretBytes, suggest,
};

use crate::registry::touches_nothing;
use crate::{BuildCx, ConfigError, Facts, ProviderKind, SchemeSpec};

/// Environment variables.
pub static KIND: ProviderKind = ProviderKind {
    name: "env",
    title: "environment variables",
    summary: "Variables of locket's own environment",
    facts: Facts::LOCAL,
    schemes: &[SchemeSpec {
        name: "env",
        bare: false,
        fragment: Fragment::Json,
    }],
    prefix: "env",
    settings: &[],
    network: false,
    named_only: false,
    runs_programs: false,
    touches: touches_nothing,
    parse,
    parse_every: Some(parse_every),
    build,
};

#[derive(Debug)]
struct EnvProvider {
    environment: Environment,
}

/// The name of a variable.
struct VariableName(Box<str>);

/// How the names of several variables begin.
struct VariablePrefix(Box<str>);

fn parse(reference: &Reference) -> Result<Locator, Vec<Diagnostic>> {
    reference.check_options(&[])?;
    let name = reference.decoded_locator();
    if name.contains(['=', '\0']) {
        return Err(vec![
            Diagnostic::error(reference.span(), "a variable's name cannot hold `=` or NUL")
                .help("Write `env://NAME`."),
        ]);
    }
    Ok(Locator::new(
        name.as_ref(),
        "",
        VariableName(name.as_ref().into()),
    ))
}

/// `env://APP_*`: a prefix is needed, since the whole environment holds other things than secrets, and our own
/// credentials.
fn parse_every(reference: &Reference) -> Result<Locator, Vec<Diagnostic>> {
    let prefix = match reference.decoded_locator() {
        prefix if prefix.is_empty() || prefix.ends_with('/') => {
            return Err(vec![
                Diagnostic::error(
                    reference.span(),
                    "this asks for variables without saying how their names begin",
                )
                .help("Write `env://PREFIX_*`; the `*` stands for the rest of the name."),
            ]);
        }
        prefix => prefix,
    };
    parse(reference)?;
    let typed = VariablePrefix(prefix.as_ref().into());
    Ok(Locator::every(prefix.as_ref(), "", typed))
}

fn build(cx: &BuildCx<'_>) -> Result<Arc<dyn Provider>, ConfigError> {
    Ok(Arc::new(EnvProvider {
        environment: cx.environment.clone(),
    }))
}

impl Provider for EnvProvider {
    fn capability(&self) -> Capability {
        Capability {
            items_per_call: 1024,
            max_concurrent: 1,
            local: true,
        }
    }

    fn fetch<'a>(
        &'a self,
        batch: &'a [Locator],
        _cx: &'a FetchCx,
    ) -> BoxFuture<'a, Vec<Result<Fetched, ProviderError>>> {
        let results = batch.iter().map(|locator| self.fetch_one(locator)).collect();
        Box::pin(std::future::ready(results))
    }
}

impl EnvProvider {
    fn fetch_one(&self, locator: &Locator) -> Result<Fetched, ProviderError> {
        if let Some(VariablePrefix(prefix)) = locator.typed() {
            return self.fetch_every(prefix);
        }
        let VariableName(name) = locator
            .typed()
            .ok_or_else(|| ProviderError::invalid("the reference was parsed by another provider"))?;
        if let Some(value) = self.environment.get_os(name) {
            return Ok(Fetched::new(SecretBytes::copy_from(value.as_bytes())));
        }
        let near = suggest::nearest(name, self.environment.names().filter_map(|known| known.to_str()));
        Err(
            ProviderError::not_found(format!("the variable {name} is not set")).hint(match near {
                Some(near) => format!("Did you mean `{near}`?"),
                None => "Set it in the environment that locket is started in.".into(),
            }),
        )
    }

    fn fetch_every(&self, prefix: &str) -> Result<Fetched, ProviderError> {
        let members: Vec<_> = self
            .environment
            .iter()
            .filter_map(|(name, value)| {
                let key = name
                    .to_str()?
                    .strip_prefix(prefix)
                    .filter(|key| !key.is_empty())?;
                Some((
                    key.to_owned(),
                    Fetched::new(SecretBytes::copy_from(value.as_bytes())),
                ))
            })
            .collect();
        if members.is_empty() {
            return Err(ProviderError::not_found(format!(
                "no variable whose name begins with {prefix} is set"
            ))
            .hint("Set them in the environment that locket is started in."));
        }
        Ok(Fetched::every(Members::new(members)))
    }
}
