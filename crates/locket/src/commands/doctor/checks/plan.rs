//! Whether a run would begin, and use every template: what the engine says of the plan, asking nobody.

use locket_engine::preview::{Foreseen, PlannedOutput};
use locket_engine::sources::{PlanError, SourceError, Trouble};

use super::super::finding::{Check, Finding, Scene};

pub(super) const CHECK: Check = Check { name: "plan", look };

fn look(scene: &Scene<'_>) -> Vec<Finding> {
    match scene.look_ahead() {
        Ok(settled) => judge(&settled.foreseen),
        Err(findings) => findings,
    }
}

fn judge(foreseen: &Foreseen) -> Vec<Finding> {
    let refused = foreseen.refused.iter().filter_map(refused);
    let mistakes = foreseen
        .unusable()
        .flat_map(|(output, error)| mistakes(output, error));
    let left_out = foreseen.left_out().map(left_out);
    let bad: Vec<_> = refused.chain(mistakes).chain(left_out).collect();
    match (bad.is_empty(), foreseen.outputs.is_empty()) {
        (false, _) => bad,
        (true, true) => vec![Finding::good("there is nothing to render")],
        (true, false) => vec![Finding::good("every template in it can be used")],
    }
}

/// Destinations have a check of their own.
fn refused(error: &PlanError) -> Option<Finding> {
    match error {
        PlanError::NotWritable { .. } => None,
        error => Some(Finding::bad(error.to_string(), error.hint())),
    }
}

fn mistakes(output: &PlannedOutput, error: &SourceError) -> Vec<Finding> {
    let SourceError::Template { name, text, found } = error else {
        return vec![Finding::bad(error.to_string(), error.hint())];
    };
    let each = found.iter().map(|mistake| {
        let (line, column) = mistake.span.line_column(text);
        let told = format!("{name}:{line}:{column}: {}", mistake.message);
        let cure = mistake.help.clone();
        Finding::bad(
            told,
            cure.unwrap_or_else(|| format!("Correct it: {} cannot be rendered.", output.path.display())),
        )
    });
    each.collect()
}

fn left_out(trouble: &Trouble) -> Finding {
    Finding::bad(
        format!("{} is left out: {}", trouble.path.display(), trouble.reason),
        "Put that right, or take it out of the source.",
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::commands::doctor::finding::{Health, Mistaken, Settled};
    use crate::settings::{self, Form, RunSettings};
    use crate::testing;

    /// What `doctor FLAGS` says of its plan and its destinations: the names of what is bad, and the words.
    fn bad(directory: &Path, flags: &[&str], toml: &str) -> Vec<(&'static str, String)> {
        if !toml.is_empty() {
            std::fs::write(directory.join("locket.toml"), toml).unwrap();
        }
        let line: Vec<_> = ["doctor"].iter().chain(flags).copied().collect();
        let (matches, context) = (testing::matches(&line), testing::context(directory, &[]));
        let loaded = settings::load(&matches, &context, |layers| {
            RunSettings::settle(layers, Form::Look, &context)
        });
        let scene = Scene {
            matches: &matches,
            context: &context,
            settings: loaded
                .map(|loaded| Settled::of(loaded.quietly(), &context))
                .map_err(|_| Mistaken),
        };
        let checks = [CHECK, super::super::destinations::CHECK];
        let findings = checks.iter().flat_map(|check| {
            let findings = (check.look)(&scene).into_iter();
            findings.map(|finding| (check.name, finding))
        });
        findings
            .filter(|(_, finding)| finding.state == Health::Bad)
            .inspect(|(_, finding)| assert!(finding.cure.is_some()))
            .map(|(name, finding)| (name, finding.told))
            .collect()
    }

    #[test]
    fn what_a_run_would_refuse_is_bad() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        for name in ["in", "other", "taken/c"] {
            std::fs::create_dir_all(at.join(name)).unwrap();
        }
        for name in ["in/c", "other/c"] {
            std::fs::write(at.join(name), "x={{ file:///none }}").unwrap();
        }
        std::fs::write(at.join("plain"), "").unwrap();
        let atomic = "[[map]]\nsource = 'in'\ndestination = 'whole'\natomic = true\n\
                      [[secret]]\nname = 'x'\ntemplate = 'y'\n[run]\nout = 'whole'\n";
        for (flags, toml, check, told) in [
            (
                &["--secret=x={{bax://kv/a/b}}", "--out=out"][..],
                "",
                "plan",
                "bax://",
            ),
            (&["--map=nowhere:out"], "", "plan", "cannot be found"),
            (&["--map=in:in/out"], "", "plan", "inside the source"),
            (&["--map=plain:plain"], "", "plan", "would be written over it"),
            (
                &["--map=in:out", "--map=other:out"],
                "",
                "plan",
                "would both be written",
            ),
            (&["--map=in/c:taken/c"], "", "destination", "directory"),
            (&["--map=in:taken"], "", "destination", "directory"),
            (&["--map=in:plain/x"], "", "destination", "not a directory"),
            (&["--config=locket.toml"], atomic, "plan", "switched as a whole"),
        ] {
            let found = bad(at, flags, toml);
            assert!(
                matches!(&found[..], [(name, words)] if *name == check && words.contains(told)),
                "{flags:?}: {found:?}"
            );
        }
        assert_eq!(bad(at, &["--map=in:out", "--secret=x=y"], ""), []);
    }
}
