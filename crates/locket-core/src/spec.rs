//! What stands behind `--map`, `--secret` and the flags beside them, each in its own small syntax.

use std::path::PathBuf;

use crate::glob::{Pattern, Selection};
use crate::lists::{self, Entry};
use crate::plan::{Access, Map, OnError, OutputSettings, Owner, Place, Secret, Source};
use crate::{Action, Diagnostic, Span};

/// Names that begin like this belong to files on their way to their place, and are removed when left over.
const TEMPORARY: &str = ".locket-";

/// `SRC:DST[:mode=0440,user=1000:1000]`, or `SRC=DST`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapSpec {
    /// A file or directory of templates.
    pub source: PathBuf,
    /// A file or directory of outputs.
    pub destination: PathBuf,
    /// What it says about its outputs.
    pub overrides: Overrides,
}

/// `NAME=TEMPLATE` or `NAME=@FILE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretSpec {
    /// A plain file name.
    pub name: String,
    /// Where its template comes from.
    pub source: Source,
    /// Where the template or the file's path stands in the text.
    pub source_span: Span,
}

/// What one map says that differs from the rest of the run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `mode`: permission bits of files.
    pub file_mode: Option<u32>,
    /// `dir-mode`: permission bits of directories that are made on the way.
    pub dir_mode: Option<u32>,
    /// `user`: numeric owner.
    pub owner: Option<Owner>,
    /// `on-error`: what happens when a reference has no value.
    pub on_error: Option<OnError>,
    /// `notify`: who is told beside those of the whole run; may be given several times.
    pub notify: Vec<Action>,
    /// `include`: which templates of a directory count; may be given several times.
    pub include: Vec<Pattern>,
    /// `exclude`: which of them do not; may be given several times.
    pub exclude: Vec<Pattern>,
    /// `atomic`: whether the whole directory is switched at once.
    pub atomic: Option<bool>,
    /// `render`: whether the tags of templates count.
    pub render: Option<bool>,
}

/// The options that a map takes, as they are written.
pub(crate) const OPTIONS: &[&str] = &[
    "mode", "dir-mode", "user", "on-error", "notify", "include", "exclude", "atomic", "render",
];

/// Those that may be given several times.
const REPEATED: &[&str] = &["notify", "include", "exclude"];

impl MapSpec {
    /// Parses one map. It divides at the first unescaped `:`, or where there is none at the first `=`; what follows
    /// a further `:` are options between commas. A backslash makes `:`, `=`, `,` and itself part of a name.
    ///
    /// # Errors
    /// Every mistake, with its place in `text`.
    pub fn parse(text: &str) -> Result<Self, Vec<Diagnostic>> {
        let whole = Span::new(0, text.len());
        let Some(divide) = unescaped(text, ':', 0).or_else(|| unescaped(text, '=', 0)) else {
            return Err(vec![
                Diagnostic::error(whole, "this map has no destination")
                    .help("Write SRC:DST, a file to a file or a directory to a directory."),
            ]);
        };
        let by_colon = text.as_bytes()[divide] == b':';
        let end = unescaped(text, ':', divide + 1)
            .filter(|_| by_colon)
            .unwrap_or(text.len());
        let source = Span::new(0, divide);
        let destination = Span::new(divide + 1, end);
        let mut found = Vec::new();
        for (span, role) in [(source, "source"), (destination, "destination")] {
            if span.start == span.end {
                found.push(
                    Diagnostic::error(divide..divide + 1, format!("this map has an empty {role}"))
                        .help("Write SRC:DST; `.` is the working directory."),
                );
            } else if text[span.start..span.end].contains('\0') {
                found.push(Diagnostic::error(
                    span,
                    format!("the {role} holds a NUL character"),
                ));
            }
        }
        if is_option(&text[destination.start..destination.end]) {
            found.push(
                Diagnostic::error(destination, "an option stands where the destination belongs").help(
                    "Write SRC:DST:mode=0440; a `:` or `=` that belongs to a path is written `\\:` or `\\=`.",
                ),
            );
        }
        let overrides = match text.get(end + 1..) {
            Some(options) => Overrides::parse(options, end + 1).unwrap_or_else(|wrong| {
                found.extend(wrong);
                Overrides::default()
            }),
            None => Overrides::default(),
        };
        if !found.is_empty() {
            return Err(found);
        }
        Ok(Self {
            source: unescape(&text[..divide]).into(),
            destination: unescape(&text[destination.start..destination.end]).into(),
            overrides,
        })
    }

    /// Parses an environment list of maps (see [`lists`]). A comma before an option is the map's own.
    ///
    /// # Errors
    /// Every mistake of every entry, with its place in `list`.
    pub fn parse_list(list: &str) -> Result<Vec<Self>, Vec<Diagnostic>> {
        collect(&lists::split_unless(list, is_option)?, Self::parse)
    }

