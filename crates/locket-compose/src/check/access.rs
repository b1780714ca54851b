//! Who reads a secret's file in a container, and whether the disk lets them.

use locket_core::ImageName;

use super::Stat;
use crate::images;
use crate::model::{Project, Service};

/// Whom containers of locket's own image run as, unless told otherwise.
const OUR_USER: u32 = 65532;

/// Whom a container runs as, as far as it can be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reader {
    pub(super) uid: u32,
    pub(super) gid: Option<u32>,
}

impl Reader {
    /// Who reads the secrets of `service`: `user:`, or what is known of the image.
    pub(super) fn of(service: &Service) -> Option<Self> {
        if let Some(user) = &service.user {
            let (uid, gid) = match user.value.split_once(':') {
                Some((uid, gid)) => (uid, gid.parse().ok()),
                None => (user.value.as_str(), None),
            };
            let uid = if uid == "root" { 0 } else { uid.parse().ok()? };
            return Some(Self { uid, gid });
        }
        let image = &service.image.as_ref()?.value;
        if is_ours(image) {
            return Some(Self {
                uid: OUR_USER,
                gid: Some(OUR_USER),
            });
        }
        let image = images::find(image)?;
        let named = image
            .reader_variable
            .as_ref()
            .and_then(|name| service.variable(name)?.value.as_ref()?.value.parse().ok());
        Some(Self {
            uid: named.unwrap_or(image.reader),
            gid: None,
        })
    }

    /// Whether the file can be read; `None` where that depends on a group that is not known.
    pub(super) fn reads(self, stat: &Stat) -> Option<bool> {
        if self.uid == 0 {
            return Some(true);
        }
        if self.uid == stat.uid {
            return Some(stat.mode & 0o400 != 0);
        }
        match self.gid {
            Some(gid) if gid == stat.gid => Some(stat.mode & 0o040 != 0),
            Some(_) => Some(stat.mode & 0o004 != 0),
            None if stat.mode & 0o044 == 0o044 => Some(true),
            None if stat.mode & 0o044 == 0 => Some(false),
            None => None,
        }
    }
}

/// Whether it is an image of locket, whoever has built it.
fn is_ours(image: &str) -> bool {
    ImageName::of(image).last() == "locket"
}

/// Whether any service reads the secret `name` as nobody knows whom.
pub(super) fn has_unknown_reader(project: &Project, name: &str) -> bool {
    project
        .users_of(name)
        .any(|service| Reader::of(service).is_none())
}

/// Every known reader of the secret `name`.
pub(super) fn readers<'a>(
    project: &'a Project,
    name: &'a str,
) -> impl Iterator<Item = (&'a Service, Reader)> {
    project
        .users_of(name)
        .filter_map(|service| Some((service, Reader::of(service)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_image_is_known_by_its_name_and_its_user_is_that_of_its_dockerfile() {
        for image in [
            "locket",
            "locket:latest",
            "locket:op",
            "registry.example:5000/team/locket:1@sha256:0123",
        ] {
            assert!(is_ours(image), "{image}");
        }
        for image in ["team/pocket-locket", "locket/app", "postgres"] {
            assert!(!is_ours(image), "{image}");
        }
        let dockerfile = include_str!("../../../../deploy/image/Dockerfile");
        let user = dockerfile.lines().find_map(|line| line.strip_prefix("USER "));
        assert_eq!(user, Some(format!("{OUR_USER}:{OUR_USER}").as_str()));
    }
}
