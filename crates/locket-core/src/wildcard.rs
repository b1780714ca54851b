//! `REF/*`: every key of a folder, item or JSON value, and the names that files or variables of them get.
//!
//! A `*` at the end of the locator asks the provider for all keys; one at the end of the fragment means the members of
//! a JSON value, which is read as any other. One level is meant: nothing is listed recursively.

use std::collections::BTreeMap;
use std::fmt;

use crate::glob::Selection;
use crate::json_path;
use crate::reference::{Parsed, Position};
use crate::{Diagnostic, Fetched, Reference, Schemes};

/// A reference to all keys of something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wildcard {
    reference: Reference,
    every: Every,
}

/// What the `*` stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Every {
    /// The keys that the provider tells.
    Key,
    /// The members of the JSON object at this pointer in the value.
    Member(String),
}

/// How keys become names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Naming {
    /// What stands before each key.
    pub prefix: String,
    /// Which keys count.
    pub select: Selection,
}

/// What became of the keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expanded {
    /// The key behind each name.
    pub keys: BTreeMap<String, String>,
    /// Keys that cannot have a name, and why, as a fragment that names the key.
    pub refused: Vec<String>,
}

impl Wildcard {
    /// Parses `REF/*`, `REF#*` or `REF#path/*`.
    ///
    /// # Errors
    /// It is no reference, or one that names a single secret.
    pub fn parse(text: &str, schemes: &Schemes) -> Result<Self, Vec<Diagnostic>> {
        const FORM: &str = "Write `REF/*` for all keys, or `REF#*` for the members of a JSON value.";
        let reference = match Reference::parse(text, 0, Position::Tag, schemes) {
            Parsed::Reference(reference) => reference,
            Parsed::Wrong(wrong) => return Err(wrong),
            Parsed::Other => {
                return Err(vec![
                    Diagnostic::error(0..text.len(), "this is no reference").help(FORM),
                ]);
            }
        };
        let single =
            || vec![Diagnostic::error(reference.span(), "this reference names one secret").help(FORM)];
        match reference.fragment().map(str::to_owned) {
            Some(fragment) => {
                if reference.json_fragment(schemes).is_none() {
                    let message = format!("the fragment of `{}://` is no path into JSON", reference.scheme());
                    return Err(vec![
                        Diagnostic::error(reference.span(), message)
                            .help("Write `REF/*`, without a fragment."),
                    ]);
                }
                let path = fragment.strip_suffix('*').ok_or_else(single)?;
                let path = path.strip_suffix(['/', '.']).unwrap_or(path);
                Ok(Self {
                    every: Every::Member(json_path::to_pointer(path)),
                    reference: reference.with_fragment(None),
                })
            }
            None => {
                let start = reference.locator().strip_suffix('*').ok_or_else(single)?;
                if start.contains('*') {
                    return Err(vec![
                        Diagnostic::error(reference.span(), "only the end of a reference may be `*`")
                            .help("Write a `*` that belongs to a name as `%2A`."),
                    ]);
                }
                Ok(Self {
                    reference: reference.with_locator(start.to_owned()),
                    every: Every::Key,
                })
            }
        }
    }

    /// What the provider is asked for: the locator without its `*`, or the secret that holds the JSON value.
    pub fn reference(&self) -> &Reference {
        &self.reference
    }

    /// What the `*` stands for.
    pub fn every(&self) -> &Every {
        &self.every
    }

    /// The reference to one key.
    pub fn of_key(&self, key: &str) -> Reference {
        // A key that is gone has no value: its file goes, and does not become an empty one.
        match &self.every {
            Every::Key => self.reference.with_key(key).required(),
            Every::Member(path) => {
                let member = json_path::pointer_step(key);
                self.reference
                    .with_fragment(Some(format!("{path}/{member}")))
                    .required()
            }
        }
    }

    /// The keys in what was read.
    ///
    /// # Errors
    /// What was read has no keys, as a lower-case fragment without any value.
    pub fn keys(&self, fetched: &Fetched) -> Result<Vec<String>, String> {
        match (&self.every, &fetched.members) {
            (Every::Key, Some(members)) => Ok(members.names().map(str::to_owned).collect()),
            (Every::Key, None) => Err("the provider gave no list of keys".to_owned()),
            (Every::Member(path), _) => {
                #[expect(
                    clippy::disallowed_methods,
                    reason = "the names of the members are no secrets"
                )]
                let value = fetched.value.expose();
                json_path::member_names(value, path).map_err(|error| error.to_string())
            }
        }
    }
}

impl fmt::Display for Wildcard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.every {
            Every::Key => {
                let star = format!("{}*", self.reference.locator());
                self.reference.with_locator(star).fmt(f)
            }
            Every::Member(path) => self.reference.with_fragment(Some(format!("{path}/*"))).fmt(f),
        }
    }
}

