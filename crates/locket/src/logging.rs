//! Log lines on standard error, for people or for machines.
//!
//! Only our own crates follow the chosen level. Others log what they send and receive, which holds secrets: of them
//! nothing below a warning is let through, whatever level was asked for.

use std::fmt;
use std::sync::{Arc, OnceLock};

use locket_core::{Clock, Diagnostic};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::prelude::*;
use tracing_subscriber::{Registry, reload};

use crate::context::Style;
use crate::options::values;

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogLevel(LevelFilter);

/// The form of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl LogLevel {
    /// Every level, from silence to everything.
    pub(crate) const NAMES: &'static [&'static str] = &["off", "error", "warn", "info", "debug", "trace"];

    /// Of commands whose output belongs to another program.
    pub(crate) const QUIET: Self = Self(LevelFilter::WARN);

    const WORDS: &'static [(&'static str, Self)] = &[
        ("off", Self(LevelFilter::OFF)),
        ("error", Self(LevelFilter::ERROR)),
        ("warn", Self(LevelFilter::WARN)),
        ("info", Self(LevelFilter::INFO)),
        ("debug", Self(LevelFilter::DEBUG)),
        ("trace", Self(LevelFilter::TRACE)),
    ];

    /// Parses the name of a level.
    ///
    /// # Errors
    /// There is none of this name.
    pub(crate) fn parse(text: &str) -> Result<Self, Diagnostic> {
        values::word(text, Self::WORDS)
    }
}

impl LogFormat {
    /// Every form.
    pub(crate) const NAMES: &'static [&'static str] = &["text", "json"];

    const WORDS: &'static [(&'static str, Self)] = &[("text", Self::Text), ("json", Self::Json)];

    /// Parses the name of a form.
    ///
    /// # Errors
    /// There is none of this name.
    pub(crate) fn parse(text: &str) -> Result<Self, Diagnostic> {
        values::word(text, Self::WORDS)
    }
}

impl Default for LogLevel {
    fn default() -> Self {
        Self(LevelFilter::INFO)
    }
}

/// The open log: how to change what it lets through, and its form.
static OPEN: OnceLock<(reload::Handle<Targets, Registry>, LogFormat)> = OnceLock::new();

/// Starts logging for the rest of the process. Called again, as after a reload, it changes the level.
pub(crate) fn start(level: LogLevel, format: LogFormat, style: Style, clock: Arc<dyn Clock>) {
    if let Some((handle, in_use)) = OPEN.get() {
        let _ = handle.reload(allowed(level));
        if *in_use != format {
            tracing::warn!("the form of the log changes with the next start");
        }
        return;
    }
    let (filter, handle) = reload::Layer::new(allowed(level));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_timer(WallClock(clock))
        // Where in the code a line comes from helps only those who look for a fault.
        .with_target(format == LogFormat::Json || level.0 > LevelFilter::INFO)
        .with_ansi(style == Style::Coloured);
    let lines = match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    if tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .try_init()
        .is_ok()
    {
        let _ = OPEN.set((handle, format));
    }
}

fn allowed(LogLevel(level): LogLevel) -> Targets {
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("locket", level)
}

struct WallClock(Arc<dyn Clock>);

impl FormatTime for WallClock {
    fn format_time(&self, to: &mut Writer<'_>) -> fmt::Result {
        write!(to, "{}", humantime::format_rfc3339_millis(self.0.wall()))
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn every_named_level_and_form_is_understood() {
        let levels: Vec<_> = LogLevel::WORDS.iter().map(|(name, _)| *name).collect();
        let formats: Vec<_> = LogFormat::WORDS.iter().map(|(name, _)| *name).collect();
        assert_eq!(levels, LogLevel::NAMES);
        assert_eq!(formats, LogFormat::NAMES);
        assert!(LogLevel::parse("verbose").is_err() && LogLevel::parse("3").is_err());
    }

    #[test]
    fn other_peoples_crates_never_log_below_a_warning() {
        let trace = allowed(LogLevel::parse("trace").unwrap());
        assert!(trace.would_enable("locket_engine::resolve", &Level::TRACE));
        assert!(trace.would_enable("hickory_resolver", &Level::WARN));
        assert!(!trace.would_enable("hyper::client", &Level::INFO));
        let off = allowed(LogLevel::parse("off").unwrap());
        assert!(!off.would_enable("hyper::client", &Level::ERROR));
        assert!(!off.would_enable("locket", &Level::ERROR));
    }
}
