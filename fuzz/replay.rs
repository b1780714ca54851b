//! Feeds the committed inputs of fuzz targets to their bodies. Included by the tests of the crates that have targets.

use std::fs::OpenOptions;
use std::io::Read;
use std::path::Path;

use super::Target;

/// Runs every target over its seeds and over what fuzzing found in former times.
pub(crate) fn all(targets: &[Target]) {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    for (name, check) in targets {
        let program = home.join(format!("src/bin/{name}.rs"));
        assert!(program.exists(), "{} is missing", program.display());
        let mut inputs = 0;
        for kind in ["seeds", "regressions"] {
            let Ok(entries) = home.join(kind).join(name).read_dir() else {
                continue;
            };
            for entry in entries {
                let path = entry.unwrap().path();
                let mut input = Vec::new();
                let mut file = OpenOptions::new().read(true).open(&path).unwrap();
                file.read_to_end(&mut input).unwrap();
                let held = std::panic::catch_unwind(|| check(&input));
                assert!(held.is_ok(), "{} does not hold", path.display());
                inputs += 1;
            }
        }
        assert!(inputs > 0, "{name} has no seeds");
    }
}
