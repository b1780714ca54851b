//! What the tests of every crate share: servers that misbehave on demand, fake time, canaries. Never published.
//!
//! It knows no provider and no engine, so that both can test themselves with it. A test kit fails by panicking.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test kit has no caller that could handle an error: the test fails, with the place"
)]

pub mod canary;
pub mod capture;
pub mod client;
pub mod clock;
pub mod fakes;
pub mod faults;
pub mod http;
mod journal;
pub mod jwt;
pub mod rsa_key;
pub mod server;
pub mod services;
pub mod tls;

pub use canary::Canary;
pub use capture::Capture;
pub use client::Client;
pub use clock::{ManualClock, TokioClock};
pub use faults::{Fault, Faults, Rule};
pub use http::{Request, Response};
pub use jwt::JwtIssuer;
pub use rsa_key::RsaKey;
pub use server::Server;
pub use tls::TestCa;
