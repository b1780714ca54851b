//! The agent on a fake clock: random schedules of edits, rotations, failures and kills, with what DESIGN promises
//! checked on the way. One number decides everything, so that a failure can be run again.

mod consumers;
mod destinations;
mod dice;
mod drill;
mod editor;
mod invariant;
mod judge;
mod leases;
mod life;
mod schedule;
mod snapshot;
mod sources;
mod text;
mod vault;
mod watchman;
mod world;

mod tests;

pub(crate) use dice::{draw, is_under_way};
