//! Infisical's library for Node, in its last release that fetches the tokens of clouds and pods by itself, logs in to the
//! fake server beside locket: with the same tokens, by the same requests, and to the same refusals.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use locket_testkit::fakes::infisical::{Generations, Infisical, Login, Role, Secret};
use locket_testkit::{Request, Response, Server, services};
use serde_json::{Value, json};

use crate::support::locket;

const AWKWARD: &str = "pass \"word\" \\ \u{e4} {{ $x }}\r\n\n";
const IDENTITY: &str = "7e1c7a2e-1f1b-4d8c-9d7e-6a5b4c3d2e1f";
/// What the machine and the pod are given.
const JWT: &str = "head.claims.good";

/// One way to log in.
#[derive(Clone, Copy, Debug)]
struct Way {
    name: &'static str,
    /// The end of the server that it logs in at.
    path: &'static str,
    /// Where the client looks for the machine's token, unless it is in a file.
    metadata: Option<&'static str>,
}

const WAYS: [Way; 3] = [
    Way {
        name: "azure",
        path: "azure-auth",
        metadata: Some("169.254.169.254"),
    },
    Way {
        name: "gcp",
        path: "gcp-auth",
        metadata: Some("metadata"),
    },
    Way {
        name: "kubernetes",
        path: "kubernetes-auth",
        metadata: None,
    },
];

/// A server that knows one login, and a machine in one of the clouds.
struct Machine {
    way: Way,
    server: Server,
    /// Also the proxy of the official client, whose addresses of metadata servers cannot be changed: it gets to no other.
    metadata: Server,
    directory: tempfile::TempDir,
}

impl Machine {
    /// An identity that logs in with `jwt`, on a server of the generation that the client speaks.
    fn new(way: Way, jwt: &str) -> Self {
        let fake = Infisical::new().speaking(Generations::Third);
        fake.put(("p1", "prod", "/"), Secret::new("KEY", AWKWARD));
        let identity = fake.identity(Login::Signed {
            path: way.path,
            identity: IDENTITY.to_owned(),
            jwt: jwt.to_owned(),
        });
        fake.grant(identity, "p1", "prod", Some(Role::Read));
        let directory = tempfile::tempdir().expect("a directory can be made");
        std::fs::write(directory.path().join("token"), JWT).expect("the pod's token can be written");
        Self {
            way,
            server: Server::start(move |request| fake.answer(&request)),
            metadata: Server::start(|request| tokens(&request)),
            directory,
        }
    }

    fn token_file(&self) -> PathBuf {
        self.directory.path().join("token")
    }

    /// What the official client got.
    fn official(&self, node: &Path, package: &Path) -> Value {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/infisical_machine_logins.cjs");
        let output = Command::new(node)
            .arg(script)
            .arg(package)
            .args([&self.server.url(), self.way.name, IDENTITY])
            .arg(self.token_file())
            .env_clear()
            .env("http_proxy", self.metadata.url())
            .env("no_proxy", "127.0.0.1")
            .output()
            .expect("node can be started");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {told}", self.way.name);
        serde_json::from_slice(&output.stdout).expect("the script prints JSON")
    }

    /// What locket says, which is told where the metadata servers are.
    fn locket(&self) -> Output {
        let mut command = locket();
        command
            .args(["get", "infisical:///KEY?project_id=p1&env=prod"])
            .args(["--infisical.url", &self.server.url()])
            .args(["--infisical.auth", self.way.name])
            .args(["--infisical.identity-id", IDENTITY])
            .env("AZURE_POD_IDENTITY_AUTHORITY_HOST", self.metadata.url())
            .env("GCE_METADATA_HOST", self.metadata.address().to_string())
            .env("LOCKET_STATE_DIR", self.directory.path().join("state"));
        if self.way.metadata.is_none() {
            command.arg("--infisical.jwt-file").arg(self.token_file());
        }
        command.output().expect("locket can be started")
    }

    /// What was asked since the last call: of the metadata servers, then of Infisical.
    fn asked(&self) -> (Vec<Request>, Vec<Request>) {
        let asked = (self.metadata.requests(), self.server.requests());
        self.metadata.forget();
        self.server.forget();
        asked
    }
}

/// The metadata servers of both clouds.
fn tokens(request: &Request) -> Response {
    match (
        request.path.as_str(),
        request.header("metadata"),
        request.header("metadata-flavor"),
    ) {
        ("/metadata/identity/oauth2/token", Some("true"), _) => {
            Response::json(200, &json!({ "access_token": JWT, "expires_in": "86400" }))
        }
        ("/computeMetadata/v1/instance/service-accounts/default/identity", _, Some("Google")) => {
            Response::text(200, JWT)
        }
        _ => Response::status(404),
    }
}

