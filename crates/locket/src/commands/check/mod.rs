//! `locket check`: what is wrong with the secrets of a project. It writes nothing unless it is asked to, and shows no
//! value.

mod baseline;
mod command;
mod disk;
mod draw;
mod fix;
mod git;
mod reported;
mod resolve;
mod subjects;
mod texts;

pub(super) use command::COMMAND;
