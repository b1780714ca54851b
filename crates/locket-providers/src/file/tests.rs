use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use locket_core::{Environment, ErrorKind, Fetched, ProviderError};
use rustix::fs::{Mode, OFlags};

use super::KIND;
use super::read::{ReadError, read_regular};
use super::testing::{build, fetch, reference};
use crate::Settings;

fn read(base_dir: &Path, references: &[&str]) -> Vec<Result<Fetched, ProviderError>> {
    let provider = build(&KIND, &Settings::default(), &Environment::default(), base_dir);
    fetch(&KIND, provider.as_ref(), references)
}

fn read_one(base_dir: &Path, reference: &str) -> Result<Fetched, ProviderError> {
    read(base_dir, &[reference]).remove(0)
}

#[test]
fn bytes_are_exact_with_nul_and_trailing_newlines() {
    let dir = tempfile::tempdir().unwrap();
    let exact: &[u8] = b"\xff\x00 two\r\nlines\n\n";
    std::fs::write(dir.path().join("x"), exact).unwrap();
    std::fs::write(dir.path().join("empty"), b"").unwrap();
    let absolute = format!("file://{}/x", dir.path().display());
    let got = read(dir.path(), &["file://x", &absolute, "file://empty"]);
    assert!(got[0].as_ref().unwrap().value.matches(exact));
    assert!(got[1].as_ref().unwrap().value.matches(exact));
    assert!(got[2].as_ref().unwrap().value.is_empty());
}

#[test]
fn a_path_is_percent_decoded_to_any_bytes() {
    use std::os::unix::ffi::OsStrExt;

    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a b?#"), b"decoded").unwrap();
    let odd = std::ffi::OsStr::from_bytes(b"\xfe\xff");
    std::fs::write(dir.path().join(odd), b"not UTF-8").unwrap();
    let got = read(dir.path(), &["file://a%20b%3f%23", "file://%fe%ff"]);
    assert!(got[0].as_ref().unwrap().value.matches(b"decoded"));
    assert!(got[1].as_ref().unwrap().value.matches(b"not UTF-8"));
}

#[test]
fn a_missing_file_is_not_found_and_the_others_are_read() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("x"), b"there").unwrap();
    let got = read(dir.path(), &["file://nope", "file://x", "file://x/below"]);
    let error = got[0].as_ref().unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert!(
        error
            .hint
            .as_ref()
            .unwrap()
            .contains(&*dir.path().to_string_lossy())
    );
    assert!(got[1].as_ref().unwrap().value.matches(b"there"));
    assert_eq!(got[2].as_ref().unwrap_err().kind, ErrorKind::NotFound);
}

#[test]
fn a_fifo_is_refused_by_name_without_waiting_or_waking_its_writer() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        Mode::RUSR | Mode::WUSR,
        0,
    )
    .unwrap();
    let error = read_one(dir.path(), "file://pipe").unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(error.context.contains("is a FIFO"), "{}", error.context);

    // A reader that had opened it would let this succeed.
    let writer = rustix::fs::open(&fifo, OFlags::WRONLY | OFlags::NONBLOCK, Mode::empty());
    assert_eq!(writer.unwrap_err(), rustix::io::Errno::NXIO);
}

#[test]
fn directories_devices_and_sockets_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("socket")).unwrap();
    for (reference, what) in [
        ("file://.", "a directory"),
        ("file:///dev/zero", "a device"),
        ("file://socket", "a socket"),
    ] {
        let error = read_one(dir.path(), reference).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid, "{reference}");
        assert!(error.context.contains(what), "{}", error.context);
    }
}

#[test]
fn a_symlink_is_followed_and_a_circle_of_them_is_invalid() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("x"), b"behind").unwrap();
    std::os::unix::fs::symlink("x", dir.path().join("link")).unwrap();
    std::os::unix::fs::symlink("circle", dir.path().join("circle")).unwrap();
    let got = read(dir.path(), &["file://link", "file://circle"]);
    assert!(got[0].as_ref().unwrap().value.matches(b"behind"));
    assert_eq!(got[1].as_ref().unwrap_err().kind, ErrorKind::Invalid);
}

