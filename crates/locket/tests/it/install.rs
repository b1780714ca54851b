//! The script that installs a release and updates it, against a place with releases.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use locket_testkit::{Request, Response, Server, TestCa, services};

use crate::support::{Mount, Scene, run};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A place with the release that was built, and a user without it.
struct Releases {
    files: Arc<Mutex<HashMap<String, Vec<u8>>>>,
    server: Server,
    scene: Scene,
    archive: PathBuf,
}

impl Releases {
    /// `None` where no release was built.
    fn new() -> Option<Self> {
        let archive = services::archive()?;
        let files: Arc<Mutex<HashMap<String, Vec<u8>>>> = Arc::default();
        let served = files.clone();
        let server = Server::start(move |request| {
            let name = request.path.strip_prefix("/releases/").unwrap_or_default();
            match served.lock().unwrap().get(name) {
                Some(bytes) => Response::bytes(200, bytes.clone()),
                None => Response::status(404),
            }
        });
        let scene = Scene::new();
        fs::create_dir_all(scene.path("home")).unwrap();
        fs::create_dir_all(scene.path("tmp")).unwrap();
        let releases = Self {
            files,
            server,
            scene,
            archive,
        };
        for place in ["latest/download".to_owned(), format!("download/v{VERSION}")] {
            releases.publish(&place, &releases.archive);
        }
        Some(releases)
    }

    fn url(&self) -> String {
        format!("{}/releases", self.server.url())
    }

    /// Puts an archive and its checksum there.
    fn publish(&self, place: &str, archive: &Path) {
        let sum = Command::new("sha256sum").arg(archive).output().unwrap();
        assert!(sum.status.success());
        let name = self.archive.file_name().unwrap().to_str().unwrap();
        let mut files = self.files.lock().unwrap();
        files.insert(format!("{place}/{name}.sha256"), sum.stdout);
        files.insert(format!("{place}/{name}"), fs::read(archive).unwrap());
    }

    /// An archive as the next release could have it: its program tells another version.
    fn next(&self) -> PathBuf {
        let (home, name) = (self.scene.path("next"), self.archive.file_name().unwrap());
        let unpacked = name.to_str().unwrap().trim_end_matches(".tar.xz");
        fs::create_dir_all(&home).unwrap();
        run(Command::new("tar")
            .arg("-xJf")
            .arg(&self.archive)
            .arg("-C")
            .arg(&home));
        self.scene.write(
            &format!("next/{unpacked}/locket"),
            "#!/bin/sh\necho locket 99.0.0\n",
        );
        let packed = home.join(name);
        run(Command::new("tar")
            .arg("-cJf")
            .arg(&packed)
            .arg("-C")
            .arg(&home)
            .arg(unpacked));
        packed
    }

    fn script(&self) -> PathBuf {
        self.archive.with_file_name("install.sh")
    }

    fn sh(&self, script: &Path, arguments: &[&str]) -> Output {
        let output = Command::new("sh")
            .arg(script)
            .args(arguments)
            .env_clear()
            .env(
                "PATH",
                format!("{}:/usr/bin:/bin", self.scene.path("bin").display()),
            )
            .env("HOME", self.scene.path("home"))
            .env("TMPDIR", self.scene.path("tmp"))
            .env("CURL_CA_BUNDLE", self.scene.path("ca.pem"))
            .current_dir(self.scene.base())
            .output()
            .unwrap();
        let left: Vec<_> = fs::read_dir(self.scene.path("tmp")).unwrap().collect();
        assert!(left.is_empty(), "{left:?} was left behind");
        output
    }

    /// What the script said; it came to its end.
    fn succeeds(&self, script: &Path, arguments: &[&str]) -> String {
        let output = self.sh(script, arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{said}");
        said
    }

    /// What the script said; it gave up.
    fn fails(&self, arguments: &[&str]) -> String {
        let output = self.sh(&self.script(), arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("nothing is installed: "), "{said}");
        said
    }

    fn version(program: &Path) -> String {
        let output = Command::new(program).arg("--version").output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }
}

#[test]
fn a_release_is_installed_by_one_script_and_updated_by_another() {
    let Some(releases) = Releases::new() else { return };
    let url = releases.url();
    let said = releases.succeeds(&releases.script(), &["--from", &url]);
    let bin = releases.scene.path("home/.local/bin");
    let (program, update) = (bin.join("locket"), bin.join("locket-update"));
    assert!(said.starts_with(&format!("locket {VERSION} is in ")), "{said}");
    assert!(said.contains("to PATH"), "{said}");
    assert_eq!(Releases::version(&program), format!("locket {VERSION}\n"));
    assert_eq!(fs::metadata(&update).unwrap().permissions().mode() & 0o777, 0o755);
    assert_eq!(releases.server.request_count(), 2, "the checksum and the archive");

    let before = fs::metadata(&program).unwrap().ino();
    releases.server.forget();
    let said = releases.succeeds(&update, &[]);
    assert!(said.contains("up to date"), "{said}");
    assert_eq!(releases.server.request_count(), 1, "the checksum alone");
    assert_eq!(fs::metadata(&program).unwrap().ino(), before);

    releases.publish("latest/download", &releases.next());
    let said = releases.succeeds(&update, &[]);
    assert!(said.starts_with("locket 99.0.0 is in "), "{said}");
    assert_eq!(Releases::version(&program), "locket 99.0.0\n");

    releases.succeeds(&update, &["--version", VERSION]);
    assert_eq!(Releases::version(&program), format!("locket {VERSION}\n"));
    let mut names: Vec<_> = fs::read_dir(&bin)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["locket", "locket-update"]);
}

