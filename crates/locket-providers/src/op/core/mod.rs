//! 1Password's own core, hosted in this process: the protocol is the vendor's code, what it may reach is ours to say.
//!
//! The core is the WebAssembly of the npm package `@1password/sdk-core`, compiled ahead of time by `cargo xtask op-core`.

mod engine;
mod glue;
mod imports;
mod invocation;
mod item;
mod machine;
mod operation;
mod provider;
mod session;
mod traffic;
mod value;

pub(super) use provider::CoreProvider;

#[cfg(test)]
mod tests;
