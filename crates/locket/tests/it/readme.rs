//! The documentation is run as it is written, in a copy of what a fresh clone has.
//!
//! Of each page all `console` blocks are run by one shell, one after the other. Where a block shows output, this output
//! has to come. A comment `<!-- needs NAME -->` before a block keeps it for the test that starts this server, and
//! `<!-- not run: REASON -->` says why nobody runs it; no other block may hold commands. `<!-- file PATH -->` makes the
//! block behind it a file before the first command. Where a page makes a place up, the test says what it is.
//!
//! The clone and the shell are those of a user whose group may write, too (umask 002), as many accounts are made.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use locket_testkit::Server;
use locket_testkit::fakes::connect::{Connect, Item};
use locket_testkit::services::{self, Engine, OpenBao};
use serde_json::json;
use tempfile::TempDir;

use crate::documents::{Page, repository};

/// One command, and what is shown below it.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    line: usize,
    command: String,
    shown: String,
    needs: Option<String>,
}

#[test]
fn the_readme_does_what_it_says() {
    run("README.md", None, &[], &[]);
}

#[test]
fn the_tutorial_does_what_it_says() {
    run("docs/tutorial.md", None, &[], &[]);
}

#[test]
fn every_other_page_does_what_it_says() {
    let apart = ["README.md", "docs/tutorial.md"].map(Path::new);
    let mut ran = 0;
    for page in Page::all()
        .into_iter()
        .filter(|page| !apart.contains(&page.path.as_path()))
    {
        if steps(&page.text).iter().any(|step| step.needs.is_none()) {
            run(&page.path.display().to_string(), None, &[], &[]);
            ran += 1;
        }
    }
    assert!(ran >= 5, "only {ran} pages have commands");
}

#[test]
fn every_block_with_commands_is_run_or_says_why_not() {
    let mut wrong = Vec::new();
    for page in Page::all() {
        wrong.extend(
            unrun(&page.text)
                .into_iter()
                .map(|line| format!("{}:{line}", page.path.display())),
        );
    }
    assert!(
        wrong.is_empty(),
        "these blocks hold commands that no test runs; make them `console`, or write `{NOT_RUN}REASON -->` before:\n{}",
        wrong.join("\n")
    );
    let hidden = "```sh\nls\n```\n```text\n$ ls\n```\n```console\n$ ls\n```\n<!-- not run: no reason -->\n\n```text\n$ ls\n```\n";
    assert_eq!(unrun(hidden), [1, 4], "what is hidden is found");
}

/// What stands before a block that nobody runs, and the reason behind it.
const NOT_RUN: &str = "<!-- not run: ";

/// The lines of the blocks that hold commands, are not run, and do not say why.
fn unrun(text: &str) -> Vec<usize> {
    let mut found = Vec::new();
    let mut open: Option<(usize, &str)> = None;
    let mut is_excused = false;
    for (at, line) in text.lines().enumerate() {
        match (line.strip_prefix("```"), open) {
            (Some(language), None) => {
                if matches!(language, "sh" | "bash" | "shell") && !is_excused {
                    found.push(at + 1);
                }
                open = Some((at + 1, language));
            }
            (Some(_), Some(_)) => (open, is_excused) = (None, false),
            (None, Some((start, language))) => {
                let is_hidden = line.starts_with("$ ") && language != "console" && !is_excused;
                if is_hidden && found.last() != Some(&start) {
                    found.push(start);
                }
            }
            (None, None) => is_excused |= line.starts_with(NOT_RUN),
        }
    }
    found
}

#[test]
fn the_readme_reads_from_openbao() {
    let Some(bao) = OpenBao::start() else { return };
    bao.put("app", &json!({ "password": "s3cret" }));
    let variables = [
        ("BAO_ADDR", bao.url()),
        ("BAO_TOKEN", bao.root_token().to_owned()),
    ];
    run("README.md", Some("openbao"), &variables, &[]);
}

#[test]
fn the_readme_reads_from_connect() {
    let connect = Connect::new();
    let vault = connect.add_vault("Production");
    connect.add_item(&vault, Item::login("Database", "correct horse"));
    let token = connect.token(&[&vault]);
    let server = Server::start(move |request| connect.answer(&request));
    let variables = [("OP_CONNECT_HOST", server.url()), ("OP_CONNECT_TOKEN", token)];
    run("README.md", Some("connect"), &variables, &[]);
}

