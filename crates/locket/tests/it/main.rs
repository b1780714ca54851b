//! The integration tests in one binary: one link, one start.

mod documents;
mod links;
mod seeds_map;
