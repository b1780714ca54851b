//! The checks, a file each. To add one: a file with a `CHECK`, and its line in the table.

mod clock;
mod configuration;
mod destinations;
mod docker;
#[cfg(feature = "store")]
mod identity;
mod landlock;
mod memory;
mod plan;
mod process;
mod providers;
mod resolver;
mod state;
mod watching;

use super::finding::Check;

/// Every check, in the order in which they are told.
pub(super) static CHECKS: &[Check] = &[
    process::CHECK,
    memory::CHECK,
    landlock::CHECK,
    configuration::CHECK,
    plan::CHECK,
    destinations::CHECK,
    docker::CHECK,
    state::CHECK,
    watching::CHECK,
    #[cfg(feature = "store")]
    identity::CHECK,
    clock::CHECK,
    resolver::CHECK,
    providers::CHECK,
];

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::CHECKS;

    #[test]
    fn the_page_tells_of_every_check_in_its_order() {
        let page = "../../docs/reference/commands/doctor.md";
        let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap();
        let (_, table) = page.split_once("| check | looks at |").unwrap();
        let told = table
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split('`').next());
        let told: Vec<_> = told
            .filter(|name| cfg!(feature = "store") || *name != "identity")
            .collect();
        let named: Vec<_> = CHECKS.iter().map(|check| check.name).collect();
        assert_eq!(told, named);
    }
}
