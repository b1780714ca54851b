//! A reference to every provider in one template: they are asked in one round, and one that fails fails alone.

use std::fmt::Write;
use std::process::{Command, Output};

use locket_providers::KINDS;
use locket_testkit::fakes::azure::Azure;
use locket_testkit::fakes::bitwarden::Bitwarden;
use locket_testkit::fakes::connect::{Connect, Item};
use locket_testkit::fakes::infisical::{Infisical, Login, Role, Secret};
use locket_testkit::fakes::oci::Oci;
use locket_testkit::fakes::onepassword::OnePassword;
use locket_testkit::services::OpenBao;
use locket_testkit::{Canary, Server, TestCa, services};
use serde_json::json;

use crate::support::{Agent, Scene, eventually, run};

/// One provider with one secret.
struct Row {
    /// Its name in the registry.
    kind: &'static str,
    reference: String,
    value: Canary,
    /// The server, and how many requests one secret costs at first; none where there is no server to count at.
    server: Option<(Server, usize)>,
    /// The file with its credential; none where it needs none.
    credential: Option<&'static str>,
}

impl Row {
    fn of(&mut self, credential: &'static str, server: Server, requests: usize) {
        self.credential = Some(credential);
        self.server = Some((server, requests));
    }
}

/// Every provider of the registry, each with a server, program or file of its own, in one configuration file.
struct House {
    scene: Scene,
    ca: TestCa,
    config: String,
    rows: Vec<Row>,
}

impl House {
    /// `None` where a server or 1Password's core is not installed.
    fn new() -> Option<Self> {
        let (core, bao) = (services::find("op-core/op-core.cwasm")?, OpenBao::shared()?);
        let mut house = Self {
            scene: Scene::new(),
            ca: TestCa::new(),
            config: String::new(),
            rows: Vec::new(),
        };
        house.local();
        house.onepassword(core.to_str().unwrap());
        house.openbao(bao);
        house.bitwarden();
        house.infisical();
        house.azure();
        house.oracle();
        house.scene.write("locket.toml", &house.config);
        let all: String = house.rows.iter().fold(String::new(), |mut all, row| {
            writeln!(all, "{}={{{{ {} }}}}", row.kind, row.reference).unwrap();
            house.scene.write(
                &format!("in/{}", row.kind),
                format!("{{{{ {} }}}}", row.reference),
            );
            all
        });
        house.scene.write("in/all", all);
        Some(house)
    }

    fn add(&mut self, kind: &'static str, value: Canary, reference: &str) -> &mut Row {
        self.rows.push(Row {
            kind,
            reference: reference.to_owned(),
            value,
            server: None,
            credential: None,
        });
        self.rows.last_mut().unwrap()
    }

    fn set(&mut self, lines: &str) {
        self.config += lines;
    }

    fn local(&mut self) {
        let [file, env, store, exec] = ["file", "env", "store", "exec"].map(Canary::text);
        self.scene.write("secrets/a", file.as_str());
        self.scene.write("value", store.as_str());
        run(&mut self.bare(&["store", "init", "--identity-file", "key.txt"]));
        run(self
            .bare(&["store", "set", "a", "--identity-file", "key.txt"])
            .stdin(std::fs::File::open(self.scene.path("value")).unwrap()));
        let helper = format!(
            "while read -r line; do\n  id=$(printf %s \"$line\" | sed 's/.*\"id\":\\([0-9]*\\).*/\\1/')\n  \
             echo \"{{\\\"id\\\":$id,\\\"item\\\":0,\\\"value\\\":\\\"{}\\\"}}\"\ndone\n",
            exec.as_str()
        );
        self.scene.write("helper.sh", helper);
        self.set("[store]\nfile = 'locket.store'\nidentity-file = 'key.txt'\n");
        self.set("[providers.helper]\ntype = 'exec'\ncommand = ['sh', 'helper.sh']\n");
        self.add("file", file, "file://secrets/a");
        self.add("env", env, "env://OF_THE_HOUSE");
        self.add("store", store, "store://a");
        self.add("exec", exec, "helper://a");
    }

