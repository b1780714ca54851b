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
    /// A secret has no value: missing, denied, or its provider unreachable.
    Unresolved,
}

impl Exit {
    /// The status that the caller sees. Scripts rely on these numbers: they never change. 3, "something changed",
    /// belongs to commands that compare.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Unresolved => 4,
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
    fn every_result_has_its_documented_code() {
        for (result, code) in [
            (Ok(Exit::Done), 0),
            (Ok(Exit::Failed), 1),
            (Err(Failure::work("x")), 1),
            (Ok(Exit::Usage), 2),
            (Err(Failure::usage("x")), 2),
            (Ok(Exit::Unresolved), 4),
            (Err(Failure::new(Cause::Unresolved, vec![Problem::told("x")])), 4),
        ] {
            assert_eq!(Exit::of(&result).code(), code, "{result:?}");
        }
    }
}
