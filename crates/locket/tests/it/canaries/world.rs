//! Places full of secrets, and the search of everything around them.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, SystemTime};

use locket_testkit::Canary;
use locket_testkit::canary::{find_any, find_any_below};
use locket_testkit::services::OpenBao;
use serde_json::json;

use crate::support::{Scene, locket};

/// Secrets in every provider that this machine has, and whatever a command may leave behind.
///
/// Below the base, `given` holds what the user brought (secrets, identity, tokens) and `out` what was asked for; every
/// other place must stay free of them.
pub(super) struct World {
    pub(super) scene: Scene,
    canaries: BTreeMap<&'static str, Canary>,
    bao: Option<&'static OpenBao>,
    begun: SystemTime,
}

/// More bytes than anything that locket leaves behind has.
const MOST: u64 = 1 << 20;

/// Where secrets belong.
const FREE: [&str; 2] = ["given", "out"];

/// Everything that a template can do to a value.
const FORMS: &[&str] = &[
    "",
    " | base64",
    " | base64url",
    " | hex",
    " | url",
    " | json-string",
    " | yaml-string",
    " | toml-string",
    " | shell",
    " | dotenv",
    " | indent 2",
    " | upper",
];

impl World {
    pub(super) fn new() -> Self {
        let scene = Scene::new();
        for directory in ["given", "out", "home", "tmp", "state"] {
            fs::create_dir_all(scene.path(directory)).unwrap();
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "the times of files are held against the machine's clock"
        )]
        let now = SystemTime::now();
        let mut world = Self {
            scene,
            canaries: BTreeMap::new(),
            bao: OpenBao::shared(),
            // Clocks of file systems are coarse.
            begun: now - Duration::from_secs(1),
        };
        for name in [
            "text", "other", "rotated", "file", "token", "typed", "json", "password",
        ] {
            world.canaries.insert(name, Canary::text(name));
        }
        world.canaries.insert("awkward", Canary::awkward("awkward"));
        world.canaries.insert("binary", Canary::binary("binary"));
        world.bring();
        world
    }

    /// Puts every secret where a user would keep it.
    fn bring(&mut self) {
        let scene = &self.scene;
        assert!(self.locket(&["store", "init"], None).status.success());
        let identity = scene.read("given/identity.txt").unwrap();
        let key = identity
            .lines()
            .find(|line| line.starts_with("AGE-SECRET-KEY-1"))
            .unwrap();
        for name in ["text", "other", "awkward", "binary"] {
            let ran = self.locket(&["store", "set", name], Some(self.canary(name).bytes()));
            assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        }
        let document = json!({ "inner": self.canary("json").as_str() }).to_string();
        assert!(
            self.locket(&["store", "set", "json"], Some(document.as_bytes()))
                .status
                .success()
        );
        scene.write("given/file", self.canary("file").bytes());
        scene.write("given/token", self.canary("token").bytes());
        let key = Canary::of("identity", key);
        if let Some(bao) = self.bao {
            bao.put("canaries", &json!({ "value": self.canary("other").as_str() }));
            let token = Canary::of("root token", bao.root_token());
            scene.write("given/bao-token", bao.root_token());
            self.canaries.insert("root token", token);
        }
        self.canaries.insert("identity", key);
        let mut template = String::from("{{ file://given/file }}\n");
        for form in FORMS {
            for name in ["text", "awkward"] {
                template += &format!("{{{{ store://{name}{form} }}}}\n");
            }
            template += &format!("{{{{ store://json#inner{form} }}}}\n");
        }
        template += "{{ store://binary | base64 }}{{ store://text | sha256 }}\n";
        if self.bao.is_some() {
            template += "{{ bao://secret/canaries/value }}\n";
        }
        self.scene.write("in/all", template);
        self.scene.write("in/binary", "{{ store://binary }}");
        let base = self.scene.base().display();
        let rows = format!(
            "store://text,{base}/out/sync/text\n{{{{ store://binary }}}},{base}/out/sync/binary,0440,\"exec:true\",\n"
        );
        self.scene.write("given/map.csv", rows);
        let rows =
            format!("store://nothing,{base}/out/sync/x\n{{{{ store://text | totp }}}},{base}/out/sync/y\n");
        self.scene.write("given/failing.csv", rows);
    }

    pub(super) fn canary(&self, name: &str) -> &Canary {
        &self.canaries[name]
    }

    /// The variables that a user with these secrets has.
    pub(super) fn variables(&self) -> Vec<(&'static str, String)> {
        let at = |name: &str| self.scene.path(name).display().to_string();
        let mut variables = vec![
            ("HOME", at("home")),
            ("TMPDIR", at("tmp")),
            ("LOCKET_IDENTITY_FILE", at("given/identity.txt")),
            ("LOCKET_LOG_LEVEL", "trace".to_owned()),
            ("RUST_BACKTRACE", "full".to_owned()),
            ("RUST_LOG", "trace".to_owned()),
        ];
        if let Some(bao) = self.bao {
            variables.push(("BAO_ADDR", bao.url()));
            variables.push(("BAO_TOKEN", bao.root_token().to_owned()));
        }
        variables
    }

    /// `locket ARGUMENTS` with these secrets around it.
    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = locket();
        command
            .args(arguments)
            .current_dir(self.scene.base())
            .envs(self.variables());
        command
    }

    /// Runs it to its end.
    pub(super) fn locket(&self, arguments: &[&str], input: Option<&[u8]>) -> Output {
        run(&mut self.command(arguments), input)
    }

    /// Where a secret stands in `text`, which is called `what`.
    pub(super) fn found_in(&self, what: &str, text: &[u8]) -> Option<String> {
        let finding = find_any(self.canaries.values(), text)?;
        Some(format!("{what} holds {finding}"))
    }

    /// Where secrets stand in files that are not theirs: of the world, and of the memory that all processes share.
    pub(super) fn found_in_files(&self) -> Vec<String> {
        let canaries: Vec<_> = self.canaries.values().collect();
        let mut found = Vec::new();
        let mut look = |path: &Path| match find_any_below(&canaries, path) {
            Ok(Some((place, finding))) => found.push(format!("{} holds {finding}", place.display())),
            Ok(None) => {}
            Err(error) => found.push(format!("{} cannot be searched: {error}", path.display())),
        };
        for path in entries(self.scene.base()) {
            let name = path.file_name().unwrap_or_default();
            if !FREE.iter().any(|free| name == *free) {
                look(&path);
            }
        }
        // Other programs come and go there; what is older or large is theirs.
        let is_new = |path: &PathBuf| {
            let found = fs::symlink_metadata(path);
            found.is_ok_and(|found| {
                found.len() < MOST && found.modified().is_ok_and(|time| time >= self.begun)
            })
        };
        for path in entries(Path::new("/dev/shm")).into_iter().filter(is_new) {
            if let Ok(Some((place, finding))) = find_any_below(&canaries, &path) {
                found.push(format!("{} holds {finding}", place.display()));
            }
        }
        found
    }
}

/// Runs `command` to its end.
pub(super) fn run(command: &mut Command, input: Option<&[u8]>) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // Whoever does not read its input has closed it.
    let _ = stdin.write_all(input.unwrap_or_default());
    drop(stdin);
    child.wait_with_output().unwrap()
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}
