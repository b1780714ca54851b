//! The generated parts of the documentation. A test of the program makes them, since it alone sees the program's tables
//! without their being part of the released binary or of a public interface.

use crate::command::{cargo, run as step};

/// What happens to pages that are not what the program does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// They are written anew.
    Write,
    /// They are an error.
    Check,
}

impl Mode {
    /// The mode that an argument asks for.
    pub(crate) fn of(argument: Option<&str>) -> Result<Self, String> {
        match argument {
            None => Ok(Self::Write),
            Some("--check") => Ok(Self::Check),
            Some(other) => Err(format!("`generate` takes --check, not {other}")),
        }
    }
}

/// Writes or checks the generated parts of the documentation.
pub(crate) fn run(mode: Mode) -> Result<(), String> {
    // The whole workspace, so that nothing is compiled that the tests would not compile alike.
    let mut test = cargo(&[
        "test",
        "--quiet",
        "--locked",
        "--workspace",
        "--lib",
        "--",
        "reference::pages::",
        "--nocapture",
    ]);
    step(test.env(
        "LOCKET_GENERATE",
        match mode {
            Mode::Write => "write",
            Mode::Check => "check",
        },
    ))
}
