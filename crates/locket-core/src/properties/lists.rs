//! The small grammars of flags and variables: lists, maps, secrets, actions.

use std::fmt::Write;

use super::check::{are_placed, lies_in};
use crate::plan::{OnError, Owner, Source};
use crate::spec::{self, MapSpec, Overrides, SecretSpec};
use crate::{Action, Diagnostic, Signal, Span, lists as subject};

/// Any text as each of them.
pub fn lists(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    list(text);
    map(text);
    maps(text);
    secret(text);
    secrets(text);
    if let Some(action) = placed(text, Action::parse(text)) {
        assert_eq!(Action::parse(&write_action(&action)).as_ref(), Ok(&action));
    }
    if let Some(signal) = placed(text, Signal::parse(text)) {
        assert_eq!(Signal::parse(&signal.to_string()), Ok(signal));
    }
    if let Some(mode) = placed(text, spec::dir_mode(text)) {
        assert_eq!(spec::dir_mode(&format!("{mode:04o}")), Ok(mode));
    }
    if let Some(mode) = placed(text, spec::file_mode(text)) {
        assert!(mode <= 0o777);
    }
    if let Some(owner) = placed(text, spec::owner(text)) {
        assert_eq!(spec::owner(&write_owner(owner)), Ok(owner));
    }
    if let Some(policy) = placed(text, spec::on_error(text)) {
        assert_eq!(write_policy(policy), text);
    }
    let _ = placed(text, spec::file_name(text));
}

fn list(text: &str) {
    let Some(entries) = all_placed(text, subject::split(text)) else {
        return;
    };
    let mut end = 0;
    for entry in &entries {
        let Span { start, end: stop } = entry.span();
        assert!(end <= start && start < stop, "entries follow one another");
        end = stop;
        lies_in(entry.span(), text.as_bytes());
        assert!(!entry.text().is_empty() && entry.text().len() <= stop - start);
        for (at, _) in entry.text().char_indices() {
            let found = entry.locate(Diagnostic::error(at..at, "x"));
            lies_in(found.span, text.as_bytes());
            assert!(entry.span().start <= found.span.start && found.span.end <= entry.span().end);
        }
    }
}

fn map(text: &str) {
    if let Some(spec) = all_placed(text, MapSpec::parse(text)) {
        let written = write_map(&spec);
        assert_eq!(MapSpec::parse(&written), Ok(spec), "{written:?}");
    }
}

fn maps(text: &str) {
    if let Some(specs) = all_placed(text, MapSpec::parse_list(text)) {
        for spec in specs {
            let written = write_map(&spec);
            assert_eq!(MapSpec::parse(&written), Ok(spec), "{written:?}");
        }
    }
}

fn secret(text: &str) {
    if let Some(spec) = all_placed(text, SecretSpec::parse(text)) {
        lies_in(spec.source_span, text.as_bytes());
        let (Source::Inline { text: source, .. }, Span { start, end }) = (&spec.source, spec.source_span)
        else {
            return;
        };
        assert_eq!(source, &text[start..end], "the template is the text at its place");
        let escape = if source.starts_with('@') { "\\" } else { "" };
        let written = format!("{}={escape}{source}", spec.name);
        let again = SecretSpec::parse(&written);
        assert!(
            again.is_ok_and(|again| again.name == spec.name && again.source == spec.source),
            "{written:?}"
        );
    }
}

fn secrets(text: &str) {
    let _ = all_placed(text, SecretSpec::parse_list(text));
}

/// The map as somebody would write it who escapes whatever can be escaped.
pub(super) fn write_map(spec: &MapSpec) -> String {
    let Overrides {
        file_mode,
        dir_mode,
        owner,
        on_error,
        notify,
        include,
        exclude,
        atomic,
        render,
    } = &spec.overrides;
    let modes = [("mode", file_mode), ("dir-mode", dir_mode)];
    let mut options: Vec<_> = modes
        .iter()
        .filter_map(|(name, mode)| mode.map(|mode| format!("{name}={mode:04o}")))
        .collect();
    options.extend(owner.map(|owner| format!("user={}", write_owner(owner))));
    options.extend(on_error.map(|policy| format!("on-error={}", write_policy(policy))));
    options.extend(
        notify
            .iter()
            .map(|action| format!("notify={}", escape(&write_action(action)))),
    );
    for (name, patterns) in [("include", include), ("exclude", exclude)] {
        let written = patterns.iter().map(|pattern| escape(&pattern.to_string()));
        options.extend(written.map(|pattern| format!("{name}={pattern}")));
    }
    for (name, given) in [("atomic", atomic), ("render", render)] {
        options.extend(given.map(|given| format!("{name}={given}")));
    }
    let mut written = format!(
        "{}:{}",
        escape(&spec.source.to_string_lossy()),
        escape(&spec.destination.to_string_lossy())
    );
    if !options.is_empty() {
        let _ = write!(written, ":{}", options.join(","));
    }
    written
}

/// The action in full, which its `Display` is not.
pub(super) fn write_action(action: &Action) -> String {
    match action {
        Action::Exec { argv } => {
            let quoted = argv
                .iter()
                .map(|word| format!("'{}'", word.replace('\'', r"'\''")));
            format!("exec:{}", quoted.collect::<Vec<_>>().join(" "))
        }
        Action::Pid { file, signal } => format!("pid:{}:{signal}", file.to_string_lossy()),
        Action::Http { url } => format!("http:{url}"),
        whole => whole.to_string(),
    }
}

fn write_owner(owner: Owner) -> String {
    match owner.gid {
        Some(gid) => format!("{}:{gid}", owner.uid),
        None => owner.uid.to_string(),
    }
}

fn write_policy(policy: OnError) -> &'static str {
    OnError::ALL
        .iter()
        .find(|(_, known)| *known == policy)
        .map_or("", |(name, _)| name)
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        if matches!(char, ':' | '=' | ',' | '\\') {
            escaped.push('\\');
        }
        escaped.push(char);
    }
    escaped
}

/// What was parsed; a mistake lies in the text.
fn placed<T>(text: &str, result: Result<T, Diagnostic>) -> Option<T> {
    all_placed(text, result.map_err(|wrong| vec![wrong]))
}

/// What was parsed; all mistakes lie in the text.
fn all_placed<T>(text: &str, result: Result<T, Vec<Diagnostic>>) -> Option<T> {
    if let Err(wrong) = &result {
        assert!(!wrong.is_empty(), "a refusal has words");
        are_placed(wrong, text.as_bytes());
    }
    result.ok()
}
