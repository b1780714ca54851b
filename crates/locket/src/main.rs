//! locket: a secrets agent for containers and processes.

fn main() {}
