//! The schema accepts the configurations that locket accepts, and refuses what locket refuses. Judged by Taplo, the
//! program behind the TOML support of editors.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use locket_testkit::services;
use tempfile::TempDir;
use toml::{Table, Value};

use crate::documents::{Page, repository};
use crate::support::locket;

/// Taplo with our schema.
struct Judge {
    taplo: PathBuf,
    home: TempDir,
}

impl Judge {
    fn new() -> Option<Self> {
        let taplo = services::find("venv/bin/taplo")?;
        let home = TempDir::new().unwrap();
        let schema = locket().arg("schema").output().unwrap();
        fs::write(home.path().join("schema.json"), schema.stdout).unwrap();
        Some(Self { taplo, home })
    }

    /// Whether the schema accepts `text`, and what is said of it.
    fn accepts(&self, text: &str) -> (bool, String) {
        let file = self.home.path().join("locket.toml");
        fs::write(&file, text).unwrap();
        let schema = format!("file://{}", self.home.path().join("schema.json").display());
        let output = Command::new(&self.taplo)
            .args(["lint", "--schema", &schema])
            .arg(&file)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), told)
    }
}

/// Whether locket itself reads `text` without a complaint.
fn is_read(text: &str) -> bool {
    let home = TempDir::new().unwrap();
    let file = home.path().join("locket.toml");
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let output = locket()
        .arg("providers")
        .current_dir(home.path())
        .output()
        .unwrap();
    output.status.code() == Some(0)
}

/// Every configuration of the documentation and the examples.
fn examples() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for page in Page::all() {
        for (at, block) in page.text.split("```toml\n").skip(1).enumerate() {
            let text = block.split("```").next().unwrap_or_default();
            found.push((format!("{} ({})", page.path.display(), at + 1), text.to_owned()));
        }
    }
    let quickstart = Path::new("examples/quickstart/locket.toml");
    let text = fs::read_to_string(repository().join(quickstart)).unwrap();
    found.push((quickstart.display().to_string(), text));
    found
}

#[test]
fn every_configuration_that_is_shown_fits_the_schema() {
    let Some(judge) = Judge::new() else { return };
    let examples = examples();
    assert!(examples.len() > 5, "only {} were found", examples.len());
    for (name, text) in examples {
        let (is_accepted, told) = judge.accepts(&text);
        assert!(is_accepted, "{name}: {told}");
    }
}

/// What `locket plan --offline` makes of `text` where the files that it names are there.
fn plan(text: &str) -> Output {
    let home = TempDir::new().unwrap();
    let mut text = text.to_owned();
    let told: Table = text.parse().unwrap();
    let tables = |name: &str| {
        let array = told.get(name).and_then(Value::as_array);
        array.into_iter().flatten().filter_map(Value::as_table)
    };
    for source in tables("map").filter_map(|map| map["source"].as_str()) {
        let below = source.trim_start_matches('/');
        text = text.replace(&format!("\"{source}\""), &format!("\"{below}\""));
        fs::create_dir_all(home.path().join(below)).unwrap();
        fs::write(home.path().join(below).join("a.conf"), "a").unwrap();
    }
    for secret in tables("secret") {
        if let Some(file) = secret.get("file").and_then(Value::as_str) {
            fs::write(home.path().join(file), "a").unwrap();
        }
    }
    if tables("map").chain(tables("secret")).next().is_none() {
        text.push_str("\n[[secret]]\nname = \"something\"\ntemplate = \"to render\"\n");
    }
    let file = home.path().join("locket.toml");
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    locket()
        .args(["plan", "--offline"])
        // Those that show no server mean one that was named before.
        .envs([("BAO_ADDR", "http://127.0.0.1:9"), ("BAO_TOKEN", "t")])
        .current_dir(home.path())
        .output()
        .unwrap()
}

