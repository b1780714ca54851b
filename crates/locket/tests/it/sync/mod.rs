//! `locket sync`: what scripts and units rely on.

mod containers;
mod engine;
mod interrupted;
mod lines;
mod many;
mod mounted;
mod oci;
mod podman;
mod replicas;
mod rounds;
