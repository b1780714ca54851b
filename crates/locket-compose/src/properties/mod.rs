//! What holds for any text as a Compose file: the body of the fuzz target. Compiled for tests and fuzzing only.

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::Duration;

use locket_core::schemes::Fragment;
use locket_core::{Environment, Scheme, Schemes};

use crate::check::{Edges, Git, Kind, Options, Stat, Surroundings, check, shown};
use crate::{Files, Request, Unreadable, load};

/// A target by the name of its program in `fuzz/`.
pub type Target = (&'static str, fn(&[u8]));

/// Every target of this crate.
pub const TARGETS: &[Target] = &[("compose", compose)];

/// Any text as a Compose file. Two documents apart by a line of `%%%` are the file, and a file of variables.
pub fn compose(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (file, env) = text.split_once("%%%\n").unwrap_or((text, ""));
    let disk = Disk { file, env };
    let request = Request {
        directory: "/p".into(),
        ..Request::default()
    };
    let environment: Environment = [("INH", "inherited")].into_iter().collect();
    let Ok(project) = load(&request, &disk, &environment) else {
        return;
    };
    for mistake in &project.mistakes {
        assert!(!mistake.diagnostic.message.is_empty());
        lies_in(mistake.diagnostic.span, &project.sources.get(mistake.source).text);
    }
    let scheme = |name: &str| Scheme {
        name: name.into(),
        bare: true,
        fragment: Fragment::Json,
    };
    let options = Options {
        max_age: Some(Duration::from_secs(1)),
        is_root: true,
        schemes: Schemes::new(["op", "store"].map(scheme)),
    };
    let checked = check(&project, &disk, &options);
    for finding in checked.findings.iter().chain(&checked.ignored) {
        assert!(!finding.message.is_empty() && !finding.help.is_empty());
        let text = &project.sources.get(finding.place.source).text;
        lies_in(finding.place.span, text);
        if finding.rule.id.ends_with("-credential") && !finding.rule.id.starts_with("build") {
            let shown = shown(&project, &checked, finding.place.source);
            assert_eq!(shown.len(), text.len());
            let covered = &shown[finding.place.span.start..finding.place.span.end];
            assert!(
                covered
                    .iter()
                    .all(|byte| *byte == b'*' || byte.is_ascii_whitespace())
            );
        }
    }
}

fn lies_in(span: locket_core::Span, text: &str) {
    assert!(
        text.get(span.start..span.end).is_some(),
        "{span:?} is no part of the text"
    );
}

/// The file, a file of variables under every other name, and secrets everywhere.
struct Disk<'a> {
    file: &'a str,
    env: &'a str,
}

impl Files for Disk<'_> {
    fn read(&self, path: &Path) -> Result<String, Unreadable> {
        match path.extension() {
            Some(ending) if ending == "yaml" => Ok(self.file.to_owned()),
            _ => Ok(self.env.to_owned()),
        }
    }

    fn exists(&self, path: &Path) -> bool {
        path == Path::new("/p/compose.yaml") || path == Path::new("/p/.env")
    }
}

impl Surroundings for Disk<'_> {
    fn stat(&self, path: &Path) -> Option<Stat> {
        let length = path.as_os_str().len();
        (!length.is_multiple_of(3)).then_some(Stat {
            kind: Kind::File,
            mode: if length.is_multiple_of(2) { 0o600 } else { 0o644 },
            uid: 0,
            gid: 0,
            age: Duration::from_secs(2),
            is_shut: false,
        })
    }

    fn edges(&self, path: &Path) -> Option<Edges> {
        Some(Edges::of(path.as_os_str().as_encoded_bytes()))
    }

    fn git(&self, paths: &[PathBuf]) -> Vec<Git> {
        vec![Git::New; paths.len()]
    }

    fn is_memory(&self, _: &Path) -> bool {
        false
    }
}