#[test]
fn the_readme_serves_a_docker_engine() {
    let Some(engine) = Engine::start() else { return };
    run_where("README.md", Some("engine"), &engine.environment(), &[], || {
        engine.inside("timeout")
    });
}

#[test]
fn the_page_about_openbao_does_what_it_says() {
    let (Some(bao), Some(program)) = (OpenBao::start(), services::openbao::program()) else {
        return;
    };
    let variables = [
        ("BAO_ADDR", bao.url()),
        ("BAO_TOKEN", bao.root_token().to_owned()),
        ("PROGRAMS", program.parent().unwrap().display().to_string()),
    ];
    let places = [
        ("https://bao.example:8200", bao.url()),
        ("/etc/", "etc/".to_owned()),
        ("/run/", "run/".to_owned()),
    ];
    run("docs/how-to/openbao.md", Some("openbao"), &variables, &places);
}

#[test]
fn the_page_about_connect_does_what_it_says() {
    let connect = Connect::new();
    let vault = connect.add_vault("prod");
    connect.add_item(&vault, Item::login("db", "correct horse"));
    let token = connect.token(&[&vault]);
    let server = Server::start(move |request| connect.answer(&request));
    let places = [
        ("http://connect:8080", server.url()),
        ("/run/", "run/".to_owned()),
        ("/templates", "templates".to_owned()),
    ];
    run(
        "docs/how-to/connect.md",
        Some("connect"),
        &[("TOKEN", token)],
        &places,
    );
}

#[test]
fn the_page_about_permissions_does_what_it_says() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can give files away");
        return;
    }
    let places = [("/run/", "run/".to_owned())];
    run("docs/how-to/permissions.md", Some("root"), &[], &places);
}

/// Runs the steps of `page` that need this server, with these variables, in an empty home. Each of `places`, a host or a
/// directory that the page makes up, becomes what the test has instead.
fn run(page: &str, needs: Option<&str>, variables: &[(&str, String)], places: &[(&str, String)]) {
    let variables: Vec<_> = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect();
    run_where(page, needs, &variables, places, || Command::new("timeout"));
}

/// The same, with `timeout` as it is where the page's machine is.
fn run_where(
    page: &str,
    needs: Option<&str>,
    variables: &[(String, String)],
    places: &[(&str, String)],
    timeout: impl Fn() -> Command,
) {
    let text = Page::at(page).text;
    let placed = |text: &str| {
        places.iter().fold(text.to_owned(), |text, (made_up, real)| {
            text.replace(made_up, real)
        })
    };
    let mut steps = steps(&text);
    for step in &mut steps {
        step.command = placed(&step.command);
        step.shown = placed(&step.shown);
    }
    steps.retain(|step| step.needs.as_deref() == needs);
    assert!(!steps.is_empty(), "{page} has no commands that need {needs:?}");
    let directory = tempfile::tempdir().expect("a directory for the clone");
    let clone = directory.path().join("clone");
    copy(&repository().join("examples"), &clone.join("examples"));
    for (path, text) in files(&text) {
        let path = clone.join(placed(&path));
        std::fs::create_dir_all(path.parent().expect("it is below the clone")).expect("its directory");
        std::fs::write(path, placed(&text)).expect("a file of the page");
    }
    let opened = Command::new("chmod").args(["-R", "g+w"]).arg(&clone).status();
    assert!(opened.is_ok_and(|status| status.success()));
    let script = directory.path().join("script");
    std::fs::write(&script, write_script(&steps)).expect("the script can be written");
    let output = shell(&directory, timeout(), variables)
        .args(["-c", "cd \"$1\" && . \"$2\"", "page"])
        .args([&clone, &script])
        .output()
        .expect("bash runs");
    let told = String::from_utf8_lossy(&output.stderr);
    let came =
        |step: &Step| std::fs::read_to_string(directory.path().join(format!("out.{}", step.line))).ok();
    for step in &steps {
        let came =
            came(step).unwrap_or_else(|| panic!("{page}: it never came to `{}`\n{told}", step.command));
        if !step.shown.is_empty() {
            assert_eq!(
                came.trim_end(),
                step.shown,
                "{page}:{}: `{}`\n{told}",
                step.line,
                step.command
            );
        }
    }
    assert!(
        output.status.success(),
        "{page} ends with {}\n{told}",
        output.status
    );
}

