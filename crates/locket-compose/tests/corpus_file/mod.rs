//! One project in one file: the form that `corpus/README.md` describes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use locket_compose::check::{Edges, Git, Kind, Stat, Surroundings};
use locket_compose::{Files, Project, Request, Unreadable, load};
use locket_core::Environment;

const DAY: Duration = Duration::from_secs(86_400);

/// A finding that must be there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Expected {
    pub(crate) id: String,
    pub(crate) path: String,
    pub(crate) line: usize,
}

pub(crate) struct CorpusProject {
    pub(crate) name: String,
    pub(crate) is_blind: bool,
    pub(crate) max_age: Option<Duration>,
    pub(crate) expected: BTreeSet<Expected>,
    files: BTreeMap<PathBuf, CorpusFile>,
    is_in_git: bool,
}

struct CorpusFile {
    text: String,
    mode: u32,
    uid: u32,
    gid: u32,
    age: Duration,
    directory: u32,
    git: Git,
}

/// Every project of the corpus.
#[expect(clippy::disallowed_methods, reason = "the corpus itself is on the disk")]
pub(crate) fn all(directory: &Path) -> Vec<CorpusProject> {
    let mut projects = Vec::new();
    for (part, is_blind) in [("blind", true), ("known", false)] {
        for entry in std::fs::read_dir(directory.join(part)).unwrap() {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            projects.push(CorpusProject::read(&name, &text, is_blind));
        }
    }
    projects.sort_by(|one, other| one.name.cmp(&other.name));
    projects
}

impl CorpusProject {
    fn read(name: &str, text: &str, is_blind: bool) -> Self {
        let mut project = Self {
            name: name.to_owned(),
            is_blind,
            max_age: None,
            expected: BTreeSet::new(),
            files: BTreeMap::new(),
            is_in_git: text.contains(" git="),
        };
        let mut named = Vec::new();
        let mut file: Option<(PathBuf, CorpusFile, bool)> = None;
        for line in text.split_inclusive('\n') {
            let plain = line.trim_end();
            if let Some(header) = plain.strip_prefix("-- ").and_then(|rest| rest.strip_suffix("--")) {
                project.finish(file.take());
                file = Some(CorpusFile::of(header));
            } else if let Some((_, file, _)) = &mut file {
                file.text.push_str(line);
            } else if let Some(days) = plain.strip_prefix("option: max-age=") {
                project.max_age = Some(DAY * days.trim_end_matches('d').parse().unwrap());
            } else if let Some(expected) = plain.strip_prefix("expect: ") {
                named.push(expected.to_owned());
            }
        }
        project.finish(file);
        for expected in named {
            project.expect(&expected);
        }
        project
    }

    fn finish(&mut self, file: Option<(PathBuf, CorpusFile, bool)>) {
        let Some((path, mut file, is_chomped)) = file else {
            return;
        };
        if is_chomped {
            file.text.pop();
        }
        for (at, line) in file.text.lines().enumerate() {
            for marked in line.split("#!").skip(1) {
                self.expected.insert(Expected {
                    id: marked.trim().to_owned(),
                    path: path.display().to_string(),
                    line: at + 1,
                });
            }
        }
        self.files.insert(Path::new("/p").join(path), file);
    }

    /// `ID PATH: TEXT`
    fn expect(&mut self, expected: &str) {
        let (id, rest) = expected.split_once(' ').unwrap();
        let (path, text) = rest.split_once(": ").unwrap();
        let file = &self.files[&Path::new("/p").join(path)];
        let line = file.text.lines().position(|line| line.contains(text));
        self.expected.insert(Expected {
            id: id.to_owned(),
            path: path.to_owned(),
            line: line.unwrap_or_else(|| panic!("{}: {text}", self.name)) + 1,
        });
    }

    pub(crate) fn load(&self) -> Option<Project> {
        let request = Request {
            directory: "/p".into(),
            ..Request::default()
        };
        load(&request, self, &Environment::default()).ok()
    }
}

impl CorpusFile {
    /// `PATH mode=600 uid=0 … chomp`
    fn of(header: &str) -> (PathBuf, Self, bool) {
        let mut words = header.split_whitespace();
        let path = words.next().unwrap().into();
        let mut file = Self {
            text: String::new(),
            mode: 0o644,
            uid: 0,
            gid: 0,
            age: Duration::ZERO,
            directory: 0o700,
            git: Git::Outside,
        };
        let mut is_chomped = false;
        for word in words {
            let Some((name, value)) = word.split_once('=') else {
                assert_eq!(word, "chomp");
                is_chomped = true;
                continue;
            };
            match name {
                "mode" => file.mode = u32::from_str_radix(value, 8).unwrap(),
                "dir" => file.directory = u32::from_str_radix(value, 8).unwrap(),
                "uid" => file.uid = value.parse().unwrap(),
                "gid" => file.gid = value.parse().unwrap(),
                "age" => file.age = DAY * value.trim_end_matches('d').parse().unwrap(),
                "git" => {
                    file.git = match value {
                        "tracked" => Git::Tracked,
                        "ignored" => Git::Ignored,
                        "new" => Git::New,
                        other => panic!("{other}"),
                    }
                }
                other => panic!("{other}"),
            }
        }
        (path, file, is_chomped)
    }
}

impl Files for CorpusProject {
    fn read(&self, path: &Path) -> Result<String, Unreadable> {
        let file = self.files.get(path);
        file.map(|file| file.text.clone()).ok_or(Unreadable::Missing)
    }

    fn exists(&self, path: &Path) -> bool {
        self.files.contains_key(path)
    }
}

impl Surroundings for CorpusProject {
    fn stat(&self, path: &Path) -> Option<Stat> {
        let file = self.files.get(path)?;
        Some(Stat {
            kind: Kind::File,
            mode: file.mode,
            uid: file.uid,
            gid: file.gid,
            age: file.age,
            is_shut: file.directory & 0o001 == 0,
        })
    }

    fn edges(&self, path: &Path) -> Option<Edges> {
        Some(Edges::of(self.files.get(path)?.text.as_bytes()))
    }

    fn git(&self, paths: &[PathBuf]) -> Vec<Git> {
        let state = |path: &PathBuf| match (self.is_in_git, self.files[path].git) {
            (true, Git::Outside) => Git::Ignored,
            (_, state) => state,
        };
        paths.iter().map(state).collect()
    }

    fn is_memory(&self, path: &Path) -> bool {
        path.starts_with("/run") || path.starts_with("/dev/shm")
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}:{}", self.id, self.path, self.line)
    }
}
