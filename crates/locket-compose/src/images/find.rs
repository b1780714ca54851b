//! Which row an image belongs to.

use locket_core::ImageName;

use super::table::{Image, all};

/// What is known of an image, by its name as a Compose file has it: `registry/owner/name:tag@digest`.
///
/// An official image is also known on a mirror that keeps `library/` (`public.ecr.aws/docker/library/postgres`) or the
/// name alone (`registry.example/postgres`), any other one by owner and name behind whatever a mirror puts before them.
/// `team/postgres` is somebody's own image and not known.
pub fn find(image: &str) -> Option<&'static Image> {
    let name = ImageName::of(image);
    let by = |is_named: &dyn Fn(&str) -> bool| {
        all()
            .iter()
            .find(|image| image.names.iter().any(|known| is_named(known)))
    };
    by(&|known| known == name.repository)
        .or_else(|| by(&|known| is_mirrored(known, &name)))
        .or_else(|| {
            let owner = name.owner()?;
            by(&|known| known.strip_suffix("/*").is_some_and(|known| known == owner))
        })
}

/// Whether the image is known to bring no health check of its own.
pub fn is_unasked(image: &str) -> bool {
    let name = ImageName::of(image);
    let mut known = all().iter().flat_map(|image| &image.unasked);
    known.any(|known| *known == name.repository || is_mirrored(known, &name))
}

fn is_mirrored(known: &str, name: &ImageName<'_>) -> bool {
    let Some(before) = name.repository.strip_suffix(known) else {
        return false;
    };
    match known.contains('/') {
        true => before.ends_with('/'),
        false => before == "library/" || before.ends_with("/library/"),
    }
}