#[test]
fn a_file_over_the_limit_is_refused_before_it_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let file = std::fs::File::create(dir.path().join("huge")).unwrap();
    file.set_len(1 << 40).unwrap();
    let error = read_one(dir.path(), "file://huge").unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(error.context.contains("larger than 16 MiB"), "{}", error.context);
}

#[test]
fn the_limit_is_exact() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    std::fs::write(&path, b"12345678").unwrap();
    assert_eq!(read_regular(&path, 8).ok().unwrap().bytes.as_slice(), b"12345678");
    assert!(matches!(
        read_regular(&path, 7),
        Err(ReadError::TooLarge { limit: 7 })
    ));
}

#[test]
fn a_file_without_a_size_is_read_to_its_end() {
    let read = read_regular(Path::new("/proc/self/status"), 1 << 20)
        .ok()
        .unwrap();
    assert!(read.bytes.starts_with(b"Name:"));
    assert!(matches!(
        read_regular(Path::new("/proc/self/status"), 16),
        Err(ReadError::TooLarge { .. })
    ));
}

#[test]
fn a_file_that_may_not_be_read_is_denied_and_names_the_uid() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    std::fs::write(&path, b"canary-denied").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).unwrap();
    let error = ReadError::from(rustix::io::Errno::ACCESS);
    let uid = rustix::process::geteuid().as_raw();
    assert!(error.to_string().contains(&uid.to_string()));
    // Root reads it all the same; anybody else sees the whole path of the error.
    if uid != 0 {
        let error = read_one(dir.path(), "file://x").unwrap_err();
        assert_eq!(error.kind, ErrorKind::Denied);
        assert!(error.hint.unwrap().contains(&uid.to_string()));
    }
}

#[test]
fn options_and_nul_bytes_are_refused_in_the_reference() {
    assert!((KIND.parse)(&reference("file://x?version=2")).is_err());
    assert!((KIND.parse)(&reference("file://x%00y")).is_err());
    assert!((KIND.parse)(&reference("file://x?optional#a.b")).is_ok());
}

#[test]
fn two_spellings_of_one_path_are_one_read() {
    let locator = |text| (KIND.parse)(&reference(text)).unwrap();
    assert_eq!(locator("file:///a b"), locator("file:///a%20b"));
    assert_ne!(locator("file:///a"), locator("file://a"));
}

#[test]
fn every_file_of_a_directory_is_a_key_and_what_is_below_or_hidden_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let secrets = dir.path().join("secrets");
    std::fs::create_dir_all(secrets.join("below")).unwrap();
    for (name, bytes) in [
        ("db_user", &b"ann"[..]),
        ("db_pass", b"\x00x"),
        ("other", b"o"),
        (".hidden", b"h"),
    ] {
        std::fs::write(secrets.join(name), bytes).unwrap();
    }
    std::os::unix::fs::symlink("db_user", secrets.join("link")).unwrap();
    std::os::unix::fs::symlink("nowhere", secrets.join("dangling")).unwrap();
    let names = |reference: &str| {
        let members = read_one(dir.path(), reference).unwrap().members.unwrap();
        members.names().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(names("file://secrets/*"), ["db_pass", "db_user", "link", "other"]);
    assert_eq!(
        names(&format!("file://{}/db_*", secrets.display())),
        ["pass", "user"]
    );
    assert_eq!(
        names("file://secrets/below/*"),
        [""; 0],
        "an empty directory has no keys"
    );
    let members = read_one(dir.path(), "file://secrets/*").unwrap().members.unwrap();
    assert!(members.get("db_pass").unwrap().value.matches(b"\x00x"));
    assert_eq!(
        read_one(dir.path(), "file://nowhere/*").unwrap_err().kind,
        ErrorKind::NotFound
    );
    let file = read_one(dir.path(), "file://secrets/other/*").unwrap_err();
    assert_eq!(file.kind, ErrorKind::Invalid);
    assert!(file.hint.unwrap().contains("#*"));
}
