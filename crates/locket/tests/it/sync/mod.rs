//! `locket sync`: what scripts and units rely on.

mod containers;
mod interrupted;
mod lines;
mod many;
mod oci;
mod podman;
mod rounds;
