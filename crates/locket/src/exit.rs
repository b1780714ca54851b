//! Exit codes: what they mean, and the one place that decides between them.

use std::process::ExitCode;

use crate::report::{Cause, Failure};

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The work is done.
    Done,
    /// Something went wrong while working.
    Failed,
    /// The command line, a variable or the configuration is wrong; nothing was done.
    Usage,
    /// A comparison found a difference.
    Changed,
    /// A secret has no value: missing, denied, or its provider unreachable.
    Unresolved,
    /// That of a program that was run.
    Status(u8),
}

impl Exit {
    /// What `exec` ends with when it fails itself.
    pub(crate) const OWN: Self = Self::Status(125);

    /// The status of a program that a signal ended, as shells count.
    pub(crate) fn of_signal(number: i32) -> u8 {
        u8::try_from(128 + number).unwrap_or(u8::MAX)
    }

    /// Every one of our own, in the order of its code.
    pub(crate) const ALL: [Self; 5] = [
        Self::Done,
        Self::Failed,
        Self::Usage,
        Self::Changed,
        Self::Unresolved,
    ];

    /// The status that the caller sees. Scripts rely on these numbers: they never change.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Changed => 3,
            Self::Unresolved => 4,
            Self::Status(status) => status,
        }
    }

    /// What it tells the caller, as the documentation says it.
    pub(crate) const fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done, or stopped by a signal",
            Self::Failed => {
                "something failed: an output cannot be written, a consumer was not told, an agent is not healthy, a check found a fault"
            }
            Self::Usage => "the command line, a variable or the configuration is wrong; nothing was done",
            Self::Changed => {
                "something changed (`sync`), or would change, of a command that was asked to tell by its exit code"
            }
            Self::Unresolved => "a reference has no value, or a template has a mistake",
            Self::Status(_) => "that of the program",
        }
    }

    /// What a command's result means for the caller.
    pub(crate) fn of(result: &Result<Self, Failure>) -> Self {
        match result {
            Ok(exit) => *exit,
            Err(failure) => match failure.cause() {
                Cause::Usage => Self::Usage,
                Cause::Work => Self::Failed,
                Cause::Unresolved => Self::Unresolved,
            },
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Problem;

    #[test]
    fn no_two_exits_share_a_code() {
        let codes = Exit::ALL.map(Exit::code);
        assert!(codes.is_sorted() && codes.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn every_result_has_its_documented_code() {
        for (result, code) in [
            (Ok(Exit::Done), 0),
            (Ok(Exit::Failed), 1),
            (Err(Failure::work("x")), 1),
            (Ok(Exit::Usage), 2),
            (Err(Failure::usage("x")), 2),
            (Ok(Exit::Changed), 3),
            (Ok(Exit::Unresolved), 4),
            (Err(Failure::new(Cause::Unresolved, vec![Problem::told("x")])), 4),
        ] {
            assert_eq!(Exit::of(&result).code(), code, "{result:?}");
        }
    }
}
