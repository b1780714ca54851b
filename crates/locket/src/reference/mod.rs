//! The generated parts of the documentation, made of the tables that the program itself works with. They are compiled
//! for tests only: `cargo xtask generate` runs the test that writes them.

mod commands;
mod environment;
mod examples;
mod filters;
mod markdown;
mod options;
mod pages;
mod providers;
mod regions;
