//! Real servers and official clients, installed by `cargo xtask services`.

pub mod openbao;
mod place;

pub use openbao::OpenBao;
pub use place::{find, python};
