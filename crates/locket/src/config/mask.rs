//! Hides what may be a credential in a configuration file, so that no message shows it.
//!
//! A credential does not belong into the file, and one that stands there is refused; the refusal must not print it. So
//! values are shown only where it is known what they are. The masked text keeps its length, so that places stay true.

use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

use locket_core::{Schemes, Span, action};
use locket_providers::SettingKind;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::entries::{read_map, read_notify};
use super::file::{names, read_options};
use super::reader::{Reader, Wanted};
use super::rotate::read_rotate;
use super::schema::{known, secret};
use super::swarm::{ALLOW, read_allow, read_plugin, read_swarm, read_swarm_secret};
use crate::options::Key;
use crate::providers::{kinds, sections};

/// What a hidden character becomes.
const MASK: u8 = b'*';

/// Options of `[exec]` that give variables a value.
const VARIABLES: [&str; 2] = ["env", "as-file"];

/// What may be shown of the value under one key. A truth value and a reference always may.
#[derive(Clone, Debug, Default)]
struct Shown {
    /// A value that stands alone.
    one: Values,
    /// The values in an array.
    several: Values,
    /// What is shown of a table, or of the tables of an array, by its keys.
    below: Keys,
}

/// Which values are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Values {
    #[default]
    None,
    /// Those with a tag: any other is all that a secret consists of.
    Templates,
    /// Of addresses only the host.
    Actions,
    All,
}

/// How a key or value looks in messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Plain,
    Veiled,
    Hidden,
}

impl Look {
    fn plain_if(is_harmless: bool) -> Self {
        match is_harmless {
            true => Self::Plain,
            false => Self::Hidden,
        }
    }
}

type Keys = Rc<BTreeMap<&'static str, Shown>>;

/// `text` with every value hidden that is not known to be harmless, and every comment.
pub(super) fn values(text: &str, document: &DeTable<'_>) -> Vec<u8> {
    let providers = of_providers();
    let mut places = Vec::new();
    for (key, value) in document {
        places.push((key.span(), Look::Plain));
        let key = key.get_ref().as_ref();
        match value.get_ref() {
            DeValue::Table(instances) if key == "providers" => {
                for (name, value) in instances {
                    places.push((name.span(), Look::Plain));
                    walk(value, &Shown::below(providers.clone()), &mut places);
                }
            }
            _ => {
                let keys = of_table(key).unwrap_or_else(|| providers.clone());
                walk(value, &Shown::below(keys), &mut places);
            }
        }
    }
    places.sort_by_key(|(place, _)| place.start);
    let mut bytes = text.as_bytes().to_vec();
    let mut end = 0;
    for (place, look) in places {
        hide_comments(&mut bytes, end..place.start.max(end));
        match look {
            Look::Plain => {}
            Look::Veiled => veil(&mut bytes, text, place.clone()),
            Look::Hidden => hide(&mut bytes, place.clone()),
        }
        end = end.max(place.end);
    }
    hide_comments(&mut bytes, end..text.len());
    bytes
}

/// `text` of a file that is no TOML. Where its values begin and end is not known, so that nothing is shown but known
/// names at the beginning of a line.
pub(super) fn lines(text: &str) -> Vec<u8> {
    let known = every_name();
    let mut bytes = Vec::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let (shown, rest) = line.split_at(shown_of(line, &known));
        bytes.extend(shown.as_bytes());
        bytes.extend(rest.bytes().map(masked));
    }
    bytes
}

/// How many bytes of a line of a broken file are shown: a key with its `=`, or the name of a table in its brackets.
fn shown_of(line: &str, known: &[&str]) -> usize {
    let is_of_name = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_');
    let mut rest = line.trim_start_matches([' ', '\t', '[']);
    loop {
        let (name, after) = rest.split_at(rest.find(|char| !is_of_name(char)).unwrap_or(rest.len()));
        if !known.contains(&name) {
            return line.len() - rest.len();
        }
        rest = after.trim_start_matches([' ', '\t']);
        let Some(next) = rest.strip_prefix('.') else {
            break;
        };
        rest = next.trim_start_matches([' ', '\t']);
    }
    let end = rest.trim_start_matches(']');
    let end = end.strip_prefix('=').unwrap_or(end);
    line.len() - end.len()
}