impl Naming {
    /// Names for `keys`, each of which `check` must let pass. Keys that would have one name are all refused, since
    /// none of them is more meant than the others.
    pub fn expand<'a>(
        &self,
        keys: impl IntoIterator<Item = &'a str>,
        check: impl Fn(&str) -> Result<(), Diagnostic>,
    ) -> Expanded {
        let mut expanded = Expanded::default();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for key in keys.into_iter().filter(|key| self.select.takes(key)) {
            *counts.entry(key).or_default() += 1;
        }
        for (key, count) in counts {
            let name = format!("{}{key}", self.prefix);
            let shown = key.escape_debug();
            if count > 1 {
                expanded
                    .refused
                    .push(format!("{count} keys have the name `{shown}`"));
            } else if let Err(wrong) = check(&name) {
                expanded
                    .refused
                    .push(format!("the key `{shown}`: {}", wrong.message));
            } else {
                expanded.keys.insert(name, key.to_owned());
            }
        }
        expanded
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::glob::Pattern;
    use crate::provider::Members;
    use crate::schemes::Fragment;
    use crate::{Scheme, SecretBytes, spec};

    fn schemes() -> Schemes {
        let scheme = |name: &str, fragment| Scheme {
            name: name.into(),
            bare: true,
            fragment,
        };
        Schemes::new([scheme("store", Fragment::Json), scheme("sops", Fragment::Own)])
    }

    fn wildcard(text: &str) -> Wildcard {
        Wildcard::parse(text, &schemes()).unwrap()
    }

    #[test]
    fn a_star_at_the_end_means_all_keys_or_all_members() {
        let keys = wildcard("store://app/*?optional");
        assert_eq!((keys.reference().locator(), keys.every()), ("app/", &Every::Key));
        assert!(keys.reference().is_optional());
        for (text, path) in [
            ("store://x#*", ""),
            ("store://x#/*", ""),
            ("store://x#a.b/*", "/a/b"),
            ("store://x#a.b.*", "/a/b"),
            ("store://x#/a~1b/*", "/a~1b"),
        ] {
            assert_eq!(wildcard(text).every(), &Every::Member(path.to_owned()), "{text}");
        }
    }

    #[test]
    fn the_written_form_reads_as_the_same() {
        for text in [
            "store://app/*",
            "store://app/*?optional",
            "store://x#/a~1b/*",
            "store://x#/*",
        ] {
            assert_eq!(wildcard(text).to_string(), text);
            assert_eq!(wildcard(&wildcard(text).to_string()), wildcard(text));
        }
    }

    #[test]
    fn what_names_one_secret_is_refused_with_the_form() {
        for text in [
            "store://app",
            "store://x#a",
            "plain",
            "store://a*b/*",
            "sops://x#*",
            "strore://x/*",
        ] {
            let wrong = Wildcard::parse(text, &schemes()).unwrap_err();
            assert!(wrong[0].help.is_some(), "{text}: {wrong:?}");
        }
    }

    #[test]
    fn each_key_has_a_reference_of_its_own() {
        assert_eq!(
            wildcard("store://app/*").of_key("a b/c").to_string(),
            "store://app/a b%2Fc"
        );
        assert!(
            !wildcard("store://app/*?optional").of_key("k").is_optional(),
            "a key that is gone is no empty file"
        );
        assert_eq!(
            wildcard("store://app/*").of_key("*").to_string(),
            "store://app/%2A"
        );
        assert_eq!(
            wildcard("store://x#a/*").of_key("b/c~").to_string(),
            "store://x#/a/b~1c~0"
        );
    }

    #[test]
    fn keys_come_from_the_provider_or_from_the_json_value() {
        let value = |text: &[u8]| Fetched::new(SecretBytes::copy_from(text));
        let all = Fetched::every(Members::new([
            ("b".to_owned(), value(b"1")),
            ("a".to_owned(), value(b"2")),
        ]));
        assert_eq!(wildcard("store://app/*").keys(&all).unwrap(), ["b", "a"]);
        let json = value(br#"{"a": {"x": 1, "y": null, "z/": "s"}}"#);
        assert_eq!(wildcard("store://x#a/*").keys(&json).unwrap(), ["x", "z/"]);
        let error = wildcard("store://x#*")
            .keys(&value(b"no-json-canary"))
            .unwrap_err();
        assert!(!error.contains("canary"), "{error}");
        assert!(
            wildcard("store://x#a.x/*")
                .keys(&json)
                .unwrap_err()
                .contains("not an object")
        );
    }

    #[test]
    fn names_that_are_no_file_names_and_names_that_collide_are_refused_by_name() {
        let naming = Naming {
            prefix: "app-".to_owned(),
            select: Selection {
                include: vec![],
                exclude: vec![Pattern::parse("skip*").unwrap()],
            },
        };
        let keys = ["ok", "a/b", "skipped", "twice", "twice", "x\ny"];
        let expanded = naming.expand(keys, spec::file_name);
        assert_eq!(
            expanded.keys,
            BTreeMap::from([("app-ok".to_owned(), "ok".to_owned())])
        );
        assert_eq!(expanded.refused.len(), 3);
        for name in ["a/b", "twice", r"x\ny"] {
            assert!(
                expanded.refused.iter().any(|refused| refused.contains(name)),
                "{expanded:?}"
            );
        }
        let bare = Naming::default().expand(["", "..", "."], spec::file_name);
        assert_eq!((bare.keys.len(), bare.refused.len()), (0, 3));
    }
}
