//! Real servers and official clients, installed by `cargo xtask services`.

pub mod engine;
mod guard;
pub mod machine;
pub mod openbao;
mod place;
pub mod podman;
pub mod postgres;

pub use engine::Engine;
pub use machine::Machine;
pub use openbao::OpenBao;
pub use place::{
    archive, contract_program, contract_python, find, in_contract_lane, openbao_program, python, release,
};
pub use podman::Podman;
pub use postgres::Postgres;
