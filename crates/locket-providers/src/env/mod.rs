//! Environment variables: `env://NAME`.

mod provider;

#[cfg(test)]
mod tests;

pub use provider::KIND;
