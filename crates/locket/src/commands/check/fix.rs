//! `--fix`: what a finding's fix says, done. Files get their content through the one writer.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use locket_compose::check::Fix;
use locket_core::SecretBytes;
use locket_core::plan::{Access, Owner};
use rustix::fs::{Gid, Mode, Uid};
use zeroize::Zeroizing;

use super::super::files::{random_value, rewrite, unreadable, write, write_text};
use super::super::links::refuse_leading_out;
use super::reported::{Repair, Reported};
use crate::context::Style;
use crate::report::{self, Failure};

/// Does everything that can be done without asking, and says whether that was anything. What a link would have done outside
/// of the project stays a finding, is told, and put among `refused`, which are told no more.
///
/// # Errors
/// Something could not be done; what was done before it stays.
pub(super) fn apply(
    found: &[Reported],
    refused: &mut Vec<Repair>,
    from: &Path,
    style: Style,
) -> Result<bool, Failure> {
    let mut done: Vec<&Repair> = Vec::new();
    let mut words: Vec<&Repair> = Vec::new();
    let repairs = found.iter().filter_map(|reported| reported.fix.as_ref());
    for repair in repairs {
        if !repair.fix.is_automatic() || done.contains(&repair) || refused.contains(repair) {
            continue;
        }
        if let Err(failure) = refuse_outside(repair) {
            report::tell(&failure.draw(style));
            refused.push(repair.clone());
            continue;
        }
        done.push(repair);
        if let Fix::Replace { .. } = repair.fix {
            words.push(repair);
            continue;
        }
        one(&repair.fix)?;
        told(&repair.fix, from);
    }
    replace(&words, from)?;
    Ok(!done.is_empty())
}

/// Refuses what a link would have done outside of the project.
fn refuse_outside(repair: &Repair) -> Result<(), Failure> {
    let path = match &repair.fix {
        Fix::Make { path, .. } | Fix::Access { path, .. } | Fix::Trim { path } => path,
        Fix::Ignore { file, .. } => file,
        Fix::Replace { .. } => &repair.path,
        Fix::Paste { .. } | Fix::Untrack { .. } => return Ok(()),
    };
    // The list of a repository may stand above the project, and concerns what is beside it.
    let bound = match (path.starts_with(&repair.project), &repair.fix, path.parent()) {
        (false, Fix::Ignore { .. }, Some(beside)) => beside,
        _ => &repair.project,
    };
    refuse_leading_out(path, bound)
}

fn one(fix: &Fix) -> Result<(), Failure> {
    match fix {
        Fix::Make { path, mode, owner } => {
            // Somebody may have made it in the meantime.
            if path.exists() {
                return Ok(());
            }
            let access = Access {
                file_mode: *mode,
                dir_mode: 0o700,
                owner: owner.map(|uid| Owner { uid, gid: None }),
            };
            write(path, &random_value()?, &access)
        }
        Fix::Access { path, mode, owner } => {
            let failed = |error: rustix::io::Errno| {
                Failure::work(format!("{} cannot be put right: {error}", path.display()))
                    .help("Run the command that is shown as the owner of the file, or as root.")
            };
            if let Some(owner) = owner {
                rustix::fs::chown(path, Some(Uid::from_raw(*owner)), None::<Gid>).map_err(failed)?;
            }
            match mode {
                Some(mode) => rustix::fs::chmod(path, Mode::from_raw_mode(*mode)).map_err(failed),
                None => Ok(()),
            }
        }
        Fix::Trim { path } => trim(path),
        Fix::Ignore { file, line } => ignore(file, line),
        Fix::Paste { .. } | Fix::Untrack { .. } | Fix::Replace { .. } => Ok(()),
    }
}

