//! What git thinks of files, by its own word. It is asked in a way in which it runs no program of the repository.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use locket_compose::check::Git;

/// What git thinks of each of `paths`.
///
/// # Errors
/// Why it could not be asked, for people.
pub(super) fn states(paths: &[PathBuf]) -> Result<Vec<Git>, String> {
    let mut states = vec![Git::Outside; paths.len()];
    // Files of one project are in one work tree, but need not be.
    let mut tops: Vec<(PathBuf, Vec<usize>)> = Vec::new();
    for (at, path) in paths.iter().enumerate() {
        let Some(top) = top(path) else { continue };
        match tops.iter_mut().find(|(known, _)| *known == top) {
            Some((_, members)) => members.push(at),
            None => tops.push((top, vec![at])),
        }
    }
    for (top, members) in tops {
        let below: Vec<_> = members
            .iter()
            .map(|at| {
                whole(&paths[*at])
                    .strip_prefix(&top)
                    .map(Path::to_owned)
                    .unwrap_or_default()
            })
            .collect();
        let tracked = tracked(&top, &below)?;
        let ignored = ignored(&top, &below)?;
        for (at, path) in members.iter().zip(&below) {
            states[*at] = if tracked.contains(path.as_os_str()) {
                Git::Tracked
            } else if ignored.contains(path.as_os_str()) {
                Git::Ignored
            } else {
                Git::New
            };
        }
    }
    Ok(states)
}

/// The work tree that `path` is in: the nearest directory above with a `.git`.
fn top(path: &Path) -> Option<PathBuf> {
    let whole = whole(path);
    let above = whole.ancestors().skip(1);
    above
        .into_iter()
        .find(|directory| directory.join(".git").exists())
        .map(Path::to_owned)
}

/// Where `path` is without links in its directories; the file itself may be one.
fn whole(path: &Path) -> PathBuf {
    match (
        path.parent().and_then(|parent| parent.canonicalize().ok()),
        path.file_name(),
    ) {
        (Some(parent), Some(name)) => parent.join(name),
        _ => path.to_owned(),
    }
}

fn tracked(top: &Path, paths: &[PathBuf]) -> Result<HashSet<OsString>, String> {
    let mut command = git(top);
    command.args(["ls-files", "-z", "--"]).args(paths);
    // Stars in a name are stars.
    command.env("GIT_LITERAL_PATHSPECS", "1");
    listed(command, None)
}

fn ignored(top: &Path, paths: &[PathBuf]) -> Result<HashSet<OsString>, String> {
    let mut command = git(top);
    command.args(["check-ignore", "-z", "--stdin"]);
    let mut input = Vec::new();
    for path in paths {
        input.extend(path.as_os_str().as_bytes());
        input.push(0);
    }
    listed(command, Some(&input))
}

fn git(top: &Path) -> Command {
    let mut command = Command::new("git");
    command
        // A file system monitor is a program that the repository's configuration names.
        .args(["-c", "core.fsmonitor=false", "-C"])
        .arg(top)
        .env("GIT_OPTIONAL_LOCKS", "0")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// The names that git prints, each ended by NUL.
fn listed(mut command: Command, input: Option<&[u8]>) -> Result<HashSet<OsString>, String> {
    let failed = |reason: &str| format!("what git has was not looked at: {reason}");
    let mut child = command.spawn().map_err(|error| failed(&error.to_string()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that ends early says why.
        let _ = stdin.write_all(input.unwrap_or_default());
    }
    let output = child
        .wait_with_output()
        .map_err(|error| failed(&error.to_string()))?;
    // `check-ignore` ends with 1 when nothing is ignored.
    if !matches!(output.status.code(), Some(0 | 1)) {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(failed(said.lines().next().unwrap_or("git failed")));
    }
    let names = output
        .stdout
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty());
    Ok(names.map(|name| OsStr::from_bytes(name).to_owned()).collect())
}