/// A shell that finds our program and nothing of whoever runs the test.
fn shell(directory: &TempDir, mut shell: Command, variables: &[(String, String)]) -> Command {
    let bin = directory.path().join("bin");
    std::fs::create_dir(&bin).expect("a directory for programs");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_locket"), bin.join("locket"))
        .expect("a link to our program");
    let given = variables.iter().find(|(name, _)| name == "PATH");
    let path = given.map_or("/usr/local/bin:/usr/bin:/bin:/usr/sbin", |(_, path)| path);
    // An hour-glass for commands that wait for what never comes.
    shell
        .args(["120", "bash", "-eu"])
        .env_clear()
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .env("PATH", format!("{}:{path}", bin.display()))
        .env("HOME", directory.path().join("home"))
        .env("LOCKET_STATE_DIR", directory.path().join("state"))
        .env("OUT", directory.path())
        .stdin(Stdio::null());
    shell
}

/// Each command writes its output to a file of its own. What a page builds with cargo is there already, and the token
/// that it has made by `op` is the test's.
fn write_script(steps: &[Step]) -> String {
    let mut script = String::from(
        r#"umask 002
PATH="$PATH${PROGRAMS:+:$PROGRAMS}"
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
op() {
    printf %s "$TOKEN"
}
cargo() {
    case "$*" in
        "run --release -- "*) shift 3; locket "$@" ;;
        "xtask test") ;;
        *) echo "this test cannot run: cargo $*" >&2; return 1 ;;
    esac
}
"#,
    );
    for Step { line, command, .. } in steps {
        let _ = writeln!(script, "{{ {command}\n}} > \"$OUT/out.{line}\"");
    }
    script
}

/// The commands of all `console` blocks.
fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut needs = None;
    let mut is_excused = false;
    let mut is_console = false;
    for (at, line) in text.lines().enumerate() {
        if let Some(name) = line
            .strip_prefix("<!-- needs ")
            .and_then(|rest| rest.strip_suffix(" -->"))
        {
            needs = Some(name.to_owned());
        } else if line.starts_with(NOT_RUN) {
            is_excused = true;
        } else if line.starts_with("```") {
            if is_console {
                needs = None;
            }
            is_console = !is_console && line == "```console" && !is_excused;
            is_excused &= line != "```";
        } else if is_console {
            match (line.strip_prefix("$ "), steps.last_mut()) {
                (None, Some(step)) if step.command.ends_with('\\') => {
                    step.command.extend(["\n", line]);
                }
                (Some(command), _) => steps.push(Step {
                    line: at + 1,
                    command: command.to_owned(),
                    shown: String::new(),
                    needs: needs.clone(),
                }),
                (None, Some(step)) if step.shown.is_empty() => step.shown = line.to_owned(),
                (None, Some(step)) => step.shown.extend(["\n", line]),
                (None, None) => panic!("line {} is output of no command", at + 1),
            }
        }
    }
    steps
}

/// The files that a page asks for, by their path, each below a comment that names it.
fn files(text: &str) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut parts = text.split("<!-- file ");
    parts.next();
    for part in parts {
        let (path, rest) = part.split_once(" -->").expect("a comment has an end");
        let block = rest
            .trim_start()
            .strip_prefix("```")
            .expect("a block comes after the name of its file");
        let (_, block) = block.split_once('\n').expect("a block has lines");
        let (block, _) = block.split_once("```").expect("a block has an end");
        files.push((path.to_owned(), block.to_owned()));
    }
    files
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory of the clone");
    for entry in std::fs::read_dir(from).expect("the examples are there") {
        let entry = entry.expect("they can be listed");
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            std::fs::copy(&from, &to).expect("a file can be copied");
        }
    }
}

#[test]
fn commands_and_what_they_show_are_told_apart() {
    let text = "```console\n$ a\\\n a\n$ b\none\n\ntwo\n```\n```text\n$ no\n```\n<!-- needs server -->\n```console\n$ c\n```\n";
    let step = |line, command: &str, shown: &str, needs: Option<&str>| Step {
        line,
        command: command.to_owned(),
        shown: shown.to_owned(),
        needs: needs.map(str::to_owned),
    };
    let wanted = [
        step(2, "a\\\n a", "", None),
        step(4, "b", "one\n\ntwo", None),
        step(14, "c", "", Some("server")),
    ];
    assert_eq!(steps(text), wanted);
}
