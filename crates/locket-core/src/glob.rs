//! Patterns of names: `*`, `**`, `?`, `[a-z]`, `{one,other}`, for what a map or a listing takes and leaves out.
//!
//! Matching walks the text once and never backtracks, so that no pattern is slow.

use std::fmt;

use crate::{Diagnostic, Span};

/// One pattern. Without a `/` it is compared with the last name of a path, else with the whole path.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Pattern {
    text: String,
    alternatives: Vec<Vec<Token>>,
    is_path: bool,
}

/// What is taken: everything that some pattern of `include` matches, or everything where there is none, without what
/// one of `exclude` matches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Selection {
    /// What is taken; empty takes everything.
    pub include: Vec<Pattern>,
    /// What is left out all the same.
    pub exclude: Vec<Pattern>,
}

/// One step of a pattern.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Token {
    /// This character.
    Char(char),
    /// One character but `/`.
    One,
    /// One character of these ranges, or of none of them; never `/`.
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
    /// Any characters but `/`.
    Star,
    /// Any characters.
    DoubleStar,
    /// Nothing, or any directories with the `/` behind them.
    Directories,
}

/// More than these are no person's pattern.
const MOST_ALTERNATIVES: usize = 64;

impl Pattern {
    /// Parses a pattern. A backslash makes the character behind it an ordinary one.
    ///
    /// # Errors
    /// The pattern is empty, begins with `/`, has brackets or braces that are never closed, or too many alternatives.
    pub fn parse(text: &str) -> Result<Self, Diagnostic> {
        let wrong = |message: &str, help: &str| {
            Err(Diagnostic::error(Span::new(0, text.len()), message.to_owned()).help(help.to_owned()))
        };
        if text.is_empty() {
            return wrong(
                "this pattern is empty",
                "Write a pattern like `*.conf` or `tls/**`.",
            );
        }
        if text.starts_with('/') {
            return wrong(
                "a pattern never begins with `/`",
                "Patterns are compared with the path below the source; leave the `/` out.",
            );
        }
        let Some(plain) = braces(text) else {
            return wrong(
                "the braces of this pattern are nested, never closed, or stand for too many names",
                "Write `{one,other}`, or `\\{` for a literal brace.",
            );
        };
        let alternatives: Option<Vec<_>> = plain.iter().map(|text| tokens(text)).collect();
        match alternatives {
            Some(alternatives) => Ok(Self {
                text: text.to_owned(),
                is_path: text.contains('/'),
                alternatives,
            }),
            None => wrong(
                "a bracket of this pattern is never closed, or a backslash has nothing behind it",
                "Write `[a-z]`, or `\\[` for a literal bracket.",
            ),
        }
    }

    /// Whether it matches `path`, whose names stand between `/`.
    pub fn matches(&self, path: &str) -> bool {
        let text = match path.rsplit_once('/') {
            Some((_, name)) if !self.is_path => name,
            _ => path,
        };
        self.alternatives.iter().any(|tokens| is_match(tokens, text))
    }
}

impl Selection {
    /// Whether nothing is left out.
    pub fn is_everything(&self) -> bool {
        self.include.is_empty() && self.exclude.is_empty()
    }

    /// Whether `path` is taken.
    pub fn takes(&self, path: &str) -> bool {
        let matches = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(path));
        (self.include.is_empty() || matches(&self.include)) && !matches(&self.exclude)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({:?})", self.text)
    }
}

/// The patterns without braces that `text` stands for.
fn braces(text: &str) -> Option<Vec<String>> {
    let mut whole = vec![String::new()];
    let mut rest = text;
    while let Some(at) = unescaped(rest, &['{', '}']) {
        whole.iter_mut().for_each(|text| text.push_str(&rest[..at]));
        let inside = rest[at..].strip_prefix('{')?;
        let end = unescaped(inside, &['{', '}'])?;
        if !inside[end..].starts_with('}') {
            return None;
        }
        let mut choices = Vec::new();
        let mut choice = &inside[..end];
        while let Some(comma) = unescaped(choice, &[',']) {
            choices.push(&choice[..comma]);
            choice = &choice[comma + 1..];
        }
        choices.push(choice);
        if whole.len() * choices.len() > MOST_ALTERNATIVES {
            return None;
        }
        whole = whole
            .iter()
            .flat_map(|start| choices.iter().map(move |choice| format!("{start}{choice}")))
            .collect();
        rest = &inside[end + 1..];
    }
    whole.iter_mut().for_each(|text| text.push_str(rest));
    Some(whole)
}

/// Where one of `marks` first stands without a backslash before it.
fn unescaped(text: &str, marks: &[char]) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, char)| {
        let found = !escaped && marks.contains(&char);
        escaped = char == '\\' && !escaped;
        found.then_some(at)
    })
}

fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = text;
    let mut at_start = true;
    while let Some(char) = rest.chars().next() {
        let (token, length) = match char {
            '*' if rest.starts_with("**/") && at_start => (Token::Directories, 3),
            '*' if rest.starts_with("**") => (Token::DoubleStar, 2),
            '*' => (Token::Star, 1),
            '?' => (Token::One, 1),
            '[' => class(rest)?,
            '\\' => {
                let literal = rest[1..].chars().next()?;
                (Token::Char(literal), 1 + literal.len_utf8())
            }
            other => (Token::Char(other), other.len_utf8()),
        };
        at_start = matches!(token, Token::Char('/') | Token::Directories);
        tokens.push(token);
        rest = &rest[length..];
    }
    Some(tokens)
}

