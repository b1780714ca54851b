//! How right the check is on other people's projects: each finding of the corpus, each that is missing, each that is
//! too many.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot be set up fails"
)]

mod corpus_file;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use corpus_file::{CorpusProject, Expected};
use locket_compose::check::{Options, RULES, check, shown};
use locket_core::schemes::{Fragment, Scheme, Schemes};

/// Of what is found, so much must be wrong indeed; of what is wrong, so much must be found.
const PRECISION: f64 = 0.95;
const RECALL: f64 = 0.9;

#[derive(Default)]
struct Score {
    right: usize,
    missed: usize,
    too_many: usize,
}

#[test]
fn nearly_every_finding_is_right_and_nearly_everything_wrong_is_found() {
    let projects = corpus_file::all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus"));
    assert!(projects.len() >= 80, "only {} projects", projects.len());
    let blind = projects.iter().filter(|project| project.is_blind).count();
    assert!(
        blind * 2 >= projects.len(),
        "only {blind} of {} are blind",
        projects.len()
    );
    let mut scores: BTreeMap<String, Score> = BTreeMap::new();
    let mut misses = Vec::new();
    for project in &projects {
        let found = found(project);
        for finding in &project.expected {
            let score = scores.entry(finding.id.clone()).or_default();
            if found.contains(finding) {
                score.right += 1;
            } else {
                score.missed += 1;
                misses.push(format!("{}: not found: {finding}", project.name));
            }
        }
        for finding in found.difference(&project.expected) {
            scores.entry(finding.id.clone()).or_default().too_many += 1;
            misses.push(format!("{}: too many: {finding}", project.name));
        }
    }
    let mut table = String::new();
    let mut is_bad = false;
    for (id, score) in &scores {
        let share = |of: usize| match of + score.right {
            0 => 1.0,
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            all => score.right as f64 / all as f64,
        };
        let (precision, recall) = (share(score.too_many), share(score.missed));
        is_bad |= precision < PRECISION || recall < RECALL;
        table += &format!(
            "{id:28} {:3} right  precision {precision:.2}  recall {recall:.2}\n",
            score.right
        );
    }
    println!("{table}{}", misses.join("\n"));
    assert!(!is_bad, "\n{table}\n{}", misses.join("\n"));
    // What is not about a project has its tests elsewhere.
    let elsewhere = ["unresolved-reference", "configuration-mistake", "output-in-place"];
    let untested: Vec<_> = RULES
        .iter()
        .map(|rule| rule.id)
        .filter(|id| !elsewhere.contains(id) && scores.get(*id).is_none_or(|score| score.right == 0))
        .collect();
    assert!(untested.is_empty(), "no project has {untested:?}");
}

#[test]
fn no_text_that_is_shown_holds_a_value() {
    let mut values = 0;
    for project in corpus_file::all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")) {
        let Some(read) = project.load() else { continue };
        let checked = check(&read, &project, &options(&project));
        let told: String = checked
            .findings
            .iter()
            .map(|finding| format!("{finding:?}"))
            .collect();
        let texts: String = read
            .sources
            .iter()
            .map(|(id, _)| String::from_utf8(shown(&read, &checked, id)).unwrap())
            .collect();
        for finding in &checked.findings {
            if !finding.rule.id.ends_with("-credential") || finding.rule.id.starts_with("build") {
                continue;
            }
            let source = read.sources.get(finding.place.source);
            let value = &source.text[finding.place.span.start..finding.place.span.end];
            assert!(!told.contains(value), "{}: {}", project.name, finding.rule.id);
            assert!(!texts.contains(value), "{}: {}", project.name, finding.rule.id);
            values += 1;
        }
    }
    assert!(values > 20, "only {values} values were looked for");
}

fn found(project: &CorpusProject) -> BTreeSet<Expected> {
    let Some(read) = project.load() else {
        return BTreeSet::new();
    };
    let checked = check(&read, project, &options(project));
    checked
        .findings
        .iter()
        .map(|finding| {
            let source = read.sources.get(finding.place.source);
            let (line, _) = finding.place.span.line_column(source.text.as_bytes());
            Expected {
                id: finding.rule.id.to_owned(),
                path: source.path.strip_prefix("/p").unwrap().display().to_string(),
                line,
            }
        })
        .collect()
}

fn options(project: &CorpusProject) -> Options {
    let scheme = |name: &str| Scheme {
        name: name.into(),
        bare: true,
        fragment: Fragment::Json,
    };
    Options {
        max_age: project.max_age,
        is_root: true,
        schemes: Schemes::new(["op", "bao", "store", "file"].map(scheme)),
    }
}