/// Node and the client's package.
fn client() -> Option<(PathBuf, PathBuf)> {
    let manifest = services::find("infisical-sdk/node_modules/@infisical/sdk/package.json")?;
    Some((services::find("bin/node")?, manifest.parent()?.to_owned()))
}

#[test]
fn the_official_client_and_locket_log_in_by_the_same_requests() {
    let Some((node, package)) = client() else {
        return;
    };
    for way in WAYS {
        let Way { name, path, metadata } = way;
        let machine = Machine::new(way, JWT);
        let got = machine.official(&node, &package);
        let whole = json!({"key": "KEY", "value": AWKWARD, "version": 1, "invented": false});
        assert_eq!(got, json!({ "ok": whole }), "{name}");
        let theirs = machine.asked();
        let output = machine.locket();
        assert!(output.status.success(), "{name}: {output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), AWKWARD, "{name}");
        let ours = machine.asked();

        let hosts: Vec<_> = theirs
            .0
            .iter()
            .filter_map(|request| request.header("host"))
            .collect();
        assert_eq!(hosts, Vec::from_iter(metadata), "{name}");
        let shown = |requests: &[Request]| requests.iter().map(essence).collect::<Vec<_>>();
        assert_eq!(shown(&theirs.0), shown(&ours.0), "{name}");
        let login = format!("/api/v1/auth/{path}/login");
        let logins = |requests: &[Request]| {
            let logins = requests.iter().filter(|request| request.path == login);
            logins.map(essence).collect::<Vec<_>>()
        };
        assert_eq!(logins(&theirs.1).len(), 1, "{name}");
        assert_eq!(logins(&theirs.1), logins(&ours.1), "{name}");
        let (Some(their_read), Some(our_read)) = (theirs.1.last(), ours.1.last()) else {
            panic!("{name}: nothing was read");
        };
        assert_eq!(their_read.path, "/api/v3/secrets/raw/KEY", "{name}");
        let mut our_read = essence(our_read);
        leave_out(&mut our_read, "viewSecretValue", "true");
        leave_out(&mut our_read, "expandSecretReferences", "true");
        assert_eq!(essence(their_read), our_read, "{name}");
    }
}

#[test]
fn the_official_client_and_locket_are_refused_with_a_token_that_the_identity_does_not_take() {
    let Some((node, package)) = client() else {
        return;
    };
    for way in WAYS {
        for (jwt, is_let_in) in [(JWT, true), ("head.claims.other", false)] {
            let machine = Machine::new(way, jwt);
            let theirs = machine.official(&node, &package);
            assert_eq!(theirs["ok"].is_object(), is_let_in, "{way:?}: {theirs}");
            assert_eq!(theirs["refused"].is_string(), !is_let_in, "{way:?}: {theirs}");
            let ours = machine.locket();
            assert_eq!(ours.status.success(), is_let_in, "{way:?}: {ours:?}");
            if !is_let_in {
                let refused = theirs["refused"].as_str().unwrap_or_default();
                assert!(refused.contains("Invalid credentials"), "{way:?}: {refused}");
                let told = String::from_utf8_lossy(&ours.stderr);
                assert!(told.contains("login (401)"), "{way:?}: {told}");
            }
        }
    }
}

/// What counts of a request, whether its fields come as JSON or as a form.
pub(crate) fn essence(request: &Request) -> Value {
    let pairs = |form: &str, value: &dyn Fn(&str) -> Option<String>| -> BTreeMap<String, Option<String>> {
        let names = form.split('&').filter_map(|pair| pair.split_once('='));
        names.map(|(name, _)| (name.to_owned(), value(name))).collect()
    };
    let body = match request.json::<Value>() {
        Some(fields) => fields,
        None => json!(pairs(&String::from_utf8_lossy(&request.body), &|name| {
            request.form_field(name)
        })),
    };
    json!({
        "asked": format!("{} {}", request.method, request.path),
        "query": pairs(&request.query, &|name| request.param(name)),
        "fields": body,
        "asks a machine": [request.header("metadata"), request.header("metadata-flavor")],
        "with a token": request.bearer().is_some_and(|token| !token.is_empty()),
    })
}

/// Takes a parameter away that only one of two requests spells out.
pub(crate) fn leave_out(essence: &mut Value, name: &str, value: &str) {
    let query = essence["query"]
        .as_object_mut()
        .expect("the parameters by their names");
    assert_eq!(query.remove(name), Some(json!(value)), "{name}");
}
