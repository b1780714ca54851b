//! What the program's own words mean. It has one exit status for everything, so that its words are all there is.
//!
//! They are matched and never repeated: what a message holds nobody can know.

use std::process::ExitStatus;
use std::time::Duration;

use locket_core::{ErrorKind, ProviderError};

/// What the program refused, told by its standard error.
pub(super) fn refused(told: &[u8], status: ExitStatus) -> ProviderError {
    let told = without_quoted(&String::from_utf8_lossy(told).to_lowercase());
    let says = |words: &[&str]| words.iter().any(|word| told.contains(word));
    // What is said of an item or a vault came from the server: the way there is good.
    if says(&["isn't an item", "is not an item", "no item found"]) {
        return ProviderError::not_found("1Password has no such item in this vault");
    }
    if says(&["more than one item matches"]) {
        return ProviderError::invalid("the vault has several items of this title")
            .hint("Write the id of the one you mean in place of its title.");
    }
    if says(&["more than one vault matches"]) {
        return ProviderError::invalid("the account has several vaults of this name")
            .hint("Write the id of the one you mean in place of its name.");
    }
    // A vault out of the token's scope looks like one that does not exist.
    if says(&[
        "isn't a vault",
        "is not a vault",
        "vault not found",
        "could not find vault",
    ]) {
        return ProviderError::denied("the service account sees no such vault")
            .hint("Check the name; the vaults of a service account are chosen when it is made.");
    }
    if says(&["certificate has expired or is not yet valid"]) {
        return ProviderError::unavailable(
            "the server's certificate is not valid at the time of this machine",
        )
        .hint("Set this machine's clock right.");
    }
    if says(&["x509", "certificate"]) {
        return ProviderError::unavailable("the `op` program does not trust the server's certificate")
            .hint("Set `op.ca-file` to the PEM certificate of the authority that issued it.");
    }
    if says(&["proxyconnect", "proxy authentication", "(407)"]) {
        return ProviderError::unavailable("the proxy does not let the `op` program through").hint(
            "Check `op.proxy` or HTTPS_PROXY, and that the proxy allows connections to *.1password.com.",
        );
    }
    if says(&[
        "no such host",
        "server misbehaving",
        "dial tcp",
        "connection refused",
        "network is unreachable",
    ]) {
        return ProviderError::unavailable("the `op` program reaches no server of 1Password")
            .hint("Check this machine's network and name servers.");
    }
    if says(&["(429)", "too many requests", "rate-limited", "rate limit"]) {
        return throttled(&told);
    }
    if says(&["(403)", "forbidden", "don't have permission", "not authorized"]) {
        return ProviderError::denied("the service account may not read this").hint(
            "Give the service account read access to the vault; it is chosen when the account is made.",
        );
    }
    if says(&["expired"]) && says(&["token", "service account"]) {
        return unfit("the token of the service account has expired");
    }
    if says(&["deleted", "suspended", "deactivated"]) && says(&["service account"]) {
        return unfit("the service account was deleted or suspended");
    }
    if says(&[
        "(401)",
        "unauthorized",
        "invalid token",
        "serviceaccount",
        "not currently signed in",
        "signin credentials",
    ]) {
        return unfit("1Password does not accept the token of the service account");
    }
    if says(&["user: unknown userid", "unknown userid", "lookup userid"]) {
        return ProviderError::invalid("the `op` program wants this user to have an entry in /etc/passwd")
            .hint(
                "Mount a passwd file that has one, or use 1Password's core (`op.core`), which needs none.",
            );
    }
    if says(&["(500)", "(502)", "(503)", "(504)", "timeout", "timed out"]) {
        return ProviderError::unavailable("1Password has no answer for the `op` program now");
    }
    ProviderError::unavailable(format!("the `op` program failed ({status})"))
        .hint("What it wrote to its standard error is in the log at level `debug`.")
}

/// Whether `error` speaks of one item; all other errors meet every item alike.
pub(super) fn is_about_one(error: &ProviderError) -> bool {
    matches!(
        error.kind,
        ErrorKind::NotFound | ErrorKind::Denied | ErrorKind::Invalid
    )
}

/// The text without what stands between double quotes: names that people chose, and whatever words they are made of.
/// A quote that is never closed quotes nothing.
fn without_quoted(told: &str) -> String {
    let mut own = String::with_capacity(told.len());
    let mut rest = told;
    while let Some((before, after)) = rest.split_once('"') {
        let Some(end) = closing_quote(after) else { break };
        own.push_str(before);
        own.push_str("\"\"");
        rest = &after[end + 1..];
    }
    own.push_str(rest);
    own
}

