//! What may stand behind `|` in a tag: pure functions from bytes to bytes.
//!
//! A filter is one row of [`table`]'s `FILTERS`; help, suggestions and the reference page walk that table.

mod apply;
mod bytes;
mod call;
mod hash;
mod memo;
mod otp;
mod pem;
mod quote;
mod table;
#[cfg(test)]
mod tests;
mod text;
mod undo;

pub use apply::{FilterCx, FilterError};
pub use call::{Argument, Filter, FilterCall};
pub use memo::HashMemo;
pub use otp::{OtpCode, current_code};
pub use table::{FILTERS, FilterKind};