    /// The map, with `defaults` wherever it says nothing itself.
    pub fn settle(self, defaults: &OutputSettings) -> Map {
        Map {
            source: self.source,
            destination: self.destination,
            settings: self.overrides.over(defaults),
        }
    }
}

impl SecretSpec {
    /// Parses one secret, divided at the first `=`. A template that begins with `@` is written `\@`.
    ///
    /// # Errors
    /// Every mistake, with its place in `text`. The template itself is not looked at.
    pub fn parse(text: &str) -> Result<Self, Vec<Diagnostic>> {
        const FORM: &str = "Write NAME=TEMPLATE or NAME=@FILE.";
        let Some((name, template)) = text.split_once('=') else {
            return Err(vec![
                Diagnostic::error(0..text.len(), "this secret has no template").help(FORM),
            ]);
        };
        let name_span = trimmed(name, 0);
        let name = name.trim();
        let start = text.len() - template.len();
        let mut found: Vec<_> = file_name(name)
            .err()
            .map(|wrong| wrong.shifted(name_span.start))
            .into_iter()
            .collect();
        let (source, source_span) = match template.strip_prefix('@') {
            Some(path) => (Source::File(path.into()), Span::new(start + 1, text.len())),
            None => {
                let plain = template
                    .strip_prefix('\\')
                    .filter(|plain| plain.starts_with('@'))
                    .unwrap_or(template);
                let inline = Source::Inline {
                    name: name.to_owned(),
                    text: plain.to_owned(),
                };
                (inline, Span::new(text.len() - plain.len(), text.len()))
            }
        };
        if source_span.start == source_span.end {
            let missing = if template.is_empty() {
                "an empty template"
            } else {
                "no file behind its `@`"
            };
            found.push(
                Diagnostic::error(start - 1..text.len(), format!("this secret has {missing}")).help(FORM),
            );
        }
        if !found.is_empty() {
            return Err(found);
        }
        Ok(Self {
            name: name.to_owned(),
            source,
            source_span,
        })
    }

    /// Parses an environment list of secrets (see [`lists`]).
    ///
    /// # Errors
    /// Every mistake of every entry, with its place in `list`.
    pub fn parse_list(list: &str) -> Result<Vec<Self>, Vec<Diagnostic>> {
        collect(&lists::split(list)?, Self::parse)
    }

    /// The secret, written as `settings` say.
    pub fn settle(self, settings: &OutputSettings) -> Secret {
        Secret {
            name: self.name,
            place: Place::File,
            source: self.source,
            settings: settings.clone(),
        }
    }
}

impl Overrides {
    /// Parses `name=value,…`, which stands at byte `offset` of its text.
    fn parse(text: &str, offset: usize) -> Result<Self, Vec<Diagnostic>> {
        let mut overrides = Self::default();
        let mut given: Vec<&str> = Vec::new();
        let mut found = Vec::new();
        let mut start = 0;
        while start <= text.len() {
            let end = unescaped(text, ',', start).unwrap_or(text.len());
            let span = trimmed(&text[start..end], start);
            start = end + 1;
            let option = &text[span.start..span.end];
            if option.is_empty() {
                continue;
            }
            let name = option.split_once('=').map_or(option, |(name, _)| name);
            if given.contains(&name) && !REPEATED.contains(&name) {
                found.push(
                    Diagnostic::error(span, format!("`{name}` is given twice"))
                        .help("Keep one of the two.")
                        .shifted(offset),
                );
            }
            given.push(name);
            if let Err(wrong) = overrides.set(option) {
                found.push(wrong.shifted(span.start + offset));
            }
        }
        if found.is_empty() {
            Ok(overrides)
        } else {
            Err(found)
        }
    }