/// Finds what is shown and what is not of the keys and single values at and below `value`.
fn walk(value: &Spanned<DeValue<'_>>, shown: &Shown, places: &mut Vec<(Range<usize>, Look)>) {
    match value.get_ref() {
        DeValue::Table(table) => {
            let nothing = Shown::default();
            for (key, value) in table {
                places.push((key.span(), Look::Plain));
                let shown = shown.below.get(key.get_ref().as_ref()).unwrap_or(&nothing);
                walk(value, shown, places);
            }
        }
        DeValue::Array(elements) => {
            let each = Shown {
                one: shown.several,
                several: Values::None,
                below: shown.below.clone(),
            };
            for element in elements.iter() {
                walk(element, &each, places);
            }
        }
        DeValue::Boolean(_) => places.push((value.span(), Look::Plain)),
        DeValue::String(text) if text.is_empty() => places.push((value.span(), Look::Plain)),
        DeValue::String(text) => {
            let look = match shown.one {
                Values::All => Look::Plain,
                Values::Actions => Look::Veiled,
                Values::Templates => Look::plain_if(text.contains("{{") || names_a_secret(text)),
                Values::None => Look::plain_if(names_a_secret(text)),
            };
            places.push((value.span(), look));
        }
        _ => places.push((value.span(), Look::plain_if(shown.one == Values::All))),
    }
}

/// What is shown of the table `name`; `None` for everything that providers may be told in.
fn of_table(name: &str) -> Option<Keys> {
    Some(match name {
        "run" => of_known(&known(|reader| drop(read_options(reader, Key::Run)))),
        "exec" => {
            let mut keys = known(|reader| drop(read_options(reader, Key::Exec)));
            keys.retain(|(name, _)| !VARIABLES.contains(name));
            of_known(&keys)
        }
        "map" => of_known(&known(|reader| drop(read_map(reader, Span::default())))),
        "secret" => of_known(&secret()),
        "notify" => of_known(&known(|reader| drop(read_notify(reader, Span::default())))),
        "plugin" => of_known(&known(|reader| drop(read_plugin(reader)))),
        "rotate" => of_known(&known(|reader| drop(read_rotate(reader)))),
        "labels" => of_grants(|reader| drop(read_allow(reader)), None),
        "swarm" => {
            let secrets = of_known(&known(|reader| drop(read_swarm_secret(reader))));
            of_grants(|reader| drop(read_swarm(reader)), Some(("secret", secrets)))
        }
        _ => return None,
    })
}

/// The keys of a table with `allow`, and with tables below it.
fn of_grants(read: impl FnOnce(&mut Reader<'_>), tables: Option<(&'static str, Keys)>) -> Keys {
    let mut keys = BTreeMap::clone(&of_known(&known(read)));
    let grant = ALLOW.map(|name| (name, Shown::of(Wanted::Texts)));
    if let Some(allow) = keys.get_mut("allow") {
        allow.several = Values::All;
        allow.below = Rc::new(grant.into_iter().collect());
    }
    keys.extend(tables.map(|(name, below)| (name, Shown::below(below))));
    Rc::new(keys)
}