    fn onepassword(&mut self, core: &str) {
        let [by_core, by_connect] = ["op", "connect"].map(Canary::text);
        let fake = OnePassword::new();
        let vault = fake.add_vault("vault");
        fake.add_item(&vault, Item::login("item", by_core.as_str()));
        let account = fake.account(&[&vault]);
        let server = Server::builder()
            .tls(&self.ca)
            .start(move |request| fake.answer(&request));
        self.scene
            .write("op-token", account.token(&server.address().to_string()));
        let ca = self.ca.file();
        self.set(&format!(
            "[op]\ncore = '{core}'\nca-file = '{}'\ntoken-file = 'op-token'\ntimeout = '60s'\n",
            ca.display()
        ));
        // Four for the login; the keys, the vaults, the titles, the item.
        self.add("op", by_core, "op://vault/item/password")
            .of("op-token", server, 8);

        let fake = Connect::new();
        let vault = fake.add_vault("vault");
        fake.add_item(&vault, Item::login("item", by_connect.as_str()));
        let token = fake.token(&[&vault]);
        self.scene.write("connect-token", &token);
        let server = Server::start(move |request| fake.answer(&request));
        self.set(&format!(
            "[providers.team]\ntype = 'op-connect'\nhost = '{}'\ntoken-file = 'connect-token'\n",
            server.url()
        ));
        // The vault, the title, the item.
        self.add("op-connect", by_connect, "team://vault/item/password")
            .of("connect-token", server, 3);
    }

    /// One server stands for both.
    fn openbao(&mut self, bao: &OpenBao) {
        for (kind, token) in [("bao", "bao-token"), ("vault", "vault-token")] {
            let value = Canary::text(kind);
            // Other tests have paths of their own there.
            let own = self.scene.base().file_name().unwrap().to_str().unwrap();
            let path = format!("{own}/{kind}");
            bao.put(&path, &json!({"password": value.as_str()}));
            let reference = format!("{kind}://secret/{path}/password");
            self.scene.write(token, bao.root_token());
            self.set(&format!(
                "[{kind}]\nurl = '{}'\ntoken-file = '{token}'\n",
                bao.url()
            ));
            self.add(kind, value, &reference).credential = Some(token);
        }
    }

    fn bitwarden(&mut self) {
        let (fake, value) = (Bitwarden::new(), Canary::text("bws"));
        let project = fake.add_project("project");
        let id = fake.add_secret(&project, "key", value.as_str());
        self.scene.write("bws-token", fake.access_token(&[&project]));
        let server = Server::start(move |request| fake.answer(&request));
        self.set(&format!(
            "[bws]\nserver-url = '{}'\ntoken-file = 'bws-token'\n",
            server.url()
        ));
        // The login and the secret.
        self.add("bws", value, &format!("bws://{id}"))
            .of("bws-token", server, 2);
    }

    fn infisical(&mut self) {
        let (fake, value) = (Infisical::new(), Canary::text("infisical"));
        fake.put(("p1", "prod", "/"), Secret::new("KEY", value.as_str()));
        let identity = fake.identity(Login::Universal {
            client_id: "client".to_owned(),
            client_secret: "of-the-client".to_owned(),
        });
        fake.grant(identity, "p1", "prod", Some(Role::Read));
        self.scene.write("infisical-secret", "of-the-client");
        let server = Server::start(move |request| fake.answer(&request));
        self.set(&format!(
            "[infisical]\nurl = '{}'\nclient-id = 'client'\nclient-secret-file = 'infisical-secret'\n\
             default-project-id = 'p1'\ndefault-environment = 'prod'\n",
            server.url()
        ));
        // The login and the secret.
        self.add("infisical", value, "infisical:///KEY")
            .of("infisical-secret", server, 2);
    }

    fn azure(&mut self) {
        let (fake, value) = (Azure::new(), Canary::text("azkv"));
        let application = fake.application();
        fake.set("prod", "name", value.as_str());
        let server = Server::builder()
            .tls(&self.ca)
            .start(move |request| fake.answer(&request));
        let port = server.address().port();
        self.scene.write("azure-secret", &application.secret);
        let ca = self.ca.file();
        self.set(&format!(
            "[azkv]\ntenant-id = '{}'\nclient-id = '{}'\nclient-secret-file = 'azure-secret'\nca-file = '{}'\n\
             authority-host = 'https://localhost:{port}'\n",
            application.tenant,
            application.client_id,
            ca.display()
        ));
        // The challenge, the token, the secret.
        let reference = format!("azkv://prod.vault.localhost:{port}/name");
        self.add("azkv", value, &reference).of("azure-secret", server, 3);
    }

