//! The options that have layers, a table for each group.

use super::commands::in_file;
use super::markdown::{code, codes, table};
use crate::options::{Opt, Shape, table as options};

/// The options of a group; `None` if there is none of this name.
pub(super) fn group(name: &str) -> Option<String> {
    let rows = match name {
        "run" => options::RUN,
        "reading" => options::READING,
        "every" => options::EVERY,
        "health" => options::HEALTH,
        _ => return None,
    };
    let head = ["flag", "variable", "in the file", "default", "meaning"];
    Some(table(head, rows.iter().map(|opt| row(opt))))
}

fn row(opt: &Opt) -> [String; 5] {
    let flags = std::iter::once(&opt.name).chain(opt.aliases);
    let flags: Vec<_> = flags.map(|name| format!("--{name}")).collect();
    let words = match opt.shape {
        Shape::Word(words) => format!(": {}", codes(words.iter().copied())),
        _ => String::new(),
    };
    [
        format!(
            "{} {}",
            codes(flags.iter().map(String::as_str)),
            code(opt.placeholder)
        ),
        codes(opt.variables.iter().copied()),
        in_file(opt),
        opt.default.to_owned(),
        format!("{}{words}", opt.summary),
    ]
}