    fn set(&mut self, option: &str) -> Result<(), Diagnostic> {
        let whole = Span::new(0, option.len());
        let Some((name, value)) = option.split_once('=').filter(|(name, _)| OPTIONS.contains(name)) else {
            let name = option.split_once('=').map_or(option, |(name, _)| name);
            let message = match OPTIONS.contains(&name) {
                true => format!("the option `{name}` has no value"),
                false => format!("a map has no option `{name}`"),
            };
            return Err(Diagnostic::error(whole, message)
                .help("Write options like `mode=0440,user=1000:1000`; a `:` that belongs to a path is written `\\:`.")
                .did_you_mean(name, OPTIONS.iter().copied().filter(|known| *known != name)));
        };
        let at = name.len() + 1;
        let written = value;
        let value = unescape(written);
        let result = match name {
            "mode" => file_mode(&value).map(|mode| self.file_mode = Some(mode)),
            "dir-mode" => dir_mode(&value).map(|mode| self.dir_mode = Some(mode)),
            "user" => owner(&value).map(|owner| self.owner = Some(owner)),
            "on-error" => on_error(&value).map(|policy| self.on_error = Some(policy)),
            "notify" => Action::parse(&value).map(|action| self.notify.push(action)),
            "include" => Pattern::parse(&value).map(|pattern| self.include.push(pattern)),
            "exclude" => Pattern::parse(&value).map(|pattern| self.exclude.push(pattern)),
            "atomic" => truth(&value).map(|atomic| self.atomic = Some(atomic)),
            _ => truth(&value).map(|render| self.render = Some(render)),
        };
        result.map_err(|mut wrong| {
            let Span { start, end } = wrong.span;
            wrong.span = Span::new(written_at(written, start), written_at(written, end));
            wrong.shifted(at)
        })
    }

    /// These settings, with `defaults` wherever they say nothing.
    pub fn over(self, defaults: &OutputSettings) -> OutputSettings {
        let mut template = defaults.template.clone();
        template.verbatim = self.render.map_or(template.verbatim, |render| !render);
        OutputSettings {
            access: Access {
                file_mode: self.file_mode.unwrap_or(defaults.access.file_mode),
                dir_mode: self.dir_mode.unwrap_or(defaults.access.dir_mode),
                owner: self.owner.or(defaults.access.owner),
            },
            on_error: self.on_error.unwrap_or(defaults.on_error),
            template,
            notify: defaults.notify.iter().cloned().chain(self.notify).collect(),
            select: Selection {
                include: self.include,
                exclude: self.exclude,
            },
            atomic: self.atomic.unwrap_or(defaults.atomic),
            equal: defaults.equal,
        }
    }
}

/// A name that is one file in a directory.
///
/// # Errors
/// It is empty, leads elsewhere, or cannot be a file's name.
pub fn file_name(name: &str) -> Result<(), Diagnostic> {
    let reason = if name.is_empty() {
        "this secret has no name"
    } else if name.contains('/') {
        "the name of a secret holds no `/`"
    } else if name == "." || name == ".." {
        "this is the name of a directory"
    } else if name.starts_with(TEMPORARY) {
        "names that begin with `.locket-` are kept for temporary files"
    } else if name.chars().any(char::is_control) {
        "the name of a secret holds no control characters"
    } else if name.len() > 255 {
        "this name is longer than the 255 bytes of a file's name"
    } else {
        return Ok(());
    };
    Err(Diagnostic::error(0..name.len(), reason)
        .help("Name the file that is made in the directory of `--out`; `--map` writes to other places."))
}

/// Permission bits of a file: three or four octal digits, also behind `0o`.
///
/// # Errors
/// Something else, or bits that make no sense on a secret.
pub fn file_mode(text: &str) -> Result<u32, Diagnostic> {
    let mode = dir_mode(text)?;
    if mode > 0o777 {
        return Err(Diagnostic::error(
            0..text.len(),
            "a secret file cannot be set-user-id, set-group-id or sticky",
        )
        .help("Write three or four octal digits, the first of four being `0`."));
    }
    Ok(mode)
}

/// Permission bits of a directory: as those of a file, and the set-group-id and sticky bits.
///
/// # Errors
/// Something else.
pub fn dir_mode(text: &str) -> Result<u32, Diagnostic> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    let octal = digits.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    u32::from_str_radix(digits, 8)
        .ok()
        .filter(|_| octal && matches!(digits.len(), 3 | 4))
        .ok_or_else(|| {
            Diagnostic::error(0..text.len(), format!("`{text}` is not a mode"))
                .help("Write three or four octal digits, such as `0440`.")
        })
}

/// `UID[:GID]`, in numbers.
///
/// # Errors
/// Something else; names are not looked up, since the container that reads the file has its own.
pub fn owner(text: &str) -> Result<Owner, Diagnostic> {
    let (uid, gid) = match text.split_once(':') {
        Some((uid, gid)) => (uid, Some(gid)),
        None => (text, None),
    };
    let at = text.len() - gid.map_or(0, str::len);
    Ok(Owner {
        uid: id(uid, "user")?,
        gid: gid
            .map(|gid| id(gid, "group").map_err(|wrong| wrong.shifted(at)))
            .transpose()?,
    })
}

/// `true` or `false`.
///
/// # Errors
/// Something else.
pub fn truth(text: &str) -> Result<bool, Diagnostic> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(
            Diagnostic::error(0..text.len(), format!("`{text}` is neither true nor false"))
                .help("Write `true` or `false`."),
        ),
    }
}

