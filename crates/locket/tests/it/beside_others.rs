//! The page that holds locket beside other tools: what it says of its numbers follows from them.

use std::fs;

use crate::documents::{Page, repository};
use crate::links::targets;

const PAGE: &str = "docs/explanation/peers.md";

/// What no run may leave out.
const JOBS: &[&str] = &[
    "one template with one reference",
    "1,000 templates, 500 secrets, server at 0 ms",
    "requests of that, server at 0 ms",
    "1,000 templates, 500 secrets, server at 20 ms",
    "requests of that, server at 20 ms",
    "from an edit, saved in place, to the output",
    "from an edit, saved by rename, to the output",
    "memory, following 1,000 templates",
    "a program with one secret, over the program alone",
    "memory of a program's supervisor",
    "size of the program",
];

/// A cell as a number, times in milliseconds; `None` where a tool does not do the job.
fn amount(cell: &str) -> Option<f64> {
    let (number, unit) = cell.split_once(' ').unwrap_or((cell, ""));
    let number: f64 = number.parse().ok()?;
    match unit {
        "" | "ms" | "MB" => Some(number),
        "s" => Some(number * 1e3),
        _ => None,
    }
}

#[test]
fn every_ratio_follows_from_the_numbers_beside_it() {
    let page = Page::at(PAGE);
    let (mut ratios, mut jobs) = (0, Vec::new());
    for row in page.rows() {
        let [job, ours, theirs, ratio] = &row.cells[..] else {
            panic!("line {}: four cells", row.line)
        };
        jobs.push(job.clone());
        let (Some(ours), Some(theirs)) = (amount(ours), amount(theirs)) else {
            assert_eq!(ratio, "", "line {}: a ratio of what was not done", row.line);
            continue;
        };
        ratios += 1;
        let ratio: f64 = ratio.parse().unwrap();
        let expected = theirs / ours;
        // The cells are rounded.
        let allowed = (expected * 0.12).max(0.11);
        assert!(
            (ratio - expected).abs() <= allowed,
            "line {}: {ratio} and {expected}",
            row.line
        );
    }
    for job in JOBS {
        assert!(jobs.iter().any(|known| known == job), "{job} was not measured");
    }
    assert!(
        page.text
            .contains(&format!(" the {ratios} rows that both can do")),
        "{ratios} rows"
    );
}

#[test]
fn every_picture_shows_every_job_of_its_table() {
    let text = Page::at(PAGE).text;
    let sections: Vec<_> = text.split("\n## ").skip(1).collect();
    assert!(sections.len() >= 2);
    for section in sections {
        let pictures = targets(section);
        let [picture] = &pictures[..] else {
            panic!("one picture: {pictures:?}")
        };
        let picture = fs::read_to_string(repository().join("docs/explanation").join(picture)).unwrap();
        let section = Page {
            path: PAGE.into(),
            text: section.to_owned(),
        };
        for row in section.rows() {
            assert!(
                picture.contains(&format!(">{}<", row.cells[0])),
                "{}",
                row.cells[0]
            );
        }
    }
}
