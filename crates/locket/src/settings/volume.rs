//! What the options of a Docker volume say. They are the only ones that say what goes into it: maps and secrets of the
//! configuration are for `run`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ArgMatches;
use locket_core::plan::{Access, Map, OnError, OutputSettings, Plan, Secret, Source};
use locket_core::spec::{self, SecretSpec};
use locket_core::{Action, Diagnostic, lists};
use locket_engine::agent::Mode;
use locket_providers::SettingKind;
use locket_sys::mount::{Memory, MountLimits};

use super::common::{Common, Loaded, load_quietly};
use super::plan::MAX_FILE_SIZE;
use crate::config;
use crate::context::Context;
use crate::options::{self, Beforehand, Given, Layers, Origin, table, values};
use crate::providers;
use crate::report::{Failure, Problem};

/// A volume, settled.
#[derive(Debug)]
pub(crate) struct VolumeSettings {
    /// What goes into it.
    pub(crate) plan: Plan,
    /// The file system that holds it.
    pub(crate) memory: Memory,
    /// Whether containers may change it.
    pub(crate) writing: Writing,
    /// Whether templates are followed.
    pub(crate) mode: Mode,
    /// Time between two refreshes.
    pub(crate) refresh: Option<Duration>,
    /// What becomes of files whose secrets have no value.
    pub(crate) on_error: OnError,
    /// Who is told of changes.
    pub(crate) actions: Vec<Action>,
    /// The providers.
    pub(crate) common: Common,
}

/// Whether containers may change what is in a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writing {
    /// As its modes say.
    Allowed,
    /// Not at all.
    Refused,
}

/// What stands before the name of a file.
const SECRET: &str = "secret.";

/// The options that a volume has beside `secret.NAME` and those of providers, with what they say.
pub(crate) const OPTIONS: [(&str, &str); 11] = [
    (
        "template",
        "File or directory of templates, whose outputs have the same names",
    ),
    ("size", "How much the volume may hold [default: 8M]"),
    ("mode", "Mode of its directory [default: 0755]"),
    ("user", "Numeric owner of its directory and files [default: 0:0]"),
    ("file-mode", "Mode of its files [default: 0444]"),
    (
        "flags",
        "Between commas: `ro`, `rw`, `exec`, `suid`, `dev` [default: rw; programs, set-user-id and devices are refused]",
    ),
    (
        "refresh",
        "Time after which the providers are asked again, or `off` [default: 6h]",
    ),
    ("watch", "Whether edits of templates are followed [default: true]"),
    (
        "on-error",
        "What happens to a file whose secrets have no value: `keep`, `error`, `passthrough`, `ignore` [default: keep]",
    ),
    (
        "notify",
        "Who is told of changes, between `;`: `container:NAME:SIGNAL` and others",
    ),
    (
        "config",
        "Configuration file of the providers, in the place of the plugin's; several between `;`",
    ),
];

/// How much a volume may hold when nothing is said.
const SIZE: u64 = 8 << 20;

/// As the engine has it for the directory and the files of its own secrets.
const MODES: (u32, u32) = (0o755, 0o444);

const REFRESH: Duration = Duration::from_secs(6 * 60 * 60);

/// How long a template must be gone before its output follows.
const DELETE_AFTER: Duration = Duration::from_secs(10);

/// What a plugin was told about providers on its command line: it holds for volumes that say nothing else.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inherited(BTreeMap<String, Vec<String>>);

impl Inherited {
    /// What `matches` of the plugin say.
    pub(crate) fn of(matches: &ArgMatches) -> Self {
        let command = reading(clap::Command::new("volume"));
        let texts = |arg: &clap::Arg| {
            let id = arg.get_id().as_str();
            let texts = matches.try_get_many::<String>(id).ok().flatten()?;
            Some((id.to_owned(), texts.cloned().collect()))
        };
        Self(command.get_arguments().filter_map(texts).collect())
    }

    /// Which flags of the command line with `more` are the plugin's, and which provider those and its variables are for.
    /// A volume that asks another one does not hand it the plugin's token.
    fn beforehand(&self, more: &BTreeMap<String, Vec<String>>, context: &Context) -> Beforehand {
        let flags = self.0.keys().filter(|name| !more.contains_key(*name));
        let provider = more
            .get(table::PROVIDER.name)
            .and_then(|_| self.0.get(table::PROVIDER.name)?.first())
            .map(|text| Given {
                text: text.clone(),
                origin: Origin::Flag(format!("--{}", table::PROVIDER.name)),
                base: context.directory.as_path().into(),
            });
        let has_other_files = more.contains_key(table::CONFIG.name);
        Beforehand {
            flags: flags.cloned().collect(),
            provider,
            has_other_files,
            configured: has_other_files.then(|| self.configured(context)).flatten(),
        }
    }

