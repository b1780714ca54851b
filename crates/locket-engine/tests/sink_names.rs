//! What is in a directory at the moment at which a new content gets its name.
//!
//! A file of its own with one test: the trace that tells of the moment is lost where another thread has none.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "this whole file is a test"
)]

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use locket_core::SecretBytes;
use locket_core::plan::{Access, Owner};
use locket_engine::sink::{Approach, LINK, Member, Phase, Sink};
use locket_engine::sources::Target;
use rustix::fs::Mode;
use tracing_subscriber::filter::LevelFilter;

use support::{mount_memory, private_directory};

mod support;

#[test]
fn mode_and_owner_are_set_before_the_name_appears() {
    let Some(directory) = private_directory() else {
        return;
    };
    rustix::process::umask(Mode::from_raw_mode(0o077));
    let access = Access {
        file_mode: 0o644,
        dir_mode: 0o755,
        owner: Some(Owner {
            uid: 1000,
            gid: Some(2000),
        }),
    };
    let memory = directory.path().join("memory");
    mount_memory(&memory, "1m");
    let new = memory.join("new");
    let seen = before_each_rename(&new, || {
        let target = Target {
            root: new.as_path().into(),
            relative: Path::new("a").into(),
        };
        let mut sink = Sink::new();
        let value = SecretBytes::copy_from(b"one");
        sink.apply_by(&target, &value, &access, Approach::Create).unwrap();
    });
    assert!(matches!(&seen[..], [before] if before.is_empty()), "{seen:?}");
    let mut files = Vec::new();
    look(&new, &mut files);
    let whole: Vec<_> = files.iter().map(Seen::whole).collect();
    assert_eq!(
        whole,
        [((1000, 2000, 0o644), "one")],
        "nothing was set after it had its name"
    );
    for place in [directory.path().join("disk"), memory] {
        let (out, switched) = (place.join("out"), place.join("switched"));
        let seen = before_each_rename(&out, || {
            for text in ["one", "two"] {
                let target = Target {
                    root: out.as_path().into(),
                    relative: Path::new("a").into(),
                };
                let value = SecretBytes::copy_from(text.as_bytes());
                let mut sink = Sink::new();
                sink.apply(&target, &value, &access).unwrap();
                assert_eq!(sink.finish(), []);
            }
        });
        let [first, second] = &seen[..] else {
            panic!("{seen:?}")
        };
        let new: Vec<_> = first.iter().map(Seen::whole).collect();
        assert_eq!(new, [((1000, 2000, 0o644), "one")], "{seen:?}");
        assert_ne!(first[0].name, "a", "the name is not there yet");
        assert!(second.iter().any(|file| file.name == "a" && file.text == "one"));
        let new: Vec<_> = second
            .iter()
            .filter(|file| file.name != "a")
            .map(Seen::whole)
            .collect();
        assert_eq!(new, [((1000, 2000, 0o644), "two")], "{seen:?}");

        let root: Arc<Path> = switched.as_path().into();
        let value = SecretBytes::copy_from(b"one");
        let member = |relative| Member {
            relative: Path::new(relative),
            bytes: &value,
            access: &access,
        };
        let seen = before_each_rename(&switched, || {
            let members = [member("a"), member("dir/b")];
            let mut sink = Sink::new();
            sink.apply_directory(&root, &members, &access).unwrap();
            assert_eq!(sink.finish(), []);
        });
        let [before] = &seen[..] else { panic!("{seen:?}") };
        let new: Vec<_> = before.iter().map(Seen::whole).collect();
        assert_eq!(new, [((1000, 2000, 0o644), "one"); 2], "{seen:?}");
        assert!(fs::read_link(switched.join(LINK)).is_ok());
    }
}

/// A file as it is at one moment.
#[derive(Debug)]
struct Seen {
    name: String,
    /// User, group and mode.
    access: (u32, u32, u32),
    text: String,
}

impl Seen {
    fn whole(&self) -> ((u32, u32, u32), &str) {
        (self.access, &self.text)
    }
}

/// Does `work`, and tells the files below `root` as they were each time that a new content was about to get its name.
fn before_each_rename(root: &Path, work: impl FnOnce()) -> Vec<Vec<Seen>> {
    /// What the trace is written to: a line is written before the step that it tells of is done.
    struct Trace(PathBuf, Arc<Mutex<Vec<Vec<Seen>>>>);
    impl Write for Trace {
        fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
            let rename = format!("phase=\"{}\"", Phase::Rename.name());
            if String::from_utf8_lossy(line).contains(&rename) {
                let mut files = Vec::new();
                look(&self.0, &mut files);
                self.1.lock().unwrap().push(files);
            }
            Ok(line.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (root, moments) = (root.to_owned(), seen.clone());
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(move || Trace(root.clone(), moments.clone()))
        .finish();
    tracing::subscriber::with_default(subscriber, work);
    std::mem::take(&mut *seen.lock().unwrap())
}

/// Collects the files below `directory`. Links are not followed.
fn look(directory: &Path, files: &mut Vec<Seen>) {
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let metadata = entry.metadata().unwrap();
        if metadata.is_dir() {
            look(&entry.path(), files);
        } else if metadata.is_file() {
            files.push(Seen {
                name: entry.file_name().into_string().unwrap(),
                access: (metadata.uid(), metadata.gid(), metadata.mode() & 0o7777),
                text: fs::read_to_string(entry.path()).unwrap(),
            });
        }
    }
}
