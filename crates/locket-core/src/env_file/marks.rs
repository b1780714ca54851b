//! Tags, and whatever else must not be read as grammar, as one character each.

use crate::{Diagnostic, Span, lists};

/// Characters for private use, which no program gives a meaning.
const FIRST: u32 = 0x10_0000;
const LAST: u32 = 0x10_FFFD;

/// A text in which what must stay as it is stands as one character.
#[derive(Debug)]
pub(super) struct Marked {
    /// The text itself.
    pub(super) text: String,
    kept: Vec<Kept>,
    /// Pairs of an offset in the text and in what it was made of, rising.
    offsets: Vec<(usize, usize)>,
    length: usize,
}

#[derive(Debug)]
enum Kept {
    /// A tag, as it was written.
    Tag(String),
    /// A text in which nothing is a tag.
    Literal(String),
}

impl Marked {
    /// Marks the tags of `text`. A tag ends on its line; line breaks of other systems become plain ones.
    pub(super) fn new(text: &str) -> Result<Self, Diagnostic> {
        let mut marked = Self {
            text: String::with_capacity(text.len()),
            kept: Vec::new(),
            offsets: Vec::new(),
            length: text.len(),
        };
        let mut at = text.len() - text.strip_prefix('\u{feff}').unwrap_or(text).len();
        let mut is_even = false;
        let mut line = Line::default();
        while let Some(c) = text[at..].chars().next() {
            if !is_even {
                marked.offsets.push((marked.text.len(), at));
                is_even = true;
            }
            let rest = &text[at..];
            if let Some(length) = rest.starts_with("{{").then(|| line.tag(text, at)).flatten() {
                let kept = Kept::Tag(rest[..length].to_owned());
                marked.keep(kept).ok_or_else(|| too_many(at))?;
                at += length;
                is_even = false;
            } else if (FIRST..=LAST).contains(&u32::from(c)) {
                marked.keep(Kept::Literal(c.into())).ok_or_else(|| too_many(at))?;
                at += c.len_utf8();
            } else if rest.starts_with("\r\n") {
                at += 1;
                is_even = false;
            } else {
                marked.text.push(c);
                at += c.len_utf8();
            }
        }
        marked.offsets.push((marked.text.len(), at));
        Ok(marked)
    }

    /// A text in which nothing is a tag, as it stands in a value.
    pub(super) fn literal(&mut self, value: &str) -> String {
        let is_plain = |c| !(FIRST..=LAST).contains(&u32::from(c));
        if !value.contains("{{") && !value.ends_with(['{', '\\']) && value.chars().all(is_plain) {
            return value.to_owned();
        }
        match self.mark(Kept::Literal(value.to_owned())) {
            Some(mark) => mark.into(),
            None => value.to_owned(),
        }
    }

    /// The value of a variable above, as it stands in another value: what it ends with makes and escapes no tag there.
    pub(super) fn above(&mut self, value: &str) -> String {
        let kept = value.trim_end_matches(['{', '\\']);
        kept.to_owned() + &self.literal(&value[kept.len()..])
    }

    /// A value before its variables are put in: braces that stand apart in the file stay apart.
    pub(super) fn with_joints(&mut self, value: &str) -> String {
        if !value.contains("{$") {
            return value.to_owned();
        }
        match self.mark(Kept::Literal(String::new())) {
            Some(joint) => value.replace("{$", &format!("{{{joint}$")),
            None => value.to_owned(),
        }
    }

    /// The template that a value is: what was no tag in the file is none, however values meet.
    pub(super) fn template(&self, value: &str) -> String {
        let mut template = String::with_capacity(value.len());
        // Whether the last character was a joint, or of a value that was put in.
        let mut is_joined = false;
        // Of the backslashes at the end, those that escape nothing.
        let mut plain_backslashes = 0;
        for c in value.chars() {
            match self.kept(c) {
                Some(Kept::Tag(tag)) => {
                    template.extend(std::iter::repeat_n('\\', plain_backslashes));
                    template.push_str(tag);
                    (is_joined, plain_backslashes) = (false, 0);
                }
                Some(Kept::Literal(more)) => {
                    match more.starts_with('{') && template.ends_with('{') {
                        true => push_braces(&mut template, &more[1..]),
                        false => push_literal(&mut template, more),
                    }
                    let end = more.len() - more.trim_end_matches('\\').len();
                    plain_backslashes = end + if end == more.len() { plain_backslashes } else { 0 };
                    is_joined = true;
                }
                None => {
                    match is_joined && c == '{' && template.ends_with('{') {
                        true => push_braces(&mut template, ""),
                        false => template.push(c),
                    }
                    is_joined = false;
                    if c != '\\' {
                        plain_backslashes = 0;
                    }
                }
            }
        }
        template
    }

    /// A text for messages, which repeats no inherited value.
    pub(super) fn shown(&self, text: &str) -> String {
        text.chars()
            .map(|c| if self.kept(c).is_some() { '…' } else { c })
            .collect()
    }

    /// Where a part of the text stood in what it was made of.
    pub(super) fn span(&self, start: usize, end: usize) -> Span {
        let origin = |at: usize| {
            let index = self.offsets.partition_point(|(marked, _)| *marked <= at);
            let (marked, origin) = index.checked_sub(1).map_or((0, 0), |index| self.offsets[index]);
            (origin + (at - marked)).min(self.length)
        };
        let start = origin(start);
        Span::new(start, origin(end).max(start))
    }

    fn keep(&mut self, kept: Kept) -> Option<()> {
        let mark = self.mark(kept)?;
        self.text.push(mark);
        Some(())
    }

    fn mark(&mut self, kept: Kept) -> Option<char> {
        let code = FIRST + u32::try_from(self.kept.len()).ok()?;
        let mark = char::from_u32(code).filter(|_| code <= LAST)?;
        self.kept.push(kept);
        Some(mark)
    }

    fn kept(&self, c: char) -> Option<&Kept> {
        let index = u32::from(c).checked_sub(FIRST)?;
        self.kept.get(index as usize)
    }
}

/// Appends a brace and a text behind the brace that is there already, so that the two open no tag.
fn push_braces(template: &mut String, more: &str) {
    template.pop();
    push_literal(template, &format!("{{{{{more}"));
}

/// Appends a text so that a template puts it out as it is.
fn push_literal(template: &mut String, literal: &str) {
    let mut rest = literal;
    while let Some(at) = rest.find("{{") {
        template.push_str(&rest[..at]);
        let backslashes = template.bytes().rev().take_while(|byte| *byte == b'\\').count();
        template.extend(std::iter::repeat_n('\\', backslashes + 1));
        template.push_str("{{");
        rest = &rest[at + 2..];
    }
    template.push_str(rest);
}

/// The line that is being read: looked through once, however many braces are on it.
#[derive(Default)]
struct Line {
    end: usize,
    /// Behind the last `}}` on it.
    last_close: usize,
}

impl Line {
    /// The length of the tag at `at`, if one is there and ends on its line.
    fn tag(&mut self, text: &str, at: usize) -> Option<usize> {
        if at >= self.end {
            let line = text[at..].split('\n').next().unwrap_or_default();
            self.end = at + line.len();
            self.last_close = at + line.rfind("}}").map_or(0, |close| close + 2);
        }
        lists::tag(text.get(at..self.last_close)?)
    }
}

fn too_many(at: usize) -> Diagnostic {
    Diagnostic::error(at..at + 1, "an env file has at most 65,000 tags").help("Divide it into several files.")
}
