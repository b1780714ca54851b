//! locket-engine
