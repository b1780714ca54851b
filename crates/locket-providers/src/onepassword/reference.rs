//! `op://vault/item/[section/]field[?attribute=…][?ssh-format=openssh]`, names or ids.
//!
//! Syntax: <https://developer.1password.com/docs/cli/secret-reference-syntax>. Asks nobody.

use locket_core::{Diagnostic, Locator, Reference};

/// One `op://` reference, its parts percent-decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OpReference {
    /// Name or id of the vault.
    pub(crate) vault: String,
    /// Title or id of the item.
    pub(crate) item: String,
    /// Label or id of the section, where one is named.
    pub(crate) section: Option<String>,
    /// Label or id of the field, or name or id of the file; `None` for the item's own password or credential.
    pub(crate) field: Option<String>,
    /// What of the field is wanted.
    pub(crate) view: View,
}

/// What of a field or file a reference asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    /// The value of a field, the content of a file.
    Value,
    /// The current one-time code.
    Otp,
    /// The private key in OpenSSH's own format.
    OpenSsh,
    /// The field's type, such as `CONCEALED`.
    Type,
    /// The id of the field or file.
    Id,
    /// What 1Password fills it in for, such as `PASSWORD`; empty for most fields.
    Purpose,
    /// The field's label, the file's name.
    Title,
    /// The file's size in bytes.
    Size,
}

/// The words after `attribute=`, those of files included.
const ATTRIBUTES: &[(&str, View)] = &[
    ("otp", View::Otp),
    ("type", View::Type),
    ("id", View::Id),
    ("purpose", View::Purpose),
    ("title", View::Title),
    ("value", View::Value),
    ("name", View::Title),
    ("content", View::Value),
    ("size", View::Size),
];

/// Options of a reference; `attr` is the official short form of `attribute`.
const OPTIONS: &[&str] = &["attribute", "attr", "ssh-format"];

/// Turns a reference into a locator that carries an [`OpReference`]. References to one item share the item's key.
///
/// # Errors
/// One diagnostic for each thing that is wrong with the reference.
pub(crate) fn parse(reference: &Reference) -> Result<Locator, Vec<Diagnostic>> {
    let mut wrong = reference.check_options(OPTIONS).err().unwrap_or_default();
    let view = match view(reference) {
        Ok(view) => view,
        Err(diagnostic) => {
            wrong.push(diagnostic);
            View::Value
        }
    };
    let mut parts: Vec<String> = reference.segments().into_iter().map(String::from).collect();
    if parts.iter().any(|part| part.trim().is_empty()) {
        wrong.push(
            Diagnostic::error(reference.span(), "a part of this reference is empty")
                .help("Write `op://vault/item/field`, or `op://vault/item` for the item's password."),
        );
    } else if !(2..=4).contains(&parts.len()) {
        wrong.push(wrong_count(reference, parts.len()));
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let mut parts = parts.drain(..);
    let (Some(vault), Some(item)) = (parts.next(), parts.next()) else {
        return Err(vec![wrong_count(reference, 0)]);
    };
    let (section, field) = match (parts.next(), parts.next()) {
        (section, Some(field)) => (section, Some(field)),
        (field, None) => (None, field),
    };
    Ok(OpReference {
        vault,
        item,
        section,
        field,
        view,
    }
    .into_locator())
}

/// Turns `vault/item/[section/]` of a `REF/*` into a locator for all fields and files.
///
/// # Errors
/// One diagnostic for each thing that is wrong with the reference.
pub(crate) fn parse_every(reference: &Reference) -> Result<Locator, Vec<Diagnostic>> {
    reference.check_options(&[])?;
    let field = parse(&reference.with_key("field"))?;
    match field.typed::<OpReference>() {
        Some(of_item) if reference.locator().ends_with('/') && of_item.field.is_some() => {
            let scope = of_item.section.as_deref().map(keyed).unwrap_or_default();
            Ok(Locator::every(field.item(), &scope, of_item.clone()))
        }
        _ => Err(vec![
            Diagnostic::error(reference.span(), "`*` stands for all fields of an item")
                .help("Write `op://vault/item/*`, or `op://vault/item/section/*`."),
        ]),
    }
}

/// Whether `text` has the form of 1Password's ids, `^[\da-z]{26}$` in Connect's specification.
pub(crate) fn is_id(text: &str) -> bool {
    text.len() == 26
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase())
}

