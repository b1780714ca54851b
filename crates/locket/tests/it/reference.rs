//! The reference pages are complete, and their examples come out as written.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use locket_core::filter::{FILTERS, HashMemo};
use locket_core::provider::Fetched;
use locket_core::schemes::Fragment;
use locket_core::template::{RenderCx, Resolution, TemplateOptions};
use locket_core::{ProviderError, Scheme, Schemes, SecretBytes, Template};

use crate::documents::Page;
use crate::support::Scene;

/// The second of 1970 that the page's one-time code is of.
const SECOND: u64 = 59;

#[test]
fn every_filter_has_its_row_and_its_example_comes_out_as_written() {
    let page = Page::at("docs/reference/filters.md");
    let rows = page.rows();
    for kind in FILTERS {
        let usage = format!("`{}`", kind.usage());
        let row = rows.iter().find(|row| row.cells[0] == usage);
        let row = row.unwrap_or_else(|| panic!("docs/reference/filters.md has no row for {usage}"));
        let [_, _, value, example, output] = row.cells.as_slice() else {
            panic!(
                "docs/reference/filters.md:{} has {} cells",
                row.line,
                row.cells.len()
            );
        };
        let wanted = inside(output)
            .unwrap_or_else(|| panic!("docs/reference/filters.md:{} shows no output", row.line));
        let example = inside(example)
            .unwrap_or_else(|| panic!("docs/reference/filters.md:{} has no example", row.line));
        assert!(
            example.starts_with(kind.name),
            "docs/reference/filters.md:{}",
            row.line
        );
        let text = format!("{{{{ store://db/password | {example} }}}}");
        let rendered = render(&text, inside(value)).unwrap_or_else(|wrong| panic!("{text}: {wrong}"));
        match wanted.strip_suffix('…') {
            Some(start) => assert!(
                rendered.starts_with(start),
                "docs/reference/filters.md:{}: {rendered}",
                row.line
            ),
            None => assert_eq!(rendered, wanted, "docs/reference/filters.md:{}", row.line),
        }
    }
    assert_eq!(
        rows.len(),
        FILTERS.len(),
        "docs/reference/filters.md has rows for filters that do not exist"
    );
}

#[test]
fn a_manual_page_is_printed_and_all_are_written_to_a_directory() {
    let scene = Scene::empty();
    let page = scene.locket(["man", "sync"]).output().unwrap();
    let page = String::from_utf8(page.stdout).unwrap();
    assert!(page.contains(".TH locket-sync 1"), "{page}");
    let written = scene.locket(["man", "--out", "pages"]).output().unwrap();
    assert!(written.status.success());
    assert_eq!(scene.read("pages/locket-sync.1").as_deref(), Some(page.as_str()));
    assert!(scene.read("pages/locket.1").is_some());
}

#[test]
fn every_way_to_write_a_tag_comes_out_as_written() {
    let mut shown = 0;
    for row in Page::at("docs/reference/references.md").rows() {
        let [text, output] = row.cells.as_slice() else {
            continue;
        };
        let Some(text) = inside(text) else { continue };
        let place = format!("docs/reference/references.md:{}", row.line);
        shown += 1;
        match output.strip_prefix('`').and_then(|rest| rest.split_once('`')) {
            Some((wanted, _)) => assert_eq!(
                render(&text, Some("hunter2".into())).as_deref(),
                Ok(wanted),
                "{place}"
            ),
            None => assert!(render(&text, None).is_err(), "{place}"),
        }
    }
    assert_eq!(shown, 7);
}

/// What a code cell holds, `\n` read as a line break; `None` for a cell in words.
fn inside(cell: &str) -> Option<String> {
    let code = cell.strip_prefix('`')?.strip_suffix('`')?;
    Some(code.replace("\\n", "\n"))
}

/// The template `text`, where every secret has this value or does not exist.
///
/// # Errors
/// What is wrong with it, in words.
fn render(text: &str, value: Option<String>) -> Result<String, String> {
    let names = ["store", "bao"];
    let schemes = Schemes::new(names.map(|name| Scheme {
        name: name.into(),
        bare: true,
        fragment: Fragment::Json,
    }));
    let template = Template::parse(text.as_bytes().to_vec(), &TemplateOptions::default(), &schemes)
        .map_err(|found| format!("{found:?}"))?;
    let resolution = match value {
        Some(value) => Resolution::Value(Arc::new(Fetched::new(SecretBytes::new(value.into_bytes())))),
        None => Resolution::Failed(Arc::new(ProviderError::not_found("there is none"))),
    };
    let resolutions = vec![resolution; template.references().len()];
    let now = UNIX_EPOCH + Duration::from_secs(SECOND);
    let mut memo = HashMemo::default();
    let mut cx = RenderCx {
        schemes: &schemes,
        now,
        present: None,
        memo: &mut memo,
    };
    let rendered = template
        .render(&resolutions, &mut cx)
        .map_err(|errors| format!("{errors:?}"))?;
    #[expect(
        clippy::disallowed_methods,
        reason = "the value of an example in the documentation"
    )]
    let bytes = rendered.bytes.expose();
    Ok(String::from_utf8_lossy(bytes).into_owned())
}