/// `REF/*` as a flag or variable gives it; the reference itself is read when the providers are known.
///
/// # Errors
/// There is nothing, or it does not end in `*`, options and fragment aside.
pub fn every(text: &str) -> Result<Secret, Vec<Diagnostic>> {
    let text = text.trim();
    let whole = Span::new(0, text.len());
    if !text.contains("://") || !text.contains('*') {
        return Err(vec![
            Diagnostic::error(whole, "this is no reference to every key of something").help(
                "Write `REF/*` for all keys of a folder or item, or `REF#*` for the members of a JSON value.",
            ),
        ]);
    }
    Ok(Secret {
        place: Place::File,
        name: "*".to_owned(),
        source: Source::Every {
            text: text.to_owned(),
            prefix: String::new(),
        },
        settings: OutputSettings::default(),
    })
}

/// Parses an environment list of wildcards (see [`lists`]).
///
/// # Errors
/// Every mistake of every entry, with its place in `list`.
pub fn every_list(list: &str) -> Result<Vec<Secret>, Vec<Diagnostic>> {
    collect(&lists::split(list)?, every)
}

/// A policy by its name.
///
/// # Errors
/// There is none of this name.
pub fn on_error(text: &str) -> Result<OnError, Diagnostic> {
    let names = OnError::ALL.iter().map(|(name, _)| *name);
    OnError::ALL
        .iter()
        .find(|(name, _)| *name == text)
        .map(|(_, policy)| *policy)
        .ok_or_else(|| {
            Diagnostic::error(0..text.len(), format!("there is no policy `{text}`"))
                .help("Write keep, error, passthrough or ignore.")
                .did_you_mean(text, names)
        })
}

fn id(text: &str, what: &str) -> Result<u32, Diagnostic> {
    // The highest number stands for "leave as it is" in the system call.
    let number = text
        .parse()
        .ok()
        .filter(|id| *id < u32::MAX && text.bytes().all(|byte| byte.is_ascii_digit()));
    number.ok_or_else(|| {
        Diagnostic::error(0..text.len(), format!("`{text}` is not the number of a {what}"))
            .help("Write UID or UID:GID in numbers, such as `1000:1000`; `id -u NAME` in the container prints them.")
    })
}

/// Parses each entry of a list, gathering the findings of all.
fn collect<T>(
    entries: &[Entry],
    parse: impl Fn(&str) -> Result<T, Vec<Diagnostic>>,
) -> Result<Vec<T>, Vec<Diagnostic>> {
    let mut parsed = Vec::with_capacity(entries.len());
    let mut found = Vec::new();
    for entry in entries {
        match parse(entry.text()) {
            Ok(spec) => parsed.push(spec),
            Err(wrong) => found.extend(wrong.into_iter().map(|diagnostic| entry.locate(diagnostic))),
        }
    }
    if found.is_empty() { Ok(parsed) } else { Err(found) }
}

/// Whether `text` begins with an option of a map.
fn is_option(text: &str) -> bool {
    text.split_once('=')
        .is_some_and(|(name, _)| OPTIONS.contains(&name))
}

/// Where `mark` next stands, from `from` on, without a backslash of its own before it.
fn unescaped(text: &str, mark: char, from: usize) -> Option<usize> {
    let mut escaped = false;
    text.get(from..)?.char_indices().find_map(|(at, char)| {
        let found = char == mark && !escaped;
        escaped = char == '\\' && !escaped;
        found.then_some(from + at)
    })
}

/// The characters without the backslashes before `:`, `=`, `,` and backslashes, each with the place where it is written.
fn plain(text: &str) -> impl Iterator<Item = (usize, char)> + '_ {
    let mut chars = text.char_indices().peekable();
    std::iter::from_fn(move || {
        let (start, char) = chars.next()?;
        let escaped = chars.next_if(|(_, next)| char == '\\' && matches!(next, ':' | '=' | ',' | '\\'));
        Some((start, escaped.map_or(char, |(_, next)| next)))
    })
}

fn unescape(text: &str) -> String {
    plain(text).map(|(_, char)| char).collect()
}

/// Where byte `at` of the unescaped text stands in `text`.
fn written_at(text: &str, at: usize) -> usize {
    let mut before = 0;
    let mut places = plain(text).skip_while(|(_, char)| {
        let is_before = before < at;
        before += char.len_utf8();
        is_before
    });
    places.next().map_or(text.len(), |(start, _)| start)
}

/// The place of what stands between the white space of `text`, which begins at `start`.
fn trimmed(text: &str, start: usize) -> Span {
    let lead = text.len() - text.trim_start().len();
    Span::new(start + lead, start + lead + text.trim().len())
}

#[cfg(test)]
#[path = "spec_tests.rs"]
mod tests;
