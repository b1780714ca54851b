//! A program that stands in for 1Password's `op`, which no package client installs.
//!
//! It has the commands that locket uses and its errors in its own words, as its documentation and its users' reports
//! give them. What it cannot show is how the real program words something new.

use std::fs;
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use data_encoding::BASE64URL_NOPAD;
use serde_json::json;
use tempfile::TempDir;

use crate::fakes::connect::Item;

const SCRIPT: &str = include_str!("op.sh");

/// The program with what it knows, in a directory of its own.
#[derive(Debug)]
pub struct OpProgram {
    directory: TempDir,
}

impl Default for OpProgram {
    fn default() -> Self {
        Self::new()
    }
}

impl OpProgram {
    /// A program that accepts no token and knows no vault.
    pub fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        for name in ["items", "vaults", "files"] {
            fs::create_dir(directory.path().join(name)).expect("the directory is writable");
        }
        let program = Self { directory };
        // A child that another test forks at this moment would hold the script open for writing, so that it could not
        // be run: it is made by a program of its own.
        let staged = program.place("op.sh");
        write(&staged, SCRIPT);
        let made = std::process::Command::new("install")
            .args(["-m", "755"])
            .arg(&staged)
            .arg(program.path())
            .status();
        assert!(
            made.is_ok_and(|status| status.success()),
            "the program can be installed"
        );
        program
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.place("op")
    }

    /// Adds a vault and gives its id.
    pub fn add_vault(&self, name: &str) -> String {
        let id = random_id();
        let directory = self.place("vaults").join(&id);
        fs::create_dir(&directory).expect("the directory is writable");
        symlink(&id, self.place("vaults").join(name)).expect("a vault's name is the name of a file");
        id
    }

    /// Adds an item to the vault of this id, or puts it in the place of the one that has its id, and gives that.
    pub fn add_item(&self, vault: &str, mut item: Item) -> String {
        if item.id.is_empty() {
            item.id = random_id();
        }
        item.fill_ids(random_id);
        for file in item.files() {
            let id = file.id.as_deref().expect("it has just been given one");
            write(&self.place("files").join(id), &file.content);
        }
        let json = item.full(vault).to_string();
        write(&self.place("items").join(format!("{}.json", item.id)), json);
        let vault = self.place("vaults").join(vault);
        write(&vault.join(&item.id), &item.id);
        let titled = vault.join(&item.title);
        match fs::read_to_string(&titled) {
            Ok(other) if other != item.id => write(&titled, "several"),
            _ => write(&titled, &item.id),
        }
        item.id
    }

    /// Removes an item of this id and title.
    pub fn remove_item(&self, vault: &str, item: &str, title: &str) {
        let names = [
            self.place("items").join(format!("{item}.json")),
            self.place("vaults").join(vault).join(item),
            self.place("vaults").join(vault).join(title),
        ];
        for name in names {
            fs::remove_file(name).expect("the item was added");
        }
    }

    /// A new token, the only one that is accepted from now on.
    pub fn token(&self) -> String {
        let token = service_account_token("locket.1password.com");
        write(&self.place("token"), &token);
        token
    }

    /// Makes every run fail with these words, until they are empty.
    pub fn refuse(&self, words: &str) {
        let place = self.place("refuses");
        match words.is_empty() {
            true => fs::remove_file(place).expect("it refused before"),
            false => write(&place, words),
        }
    }

    /// Makes every run hang.
    pub fn hang(&self) {
        write(&self.place("hangs"), "");
    }

    /// The arguments of every run since the last time, each in one line.
    pub fn calls(&self) -> Vec<String> {
        let place = self.place("calls");
        let calls = fs::read_to_string(&place).unwrap_or_default();
        write(&place, "");
        calls.lines().map(str::to_owned).collect()
    }

    /// The environment of the last run, a variable a line.
    pub fn environment(&self) -> String {
        fs::read_to_string(self.place("environment")).unwrap_or_default()
    }

    /// How `ls -ld` showed the last run's configuration directory.
    pub fn config(&self) -> String {
        fs::read_to_string(self.place("config")).unwrap_or_default()
    }

    fn place(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

/// A token in the form of a service account's, for this address, whose keys are random and open nothing.
pub fn service_account_token(address: &str) -> String {
    let content = json!({
        "signInAddress": address,
        "userAuth": {"method": "SRPg-4096", "alg": "PBES2g-HS256", "iterations": 650_000, "salt": random_id()},
        "email": format!("{}@1passwordserviceaccounts.com", random_id()),
        "srpX": random_id(),
        "muk": {"alg": "A256GCM", "ext": true, "k": random_id(), "key_ops": ["encrypt", "decrypt"], "kty": "oct", "kid": "mp"},
        "secretKey": format!("A3-{}", random_id().to_uppercase()),
        "throttleSecret": {"seed": random_id(), "uuid": random_id()},
        "deviceUuid": random_id(),
    });
    format!("ops_{}", BASE64URL_NOPAD.encode(content.to_string().as_bytes()))
}

/// An id as 1Password writes them.
fn random_id() -> String {
    let mut bytes = [0; 26];
    let mut source = fs::File::open("/dev/urandom").expect("there are random bytes");
    std::io::Read::read_exact(&mut source, &mut bytes).expect("there are enough of them");
    let letter = |byte: u8| char::from(b"abcdefghijklmnopqrstuvwxyz234567"[usize::from(byte % 32)]);
    bytes.into_iter().map(letter).collect()
}

fn write(path: &Path, content: impl AsRef<[u8]>) {
    use std::io::Write;

    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o644)
        .open(path)
        .expect("the directory is writable");
    file.write_all(content.as_ref()).expect("the file can be written");
}
