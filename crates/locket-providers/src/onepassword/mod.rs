//! What 1Password's references and items mean, whichever way they are reached.

mod item;
mod openssh;
#[cfg(any(test, fuzzing))]
pub(crate) mod properties;
mod reference;
mod select;
mod view;

pub(crate) use item::{Field, File, Item, ItemState, ItemSummary, Section, Vault};
#[cfg(test)]
pub(crate) use openssh::to_openssh;
pub(crate) use reference::{OpReference, is_id, parse, parse_every};
pub(crate) use select::{Chosen, every, same_name, select};