/// Says what was done, on standard error: standard output belongs to the findings.
fn told(fix: &Fix, from: &Path) {
    let shown = |path: &Path| path.strip_prefix(from).unwrap_or(path).display().to_string();
    let line = match fix {
        Fix::Make { path, .. } => format!("made {}", shown(path)),
        Fix::Access { path, mode, owner } => {
            let owner = owner.map(|owner| format!("user {owner}"));
            let mode = mode.map(|mode| format!("mode {mode:o}"));
            let parts: Vec<_> = [owner, mode].into_iter().flatten().collect();
            format!("gave {} {}", shown(path), parts.join(" and "))
        }
        Fix::Trim { path } => format!("removed white space from the ends of {}", shown(path)),
        Fix::Ignore { file, line } => format!("added {line} to {}", shown(file)),
        Fix::Paste { .. } | Fix::Untrack { .. } | Fix::Replace { .. } => return,
    };
    report::tell(&format!("fixed: {line}\n"));
}

/// Puts new words in the place of old ones, file by file, the last first.
fn replace(words: &[&Repair], from: &Path) -> Result<(), Failure> {
    let mut files: Vec<&PathBuf> = words.iter().map(|repair| &repair.path).collect();
    files.sort();
    files.dedup();
    for file in files {
        let mut text = fs::read_to_string(file).map_err(|error| unreadable(file, &error))?;
        let mut here: Vec<_> = words
            .iter()
            .filter(|repair| repair.path == *file)
            .filter_map(|repair| match &repair.fix {
                Fix::Replace { place, old, new } => Some((place.span, old, new)),
                _ => None,
            })
            .collect();
        here.sort_by_key(|(span, ..)| std::cmp::Reverse(*span));
        let shown = file.strip_prefix(from).unwrap_or(file).display();
        for (span, old, new) in here {
            // It may stand in quotes.
            let written = text.get(span.start..span.end).unwrap_or_default();
            if let Some(at) = written.find(old.as_str()) {
                let start = span.start + at;
                text.replace_range(start..start + old.len(), new);
                report::tell(&format!("fixed: wrote {new} for {old} in {shown}\n"));
            }
        }
        write_text(file, &text)?;
    }
    Ok(())
}

/// Adds a line to a `.gitignore`. Whatever else is in it stays, text or not.
fn ignore(file: &Path, line: &str) -> Result<(), Failure> {
    let mut content = match fs::read(file) {
        Ok(content) => content,
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        // Its lines would be lost.
        Err(error) => return Err(unreadable(file, &error)),
    };
    let is_it = |known: &[u8]| known.strip_suffix(b"\r").unwrap_or(known) == line.as_bytes();
    if content.split(|byte| *byte == b'\n').any(is_it) {
        return Ok(());
    }
    if !content.is_empty() && !content.ends_with(b"\n") {
        content.push(b'\n');
    }
    content.extend_from_slice(line.as_bytes());
    content.push(b'\n');
    rewrite(file, &SecretBytes::new(content))
}

/// The same file without white space at its ends.
fn trim(path: &Path) -> Result<(), Failure> {
    let content = fs::read(path).map(Zeroizing::new);
    let content = content.map_err(|error| unreadable(path, &error))?;
    rewrite(path, &SecretBytes::copy_from(content.trim_ascii()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_line_is_added_once_and_every_other_byte_of_the_file_stays() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(".gitignore");
        for (before, after) in [
            (&b""[..], &b"/secrets/\n"[..]),
            (b"*.log\n", b"*.log\n/secrets/\n"),
            (b"*.log", b"*.log\n/secrets/\n"),
            (b"/caf\xe9/\r\n", b"/caf\xe9/\r\n/secrets/\n"),
            (b"\xff\n/secrets/\r\n", b"\xff\n/secrets/\r\n"),
        ] {
            fs::write(&file, before).unwrap();
            ignore(&file, "/secrets/").unwrap();
            assert_eq!(fs::read(&file).unwrap(), after);
        }
        fs::remove_file(&file).unwrap();
        ignore(&file, "/secrets/").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"/secrets/\n", "none is an empty one");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_told_and_left_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("file"), directory.path().join("link"));
        // Not even root can read a link to itself.
        symlink("link", &link).unwrap();
        assert!(ignore(&link, "/secrets/").is_err());
        assert_eq!(fs::read_link(&link).unwrap(), Path::new("link"));
        // A link to a file is read, and written through.
        fs::remove_file(&link).unwrap();
        fs::write(&file, "*.log\n").unwrap();
        symlink("file", &link).unwrap();
        ignore(&link, "/secrets/").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"*.log\n/secrets/\n");
    }
}
