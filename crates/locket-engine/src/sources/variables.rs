//! Variables as sources: env files with a variable for each statement, and which of several with one name counts.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use locket_core::plan::{OutputSettings, Place, Plan, Secret, Source};
use locket_core::{Diagnostic, env_file};

use super::error::SourceError;
use super::parse::{From, Located, parse, read};
use super::scan::{Found, Role, Stamp};
use super::target::Target;
use crate::instances::Instances;

/// Variables that change which code a program runs: a secret in one of them is code from the secret's owner.
const GUARDED: &[&str] = &[
    "PATH",
    "BASH_ENV",
    "ENV",
    "SHELLOPTS",
    "BASHOPTS",
    "PS4",
    "PROMPT_COMMAND",
    "IFS",
    "ZDOTDIR",
    "NODE_OPTIONS",
    "NODE_PATH",
    "NODE_REPL_EXTERNAL_MODULE",
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONSTARTUP",
    "PYTHONUSERBASE",
    "PYTHONWARNINGS",
    "PYTHONBREAKPOINT",
    "PERL5OPT",
    "PERL5LIB",
    "PERL5DB",
    "PERLLIB",
    "RUBYOPT",
    "RUBYLIB",
    "GEM_HOME",
    "GEM_PATH",
    "BUNDLE_GEMFILE",
    "PHPRC",
    "PHP_INI_SCAN_DIR",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "_JAVA_OPTIONS",
    "JAVA_OPTS",
    "MAVEN_OPTS",
    "GRADLE_OPTS",
    "CLASSPATH",
    "ERL_AFLAGS",
    "ERL_FLAGS",
    "ERL_ZFLAGS",
    "ERL_LIBS",
    "ELIXIR_ERL_OPTIONS",
    "R_PROFILE",
    "R_PROFILE_USER",
    "R_ENVIRON",
    "R_ENVIRON_USER",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_EXEC_PATH",
    "GIT_ASKPASS",
    "GIT_EDITOR",
    "GIT_SEQUENCE_EDITOR",
    "GIT_PAGER",
    "GIT_EXTERNAL_DIFF",
    "GIT_PROXY_COMMAND",
    "GIT_TEMPLATE_DIR",
    "SSH_ASKPASS",
    "SUDO_ASKPASS",
    "RSYNC_RSH",
    "MAKEFLAGS",
    "GNUMAKEFLAGS",
    "MFLAGS",
    "MAKEFILES",
    "RUSTC",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTDOC",
    "RUSTFLAGS",
    "RUSTDOCFLAGS",
    "GOFLAGS",
    "GOENV",
    "OPENSSL_CONF",
    "OPENSSL_MODULES",
    "OPENSSL_ENGINES",
    "GCONV_PATH",
    "LOCPATH",
    "NLSPATH",
    "HOSTALIASES",
    "EDITOR",
    "VISUAL",
    "PAGER",
    "MANPAGER",
    "LESSOPEN",
    "LESSCLOSE",
    "BROWSER",
    "DOTNET_STARTUP_HOOKS",
];

/// The same, for every name that begins so: what the dynamic linker reads, functions of shells, and tools of which each
/// setting can be a variable.
const GUARDED_PREFIXES: &[&str] = &[
    "LD_",
    "DYLD_",
    "GLIBC_TUNABLES",
    "BASH_FUNC_",
    "GIT_CONFIG",
    "CARGO_BUILD_",
    "CARGO_TARGET_",
    "LUA_INIT",
    "LUA_PATH",
    "LUA_CPATH",
    "CORECLR_PROFILER",
    "COR_PROFILER",
];

/// The same, in whatever case it is written.
const GUARDED_IN_ANY_CASE: &str = "npm_config_";

/// Where a secret of the plan goes.
pub(super) fn target(secret: &Secret, out: &Path) -> Target {
    match secret.place {
        Place::File => {
            let (directory, name) = secret.output(out);
            Target {
                root: directory.into(),
                relative: name.into(),
            }
        }
        Place::Variable | Place::VariableFile => Target::variable(&secret.name),
    }
}

pub(super) fn role(secret: &Secret) -> Role {
    match secret.place {
        Place::File | Place::Variable => Role::File,
        Place::VariableFile => Role::VariableFile,
    }
}

