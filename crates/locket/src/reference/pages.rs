//! Which files hold generated text, and the test that compares them with the program, or writes them anew.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{commands, environment, filters, options, providers, regions};
use crate::commands::COMMANDS;
use crate::config;

/// Set to `write` by `cargo xtask generate`; anything else compares.
const MODE: &str = "LOCKET_GENERATE";

const ADVICE: &str = "write them anew with `cargo xtask generate`";

/// Directories in which every page belongs to a command or a provider.
const COMMAND_PAGES: &str = "docs/reference/commands";
const PROVIDER_PAGES: &str = "docs/reference/providers";

/// The schema of the configuration file, for editors that follow links.
const SCHEMA: &str = "docs/reference/locket.schema.json";

/// What a region of this name holds; `None` if nothing is generated under it.
fn region(name: &str) -> Option<String> {
    match name.split_once(' ').unwrap_or((name, "")) {
        ("commands", "") => Some(commands::index()),
        ("command", name) => commands::page(name),
        ("options", group) => options::group(group),
        ("exit-codes", "") => Some(commands::exit_codes()),
        ("providers", "") => Some(providers::index()),
        ("provider-facts", "") => Some(providers::facts()),
        ("schemes", "") => Some(providers::words()),
        ("settings", prefix) => providers::settings(prefix),
        ("variables", "") => Some(environment::variables()),
        ("filters", "") => Some(filters::page()),
        ("image-secrets", "") => Some(locket_compose::images::page()),
        ("findings", "") => Some(locket_compose::check::page()),
        _ => None,
    }
}

/// Every file that is generated, in whole or in part, with what should be in it.
fn wanted() -> Result<BTreeMap<PathBuf, String>, String> {
    let mut wanted = BTreeMap::new();
    for command in COMMANDS {
        let name = command.name;
        let path = Path::new(COMMAND_PAGES).join(format!("{name}.md"));
        let fresh = format!(
            "# `locket {name}`\n\n{}command {name} -->\n{}\n",
            regions::BEGIN,
            regions::END
        );
        let page = read(&path).unwrap_or(fresh);
        wanted.insert(path, page);
    }
    for path in markdown(Path::new("docs")) {
        let page = read(&path).unwrap_or_default();
        if page.contains(regions::BEGIN) || page.contains(regions::END) {
            wanted.entry(path).or_insert(page);
        }
    }
    for (path, page) in &mut wanted {
        *page = regions::fill(page, region).map_err(|wrong| format!("{}: {wrong}", path.display()))?;
    }
    for (source, path) in provider_pages() {
        let text = read(&source).ok_or_else(|| format!("{} is not there", source.display()))?;
        let text = regions::fill(&text, region).map_err(|wrong| format!("{}: {wrong}", source.display()))?;
        let told = format!(
            "<!-- This is a copy of {}: edit that one, then `cargo xtask generate`. -->\n\n",
            source.display()
        );
        wanted.insert(path, told + &text);
        wanted.insert(source, text);
    }
    wanted.insert(SCHEMA.into(), format!("{:#}\n", config::schema()));
    Ok(wanted)
}

/// The page of each provider beside its code, and its copy in the book.
fn provider_pages() -> BTreeMap<PathBuf, PathBuf> {
    let folders = crate::providers::kinds()
        .iter()
        .map(|kind| providers::folder(kind));
    folders
        .map(|folder| {
            let source = format!("crates/locket-providers/src/{folder}/docs.md");
            (
                source.into(),
                Path::new(PROVIDER_PAGES).join(format!("{folder}.md")),
            )
        })
        .collect()
}

/// Pages that belong to no command or provider.
fn orphans(wanted: &BTreeMap<PathBuf, String>) -> Vec<PathBuf> {
    let mut pages = markdown(Path::new(COMMAND_PAGES));
    pages.extend(markdown(Path::new(PROVIDER_PAGES)));
    pages.retain(|path| {
        let belongs_to_command = || {
            COMMANDS
                .iter()
                .any(|command| path.file_stem() == Some(command.name.as_ref()))
        };
        !match path.starts_with(COMMAND_PAGES) {
            true => belongs_to_command(),
            false => wanted.contains_key(path),
        }
    });
    pages
}

/// What of `wanted` is not as it should be.
fn stale(wanted: &BTreeMap<PathBuf, String>) -> Vec<&PathBuf> {
    let differs = |(path, text): &(&PathBuf, &String)| read(path).as_ref() != Some(text);
    wanted.iter().filter(differs).map(|(path, _)| path).collect()
}

/// Every page of the documentation.
pub(super) fn all() -> Vec<(PathBuf, String)> {
    let mut paths = markdown(Path::new("docs"));
    paths.push("README.md".into());
    let pages = paths
        .into_iter()
        .map(|path| (read(&path).unwrap_or_default(), path));
    pages.map(|(text, path)| (path, text)).collect()
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &Path) -> Option<String> {
    std::fs::read_to_string(repository().join(path)).ok()
}

/// The Markdown files below a directory of the repository.
fn markdown(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let entries = std::fs::read_dir(repository().join(directory))
        .into_iter()
        .flatten()
        .flatten();
    for entry in entries {
        let path = directory.join(entry.file_name());
        if entry.path().is_dir() {
            found.extend(markdown(&path));
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    found
}

#[test]
fn the_generated_documentation_is_what_the_program_does() {
    let wanted = wanted().unwrap_or_else(|wrong| panic!("{wrong}"));
    #[expect(clippy::disallowed_methods, reason = "a test has no context")]
    let is_written = std::env::var_os(MODE).is_some_and(|mode| mode == "write");
    if is_written {
        for path in stale(&wanted) {
            let file = repository().join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, &wanted[path]).unwrap();
            println!("wrote {}", path.display());
        }
    }
    assert_eq!(
        stale(&wanted),
        [""; 0].map(Path::new),
        "these pages are not what the program does; {ADVICE}"
    );
    assert_eq!(
        orphans(&wanted),
        [""; 0].map(Path::new),
        "these pages belong to nothing; remove them"
    );
}

#[test]
fn a_changed_page_is_noticed() {
    let mut wanted = wanted().unwrap();
    let path = Path::new(COMMAND_PAGES).join("get.md");
    wanted.get_mut(&path).unwrap().push('x');
    assert!(stale(&wanted).contains(&&path));
    wanted.insert("docs/reference/nothing.md".into(), String::new());
    assert!(stale(&wanted).contains(&&PathBuf::from("docs/reference/nothing.md")));
}

#[test]
fn every_table_of_the_program_stands_on_some_page() {
    let wanted = wanted().unwrap();
    let shown: Vec<_> = wanted.values().flat_map(|page| regions::names(page)).collect();
    let settings = crate::providers::sections();
    let settings = settings.iter().filter(|section| !section.settings.is_empty());
    let settings = settings.map(|section| format!("settings {}", section.prefix));
    let groups = ["run", "reading", "every", "health"].map(|group| format!("options {group}"));
    let single = [
        "commands",
        "exit-codes",
        "providers",
        "schemes",
        "variables",
        "filters",
        "image-secrets",
        "findings",
    ]
    .map(str::to_owned);
    let commands = COMMANDS.iter().map(|command| format!("command {}", command.name));
    for name in settings.chain(groups).chain(single).chain(commands) {
        assert!(shown.contains(&name.as_str()), "no page has the region `{name}`");
    }
}