impl OpReference {
    fn into_locator(self) -> Locator {
        let item = format!("{}/{}", keyed(&self.vault), keyed(&self.item));
        let part = [&self.section, &self.field]
            .into_iter()
            .flatten()
            .map(|name| keyed(name))
            .collect::<Vec<_>>()
            .join("/");
        let part = match self.view {
            View::Value => part,
            view => format!("{part}?{}", view.name()),
        };
        Locator::new(item, part, self)
    }

    /// The field as a person wrote it, for messages.
    pub(crate) fn shown_field(&self) -> String {
        match (&self.section, &self.field) {
            (Some(section), Some(field)) => format!("`{section}/{field}`"),
            (None, Some(field)) => format!("`{field}`"),
            (_, None) => "a password or credential".to_owned(),
        }
    }
}

impl View {
    /// The word that asks for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::OpenSsh => "ssh-format=openssh",
            view => ATTRIBUTES
                .iter()
                .find(|(_, known)| *known == view)
                .map_or("value", |(name, _)| name),
        }
    }
}

fn view(reference: &Reference) -> Result<View, Diagnostic> {
    let span = reference.span();
    let attribute = match (reference.option("attribute"), reference.option("attr")) {
        (Some(_), Some(_)) => {
            return Err(Diagnostic::error(
                span,
                "the option `attribute` is given twice, once as `attr`",
            ));
        }
        (attribute, short) => attribute.or(short),
    };
    let attribute = match attribute {
        None => None,
        Some(name) => match ATTRIBUTES.iter().find(|(known, _)| *known == name) {
            Some((_, view)) => Some(*view),
            None => {
                return Err(Diagnostic::error(span, format!("there is no attribute `{name}`"))
                    .help("The attributes are `otp`, `type`, `id`, `purpose`, `title`, `value`; of files also `name`, `content`, `size`.")
                    .did_you_mean(name, ATTRIBUTES.iter().map(|(known, _)| *known)));
            }
        },
    };
    match (reference.option("ssh-format"), attribute) {
        (None, attribute) => Ok(attribute.unwrap_or(View::Value)),
        (Some("openssh"), None | Some(View::Value)) => Ok(View::OpenSsh),
        (Some("openssh"), Some(_)) => Err(Diagnostic::error(
            span,
            "`ssh-format` and `attribute` ask for two different things",
        )
        .help("Keep one of them.")),
        (Some(other), _) => Err(
            Diagnostic::error(span, format!("there is no SSH key format `{other}`")).help(
                "Write `?ssh-format=openssh`, or leave the option away for the key as 1Password keeps it.",
            ),
        ),
    }
}

fn wrong_count(reference: &Reference, count: usize) -> Diagnostic {
    let diagnostic = Diagnostic::error(reference.span(), "this is not the form of a 1Password reference");
    if count > 4 {
        diagnostic
            .label(format!("{count} parts"))
            .help("The parts are vault, item, section and field. Write a slash inside of a name as `%2F`.")
    } else {
        diagnostic.help("Write `op://vault/item/field`, or `op://vault/item` for the item's password.")
    }
}

/// A name inside a key, so that a slash in a name is not a border.
fn keyed(name: &str) -> String {
    name.replace('%', "%25").replace('/', "%2F")
}

#[cfg(test)]
mod tests {
    use locket_core::reference::{Parsed, Position};
    use locket_core::schemes::Fragment;
    use locket_core::{Scheme, Schemes};

    use super::*;

    fn reference(text: &str) -> Reference {
        let schemes = Schemes::new([Scheme {
            name: "op".into(),
            bare: true,
            fragment: Fragment::Json,
        }]);
        match Reference::parse(text, 0, Position::Tag, &schemes) {
            Parsed::Reference(reference) => reference,
            other => panic!("{text} is {other:?}"),
        }
    }

