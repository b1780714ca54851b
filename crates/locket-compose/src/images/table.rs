//! The rows of `images.toml` as types. What a column means stands at the head of that file.

use std::sync::LazyLock;

use serde::Deserialize;

/// What is known of the images of one program.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Image {
    /// What people call it.
    pub title: String,
    /// Repositories without registry and tag; `OWNER/*` is every other image of an owner.
    pub names: Vec<String>,
    /// Those of the names whose images bring no health check of their own.
    #[serde(default)]
    pub unasked: Vec<String>,
    /// Where its makers say what this row says.
    pub source: String,
    /// What of the row could not be compared with that source.
    pub unverified: Option<String>,
    /// The user that reads the files; 0 where the container starts as root and reads before it steps down.
    pub reader: u32,
    /// A variable of the container that names another user.
    pub reader_variable: Option<String>,
    /// Variables that hold a secret.
    #[serde(default)]
    pub secrets: Vec<Variable>,
    /// Variables without a secret that take a file, too, under `VARIABLE_FILE`.
    #[serde(default)]
    pub plain: Vec<String>,
    /// Variables that begin alike and can all come from files.
    pub family: Option<Family>,
    /// Names that look like variables for files and are none.
    #[serde(default)]
    pub refused: Vec<String>,
    /// What the image starts, where some secret cannot come from a file by itself.
    pub start: Option<Start>,
    /// A shell command that succeeds when the service works; `{secret}` is the name of its secret.
    pub health: Option<String>,
    /// How a password is changed inside.
    pub recipe: Option<Recipe>,
    /// Whether it refuses to start when a variable and its file are both set, be the variable empty.
    #[serde(default)]
    pub exclusive: bool,
    /// Whether it keeps what the password protects: then the file alone must not change.
    #[serde(default)]
    pub database: bool,
    /// The variable that names the user whose password it is.
    pub user: Option<String>,
}

/// A variable that holds a secret.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Variable {
    /// The variable that holds the value itself.
    pub variable: String,
    /// The variable that names a file instead; without it the image reads no file for this one.
    pub file: Option<String>,
    /// What stands before the path in that variable.
    #[serde(default)]
    pub prefix: String,
    /// What the secret is called, where the variable's own name says too little.
    pub secret: Option<String>,
    /// Whose secret it is.
    pub role: Option<Role>,
    /// Whether the image does not start without it.
    #[serde(default)]
    pub required: bool,
    /// Whether the image refuses a file that others can read, too.
    #[serde(default)]
    pub owner_only: bool,
}

/// Variables of one beginning that can all come from files.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Family {
    /// How they begin.
    pub of: String,
    /// What the variable of the file has before that.
    pub before: String,
    /// What it has behind.
    pub after: String,
    /// What stands before the path in it.
    #[serde(default)]
    pub prefix: String,
}

/// What an image starts.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Start {
    /// Its entrypoint.
    pub entrypoint: Vec<String>,
    /// Its command.
    pub command: Vec<String>,
    /// The configuration directive that takes the secret, where the program reads its configuration from standard input
    /// and no variable.
    pub config: Option<String>,
}

/// Whose secret it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The one who may do everything.
    Superuser,
    /// A user that the image makes.
    User,
    /// The service itself: everybody who connects gives it.
    Server,
}

/// How a password is changed inside a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Recipe {
    /// By `psql`.
    Postgres,
    /// By `mariadb` or `mysql`.
    Mysql,
    /// By `redis-cli` or `valkey-cli`.
    Redis,
}

/// How a variable is given by a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileForm {
    /// The variable that names the file.
    pub variable: String,
    /// What stands before the path in it.
    pub prefix: String,
}

impl Image {
    /// The row of the secret that `variable` holds.
    pub fn secret(&self, variable: &str) -> Option<&Variable> {
        self.secrets.iter().find(|secret| secret.variable == variable)
    }

    /// How the value of `variable` can come from a file; `None` where the image has no way.
    pub fn file_form(&self, variable: &str) -> Option<FileForm> {
        if let Some(secret) = self.secret(variable) {
            let variable = secret.file.clone()?;
            return Some(FileForm {
                variable,
                prefix: secret.prefix.clone(),
            });
        }
        if self.plain.iter().any(|name| name == variable) {
            return Some(FileForm {
                variable: format!("{variable}_FILE"),
                prefix: String::new(),
            });
        }
        let family = self.family.as_ref()?;
        variable.starts_with(&family.of).then(|| FileForm {
            variable: format!("{}{variable}{}", family.before, family.after),
            prefix: family.prefix.clone(),
        })
    }

    /// The variable whose value comes from the file that `file_variable` names; `None` where the image does not read it.
    pub fn variable_of<'a>(&'a self, file_variable: &'a str) -> Option<&'a str> {
        let of_secret = self
            .secrets
            .iter()
            .find(|secret| secret.file.as_deref() == Some(file_variable));
        if let Some(secret) = of_secret {
            return Some(&secret.variable);
        }
        let plain = file_variable.strip_suffix("_FILE");
        if let Some(name) = plain.filter(|name| self.plain.iter().any(|known| known == name)) {
            return Some(name);
        }
        if self.refused.iter().any(|name| name == file_variable) {
            return None;
        }
        let family = self.family.as_ref()?;
        let inner = file_variable
            .strip_prefix(family.before.as_str())?
            .strip_suffix(family.after.as_str())?;
        (inner.starts_with(&family.of) && !inner.is_empty()).then_some(inner)
    }
}

/// Every row, in the order of the table.
pub fn all() -> &'static [Image] {
    static TABLE: LazyLock<Vec<Image>> = LazyLock::new(|| parse().unwrap_or_default());
    &TABLE
}

/// A test keeps the table free of mistakes.
pub(super) fn parse() -> Result<Vec<Image>, toml::de::Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Table {
        image: Vec<Image>,
    }
    toml::from_str::<Table>(include_str!("images.toml")).map(|table| table.image)
}
