//! Flags beat variables beat the configuration. Every value that comes out says where it came from.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::ArgMatches;
use locket_core::Diagnostic;

use super::opt::{Opt, Shape};
use super::origin::{Given, Origin};
use crate::config::ConfigFile;
use crate::context::Context;
use crate::report::Problem;

/// The layers of one command line.
#[derive(Debug)]
pub(crate) struct Layers<'a> {
    matches: &'a ArgMatches,
    context: &'a Context,
    directory: Arc<Path>,
    files: &'a [ConfigFile],
    before: Beforehand,
    /// What is wrong so far: everything is looked at before anything is told.
    pub(crate) problems: Vec<Problem>,
    /// What is not wrong and yet should be known.
    pub(crate) notices: Vec<Notice>,
}

/// Flags that somebody else gave before: a layer between the flags and the variables.
#[derive(Debug, Default)]
pub(crate) struct Beforehand {
    /// Their identities in the parser.
    pub(crate) flags: BTreeSet<String>,
    /// The provider that was named among them, where the flags name another one.
    pub(crate) provider: Option<Given>,
    /// Whether the files are not those of whoever gave them and the variables.
    pub(crate) has_other_files: bool,
    /// The provider that their own files name, in that case.
    pub(crate) configured: Option<Given>,
}

/// What people should know though nothing is wrong; logged once the log is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// Which layer an option came from.
    Origin(&'static str, Origin),
    /// For whoever looks for a fault.
    Detail(String),
    /// For whoever wonders.
    Info(String),
    /// For everybody.
    Warning(String),
}

/// How the entries of a repeatable option are read and named.
#[derive(Debug)]
pub(crate) struct Syntax<T> {
    /// Reads one entry, as a flag gives it.
    pub(crate) one: fn(&str) -> Result<T, Vec<Diagnostic>>,
    /// Reads several, as a variable gives them.
    pub(crate) many: fn(&str) -> Result<Vec<T>, Vec<Diagnostic>>,
    /// What an entry is called; nothing of a template.
    pub(crate) shown: fn(&T) -> String,
    /// What the entries of a file are called.
    pub(crate) in_file: fn(&ConfigFile) -> Vec<String>,
}

/// Where the service manager puts what `LoadCredential=` and its like name (systemd.exec(5)).
const CREDENTIALS_DIRECTORY: &str = "CREDENTIALS_DIRECTORY";

/// What is wrong with a variable that is no text.
pub(crate) const NOT_UTF8: &str = "the value is not UTF-8";

impl<'a> Layers<'a> {
    /// The layers of `matches` over these files, the strongest file last.
    pub(crate) fn new(matches: &'a ArgMatches, context: &'a Context, files: &'a [ConfigFile]) -> Self {
        Self {
            matches,
            context,
            directory: context.directory.as_path().into(),
            files,
            before: Beforehand::default(),
            problems: Vec::new(),
            notices: Vec::new(),
        }
    }

    /// Some of the flags were given by somebody else.
    #[cfg(feature = "command-plugin")]
    pub(crate) fn set_beforehand(&mut self, before: Beforehand) {
        self.before = before;
    }

    /// What somebody else gave before.
    pub(crate) fn beforehand(&self) -> &Beforehand {
        &self.before
    }

