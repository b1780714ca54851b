//! The configurations that the documentation shows are read by the program as it reads any other.

use std::path::Path;

use super::pages;
use crate::config::ConfigFile;
use crate::context::Style;
use crate::report::{Cause, Failure};

/// The code blocks of a page in one language, each with its line.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<(usize, &'a str)> {
    let mut found = Vec::new();
    let mut open: Option<(usize, usize, bool)> = None;
    let mut at = 0;
    for (number, line) in page.split_inclusive('\n').enumerate() {
        let (start, end) = (at, at + line.len());
        at = end;
        match (line.strip_prefix("```"), open) {
            (Some(name), None) => open = Some((number + 1, end, name.trim_end() == language)),
            (Some(_), Some((line, from, is_wanted))) => {
                open = None;
                if is_wanted {
                    found.push((line, &page[from..start]));
                }
            }
            (None, _) => {}
        }
    }
    found
}

#[test]
fn every_configuration_that_is_shown_is_read_without_a_complaint() {
    let mut shown = 0;
    for (path, page) in pages::all() {
        for (line, text) in blocks(&page, "toml") {
            let told = |problem| Failure::new(Cause::Usage, vec![problem]).draw(Style::Plain);
            let base: std::sync::Arc<Path> = Path::new("/").into();
            match ConfigFile::parse(Path::new("locket.toml"), text, base) {
                Ok((_, None)) => shown += 1,
                Ok((_, Some(problem))) | Err(problem) => {
                    panic!("{}:{line}: {}", path.display(), told(problem))
                }
            }
        }
    }
    assert!(shown > 5, "only {shown} configurations were found");
}

#[test]
fn the_example_of_the_configuration_page_does_what_it_says() {
    let (_, page) = pages::all()
        .into_iter()
        .find(|(path, _)| path.ends_with("reference/configuration.md"))
        .unwrap();
    let (_, example) = blocks(&page, "toml")[0];
    let directory = tempfile::tempdir().unwrap();
    let run = match crate::testing::run(directory.path(), &[], &[], example) {
        Ok(run) => run,
        Err(failure) => panic!("{}", failure.draw(Style::Plain)),
    };
    assert_eq!(
        (run.plan.maps.len(), run.plan.secrets.len(), run.actions.len()),
        (2, 2, 0)
    );
}

#[test]
fn a_block_is_found_by_its_language() {
    let page = "```text\nno\n```\n\n```toml\na = 1\n```\n";
    assert_eq!(blocks(page, "toml"), [(5, "a = 1\n")]);
}
