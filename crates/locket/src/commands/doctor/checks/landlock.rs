//! Whether the kernel can bind the agent to the files that it needs.

use super::super::finding::{Check, Finding, Scene};

pub(super) const CHECK: Check = Check {
    name: "landlock",
    look,
};

/// The active security modules, a list with commas; there where securityfs is mounted.
const MODULES: &str = "/sys/kernel/security/lsm";

fn look(_: &Scene<'_>) -> Vec<Finding> {
    vec![judge(std::fs::read_to_string(MODULES).ok().as_deref())]
}

fn judge(modules: Option<&str>) -> Finding {
    match modules {
        Some(modules) if modules.trim().split(',').any(|name| name == "landlock") => {
            Finding::good("the kernel can bind a process to the files that it needs")
        }
        Some(_) => Finding::weak(
            "the kernel does not use Landlock",
            "Add `landlock` to the kernel's `lsm=` parameter, or build it in (Linux 5.13).",
        ),
        None => Finding::weak(
            "whether the kernel uses Landlock is not to be seen from here",
            "Mount securityfs on /sys/kernel/security to see it.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::finding::Health;
    use super::*;

    #[test]
    fn it_is_found_among_the_modules() {
        assert_eq!(judge(Some("capability,landlock,yama\n")).state, Health::Good);
        assert_eq!(judge(Some("capability,yama")).state, Health::Weak);
        assert_eq!(judge(None).state, Health::Weak);
    }
}