/// A name that a variable of a process can have.
pub(super) fn name(name: &str) -> Result<(), Diagnostic> {
    let reason = if name.is_empty() {
        "this variable has no name"
    } else if name.contains(['=', '\0']) {
        "the name of a variable holds neither `=` nor NUL"
    } else {
        return Ok(());
    };
    Err(Diagnostic::error(0..name.len(), reason))
}

/// Of variables with one name the last counts; those that change what programs do are refused unless they are allowed.
pub(super) fn settle(plan: &Plan, found: &mut Vec<Found>) {
    found.sort_by_key(|one| {
        (
            one.target.is_variable(),
            if one.target.is_variable() { one.rank } else { 0 },
        )
    });
    let mut seen: BTreeSet<Target> = BTreeSet::new();
    let mut index = found.len();
    while index > 0 {
        index -= 1;
        let one = &mut found[index];
        if !one.target.is_variable() || matches!(one.role, Role::Listing(_)) {
            continue;
        }
        if !seen.insert(one.target.clone()) {
            found.remove(index);
            continue;
        }
        let name = one.target.relative.to_string_lossy().into_owned();
        let is_allowed = plan.allowed_names.iter().any(|pattern| pattern.matches(&name));
        let is_secret = matches!(&one.template, Ok(parsed) if !parsed.keys.is_empty());
        if is_secret && is_guarded(&name) && !is_allowed {
            one.template = Err(Arc::new(SourceError::Guarded { name }));
        }
    }
}

fn is_guarded(name: &str) -> bool {
    let begin = name.get(..GUARDED_IN_ANY_CASE.len()).unwrap_or_default();
    GUARDED.contains(&name)
        || GUARDED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || begin.eq_ignore_ascii_case(GUARDED_IN_ANY_CASE)
}

/// The env files of a plan, each read once for each content.
#[derive(Debug, Default)]
pub(super) struct EnvFiles(HashMap<PathBuf, Known>);

/// An env file as it was last read.
#[derive(Debug)]
struct Known {
    stamp: Option<Stamp>,
    /// What was last found in it without a mistake.
    good: Vec<Found>,
    /// What is wrong with it now.
    wrong: Option<Found>,
}

impl EnvFiles {
    /// Adds the variables of each env file.
    pub(super) fn scan(
        &mut self,
        plan: &Plan,
        settings: &[Arc<OutputSettings>],
        instances: &Instances,
        located: &mut Located,
        found: &mut Vec<Found>,
    ) {
        for (rank, (secret, settings)) in plan.secrets.iter().zip(settings).enumerate() {
            let Source::EnvFile(path) = &secret.source else {
                continue;
            };
            let known = self.0.remove(path);
            let known = look(path, known, plan, settings, instances, located);
            let all = known.good.iter().chain(&known.wrong);
            found.extend(all.map(|one| Found { rank, ..one.clone() }));
            self.0.insert(path.clone(), known);
        }
    }
}

fn look(
    path: &Path,
    known: Option<Known>,
    plan: &Plan,
    settings: &Arc<OutputSettings>,
    instances: &Instances,
    located: &mut Located,
) -> Known {
    let stamp = std::fs::metadata(path).ok().map(|metadata| Stamp::of(&metadata));
    let good = match known {
        // What came through a pipe does not come again.
        Some(known) if plan.piped.contains_key(path) => return known,
        Some(known) if known.stamp == stamp && stamp.is_some() => return known,
        Some(known) => known.good,
        None => Vec::new(),
    };
    match variables(path, plan, settings, instances, located) {
        Ok(found) => Known {
            stamp,
            good: found,
            wrong: None,
        },
        Err(error) => Known {
            stamp,
            good,
            wrong: Some(Found {
                target: Target::variable(&format!("({})", path.display())),
                source: Source::EnvFile(path.into()),
                settings: settings.clone(),
                template: Err(Arc::new(error)),
                role: Role::File,
                rank: 0,
            }),
        },
    }
}

