//! Every unsafe block and raw system call of locket, behind safe functions. It knows nothing of the rest.

pub mod arena;
pub mod mount;
pub mod process;
