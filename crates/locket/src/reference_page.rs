//! `docs/run.md`: every option in one page, made of the same tables as flags, variables and keys.

use std::fmt::Write as _;
use std::path::Path;

use locket_providers::SettingKind;

use crate::options::{Key, Opt, Shape, table};
use crate::providers::{kinds, sections};

const INTRODUCTION: &str = "\
# Options of `locket run`

Every option is a flag, a variable and a key of the configuration file. Flags beat variables, variables beat the file; an empty variable is not set. A list in
a stronger layer replaces the whole list of a weaker one, and the log says what was replaced. With `--log-level debug` the log says where each value came from.

This page is generated; a test fails when it differs from the program. To write it anew: `UPDATE_DOCS=1 cargo test -p locket reference_page`.

";

const LISTS: &str = "
Variables that hold several entries separate them by `;` or line breaks, or by `,` where there is no `;`; never inside `{{ }}` or quotes. A backslash before a
separator makes it an ordinary character.

";

const FILE: &str = r#"
## The configuration file

`--config FILE` (repeatable) or `LOCKET_CONFIG` name it; else it is the first of `./locket.toml`, which must belong to the caller or root and be writable by
nobody else, and `/etc/locket/locket.toml`. A file that is named and missing is an error, and so is every key that nobody knows. Relative paths in it count from
its directory.

```toml
[run]
mode = "watch"
refresh = "1h"

[[map]]
source = "templates"
destination = "/run/secrets/app"
# Beside these two, each optional:
mode = 0o440
dir-mode = "0750"
user = "1000:1000"
on-error = "ignore"
notify = ["reload", "pid:/run/app.pid:HUP"]
delimiters = ["<<", ">>"]
render = true

[[secret]]
name = "db_password"
template = "{{ bao://kv/db/password }}"
# Or `file = "db.tmpl"`; and the same keys as in a map.

# Told of the changes of those that ask for it by its name; without a name, of every change.
[[notify]]
name = "reload"
action = "exec:nginx -s reload"

[bao]
url = "https://bao.example.com:8200"
# A file, or a secret of another provider under the name without `-file`:
token = "store://bao-token"

# A second server of the same kind: references begin with `prod://`.
[providers.prod]
type = "bao"
url = "https://prod.example.com:8200"
token-file = "prod.token"
```

A named instance hears only its own table, so that no credential reaches a server it was not meant for; under the name of a provider's own scheme its table is one
more layer of that scheme, stronger than the provider's table. A credential's value is never taken from the command line or the file.

"#;

const PROVIDERS: &str = "
## Settings of providers

Each is the flag `--TABLE.KEY`, where a hyphen may stand for the dot, and the key `KEY` in `[TABLE]` and in `[providers.NAME]`. A variable marked with `_FILE` also has
a form with that ending, which names a file; both at once are an error.
";

/// The page.
fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    options(&mut page, "## What goes where, and how", table::RUN);
    page.push_str(LISTS);
    options(&mut page, "## Whom to ask", table::READING);
    options(&mut page, "\n## Every command", table::EVERY);
    page.push_str(FILE);
    options(&mut page, "## `locket healthcheck`", table::HEALTH);
    page.push_str(PROVIDERS);
    for section in sections() {
        let _ = write!(page, "\n### {}: `[{}]`\n\n", section.title, section.prefix);
        for kind in kinds().iter().filter(|kind| kind.prefix == section.prefix) {
            let schemes: Vec<_> = kind
                .schemes
                .iter()
                .map(|scheme| format!("`{}://`", scheme.name))
                .collect();
            let _ = writeln!(
                page,
                "{}: `--provider {}`, references {}.\n",
                kind.summary,
                kind.name,
                schemes.join(", ")
            );
        }
        page.push_str("| key | variables | meaning |\n| --- | --- | --- |\n");
        for setting in &section.settings {
            let variables = setting.env.iter().map(|name| match setting.kind {
                SettingKind::Credential => format!("`{name}` (`_FILE`)"),
                _ => format!("`{name}`"),
            });
            let variables: Vec<_> = variables.collect();
            let words = match setting.kind {
                SettingKind::Choice(words) => format!(": {}", code(words)),
                _ => String::new(),
            };
            let _ = writeln!(
                page,
                "| `{}` | {} | {}{words} |",
                setting.name,
                variables.join(", "),
                cell(setting.summary)
            );
        }
    }
    page
}

fn options(page: &mut String, heading: &str, rows: &[&Opt]) {
    let _ = write!(
        page,
        "{heading}\n\n| flag | variable | in the file | default | meaning |\n| --- | --- | --- | --- | --- |\n"
    );
    for opt in rows {
        let flags = std::iter::once(&opt.name).chain(opt.aliases);
        let flags: Vec<_> = flags.map(|name| format!("`--{name}`")).collect();
        let key = match opt.key {
            Key::Run => "`[run]`".to_owned(),
            Key::Tables(name) => format!("`[[{name}]]`"),
            Key::None => String::new(),
        };
        let words = match opt.shape {
            Shape::Word(words) => format!(": {}", code(words)),
            _ => String::new(),
        };
        let _ = writeln!(
            page,
            "| {} `{}` | {} | {key} | {} | {}{words} |",
            flags.join(", "),
            cell(opt.placeholder),
            code(opt.variables),
            cell(opt.default),
            cell(opt.summary)
        );
    }
}

fn code(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    quoted.join(", ")
}

/// `text` as it can stand in a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[test]
fn the_page_of_options_is_true() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/run.md");
    #[expect(clippy::disallowed_methods, reason = "a test has no context")]
    let update = std::env::var_os("UPDATE_DOCS").is_some();
    if update {
        std::fs::write(&path, page()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page(),
        "docs/run.md is not what the program does: UPDATE_DOCS=1 cargo test -p locket reference_page"
    );
}

#[test]
fn the_example_of_the_page_is_a_configuration_that_works() {
    let page = page();
    let (_, rest) = page.split_once("```toml\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let run = match crate::testing::run(directory.path(), &[], &[], example) {
        Ok(run) => run,
        Err(failure) => panic!("{}", failure.draw(crate::context::Style::Plain)),
    };
    assert_eq!(
        (run.plan.maps.len(), run.plan.secrets.len(), run.actions.len()),
        (1, 1, 0)
    );
}
