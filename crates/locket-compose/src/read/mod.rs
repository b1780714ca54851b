//! From the merged tree to the model. What has a wrong shape is a mistake, and the rest is read all the same.

mod env_files;
mod project;
mod secrets;
mod service;
mod volumes;

pub(crate) use project::project;
