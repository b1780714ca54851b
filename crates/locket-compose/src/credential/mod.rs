//! What looks like a credential, for everybody who looks for one: names, and passwords in addresses.

mod address;
mod name;

pub use address::url_password;
pub use name::is_credential_name;

pub(crate) use name::{Sort, name_sort};
