//! How values are written so that systemd reads back what was meant: systemd.unit(5), systemd.syntax(7) and, for
//! commands, systemd.service(5).

use std::path::Path;

/// A value that no unit can hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unsayable {
    /// Systemd reads UTF-8.
    #[error("{0} is not UTF-8")]
    NotText(String),
    /// A value ends with its line.
    #[error("{0} holds a control character")]
    Control(String),
    /// The manager does not look files up.
    #[error("{0} is not an absolute path")]
    Relative(String),
}

/// A text without a meaning of its own for systemd: `%` begins a specifier.
pub(crate) fn text(text: &str) -> Result<String, Unsayable> {
    match text.chars().any(char::is_control) {
        true => Err(Unsayable::Control(text.escape_debug().to_string())),
        false => Ok(text.replace('%', "%%")),
    }
}

/// A path that a unit can hold, not written as one does yet.
pub(crate) fn file(path: &Path) -> Result<&str, Unsayable> {
    let shown = || path.display().to_string().escape_debug().to_string();
    match path.to_str() {
        None => Err(Unsayable::NotText(shown())),
        Some(_) if !path.is_absolute() => Err(Unsayable::Relative(shown())),
        Some(name) => Ok(name),
    }
}

/// A word of a command line that a unit can hold, not written as one does yet.
#[cfg(feature = "command-rotate")]
pub(crate) fn word(word: &std::ffi::OsStr) -> Result<&str, Unsayable> {
    let shown = || word.display().to_string().escape_debug().to_string();
    word.to_str().ok_or_else(|| Unsayable::NotText(shown()))
}

/// One path that is a whole value, as of `Where=`.
pub(crate) fn path(path: &Path) -> Result<String, Unsayable> {
    text(file(path)?)
}

/// One path of a list, as of `ReadWritePaths=`.
pub(crate) fn listed(item: &Path) -> Result<String, Unsayable> {
    path(item).map(|path| quoted(&path))
}

/// A command line. Of its words only specifiers would be expanded, and variables.
pub(crate) fn command<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<String, Unsayable> {
    let words = words
        .into_iter()
        .map(|word| Ok(quoted(&text(word)?).replace('$', "$$")));
    Ok(words.collect::<Result<Vec<_>, _>>()?.join(" "))
}

/// A word as one word, in quotes where it would be more than one, or mean something.
fn quoted(word: &str) -> String {
    let is_plain = |char: char| char.is_alphanumeric() || "/_-.,:=+@%^~$".contains(char);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    let mut quoted = String::with_capacity(word.len() + 2);
    quoted.push('"');
    for char in word.chars() {
        if matches!(char, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(char);
    }
    quoted.push('"');
    quoted
}

/// The name that the unit which mounts `path` must have, as systemd-escape(1) makes it.
pub(crate) fn mount_name(path: &Path) -> Result<String, Unsayable> {
    text(file(path)?)?;
    let parts: Vec<_> = path
        .iter()
        .filter_map(|part| part.to_str())
        .filter(|part| *part != "/")
        .collect();
    if parts.is_empty() {
        return Ok("-.mount".to_owned());
    }
    let mut name = String::new();
    for (index, byte) in parts.join("/").bytes().enumerate() {
        match byte {
            b'/' => name.push('-'),
            b'.' if index == 0 => name.push_str("\\x2e"),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b':' | b'_' | b'.' => name.push(char::from(byte)),
            other => name.push_str(&format!("\\x{other:02x}")),
        }
    }
    name.push_str(".mount");
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_meaning_for_systemd_loses_it() {
        assert_eq!(text("100% sure").unwrap(), "100%% sure");
        assert_eq!(
            command(["/opt/my tools/locket", "run", "--config", "/a$b/c%d/\"e\\\"", ""]).unwrap(),
            r#""/opt/my tools/locket" run --config "/a$$b/c%%d/\"e\\\"" """#
        );
        assert_eq!(listed(Path::new("/srv/two words")).unwrap(), "\"/srv/two words\"");
        assert_eq!(listed(Path::new("/srv/one")).unwrap(), "/srv/one");
        assert_eq!(path(Path::new("/srv/two words")).unwrap(), "/srv/two words");
    }

    #[test]
    fn what_no_unit_can_hold_is_refused() {
        assert!(matches!(text("a\nExecStart=/bin/sh"), Err(Unsayable::Control(_))));
        assert!(matches!(command(["a\tb"]), Err(Unsayable::Control(_))));
        assert!(matches!(
            path(Path::new("run/secrets")),
            Err(Unsayable::Relative(_))
        ));
        use std::os::unix::ffi::OsStrExt;
        let odd = Path::new(std::ffi::OsStr::from_bytes(b"/\xff"));
        assert!(matches!(path(odd), Err(Unsayable::NotText(_))));
    }

    /// What `systemd-escape --path --suffix=mount` of systemd 252 answers.
    #[test]
    fn mount_units_are_named_as_systemd_wants_them() {
        for (path, name) in [
            ("/run/secrets", "run-secrets.mount"),
            ("/run/my-secrets/", "run-my\\x2dsecrets.mount"),
            ("/.hidden//x y", "\\x2ehidden-x\\x20y.mount"),
            ("/", "-.mount"),
            ("/srv/é", "srv-\\xc3\\xa9.mount"),
        ] {
            assert_eq!(mount_name(Path::new(path)).unwrap(), name, "{path}");
        }
    }
}
