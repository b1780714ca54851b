//! What labels may ask for. Whoever may write a label is not whoever may read every secret: nothing is granted that the
//! configuration does not name.

use locket_core::glob::Pattern;
use locket_core::{Diagnostic, Reference};

/// Everything that is granted; nothing to begin with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowance(Vec<Grant>);

/// References that services may ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// `scheme://locator`.
    place: Pattern,
    /// What each option has to be like; none may be given where there is nothing, `optional` aside.
    options: Vec<Pattern>,
    /// What the fragment has to be like; any may be given where there is nothing, since it is a part of the value.
    fragment: Option<Pattern>,
    /// The services; all where there is nothing.
    service: Option<Pattern>,
}

impl Grant {
    /// Parses a pattern of references, and one of services. `*` matches within a segment, `**` across segments. Options
    /// are matched one by one behind a `?`, with `&` between their patterns.
    ///
    /// # Errors
    /// One of the two is no pattern.
    pub fn parse(reference: &str, service: Option<&str>) -> Result<Self, Diagnostic> {
        let whole = |message: &str, help: &str| {
            Diagnostic::error(0..reference.len(), message.to_owned()).help(help.to_owned())
        };
        let (rest, fragment) = match reference.split_once('#') {
            Some((rest, fragment)) => (rest, Some(fragment)),
            None => (reference, None),
        };
        let (place, options) = match rest.split_once('?') {
            Some((place, options)) => (place, Some(options)),
            None => (rest, None),
        };
        let scheme = place.split_once("://").map(|(scheme, _)| scheme);
        let is_word = |scheme: &str| {
            !scheme.is_empty()
                && scheme
                    .chars()
                    .all(|char| char.is_ascii_alphanumeric() || matches!(char, '+' | '-' | '.' | '_'))
        };
        if !scheme.is_some_and(is_word) {
            return Err(whole(
                "this pattern names no scheme",
                "Write it like `bao://kv/shop/**`: a scheme without `*` comes first.",
            ));
        }
        let options = options.map_or(Ok(Vec::new()), |options| options.split('&').map(beside).collect())?;
        Ok(Self {
            place: Pattern::parse(place)?,
            options,
            fragment: fragment.map(beside).transpose()?,
            service: service.map(Pattern::parse).transpose()?,
        })
    }

    fn covers(&self, reference: &Reference, service: &str) -> bool {
        let place = format!("{}://{}", reference.scheme(), reference.decoded_locator());
        let mut options = reference.options().iter().filter(|(name, _)| name != "optional");
        self.place.matches(&place)
            && options.all(|(name, value)| {
                let option = format!("{BESIDE}{name}={value}");
                self.options.iter().any(|pattern| pattern.matches(&option))
            })
            && match (&self.fragment, reference.fragment()) {
                (None, _) => true,
                (Some(pattern), fragment) => {
                    pattern.matches(&format!("{BESIDE}{}", fragment.unwrap_or_default()))
                }
            }
            && self
                .service
                .as_ref()
                .is_none_or(|pattern| pattern.matches(service))
    }
}

/// A pattern without a `/` would be compared with the last name alone.
const BESIDE: &str = "x/";

fn beside(text: &str) -> Result<Pattern, Diagnostic> {
    Pattern::parse(&format!("{BESIDE}{text}"))
}

impl Allowance {
    /// Grants more.
    pub fn add(&mut self, grant: Grant) {
        self.0.push(grant);
    }

    /// Whether `service` may be given what a label with these references stands for. One without any would put a text of
    /// its own in the place of a secret, for which nobody has a pattern.
    ///
    /// # Errors
    /// Why not, for whoever wrote the label.
    pub fn permits_all(&self, references: &[Reference], service: &str) -> Result<(), String> {
        if references.is_empty() {
            return Err("it refers to no secret".to_owned());
        }
        references
            .iter()
            .try_for_each(|reference| self.permits(reference, service))
    }

