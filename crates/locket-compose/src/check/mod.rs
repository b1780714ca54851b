//! What is wrong with the secrets of a project: one file for each family of findings.

mod access;
mod credentials;
mod definitions;
mod dependencies;
mod file_variables;
mod finding;
mod fix;
mod ignore;
mod mistakes;
mod outputs;
mod references;
mod rules;
mod run;
mod secret_files;
mod shown;
mod surroundings;

pub use credentials::env_credentials;
pub use finding::{Checked, Finding};
pub use fix::Fix;
pub use ignore::is_ignored;
pub use references::references;
pub use rules::{RULES, Rule, Severity, page};
pub use run::{Options, check};
pub use shown::{cover_lines, shown};
pub use surroundings::{Edges, Git, Kind, Stat, Surroundings};
