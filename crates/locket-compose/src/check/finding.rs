//! One thing that is wrong, and all of them.

use super::{Fix, Rule};
use crate::place::Place;

/// One thing that is wrong. It never holds a value.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What kind of thing.
    pub rule: &'static Rule,
    /// Where.
    pub place: Place,
    /// What exactly, as a lower-case fragment.
    pub message: String,
    /// What to do, as sentences.
    pub help: String,
    /// What it is about, which stays the same when lines move: a baseline knows findings by it.
    pub subject: String,
    /// What would put it right.
    pub fix: Option<Fix>,
}

/// What a check found.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// What is wrong, in the order of files and places.
    pub findings: Vec<Finding>,
    /// What comments in the files take back.
    pub ignored: Vec<Finding>,
    /// Every place of a value that must not be shown, whether something is wrong with it or not.
    pub values: Vec<Place>,
}

impl Finding {
    pub(super) fn new(
        rule: &'static Rule,
        place: Place,
        subject: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            rule,
            place,
            message: message.into(),
            help: rule.cure.to_owned(),
            subject: subject.into(),
            fix: None,
        }
    }

    #[must_use]
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }

    #[must_use]
    pub(super) fn fix(mut self, fix: Option<Fix>) -> Self {
        self.fix = fix;
        self
    }
}
