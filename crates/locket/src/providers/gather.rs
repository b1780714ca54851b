//! What one instance was told, from all layers.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use locket_core::SecretBytes;
use locket_engine::InstanceLimits;
use locket_providers::{ConfigError, Credential, ProviderKind, Setting, SettingKind, Settings};

use super::choice::Choice;
use super::flags::id;
use super::meant::{Layer, is_meant};
use super::sections::{check_text, credential_name, is_owned, loans};
use crate::config::{ConfigFile, ProviderTable, TableName};
use crate::options::{Given, Layers, NOT_UTF8, Origin, table};

/// The name of the setting that `--token-file` stands for.
pub(super) const TOKEN_FILE: &str = "token-file";

/// What one instance was told.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// Everything but credentials that other providers have to be asked for.
    pub(super) settings: Settings,
    /// Credentials that are references.
    pub(super) references: Vec<(&'static Setting, Given)>,
    /// What is wrong with variables, which matters only when the instance is used.
    pub(super) error: Option<ConfigError>,
    /// What the user says about its use.
    pub(super) limits: InstanceLimits,
    /// Which layer each setting came from.
    pub(super) origins: Vec<(&'static Setting, Origin)>,
}

/// Whose settings are wanted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Subject<'a> {
    /// A provider under its own scheme: flags, variables, `[providers.SCHEME]` and `[PREFIX]` speak to it.
    Scheme(&'a str),
    /// A named instance: only `[providers.NAME]` speaks to it, so that no credential reaches another server than
    /// the one it was meant for.
    Instance(&'a str),
}

/// One setting from its strongest layer.
enum Found {
    Text(Given),
    Value(Arc<SecretBytes>, Origin),
    Reference(Given),
    List(Vec<Given>),
    Table(BTreeMap<String, Given>),
}

impl Found {
    /// Where it came from; of several texts, where the first did.
    fn origin(&self) -> Option<&Origin> {
        match self {
            Self::Text(given) | Self::Reference(given) => Some(&given.origin),
            Self::Value(_, origin) => Some(origin),
            Self::List(given) => given.first().map(|given| &given.origin),
            Self::Table(given) => given.values().next().map(|given| &given.origin),
        }
    }
}

/// Everything that the layers say about `subject`, a provider of `kind`.
pub(super) fn gather(
    layers: &Layers<'_>,
    choice: Choice,
    kind: &ProviderKind,
    subject: Subject<'_>,
) -> Gathered {
    let mut gathered = Gathered::default();
    for setting in kind.all_settings() {
        match find(layers, choice, kind, subject, setting) {
            Ok(None) => {}
            Ok(Some(found)) => gathered.add(setting, found),
            Err(error) => gathered.error = Some(error),
        }
    }
    for (name, limit) in [
        ("max-concurrent", &mut gathered.limits.max_concurrent),
        ("daily-budget", &mut gathered.limits.daily_budget),
    ] {
        match gathered.settings.count(name) {
            Ok(count) => *limit = count,
            Err(error) => gathered.error = Some(error),
        }
    }
    gathered.limits.daily_budget = gathered.limits.daily_budget.or(kind.facts.daily_budget);
    gathered
}

/// Whether any layer gives a credential to the provider of `kind` that serves `scheme`.
pub(super) fn has_credential(layers: &Layers<'_>, choice: Choice, kind: &ProviderKind, scheme: &str) -> bool {
    kind.all_settings()
        .filter(|setting| setting.kind == SettingKind::Credential)
        .any(|setting| {
            let found = find(layers, choice, kind, Subject::Scheme(scheme), setting);
            !matches!(found, Ok(None))
        })
}

impl Gathered {
    fn add(&mut self, setting: &'static Setting, found: Found) {
        let origin = found.origin().cloned();
        self.origins.extend(origin.map(|origin| (setting, origin)));
        let settings = std::mem::take(&mut self.settings);
        self.settings = match found {
            Found::Reference(given) => {
                self.references.push((setting, given));
                settings
            }
            Found::List(given) => settings.with_list(setting.name, texts(setting, given)),
            Found::Table(given) => {
                let texts = given.into_iter().map(|(name, given)| (name, given.text));
                settings.with_table(setting.name, texts)
            }
            Found::Value(value, _) => settings.with_credential(setting.name, Credential::Value(value)),
            Found::Text(given) => {
                // Files and flags were checked when they were read.
                if let (Origin::Variable(name), Err(wrong)) =
                    (&given.origin, check_text(setting, &given.text))
                {
                    self.error = Some(ConfigError {
                        message: format!("{name}: {}", wrong.message),
                        hint: wrong.help,
                    });
                }
                match setting.kind {
                    SettingKind::Credential => {
                        settings.with_credential(setting.name, Credential::File(given.path()))
                    }
                    SettingKind::Path | SettingKind::CredentialPath => {
                        settings.with(setting.name, given.path().to_string_lossy())
                    }
                    _ => settings.with(setting.name, given.text),
                }
            }
        };
    }
}

/// The texts of a list. A program that is named by a relative path counts from the file that names it; a name without
/// a slash is looked up in PATH.
fn texts(setting: &Setting, given: Vec<Given>) -> Vec<String> {
    let mut given: Vec<_> = given
        .into_iter()
        .map(|given| (given.path(), given.text))
        .collect();
    if let (SettingKind::Command, Some((path, program))) = (setting.kind, given.first_mut())
        && program.contains('/')
    {
        *program = PathBuf::from(&path).to_string_lossy().into_owned();
    }
    given.into_iter().map(|(_, text)| text).collect()
}

fn find(
    layers: &Layers<'_>,
    choice: Choice,
    kind: &ProviderKind,
    subject: Subject<'_>,
    setting: &'static Setting,
) -> Result<Option<Found>, ConfigError> {
    if let Subject::Instance(name) = subject {
        // A name that is a provider's prefix, too, would get what was meant for that one.
        let given = credential(layers, name, setting).filter(|_| !is_owned(name));
        return Ok(given.or_else(|| in_files(layers, kind, subject, setting, false)));
    }
    let is_chosen = choice.is(kind) && setting.name == TOKEN_FILE;
    let is_meant = |layer| is_chosen && is_meant(layers, layer, kind);
    let id = id(kind.prefix, setting.name);
    let flag = layers.flag(&id, &id).or_else(|| {
        let generic = table::TOKEN_FILE.name;
        let flag = layers.flag(generic, generic);
        flag.filter(|_| is_meant(Layer::of_flag(layers, generic)))
    });
    if let Some(given) = flag {
        return Ok(Some(Found::Text(given)));
    }
    if let Some(found) = in_variables(layers, setting)? {
        return Ok(Some(found));
    }
    let generic = table::TOKEN_FILE.variables.iter();
    for name in generic.filter(|_| is_meant(Layer::Variables)) {
        if let Some(given) = variable(layers, name)? {
            return Ok(Some(Found::Text(given)));
        }
    }
    if let Some(found) = credential(layers, kind.prefix, setting) {
        return Ok(Some(found));
    }
    let found = in_files(layers, kind, subject, setting, is_chosen);
    Ok(found.or_else(|| lent(layers, choice, kind, setting)))
}

/// The file that the service manager gave for `setting` of the provider or instance `of`. It was given to this
/// process as its variables were, so that it beats the files as they do.
fn credential(layers: &Layers<'_>, of: &str, setting: &'static Setting) -> Option<Found> {
    let name = credential_name(of, setting)?;
    layers.credential(&name).map(Found::Text)
}

/// The first variable that is set; a credential's also in its `_FILE` form.
fn in_variables(layers: &Layers<'_>, setting: &'static Setting) -> Result<Option<Found>, ConfigError> {
    for name in setting.env {
        let value = variable(layers, name)?;
        if setting.kind != SettingKind::Credential {
            match value {
                Some(given) => return Ok(Some(Found::Text(given))),
                None => continue,
            }
        }
        let file_name = format!("{name}_FILE");
        match (value, variable(layers, &file_name)?) {
            (Some(_), Some(_)) => {
                return Err(ConfigError::new(
                    format!("both {name} and {file_name} are set"),
                    "Unset one of the two.",
                ));
            }
            (Some(given), None) => {
                let value = SecretBytes::new(given.text.into_bytes());
                return Ok(Some(Found::Value(Arc::new(value), given.origin)));
            }
            (None, Some(file)) => return Ok(Some(Found::Text(file))),
            (None, None) => {}
        }
    }
    Ok(None)
}

fn variable(layers: &Layers<'_>, name: &str) -> Result<Option<Given>, ConfigError> {
    let told = |origin: Origin| ConfigError {
        message: format!("{origin}: {NOT_UTF8}"),
        hint: None,
    };
    layers.look_up(&[name]).map_err(told)
}

/// The strongest file that says something; in one file an instance's own table before that of its kind.
fn in_files(
    layers: &Layers<'_>,
    kind: &ProviderKind,
    subject: Subject<'_>,
    setting: &'static Setting,
    is_chosen: bool,
) -> Option<Found> {
    layers.files().enumerate().find_map(|(place, file)| {
        let own = own_table(file, subject).and_then(|table| in_table(table, setting));
        let generic = || {
            let text = file.text(&table::TOKEN_FILE).filter(|_| is_chosen);
            text.filter(|_| is_meant(layers, Layer::File(place), kind))
                .cloned()
        };
        match subject {
            Subject::Instance(_) => own,
            Subject::Scheme(_) => own
                .or_else(|| in_table(section(file, kind.prefix)?, setting))
                .or_else(|| generic().map(Found::Text)),
        }
    })
}

fn in_table(table: &ProviderTable, setting: &Setting) -> Option<Found> {
    let told = &table.told;
    let text = match setting.kind {
        SettingKind::Command | SettingKind::List => told.lists.get(setting.name).cloned().map(Found::List),
        SettingKind::Table => told.tables.get(setting.name).cloned().map(Found::Table),
        _ => told.texts.get(setting.name).cloned().map(Found::Text),
    };
    text.or_else(|| told.references.get(setting.name).cloned().map(Found::Reference))
}

fn own_table<'a>(file: &'a ConfigFile, subject: Subject<'_>) -> Option<&'a ProviderTable> {
    let (Subject::Scheme(wanted) | Subject::Instance(wanted)) = subject;
    let is_own =
        |table: &&ProviderTable| matches!(&table.name, TableName::Instance { name, .. } if name == wanted);
    file.providers.iter().find(is_own)
}

fn section<'a>(file: &'a ConfigFile, prefix: &str) -> Option<&'a ProviderTable> {
    let is_it = |table: &&ProviderTable| matches!(table.name, TableName::Section(name) if name == prefix);
    file.providers.iter().find(is_it)
}

/// A credential that another prefix lends to the chosen provider, when it has none of its own. One that stands beside
/// the name of the provider that it belongs to is not lent.
fn lent(layers: &Layers<'_>, choice: Choice, kind: &ProviderKind, setting: &Setting) -> Option<Found> {
    let loan =
        loans().find(|loan| loan.to == kind.name && loan.setting.name == setting.name && choice.is(kind))?;
    let id = id(loan.prefix, loan.setting.name);
    let is_lent = |layer| is_meant(layers, layer, kind);
    let flag = layers
        .flag(&id, &id)
        .filter(|_| is_lent(Layer::of_flag(layers, &id)));
    flag.map(Found::Text).or_else(|| {
        let mut files = layers.files().enumerate();
        files.find_map(|(place, file)| {
            let table = section(file, loan.prefix).filter(|_| is_lent(Layer::File(place)))?;
            in_table(table, loan.setting)
        })
    })
}
