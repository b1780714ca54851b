//! The loop behind every command that puts outputs in place.

mod apply;
mod confine;
mod consumers;
mod dispatch;
mod ledger;
mod listings;
mod outputs;
mod report;
mod rounds;
mod setup;
mod standing;
mod templates;
#[cfg(test)]
mod tests;
mod timers;
mod variables;
mod whole;
mod work;

pub use confine::kept_open;
pub(crate) use dispatch::refusals;
pub use dispatch::run;
pub use report::{Ending, Failing, Observer, Phase, Refusal};
pub use setup::{
    AgentCx, AtEnd, Audience, Command, Later, Mode, Sandbox, Schedule, Setup, Surroundings, Unseen,
};
pub use variables::{Generation, Handover, Variable};
