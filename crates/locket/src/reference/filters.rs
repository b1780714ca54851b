//! Filters, from their table, each with an example that a test of the page runs.

use locket_core::filter::FILTERS;

use super::markdown::{code, table};

/// What a filter makes of a value. `\n` stands for a line break, `…` for what chance decides.
struct Example {
    filter: &'static str,
    /// Nothing for a secret that does not exist.
    value: &'static str,
    /// The filter with its arguments.
    written: &'static str,
    output: &'static str,
}

const fn example(
    filter: &'static str,
    value: &'static str,
    written: &'static str,
    output: &'static str,
) -> Example {
    Example {
        filter,
        value,
        written,
        output,
    }
}

const EXAMPLES: &[Example] = &[
    example("base64", "pass?>", "base64", "cGFzcz8+"),
    example("base64-decode", "cGFzcz8-", "base64-decode", "pass?>"),
    example("base64url", "pass?>", "base64url", "cGFzcz8-"),
    example("hex", "kj", "hex", "6b6a"),
    example(
        "sha256",
        "abc",
        "sha256",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    ),
    example("trim", " a b\\n", "trim", "a b"),
    example("upper", "Straße", "upper", "STRASSE"),
    example("lower", "ABC", "lower", "abc"),
    example("replace", "a-b-c", "replace \"-\" \"_\"", "a_b_c"),
    example("lines", "one\\ntwo\\nthree\\n", "lines 2", "one\\ntwo"),
    example("indent", "one\\ntwo", "indent 4", "one\\n    two"),
    example(
        "json",
        "{\"db\":{\"ports\":[5432]}}",
        "json \"db.ports.0\"",
        "5432",
    ),
    example("url", "p@ss/w ord", "url", "p%40ss%2Fw%20ord"),
    example("shell", "it's", "shell", "'it'\\''s'"),
    example("dotenv", "$HOME", "dotenv", "'$HOME'"),
    example("json-string", "a \"b\"", "json-string", "\"a \\\"b\\\"\""),
    example("yaml-string", "a: b", "yaml-string", "\"a: b\""),
    example("toml-string", "C:\\tmp", "toml-string", "\"C:\\\\tmp\""),
    example(
        "pem",
        "x\\n-----BEGIN A-----\\nQQ==\\n-----END A-----\\n",
        "pem \"A\"",
        "-----BEGIN A-----\\nQQ==\\n-----END A-----\\n",
    ),
    example("default", "", "default \"none\"", "none"),
    example("totp", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", "totp", "287082"),
    example("bcrypt", "hunter2", "bcrypt", "$2b$12$…"),
    example("htpasswd", "hunter2", "htpasswd \"ada\"", "ada:$2y$12$…"),
];

/// Every filter with its example.
pub(super) fn page() -> String {
    let rows = FILTERS.iter().map(|kind| {
        let example = EXAMPLES.iter().find(|example| example.filter == kind.name);
        let [value, written, output] = match example {
            Some(Example {
                value: "",
                written,
                output,
                ..
            }) => ["(none)".to_owned(), code(written), code(output)],
            Some(example) => [example.value, example.written, example.output].map(code),
            None => Default::default(),
        };
        [
            code(&kind.usage()),
            kind.summary.to_owned(),
            value,
            written,
            output,
        ]
    });
    table(["filter", "what comes out", "value", "example", "output"], rows)
}
