//! HashiCorp Vault: the other name of the protocol, on the same server, with its own schemes and settings.

use super::bao::{Bao, TEMPLATE};

pub(crate) static TOKEN: Bao = Bao {
    name: "vault, token file",
    kind: "vault",
    ..TEMPLATE
};
