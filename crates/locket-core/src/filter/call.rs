//! A filter with its arguments, checked when the template is parsed.

use super::hash::losing;
use super::table::FILTERS;
use crate::{Diagnostic, Span};

/// One argument of a filter: quoted text with its escapes undone, or a bare word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument {
    /// The text.
    pub text: String,
    /// Where it stands, quotes included.
    pub span: Span,
}

/// A filter at its place in a tag.
#[derive(Clone, Debug)]
pub struct FilterCall {
    /// What is done.
    pub filter: Filter,
    /// From the filter's name to its last argument.
    pub span: Span,
}

/// A filter with its arguments.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Filter {
    /// Standard base64 with padding.
    Base64,
    /// The bytes of standard or URL-safe base64, with or without padding; white space is skipped.
    Base64Decode,
    /// URL-safe base64 without padding.
    Base64Url,
    /// Lower-case hexadecimal.
    Hex,
    /// The SHA-256 digest in lower-case hexadecimal.
    Sha256,
    /// White space removed from both ends.
    Trim,
    /// Upper case.
    Upper,
    /// Lower case.
    Lower,
    /// Every `from` replaced by `to`.
    Replace {
        /// What is looked for; never empty.
        from: String,
        /// What takes its place.
        to: String,
    },
    /// The first N lines.
    Lines(usize),
    /// Every line but the first indented by N spaces.
    Indent(usize),
    /// The part of a JSON value at a path.
    Json(String),
    /// Percent-encoded for any part of a URL.
    Url,
    /// One quoted word of a POSIX shell.
    Shell,
    /// A value of an env file, quoted where needed.
    Dotenv,
    /// A JSON string, quotes included.
    JsonString,
    /// A double-quoted YAML string.
    YamlString,
    /// A basic TOML string.
    TomlString,
    /// The PEM blocks with this label, in their order.
    Pem(String),
    /// Stands in when the provider says that there is no such secret.
    Default(String),
    /// The current TOTP code of a seed.
    Totp,
    /// A bcrypt hash at cost 12.
    Bcrypt,
    /// `user:` and a bcrypt hash.
    Htpasswd(String),
}

impl PartialEq for FilterCall {
    /// Equal when they do the same; the place does not matter.
    fn eq(&self, other: &Self) -> bool {
        self.filter == other.filter
    }
}

impl Eq for FilterCall {}

impl std::hash::Hash for FilterCall {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.filter.hash(state);
    }
}

impl Filter {
    /// The filter `name` with these arguments.
    ///
    /// # Errors
    /// An unknown name, or arguments that the filter does not take, with the place and the nearest name.
    pub fn parse(name: &Argument, arguments: &[Argument]) -> Result<Self, Diagnostic> {
        let Some(kind) = FILTERS.iter().find(|kind| kind.name == name.text) else {
            return Err(
                Diagnostic::error(name.span, format!("there is no filter `{}`", name.text))
                    .label("unknown filter")
                    .help(format!(
                        "The filters are {}.",
                        FILTERS
                            .iter()
                            .map(|kind| kind.name)
                            .collect::<Vec<_>>()
                            .join(", ")
                    ))
                    .did_you_mean(&name.text, FILTERS.iter().map(|kind| kind.name)),
            );
        };
        if arguments.len() != kind.arguments.len() {
            let span = match (arguments.first(), arguments.last()) {
                (Some(first), Some(last)) => Span::new(first.span.start, last.span.end),
                _ => name.span,
            };
            return Err(Diagnostic::error(
                span,
                format!("`{}` takes {}", kind.name, count(kind.arguments.len())),
            )
            .label(format!("{} given", arguments.len()))
            .help(format!("Write `| {}`.", kind.usage())));
        }
        (kind.build)(arguments)
    }

    /// Refuses filters behind a password hash through which the output does not show it any more.
    ///
    /// # Errors
    /// There is one, with its place.
    pub(crate) fn check_order(filters: &[FilterCall]) -> Result<(), Diagnostic> {
        match losing(filters) {
            None => Ok(()),
            Some(call) => Err(Diagnostic::error(
                call.span,
                "behind this filter a password hash is not found again, and every run would make another",
            )
            .label("hides the hash for ever")
            .help("Put nothing but encodings behind a password hash, such as `base64` or `url`.")),
        }
    }

    /// Whether it makes something of an optional secret that is not there. A digest or password hash of nothing
    /// would pass for one of something.
    pub(crate) fn takes_nothing(&self) -> bool {
        !matches!(
            self,
            Self::Sha256 | Self::Json(_) | Self::Pem(_) | Self::Totp | Self::Bcrypt | Self::Htpasswd(_)
        )
    }

    /// Whether nothing of the value can be told from what it makes.
    pub(crate) fn is_digest(&self) -> bool {
        matches!(self, Self::Sha256 | Self::Bcrypt | Self::Htpasswd(_))
    }

    /// Whether it takes a good part of a second.
    pub fn is_slow(&self) -> bool {
        matches!(self, Self::Bcrypt | Self::Htpasswd(_))
    }
}

fn count(arguments: usize) -> String {
    match arguments {
        0 => "no argument".into(),
        1 => "one argument".into(),
        other => format!("{other} arguments"),
    }
}
