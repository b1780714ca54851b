//! What is known of images: which variables hold secrets, which of them can come from a file, who reads that file.

mod find;
mod page;
mod table;

pub use find::{find, is_unasked};
pub use page::page;
pub use table::{Family, FileForm, Image, Recipe, Role, Start, Variable, all};

#[cfg(test)]
mod tests;
