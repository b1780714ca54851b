//! Several files, one project: what an override file or an extending service does to what was there before.

mod canonical;
mod rules;
#[cfg(test)]
mod tests;

pub(crate) use canonical::{canonical_service, pairs};
pub(crate) use rules::{merge_files, merge_service, short_source, without_resets};