/// `[a-z]`, `[!a-z]` or `[^a-z]`; a `]` right at the start is an ordinary character.
fn class(text: &str) -> Option<(Token, usize)> {
    let mut chars = text.char_indices().skip(1).peekable();
    let negated = chars.next_if(|(_, char)| matches!(char, '!' | '^')).is_some();
    let mut ranges: Vec<(char, char)> = Vec::new();
    loop {
        let (at, first) = chars.next()?;
        if first == ']' && !ranges.is_empty() {
            return Some((Token::Class { negated, ranges }, at + 1));
        }
        let mut ahead = chars.clone();
        let last = match (ahead.next(), ahead.next()) {
            (Some((_, '-')), Some((_, last))) if last != ']' => {
                chars.nth(1);
                last
            }
            _ => first,
        };
        ranges.push((first, last));
    }
}

/// Follows all ways through the pattern at once.
fn is_match(tokens: &[Token], text: &str) -> bool {
    let mut states = vec![false; tokens.len() + 1];
    states[0] = true;
    let mut at_start = true;
    skip(tokens, &mut states, at_start);
    for char in text.chars() {
        let mut next = vec![false; tokens.len() + 1];
        for (index, token) in tokens.iter().enumerate().filter(|(index, _)| states[*index]) {
            match token {
                Token::Char(wanted) => next[index + 1] |= *wanted == char,
                Token::One => next[index + 1] |= char != '/',
                Token::Class { negated, ranges } => {
                    let is_in = ranges
                        .iter()
                        .any(|(first, last)| (*first..=*last).contains(&char));
                    next[index + 1] |= char != '/' && is_in != *negated;
                }
                Token::Star => next[index] |= char != '/',
                Token::DoubleStar | Token::Directories => next[index] = true,
            }
        }
        at_start = char == '/';
        skip(tokens, &mut next, at_start);
        states = next;
    }
    states[tokens.len()]
}

/// Marks what is reached without a further character.
fn skip(tokens: &[Token], states: &mut [bool], at_start: bool) {
    for (index, token) in tokens.iter().enumerate() {
        let may_be_empty = match token {
            Token::Star | Token::DoubleStar => true,
            Token::Directories => at_start,
            _ => false,
        };
        states[index + 1] |= states[index] && may_be_empty;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        Pattern::parse(pattern).unwrap().matches(path)
    }

    #[test]
    fn each_mark_matches_what_it_says() {
        for (pattern, yes, no) in [
            (
                "*.conf",
                &["a.conf", "sub/a.conf", ".conf"][..],
                &["a.config", "conf"][..],
            ),
            ("tls/*", &["tls/a"], &["a", "tls/a/b", "x/tls/a"]),
            ("tls/**", &["tls/a", "tls/a/b"], &["tls", "xtls/a"]),
            (
                "**/key.pem",
                &["key.pem", "a/key.pem", "a/b/key.pem"],
                &["akey.pem", "a/xkey.pem"],
            ),
            ("a/**/b", &["a/b", "a/x/b", "a/x/y/b"], &["ab", "a/xb"]),
            ("?.txt", &["a.txt", "ä.txt"], &["ab.txt", ".txt"]),
            ("[a-c]x", &["ax", "cx"], &["dx", "x"]),
            ("[!a-c]x", &["dx"], &["ax"]),
            ("[]]x", &["]x"], &["x"]),
            ("{a,b*}.env", &["a.env", "bc.env"], &["c.env"]),
            ("a{,b}", &["a", "ab"], &["abb"]),
            (r"\*\{x", &["*{x"], &["a{x"]),
            ("a*b*c*d", &["abcd", "aXbXcXd"], &["abc"]),
        ] {
            for path in yes {
                assert!(matches(pattern, path), "{pattern} should match {path}");
            }
            for path in no {
                assert!(!matches(pattern, path), "{pattern} should not match {path}");
            }
        }
    }

    #[test]
    fn many_stars_are_not_slow() {
        let text = "a".repeat(5_000);
        assert!(!matches(&format!("{}b", "*a".repeat(60)), &text));
    }

    #[test]
    fn broken_patterns_are_refused_with_advice() {
        for pattern in [
            "",
            "/a",
            "[a",
            "{a",
            "a}",
            "{a,{b,c}}",
            r"a\",
            &"{a,b,c,d}".repeat(4),
        ] {
            let wrong = Pattern::parse(pattern).unwrap_err();
            assert!(wrong.help.is_some(), "{pattern}: {wrong:?}");
        }
    }

    #[test]
    fn what_is_excluded_is_left_out_of_what_is_included() {
        let patterns = |texts: &[&str]| texts.iter().map(|text| Pattern::parse(text).unwrap()).collect();
        let selection = Selection {
            include: patterns(&["*.tmpl", "keep/**"]),
            exclude: patterns(&["*.bak.tmpl"]),
        };
        assert!(selection.takes("a.tmpl") && selection.takes("keep/x"));
        assert!(!selection.takes("a.bak.tmpl") && !selection.takes("a.txt"));
        assert!(Selection::default().takes("anything") && Selection::default().is_everything());
    }
}