    /// The provider that the plugin's own configuration names.
    fn configured(&self, context: &Context) -> Option<Given> {
        let line = self.over(BTreeMap::new());
        let matches = reading(clap::Command::new("volume"))
            .try_get_matches_from(line)
            .ok()?;
        let found = config::load(&matches, context);
        let layers = Layers::new(&matches, context, &found.files);
        let mut files = layers.files();
        files.find_map(|file| file.text(&table::PROVIDER).cloned())
    }

    /// As a command line, with `more` in the place of what has the same name.
    fn over(&self, more: BTreeMap<String, Vec<String>>) -> Vec<String> {
        let mut all = self.0.clone();
        all.extend(more);
        let all = all.into_iter().flat_map(|(name, texts)| {
            let flags = texts.into_iter().map(move |text| format!("--{name}={text}"));
            flags.collect::<Vec<_>>()
        });
        std::iter::once("volume".to_owned()).chain(all).collect()
    }
}

/// What `given` say of providers: volumes that say the same can share them.
pub(crate) fn provider_options(given: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let is_own = |name: &str| {
        name.starts_with(SECRET)
            || OPTIONS
                .iter()
                .any(|(own, _)| *own == name && *own != table::CONFIG.name)
    };
    let others = given.iter().filter(|(name, _)| !is_own(name));
    others.map(|(name, text)| (name.clone(), text.clone())).collect()
}

/// What reads secrets for a volume.
fn reading(command: clap::Command) -> clap::Command {
    let command = options::add_flags(command, &[&table::STATE_DIR, &table::REQUEST_TIMEOUT]);
    let command = options::add_flags(command, &[&table::PROVIDER, &table::TOKEN_FILE]);
    providers::add_flags(options::add_flags(command, table::EVERY))
}

/// Settles what `given` say of a volume whose files are in `root`.
///
/// # Errors
/// Everything that is wrong with them, and with the configuration.
pub(crate) fn load_volume(
    given: &BTreeMap<String, String>,
    inherited: &Inherited,
    root: &Path,
    context: &Context,
) -> Result<Loaded<VolumeSettings>, Failure> {
    let mut own = Own::default();
    let mut flags: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, text) in given {
        if let Err(problem) = own.take(name, text, &mut flags, context) {
            own.problems.push(problem);
        }
    }
    let before = inherited.beforehand(&flags, context);
    let line = inherited.over(flags);
    let matches = reading(clap::Command::new("volume"))
        .try_get_matches_from(line)
        .map_err(|refused| Failure::usage(refused.render().to_string()))?;
    load_quietly(&matches, context, |layers| {
        layers.set_beforehand(before);
        own.settle(layers, root)
    })
}

/// The options that are a volume's own.
#[derive(Default)]
struct Own {
    secrets: Vec<(String, Given)>,
    others: BTreeMap<&'static str, Given>,
    problems: Vec<Problem>,
}

impl Own {
    /// Takes one option, or makes it a flag.
    fn take(
        &mut self,
        name: &str,
        text: &str,
        flags: &mut BTreeMap<String, Vec<String>>,
        context: &Context,
    ) -> Result<(), Problem> {
        let given = Given {
            text: text.to_owned(),
            origin: Origin::Flag(format!("the option `{name}`")),
            base: context.directory.as_path().into(),
        };
        if let Some(secret) = name.strip_prefix(SECRET) {
            self.secrets.push((secret.to_owned(), given));
            return Ok(());
        }
        if name == table::CONFIG.name {
            let files = lists::split(text).map_err(|found| first(given.wrong(found)))?;
            let files: Vec<_> = files.iter().map(|file| file.text().to_owned()).collect();
            for file in &files {
                absolute(&given, file)?;
            }
            flags.insert(name.to_owned(), files);
            return Ok(());
        }
        if let Some((own, _)) = OPTIONS.iter().find(|(own, _)| *own == name) {
            self.others.insert(own, given);
            return Ok(());
        }
        let flag = flag(name).ok_or_else(|| unknown(name))?;
        if flag.is_path {
            absolute(&given, text)?;
        }
        flags.insert(flag.id, vec![text.to_owned()]);
        Ok(())
    }

