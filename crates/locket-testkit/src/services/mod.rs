//! Real servers and official clients, installed by `cargo xtask services`.

mod guard;
pub mod openbao;
mod place;
pub mod postgres;

pub use openbao::OpenBao;
pub use place::{find, python};
pub use postgres::Postgres;
