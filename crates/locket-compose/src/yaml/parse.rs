//! From events to a tree: anchors, merge keys, tags, and a place for everything.

use std::collections::HashMap;

use locket_core::{Diagnostic, Span};
use saphyr_parser::{Event, Parser, ScalarStyle, Tag};

use super::{Edit, Entry, Map, Node, Scalar, Value};
use crate::place::{Place, SourceId};

/// More values than any project has, and fewer than make a machine swap: aliases of aliases grow without end.
const MOST_NODES: usize = 400_000;

/// Deeper than any project.
const DEEPEST: usize = 96;

/// Reads every document of `text`. What stands before a mistake of the syntax is there all the same, as far as whole
/// documents go.
pub(crate) fn parse(text: &str, source: SourceId) -> (Vec<Node>, Vec<Diagnostic>) {
    let plain = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut builder = Builder {
        source,
        offsets: Offsets::of(plain, text.len() - plain.len()),
        anchors: HashMap::new(),
        open: Vec::new(),
        documents: Vec::new(),
        found: Vec::new(),
        nodes: 0,
    };
    for event in Parser::new_from_str(plain) {
        match event {
            Ok((event, span)) => {
                let span = builder.offsets.span(span.start.index(), span.end.index());
                if let Err(wrong) = builder.event(event, span) {
                    builder.found.push(wrong);
                    break;
                }
            }
            Err(error) => {
                // What is never closed ends with the text.
                let written = text.trim_end().len();
                let at = builder.offsets.byte(error.marker().index()).min(written);
                // What the library says may quote the text.
                let wrong = Diagnostic::error(Span::new(at, at), "this is no YAML from here on");
                builder.found.push(
                    wrong.help(
                        "Look for a quote or bracket that is never closed, or for a wrong indentation.",
                    ),
                );
                break;
            }
        }
    }
    (builder.documents, builder.found)
}

struct Builder {
    source: SourceId,
    offsets: Offsets,
    anchors: HashMap<usize, Node>,
    open: Vec<Open>,
    documents: Vec<Node>,
    found: Vec<Diagnostic>,
    nodes: usize,
}

/// A list or map that is not complete yet.
struct Open {
    start: usize,
    anchor: usize,
    edit: Option<Edit>,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map {
        map: Map,
        /// What `<<` named, in that order.
        merged: Vec<Node>,
        key: Option<Key>,
    },
}

struct Key {
    text: String,
    place: Place,
    is_merge: bool,
}

