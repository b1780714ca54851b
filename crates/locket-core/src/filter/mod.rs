//! What may stand behind `|` in a tag: pure functions from bytes to bytes.
//!
//! A filter is one row of [`table`]'s `FILTERS`; help, suggestions and the reference page walk that table.

mod apply;
mod call;
mod hash;
mod otp;
mod table;
mod text;

pub use apply::{FilterCx, FilterError, HashMemo};
pub use call::{Argument, Filter, FilterCall};
pub use otp::{OtpCode, current_code};
pub use table::{FILTERS, FilterKind};
