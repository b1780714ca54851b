//! An Infisical that holds what a test puts into it.
//!
//! It speaks the logins of machine identities and the requests for secrets, of either generation of the API; the
//! vendor's library for Python is the judge of that, in `tests/it` of the crate `locket`.

mod identity;
mod model;
mod server;
mod sigv4;

pub use identity::{Login, Role};
pub use model::{Generations, Secret};
pub use server::Infisical;
