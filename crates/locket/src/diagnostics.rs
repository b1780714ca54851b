//! Draws findings the way compilers do: place, source line, caret, advice.
//!
//! The source may be anything, so what is shown of it is made harmless first: other encodings become readable,
//! control characters become visible, and of an endless line only the part around the finding is shown.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use locket_core::Diagnostic;
use locket_core::diagnostic::Severity;

use crate::context::Style;
use crate::report::SourceText;

/// Bytes shown on either side of a finding on a long line.
const AROUND: usize = 240;

/// Bytes of a finding that are underlined at most.
const UNDERLINED: usize = 400;

/// All findings in one source, one after the other.
pub(crate) fn draw(source: &SourceText, findings: &[Diagnostic], style: Style) -> String {
    let drawn: Vec<_> = findings
        .iter()
        .map(|finding| draw_one(source, finding, style))
        .collect();
    drawn.join("\n\n")
}

/// An error that has no place in a text.
pub(crate) fn draw_words(message: &str, help: Option<&str>, style: Style) -> String {
    let lines = [Some(Level::ERROR.primary_title(visible(message)))]
        .into_iter()
        .chain([help.map(|help| Level::HELP.primary_title(visible(help)))])
        .flatten()
        .map(|title| renderer(style).render(&[Group::with_title(title)]));
    lines.collect::<Vec<_>>().join("\n")
}

fn draw_one(source: &SourceText, finding: &Diagnostic, style: Style) -> String {
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let name = visible(&source.name);
    let excerpt = Excerpt::of(&source.text, finding.span.start, finding.span.end);
    let label = Some(visible(&finding.label)).filter(|label| !label.is_empty());
    let snippet = Snippet::source(excerpt.text).line_start(excerpt.line).annotation(
        AnnotationKind::Primary
            .span(excerpt.start..excerpt.end)
            .label(label),
    );
    let group = Group::with_title(level.primary_title(visible(&finding.message)));
    let group = match excerpt.cut_at_column {
        None => group.element(snippet.path(name)),
        Some(column) => group
            .element(Origin::path(name).line(excerpt.line).char_column(column))
            .element(snippet),
    };
    let help = finding
        .help
        .as_ref()
        .map(|help| Level::HELP.message(visible(help)));
    renderer(style).render(&[group.elements(help)])
}

fn renderer(style: Style) -> Renderer {
    match style {
        Style::Plain => Renderer::plain(),
        Style::Coloured => Renderer::styled(),
    }
}

/// The lines that a finding stands on, made harmless.
struct Excerpt {
    text: String,
    /// Where the finding starts in `text`.
    start: usize,
    /// Where it ends in `text`.
    end: usize,
    /// The number of the first line.
    line: usize,
    /// Where the beginning of the line is left out: the finding's true column, in characters.
    cut_at_column: Option<usize>,
}

impl Excerpt {
    fn of(source: &[u8], start: usize, end: usize) -> Self {
        let start = start.min(source.len());
        let end = end.clamp(start, source.len().min(start + UNDERLINED));
        let line_start = source[..start]
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        let line_end = source[end..]
            .iter()
            .position(|byte| *byte == b'\n')
            .map_or(source.len(), |at| end + at);
        let from = on_character(source, line_start.max(start.saturating_sub(AROUND)));
        let to = on_character(source, line_end.min(end + AROUND));
        let is_cut = from > line_start;
        let before = || {
            String::from_utf8_lossy(&source[line_start..start])
                .chars()
                .count()
        };
        let mut excerpt = Self {
            text: String::with_capacity(to - from + 8),
            start: 0,
            end: 0,
            line: source[..start].iter().filter(|byte| **byte == b'\n').count() + 1,
            cut_at_column: is_cut.then(|| before() + 1),
        };
        excerpt.mark(is_cut);
        excerpt.push(&source[from..start]);
        excerpt.start = excerpt.text.len();
        excerpt.push(&source[start..end]);
        excerpt.end = excerpt.text.len();
        excerpt.push(&source[end..to.max(end)]);
        excerpt.mark(to < line_end);
        excerpt
    }