    fn parsed(text: &str) -> OpReference {
        parse(&reference(text))
            .unwrap()
            .typed::<OpReference>()
            .unwrap()
            .clone()
    }

    fn wrong(text: &str) -> Diagnostic {
        let mut wrong = parse(&reference(text)).unwrap_err();
        assert_eq!(wrong.len(), 1, "{wrong:?}");
        wrong.remove(0)
    }

    #[test]
    fn parts_are_vault_item_section_and_field() {
        assert_eq!(
            parsed("op://Mordin/SecretPassword/Test Section/text"),
            OpReference {
                vault: "Mordin".into(),
                item: "SecretPassword".into(),
                section: Some("Test Section".into()),
                field: Some("text".into()),
                view: View::Value,
            }
        );
        assert_eq!(parsed("op://v/i/f").field.as_deref(), Some("f"));
        assert_eq!(parsed("op://v/i").field, None);
    }

    #[test]
    fn names_are_percent_decoded_and_quotes_protect_slashes() {
        let first = parsed("op://v/a%2Fb/50%25%20off");
        assert_eq!(
            (first.item.as_str(), first.field.as_deref()),
            ("a/b", Some("50% off"))
        );
        assert_eq!(parsed("op://v/\"a/b\"/f").item, "a/b");
    }

    #[test]
    fn references_to_one_item_share_its_key_and_no_other() {
        let key = |text| parse(&reference(text)).unwrap().item().to_owned();
        assert_eq!(key("op://v/a b/f"), key("op://v/a%20b/s/g?attribute=otp"));
        assert_ne!(key("op://v/a%2Fb/f"), key("op://v%2Fa/b/f"));
        let part = |text| parse(&reference(text)).unwrap().part().to_owned();
        assert_eq!(part("op://v/i/f?attr=otp"), part("op://v/i/f?attribute=otp"));
        let parts = [
            "op://v/i/f",
            "op://v/i/s/f",
            "op://v/i",
            "op://v/i/s%2Ff",
            "op://v/i/f?attr=id",
        ]
        .map(part);
        for (index, part) in parts.iter().enumerate() {
            assert!(!parts[..index].contains(part), "{part} stands for two things");
        }
    }

    #[test]
    fn attributes_and_the_key_format_choose_the_view() {
        for (name, view) in ATTRIBUTES {
            assert_eq!(parsed(&format!("op://v/i/f?attribute={name}")).view, *view);
        }
        assert_eq!(parsed("op://v/i/f?ssh-format=openssh").view, View::OpenSsh);
        assert_eq!(
            parsed("op://v/i/f?attr=value&ssh-format=openssh").view,
            View::OpenSsh
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_advice() {
        assert!(wrong("op://v").help.unwrap().contains("op://vault/item/field"));
        assert!(wrong("op://v/i/s/f/x").help.unwrap().contains("%2F"));
        assert!(wrong("op://v/i/").message.contains("empty"));
        assert_eq!(
            wrong("op://v/i/f?attribute=opt").help.as_deref(),
            Some("Did you mean `otp`?")
        );
        assert!(wrong("op://v/i/f?ssh-format=pkcs1").message.contains("pkcs1"));
        assert!(
            wrong("op://v/i/f?ssh-format=openssh&attribute=otp")
                .message
                .contains("two different")
        );
        assert!(
            wrong("op://v/i/f?attr=otp&attribute=otp")
                .message
                .contains("twice")
        );
        assert_eq!(
            wrong("op://v/i/f?atribute=otp").help.as_deref(),
            Some("Did you mean `attribute`?")
        );
    }

    #[test]
    fn all_errors_of_a_reference_come_at_once() {
        assert_eq!(parse(&reference("op://v?attribute=x&y=1")).unwrap_err().len(), 3);
    }

    #[test]
    fn ids_are_26_lower_case_letters_and_digits() {
        assert!(is_id("ionaiwtdvgclrixbt6ztpqcxnq"));
        assert!(!is_id("ionaiwtdvgclrixbt6ztpqcxn"));
        assert!(!is_id("Ionaiwtdvgclrixbt6ztpqcxnq"));
        assert!(!is_id("ionaiwtdvgclrixbt6ztpq-xnq"));
    }
}
