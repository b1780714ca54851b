//! What a name says about its value.

/// What kind of credential a name announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    /// A word that somebody chose: anything may be one.
    Password,
    /// Something that a program made, or a key: long, and no word.
    Token,
}

/// Last words of names that hold passwords.
const PASSWORDS: &[&str] = &[
    "password",
    "passwd",
    "pass",
    "pw",
    "pwd",
    "passphrase",
    "passwort",
    "requirepass",
    "masterauth",
];

/// Last words of names that hold what programs made.
const TOKENS: &[&str] = &[
    "secret",
    "secrets",
    "token",
    "apikey",
    "apitoken",
    "authkey",
    "credential",
    "credentials",
    "claim",
];

/// What makes a secret of a `KEY` behind it.
const KEYS: &[&str] = &[
    "api",
    "access",
    "private",
    "secret",
    "encryption",
    "encrypt",
    "crypt",
    "signing",
    "sign",
    "auth",
    "master",
    "session",
    "jwt",
    "account",
    "storage",
    "client",
    "app",
    "application",
    "deploy",
    "webhook",
    "service",
    "cookie",
    "license",
    "hmac",
    "shared",
    "admin",
    "vault",
    "aes",
    "ssh",
    "tls",
    "write",
    "salt",
];

/// First words of names that say how something is, not what it is.
const SWITCHES: &[&str] = &[
    "enable", "disable", "allow", "require", "use", "show", "is", "has", "no", "skip", "min", "max",
    "random", "with", "hide", "force", "validate", "reset", "public",
];

/// What `name` announces: a variable, an option or a secret.
pub(crate) fn name_sort(name: &str) -> Option<Sort> {
    if matches!(name, "PWD" | "OLDPWD") {
        return None;
    }
    let words = words(name);
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let mut words = words.as_slice();
    // A number, or the way it is written, says nothing.
    while let [rest @ .., last] = words
        && (last.chars().all(|char| char.is_ascii_digit())
            || matches!(*last, "base64" | "value" | "plain" | "txt"))
    {
        words = rest;
    }
    let [before @ .., last] = words else {
        return None;
    };
    if before.iter().any(|word| SWITCHES.contains(word)) {
        return None;
    }
    if PASSWORDS.contains(last) || is_glued(last) {
        // `BYPASS` and `pass` alone as a verb are none.
        return (!before.is_empty() || *last != "pass").then_some(Sort::Password);
    }
    if TOKENS.contains(last) {
        return Some(Sort::Token);
    }
    match (*last, before.last().copied()) {
        ("key", Some(what)) if KEYS.contains(&what) => Some(Sort::Token),
        ("keys", Some("api")) => Some(Sort::Token),
        ("base", Some("key")) if before.contains(&"secret") => Some(Sort::Token),
        ("string", Some("connection")) | ("salt", _) if before.contains(&"password") => Some(Sort::Token),
        _ => None,
    }
}

/// Whether the name of a variable, option or secret announces a credential: `POSTGRES_PASSWORD`, `apiKey`,
/// `SECRET_KEY_BASE`, but neither `PASSWORD_MIN_LENGTH` nor `PUBLIC_KEY`.
pub fn is_credential_name(name: &str) -> bool {
    name_sort(name).is_some()
}

/// Words like `dbpass` and `rootpassword`.
fn is_glued(word: &str) -> bool {
    let ends = [
        "password",
        "passwd",
        "dbpass",
        "userpass",
        "adminpass",
        "rootpass",
        "smtppass",
        "dbpwd",
    ];
    ends.iter().any(|end| word.ends_with(end))
}

/// The words of a name, in small letters: `DB_PASS`, `db-pass`, `dbPass` and `Db.Pass` are the same two.
fn words(name: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut was_lower = false;
    for char in name.chars() {
        if !char.is_ascii_alphanumeric() {
            words.push(std::mem::take(&mut word));
            was_lower = false;
            continue;
        }
        if char.is_ascii_uppercase() && was_lower {
            words.push(std::mem::take(&mut word));
        }
        was_lower = char.is_ascii_lowercase();
        word.push(char.to_ascii_lowercase());
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
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
            assert!(is_credential_name(name), "{name}");
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
            assert!(!is_credential_name(name), "{name}");
        }
    }
}