    fn settle(mut self, layers: &mut Layers<'_>, root: &Path) -> VolumeSettings {
        layers.problems.append(&mut self.problems);
        let mode = self.parsed(layers, "mode", MODES.0, spec::dir_mode);
        let owner = self.parsed(layers, "user", None, |text| spec::owner(text).map(Some));
        let on_error = self.parsed(layers, "on-error", OnError::default(), spec::on_error);
        let settings = OutputSettings {
            access: Access {
                file_mode: self.parsed(layers, "file-mode", MODES.1, spec::file_mode),
                dir_mode: mode,
                owner,
            },
            on_error,
            ..OutputSettings::default()
        };
        let (limits, writing) = self.parsed(layers, "flags", flags("").unwrap_or(NOTHING), flags);
        let memory = Memory {
            size: self.parsed(layers, "size", SIZE, size),
            mode,
            uid: owner.map_or(0, |owner| owner.uid),
            gid: owner.and_then(|owner| owner.gid).unwrap_or(0),
            limits,
        };
        let plan = Plan {
            out: root.to_owned(),
            maps: self.map(layers, &settings, root).into_iter().collect(),
            secrets: self.secrets(layers, &settings),
            max_file_size: MAX_FILE_SIZE,
            delete_after: DELETE_AFTER,
            ..Plan::default()
        };
        if plan.maps.is_empty() && plan.secrets.is_empty() && layers.problems.is_empty() {
            layers.problems.push(Problem::Told {
                message: "there is nothing to put into the volume".to_owned(),
                help: Some("Give `--opt secret.NAME=TEMPLATE` or `--opt template=FILE`.".to_owned()),
            });
        }
        VolumeSettings {
            memory,
            writing,
            mode: match self.parsed(layers, "watch", true, values::switch) {
                true => Mode::Watch,
                false => Mode::Park,
            },
            refresh: self.parsed(layers, "refresh", Some(REFRESH), values::duration_or_off),
            actions: self.actions(layers),
            common: Common::settle(layers),
            plan,
            on_error,
        }
    }

    fn parsed<T>(
        &self,
        layers: &mut Layers<'_>,
        name: &str,
        default: T,
        parse: impl FnOnce(&str) -> Result<T, Diagnostic>,
    ) -> T {
        let Some(given) = self.others.get(name) else {
            return default;
        };
        parse(&given.text).unwrap_or_else(|wrong| {
            layers.problems.extend(given.wrong([wrong]));
            default
        })
    }

    fn map(&self, layers: &mut Layers<'_>, settings: &OutputSettings, root: &Path) -> Option<Map> {
        let given = self.others.get("template")?;
        if let Err(problem) = absolute(given, &given.text) {
            layers.problems.push(problem);
            return None;
        }
        let source = PathBuf::from(&given.text);
        let destination = match (source.is_dir(), source.file_name()) {
            (true, _) => root.to_owned(),
            (false, Some(name)) => root.join(name),
            (false, None) => {
                let wrong = Diagnostic::error(0..given.text.len(), format!("`{}` is no file", given.text));
                layers.problems.extend(given.wrong([wrong]));
                return None;
            }
        };
        Some(Map {
            source,
            destination,
            settings: settings.clone(),
        })
    }

    fn secrets(&self, layers: &mut Layers<'_>, settings: &OutputSettings) -> Vec<Secret> {
        let mut secrets = Vec::with_capacity(self.secrets.len());
        for (name, given) in &self.secrets {
            // The name comes first in the text that is parsed.
            let whole = |finding: Diagnostic| Diagnostic {
                span: (0..given.text.len()).into(),
                ..finding
            };
            let named = spec::file_name(name).map_err(|_| {
                vec![
                    Diagnostic::error(0..given.text.len(), format!("`{name}` is no name of a file")).help(
                        "Write `secret.NAME=TEMPLATE`, where NAME is a file of the volume, without `/`.",
                    ),
                ]
            });
            let parsed = named.and_then(|()| SecretSpec::parse(&format!("{name}={}", given.text)));
            match parsed.map(|spec| spec.settle(settings)) {
                Ok(secret) => {
                    if let Source::File(path) = &secret.source
                        && let Err(problem) = absolute(given, &path.to_string_lossy())
                    {
                        layers.problems.push(problem);
                    }
                    secrets.push(secret);
                }
                Err(found) => layers.problems.extend(given.wrong(found.into_iter().map(whole))),
            }
        }
        secrets
    }

