//! The program itself: its words, and its environment with the variables of a generation.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::Command;

use locket_core::Environment;
use rustix::fs::{MemfdFlags, SealFlags};

use super::error::RunError;
use crate::agent::{Generation, Variable};

/// Where the files are that only a program can read.
pub const VARIABLE_FILES: &str = "/proc/self/fd";

/// What is run.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its name or path.
    pub name: OsString,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// What it inherits, without anything that a generation has.
    pub environment: Environment,
    /// Where it starts.
    pub directory: PathBuf,
}

impl Program {
    /// The command with the variables of `generation`, and the files it must inherit for them.
    ///
    /// # Errors
    /// A value cannot be a variable, or there is no memory for a file.
    pub fn command(&self, generation: &Generation) -> Result<(Command, Vec<OwnedFd>), RunError> {
        // Found by the search path that the program will have: a generation may hold one.
        let mut command = Command::new(&self.name);
        command
            .args(&self.arguments)
            .env_clear()
            .envs(self.environment.iter());
        command.current_dir(&self.directory);
        let mut files = Vec::new();
        for variable in &generation.variables {
            if variable.is_file {
                let file = file_of(variable)?;
                command.env(&variable.name, format!("{VARIABLE_FILES}/{}", file.as_raw_fd()));
                files.push(file);
            } else {
                #[expect(clippy::disallowed_methods, reason = "the program is to have this variable")]
                let value = variable.value.expose();
                if value.contains(&0) {
                    return Err(RunError::Own(format!(
                        "the value of {} holds a NUL byte, which no variable can; `--as-file` makes a file of it",
                        variable.name
                    )));
                }
                command.env(&variable.name, OsStr::from_bytes(value));
            }
        }
        Ok((command, files))
    }

    /// What it means that the system did not become this program.
    pub fn refused(&self, error: &std::io::Error) -> RunError {
        RunError::starting(&self.shown(), error)
    }

    /// What it is called in messages.
    pub(super) fn shown(&self) -> String {
        self.name.to_string_lossy().into_owned()
    }
}

/// A file in memory that nobody can change and whose only name is its number.
fn file_of(variable: &Variable) -> Result<OwnedFd, RunError> {
    let failed = |error: &dyn std::fmt::Display| {
        RunError::own(&format!("no file can be made for {}", variable.name), error)
    };
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let memory = rustix::fs::memfd_create("locket", flags).map_err(|error| failed(&error))?;
    let mut file = File::from(memory);
    #[expect(clippy::disallowed_methods, reason = "the program is to have this file")]
    let value = variable.value.expose();
    file.write_all(value).map_err(|error| failed(&error))?;
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    rustix::fs::fcntl_add_seals(&file, seals).map_err(|error| failed(&error))?;
    rustix::fs::fchmod(&file, rustix::fs::Mode::RUSR).map_err(|error| failed(&error))?;
    rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0)).map_err(|error| failed(&error))?;
    Ok(file.into())
}