#[test]
fn every_configuration_that_is_shown_can_be_planned_as_it_stands() {
    for (name, text) in examples() {
        let output = plan(&text);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{name}: {told}");
    }
    let two = "[[map]]\nsource = \"a\"\ndestination = \"/run/a\"\natomic = true\n\
               [[secret]]\nname = \"b\"\ntemplate = \"c\"\n";
    assert_eq!(
        plan(two).status.code(),
        Some(2),
        "what does not fit together is noticed"
    );
}

#[test]
fn what_locket_refuses_the_schema_refuses() {
    let Some(judge) = Judge::new() else { return };
    let map = "[[map]]\nsource = 'a'\ndestination = 'b'\n";
    assert!(judge.accepts(map).0 && is_read(map));
    for wrong in [
        "[rnu]\nmode = 'watch'\n",
        "[run]\ndebonce = '1s'\n",
        "[run]\nmode = 'wacht'\n",
        "[run]\ndebounce = '1'\n",
        "[run]\nrefresh = 'never'\n",
        "[run]\nmax-file-size = '10X'\n",
        "[run]\nfile-mode = '0999'\n",
        "[run]\nfile-mode = 'rw'\n",
        "[run]\nmode = true\n",
        "[run]\nmap = ['a:b']\n",
        "[[map]]\nsource = 'a'\n",
        "[[map]]\nsource = 'a'\ndestination = 'b'\nmdoe = '0440'\n",
        "[[map]]\nsource = 'a'\ndestination = 'b'\nrender = 'no'\n",
        "[[map]]\nsource = 'a'\ndestination = 'b'\ndelimiters = ['<<']\n",
        "[[map]]\nsource = 'a'\ndestination = 'b'\nnotify = 7\n",
        "[map]\nsource = 'a'\ndestination = 'b'\n",
        "[[secret]]\nname = 'a'\n",
        "[[secret]]\nname = 'a'\ntemplate = 'x'\nfile = 'y'\n",
        "[[notify]]\nname = 'a'\n",
        "[[map]]\nsource = ''\ndestination = 'b'\n",
        "[[secret]]\nname = 'a'\ntemplate = ''\n",
        "[[secret]]\nname = 'a'\nfile = ''\n",
        "secret = ['a=x', { name = 'b', template = 'y' }]\n",
        "[bao]\nurll = 'http://a'\n",
        "[bao]\nauth = 'magic'\n",
        "[bao]\ntimeout = 'long'\n",
        "[bao]\nmax-concurrent = 'many'\n",
        "[bao]\ntoken = 's3cret'\n",
        "[providers.prod]\nurl = 'http://a'\n",
        "[providers.prod]\ntype = 'boa'\n",
        "[providers.prod]\ntype = 'bao'\nhost = 'http://a'\n",
        "[exec]\nanything = 1\n",
        "[exec]\nwatch = 'yes'\n",
        "[exec]\nenv = 1\n",
        "[labels]\nanything = 1\n",
    ] {
        let (is_accepted, told) = judge.accepts(wrong);
        assert!(!is_accepted, "the schema accepts\n{wrong}{told}");
        assert!(!is_read(wrong), "locket accepts\n{wrong}");
    }
}

#[test]
fn what_locket_accepts_in_another_form_the_schema_accepts() {
    let Some(judge) = Judge::new() else { return };
    for right in [
        "[run]\nfile-mode = 0o640\nuser = 1000\nrefresh = 'off'\ndebounce = '1m 30s'\nmax-file-size = 1048576\n",
        "[run]\nmax-file-size = '10 MiB'\n",
        "[bao]\nurl = 'http://a'\nmax-concurrent = 7\ntoken = '{{ store://a }}'\n",
        "[providers.prod]\ntype = 'op-connect'\nhost = 'http://a'\ntoken = 'file:///a'\n",
        "[exec]\nenv = ['.env', 'A={{ store://a }}']\nenv-from = 'store://app/*'\nwatch = true\ntimeout = '5s'\n",
        "[[secret]]\nname = 'a'\nfile = 'x'\nnotify = 'exec:true'\nrender = false\n",
    ] {
        let (is_accepted, told) = judge.accepts(right);
        assert!(is_accepted, "{right}{told}");
        assert!(is_read(right), "locket refuses\n{right}");
    }
}