    fn actions(&self, layers: &mut Layers<'_>) -> Vec<Action> {
        let Some(given) = self.others.get("notify") else {
            return Vec::new();
        };
        match super::plan::parse_actions(&given.text) {
            Ok(actions) => actions,
            Err(found) => {
                layers.problems.extend(given.wrong(found));
                Vec::new()
            }
        }
    }
}

/// A flag that an option stands for.
struct Flag {
    id: String,
    is_path: bool,
}

fn flag(name: &str) -> Option<Flag> {
    for opt in [&table::PROVIDER, &table::REQUEST_TIMEOUT, &table::TOKEN_FILE] {
        if opt.name == name {
            return Some(Flag {
                id: name.to_owned(),
                is_path: opt.name == table::TOKEN_FILE.name,
            });
        }
    }
    providers::sections().iter().find_map(|section| {
        let mut settings = section.settings.iter();
        settings.find_map(|setting| {
            let id = format!("{}.{}", section.prefix, setting.name);
            let spelling = format!("{}-{}", section.prefix, setting.name);
            (id == name || spelling == name).then_some(Flag {
                id,
                is_path: matches!(
                    setting.kind,
                    SettingKind::Path | SettingKind::CredentialPath | SettingKind::Credential
                ),
            })
        })
    })
}

/// What to say of an option that no volume has.
fn unknown(name: &str) -> Problem {
    if let Some(Problem::Told { message, .. }) = providers::advice_on_literal(name) {
        let message = message.trim_start_matches('-');
        return Problem::Told {
            message: message.replace("on the command line", "in an option of a volume"),
            help: Some("Name a file with the option that ends in `-file`.".to_owned()),
        };
    }
    let sections = providers::sections();
    let settings = sections.iter().flat_map(|section| {
        let settings = section.settings.iter();
        settings.map(|setting| format!("{}.{}", section.prefix, setting.name))
    });
    let settings: Vec<_> = settings.collect();
    let own = OPTIONS.iter().map(|(own, _)| *own);
    let all = own.chain(["provider", "token-file", "request-timeout", "secret."]);
    let near = locket_core::suggest::nearest(name, all.chain(settings.iter().map(String::as_str)));
    let help = match near {
        Some(near) => format!("Did you mean `{near}`?"),
        None => "The options are `secret.NAME`, `template`, `config`, `provider`, `user`, `mode`, `size`, `flags`, `file-mode`, `refresh`, `watch`, `on-error`, `notify` and every setting of a provider.".to_owned(),
    };
    Problem::Told {
        message: format!("a volume has no option `{name}`"),
        help: Some(help),
    }
}

/// The plugin's directory is nobody's: a relative path would mean something else with each start of it.
fn absolute(given: &Given, path: &str) -> Result<(), Problem> {
    if Path::new(path).is_absolute() {
        return Ok(());
    }
    let wrong = Diagnostic::error(0..given.text.len(), format!("`{path}` is a relative path"));
    Err(first(given.wrong([wrong.help(
        "Write an absolute path: one of the machine that the plugin runs on.",
    )])))
}

fn first(problems: Vec<Problem>) -> Problem {
    let first = problems.into_iter().next();
    first.unwrap_or_else(|| Problem::told("this option is wrong"))
}

fn size(text: &str) -> Result<u64, Diagnostic> {
    match values::size(text)? {
        0 => Err(
            Diagnostic::error(0..text.len(), "the volume would hold nothing".to_owned())
                .help("Write it like `512k` or `10M`."),
        ),
        size => Ok(size),
    }
}

const NOTHING: (MountLimits, Writing) = (
    MountLimits {
        noexec: true,
        nosuid: true,
        nodev: true,
    },
    Writing::Allowed,
);

