//! How a consumer is told that its secrets changed.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::signal::Signal;
use crate::spec::OPTIONS;
use crate::{Diagnostic, Span};

/// One way to tell one consumer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Runs a program, without a shell.
    Exec {
        /// The program and its arguments; never empty.
        argv: Vec<String>,
    },
    /// Signals the process whose id stands in a file.
    Pid {
        /// The file.
        file: PathBuf,
        /// The signal.
        signal: Signal,
    },
    /// Signals or restarts a container.
    Container {
        /// Its name or id.
        name: String,
        /// What is done to it.
        order: ContainerOrder,
    },
    /// Signals or restarts every container of a service of Compose.
    Compose {
        /// The project.
        project: String,
        /// The service.
        service: String,
        /// What is done to each.
        order: ContainerOrder,
    },
    /// Updates a service of a swarm, task by task.
    Service {
        /// Its name or id.
        name: String,
    },
    /// Reloads or restarts a unit of systemd.
    Unit {
        /// Its name.
        name: String,
        /// What is done to it.
        order: UnitOrder,
    },
    /// Sends the names of the changed files to a server.
    Http {
        /// An `http://` or `https://` address.
        url: String,
    },
    /// Does to a container what its image is known to need.
    Auto {
        /// Its name or id.
        name: String,
    },
}

/// What is done to a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ContainerOrder {
    /// It is sent a signal.
    Signal(Signal),
    /// It is restarted.
    Restart,
}

/// What is done to a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnitOrder {
    /// It is told to read its files again.
    Reload,
    /// It is restarted.
    Restart,
}

/// A kind of action: its name, its form, and what reads the rest of it.
struct Kind {
    name: &'static str,
    form: &'static str,
    parse: fn(&str, &'static str) -> Result<Action, Diagnostic>,
}

/// Every kind of action.
const KINDS: &[Kind] = &[
    Kind {
        name: "exec",
        form: "exec:COMMAND",
        parse: exec,
    },
    Kind {
        name: "pid",
        form: "pid:FILE:SIGNAL",
        parse: pid,
    },
    Kind {
        name: "container",
        form: "container:NAME:SIGNAL",
        parse: container,
    },
    Kind {
        name: "compose",
        form: "compose:PROJECT/SERVICE:SIGNAL",
        parse: compose,
    },
    Kind {
        name: "service",
        form: "service:NAME",
        parse: |rest, form| {
            let name = container_name(rest, form)?;
            Ok(Action::Service { name })
        },
    },
    Kind {
        name: "unit",
        form: "unit:NAME:reload",
        parse: unit,
    },
    Kind {
        name: "http",
        form: "http:URL",
        parse: http,
    },
    Kind {
        name: "auto",
        form: "auto:NAME",
        parse: |rest, form| {
            let name = container_name(rest, form)?;
            Ok(Action::Auto { name })
        },
    },
];

impl Action {
    /// Parses `KIND:…`.
    ///
    /// # Errors
    /// An unknown kind, or a mistake behind it, with the place.
    pub fn parse(text: &str) -> Result<Self, Diagnostic> {
        let (name, rest) = text.split_once(':').unwrap_or((text, ""));
        // An address stands for itself.
        if matches!(name, "http" | "https") && rest.starts_with("//") {
            return http(text, "http:URL");
        }
        let Some(kind) = KINDS.iter().find(|kind| kind.name == name) else {
            let forms = KINDS.iter().map(|kind| format!("`{}`", kind.form));
            return Err(
                Diagnostic::error(0..name.len(), format!("there is no notification `{name}`"))
                    .help(format!("Write one of {}.", forms.collect::<Vec<_>>().join(", ")))
                    .did_you_mean(name, KINDS.iter().map(|kind| kind.name)),
            );
        };
        let offset = text.len() - rest.len();
        (kind.parse)(rest, kind.form).map_err(|wrong| match wrong.span {
            // What is missing has no place of its own.
            Span { start, end } if start == end => Diagnostic {
                span: Span::new(0, text.len()),
                ..wrong
            },
            _ => wrong.shifted(offset),
        })
    }