#[test]
fn only_the_program_that_was_installed_is_called_up_to_date() {
    let Some(releases) = Releases::new() else { return };
    releases.succeeds(&releases.script(), &["--from", &releases.url()]);
    let update = releases.scene.path("home/.local/bin/locket-update");
    let put_older = |name: &str| {
        releases.scene.write(name, "#!/bin/sh\necho locket 0.0.1\n");
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(releases.scene.path(name), mode).unwrap();
    };
    for (program, arguments) in [
        ("elsewhere/locket", &["--to", "elsewhere"][..]),
        ("home/.local/bin/locket", &[]),
    ] {
        put_older(program);
        let said = releases.succeeds(&update, arguments);
        assert!(said.starts_with(&format!("locket {VERSION} is in ")), "{said}");
        assert_eq!(
            Releases::version(&releases.scene.path(program)),
            format!("locket {VERSION}\n")
        );
    }
    let said = releases.succeeds(&update, &[]);
    assert!(said.contains("up to date"), "{said}");
}

#[test]
fn a_directory_of_any_name_is_installed_to_and_remembered() {
    let Some(releases) = Releases::new() else { return };
    let url = releases.url();
    releases.succeeds(
        &releases.script(),
        &["--from", &url, "--to", "it's $HOME \"here\""],
    );
    let update = releases.scene.path("it's $HOME \"here\"/locket-update");
    fs::create_dir_all(releases.scene.path("home/.docker")).unwrap();
    releases.publish("latest/download", &releases.next());
    let said = releases.succeeds(&update, &[]);
    assert!(said.contains("docker-locket"), "{said}");
    assert_eq!(
        Releases::version(&update.with_file_name("locket")),
        "locket 99.0.0\n"
    );
    assert!(!releases.scene.path("home/.local").exists());
}

#[test]
fn what_is_not_as_it_was_published_is_not_installed() {
    let Some(releases) = Releases::new() else { return };
    let url = releases.url();
    releases.succeeds(&releases.script(), &["--from", &url]);
    let program = releases.scene.path("home/.local/bin/locket");
    let before = fs::metadata(&program).unwrap().ino();

    releases.publish("latest/download", &releases.next());
    for (name, bytes) in releases.files.lock().unwrap().iter_mut() {
        if name.starts_with("latest") && name.ends_with(".xz") {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        }
    }
    let said = releases.fails(&["--from", &url]);
    assert!(said.contains("is not what its checksum is of"), "{said}");
    releases.files.lock().unwrap().clear();
    let said = releases.fails(&["--from", &url]);
    assert!(said.contains("cannot be had"), "{said}");
    assert_eq!(
        fs::metadata(&program).unwrap().ino(),
        before,
        "what was there stays"
    );
}

#[test]
fn what_cannot_be_installed_is_said_before_anything_is_fetched() {
    let Some(releases) = Releases::new() else { return };
    let said = releases.fails(&[]);
    assert!(said.contains("--from URL"), "{said}");
    let said = releases.fails(&["--from", "http://releases.example/locket"]);
    assert!(said.contains("https://"), "{said}");
    let said = releases.fails(&["--form", "x"]);
    assert!(said.contains("there is no option `--form`"), "{said}");
    releases.scene.write(
        "bin/uname",
        "#!/bin/sh\ncase $1 in -s) echo Plan9 ;; *) echo mips ;; esac\n",
    );
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(releases.scene.path("bin/uname"), mode).unwrap();
    let said = releases.fails(&["--from", &releases.url()]);
    assert!(said.contains("no release for Plan9 on mips"), "{said}");
    assert_eq!(releases.server.request_count(), 0);
    assert!(!releases.scene.path("home/.local").exists());
}

#[test]
fn where_tls_is_asked_for_it_leads_nowhere_without() {
    let Some(releases) = Releases::new() else { return };
    let ca = TestCa::new();
    fs::copy(ca.file(), releases.scene.path("ca.pem")).unwrap();
    let plain = releases.server.url();
    let leading_on = Server::builder().tls(&ca).start(move |request: Request| {
        Response::status(302).with_header("location", &format!("{plain}{}", request.path))
    });
    let at = |server: &Server| format!("https://localhost:{}/releases", server.address().port());
    let said = releases.fails(&["--from", &at(&leading_on)]);
    assert!(said.contains("cannot be had"), "{said}");
    assert_eq!(releases.server.request_count(), 0, "{said}");
    assert_eq!(leading_on.request_count(), 1, "{said}");

    let files = releases.files.clone();
    let server = Server::builder().tls(&ca).start(move |request: Request| {
        let name = request.path.strip_prefix("/releases/").unwrap_or_default();
        Response::bytes(200, files.lock().unwrap()[name].clone())
    });
    releases.succeeds(&releases.script(), &["--from", &at(&server)]);
}

#[test]
fn a_directory_that_cannot_be_written_to_is_said_and_nothing_is_left_there() {
    let Some(releases) = Releases::new() else { return };
    let url = releases.url();
    releases.scene.write("file", "");
    let said = releases.fails(&["--from", &url, "--to", "file/bin"]);
    assert!(
        said.contains("file/bin cannot be made. Give another directory"),
        "{said}"
    );
    let full = releases.scene.path("full");
    let _mount = Mount::tmpfs(&full, "1M");
    let said = releases.fails(&["--from", &url, "--to", "full"]);
    assert!(said.contains("locket cannot be written. Make room"), "{said}");
    assert_eq!(fs::read_dir(&full).unwrap().count(), 0, "{said}");
}
