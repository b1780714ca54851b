//! Units for systemd: what they say and how systemd reads it. Nothing here touches the machine.

mod grammar;
mod unit;
mod units;

pub(crate) use grammar::Unsayable;
pub(crate) use unit::{MARK, Unit};
#[cfg(feature = "command-rotate")]
pub(crate) use units::rotation;
pub(crate) use units::{Needs, Purpose, Units, Widened};
