//! Replays what fuzzing began with, and takes the corpus of the checks apart.

use std::io::Read;

use super::*;

#[path = "../../../../fuzz/replay.rs"]
mod replay;

#[test]
fn every_seed_and_every_former_finding_holds() {
    replay::all(TARGETS);
}

#[test]
fn no_beginning_and_no_gap_of_a_project_is_a_panic_or_a_wrong_place() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut texts = 0;
    for part in ["blind", "known"] {
        for entry in corpus.join(part).read_dir().unwrap() {
            let bytes = read(&entry.unwrap().path());
            let text = bytes.split_once(" --\n").unwrap().1;
            for at in (0..text.len()).step_by(7).filter(|at| text.is_char_boundary(*at)) {
                compose(&text.as_bytes()[..at]);
                let gap = (at + 5).min(text.len());
                compose(&[&text.as_bytes()[..at], &text.as_bytes()[gap..]].concat());
                texts += 1;
            }
        }
    }
    assert!(texts > 2_000, "only {texts} texts were tried");
}

fn read(path: &Path) -> String {
    let mut text = String::new();
    let mut file = std::fs::OpenOptions::new().read(true).open(path).unwrap();
    file.read_to_string(&mut text).unwrap();
    text
}
