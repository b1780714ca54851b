//! Real servers and official clients, installed by `cargo xtask services`.

mod openbao;
mod place;

pub use openbao::OpenBao;
pub use place::{find, python};
