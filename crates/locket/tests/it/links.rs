//! Links between the pages, and from the pages into the tree.

use crate::documents::{Page, repository};

/// The targets of the links in `text`, outside of code.
pub(crate) fn targets(text: &str) -> Vec<&str> {
    let mut targets = Vec::new();
    let mut is_code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        }
        if is_code {
            continue;
        }
        let ends = line.match_indices("](").map(|(at, _)| &line[at + 2..]);
        targets.extend(
            ends.filter_map(|rest| rest.split_once(')'))
                .map(|(target, _)| target),
        );
    }
    targets
}

#[test]
fn every_link_leads_somewhere() {
    let mut links = 0;
    let mut broken = Vec::new();
    for page in Page::all() {
        let directory = page.path.parent().expect("a page has a directory");
        for target in targets(&page.text)
            .into_iter()
            .filter(|target| !target.contains("://"))
        {
            links += 1;
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let path = if path.is_empty() {
                page.path.clone()
            } else {
                directory.join(path)
            };
            let is_there = repository().join(&path).exists();
            if !is_there || (!anchor.is_empty() && !anchors(&Page::at(&path)).any(|known| known == anchor)) {
                broken.push(format!("{}: {target}", page.path.display()));
            }
        }
    }
    assert!(
        broken.is_empty(),
        "these links lead nowhere:\n{}",
        broken.join("\n")
    );
    assert!(links > 10, "only {links} links were found");
}

#[test]
fn every_page_is_in_the_table_of_contents() {
    let contents = Page::at("docs/SUMMARY.md");
    let listed = targets(&contents.text);
    let mut missing = Vec::new();
    for page in Page::all() {
        let Ok(below) = page.path.strip_prefix("docs") else {
            continue;
        };
        let below = below.to_string_lossy().into_owned();
        if below != "SUMMARY.md" && !listed.contains(&below.as_str()) {
            missing.push(below);
        }
    }
    assert!(missing.is_empty(), "docs/SUMMARY.md does not list {missing:?}");
}

#[test]
fn the_book_is_made_of_these_pages() {
    let book = std::fs::read_to_string(repository().join("book.toml")).expect("the book is described");
    let book: toml::Table = book.parse().expect("its description is TOML");
    assert_eq!(book["book"]["src"].as_str(), Some("docs"));
    let moved = book["output"]["html"]["redirect"]
        .as_table()
        .expect("pages were moved");
    for (old, new) in moved {
        let page = |html: &str| {
            repository()
                .join("docs")
                .join(html.trim_start_matches('/').replace(".html", ".md"))
        };
        let new = new.as_str().expect("a page has a path");
        assert!(page(new).exists(), "{old} leads to {new}, which is not there");
        assert!(!page(old).exists(), "{old} is still there");
    }
    // mdBook makes one page of each link, whatever stands there twice.
    let contents = Page::at("docs/SUMMARY.md");
    let mut listed = targets(&contents.text);
    let all = listed.len();
    listed.sort_unstable();
    listed.dedup();
    assert_eq!(listed.len(), all, "docs/SUMMARY.md lists a page twice");
}

/// The anchors of a page's headings, as they are made for links.
fn anchors(page: &Page) -> impl Iterator<Item = String> {
    page.text
        .lines()
        .filter_map(|line| line.strip_prefix('#'))
        .map(|heading| {
            let heading = heading.trim_start_matches('#').trim().to_lowercase();
            let kept = heading
                .chars()
                .filter(|char| char.is_alphanumeric() || " -_".contains(*char));
            kept.map(|char| if char == ' ' { '-' } else { char }).collect()
        })
}

#[test]
fn links_in_code_are_none() {
    let text = "[a](b.md) and [c](d.md#e)\n```\n[f](g)\n```\n";
    assert_eq!(targets(text), ["b.md", "d.md#e"]);
}