fn variables(
    path: &Path,
    plan: &Plan,
    settings: &Arc<OutputSettings>,
    instances: &Instances,
    located: &mut Located,
) -> Result<Vec<Found>, SourceError> {
    let read_now;
    let text = match plan.piped.get(path) {
        #[expect(
            clippy::disallowed_methods,
            reason = "an env file is parsed, and its text goes no further than that of any other"
        )]
        Some(text) => text.expose(),
        None => {
            (read_now, _) = read(path, From::Device, plan.max_file_size)?;
            &read_now
        }
    };
    let wrong = |found| SourceError::Template {
        name: path.display().to_string(),
        text: veiled(text).into(),
        found,
    };
    let decoded = std::str::from_utf8(text).map_err(|error| {
        let at = error.valid_up_to();
        let help = "Save it as UTF-8; other bytes can be written as `{{ file://NAME }}`.";
        wrong(vec![
            Diagnostic::error(at..at, "this file is not UTF-8").help(help),
        ])
    })?;
    let read = env_file::parse(decoded, &plan.inherited).map_err(wrong)?;
    let found = read.into_iter().map(|variable| {
        let shown = format!("{} of {}", variable.name, path.display());
        let template = variable.template.as_bytes().into();
        Found {
            target: Target::variable(&variable.name),
            template: parse(&shown, &template, &settings.template, instances, located).map_err(unshown),
            source: Source::Inline {
                name: variable.name,
                text: variable.template,
            },
            settings: settings.clone(),
            role: Role::File,
            rank: 0,
        }
    });
    Ok(found.collect())
}

/// The same mistake, without what stands around it.
fn unshown(error: Arc<SourceError>) -> Arc<SourceError> {
    match &*error {
        SourceError::Template { name, text, found } => Arc::new(SourceError::Template {
            name: name.clone(),
            text: veiled(text).into(),
            found: found.clone(),
        }),
        _ => error,
    }
}

/// A text of an env file as messages may show it: plain values often are secrets, so that only names, tags and white
/// space stay. Every byte keeps its place.
fn veiled(text: &[u8]) -> Vec<u8> {
    let mut shown = Vec::with_capacity(text.len());
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.- ".contains(byte);
        let name = line.iter().take_while(|byte| is_name(byte)).count();
        let mut at = if line.get(name) == Some(&b'=') {
            name + 1
        } else {
            0
        };
        shown.extend_from_slice(&line[..at]);
        let last_close = line.windows(2).rposition(|pair| pair == b"}}").unwrap_or(0);
        while at < line.len() {
            let rest = &line[at..];
            let length = match rest.starts_with(b"{{") && at < last_close {
                true => rest
                    .windows(2)
                    .position(|pair| pair == b"}}")
                    .map_or(1, |close| close + 2),
                false => 1,
            };
            if length == 1 && !rest[0].is_ascii_whitespace() {
                shown.push(b'*');
            } else {
                shown.extend_from_slice(&rest[..length]);
            }
            at += length;
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::{is_guarded, veiled};

    #[test]
    fn names_that_change_which_code_runs_are_guarded_and_no_others_are() {
        for name in [
            "PATH",
            "LD_PRELOAD",
            "GIT_CONFIG_COUNT",
            "GIT_CONFIG_GLOBAL",
            "npm_config_node_options",
            "NPM_CONFIG_SCRIPT_SHELL",
            "MAKEFLAGS",
            "LUA_INIT_5_4",
            "OPENSSL_CONF",
            "LESSOPEN",
            "ZDOTDIR",
            "RUSTC_WRAPPER",
            "GOFLAGS",
            "PYTHONWARNINGS",
            "CORECLR_PROFILER_PATH_64",
            "COR_PROFILER",
            "PHP_INI_SCAN_DIR",
        ] {
            assert!(is_guarded(name), "{name}");
        }
        for name in [
            "",
            "path",
            "GIT_TOKEN",
            "NPM_TOKEN",
            "npm_config",
            "LUA",
            "CORS_ORIGIN",
            "\u{e9}npm_config_",
        ] {
            assert!(!is_guarded(name), "{name}");
        }
    }

    #[test]
    fn what_is_shown_of_an_env_file_keeps_names_and_tags_and_no_value() {
        let text = b"A=plain {{ op://a/b }} more\nplain is no name\nexport B=\"open\n";
        let shown = b"A=***** {{ op://a/b }} ****\n***** ** ** ****\nexport B=*****\n";
        assert_eq!(veiled(text), shown);
        assert_eq!(veiled("X=\u{e9}".as_bytes()), b"X=**");
    }
}
