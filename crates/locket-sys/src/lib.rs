//! Every unsafe block and raw system call of locket, behind safe functions. It knows nothing of the rest.

pub mod arena;
pub mod child;
pub mod irregular;
pub mod landlock;
pub mod memory;
pub mod mount;
#[cfg(all(target_env = "gnu", target_feature = "crt-static"))]
mod names;
pub mod process;
pub mod service;
