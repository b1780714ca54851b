//! Measures the built binary beside the bare minimum, in one run, and fails when a ratio is past its bound.
//!
//! Usage: `locket-bench LOCKET BARE [SCENE…]` with the paths of the release binaries, beside which
//! the other programs of this package are; `cargo xtask bench` does it.

mod bare_round;
mod checks;
mod image;
mod peers;
mod plot;
mod process;
mod programs;
mod rounds;
mod scenes;
mod server;
mod syncs;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use crate::scenes::Binaries;
use crate::table::Table;

/// Something that is measured.
type Scene = fn(&Binaries<'_>, &mut Table);

/// What can be measured, by name.
const SCENES: &[(&str, Scene)] = &[
    ("cold-start", scenes::cold_start),
    ("round", |binaries, table| rounds::round(binaries, 0, table)),
    ("round-20", |binaries, table| rounds::round(binaries, 20, table)),
    ("inject", |binaries, table| scenes::inject(binaries, 0, table)),
    ("inject-20", |binaries, table| scenes::inject(binaries, 20, table)),
    ("large-template", scenes::large_template),
    ("edit", scenes::edit_to_output),
    ("idle", scenes::idle),
    ("exec", programs::exec),
    ("mask", programs::mask),
    ("check", checks::check),
    ("sync", syncs::sync),
];

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let first = arguments.next().expect("the path of the locket binary");
    if first == "bare-round" {
        bare_round::main(arguments);
        return ExitCode::SUCCESS;
    }
    if first == "produce" {
        programs::produce();
        return ExitCode::SUCCESS;
    }
    if first == "relay" {
        programs::relay();
        return ExitCode::SUCCESS;
    }
    if first == "image" {
        image::main(arguments);
        return ExitCode::SUCCESS;
    }
    if first == "peers" {
        peers::main(arguments);
        return ExitCode::SUCCESS;
    }
    let locket = PathBuf::from(first);
    let bare = PathBuf::from(arguments.next().expect("the path of the bare binary"));
    let wanted: Vec<_> = arguments.collect();
    let mut table = Table::default();
    for (name, scene) in SCENES {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            scene(
                &Binaries {
                    locket: &locket,
                    bare: &bare,
                },
                &mut table,
            );
        }
    }
    print!("{table}");
    if table.is_within_bounds() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
