//! Each quoted form is read back by a reader of its language.

use proptest::prelude::*;

use super::*;

/// One word as a POSIX shell reads it (Shell Command Language, 2.2), of the forms that stand here.
fn read_shell(word: &str) -> String {
    let mut text = String::new();
    let mut chars = word.chars();
    while let Some(char) = chars.next() {
        match char {
            '\'' => text.extend(chars.by_ref().take_while(|char| *char != '\'')),
            '\\' => text.extend(chars.next()),
            other => panic!("`{other}` stands outside of quotes"),
        }
    }
    text
}

/// A quoted value as Compose reads it: until the next quote without a backslash before it. In double quotes it then
/// undoes escapes and expands variables, in which `$$` is a dollar.
fn read_dotenv(quoted: &str) -> String {
    let quote = quoted.chars().next().unwrap();
    let mut inside = String::new();
    let mut escaped = false;
    let mut rest = quoted[1..].chars();
    loop {
        let char = rest.next().expect("a closing quote");
        match char {
            _ if char == quote && escaped => inside.push(char),
            _ if char == quote => break,
            '\\' if !escaped => {
                escaped = true;
                continue;
            }
            _ if escaped => inside.extend(['\\', char]),
            _ => inside.push(char),
        }
        escaped = false;
    }
    assert_eq!(rest.as_str(), "", "nothing stands behind the closing quote");
    if quote == '\'' {
        return inside;
    }
    let mut text = String::new();
    let mut chars = inside.chars();
    while let Some(char) = chars.next() {
        match char {
            '$' => panic!("a variable would be expanded"),
            '\\' => match chars.next().unwrap() {
                'r' => text.push('\r'),
                escaped @ ('"' | '\\' | '$') => text.push(escaped),
                other => panic!("`\\{other}` is no escape used here"),
            },
            other => text.push(other),
        }
    }
    text
}

#[test]
fn a_shell_word_is_in_single_quotes() {
    gives(
        "shell",
        &[],
        "it's $HOME `x` \\ \"\n",
        "'it'\\''s $HOME `x` \\ \"\n'",
    );
    gives("shell", &[], "", "''");
    refuses(
        "shell",
        &[],
        "a\0b",
        "a shell word cannot hold a NUL byte (byte 2)",
    );
}

#[test]
fn an_env_value_is_in_the_plainest_quotes_that_hold_it() {
    gives(
        "dotenv",
        &[],
        "p$ss #1\nnext \"line\"",
        "'p$ss #1\nnext \"line\"'",
    );
    gives("dotenv", &[], "", "''");
    gives("dotenv", &[], "it's ${X} \"q\"", "\"it's \\${X} \\\"q\\\"\"");
    gives("dotenv", &[], "ends in \\", "\"ends in \\\\\"");
    gives("dotenv", &[], "a\r\nb", "\"a\\r\nb\"");
    refuses(
        "dotenv",
        &[],
        "\0",
        "an environment variable cannot hold a NUL byte (byte 1)",
    );
}

#[test]
fn one_quoted_string_serves_json_yaml_and_toml() {
    for name in ["json-string", "yaml-string", "toml-string"] {
        gives(
            name,
            &[],
            "\"\\\u{8}\t\n\u{c}\r\0\u{1b}\u{7f}\u{85}\u{2028}\u{2029}\u{feff}\u{fffe}é\u{1f600}/",
            "\"\\\"\\\\\\b\\t\\n\\f\\r\\u0000\\u001B\\u007F\\u0085\\u2028\\u2029\\uFEFF\\uFFFEé\u{1f600}/\"",
        );
    }
}

proptest! {
    #[test]
    fn a_shell_reads_back_the_value(value in "[^\0]*") {
        let word = String::from_utf8(open(&Filter::Shell, value.as_bytes())).unwrap();
        prop_assert_eq!(read_shell(&word), value);
    }

    #[test]
    fn compose_reads_back_the_value(value in prop_oneof!["[^\0]*", r#"[\\'"$nrx\r\n{}0 #]*"#]) {
        let quoted = String::from_utf8(open(&Filter::Dotenv, value.as_bytes())).unwrap();
        prop_assert_eq!(read_dotenv(&quoted), value);
    }

    #[test]
    fn json_and_toml_read_back_the_value(value in any::<String>()) {
        let quoted = open(&Filter::JsonString, value.as_bytes());
        prop_assert_eq!(serde_json::from_slice::<String>(&quoted).unwrap(), value.as_str());
        let document = format!("x = {}", String::from_utf8(quoted).unwrap());
        let table: toml::Table = toml::from_str(&document).unwrap();
        prop_assert_eq!(table["x"].as_str(), Some(value.as_str()));
    }
}
