//! Who reads a secret's file in a container, and whether the disk lets them.

use super::Stat;
use crate::images;
use crate::model::{Project, Service};

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
        let image = images::find(&service.image.as_ref()?.value)?;
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

/// Every known reader of the secret `name`.
pub(super) fn readers<'a>(
    project: &'a Project,
    name: &'a str,
) -> impl Iterator<Item = (&'a Service, Reader)> {
    project
        .users_of(name)
        .filter_map(|service| Some((service, Reader::of(service)?)))
}
