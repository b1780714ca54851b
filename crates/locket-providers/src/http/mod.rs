//! The one HTTP seam: whatever a provider sends goes through [`Client`].
//!
//! Here stand connections, names, trust, time limits and what failures mean. Retrying, limiting and caching values
//! are layers of the engine and must not appear here. What has met a connection that was just closed is not retried but
//! delivered: a read is sent once more.

mod body;
mod client;
mod dns;
mod endpoint;
mod error;
mod object;
pub mod outbound;
mod proxy;
mod reach;
mod request;
mod skew;
mod stamp;
mod tls;
mod token;

pub(crate) use body::Body;
pub(crate) use client::Client;
pub(crate) use endpoint::Endpoint;
pub(crate) use object::{Member, object};
pub(crate) use reach::add_reach;
pub(crate) use request::{Request, Response};
pub(crate) use skew::Skew;
pub(crate) use stamp::Stamp;
pub(crate) use token::{Authority, Grant, OnNewSource, Token, TokenCache};

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tls_tests;
