use locket_core::{Environment, env_file};

use super::command;
use super::env_credentials;
use super::literal::{is_value, literal};
use super::{shape, url};
use crate::credential::{Sort, name_sort};

#[test]
fn a_credential_is_found_in_a_statement_that_a_later_one_shadows() {
    let text = "DB_PASSWORD=hunter2\nDB_PASSWORD=hunter3\nAPI_TOKEN=hunter4\nAPI_TOKEN={{ store://t }}\n";
    let variables = env_file::parse(text, &Environment::default()).unwrap();
    let mut places: Vec<_> = env_credentials(text, &variables)
        .into_iter()
        .map(|(span, ..)| text[..span.start].lines().count())
        .collect();
    places.sort_unstable();
    assert_eq!(places, [1, 2, 3]);
}

#[test]
fn names_say_what_they_hold() {
    for name in [
        "POSTGRES_PASSWORD",
        "DB_PASS",
        "dbPassword",
        "MYSQL_PWD",
        "PAPERLESS_DBPASS",
        "SMTP_PASSWD",
        "RABBITMQ_DEFAULT_PASS",
        "ROOT_PASSWORD_1",
        "ADMIN_PW",
    ] {
        assert_eq!(name_sort(name), Some(Sort::Password), "{name}");
    }
    for name in [
        "API_KEY",
        "SECRET_KEY",
        "SECRET_KEY_BASE",
        "JWT_SECRET",
        "TS_AUTHKEY",
        "GITHUB_TOKEN",
        "APP_KEY",
        "OPENAI_API_KEY",
        "AWS_SECRET_ACCESS_KEY",
        "CLIENT_SECRET",
        "PLEX_CLAIM",
        "ENCRYPTION_KEY",
    ] {
        assert_eq!(name_sort(name), Some(Sort::Token), "{name}");
    }
    for name in [
        "PASSWORD_MIN_LENGTH",
        "TOKEN_TTL",
        "SECRET_NAME",
        "API_KEY_HEADER",
        "PUBLIC_KEY",
        "KEY_PREFIX",
        "PWD",
        "BYPASS",
        "DISABLE_PASSWORD",
        "MYSQL_ALLOW_EMPTY_PASSWORD",
        "MONKEY",
        "HOSTKEY",
        "PASS",
        "TOKEN_URL",
        "POSTGRES_USER",
        "",
    ] {
        assert_eq!(name_sort(name), None, "{name}");
    }
}

#[test]
fn a_value_is_what_stands_there_or_is_the_default() {
    for (written, value) in [
        ("x1", Some("x1")),
        ("${A}", None),
        ("$A", None),
        ("${A:-}", None),
        ("${A:-x}", Some("x")),
        ("${A-'x'}", Some("x")),
        ("${A:-${B:-x}}", Some("x")),
        ("${A:-${B}}", None),
        ("${A:?must}", None),
        ("a$$b", Some("a$$b")),
        ("pre${A}", None),
        ("", None),
    ] {
        assert_eq!(literal(written), value, "{written}");
    }
}

#[test]
fn forms_to_be_filled_in_are_no_values() {
    for value in [
        "<password>",
        "xxxxxxxx",
        "***",
        "...",
        "your_password",
        "YOUR-KEY-HERE",
        "/run/secrets/x",
        "op://a/b/c",
        "true",
        "none",
        "{{ op://a/b/c }}",
        "$$PASSWORD",
        "[secret]",
        "__PASSWORD__",
    ] {
        assert!(!is_value(value, Sort::Password), "{value}");
    }
    for value in ["changeme", "password", "12345", "a", "p/w+d=", "correct horse"] {
        assert!(is_value(value, Sort::Password), "{value}");
    }
    for value in ["changeme", "replace-me", "3600", "abc"] {
        assert!(!is_value(value, Sort::Token), "{value}");
    }
}

