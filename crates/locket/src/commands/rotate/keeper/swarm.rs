//! A secret of a swarm. Nobody can read it there: the old value comes from a container that has it.

use locket_core::SecretBytes;

use super::super::journal::{Files, Shelf};
use super::super::swarm::{Manager, Seen};
use super::Keeper;
use crate::report::Failure;

/// A secret that is kept by the swarm alone.
pub(in super::super) struct Swarm<'a> {
    pub(in super::super) manager: &'a Manager<'a>,
    pub(in super::super) seen: &'a Seen,
    pub(in super::super) name: &'a str,
    /// Outside of any repository: there is no secret file to be beside.
    pub(in super::super) shelf: Files,
}

/// A secret whose value the swarm has from another place.
pub(in super::super) struct Followed<'a> {
    pub(in super::super) manager: &'a Manager<'a>,
    pub(in super::super) name: &'a str,
    /// That place.
    pub(in super::super) source: &'a dyn Keeper,
}

impl Keeper for Swarm<'_> {
    fn value(&self) -> Result<SecretBytes, Failure> {
        self.manager.value(self.seen)
    }

    fn keep(&self, value: &SecretBytes) -> Result<(), Failure> {
        self.manager.bring(self.name, value)
    }

    fn shelf(&self) -> &dyn Shelf {
        &self.shelf
    }

    fn rehearse(&self) -> Result<Vec<String>, Failure> {
        self.manager.rehearse(self.name)
    }
}

impl Keeper for Followed<'_> {
    fn value(&self) -> Result<SecretBytes, Failure> {
        self.source.value()
    }

    fn keep(&self, value: &SecretBytes) -> Result<(), Failure> {
        self.source.keep(value)?;
        self.manager.bring(self.name, value)
    }

    fn shelf(&self) -> &dyn Shelf {
        self.source.shelf()
    }

    fn rehearse(&self) -> Result<Vec<String>, Failure> {
        let mut lines = self.source.rehearse()?;
        lines.extend(self.manager.rehearse(self.name)?);
        Ok(lines)
    }
}
