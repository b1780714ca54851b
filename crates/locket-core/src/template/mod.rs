//! Texts with `{{ reference | filter }}` tags: parsed once for each content, rendered in a single pass.

mod model;
mod parse;
mod render;
mod tag;
#[cfg(test)]
mod tests;

pub use model::{Delimiters, Template, TemplateOptions};
pub use parse::KnownTags;
pub use render::{Problem, RenderCx, RenderError, Rendered, Resolution};
