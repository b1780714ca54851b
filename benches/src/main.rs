//! Measures the built binary beside the bare minimum, in one run, and fails when a ratio is past its bound.
//!
//! Usage: `locket-bench LOCKET BARE` with the paths of the two release binaries; `cargo xtask bench` does it.

mod bare_round;
mod process;
mod scenes;
mod server;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use crate::table::Table;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let first = arguments.next().expect("the path of the locket binary");
    if first == "bare-round" {
        bare_round::main(arguments);
        return ExitCode::SUCCESS;
    }
    let locket = PathBuf::from(first);
    let bare = PathBuf::from(arguments.next().expect("the path of the bare binary"));
    let mut table = Table::default();
    scenes::cold_start(&locket, &bare, &mut table);
    scenes::round(&locket, 0, &mut table);
    scenes::round(&locket, 20, &mut table);
    scenes::large_template(&locket, &mut table);
    scenes::edit_to_output(&locket, &mut table);
    scenes::idle(&locket, &mut table);
    print!("{table}");
    if table.is_within_bounds() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
