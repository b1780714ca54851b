//! An Infisical that holds what a test puts into it.
//!
//! It speaks the logins of machine identities and the requests for secrets, of either generation of the API; the
//! vendor's libraries for Python and Node are the judges of that, in `tests/it` of the crate `locket`. None of them speaks
//! the present generation, whose answers here are those of the older one.

mod identity;
mod model;
mod server;
mod sigv4;

pub use identity::{Login, Role};
pub use model::{Generations, Secret};
pub use server::Infisical;
