//! A 1Password Connect server that holds what a test puts into it.
//!
//! It speaks the REST protocol of <https://github.com/1Password/connect/blob/main/docs/openapi/spec.yaml> as far as
//! reading goes; the official Python client is the judge of that, in `tests/it` of the crate `locket`.

mod filter;
mod model;
mod server;
mod token;

pub use model::{Category, Field, FieldType, File, Item, Purpose, State};
pub use server::{Connect, TitleMatching};
pub use token::Grant;
