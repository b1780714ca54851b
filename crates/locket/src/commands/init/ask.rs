//! The guided way: what each step is for, and what it should do. Every answer is a flag, too.

use std::io::IsTerminal;

use dialoguer::{Confirm, MultiSelect, Select};
use locket_compose::init::{Fresh, Options, Plan, Value, programs as known_programs};
use locket_core::suggest;

use super::command::default_programs;
use crate::report::{self, Failure};

/// Whether somebody is told and asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asking {
    /// Nobody: the flags decide.
    Nobody,
    /// Each step is explained, and the flags decide.
    Told,
    /// Each step is explained and asked about.
    Asked,
}

impl Asking {
    pub(super) fn of(guided: bool) -> Self {
        let is_terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        match (guided, is_terminal) {
            (false, _) => Self::Nobody,
            (true, false) => Self::Told,
            (true, true) => Self::Asked,
        }
    }

    fn explain(self, text: &str) {
        if self != Self::Nobody {
            report::tell(&format!("{text}\n"));
        }
    }
}

/// The programs that a new project begins with.
pub(super) fn programs(given: &[String], asking: Asking) -> Result<Vec<String>, Failure> {
    let all: Vec<_> = known_programs().collect();
    asking.explain(
        "There is no Compose file here. One is made, `compose.yaml`, with the programs that you choose (`--with`); no secret is in it.",
    );
    if !given.is_empty() {
        return given
            .iter()
            .map(|name| known(name, &all))
            .filter(|name| !matches!(name, Ok(name) if name == "none"))
            .collect();
    }
    if asking != Asking::Asked {
        return Ok(default_programs());
    }
    let defaults: Vec<_> = all
        .iter()
        .map(|name| default_programs().iter().any(|default| default == name))
        .collect();
    let chosen = MultiSelect::new()
        .with_prompt("Programs (space chooses, enter goes on)")
        .items(&all)
        .defaults(&defaults)
        .interact()
        .map_err(|error| unanswered(&error))?;
    Ok(chosen.into_iter().map(|at| all[at].to_owned()).collect())
}

fn known(name: &str, all: &[&str]) -> Result<String, Failure> {
    if name == "none" || all.contains(&name) {
        return Ok(name.to_owned());
    }
    let failure = Failure::usage(format!("no project begins with `{name}`"));
    Err(match suggest::nearest(name, all.iter().copied()) {
        Some(near) => failure.help(format!("Did you mean `{near}`?")),
        None => failure.help(format!("Write `none`, or some of {}.", all.join(", "))),
    })
}

/// What becomes of each secret; whether some answer changed something.
pub(super) fn secrets(plan: &Plan, options: &mut Options, asking: Asking) -> Result<bool, Failure> {
    asking.explain(
        "Each secret gets a file of its own in `secrets/`, which only you can enter. A plain value of the project is kept, since what it opens may be running with it (`--new NAME` makes another one, `--skip NAME` leaves it where it is).",
    );
    if asking != Asking::Asked {
        return Ok(false);
    }
    let mut is_changed = false;
    for planned in &plan.secrets {
        let (Value::Present(_), Some(found)) = (&planned.value, &planned.found) else {
            continue;
        };
        let answer = Select::new()
            .with_prompt(format!("{} ({found})", planned.name))
            .items(["keep its value", "make a new one", "leave it where it is"])
            .default(0)
            .interact()
            .map_err(|error| unanswered(&error))?;
        match answer {
            0 => {}
            1 => {
                match &mut options.fresh {
                    Fresh::Named(names) => names.push(planned.name.clone()),
                    fresh @ Fresh::Missing => *fresh = Fresh::Named(vec![planned.name.clone()]),
                    Fresh::All => {}
                }
                is_changed = true;
            }
            _ => {
                options.skip.push(planned.name.clone());
                is_changed = true;
            }
        }
    }
    Ok(is_changed)
}

/// Whether the plan is carried out.
pub(super) fn go_on(asking: Asking) -> Result<bool, Failure> {
    asking.explain(
        "Now the files are made, an override has the services read them from `/run/secrets/`, and `secrets/` is kept out of git and of images. Nothing that is there is overwritten.",
    );
    match asking {
        Asking::Asked => Confirm::new()
            .with_prompt("Go on")
            .default(true)
            .interact()
            .map_err(|error| unanswered(&error)),
        Asking::Nobody | Asking::Told => Ok(true),
    }
}

fn unanswered(error: &dialoguer::Error) -> Failure {
    Failure::work(format!("the question was not answered: {error}"))
}