impl Builder {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Diagnostic> {
        let place = Place::new(self.source, span);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let tag = tag.as_deref();
                let node = Node {
                    value: value(&text, style, tag),
                    place,
                    edit: edit(tag),
                };
                let is_merge = &*text == "<<" && style == ScalarStyle::Plain;
                self.note(anchor, &node);
                self.add(node, is_merge)
            }
            Event::Alias(anchor) => match self.anchors.get(&anchor) {
                Some(node) => {
                    let node = node.clone();
                    self.nodes += node.weight();
                    self.add(node, false)
                }
                None => {
                    self.found.push(Diagnostic::error(
                        span,
                        "this alias stands inside of what it names",
                    ));
                    self.add(Node::new(Value::Null, place), false)
                }
            },
            Event::SequenceStart(anchor, tag) => {
                self.open(span, anchor, tag.as_deref(), Content::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                let content = Content::Map {
                    map: Map::default(),
                    merged: Vec::new(),
                    key: None,
                };
                self.open(span, anchor, tag.as_deref(), content)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
            Event::DocumentStart(_) => {
                self.anchors.clear();
                Ok(())
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    fn open(
        &mut self,
        span: Span,
        anchor: usize,
        tag: Option<&Tag>,
        content: Content,
    ) -> Result<(), Diagnostic> {
        if self.open.len() == DEEPEST {
            return Err(Diagnostic::error(span, "this is nested too deep"));
        }
        self.open.push(Open {
            start: span.start,
            anchor,
            edit: edit(tag),
            content,
        });
        Ok(())
    }

    fn close(&mut self, span: Span) -> Result<(), Diagnostic> {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        let (value, start) = match open.content {
            Content::List(list) => (Value::List(list), open.start),
            Content::Map { mut map, merged, .. } => {
                for node in &merged {
                    self.merge(&mut map, node);
                }
                let start = map
                    .0
                    .first()
                    .map_or(open.start, |first| open.start.min(first.key_place.span.start));
                (Value::Map(map), start)
            }
        };
        let node = Node {
            value,
            place: Place::new(self.source, Span::new(start, span.end.max(start))),
            edit: open.edit,
        };
        self.note(open.anchor, &node);
        self.add(node, false)
    }

    /// What `<<` names: keys that the map has itself win, then the first that is named.
    fn merge(&mut self, into: &mut Map, from: &Node) {
        match &from.value {
            Value::Map(map) => {
                for entry in &map.0 {
                    if into.entry(&entry.key).is_none() {
                        self.nodes += entry.node.weight();
                        into.0.push(entry.clone());
                    }
                }
            }
            Value::List(list) => {
                for node in list {
                    self.merge(into, node);
                }
            }
            Value::Null => {}
            Value::Scalar(_) => {
                let wrong = Diagnostic::error(from.place.span, "`<<` takes a map, or a list of maps");
                self.found.push(wrong);
            }
        }
    }

    fn note(&mut self, anchor: usize, node: &Node) {
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
    }

    /// Puts a complete node where it belongs.
    fn add(&mut self, node: Node, is_merge: bool) -> Result<(), Diagnostic> {
        self.nodes += 1;
        if self.nodes > MOST_NODES {
            let help = "Aliases that name aliases grow without end.";
            return Err(Diagnostic::error(node.place.span, "this file holds too many values").help(help));
        }
        let Some(open) = self.open.last_mut() else {
            self.documents.push(node);
            return Ok(());
        };
        match &mut open.content {
            Content::List(list) => list.push(node),
            Content::Map { map, merged, key } => match key.take() {
                None => {
                    let text = match &node.value {
                        Value::Scalar(scalar) => scalar.written.clone(),
                        Value::Null => String::new(),
                        Value::List(_) | Value::Map(_) => {
                            let span = node.place.span;
                            self.found.push(Diagnostic::error(span, "a key is a word"));
                            String::new()
                        }
                    };
                    *key = Some(Key {
                        text,
                        place: node.place,
                        is_merge,
                    });
                }
                Some(key) if key.is_merge => merged.push(node),
                Some(key) => {
                    if map.entry(&key.text).is_some() {
                        let wrong = format!("`{}` stands here twice", key.text);
                        let wrong = Diagnostic::error(key.place.span, wrong);
                        self.found.push(wrong.help("Remove one of the two."));
                    }
                    map.set(Entry {
                        key: key.text,
                        key_place: key.place,
                        node,
                    });
                }
            },
        }
        Ok(())
    }
}

fn value(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Value {
    let is_text = tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str");
    match style {
        ScalarStyle::Plain if !is_text => Scalar::plain(text).map_or(Value::Null, Value::Scalar),
        _ => Value::Scalar(Scalar::text(text)),
    }
}

fn edit(tag: Option<&Tag>) -> Option<Edit> {
    let tag = tag.filter(|tag| tag.handle == "!")?;
    match tag.suffix.as_str() {
        "reset" => Some(Edit::Reset),
        "override" => Some(Edit::Override),
        _ => None,
    }
}

/// The library counts characters, everybody else bytes.
struct Offsets {
    /// Bytes before the text that the library sees.
    skipped: usize,
    length: usize,
    /// The byte of each character, where the two differ.
    bytes: Option<Vec<usize>>,
}

impl Offsets {
    fn of(text: &str, skipped: usize) -> Self {
        let bytes = (!text.is_ascii()).then(|| text.char_indices().map(|(byte, _)| byte).collect());
        Self {
            skipped,
            length: text.len(),
            bytes,
        }
    }

    fn byte(&self, character: usize) -> usize {
        let byte = match &self.bytes {
            None => character.min(self.length),
            Some(bytes) => bytes.get(character).copied().unwrap_or(self.length),
        };
        self.skipped + byte
    }

    fn span(&self, start: usize, end: usize) -> Span {
        Span::new(self.byte(start), self.byte(end))
    }
}
