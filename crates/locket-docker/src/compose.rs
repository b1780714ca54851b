//! The protocol between Compose and a provider: a description of the options, and JSON lines on standard output.
//!
//! Source: <https://github.com/docker/compose/blob/main/docs/extension.md>. An option that the description does not
//! name never reaches the provider.

use serde::Serialize;

/// The first version of Compose that takes `rawsetenv`.
pub const RAW_SINCE: (u32, u32) = (5, 2);

/// One line to Compose. Its text may hold secrets: it is never printed otherwise.
#[derive(Clone, Copy)]
pub enum Message<'a> {
    /// Progress, and whatever a person should know though nothing is wrong.
    Info(&'a str),
    /// Ends the command: never for a warning.
    Error(&'a str),
    /// For `--verbose`.
    Debug(&'a str),
    /// A variable of the services that depend on this one, which begins with this one's name.
    SetEnv(&'a str, &'a str),
    /// The same without the name before it.
    RawSetEnv(&'a str, &'a str),
}

#[derive(Serialize)]
struct Line<'a> {
    r#type: &'static str,
    message: &'a str,
}

impl Message<'_> {
    /// Its line.
    pub fn line(self) -> String {
        let assigned;
        let (kind, message) = match self {
            Self::Info(text) => ("info", text),
            Self::Error(text) => ("error", text),
            Self::Debug(text) => ("debug", text),
            Self::SetEnv(name, value) => {
                assigned = format!("{name}={value}");
                ("setenv", assigned.as_str())
            }
            Self::RawSetEnv(name, value) => {
                assigned = format!("{name}={value}");
                ("rawsetenv", assigned.as_str())
            }
        };
        let line = Line {
            r#type: kind,
            message,
        };
        serde_json::to_string(&line).unwrap_or_default() + "\n"
    }
}

/// What a provider says of itself.
#[derive(Clone, Debug, Serialize)]
pub struct Metadata {
    /// What it does.
    pub description: String,
    /// The options of `up`.
    pub up: Parameters,
    /// Those of `down`.
    pub down: Parameters,
}

/// The options of one command.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Parameters {
    /// Each of them.
    pub parameters: Vec<Parameter>,
}

/// One option.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Parameter {
    /// Its name, without dashes.
    pub name: String,
    /// What it says.
    pub description: String,
    /// Whether it must be given.
    pub required: bool,
    /// `string` or `boolean`.
    pub r#type: &'static str,
}

impl Metadata {
    /// The answer to Compose.
    pub fn answer(&self) -> String {
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }
}

/// Whether a version as `docker compose version --short` tells it takes `rawsetenv`.
pub fn takes_raw(version: &str) -> bool {
    let mut numbers = version.trim().trim_start_matches('v').split(['.', '-', '+']);
    let mut next = || numbers.next().and_then(|number| number.parse::<u32>().ok());
    match (next(), next()) {
        (Some(major), Some(minor)) => (major, minor) >= RAW_SINCE,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_is_one_line_that_compose_reads() {
        for (message, line) in [
            (Message::Info("a"), r#"{"type":"info","message":"a"}"#),
            (Message::Error("a\nb"), r#"{"type":"error","message":"a\nb"}"#),
            (Message::Debug("\"q\""), r#"{"type":"debug","message":"\"q\""}"#),
            (
                Message::SetEnv("A", "x=y\n"),
                r#"{"type":"setenv","message":"A=x=y\n"}"#,
            ),
            (
                Message::RawSetEnv("A", ""),
                r#"{"type":"rawsetenv","message":"A="}"#,
            ),
        ] {
            assert_eq!(message.line(), format!("{line}\n"));
        }
    }

    #[test]
    fn raw_variables_need_a_version_of_compose() {
        for (version, takes) in [
            ("2.40.3", false),
            ("2.40.3-3", false),
            ("5.1.9", false),
            ("5.2.0", true),
            ("v5.2.0-rc.1", true),
            ("6.0.0", true),
            ("dev", false),
            ("", false),
        ] {
            assert_eq!(takes_raw(version), takes, "{version}");
        }
    }
}
