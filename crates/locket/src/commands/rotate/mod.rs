//! `locket rotate`: a new value where the old one is in force, then in its file, then in everything that depends on it;
//! or the old one everywhere.

mod command;
mod engine;
mod journal;
mod recipe;
mod steps;
mod timer;

pub(super) use command::COMMAND;
