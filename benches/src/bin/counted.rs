//! Pieces of a round, each done a number of times, for a profiler that counts instructions.
//!
//! Usage: `counted PIECE TIMES`; zero times does what the others do before they begin. `cargo xtask counts` does it.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use locket_core::filter::HashMemo;
use locket_core::plan::Access;
use locket_core::schemes::{Fragment, Scheme};
use locket_core::template::{RenderCx, Resolution, TemplateOptions};
use locket_core::{Fetched, Schemes, SecretBytes, Template};
use locket_engine::sink::{Applied, Sink};
use locket_engine::sources::Target;

const REFERENCES: usize = 1_000;
const OCCURRENCES: usize = 10_000;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [piece, times] = &words[..] else {
        panic!("a piece and a number")
    };
    let times: usize = times.parse().expect("a number");
    match piece.as_str() {
        "parse" => parse(times),
        "render" => render(times),
        "compare" => compare(times),
        other => panic!("there is no piece `{other}`"),
    }
}

/// A text of 800 kB with ten thousand tags of a thousand references becomes a template.
fn parse(times: usize) {
    let (text, schemes) = (text(), schemes());
    for _ in 0..times {
        let template = template(&text, &schemes);
        assert_eq!(template.references().len(), REFERENCES);
    }
}

/// The same template becomes bytes.
fn render(times: usize) {
    let schemes = schemes();
    let template = template(&text(), &schemes);
    let values: Vec<_> = (0..REFERENCES)
        .map(|index| SecretBytes::copy_from(format!("value-of-{index}").as_bytes()))
        .map(|value| Resolution::Value(Arc::new(Fetched::new(value))))
        .collect();
    for _ in 0..times {
        let mut memo = HashMemo::default();
        let mut cx = RenderCx {
            schemes: &schemes,
            now: SystemTime::UNIX_EPOCH,
            present: None,
            memo: &mut memo,
        };
        let rendered = template.render(&values, &mut cx).expect("every value is there");
        assert!(rendered.bytes.len() > OCCURRENCES);
    }
}

/// An output of a megabyte that is in place already is found equal.
fn compare(times: usize) {
    let directory = tempfile::tempdir().expect("there is a place for files");
    let target = Target {
        root: directory.path().into(),
        relative: Path::new("output").into(),
    };
    let access = Access {
        file_mode: 0o600,
        dir_mode: 0o700,
        owner: None,
    };
    let bytes = SecretBytes::copy_from(&vec![b'x'; 1 << 20]);
    let put = || {
        let mut sink = Sink::new();
        let written = sink.apply(&target, &bytes, &access).expect("it can be written");
        assert!(sink.finish().is_empty());
        written.applied
    };
    put();
    for _ in 0..times {
        assert_eq!(put(), Applied::Unchanged);
    }
}

fn text() -> String {
    (0..OCCURRENCES)
        .map(|index| {
            format!(
                "{:<40}{{{{ bao://kv/team/s{}/value | trim }}}}\n",
                "key =",
                index % REFERENCES
            )
        })
        .collect()
}

fn template(text: &str, schemes: &Schemes) -> Template {
    Template::parse(text.as_bytes(), &TemplateOptions::default(), schemes).expect("the text has no mistakes")
}

fn schemes() -> Schemes {
    Schemes::new([Scheme {
        name: "bao".into(),
        bare: true,
        fragment: Fragment::Json,
    }])
}
