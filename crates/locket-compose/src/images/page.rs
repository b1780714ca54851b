//! The table as the documentation shows it.

use std::fmt::Write;

use super::table::{Image, all};

/// A section for each row, in Markdown.
pub fn page() -> String {
    let mut text = String::new();
    for image in all() {
        section(image, &mut text);
    }
    text
}

fn section(image: &Image, text: &mut String) {
    let code = |name: &String| format!("`{name}`");
    let list = |names: &[String]| names.iter().map(code).collect::<Vec<_>>().join(", ");
    let _ = write!(text, "\n## {}\n\n{}. ", image.title, list(&image.names));
    match (&image.reader_variable, image.reader) {
        (Some(variable), reader) => {
            let _ = write!(
                text,
                "Files are read by the user that `{variable}` names, {reader} without it."
            );
        }
        (None, 0) => text.push_str("Files are read as root."),
        (None, reader) => {
            let _ = write!(text, "Files are read by the user {reader}.");
        }
    }
    let _ = writeln!(text, " Source: <{}>", image.source);
    if let Some(what) = &image.unverified {
        let _ = writeln!(text, "\nNot compared with it: {what}.");
    }
    if !image.secrets.is_empty() {
        text.push_str("\n| secret | from a file |\n| --- | --- |\n");
    }
    for secret in &image.secrets {
        let how = match (&secret.file, &image.start) {
            (Some(file), _) if secret.prefix.is_empty() => format!("`{file}=/run/secrets/NAME`"),
            (Some(file), _) => format!("`{file}={}/run/secrets/NAME`", secret.prefix),
            (None, Some(start)) if start.config.is_some() => {
                "by a start command, which gives it on standard input".to_owned()
            }
            (None, Some(_)) => "by a start command, which sets the variable".to_owned(),
            (None, None) => "not".to_owned(),
        };
        let only = if secret.owner_only {
            "; its owner's alone"
        } else {
            ""
        };
        let _ = writeln!(text, "| `{}` | {how}{only} |", secret.variable);
    }
    if let Some(family) = &image.family {
        let variable = format!("{}{}…{}", family.before, family.of, family.after);
        let _ = writeln!(
            text,
            "\nAny other variable, too: `{variable}={}/run/secrets/NAME`.",
            family.prefix
        );
    }
    if !image.plain.is_empty() {
        let _ = writeln!(text, "\nAlso with `_FILE`: {}.", list(&image.plain));
    }
    if !image.refused.is_empty() {
        let _ = writeln!(text, "\nNot read: {}.", list(&image.refused));
    }
    if image.recipe.is_some() {
        text.push_str("\n`locket rotate` changes the password inside.\n");
    }
}