fn of_known(keys: &[(&'static str, Wanted)]) -> Keys {
    let shown = keys.iter().map(|(name, wanted)| match *name {
        "template" => (*name, Shown::one(Values::Templates)),
        "action" | "notify" => {
            let several = Values::Actions;
            (
                *name,
                Shown {
                    several,
                    ..Shown::one(Values::Actions)
                },
            )
        }
        _ => (*name, Shown::of(*wanted)),
    });
    Rc::new(shown.collect())
}

/// What is shown of a table of provider settings, known or not: the settings that are no credentials. What stands in a
/// table of the user's own names may be anything.
fn of_providers() -> Keys {
    let mut keys = BTreeMap::from([("type", Shown::one(Values::All))]);
    let own = sections().into_iter().flat_map(|section| section.settings);
    let named = kinds().iter().flat_map(|kind| kind.all_settings());
    for setting in own.chain(named) {
        let shown = match setting.kind {
            SettingKind::Table => Shown::default(),
            SettingKind::Command | SettingKind::List => Shown::of(Wanted::Texts),
            _ => Shown::one(Values::All),
        };
        let known: &mut Shown = keys.entry(setting.name).or_default();
        if shown.several == Values::All || known.one == Values::None {
            *known = shown;
        }
    }
    Rc::new(keys)
}

/// Every name of a table or key that a file may have.
fn every_name() -> Vec<&'static str> {
    let tables = names();
    let keys = tables.iter().filter_map(|name| of_table(name));
    let keys = keys.chain([of_providers()]);
    let keys: Vec<_> = keys
        .flat_map(|keys| keys.keys().copied().collect::<Vec<_>>())
        .collect();
    let literals = sections().into_iter().flat_map(|section| section.settings);
    let literals = literals.filter_map(crate::providers::literal_name);
    let all = tables
        .iter()
        .copied()
        .chain(keys)
        .chain(VARIABLES)
        .chain(literals);
    all.collect()
}

impl Shown {
    fn below(keys: Keys) -> Self {
        Self {
            below: keys,
            ..Self::default()
        }
    }

    fn one(one: Values) -> Self {
        Self {
            one,
            ..Self::default()
        }
    }

    fn of(wanted: Wanted) -> Self {
        match wanted {
            Wanted::Text(_) | Wanted::Filled | Wanted::Boolean => Self::one(Values::All),
            Wanted::Texts => Self {
                several: Values::All,
                ..Self::one(Values::All)
            },
            // The marks of tags are the only such value that is no table.
            Wanted::Own => Self {
                several: Values::All,
                ..Self::default()
            },
            Wanted::Table => Self::default(),
        }
    }
}

/// Whether `text` has the form of a reference.
fn names_a_secret(text: &str) -> bool {
    let is_of_scheme = |char: char| char.is_ascii_alphanumeric() || matches!(char, '+' | '-' | '.' | '_');
    match text.trim().split_once("://") {
        Some((scheme, _)) if scheme.chars().all(is_of_scheme) => !Schemes::is_foreign(scheme),
        _ => text.trim_start().starts_with("{{"),
    }
}

/// Hides the comments in what stands between keys and values.
fn hide_comments(bytes: &mut [u8], between: Range<usize>) {
    let mut is_comment = false;
    for byte in bytes.get_mut(between).unwrap_or_default() {
        is_comment = match *byte {
            b'\n' => false,
            b'#' if !is_comment => {
                is_comment = true;
                continue;
            }
            _ => is_comment,
        };
        if is_comment {
            *byte = masked(*byte);
        }
    }
}

/// Hides what may be a credential in the actions at `place`.
fn veil(bytes: &mut [u8], text: &str, place: Range<usize>) {
    let plain = text.get(place.clone()).unwrap_or_default();
    // The quotes at its end belong to no address.
    let value = plain.trim_end_matches(['"', '\'']);
    if let Some(shown) = bytes.get_mut(place.start..place.start + value.len()) {
        shown.copy_from_slice(action::veiled(value).as_bytes());
    }
}

fn hide(bytes: &mut [u8], place: Range<usize>) {
    for byte in bytes.get_mut(place).unwrap_or_default() {
        *byte = masked(*byte);
    }
}

fn masked(byte: u8) -> u8 {
    match byte.is_ascii_whitespace() {
        true => byte,
        false => MASK,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::file::ConfigFile;
    use crate::context::Style;
    use crate::report::{Cause, Failure};

    /// What is said of a file with these mistakes.
    fn told(text: &str) -> String {
        let parsed = ConfigFile::parse(Path::new("locket.toml"), text, Path::new("").into());
        let problem = match parsed {
            Ok((_, mistakes)) => mistakes.unwrap_or_else(|| panic!("no mistake in {text}")),
            Err(problem) => problem,
        };
        Failure::new(Cause::Usage, vec![problem]).draw(Style::Plain)
    }

    /// A value is not told, though the mistake beside it is, by these words.
    fn hidden(text: &str, words: &str) {
        let drawn = told(text);
        assert!(drawn.contains(words), "{words} is not in\n{drawn}");
        assert!(!drawn.contains("hunter") && !drawn.contains("4711"), "{drawn}");
    }

    #[test]
    fn the_value_of_an_unknown_key_is_not_told_whatever_the_table() {
        for (table, key) in [
            ("[run]", "token"),
            ("[exec]", "password"),
            ("[swarm]", "token"),
            ("[rotate]", "password"),
            ("[labels]", "key"),
            ("[plugin]", "bao.token"),
            ("[[notify]]", "secret"),
            ("[[map]]", "value"),
            ("[[secret]]", "value"),
            ("[[secret]]", "password"),
            ("[[swarm.secret]]", "value"),
            ("[bao]", "tokn"),
            ("", "baoo.token"),
            ("[providers.prod]\ntype = 'bao'", "tokn"),
        ] {
            for value in [
                "'hunter2'",
                "\"hunter2\"",
                "4711",
                "['hunter2', 4711]",
                "{ a = 'hunter2', b = ['hunter3'] }",
                "'''\nhunter2'''",
            ] {
                hidden(&format!("{table}\n{key} = {value}\n"), "***");
            }
        }
        let shown = told("[run]\nmode = 'watch'\nalso = { mode = 'park' }\nuser = ['0']\n");
        assert!(shown.contains("also = { mode = ****** }"), "{shown}");
    }

    #[test]
    fn what_stands_where_a_single_value_is_wanted_is_not_told() {
        for text in [
            "[run]\nprovider = { name = 'bao', token = 'hunter2' }\n",
            "[run]\nprovider = ['hunter2']\n",
            "[bao]\nurl = { url = 'hunter2' }\n",
            "[bao]\nurl = ['hunter2']\n",
            "[bao]\ntoken = 4711\n",
            "[providers]\nprod = 'hunter2'\n",
            "[[secret]]\nname = 'x'\ntemplate = ['hunter2']\n",
            "[swarm]\nsecret = ['hunter2']\n",
            "run = 'hunter2'\n",
            "secret = 'hunter2'\n",
            "secret = ['db=hunter2']\n",
            "token = 'hunter2'\n",
        ] {
            hidden(text, "***");
        }
    }

    #[test]
    fn neither_a_comment_nor_a_literal_template_beside_a_mistake_is_told() {
        hidden("[run]\nmode = 7 # was hunter2\n", "mode = 7 # *** *******");
        hidden("[run]\nmode = [ # hunter2\n7 ] # hunter2\n", "mode");
        hidden(
            "secret = [{ name = 'a', template = 'hunter2', no = 1 }]\n",
            "name = 'a', template = *********",
        );
        let shown = told("secret = [{ name = 'a # b', template = 'u:{{ bao://kv/a#b }}', no = 1 }]\n");
        assert!(
            shown.contains("{ name = 'a # b', template = 'u:{{ bao://kv/a#b }}', no = * }"),
            "{shown}"
        );
    }

    #[test]
    fn nothing_of_a_file_that_is_no_toml_is_told_but_known_names() {
        for text in [
            "bao = { url = 'http://x', token = 'hunter2' x }\n",
            "prod = { type = 'bao', token = 'hunter2 }\n",
            "[bao]\ntoken = [\n'hunter2'\n'x'\n]\n",
            "[bao]\ntoken = '''\nhunter2 = x\n",
            "[bao]\ntoken = \"\"\"\nhunter2==\n[hunter3]\nx\n",
            "[bao]\nurl = 'x' # hunter2\nurl = 'y' # hunter2\n",
            "hunter2\n",
            "hunter2 = = 3\n",
            "[providers.hunter2\n",
        ] {
            hidden(text, "locket.toml:");
        }
        let shown = told("[bao]\n  token = 'hunter2' x\n");
        assert!(shown.contains("  token = *"), "{shown}");
        assert!(told("[providers.prod\n").contains("[providers.****"));
    }
}
