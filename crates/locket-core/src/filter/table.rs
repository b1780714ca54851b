//! The one table of filters.

use super::call::{Argument, Filter};
use crate::Diagnostic;

/// One filter: how it is written and what it does.
#[derive(Debug)]
pub struct FilterKind {
    /// Its name in a tag.
    pub name: &'static str,
    /// Its arguments, as they are shown in help.
    pub arguments: &'static [&'static str],
    /// What it does, as a sentence without a full stop.
    pub summary: &'static str,
    /// Makes the filter of arguments whose number is right.
    pub(super) build: fn(&[Argument]) -> Result<Filter, Diagnostic>,
}

/// Every filter, in the order of the reference page.
pub static FILTERS: &[FilterKind] = &[
    plain("base64", "Standard base64 with padding, on one line", |_| {
        Ok(Filter::Base64)
    }),
    plain(
        "base64-decode",
        "The bytes that base64 stands for: either alphabet, with or without padding and white space",
        |_| Ok(Filter::Base64Decode),
    ),
    plain("base64url", "URL-safe base64 without padding", |_| {
        Ok(Filter::Base64Url)
    }),
    plain("hex", "Lower-case hexadecimal", |_| Ok(Filter::Hex)),
    plain("sha256", "The SHA-256 digest in hexadecimal", |_| {
        Ok(Filter::Sha256)
    }),
    plain("trim", "No white space at either end", |_| Ok(Filter::Trim)),
    plain("upper", "Upper case", |_| Ok(Filter::Upper)),
    plain("lower", "Lower case", |_| Ok(Filter::Lower)),
    FilterKind {
        name: "replace",
        arguments: &["\"FROM\"", "\"TO\""],
        summary: "Every FROM replaced by TO",
        build: |arguments| match arguments[0].text.is_empty() {
            true => Err(
                Diagnostic::error(arguments[0].span, "`replace` cannot look for nothing")
                    .help("Give the text to be replaced."),
            ),
            false => Ok(Filter::Replace {
                from: arguments[0].text.clone(),
                to: arguments[1].text.clone(),
            }),
        },
    },
    FilterKind {
        name: "lines",
        arguments: &["N"],
        summary: "The first N lines, without the end of the last",
        build: |arguments| number(&arguments[0]).map(Filter::Lines),
    },
    FilterKind {
        name: "indent",
        arguments: &["N"],
        summary: "All lines but the first indented by N spaces",
        build: |arguments| number(&arguments[0]).map(Filter::Indent),
    },
    FilterKind {
        name: "json",
        arguments: &["\"PATH\""],
        summary: "The part of a JSON value at a dotted path or JSON pointer",
        build: |arguments| Ok(Filter::Json(arguments[0].text.clone())),
    },
    plain("url", "Percent-encoded for any part of a URL", |_| {
        Ok(Filter::Url)
    }),
    plain("shell", "One quoted word of a POSIX shell", |_| Ok(Filter::Shell)),
    plain(
        "dotenv",
        "A value of an env file, as Compose reads it, quotes included",
        |_| Ok(Filter::Dotenv),
    ),
    plain("json-string", "A JSON string, quotes included", |_| {
        Ok(Filter::JsonString)
    }),
    plain("yaml-string", "A YAML string, quotes included", |_| {
        Ok(Filter::YamlString)
    }),
    plain("toml-string", "A TOML string, quotes included", |_| {
        Ok(Filter::TomlString)
    }),
    FilterKind {
        name: "pem",
        arguments: &["\"LABEL\""],
        summary: "The PEM blocks with this label, in order",
        build: |arguments| {
            let label = &arguments[0];
            if label.text.is_empty() || label.text.contains(['-', '\n', '\r']) {
                return Err(
                    Diagnostic::error(label.span, "this is not the label of a PEM block")
                        .help("Write what stands between `-----BEGIN ` and `-----`, such as `CERTIFICATE`."),
                );
            }
            Ok(Filter::Pem(label.text.clone()))
        },
    },
    FilterKind {
        name: "default",
        arguments: &["\"VALUE\""],
        summary: "VALUE, where the provider says that there is no such secret or field",
        build: |arguments| Ok(Filter::Default(arguments[0].text.clone())),
    },
    plain(
        "totp",
        "The current one-time code (RFC 6238) of an `otpauth://` URI or base32 key",
        |_| Ok(Filter::Totp),
    ),
    plain(
        "bcrypt",
        "A bcrypt hash at cost 12, kept while the value stays",
        |_| Ok(Filter::Bcrypt),
    ),
    FilterKind {
        name: "htpasswd",
        arguments: &["\"USER\""],
        summary: "A line `USER:hash` for basic authentication, kept while the value stays",
        build: |arguments| {
            let user = &arguments[0];
            if user.text.is_empty() || user.text.contains([':', '\n', '\r']) {
                return Err(
                    Diagnostic::error(user.span, "this cannot be a user name in an htpasswd file")
                        .help("Use a name without `:` and without line breaks."),
                );
            }
            Ok(Filter::Htpasswd(user.text.clone()))
        },
    },
];

impl FilterKind {
    /// The filter as it is written in a tag, with its arguments' names.
    pub fn usage(&self) -> String {
        std::iter::once(self.name)
            .chain(self.arguments.iter().copied())
            .collect::<Vec<_>>()
            .join(" ")
    }
}

const fn plain(
    name: &'static str,
    summary: &'static str,
    build: fn(&[Argument]) -> Result<Filter, Diagnostic>,
) -> FilterKind {
    FilterKind {
        name,
        arguments: &[],
        summary,
        build,
    }
}

fn number(argument: &Argument) -> Result<usize, Diagnostic> {
    argument
        .text
        .parse()
        .ok()
        .filter(|number| *number <= 100_000)
        .ok_or_else(|| {
            Diagnostic::error(
                argument.span,
                format!("`{}` is not a number of lines or spaces", argument.text),
            )
            .help("Write a whole number up to 100000.")
        })
}
