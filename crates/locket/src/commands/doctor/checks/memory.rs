//! Whether secrets can be kept out of swap.

use rustix::process::{Resource, getrlimit};

use super::super::finding::{Check, Finding, Scene};

pub(super) const CHECK: Check = Check { name: "memory", look };

/// The usual limit; what a run needs is a few hundred KiB.
const ENOUGH: u64 = 1 << 20;

const CURE: &str = "Raise it (`ulimit -l`, `LimitMEMLOCK=`, `--ulimit memlock=`), or encrypt the swap.";

fn look(_: &Scene<'_>) -> Vec<Finding> {
    let swap = std::fs::read_to_string("/proc/swaps").unwrap_or_default();
    vec![judge(getrlimit(Resource::Memlock).current, has_swap(&swap))]
}

fn judge(limit: Option<u64>, has_swap: bool) -> Finding {
    match limit {
        None => Finding::good("any amount of memory can be kept out of swap"),
        Some(limit) if limit >= ENOUGH => {
            Finding::good(format!("{} KiB can be kept out of swap", limit >> 10))
        }
        Some(limit) if !has_swap => Finding::good(format!(
            "{} KiB can be kept out of swap, and there is no swap",
            limit >> 10
        )),
        Some(limit) => Finding::weak(
            format!(
                "only {} KiB can be kept out of swap: secrets may reach a disk",
                limit >> 10
            ),
            CURE,
        ),
    }
}

/// Whether `/proc/swaps` lists anything below its head (proc(5)).
fn has_swap(table: &str) -> bool {
    table.lines().skip(1).any(|line| !line.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::super::finding::Health;
    use super::*;

    #[test]
    fn a_small_limit_matters_where_there_is_swap() {
        assert_eq!(judge(None, true).state, Health::Good);
        assert_eq!(judge(Some(8 << 20), true).state, Health::Good);
        assert_eq!(judge(Some(64 << 10), false).state, Health::Good);
        assert_eq!(judge(Some(64 << 10), true).state, Health::Weak);
        assert!(!has_swap("Filename\t\tType\n"));
        assert!(has_swap("Filename\t\tType\n/dev/vda2 partition 1 0 -2\n"));
    }
}
