//! What a check finds, and what it is given to look at.

use clap::ArgMatches;
use locket_engine::preview::{Foreseen, foresee};

use crate::context::Context;
use crate::settings::RunSettings;

/// One check: what it is called, and how it looks.
pub(super) struct Check {
    /// Its name, one word or two.
    pub(super) name: &'static str,
    /// Looks, and says at least one thing.
    pub(super) look: fn(&Scene<'_>) -> Vec<Finding>,
}

/// What a check may look at.
pub(super) struct Scene<'a> {
    /// The command line.
    pub(super) matches: &'a ArgMatches,
    /// What surrounds the process.
    pub(super) context: &'a Context,
    /// What a run would be told.
    pub(super) settings: Result<Settled, Mistaken>,
}

/// What a run would be told, and what the engine foresees of it.
pub(super) struct Settled {
    /// What it would be told.
    pub(super) run: RunSettings,
    /// What is wrong with its plan.
    pub(super) foreseen: Foreseen,
}

/// Flags, variables or files have mistakes, which were shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mistaken;

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// How it is.
    pub(super) state: Health,
    /// What was found, as a lower-case fragment.
    pub(super) told: String,
    /// What to do, as a sentence; always there unless all is well.
    pub(super) cure: Option<String>,
}

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Health {
    /// As it should be.
    Good,
    /// Less safe or less quick than it could be.
    Weak,
    /// Something will not work.
    Bad,
}

impl Health {
    /// The word for it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Weak => "weak",
            Self::Bad => "bad",
        }
    }
}

impl Finding {
    pub(super) fn good(told: impl Into<String>) -> Self {
        Self {
            state: Health::Good,
            told: told.into(),
            cure: None,
        }
    }

    pub(super) fn weak(told: impl Into<String>, cure: impl Into<String>) -> Self {
        Self {
            state: Health::Weak,
            told: told.into(),
            cure: Some(cure.into()),
        }
    }

    pub(super) fn bad(told: impl Into<String>, cure: impl Into<String>) -> Self {
        Self {
            state: Health::Bad,
            told: told.into(),
            cure: Some(cure.into()),
        }
    }
}

impl Settled {
    /// Looks ahead, asking nobody.
    pub(super) fn of(run: RunSettings, context: &Context) -> Self {
        let instances = run.common.providers.instances(context);
        let foreseen = foresee(&run.plan, &instances, &context.clock);
        Self { run, foreseen }
    }
}

impl Scene<'_> {
    /// What a run would be told; a check that needs it has nothing to look at where that has mistakes, which the check
    /// of the configuration tells.
    pub(super) fn settled(&self) -> Result<&RunSettings, Vec<Finding>> {
        self.look_ahead().map(|settled| &settled.run)
    }

    /// The same with what the engine foresees.
    pub(super) fn look_ahead(&self) -> Result<&Settled, Vec<Finding>> {
        self.settings.as_ref().map_err(|_| {
            vec![Finding::weak(
                "not looked at, since the configuration has mistakes",
                "Correct the configuration first.",
            )]
        })
    }
}