    /// Whether `service` may be given what `reference` names.
    ///
    /// # Errors
    /// Why not, for whoever wrote the label.
    pub fn permits(&self, reference: &Reference, service: &str) -> Result<(), String> {
        let is_plain = |segment: &str| !matches!(segment, "." | "..") && !segment.contains('/');
        if !reference.segments().iter().all(|segment| is_plain(segment)) {
            return Err(format!(
                "{reference} is not allowed: a label names its secret without `.`, `..` and encoded `/`"
            ));
        }
        match self.0.iter().any(|grant| grant.covers(reference, service)) {
            true => Ok(()),
            false => Err(format!(
                "{reference} is not allowed for the service {service}: `allow` in the configuration has no pattern for it"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use locket_core::reference::{Parsed, Position};
    use locket_core::schemes::Fragment;
    use locket_core::{Scheme, Schemes};

    use super::*;

    fn reference(text: &str) -> Reference {
        let schemes = Schemes::new(["bao", "file", "infisical"].map(|name| Scheme {
            name: name.into(),
            bare: true,
            fragment: Fragment::Json,
        }));
        match Reference::parse(text, 0, Position::Tag, &schemes) {
            Parsed::Reference(reference) => reference,
            other => panic!("{text}: {other:?}"),
        }
    }

    fn is_permitted(pattern: &str, text: &str) -> bool {
        let mut allowance = Allowance::default();
        allowance.add(Grant::parse(pattern, None).unwrap());
        allowance.permits(&reference(text), "web").is_ok()
    }

    #[test]
    fn what_refers_to_no_secret_is_granted_to_nobody() {
        let mut allowance = Allowance::default();
        allowance.add(Grant::parse("bao://**", None).unwrap());
        assert!(allowance.permits_all(&[], "web").is_err());
        let one = reference("bao://kv/a/b");
        assert_eq!(allowance.permits_all(std::slice::from_ref(&one), "web"), Ok(()));
        let mixed = [one, reference("file:///etc/shadow")];
        assert!(allowance.permits_all(&mixed, "web").is_err());
    }

    #[test]
    fn nothing_is_granted_that_no_pattern_names() {
        let reason = Allowance::default()
            .permits(&reference("bao://kv/a/b"), "web")
            .unwrap_err();
        assert!(
            reason.contains("bao://kv/a/b is not allowed for the service web"),
            "{reason}"
        );
        for (pattern, text, permitted) in [
            ("bao://kv/a/b", "bao://kv/a/b", true),
            ("bao://kv/a/*", "bao://kv/a/b", true),
            ("bao://kv/*", "bao://kv/a/b", false),
            ("bao://kv/**", "bao://kv/a/b", true),
            ("bao://kv/{a,c}/b", "bao://kv/c/b", true),
            ("bao://kv/a/*", "file://kv/a/b", false),
            ("file:///run/secrets/*", "file:///run/secrets/db", true),
            ("file:///run/secrets/*", "file:///etc/shadow", false),
            (
                "file:///run/secrets/**",
                "file:///run/secrets/../../etc/shadow",
                false,
            ),
            (
                "file:///run/secrets/**",
                "file:///run/secrets/..%2F..%2Fetc/shadow",
                false,
            ),
            ("file:///run/**", "file:///run/./db", false),
        ] {
            assert_eq!(is_permitted(pattern, text), permitted, "{pattern} {text}");
        }
    }

    #[test]
    fn options_have_to_be_granted_and_fragments_are_parts() {
        for (pattern, text, permitted) in [
            ("infisical:///DB_*", "infisical:///DB_A", true),
            ("infisical:///DB_*", "infisical:///DB_A?env=prod", false),
            ("infisical:///DB_*?env=dev", "infisical:///DB_A?env=dev", true),
            ("infisical:///DB_*?env=dev", "infisical:///DB_A", true),
            (
                "infisical:///DB_*?env=dev",
                "infisical:///DB_A?env=dev&path=/x",
                false,
            ),
            (
                "infisical:///DB_*?env=dev",
                "infisical:///DB_A?path=/x/env=dev",
                false,
            ),
            (
                "infisical:///DB_*?env=*&path=/x",
                "infisical:///DB_A?path=/x&env=dev",
                true,
            ),
            ("infisical:///DB_*?**", "infisical:///DB_A?path=/x&env=dev", true),
            ("infisical:///DB_*", "infisical:///DB_A?optional", true),
            ("bao://kv/a/b", "bao://kv/a/b#c", true),
            ("bao://kv/a/b#c", "bao://kv/a/b#c", true),
            ("bao://kv/a/b#c", "bao://kv/a/b#d", false),
            ("bao://kv/a/b#c", "bao://kv/a/b", false),
        ] {
            assert_eq!(is_permitted(pattern, text), permitted, "{pattern} {text}");
        }
    }

    #[test]
    fn a_grant_may_be_for_some_services_only() {
        let mut allowance = Allowance::default();
        allowance.add(Grant::parse("bao://kv/**", Some("shop_*")).unwrap());
        let wanted = reference("bao://kv/a/b");
        assert!(allowance.permits(&wanted, "shop_web").is_ok());
        assert!(allowance.permits(&wanted, "other").is_err());
        assert!(allowance.permits(&wanted, "my_shop_web").is_err());
    }

    #[test]
    fn a_pattern_names_its_scheme() {
        for text in ["", "*", "**", "kv/a", "*://kv/a", "://a", "bao://"] {
            assert_eq!(Grant::parse(text, None).is_ok(), text == "bao://", "{text}");
        }
    }
}