    /// A container that is told by `order`.
    ///
    /// # Errors
    /// No container has this name; the span covers the whole of `name`.
    pub fn container(name: &str, order: ContainerOrder) -> Result<Self, Diagnostic> {
        let name = container_name(name, "container:NAME:SIGNAL")?;
        Ok(Self::Container { name, order })
    }
}

impl ContainerOrder {
    /// Parses a signal or `restart`.
    ///
    /// # Errors
    /// It is neither; the span covers the whole of `text`.
    pub fn parse(text: &str) -> Result<Self, Diagnostic> {
        match text {
            "restart" => Ok(Self::Restart),
            _ => Signal::parse(text).map(Self::Signal).map_err(|wrong| {
                match crate::suggest::nearest(text, ["restart"]) {
                    Some(_) => wrong.help("Did you mean `restart`?"),
                    None => wrong,
                }
            }),
        }
    }
}

fn exec(rest: &str, _: &'static str) -> Result<Action, Diagnostic> {
    let whole = Span::new(0, rest.len());
    match split_words(rest) {
        Some(argv) if !argv.is_empty() => Ok(Action::Exec { argv }),
        Some(_) => Err(Diagnostic::error(0..0, "`exec:` names no program")
            .help("Write the program and its arguments after it: `exec:nginx -s reload`.")),
        None => Err(
            Diagnostic::error(whole, "a quote in this command is never closed")
                .help("The command is split into words as a shell would, and run without one."),
        ),
    }
}

fn pid(rest: &str, _: &'static str) -> Result<Action, Diagnostic> {
    let Some((file, signal)) = rest.rsplit_once(':').filter(|(file, _)| !file.is_empty()) else {
        return Err(Diagnostic::error(0..0, "`pid:` wants a file and a signal")
            .help("Write it like `pid:/run/nginx.pid:HUP`."));
    };
    let offset = rest.len() - signal.len();
    let signal = Signal::parse(signal).map_err(|error| error.shifted(offset))?;
    Ok(Action::Pid {
        file: file.into(),
        signal,
    })
}

fn container(rest: &str, form: &'static str) -> Result<Action, Diagnostic> {
    let (name, order) = named_and_ordered(rest, form)?;
    Ok(Action::Container {
        name: container_name(name, form)?,
        order,
    })
}

fn compose(rest: &str, form: &'static str) -> Result<Action, Diagnostic> {
    let (name, order) = named_and_ordered(rest, form)?;
    let Some((project, service)) = name.split_once('/') else {
        return Err(
            Diagnostic::error(0..name.len(), "a service of Compose is named with its project")
                .help("Write `compose:PROJECT/SERVICE:SIGNAL`; `docker compose ls` lists the projects."),
        );
    };
    let offset = project.len() + 1;
    Ok(Action::Compose {
        project: container_name(project, form)?,
        service: container_name(service, form).map_err(|wrong| wrong.shifted(offset))?,
        order,
    })
}

fn unit(rest: &str, form: &'static str) -> Result<Action, Diagnostic> {
    let Some((name, order)) = rest.rsplit_once(':').filter(|(name, _)| !name.is_empty()) else {
        return Err(missing(form));
    };
    let at = name.len() + 1;
    let order = match order {
        "reload" => UnitOrder::Reload,
        "restart" => UnitOrder::Restart,
        other => {
            let wrong = Diagnostic::error(at..rest.len(), format!("a unit cannot be told `{other}`"));
            return Err(wrong
                .help("Write `reload` or `restart`.")
                .did_you_mean(other, ["reload", "restart"]));
        }
    };
    // What systemd.unit(5) allows in a name; a leading hyphen would be an option.
    let allowed = |char: char| char.is_ascii_alphanumeric() || ":-_.\\@".contains(char);
    if name.starts_with('-') || name.len() > 255 || !name.chars().all(allowed) {
        let wrong = Diagnostic::error(0..name.len(), format!("`{name}` is not the name of a unit"));
        return Err(wrong.help("Write it as `systemctl` shows it, such as `nginx.service`."));
    }
    Ok(Action::Unit {
        name: name.to_owned(),
        order,
    })
}

fn http(rest: &str, _: &'static str) -> Result<Action, Diagnostic> {
    const FORM: &str = "Write it like `http:https://hooks.example.com/reload`.";
    let whole = Span::new(0, rest.len());
    let wrong = |why: &str| Err(Diagnostic::error(whole, why).help(FORM));
    let Some(address) = rest
        .strip_prefix("https://")
        .or_else(|| rest.strip_prefix("http://"))
    else {
        return wrong("this is not an http:// or https:// address");
    };
    let authority = address.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.is_empty() {
        return wrong("this address has no host");
    }
    if authority.contains('@') {
        return wrong("this address carries a user name or password");
    }
    if rest.chars().any(|char| char.is_whitespace() || char.is_control()) {
        return wrong("this address holds white space");
    }
    Ok(Action::Http { url: rest.to_owned() })
}

/// `NAME:SIGNAL` or `NAME:restart`.
fn named_and_ordered<'a>(rest: &'a str, form: &'static str) -> Result<(&'a str, ContainerOrder), Diagnostic> {
    let Some((name, order)) = rest.rsplit_once(':').filter(|(name, _)| !name.is_empty()) else {
        return Err(missing(form));
    };
    let order = ContainerOrder::parse(order).map_err(|wrong| wrong.shifted(name.len() + 1))?;
    Ok((name, order))
}

fn missing(form: &'static str) -> Diagnostic {
    Diagnostic::error(0..0, "this notification lacks a part").help(format!("Write `{form}`."))
}

/// A name as container engines give them; it becomes a part of an address.
fn container_name(name: &str, form: &'static str) -> Result<String, Diagnostic> {
    if name.is_empty() {
        return Err(missing(form));
    }
    let allowed = |char: char| char.is_ascii_alphanumeric() || "_.-".contains(char);
    let begins_well = name.starts_with(|char: char| char.is_ascii_alphanumeric() || char == '_');
    if !begins_well || name.len() > 255 || !name.chars().all(allowed) {
        let wrong = Diagnostic::error(0..name.len(), format!("`{name}` is not the name of a container"));
        return Err(wrong.help("Write it as `docker ps --format '{{.Names}}'` shows it."));
    }
    Ok(name.to_owned())
}