fn flags(text: &str) -> Result<(MountLimits, Writing), Diagnostic> {
    let (mut limits, mut writing) = NOTHING;
    for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        match word {
            "ro" => writing = Writing::Refused,
            "rw" => writing = Writing::Allowed,
            "exec" => limits.noexec = false,
            "noexec" => limits.noexec = true,
            "suid" => limits.nosuid = false,
            "nosuid" => limits.nosuid = true,
            "dev" => limits.nodev = false,
            "nodev" => limits.nodev = true,
            other => {
                const WORDS: [&str; 8] = ["ro", "rw", "exec", "noexec", "suid", "nosuid", "dev", "nodev"];
                return Err(
                    Diagnostic::error(0..text.len(), format!("`{other}` is no flag of a volume"))
                        .help(format!("The flags are {}.", values::alternatives(WORDS)))
                        .did_you_mean(other, WORDS),
                );
            }
        }
    }
    Ok((limits, writing))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Style;
    use crate::testing;

    fn settle(options: &[(&str, &str)]) -> Result<VolumeSettings, String> {
        let directory = tempfile::tempdir().unwrap();
        let context = testing::context(directory.path(), &[]);
        let options = options
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        load_volume(
            &options.collect(),
            &Inherited::default(),
            Path::new("/root"),
            &context,
        )
        .map(Loaded::quietly)
        .map_err(|failure| failure.draw(Style::Plain))
    }

    const SECRET: (&str, &str) = ("secret.db", "{{ file:///run/db }}");

    #[test]
    fn a_volume_that_says_nothing_is_as_the_engines_own_secrets_are() {
        let volume = settle(&[SECRET]).unwrap();
        let access = volume.plan.secrets[0].settings.access;
        assert_eq!((access.file_mode, access.owner), (0o444, None));
        assert_eq!(
            (volume.memory.mode, volume.memory.uid, volume.memory.gid),
            (0o755, 0, 0)
        );
        assert_eq!(volume.memory.size, 8 << 20);
        assert_eq!((volume.memory.limits, volume.writing), NOTHING);
        assert_eq!((volume.mode, volume.refresh), (Mode::Watch, Some(REFRESH)));
        assert_eq!(volume.plan.out, Path::new("/root"));
    }

    #[test]
    fn every_option_is_honoured() {
        let volume = settle(&[
            SECRET,
            ("secret.at", "@/etc/template"),
            ("template", "/etc/other.conf"),
            ("size", "512k"),
            ("mode", "0750"),
            ("user", "1000:1001"),
            ("file-mode", "0440"),
            ("flags", "ro,exec"),
            ("refresh", "1m"),
            ("watch", "false"),
            ("on-error", "ignore"),
            ("notify", "container:web:HUP;container:mail:restart"),
            ("request-timeout", "3s"),
            ("bao.url", "https://bao.example"),
            ("bao-token-file", "/run/token"),
        ])
        .unwrap();
        let access = volume.plan.secrets[0].settings.access;
        let owner = access.owner.unwrap();
        assert_eq!(
            (owner.uid, owner.gid, access.file_mode),
            (1000, Some(1001), 0o440)
        );
        let memory = volume.memory;
        assert_eq!(
            (memory.size, memory.mode, memory.uid, memory.gid),
            (512 << 10, 0o750, 1000, 1001)
        );
        assert_eq!((memory.limits.noexec, volume.writing), (false, Writing::Refused));
        assert_eq!(
            (volume.refresh, volume.mode),
            (Some(Duration::from_secs(60)), Mode::Park)
        );
        assert_eq!((volume.on_error, volume.actions.len()), (OnError::Ignore, 2));
        assert_eq!(volume.common.request_timeout, Duration::from_secs(3));
        assert_eq!(volume.plan.maps[0].destination, Path::new("/root/other.conf"));
        let given: Vec<_> = volume
            .common
            .providers
            .describe()
            .filter(|described| described.name == "bao")
            .flat_map(|described| described.given.iter().map(|(setting, _)| setting.name))
            .collect();
        assert!(
            given.contains(&"url") && given.contains(&"token-file"),
            "{given:?}"
        );
    }

    #[test]
    fn a_directory_of_templates_fills_the_volume() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().display().to_string();
        let volume = settle(&[("template", &path)]).unwrap();
        assert_eq!(volume.plan.maps[0].destination, Path::new("/root"));
    }

    #[test]
    fn what_is_wrong_is_told_by_the_options_name_all_of_it() {
        let told = settle(&[
            ("sise", "1M"),
            ("size", "much"),
            ("flags", "rx"),
            ("secret.a/b", "x"),
            ("secret.c", ""),
            ("mode", "9"),
            ("user", "root"),
            ("template", "relative"),
            ("bao.token-file", "relative"),
            ("config", "here.toml"),
            ("notify", "nobody"),
        ])
        .unwrap_err();
        for part in [
            "a volume has no option `sise`",
            "Did you mean `size`?",
            "`much` is not a number of bytes",
            "`rx` is no flag",
            "`a/b` is no name of a file",
            "the option `secret.c`",
            "`9` is not a mode",
            "the option `user`",
            "`relative` is a relative path",
            "the option `bao.token-file`",
            "`here.toml` is a relative path",
            "the option `notify`",
        ] {
            assert!(told.contains(part), "{part} is not in {told}");
        }
        assert!(
            settle(&[])
                .unwrap_err()
                .contains("nothing to put into the volume")
        );
        assert!(
            settle(&[SECRET, ("size", "0")])
                .unwrap_err()
                .contains("hold nothing")
        );
    }

    #[test]
    fn the_token_of_a_plugin_does_not_go_to_another_provider_that_a_volume_asks() {
        type Given<'a> = &'a [(&'a str, &'a str)];
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, provider: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, format!("[run]\nprovider = '{provider}'\n")).unwrap();
            path.display().to_string()
        };
        let op = file("op.toml", "op");
        let bws = file("bws.toml", "bws");
        let alone = directory.path().join("alone.toml");
        std::fs::write(&alone, "[run]\ntoken-file = '/bws.tok'\n").unwrap();
        let alone = alone.display().to_string();
        let tokens = |plugin: &[(&str, &str)], variables: &[(&str, &str)], volume: &[(&str, &str)]| {
            let plugin = plugin
                .iter()
                .map(|(name, text)| ((*name).to_owned(), vec![(*text).to_owned()]));
            let options = std::iter::once(&SECRET).chain(volume);
            let options = options.map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
            let settled = load_volume(
                &options.collect(),
                &Inherited(plugin.collect()),
                Path::new("/root"),
                &testing::context(directory.path(), variables),
            );
            let providers = settled.unwrap().quietly().common.providers;
            let of = |name: &str| {
                let credentials = providers.credentials(name);
                let origins = credentials.map(|(_, origin)| origin.to_string());
                origins.collect::<Vec<_>>()
            };
            (of("op"), of("bws"))
        };
        let token = ("token-file", "/op.tok");
        let by_flag = [("provider", "op"), token];
        let by_file = [("config", op.as_str()), token];
        let by_variable = [("SECRETS_PROVIDER", "op")];
        let token_variable = [("LOCKET_TOKEN_FILE", "/op.tok")];
        let both_variables = [by_variable[0], token_variable[0]];
        let flag = || vec!["--token-file".to_owned()];
        let variable = || vec!["LOCKET_TOKEN_FILE".to_owned()];
        let ways: [(Given<'_>, Given<'_>, Vec<String>); 6] = [
            (&by_flag, &[], flag()),
            (&by_file, &[], flag()),
            (&[token], &by_variable, flag()),
            (&[by_flag[0]], &token_variable, variable()),
            (&[by_file[0]], &token_variable, variable()),
            (&[], &both_variables, variable()),
        ];
        for (plugin, variables, from) in ways {
            let of = |volume| tokens(plugin, variables, volume);
            assert_eq!(of(&[]), (from.clone(), Vec::new()), "{plugin:?} {variables:?}");
            assert_eq!(of(&[("provider", "op")]).0, from);
            let own = [("provider", "bws"), ("token-file", "/bws.tok")];
            assert_eq!(of(&own).1, flag());
            // By a provider, by a configuration that names one, and by both.
            let others: [Given<'_>; 3] = [
                &[("provider", "bws")],
                &[("config", &bws)],
                &[("config", &bws), ("provider", "bws")],
            ];
            for other in others {
                let theirs = of(other).1;
                assert!(
                    theirs.is_empty(),
                    "{plugin:?} {variables:?} {other:?}: {theirs:?}"
                );
            }
            // A token in the volume's own configuration is for the provider that the volume names.
            let theirs = of(&[("config", &alone), ("provider", "bws")]).1;
            assert!(
                matches!(&theirs[..], [from] if from.ends_with("alone.toml:2")),
                "{plugin:?} {variables:?}: {theirs:?}"
            );
        }
        let equipped = [("BWS_ACCESS_TOKEN", "t")];
        assert_eq!(
            tokens(&by_flag, &equipped, &[("provider", "bws")]).1,
            ["BWS_ACCESS_TOKEN"]
        );
    }

    #[test]
    fn a_credential_itself_is_refused_and_not_repeated() {
        let told = settle(&[SECRET, ("bao.token", "hunter2")]).unwrap_err();
        assert!(told.contains("credential") && told.contains("-file"), "{told}");
        assert!(!told.contains("hunter2"), "{told}");
    }

    #[test]
    fn every_provider_setting_is_an_option_of_a_volume() {
        for section in providers::sections() {
            for setting in &section.settings {
                let name = format!("{}.{}", section.prefix, setting.name);
                assert_eq!(flag(&name).map(|flag| flag.id), Some(name));
            }
        }
    }
}
