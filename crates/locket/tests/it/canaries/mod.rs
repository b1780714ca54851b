//! Nothing secret stands anywhere but where it belongs: a search over everything that every command emits, at the most
//! talkative level.

mod children;
mod commands;
mod control;
mod ends;
mod memory;
mod mistakes;
mod rounds;
mod telemetry;
mod world;
