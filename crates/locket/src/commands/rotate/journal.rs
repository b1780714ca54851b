//! What a rotation leaves for whoever comes after a kill: how far it came, and both values. All of it is gone when the
//! rotation has ended, one way or the other.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use locket_core::SecretBytes;
use serde::{Deserialize, Serialize};

use super::super::project::SecretFiles;
use crate::report::Failure;

/// How far a rotation came. Each step may be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Step {
    /// Both values are kept; nothing is changed.
    Prepared,
    /// The value inside may be either.
    Inside,
    /// Where it is kept, it may be either.
    Kept,
    /// Dependents may use either.
    Dependents,
}

/// What changes the value inside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Means {
    /// What is known of its service; nothing where none is told.
    #[default]
    Recipe,
    /// A program that the project or the configuration names.
    Configured,
    /// A program that the command line names. It is not kept: what else stands there is nobody's business.
    Given,
}

/// What is kept until a rotation has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// How far it came.
    Record,
    /// The value before.
    Old,
    /// The value after.
    New,
}

/// Where the items of one rotation are kept: a place that is as safe as that of the value itself.
pub(super) trait Shelf {
    /// What is kept there of `item`.
    ///
    /// # Errors
    /// It is there and cannot be read.
    fn get(&self, item: Item) -> Result<Option<SecretBytes>, Failure>;

    /// Keeps `value` as `item`.
    ///
    /// # Errors
    /// It cannot be kept, so that nothing may be done that it stands for.
    fn put(&self, item: Item, value: &SecretBytes) -> Result<(), Failure>;

    /// Leaves nothing. The record goes last, so that what is left is never values that nobody knows of.
    ///
    /// # Errors
    /// Something stays.
    fn clear(&self) -> Result<(), Failure>;

    /// Where that is, for a person.
    fn shown(&self) -> String;
}

/// The record of one rotation.
pub(super) struct Journal<'a>(pub(super) &'a dyn Shelf);

/// What is known of a rotation that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// How far it came.
    pub(super) step: Step,
    /// Who changes the value inside, there and back.
    #[serde(default)]
    pub(super) means: Means,
}

impl Journal<'_> {
    /// What is known of an earlier rotation that did not end.
    ///
    /// # Errors
    /// The record cannot be read.
    pub(super) fn unfinished(&self) -> Result<Option<Record>, Failure> {
        let Some(record) = self.0.get(Item::Record)? else {
            return Ok(None);
        };
        #[expect(clippy::disallowed_methods, reason = "the record holds no value")]
        let record = serde_json::from_slice::<Record>(record.expose());
        record.map(Some).map_err(|error| {
            Failure::work(format!("the record of a rotation in {} cannot be read: {error}", self.0.shown()))
                .help("Both values of the interrupted rotation are kept beside it; put one in force everywhere, then remove all three.")
        })
    }

    /// Begins: both values are kept before anything changes.
    ///
    /// # Errors
    /// They cannot be.
    pub(super) fn begin(&self, old: &SecretBytes, new: &SecretBytes, means: Means) -> Result<(), Failure> {
        self.0.put(Item::Old, old)?;
        self.0.put(Item::New, new)?;
        self.reach(Step::Prepared, means)
    }

    /// Says what is about to be done.
    ///
    /// # Errors
    /// It cannot be written, so it must not be done.
    pub(super) fn reach(&self, step: Step, means: Means) -> Result<(), Failure> {
        let text = serde_json::to_vec(&Record { step, means }).unwrap_or_default();
        self.0.put(Item::Record, &SecretBytes::new(text))
    }

    /// Both values, the old one first; `None` where they were not both kept, or not any more.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub(super) fn values(&self) -> Result<Option<(SecretBytes, SecretBytes)>, Failure> {
        Ok(self.0.get(Item::Old)?.zip(self.0.get(Item::New)?))
    }

    /// Ends: nothing of it stays.
    ///
    /// # Errors
    /// Something stays.
    pub(super) fn end(&self) -> Result<(), Failure> {
        self.0.clear()
    }
}

/// Files, for their owner alone.
#[derive(Debug)]
pub(super) struct Files {
    directory: PathBuf,
    name: OsString,
}

impl Files {
    /// Beside the file at `path`, under its whole name: files of one directory may differ in their endings alone, and the
    /// values of one must never be put into another.
    pub(super) fn beside(path: &Path) -> Self {
        Self {
            directory: path.parent().unwrap_or(Path::new("/")).to_owned(),
            name: path.file_name().unwrap_or_default().to_owned(),
        }
    }

    fn path(&self, item: Item) -> PathBuf {
        let what = match item {
            Item::Record => "rotation",
            Item::Old => "old",
            Item::New => "new",
        };
        let mut name = OsString::from(".");
        name.push(&self.name);
        name.push(".");
        name.push(what);
        self.directory.join(name)
    }
}

impl Shelf for Files {
    fn get(&self, item: Item) -> Result<Option<SecretBytes>, Failure> {
        let path = self.path(item);
        match std::fs::read(&path) {
            Ok(bytes) => Ok(Some(SecretBytes::new(bytes))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(super::super::files::unreadable(&path, &error)),
        }
    }

    fn put(&self, item: Item, value: &SecretBytes) -> Result<(), Failure> {
        SecretFiles::keep(&self.path(item), value)
    }

    fn clear(&self) -> Result<(), Failure> {
        for path in [Item::Old, Item::New, Item::Record].map(|item| self.path(item)) {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Failure::work(format!(
                        "{} cannot be removed: {error}",
                        path.display()
                    )));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn shown(&self) -> String {
        self.directory.display().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_of_an_older_release_is_read() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(".pw.txt.rotation"), r#"{"step":"inside"}"#).unwrap();
        let record = Record {
            step: Step::Inside,
            means: Means::Recipe,
        };
        let files = Files::beside(&directory.path().join("pw.txt"));
        assert_eq!(Journal(&files).unfinished().unwrap(), Some(record));
    }

    #[test]
    fn files_that_differ_in_their_endings_alone_have_rotations_of_their_own() {
        let directory = tempfile::tempdir().unwrap();
        let beside = |name: &str| Files::beside(&directory.path().join(name));
        let (text, key, bare) = (beside("app.txt"), beside("app.key"), beside("app"));
        let secret = |value: &[u8]| SecretBytes::copy_from(value);
        let means = Means::default();
        Journal(&text)
            .begin(&secret(b"old"), &secret(b"new"), means)
            .unwrap();
        assert!(directory.path().join(".app.txt.rotation").exists());
        let step = Step::Prepared;
        assert_eq!(Journal(&text).unfinished().unwrap(), Some(Record { step, means }));
        for other in [&key, &bare] {
            assert_eq!(Journal(other).unfinished().unwrap(), None);
            assert_eq!(Journal(other).values().unwrap(), None);
        }
        // The end of one is not the end of the other.
        Journal(&key)
            .begin(&secret(b"other"), &secret(b"newer"), means)
            .unwrap();
        Journal(&key).end().unwrap();
        let kept = Journal(&text).values().unwrap();
        assert_eq!(kept, Some((secret(b"old"), secret(b"new"))));
        Journal(&text).end().unwrap();
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
