//! Which field or file of an item a reference means.
//!
//! The rules are the official ones: an exact name beats an id beats a name in other case; without a section the
//! fields outside of sections come first, then the only one of that name. What stays ambiguous is refused.

use locket_core::ProviderError;
use locket_core::suggest::nearest;

use super::item::{Field, File, Item, Section};
use super::reference::{OpReference, View};

/// What a reference means in its item.
pub(crate) enum Chosen<'i, 'a> {
    /// A field.
    Field(&'i Field<'a>),
    /// An attached file, whose content is not in the item.
    File(&'i File),
}

/// Finds what `reference` names in `item`.
///
/// # Errors
/// Not found when nothing has that name, with the nearest one; invalid when several have it, with what tells them apart.
pub(crate) fn select<'i, 'a>(
    item: &'i Item<'a>,
    reference: &OpReference,
) -> Result<Chosen<'i, 'a>, ProviderError> {
    let Some(name) = &reference.field else {
        return own_secret(item, reference);
    };
    let sections = match &reference.section {
        Some(section) => Some(named_sections(item, section)?),
        None => None,
    };
    let inside = |section: Option<&str>| {
        sections
            .as_ref()
            .is_none_or(|wanted| section.is_some_and(|id| wanted.contains(&id)))
    };
    let candidates: Vec<_> = candidates(item)
        .filter(|candidate| inside(candidate.section))
        .collect();
    let tiers: [fn(&Candidate<'_, '_>, &str) -> bool; 3] = [
        |candidate, name| candidate.label == name,
        |candidate, name| candidate.id == name,
        |candidate, name| same_name(candidate.label, name),
    ];
    for tier in tiers {
        let found: Vec<_> = candidates
            .iter()
            .filter(|candidate| tier(candidate, name))
            .collect();
        match found.as_slice() {
            [] => {}
            [only] => return Ok(only.chosen()),
            several => return the_one_outside_sections(several).ok_or_else(|| ambiguous(reference, several)),
        }
    }
    Err(no_field(
        reference,
        candidates.iter().map(|candidate| candidate.label),
    ))
}

/// Every field that has a value and every file, by name; of one section where `reference` names one.
///
/// # Errors
/// Not found when there is no such section.
pub(crate) fn every<'i, 'a>(
    item: &'i Item<'a>,
    reference: &OpReference,
) -> Result<Vec<(&'i str, Chosen<'i, 'a>)>, ProviderError> {
    let sections = match &reference.section {
        Some(section) => Some(named_sections(item, section)?),
        None => None,
    };
    let has_value = |part: &Chosen<'_, '_>| match part {
        Chosen::Field(field) => field.has_value(),
        Chosen::File(_) => true,
    };
    let inside = candidates(item).filter(|candidate| {
        let section = candidate.section;
        let wanted = |wanted: &Vec<&str>| section.is_some_and(|id| wanted.contains(&id));
        has_value(&candidate.part) && sections.as_ref().is_none_or(wanted)
    });
    Ok(inside
        .map(|candidate| (candidate.label, candidate.chosen()))
        .collect())
}

/// Whether two names differ in case alone. 1Password's references do not mind case.
pub(crate) fn same_name(one: &str, other: &str) -> bool {
    one == other || one.to_lowercase() == other.to_lowercase()
}

/// What a reference without a field means: the one-time code or key it asks for, else the password or credential.
fn own_secret<'i, 'a>(item: &'i Item<'a>, reference: &OpReference) -> Result<Chosen<'i, 'a>, ProviderError> {
    let of_kind = |kind: &str| {
        item.fields
            .iter()
            .filter(|field| field.kind == kind)
            .collect::<Vec<_>>()
    };
    let found = match reference.view {
        View::Otp => of_kind("OTP"),
        View::OpenSsh => of_kind("SSHKEY"),
        _ => {
            let password = item.fields.iter().find(|field| field.purpose == "PASSWORD");
            let credential = || {
                ["credential", "password"].iter().find_map(|name| {
                    item.fields
                        .iter()
                        .find(|field| field.id == *name || same_name(&field.label, name))
                })
            };
            password.or_else(credential).into_iter().collect()
        }
    };
    match found.as_slice() {
        [only] => Ok(Chosen::Field(only)),
        [] => Err(no_field(
            reference,
            candidates(item).map(|candidate| candidate.label),
        )),
        several => {
            let several: Vec<_> = several
                .iter()
                .map(|field| Candidate::field(item, field))
                .collect();
            Err(ambiguous(reference, &several.iter().collect::<Vec<_>>()))
        }
    }
}

/// A field or file by what it can be named by.
struct Candidate<'i, 'a> {
    label: &'i str,
    id: &'i str,
    /// Id of its section.
    section: Option<&'i str>,
    /// Label of its section; `None` for the item's own, unlabelled one.
    heading: Option<&'i str>,
    part: Chosen<'i, 'a>,
}

impl<'i, 'a> Candidate<'i, 'a> {
    fn field(item: &'i Item<'a>, field: &'i Field<'a>) -> Self {
        Self {
            label: if field.label.is_empty() {
                &field.id
            } else {
                &field.label
            },
            id: &field.id,
            section: field.section.as_ref().map(|section| section.id.as_str()),
            heading: heading(item, field.section.as_ref()),
            part: Chosen::Field(field),
        }
    }

