//! Units of `locket systemd`, judged by systemd itself.

mod booted;
mod judged;
