//! Telling containers, swarm services and servers that their secrets changed.

mod containers;
mod images;
mod podman;
mod reached;
mod web;

pub use containers::ContainerCourier;
pub use images::{KNOWN, KnownImage, Reload, known};
pub use web::WebCourier;