    fn file(item: &'i Item<'a>, file: &'i File) -> Self {
        Self {
            label: &file.name,
            id: &file.id,
            section: file.section.as_ref().map(|section| section.id.as_str()),
            heading: heading(item, file.section.as_ref()),
            part: Chosen::File(file),
        }
    }

    fn chosen(&self) -> Chosen<'i, 'a> {
        match self.part {
            Chosen::Field(field) => Chosen::Field(field),
            Chosen::File(file) => Chosen::File(file),
        }
    }
}

fn candidates<'i, 'a>(item: &'i Item<'a>) -> impl Iterator<Item = Candidate<'i, 'a>> {
    // A field of this kind only stands for a file, which is in the other list under the same name.
    let fields = item
        .fields
        .iter()
        .filter(|field| field.kind != "FILE" || field.has_value());
    fields
        .map(|field| Candidate::field(item, field))
        .chain(item.files.iter().map(|file| Candidate::file(item, file)))
}

/// Ids of the sections that `name` means.
fn named_sections<'i>(item: &'i Item<'_>, name: &str) -> Result<Vec<&'i str>, ProviderError> {
    // The `op` program repeats a section's label in its fields; Connect lists sections apart.
    let known = item
        .sections
        .iter()
        .chain(item.fields.iter().filter_map(|field| field.section.as_ref()))
        .chain(item.files.iter().filter_map(|file| file.section.as_ref()));
    let tiers: [fn(&Section, &str) -> bool; 3] = [
        |section, name| section.label == name,
        |section, name| section.id == name,
        |section, name| same_name(&section.label, name),
    ];
    for tier in tiers {
        let found: Vec<_> = known
            .clone()
            .filter(|section| tier(section, name))
            .map(|section| section.id.as_str())
            .collect();
        if !found.is_empty() {
            return Ok(found);
        }
    }
    let labels = item.sections.iter().map(|section| section.label.as_str());
    Err(with_nearest(
        ProviderError::not_found(format!("the item has no section `{name}`")),
        name,
        labels,
    ))
}

/// The label of `section`; Connect tells it in the item's list, the `op` program in the field as well.
fn heading<'i>(item: &'i Item<'_>, section: Option<&'i Section>) -> Option<&'i str> {
    let section = section?;
    let listed = item.sections.iter().find(|listed| listed.id == section.id);
    let labels = [Some(section), listed].into_iter().flatten();
    labels
        .map(|section| section.label.as_str())
        .find(|label| !label.is_empty())
}

fn the_one_outside_sections<'i, 'a>(several: &[&Candidate<'i, 'a>]) -> Option<Chosen<'i, 'a>> {
    let mut outside = several.iter().filter(|candidate| candidate.heading.is_none());
    match (outside.next(), outside.next()) {
        (Some(only), None) => Some(only.chosen()),
        _ => None,
    }
}

fn ambiguous(reference: &OpReference, several: &[&Candidate<'_, '_>]) -> ProviderError {
    let places: Vec<_> = several
        .iter()
        .map(|candidate| {
            let Candidate { label, id, .. } = candidate;
            match candidate.heading {
                Some(heading) => format!("`{heading}/{label}` (id `{id}`)"),
                None => format!("`{label}` (id `{id}`)"),
            }
        })
        .collect();
    let what = match (&reference.field, reference.view) {
        (None, View::Otp) => "one-time passwords".to_owned(),
        (None, View::OpenSsh) => "SSH keys".to_owned(),
        _ => format!("fields for {}", reference.shown_field()),
    };
    ProviderError::invalid(format!("the item has several {what}: {}", places.join(", ")))
        .hint("Name the section before the field, or write the field's id in place of its name.")
}

fn no_field<'n>(reference: &OpReference, names: impl Iterator<Item = &'n str>) -> ProviderError {
    let place = match &reference.section {
        Some(section) => format!("section `{section}` of the item"),
        None => "the item".to_owned(),
    };
    match &reference.field {
        Some(name) => with_nearest(
            ProviderError::not_found(format!("{place} has no field or file `{name}`")),
            name,
            names,
        ),
        None => {
            let what = match reference.view {
                View::Otp => "one-time password",
                View::OpenSsh => "SSH key",
                _ => "password or credential",
            };
            let error = ProviderError::not_found(format!("the item has no {what} of its own"));
            match listed(names) {
                Some(names) => error.hint(format!("Name one of its fields: {names}.")),
                None => error,
            }
        }
    }
}

fn with_nearest<'n>(error: ProviderError, name: &str, names: impl Iterator<Item = &'n str>) -> ProviderError {
    let names: Vec<_> = names.collect();
    match nearest(name, names.iter().copied()) {
        Some(near) => error.hint(format!("Did you mean `{near}`?")),
        None => match listed(names.into_iter()) {
            Some(names) => error.hint(format!("It has {names}.")),
            None => error,
        },
    }
}

/// The first names of a list, quoted; `None` when there are none.
fn listed<'n>(names: impl Iterator<Item = &'n str>) -> Option<String> {
    const SHOWN: usize = 12;
    let names: Vec<_> = names
        .filter(|name| !name.is_empty())
        .map(|name| format!("`{name}`"))
        .collect();
    match names.len() {
        0 => None,
        1..=SHOWN => Some(names.join(", ")),
        more => Some(format!("{} and {} more", names[..SHOWN].join(", "), more - SHOWN)),
    }
}

#[cfg(test)]
#[path = "select_tests.rs"]
mod tests;