#[test]
fn tokens_are_known_by_their_shape() {
    for text in [
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        "url=https://x/?t=glpat-Xy12Zw34Ab56Cd78Ef90",
        "AKIAZ7Q3LMN5XYTRWP2K",
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        "81726354:AAHq8nPzR2kLw7TmXcVb4YdEfGh1JkLmNoP",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
    ] {
        assert!(shape::find(text).is_some(), "{text}");
    }
    for text in [
        "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "AKIAIOSFODNN7EXAMPLE",
        "-----BEGIN CERTIFICATE-----",
        "task-ant-colony-simulation-with-a-very-long-name-indeed",
        "redis:6379",
        "eyJhbGciOiJIUzI1NiJ9",
    ] {
        assert_eq!(shape::find(text), None, "{text}");
    }
}

#[test]
fn passwords_in_urls_are_found_and_variables_are_not() {
    for (text, password) in [
        ("postgres://u:pw@h/d", Some("pw")),
        ("postgres://u:p@w@h/d", Some("p@w")),
        ("amqp://guest:guest@rabbit", Some("guest")),
        ("postgres://u:${P}@h/d", None),
        ("postgres://u:${P:-x}@h/d", Some("${P:-x}")),
        ("postgres://u@h/d", None),
        ("https://h/a:b@c", None),
        ("https://h:8080/x@y", None),
        ("postgres://u:{{ op://a/b/c | url }}@h", None),
        ("postgres://u:<password>@h", None),
        ("Server=db;User Id=sa;Password=Pw1;", Some("Pw1")),
        ("host=db user=u password=pw dbname=d", Some("pw")),
        ("host=db password=${P}", None),
        ("a=1;b=2", None),
    ] {
        assert_eq!(url::find(text).map(|range| &text[range]), password, "{text}");
    }
}

#[test]
fn passwords_on_command_lines_are_found() {
    let found = |words: &[&str], is_text| {
        let found = command::find(words, is_text);
        found
            .into_iter()
            .map(|credential| credential.value)
            .collect::<Vec<_>>()
    };
    for (text, values) in [
        ("redis-server --requirepass pw --appendonly yes", &["pw"][..]),
        ("redis-server --requirepass ${P}", &[]),
        ("redis-server --requirepass \"$$P\"", &[]),
        ("redis-cli -a pw ping", &["pw"]),
        ("mysqladmin ping -uroot -ppw", &["pw"]),
        ("mysqladmin ping -p$$MYSQL_ROOT_PASSWORD", &[]),
        ("tail -f /dev/null -p8080", &[]),
        ("sh -c 'export DB_PASSWORD=pw && ./run'", &["pw"]),
        (
            "sh -c \"P=$(cat /run/secrets/p) redis-server --requirepass $$P\"",
            &[],
        ),
        ("app --token=abcd1234 --port 80", &["abcd1234"]),
        ("app --token-file /run/secrets/t --password-file=/x", &[]),
        ("app --password", &[]),
        ("app --db postgres://u:pw@h/d", &["pw"]),
        ("curl -u admin:pw http://x", &["pw"]),
    ] {
        assert_eq!(found(&[text], true), values, "{text}");
    }
    assert_eq!(found(&["redis-server", "--requirepass", "pw"], false), ["pw"]);
}

#[test]
fn passwords_with_a_dollar_sign_are_found_in_files_of_variables_and_variables_are_not() {
    let found = |text: &str| {
        let variables = env_file::parse(text, &Environment::default()).unwrap();
        let found = env_credentials(text, &variables);
        found
            .into_iter()
            .map(|(_, _, message)| message)
            .collect::<Vec<_>>()
    };
    let plain = "`DB_PASSWORD` holds a password";
    let default = "`DB_PASSWORD` holds a password as the default of a variable";
    for (value, messages) in [
        ("hunter2", &[plain][..]),
        ("'S3cr$t-2024'", &[plain]),
        ("'S3cr${t}-2024'", &[plain]),
        (r#""S3cr\$t""#, &[plain]),
        ("S3cr$$t # dev", &[plain]),
        ("${DB_PASSWORD:-hunter2}", &[default]),
        ("${DB_PASSWORD:-hunter2} # dev", &[default]),
        ("\"${DB_PASSWORD:-hunter2}\" # dev", &[default]),
        ("${OTHER}", &[]),
        ("${OTHER} # dev", &[]),
        ("\"S3cr$t\"", &[]),
        ("{{ op://a/b/c }} # dev", &[]),
    ] {
        assert_eq!(found(&format!("DB_PASSWORD={value}\n")), messages, "{value}");
    }
}
