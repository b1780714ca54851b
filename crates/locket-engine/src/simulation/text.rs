//! Templates and values that say themselves what they are, so that an output shows which of each made it.

use std::collections::{BTreeMap, BTreeSet};

/// In every value, and in nothing else.
pub(super) const MARK: &str = "cNry8Zq2Lw7";

/// What an output holds where a secret does not exist and `default` stands in.
const STAND_IN: &str = "nothing";

/// A secret of the model: what one read of a provider gives.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ItemName {
    pub(super) instance: &'static str,
    pub(super) item: String,
}

/// A reference in a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mention {
    pub(super) item: ItemName,
    pub(super) part: String,
    pub(super) absence: Absence,
}

/// What a reference makes of a secret that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Absence {
    Fails,
    Empty,
    StandIn,
}

/// What a template's author wrote, as the model reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) bytes: String,
    /// Why it is no template, where it is none.
    pub(super) is_wrong: bool,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Mention(Mention),
}

/// What an output shows of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Shown {
    Version(u64),
    Absent,
}

/// The value of a field at one version.
pub(super) fn value(item: &ItemName, part: &str, version: u64) -> String {
    format!("{}{version};", prefix(item, part))
}

fn prefix(item: &ItemName, part: &str) -> String {
    format!("{MARK}.{}.{}.{part}.", item.instance, item.item)
}

impl Mention {
    pub(super) fn write(&self) -> String {
        let Self { item, part, absence } = self;
        let tail = match absence {
            Absence::Fails => String::new(),
            Absence::Empty => "?optional".to_owned(),
            Absence::StandIn => format!(" | default \"{STAND_IN}\""),
        };
        format!("{{{{ {}://{}/{part}{tail} }}}}", item.instance, item.item)
    }

    fn read(tag: &str, instances: &[&'static str]) -> Option<Self> {
        let (reference, absence) = match tag.split_once(" | ") {
            Some((reference, _)) => (reference, Absence::StandIn),
            None => match tag.strip_suffix("?optional") {
                Some(reference) => (reference, Absence::Empty),
                None => (tag, Absence::Fails),
            },
        };
        let (scheme, path) = reference.split_once("://")?;
        let (item, part) = path.split_once('/')?;
        let instance = instances.iter().find(|name| **name == scheme)?;
        Some(Self {
            item: ItemName {
                instance,
                item: item.to_owned(),
            },
            part: part.to_owned(),
            absence,
        })
    }
}

impl Text {
    /// Reads a file. A tag that no instance serves makes it wrong, and so does a size over `limit`.
    pub(super) fn read(bytes: String, instances: &[&'static str], limit: usize) -> Self {
        let mut pieces = Vec::new();
        let mut is_wrong = bytes.len() > limit;
        let mut rest = bytes.as_str();
        while let Some((before, after)) = rest.split_once("{{ ") {
            let Some((tag, after)) = after.split_once(" }}") else {
                break;
            };
            pieces.push(Piece::Literal(before.to_owned()));
            match Mention::read(tag, instances) {
                Some(mention) => pieces.push(Piece::Mention(mention)),
                None => is_wrong = true,
            }
            rest = after;
        }
        pieces.push(Piece::Literal(rest.to_owned()));
        Self {
            bytes,
            is_wrong,
            pieces,
        }
    }

    pub(super) fn mentions(&self) -> impl Iterator<Item = &Mention> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Mention(mention) => Some(mention),
            Piece::Literal(_) => None,
        })
    }

    /// The items of which it shows more than one field.
    pub(super) fn shown_in_two_parts(&self) -> Vec<ItemName> {
        let parts = |name: &ItemName| -> BTreeSet<&str> {
            let own = self.mentions().filter(|mention| mention.item == *name);
            own.map(|mention| mention.part.as_str()).collect()
        };
        let names: BTreeSet<_> = self.mentions().map(|mention| &mention.item).collect();
        names
            .into_iter()
            .filter(|name| parts(name).len() > 1)
            .cloned()
            .collect()
    }

    /// The output, where each item is as `shown` says; `None` if a reference that must not be absent is.
    pub(super) fn render(&self, shown: impl Fn(&ItemName) -> Shown) -> Option<String> {
        let mut output = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => output.push_str(text),
                Piece::Mention(Mention { item, part, absence }) => match (shown(item), absence) {
                    (Shown::Version(version), _) => output.push_str(&value(item, part, version)),
                    (Shown::Absent, Absence::Fails) => return None,
                    (Shown::Absent, Absence::Empty) => {}
                    (Shown::Absent, Absence::StandIn) => output.push_str(STAND_IN),
                },
            }
        }
        Some(output)
    }

    /// What `output` shows of each item if this text made it: several things where it mixes them.
    pub(super) fn explain(&self, output: &str) -> Option<BTreeMap<ItemName, Vec<Shown>>> {
        let mut found: BTreeMap<ItemName, Vec<Shown>> = BTreeMap::new();
        let mut rest = output;
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => rest = rest.strip_prefix(text.as_str())?,
                Piece::Mention(Mention { item, part, absence }) => {
                    let given = rest.strip_prefix(prefix(item, part).as_str());
                    let shown = match (given.and_then(|given| given.split_once(';')), absence) {
                        (Some((version, after)), _) => {
                            rest = after;
                            Shown::Version(version.parse().ok()?)
                        }
                        (None, Absence::Empty) => Shown::Absent,
                        (None, Absence::StandIn) => {
                            rest = rest.strip_prefix(STAND_IN)?;
                            Shown::Absent
                        }
                        (None, Absence::Fails) => return None,
                    };
                    let seen = found.entry(item.clone()).or_default();
                    if !seen.contains(&shown) {
                        seen.push(shown);
                    }
                }
            }
        }
        rest.is_empty().then_some(found)
    }
}
