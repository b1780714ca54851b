//! Memory for secret values: locked, left out of core dumps, zero in a forked child, wiped when given back.

mod bytes;
mod mapping;
mod pool;

pub use bytes::LockedBytes;
pub use pool::{Status, status};
