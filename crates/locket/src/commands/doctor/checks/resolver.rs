//! Whether names of servers can be looked up: locket reads the resolver's configuration itself.

use std::io;

use super::super::finding::{Check, Finding, Scene};

pub(super) const CHECK: Check = Check { name: "names", look };

const FILE: &str = "/etc/resolv.conf";

fn look(_: &Scene<'_>) -> Vec<Finding> {
    let read = std::fs::read_to_string(FILE);
    vec![judge(read.as_ref().map(String::as_str))]
}

fn judge(read: Result<&str, &io::Error>) -> Finding {
    let servers = |text: &str| {
        let lines = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("nameserver"));
        lines.map(|rest| rest.trim().to_owned()).collect::<Vec<_>>()
    };
    match read.map(servers) {
        Ok(servers) if !servers.is_empty() => Finding::good(format!("{FILE} names {}", servers.join(", "))),
        Ok(_) => Finding::weak(
            format!("{FILE} names no server: only addresses and the names in /etc/hosts are found"),
            "Add a line `nameserver ADDRESS`.",
        ),
        Err(error) => Finding::weak(
            format!("{FILE} cannot be read: {error}"),
            "Let this user read it; in an image without one, mount it.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::finding::Health;
    use super::*;

    #[test]
    fn servers_are_found_and_missed() {
        let state = |text: &str| judge(Ok(text)).state;
        assert_eq!(state("search example.com\nnameserver 127.0.0.53\n"), Health::Good);
        assert_eq!(state("# nameserver 127.0.0.53\n"), Health::Weak);
        assert_eq!(
            judge(Err(&io::ErrorKind::PermissionDenied.into())).state,
            Health::Weak
        );
    }
}