/// Where the quote ends that `text` stands in; one after a backslash is part of what is quoted.
fn closing_quote(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    text.find(|c: char| {
        let closes = c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        closes
    })
}

fn unfit(context: &str) -> ProviderError {
    ProviderError::auth(context).hint(
        "Make a new token on the page of the service account in 1Password, and write it to the file that \
         `op.token-file` names.",
    )
}

/// `Please retry in 58 minutes or try other requests.`
fn throttled(told: &str) -> ProviderError {
    let wait = told.split_once("retry in ").and_then(|(_, rest)| {
        let mut words = rest.split_whitespace();
        let count: u64 = words.next()?.parse().ok()?;
        let unit = match words.next()?.chars().next()? {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            _ => return None,
        };
        Some(Duration::from_secs(count.checked_mul(unit)?))
    });
    ProviderError::new(
        ErrorKind::RateLimited { retry_after: wait },
        "1Password throttles the service account",
    )
    .hint("Refresh less often with `--refresh`; `op service-account ratelimit` shows what is left of the day's requests.")
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    fn refusal(told: &str) -> ProviderError {
        let line = format!("[ERROR] 2026/01/02 03:04:05 {told}\n");
        refused(line.as_bytes(), ExitStatus::from_raw(1 << 8))
    }

    #[test]
    fn each_refusal_has_its_own_kind_and_words() {
        let denied = ErrorKind::Denied;
        let limited = |seconds| ErrorKind::RateLimited {
            retry_after: Some(Duration::from_secs(seconds)),
        };
        let mut seen = Vec::new();
        for (told, kind) in [
            (
                "\"x\" isn't an item in the \"y\" vault. Specify the item with its UUID, name, or domain.",
                ErrorKind::NotFound,
            ),
            (
                "More than one item matches \"x\". Try again and specify the item by its ID:",
                ErrorKind::Invalid,
            ),
            ("More than one vault matches \"x\".", ErrorKind::Invalid),
            (
                "\"y\" isn't a vault in this account. Specify the vault with its ID or name.",
                denied,
            ),
            (
                "(403) Forbidden: You don't have permissions to perform this action.",
                denied,
            ),
            ("(401) Unauthorized: The token is invalid.", ErrorKind::Auth),
            ("the service account token has expired", ErrorKind::Auth),
            (
                "(401) Unauthorized: this service account was deleted",
                ErrorKind::Auth,
            ),
            (
                "(429) Too Many Requests: You've reached the maximum number of this type of requests this service \
                 account is allowed to make. Please retry in 58 minutes or try other requests.",
                limited(58 * 60),
            ),
            (
                "Get \"https://x/\": dial tcp: lookup x: no such host",
                ErrorKind::Unavailable,
            ),
            (
                "Get \"https://x/\": proxyconnect tcp: Forbidden by policy",
                ErrorKind::Unavailable,
            ),
            (
                "x509: certificate signed by unknown authority",
                ErrorKind::Unavailable,
            ),
            (
                "x509: certificate has expired or is not yet valid: current time",
                ErrorKind::Unavailable,
            ),
            ("user: unknown userid 4242", ErrorKind::Invalid),
            ("(503) Service Unavailable", ErrorKind::Unavailable),
            ("something new", ErrorKind::Unavailable),
        ] {
            let error = refusal(told);
            assert_eq!(error.kind, kind, "{told}: {error}");
            assert!(
                !seen.contains(&error.context),
                "{told} is told like another: {error}"
            );
            assert!(!error.context.contains('"'), "{error} repeats the program");
            seen.push(error.context);
        }
    }

    #[test]
    fn names_that_people_chose_are_not_read_as_the_programs_words() {
        for name in [
            "wildcard certificate",
            "x509",
            "dial tcp",
            "rate limit",
            "(403) forbidden",
            "more than one item matches",
            r#"a \" certificate"#,
        ] {
            let item = refusal(&format!("\"{name}\" isn't an item in the \"prod\" vault."));
            assert_eq!(item.kind, ErrorKind::NotFound, "{name}: {item}");
            let vault = refusal(&format!("\"{name}\" isn't a vault in this account."));
            assert_eq!(vault.kind, ErrorKind::Denied, "{name}: {vault}");
        }
        let unreachable = refusal("Get \"https://x/isn't an item\": dial tcp: connection refused");
        assert_eq!(unreachable.kind, ErrorKind::Unavailable, "{unreachable}");
        let unclosed = refusal("the item \"x: (401) Unauthorized");
        assert_eq!(unclosed.kind, ErrorKind::Auth, "{unclosed}");
    }
}
