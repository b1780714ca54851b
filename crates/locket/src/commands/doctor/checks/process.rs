//! What protects the memory of this process from others of its user, and from core dumps.

use locket_sys::process::{Hardening, hardening};

use super::super::finding::{Check, Finding, Scene};

pub(super) const CHECK: Check = Check {
    name: "process",
    look,
};

const SANDBOX: &str = "A sandbox around locket refuses it: allow prctl(2) and setrlimit(2).";

fn look(_: &Scene<'_>) -> Vec<Finding> {
    match hardening() {
        Ok(hardening) => judge(hardening),
        Err(error) => vec![Finding::weak(
            format!("the kernel does not tell how the process is protected: {error}"),
            SANDBOX,
        )],
    }
}

fn judge(hardening: Hardening) -> Vec<Finding> {
    let say = |is_good: bool, good: &str, bad: &str| match is_good {
        true => Finding::good(good),
        false => Finding::bad(bad, SANDBOX),
    };
    vec![
        say(
            !hardening.dumpable,
            "others of this user can neither attach to it nor read its memory",
            "others of this user can attach to it and read its memory",
        ),
        say(
            hardening.core_limit == Some(0),
            "a crash leaves no core file",
            "a crash leaves a core file with secrets in it",
        ),
        say(
            hardening.no_new_privileges,
            "no program that it starts can gain privileges",
            "programs that it starts can gain privileges",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::super::finding::Health;
    use super::*;

    #[test]
    fn each_missing_protection_is_told() {
        let all = Hardening {
            dumpable: false,
            core_limit: Some(0),
            no_new_privileges: true,
        };
        let bad = |hardening| {
            judge(hardening)
                .iter()
                .filter(|finding| finding.state == Health::Bad)
                .count()
        };
        assert_eq!(bad(all), 0);
        assert_eq!(
            bad(Hardening {
                dumpable: true,
                ..all
            }),
            1
        );
        assert_eq!(
            bad(Hardening {
                core_limit: None,
                ..all
            }),
            1
        );
        assert_eq!(
            bad(Hardening {
                no_new_privileges: false,
                ..all
            }),
            1
        );
    }
}
