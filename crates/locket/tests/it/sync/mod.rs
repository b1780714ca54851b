//! `locket sync`: what scripts and units rely on.

mod containers;
mod lines;
mod rounds;
