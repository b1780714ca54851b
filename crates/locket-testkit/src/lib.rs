//! locket-testkit