    fn oracle(&mut self) {
        let (fake, value) = (Oci::new(), Canary::text("oci"));
        let vault = fake.add_vault();
        let id = fake.add_secret(&vault, "name", value.as_str().as_bytes());
        let key = fake.api_key();
        self.scene.write("oci-key.pem", &key.pem);
        let server = Server::start(move |request| fake.answer(&request));
        self.set(&format!(
            "[oci]\nauth = 'api-key'\ntenancy = '{}'\nuser = '{}'\nfingerprint = '{}'\nkey-file = 'oci-key.pem'\n\
             endpoint = '{}'\n",
            key.tenancy,
            key.user,
            key.fingerprint,
            server.url()
        ));
        self.add("oci", value, &format!("oci://{id}"))
            .of("oci-key.pem", server, 1);
    }

    fn bare(&self, arguments: &[&str]) -> Command {
        let mut command = self.scene.locket(arguments);
        command.env("HOME", self.scene.base());
        command
    }

    /// Everything in `in`.
    fn command(&self, mode: &str) -> Command {
        let arguments = [
            "run",
            "--mode",
            mode,
            "--config",
            "locket.toml",
            "--map",
            "in:out",
        ];
        let mut command = self.bare(&arguments);
        let of_env = self.rows.iter().find(|row| row.kind == "env").unwrap();
        command
            .env("OF_THE_HOUSE", of_env.value.as_str())
            .env("LOCKET_STATE_DIR", self.scene.path("state"));
        command
    }

    /// One round.
    fn run(&self) -> Output {
        let output = self.command("one-shot").output().unwrap();
        self.is_discreet(&text(&output));
        output
    }

    fn is_discreet(&self, log: &str) {
        for row in &self.rows {
            assert_eq!(row.value.find(log.as_bytes()), None, "{log}");
        }
    }

    /// What `in/all` becomes.
    fn everything(&self) -> String {
        self.rows.iter().fold(String::new(), |mut all, row| {
            writeln!(all, "{}={}", row.kind, row.value.as_str()).unwrap();
            all
        })
    }

    /// Whether every output is there but those that need `failing`.
    fn lacks(&self, failing: &Row) -> bool {
        let is_right = |row: &Row| {
            let expected = (row.kind != failing.kind).then(|| row.value.as_str().to_owned());
            self.scene.read(&format!("out/{}", row.kind)) == expected
        };
        self.rows.iter().all(is_right) && self.scene.read("out/all").is_none()
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn one_template_with_a_reference_to_every_provider_renders_in_one_round() {
    let Some(house) = House::new() else { return };
    let mut covered: Vec<_> = house.rows.iter().map(|row| row.kind).collect();
    let mut known: Vec<_> = KINDS.iter().map(|kind| kind.name).collect();
    covered.sort_unstable();
    known.sort_unstable();
    assert_eq!(covered, known, "each provider of the registry once");

    let output = house.run();
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(house.scene.read("out/all").unwrap(), house.everything());
    // Two templates ask for each secret, and it is read once.
    for row in &house.rows {
        if let Some((server, requests)) = &row.server {
            assert_eq!(server.request_count(), *requests, "{}", row.kind);
        }
    }
}

#[test]
fn a_provider_that_refuses_its_credential_fails_alone_and_is_named() {
    let Some(house) = House::new() else { return };
    for row in &house.rows {
        let Some(credential) = row.credential else {
            continue;
        };
        let good = house.scene.read(credential).unwrap();
        house.scene.write(credential, "of-somebody-else");
        let _ = std::fs::remove_dir_all(house.scene.path("out"));
        let output = house.run();
        let log = text(&output);
        assert_eq!(output.status.code(), Some(4), "{}: {log}", row.kind);
        assert!(house.lacks(row), "{}: {log}", row.kind);
        assert!(log.contains(&row.reference), "{}: {log}", row.kind);
        house.scene.write(credential, good);
    }
}

#[test]
fn a_provider_out_of_reach_holds_up_nobody_and_comes_after() {
    let Some(house) = House::new() else { return };
    let row = house.rows.iter().find(|row| row.kind == "bws").unwrap();
    let (server, _) = row.server.as_ref().unwrap();
    server.go_down();
    let agent = Agent::start(&mut house.command("park"));
    eventually(&format!("all but bws is there: {}", agent.log()), || {
        house.lacks(row)
    });
    agent.says(&row.reference);
    server.go_up();
    // Without it the pauses between attempts, which have grown by now, would be waited for.
    agent.signal("HUP");
    house.scene.becomes("out/all", &house.everything());
    house.is_discreet(&agent.stop().1);
}
