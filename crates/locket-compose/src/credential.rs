//! What looks like a credential: names of variables, and passwords in addresses. No value is ever kept or shown here.

use std::ops::Range;

/// Words that make a variable a secret when one of them stands in its name.
const WORDS: &[&str] = &[
    "PASSWORD",
    "PASSWD",
    "PASSWORT",
    "PASSPHRASE",
    "PASS",
    "PWD",
    "SECRET",
    "SECRETS",
    "TOKEN",
    "CREDENTIAL",
    "CREDENTIALS",
    "APIKEY",
    "DBPASS",
    "PASSKEY",
    "MASTERKEY",
    "SECRETKEY",
    "JWTSECRET",
    "PRIVATEKEY",
];

/// Words that make a `KEY` behind them a secret.
const KEYS: &[&str] = &[
    "API",
    "ACCESS",
    "ENCRYPTION",
    "PRIVATE",
    "MASTER",
    "SIGNING",
    "SECRET",
    "ACCOUNT",
    "STORAGE",
    "APP",
    "LICENSE",
    "AUTH",
];

/// Last words of names that speak about a secret and are none.
const ABOUT: &[&str] = &[
    "FILE",
    "PATH",
    "DIR",
    "DIRECTORY",
    "LENGTH",
    "EXPIRY",
    "EXPIRE",
    "EXPIRES",
    "EXPIRATION",
    "TTL",
    "LIFETIME",
    "TIMEOUT",
    "AGE",
    "POLICY",
    "ENABLED",
    "DISABLED",
    "REQUIRED",
    "ENDPOINT",
    "URL",
    "URI",
    "HOST",
    "NAME",
    "ID",
    "TYPE",
    "ALGORITHM",
    "HEADER",
    "ISSUER",
    "AUDIENCE",
    "LIMIT",
    "COUNT",
    "SIZE",
    "ROUNDS",
    "COST",
    "RESET",
    "FIELD",
    "METHOD",
];

/// Whether a variable of this name usually holds a credential.
pub fn is_secret_name(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    let words: Vec<&str> = upper
        .split(|char: char| !char.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let Some(last) = words.last() else {
        return false;
    };
    // `ALLOW_EMPTY_PASSWORD`, `RANDOM_ROOT_PASSWORD` and the like say how, not what.
    let says_how = |word: &&str| {
        matches!(
            *word,
            "ALLOW" | "RANDOM" | "PUBLIC" | "DISABLE" | "ENABLE" | "SKIP" | "NO"
        )
    };
    if ABOUT.contains(last) || words.iter().any(says_how) {
        return false;
    }
    let is_key = |pair: &[&str]| pair[1] == "KEY" && KEYS.contains(&pair[0]);
    words.iter().any(|word| WORDS.contains(word)) || words.windows(2).any(is_key)
}

/// Where the password of an address stands: of `scheme://user:password@host`. Nothing for one without.
pub fn url_password(text: &str) -> Option<Range<usize>> {
    let scheme = text.find("://")?;
    let is_scheme = |char: char| char.is_ascii_alphanumeric() || "+.-_".contains(char);
    if scheme == 0 || !text[..scheme].chars().all(is_scheme) {
        return None;
    }
    let start = scheme + 3;
    let end = text[start..]
        .find(['/', '?', '#'])
        .map_or(text.len(), |at| start + at);
    // Of several `@`, which nobody escaped, the last one stands before the host.
    let at = text[start..end].rfind('@')? + start;
    let colon = text[start..at].find(':')? + start;
    let password = colon + 1..at;
    let value = &text[password.clone()];
    (!value.is_empty() && !value.contains(char::is_whitespace)).then_some(password)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_told_from_names_about_them() {
        for name in [
            "POSTGRES_PASSWORD",
            "DB_PASS",
            "db_passwd",
            "MYSQL_PWD",
            "SECRET_KEY",
            "API_KEY",
            "GITEA__database__PASSWD",
            "JWT_SECRET",
            "AWS_SECRET_ACCESS_KEY",
            "database__connection__password",
            "N8N_ENCRYPTION_KEY",
            "MEILI_MASTER_KEY",
            "PAPERLESS_DBPASS",
            "AUTH_TOKEN",
            "APP_KEY",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in [
            "POSTGRES_PASSWORD_FILE",
            "PASSWORD_LENGTH",
            "TOKEN_TTL",
            "MYSQL_ALLOW_EMPTY_PASSWORD",
            "MYSQL_RANDOM_ROOT_PASSWORD",
            "PUBLIC_KEY",
            "KEYBOARD",
            "COMPASS",
            "SECRET_NAME",
            "AWS_ACCESS_KEY_ID",
            "PRIMARY_KEY",
            "",
        ] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn the_password_of_an_address_is_found() {
        for (text, password) in [
            ("postgres://app:hunter2@db:5432/app", Some("hunter2")),
            ("redis://:hunter2@cache/0", Some("hunter2")),
            ("mysql://u:p%40ss@h/x?y=z@w", Some("p%40ss")),
            ("amqp://u:p@ss@h", Some("p@ss")),
            ("postgresql+asyncpg://u:p@h/d", Some("p")),
            ("https://example.com/a:b@c", None),
            ("postgres://app@db/app", None),
            ("postgres://app:@db/app", None),
            ("mailto:a@b", None),
            ("://a:b@c", None),
            ("", None),
        ] {
            assert_eq!(url_password(text).map(|range| &text[range]), password, "{text}");
        }
    }
}
