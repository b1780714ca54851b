//! What an option is: its names in each layer, and the shape of its text.

/// One option: the flag `--NAME`, its variables, and the key `NAME` in a table of the configuration.
#[derive(Debug)]
pub(crate) struct Opt {
    /// Its name, in kebab case.
    pub(crate) name: &'static str,
    /// The flag's letter, if it has one.
    pub(crate) short: Option<char>,
    /// Other names of the flag.
    pub(crate) aliases: &'static [&'static str],
    /// The variables it is read from; the first one set wins.
    pub(crate) variables: &'static [&'static str],
    /// How it is written in the configuration.
    pub(crate) key: Key,
    /// What its text looks like.
    pub(crate) shape: Shape,
    /// What stands for its value in the help.
    pub(crate) placeholder: &'static str,
    /// What holds when nobody says anything, as the help tells it; empty when there is nothing to tell.
    pub(crate) default: &'static str,
    /// What it says, as a sentence without a full stop.
    pub(crate) summary: &'static str,
}

/// How an option is written in the configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// As a key in `[run]`.
    Run,
    /// As a key in `[exec]`.
    Exec,
    /// As tables of this name.
    Tables(&'static str),
    /// Not at all, since it says where the configuration is.
    None,
}

/// What the text of an option looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Any text.
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A path.
    Path,
    /// A time span such as `500ms`.
    Duration,
    /// A number of bytes such as `10M`.
    Size,
    /// Permission bits in octal.
    Mode,
    /// Several texts: the flag is repeated, the variable separates them.
    List,
    /// Several paths.
    Paths,
    /// On or off: the flag alone is on.
    Switch,
}

impl Opt {
    pub(super) const fn new(name: &'static str, shape: Shape, summary: &'static str) -> Self {
        Self {
            name,
            short: None,
            aliases: &[],
            variables: &[],
            key: Key::Run,
            shape,
            placeholder: match shape {
                Shape::Text | Shape::List => "TEXT",
                Shape::Word(_) => "WORD",
                Shape::Path | Shape::Paths => "FILE",
                Shape::Duration => "DUR",
                Shape::Size => "SIZE",
                Shape::Mode => "MODE",
                Shape::Switch => "true|false",
            },
            default: "",
            summary,
        }
    }

    pub(super) const fn short(mut self, short: char) -> Self {
        self.short = Some(short);
        self
    }

    pub(super) const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    pub(super) const fn variables(mut self, variables: &'static [&'static str]) -> Self {
        self.variables = variables;
        self
    }

    pub(super) const fn key(mut self, key: Key) -> Self {
        self.key = key;
        self
    }

    pub(super) const fn placeholder(mut self, placeholder: &'static str) -> Self {
        self.placeholder = placeholder;
        self
    }

    pub(super) const fn default(mut self, default: &'static str) -> Self {
        self.default = default;
        self
    }

    /// Whether it has several values.
    pub(crate) const fn is_list(&self) -> bool {
        matches!(self.shape, Shape::List | Shape::Paths)
    }
}