    fn mark(&mut self, is_cut: bool) {
        if is_cut {
            self.text.push('…');
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.text.push_str(&visible(&String::from_utf8_lossy(bytes)));
    }
}

/// The start of the character that `at` is in, so that a cut does not look like a broken file.
fn on_character(source: &[u8], at: usize) -> usize {
    let is_middle = |at: &usize| {
        source
            .get(*at)
            .is_some_and(|byte| byte & 0b1100_0000 == 0b1000_0000)
    };
    (at.saturating_sub(3)..=at)
        .rev()
        .find(|at| !is_middle(at))
        .unwrap_or(at)
}

/// `text` without the characters that terminals obey. Those below U+0080 are made visible by the renderer.
fn visible(text: &str) -> String {
    text.chars()
        .map(|char| match char {
            '\u{80}'..='\u{9f}' | '\u{200b}'..='\u{200f}' | '\u{feff}' => '\u{fffd}',
            other => other,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(text: &[u8], finding: Diagnostic) -> String {
        let source = SourceText {
            name: "app.conf".into(),
            text: text.into(),
        };
        draw(&source, &[finding], Style::Plain)
    }

    #[test]
    fn place_caret_label_and_advice_are_drawn() {
        let finding = Diagnostic::error(14..21, "`baoo://` belongs to no provider")
            .label("unknown scheme")
            .help("Did you mean `bao`?");
        insta::assert_snapshot!(drawn(b"# app\nkey: {{ baoo://kv/app/key }}\nport: 80\n", finding));
    }

    #[test]
    fn control_characters_reach_no_terminal() {
        let drawn = drawn(
            b"a \x1b[31m\xc2\x9b31m {{ x }} \x07\r\n",
            Diagnostic::error(11..18, "bad \u{1b}]0;title\u{7}"),
        );
        assert!(drawn.contains("{{ x }}"), "{drawn}");
        let obeyed = |char: char| char.is_control() && char != '\n';
        assert_eq!(drawn.chars().find(|char| obeyed(*char)), None, "{drawn}");
    }

    #[test]
    fn a_binary_file_is_shown_as_far_as_it_can_be() {
        let drawn = drawn(
            b"\xff\xfe\x00{{ opp://a }}\x80",
            Diagnostic::error(6..9, "unknown"),
        );
        assert!(drawn.contains("{{ opp://a }}"), "{drawn}");
        assert!(drawn.contains("app.conf:1:7"), "{drawn}");
    }

    #[test]
    fn of_an_endless_line_only_the_surroundings_are_shown() {
        let mut text = "é".repeat(2_000_000).into_bytes();
        let start = text.len();
        text.extend(b"{{ opp://a }}");
        text.extend("ü".repeat(2_000_000).into_bytes());
        let drawn = drawn(&text, Diagnostic::error(start..start + 13, "unknown"));
        assert!(drawn.len() < 4000, "{}", drawn.len());
        assert!(drawn.contains("{{ opp://a }}") && drawn.contains("é") && !drawn.contains('\u{fffd}'));
        assert!(drawn.contains("app.conf:1:2000001"), "{drawn}");
    }

    #[test]
    fn a_place_outside_the_text_is_no_panic() {
        assert!(drawn(b"", Diagnostic::error(5..9, "empty")).contains("empty"));
        assert!(drawn(b"one\n", Diagnostic::error(4..4, "at the end")).contains("at the end"));
        assert!(drawn("é".as_bytes(), Diagnostic::error(1..2, "in the middle")).contains("in the middle"));
    }

    #[test]
    fn words_alone_come_with_their_advice() {
        insta::assert_snapshot!(draw_words(
            "the provider `vaul` is not in this build",
            Some("Did you mean `vault`?"),
            Style::Plain
        ));
    }
}
