//! `locket rotate`: a new value where the old one is in force, then where it is kept, then in everything that depends on
//! it; or the old one everywhere.

mod all;
mod command;
mod engine;
mod journal;
mod keeper;
mod one;
mod recipe;
mod steps;
mod subject;
mod swarm;
#[cfg(test)]
mod tests;
mod variables;

pub(super) use command::COMMAND;