impl fmt::Display for Action {
    /// Names the consumer; a command's arguments and an address's path may say more than a log should.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exec { argv } => write!(f, "exec:{}", argv.first().map_or("", String::as_str)),
            Self::Pid { file, signal } => write!(f, "pid:{}:{signal}", file.display()),
            Self::Container { name, order } => write!(f, "container:{name}:{order}"),
            Self::Compose {
                project,
                service,
                order,
            } => write!(f, "compose:{project}/{service}:{order}"),
            Self::Service { name } => write!(f, "service:{name}"),
            Self::Unit { name, order } => write!(f, "unit:{name}:{order}"),
            Self::Http { url } => {
                let host = url.split('/').take(3).collect::<Vec<_>>().join("/");
                write!(f, "http:{}", host.split(['?', '#']).next().unwrap_or_default())
            }
            Self::Auto { name } => write!(f, "auto:{name}"),
        }
    }
}

impl fmt::Display for ContainerOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal(signal) => signal.fmt(f),
            Self::Restart => f.write_str("restart"),
        }
    }
}

impl fmt::Display for UnitOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reload => "reload",
            Self::Restart => "restart",
        })
    }
}

/// `text`, in which actions may stand, as messages may show it: of an address only the host, since what is before or
/// behind it may be a credential. Every byte keeps its place.
pub fn veiled(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        // Who is told is written at the beginning of an entry or under this name.
        let begin = rest.trim_start_matches(|char: char| char.is_whitespace() || "\"'".contains(char));
        shown.push_str(&rest[..rest.len() - begin.len()]);
        let (entry, after) = begin.split_at(end_of_address(begin));
        if is_address(entry) {
            veil(entry, &mut shown);
            rest = after;
            continue;
        }
        let next = begin.char_indices().find_map(|(at, char)| match char {
            ',' | ';' | '\n' => Some(at + 1),
            '=' if begin[..at].ends_with("notify") => Some(at + 1),
            _ => None,
        });
        let (passed, after) = begin.split_at(next.unwrap_or(begin.len()));
        shown.push_str(passed);
        rest = after;
    }
    shown
}

/// Whether a text begins as an address does, or as one with a mistake in it.
fn is_address(text: &str) -> bool {
    let is_of_scheme = |char: char| char.is_ascii_alphanumeric() || "+-.".contains(char);
    let rest = text.trim_start_matches(is_of_scheme);
    rest.starts_with("://") || rest.starts_with(':') && text.starts_with("http")
}

/// Where the next entry or option begins, if the text begins with an address. Anything else may belong to it.
fn end_of_address(text: &str) -> usize {
    let begins_another = |rest: &str| {
        let word = rest.trim_start().split_inclusive([':', '=']).next();
        word.is_some_and(|word| match word.strip_suffix(':') {
            Some(kind) => kind == "https" || KINDS.iter().any(|known| known.name == kind),
            None => word.strip_suffix('=').is_some_and(|name| OPTIONS.contains(&name)),
        })
    };
    let mut places = text.char_indices();
    let end = places.find(|(at, char)| match char {
        ';' | '\n' => true,
        ',' => begins_another(&text[at + 1..]),
        _ => false,
    });
    end.map_or(text.len(), |(at, _)| at)
}

fn veil(address: &str, shown: &mut String) {
    let mut rest = address;
    while let Some((scheme, after)) = rest.split_once(':')
        && scheme
            .chars()
            .all(|char| char.is_ascii_alphanumeric() || "+-.".contains(char))
        && (after.starts_with("//") || scheme.starts_with("http"))
    {
        rest = after;
    }
    let rest = rest.trim_start_matches('/');
    let host = rest.rfind('@').unwrap_or(0);
    let path = rest[host..]
        .find(['/', '?', '#'])
        .map_or(rest.len(), |at| host + at);
    let stars = |text: &str| -> String {
        let star = |byte: u8| {
            if byte.is_ascii_whitespace() {
                char::from(byte)
            } else {
                '*'
            }
        };
        text.bytes().map(star).collect()
    };
    shown.push_str(&address[..address.len() - rest.len()]);
    shown.push_str(&stars(&rest[..host]));
    shown.push_str(&rest[host..path]);
    shown.push_str(&stars(&rest[path..]));
}

/// Splits a command as a shell would: white space, single and double quotes, backslashes. `None` when a quote is
/// never closed.
pub fn split_words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            char if char.is_whitespace() => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '\'' => break,
                        char => word.push(char),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '"' => break,
                        '\\' => match chars.next()? {
                            escaped @ ('"' | '\\' | '$' | '`') => word.push(escaped),
                            other => word.extend(['\\', other]),
                        },
                        char => word.push(char),
                    }
                }
            }
            '\\' => word.get_or_insert_default().push(chars.next()?),
            char => word.get_or_insert_default().push(char),
        }
    }
    words.extend(word);
    Some(words)
}

#[cfg(test)]
#[path = "action_tests.rs"]
mod tests;
