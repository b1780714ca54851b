//! Log lines on standard error, for people or for machines.
//!
//! Only our own crates follow the chosen level. Others log what they send and receive, which holds secrets: of them
//! nothing below a warning is let through, whatever level was asked for.

use std::fmt::{self, Write};
use std::sync::{Arc, OnceLock};

use locket_core::{Clock, Diagnostic};
use tracing::field::Field;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
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
        LogFormat::Text => lines.fmt_fields(fields()).boxed(),
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

/// What a line of text says. A name of a file, or what a server said, may hold line breaks: none of them begins a line
/// that would pass for one of ours.
fn fields() -> impl for<'writer> FormatFields<'writer> + 'static {
    let field = |writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug| {
        let mut writer = OneLine(writer);
        match field.name() {
            "message" => write!(writer, "{value:?}"),
            name => write!(writer, "{name}={value:?}"),
        }
    };
    debug_fn(field).delimited(" ")
}

/// Writes characters that end lines, or that terminals obey, by their escapes.
struct OneLine<'a, 'w>(&'a mut Writer<'w>);

impl Write for OneLine<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|char| match char {
            '\u{2028}' | '\u{2029}' => write!(self.0, "{}", char.escape_unicode()),
            _ if char.is_control() => write!(self.0, "{}", char.escape_default()),
            _ => self.0.write_char(char),
        })
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
    use std::sync::Mutex;

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
    fn no_name_of_a_file_forges_a_line_of_the_log() {
        let written = Arc::new(Mutex::new(Vec::new()));
        let sink = written.clone();
        let lines = tracing_subscriber::fmt::layer()
            .with_writer(move || Shared(sink.clone()))
            .without_time()
            .with_ansi(false)
            .fmt_fields(fields());
        let subscriber = tracing_subscriber::registry().with(lines);
        tracing::subscriber::with_default(subscriber, || {
            let name = "a\n2026-01-01T00:00:00.000Z  INFO updated /etc/b\r\u{1b}[2K\u{85}\u{2028}é";
            tracing::info!(name, count = 2, "updated {name}");
        });
        let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains(r"updated a\n2026-01-01"), "{text}");
        assert!(text.contains(" count=2") && text.contains("é"), "{text}");
        let obeyed = |char: char| char != '\n' && (char.is_control() || char == '\u{2028}');
        assert_eq!(text.chars().find(|char| obeyed(*char)), None, "{text}");
    }

    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
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
