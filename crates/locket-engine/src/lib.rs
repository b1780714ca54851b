//! The round: what every command does with a plan. It resolves, renders, applies and notifies, and knows what
//! starts the next round. It knows no provider by name.

pub mod instances;
pub mod resolve;
pub mod sources;
