//! What `doctor` is told; it runs every check and prints what they found.

use clap::{ArgMatches, Args};
use serde_json::{Value, json};

use super::super::format;
use super::super::{Command, arguments};
use super::checks::CHECKS;
use super::finding::{Finding, Health, Mistaken, Scene, Settled};
use crate::context::Context;
use crate::exit::Exit;
use crate::options::{self, table};
use crate::report::{self, Failure};
use crate::settings::{self, Form, RunSettings};
use crate::{output, providers};

pub(in super::super) const COMMAND: Command = Command {
    name: "doctor",
    about: "Check whether this machine and this configuration let locket do its work",
    arguments: |command| {
        let command = options::add_flags(DoctorArgs::augment_args(command), table::PLACES);
        let command = options::add_flags(options::add_flags(command, table::ASKING), table::EVERY);
        providers::add_flags(command)
    },
    run,
};

#[derive(Args)]
struct DoctorArgs {
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

fn run(matches: &ArgMatches, context: &Context) -> Result<Exit, Failure> {
    let DoctorArgs { json } = arguments(matches)?;
    let loaded = settings::load(matches, context, |layers| {
        RunSettings::settle(layers, Form::Look, context)
    });
    let scene = Scene {
        matches,
        context,
        settings: match loaded {
            Ok(loaded) => Ok(Settled::of(loaded.open(context), context)),
            Err(failure) => {
                report::tell(&failure.draw(context.style));
                Err(Mistaken)
            }
        },
    };
    let mut found = Vec::new();
    for check in CHECKS {
        let findings: Vec<_> = (check.look)(&scene)
            .into_iter()
            .map(|finding| (check.name, finding))
            .collect();
        // Whoever waits for one check sees what the others found.
        if !json {
            output::text(&findings.iter().map(line).collect::<String>())?;
        }
        found.extend(findings);
    }
    if json {
        output::text(&format::json(&Value::Array(found.iter().map(document).collect())))?;
    }
    let is_bad = |(_, finding): &(&str, Finding)| finding.state == Health::Bad;
    match found.iter().any(is_bad) {
        true => Ok(Exit::Failed),
        false => Ok(Exit::Done),
    }
}

/// One line: how it is, what was looked at, what was found, and what to do.
fn line((name, finding): &(&str, Finding)) -> String {
    let cure = match &finding.cure {
        Some(cure) => format!(". {cure}"),
        None => String::new(),
    };
    format!("{:4}  {name:14}  {}{cure}\n", finding.state.name(), finding.told)
}

fn document((name, finding): &(&str, Finding)) -> Value {
    json!({
        "check": name,
        "state": finding.state.name(),
        "found": finding.told,
        "cure": finding.cure,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_one_line_with_its_cure() {
        let told = |finding| line(&("clock", finding));
        assert_eq!(told(Finding::good("right")), "ok    clock           right\n");
        assert_eq!(
            told(Finding::bad("it is 1970", "Set the clock.")),
            "bad   clock           it is 1970. Set the clock.\n"
        );
    }

    #[test]
    fn no_two_checks_have_one_name() {
        let mut names: Vec<_> = CHECKS.iter().map(|check| check.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CHECKS.len());
    }
}
