//! What puts a finding right: as a command for a person, and as an order for `--fix`. It is carried out elsewhere.

use std::path::{Path, PathBuf};

use crate::place::Place;

/// What puts a finding right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fix {
    /// A new file with 32 random bytes in base64 and no line end, in a directory that is shut for others.
    Make {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// Its owner, where it is not whoever makes it.
        owner: Option<u32>,
    },
    /// A file whose content only a person knows.
    Paste {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Another mode, or another owner, of a file or directory.
    Access {
        /// The file or directory.
        path: PathBuf,
        /// Its mode.
        mode: Option<u32>,
        /// Its owner.
        owner: Option<u32>,
    },
    /// No white space at the ends of a file.
    Trim {
        /// The file.
        path: PathBuf,
    },
    /// One more line in a `.gitignore`.
    Ignore {
        /// The `.gitignore`.
        file: PathBuf,
        /// The line.
        line: String,
    },
    /// Out of git's index, but not off the disk.
    Untrack {
        /// The file.
        path: PathBuf,
    },
    /// Another word in a Compose file.
    Replace {
        /// The word.
        place: Place,
        /// What stands there now.
        old: String,
        /// What should.
        new: String,
    },
}

impl Fix {
    /// Whether `--fix` does it. What only a person knows, and what others must agree to, it does not.
    pub fn is_automatic(&self) -> bool {
        !matches!(self, Self::Paste { .. } | Self::Untrack { .. })
    }

    /// The shell command that does it, for somebody in the directory `from`; `None` where an editor is needed.
    pub fn command(&self, from: &Path) -> Option<String> {
        let quoted = |path: &Path| quote(&path.strip_prefix(from).unwrap_or(path).to_string_lossy());
        let directory = |path: &Path| {
            let parent = path.parent().map(quoted).filter(|parent| !parent.is_empty());
            parent.map_or_else(String::new, |parent| format!("mkdir -p {parent} && "))
        };
        Some(match self {
            Self::Make { path, mode, owner } => {
                let file = quoted(path);
                let owner = owner.map_or_else(String::new, |owner| format!(" && chown {owner} {file}"));
                format!(
                    "(umask 077 && {}head -c 32 /dev/urandom | base64 | tr -d '\\n' > {file} && chmod {mode:o} {file}{owner})",
                    directory(path)
                )
            }
            Self::Paste { path, mode } => {
                let file = quoted(path);
                format!(
                    "(umask 077 && {}tr -d '\\n' > {file} && chmod {mode:o} {file})",
                    directory(path)
                )
            }
            Self::Access { path, mode, owner } => {
                let file = quoted(path);
                let file = if file.is_empty() { ".".to_owned() } else { file };
                let owner = owner.map(|owner| format!("chown {owner} {file}"));
                let mode = mode.map(|mode| format!("chmod {mode:o} {file}"));
                let commands: Vec<_> = [owner, mode].into_iter().flatten().collect();
                commands.join(" && ")
            }
            Self::Trim { path } => {
                let file = quoted(path);
                // Through the same file, so that owner and mode stay.
                format!("value=$(cat {file}) && printf %s \"$value\" | tr -d '\\r' > {file}; unset value")
            }
            Self::Ignore { file, line } => format!("echo {} >> {}", quote(line), quoted(file)),
            Self::Untrack { path } => format!("git rm --cached {}", quoted(path)),
            Self::Replace { .. } => return None,
        })
    }
}

/// A word of a shell.
fn quote(text: &str) -> String {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || "/._-+:@%,".contains(char);
    if text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