    /// What surrounds this process.
    pub(crate) fn context(&self) -> &'a Context {
        self.context
    }

    /// The files, the strongest first.
    pub(crate) fn files(&self) -> impl Iterator<Item = &'a ConfigFile> + use<'a> {
        self.files.iter().rev()
    }

    /// The text of an option, from its strongest layer.
    pub(crate) fn text(&mut self, opt: &Opt) -> Option<Given> {
        let flag = self.flag(opt.name, opt.name);
        let given = flag.or_else(|| self.variable(opt.variables));
        let given = given.or_else(|| self.files().find_map(|file| file.text(opt).cloned()))?;
        self.note(opt, &given);
        match opt.shape {
            Shape::Path => self.filled(given),
            _ => Some(given),
        }
    }

    /// A path that is not empty: joined to the directory that it counts from, an empty one would be that directory.
    pub(crate) fn filled(&mut self, given: Given) -> Option<Given> {
        if !given.text.is_empty() {
            return Some(given);
        }
        let wrong = Diagnostic::error(0..0, "the path is empty");
        for problem in given.wrong([wrong.help("Name a file or a directory, or leave it out.")]) {
            if !self.problems.contains(&problem) {
                self.problems.push(problem);
            }
        }
        None
    }

    /// Notes where the value of an option came from.
    pub(crate) fn note(&mut self, opt: &Opt, given: &Given) {
        let notice = Notice::Origin(opt.name, given.origin.clone());
        if !self.notices.contains(&notice) {
            self.notices.push(notice);
        }
    }

    /// The value of an option, or `default` when nobody gives one or what is given is wrong.
    pub(crate) fn settle<T>(
        &mut self,
        opt: &Opt,
        default: T,
        parse: impl FnOnce(&str) -> Result<T, Diagnostic>,
    ) -> T {
        let Some(given) = self.text(opt) else {
            return default;
        };
        parse(&given.text).unwrap_or_else(|wrong| {
            self.problems.extend(given.wrong([wrong]));
            default
        })
    }

    /// The path of an option.
    pub(crate) fn path(&mut self, opt: &Opt) -> Option<PathBuf> {
        self.text(opt).map(|given| given.path())
    }

    /// The entries of a repeatable option from its flags, else from its variable; `None` when only files may have
    /// any. Whoever has some replaces what all weaker layers have, and that is told.
    pub(crate) fn list<T>(&mut self, opt: &Opt, syntax: &Syntax<T>) -> Option<Vec<T>> {
        let flags = self.flags(opt);
        let variables = self.set_among(opt.variables);
        let mut stacked: Vec<(String, Vec<String>)> = Vec::new();
        let mut entries = None;
        if !flags.is_empty() {
            let mut parsed = Vec::with_capacity(flags.len());
            for given in &flags {
                match (syntax.one)(&given.text) {
                    Ok(entry) => parsed.push(entry),
                    Err(found) => self.problems.extend(given.wrong(found)),
                }
            }
            stacked.push((
                format!("--{}", opt.name),
                parsed.iter().map(syntax.shown).collect(),
            ));
            entries = Some(parsed);
        }
        for given in variables {
            let parsed = (syntax.many)(&given.text);
            let shown = match &parsed {
                Ok(parsed) => parsed.iter().map(syntax.shown).collect(),
                Err(_) => vec!["a list with mistakes".to_owned()],
            };
            stacked.push((given.origin.to_string(), shown));
            if entries.is_none() {
                entries = Some(parsed.unwrap_or_else(|found| {
                    self.problems.extend(given.wrong(found));
                    Vec::new()
                }));
            }
        }
        stacked.extend(
            self.files()
                .map(|file| (file.path.display().to_string(), (syntax.in_file)(file))),
        );
        stacked.retain(|(_, shown)| !shown.is_empty());
        if let Some(((winner, _), dropped)) = stacked.split_first() {
            self.notices.extend(dropped.iter().map(|(loser, shown)| {
                let what = opt.name;
                Notice::Info(format!(
                    "{what}: {winner} replaces what {loser} says: {}",
                    shown.join(", ")
                ))
            }));
        }
        entries
    }

    /// The texts of a repeatable option from its flag; empty when it is not given.
    pub(crate) fn flags(&self, opt: &Opt) -> Vec<Given> {
        let texts = self.matches.try_get_many::<String>(opt.name).ok().flatten();
        let origin = || Origin::Flag(format!("--{}", opt.name));
        texts
            .into_iter()
            .flatten()
            .map(|text| self.given(text, origin()))
            .collect()
    }

    /// Refuses the flag of an option of which nothing makes use beside what else is said. What files and variables say
    /// holds for many runs, of which some have no use for it.
    pub(crate) fn refuse_flag(&mut self, opt: &Opt, why: &str, help: &str) {
        let given = self.flags(opt).into_iter().next();
        self.problems.extend(given.into_iter().flat_map(|given| {
            let wrong = Diagnostic::error(0..given.text.len(), why);
            given.wrong([wrong.help(help)])
        }));
    }

    /// The texts of a repeatable option from the strongest layer of flags and files; variables that stand for such an
    /// option have a grammar of their own.
    pub(crate) fn texts(&self, opt: &Opt) -> Vec<Given> {
        let flags = self.flags(opt);
        match flags.is_empty() {
            true => self.configured(opt),
            false => flags,
        }
    }

    /// The texts of a repeatable option from the strongest file that has it.
    pub(crate) fn configured(&self, opt: &Opt) -> Vec<Given> {
        let mut lists = self.files().filter_map(|file| file.texts(opt));
        lists.next().map(<[_]>::to_vec).unwrap_or_default()
    }

    /// The text of a flag by its identity in the parser; `shown` is what it is called, without dashes.
    pub(crate) fn flag(&self, id: &str, shown: &str) -> Option<Given> {
        let text = self.matches.try_get_one::<String>(id).ok().flatten()?;
        Some(self.given(text, Origin::Flag(format!("--{shown}"))))
    }

    /// The first of these variables that is set.
    pub(crate) fn variable(&mut self, names: &[&str]) -> Option<Given> {
        self.look_up(names).unwrap_or_else(|origin| {
            let problem = origin.problem(NOT_UTF8, None);
            if !self.problems.contains(&problem) {
                self.problems.push(problem);
            }
            None
        })
    }

    /// All of these variables that are set, the strongest first.
    fn set_among(&mut self, names: &[&str]) -> Vec<Given> {
        names.iter().filter_map(|name| self.variable(&[name])).collect()
    }

    /// The first of these variables that is set. An empty one counts as not set, as Compose files produce them.
    ///
    /// # Errors
    /// The variable that is set and not UTF-8.
    pub(crate) fn look_up(&self, names: &[&str]) -> Result<Option<Given>, Origin> {
        for name in names {
            let value = self.context.environment.get_os(name);
            let Some(value) = value.filter(|value| !value.is_empty()) else {
                continue;
            };
            let origin = Origin::Variable((*name).to_owned());
            return match value.to_str() {
                Some(text) => Ok(Some(self.given(text, origin))),
                None => Err(origin),
            };
        }
        Ok(None)
    }

    /// The path of the file that the service manager gave under `name` (`LoadCredential=`), if it gave one.
    pub(crate) fn credential(&self, name: &str) -> Option<Given> {
        let directory = self.context.environment.get_os(CREDENTIALS_DIRECTORY)?;
        let path = Path::new(directory).join(name);
        let text = path.to_str().filter(|_| path.is_absolute() && path.is_file())?;
        Some(self.given(text, Origin::Credential(name.to_owned())))
    }

    /// The names of all files that the service manager gave.
    pub(crate) fn credentials(&self) -> Vec<String> {
        let directory = self.context.environment.get_os(CREDENTIALS_DIRECTORY);
        let entries = directory.and_then(|directory| std::fs::read_dir(directory).ok());
        let names = entries.into_iter().flatten().flatten();
        let mut names: Vec<_> = names
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort();
        names
    }

    /// A text that a flag gives, by the flag's name without dashes.
    pub(crate) fn given_by_flag(&self, flag: &str, text: &str) -> Given {
        self.given(text, Origin::Flag(format!("--{flag}")))
    }

    fn given(&self, text: &str, origin: Origin) -> Given {
        Given {
            text: text.to_owned(),
            origin,
            base: self.directory.clone(),
        }
    }
}

impl Notice {
    /// Tells it to the log.
    pub(crate) fn log(&self) {
        match self {
            Self::Origin(option, origin) => tracing::debug!(option, %origin, "given"),
            Self::Detail(text) => tracing::debug!("{text}"),
            Self::Info(text) => tracing::info!("{text}"),
            Self::Warning(text) => tracing::warn!("{text}"),
        }
    }
}
