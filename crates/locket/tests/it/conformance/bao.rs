//! OpenBao: the real server, in each of the ways that change what is asked or how.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};

use locket_core::Environment;
use locket_providers::{Credential as Given, ProviderKind, Settings};
use locket_testkit::services::OpenBao;
use locket_testkit::services::openbao::Admin;
use locket_testkit::{Canary, Client, Faults, Server, TestCa};
use serde_json::{Value, json};

use super::bao_logins as logins;
use super::fixture::{Backend, Credential, Fixture, References, Sample, Secrets, Upstream};

/// One way to reach the server.
pub(crate) struct Bao {
    /// What tells it apart.
    pub(crate) name: &'static str,
    /// The name of the provider.
    pub(crate) kind: &'static str,
    pub(crate) login: Login,
    /// Version of the key/value engine.
    pub(crate) engine: u8,
    pub(crate) place: Place,
    pub(crate) transport: Transport,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Login {
    TokenFile,
    AppRole,
    Userpass,
    Kubernetes,
    Jwt,
    Certificate,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Root,
    Namespace,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Plain,
    PrivateCa,
    /// The client shows a certificate.
    Mutual,
}

pub(crate) static TOKEN: Bao = TEMPLATE;

pub(crate) static VERSION_1: Bao = Bao {
    name: "bao, key/value version 1",
    engine: 1,
    ..TEMPLATE
};

pub(crate) static APPROLE: Bao = Bao {
    name: "bao, AppRole",
    login: Login::AppRole,
    ..TEMPLATE
};

pub(crate) static NAMESPACE: Bao = Bao {
    name: "bao, AppRole in a namespace, private authority",
    login: Login::AppRole,
    place: Place::Namespace,
    transport: Transport::PrivateCa,
    ..TEMPLATE
};

pub(crate) static USERPASS: Bao = Bao {
    name: "bao, userpass",
    login: Login::Userpass,
    ..TEMPLATE
};

pub(crate) static KUBERNETES: Bao = Bao {
    name: "bao, Kubernetes",
    login: Login::Kubernetes,
    ..TEMPLATE
};

pub(crate) static JWT: Bao = Bao {
    name: "bao, JWT",
    login: Login::Jwt,
    ..TEMPLATE
};

pub(crate) static CERTIFICATE: Bao = Bao {
    name: "bao, certificate",
    login: Login::Certificate,
    transport: Transport::Mutual,
    ..TEMPLATE
};

/// What the ways have in common.
pub(crate) const TEMPLATE: Bao = Bao {
    name: "bao, token file",
    kind: "bao",
    login: Login::TokenFile,
    engine: 2,
    place: Place::Root,
    transport: Transport::Plain,
};

impl Fixture for Bao {
    fn name(&self) -> &'static str {
        self.name
    }

    fn kind(&self) -> &'static ProviderKind {
        ProviderKind::by_name(self.kind).unwrap()
    }

    fn is_installed(&self) -> bool {
        self.server().is_some()
    }

    fn start(&self) -> Backend {
        static STARTED: AtomicUsize = AtomicUsize::new(0);
        let id = STARTED.fetch_add(1, Ordering::Relaxed);
        let server = self.server().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let namespace = format!("namespace-{id}");
        let admin = match self.place {
            Place::Root => server.admin(),
            Place::Namespace => server.admin().namespace(&namespace),
        };
        let mount = Mount {
            admin: admin.clone(),
            name: format!("conformance-{id}"),
            scheme: self.kind,
            engine: self.engine,
        };
        let references = mount.fill();
        let secrets = Secrets::default();
        let (mut settings, credential) = match self.login {
            Login::TokenFile => given_token(&mount, directory.path(), &secrets),
            Login::AppRole => approle(&mount, directory.path(), &secrets),
            Login::Userpass => logins::userpass(&mount, directory.path(), &secrets),
            Login::Kubernetes => logins::kubernetes(&mount, directory.path(), &secrets),
            Login::Jwt => logins::jwt(&mount, directory.path(), &secrets),
            Login::Certificate => logins::certificate(&mount, directory.path()),
        };
        let (faults, ca) = match self.transport {
            Transport::Plain => (Faults::before(&server.url()), None),
            Transport::PrivateCa => {
                let ca = TestCa::new();
                let front = Server::builder().tls(&ca);
                (Faults::between(front, Client::new(&server.url())), Some(ca))
            }
            Transport::Mutual => {
                // The proxy ends TLS, and shows the server the certificate that the provider shows the proxy.
                let (_, ca) = OpenBao::shared_tls().unwrap();
                let leaf = ca.client_leaf(&mount.name);
                std::fs::copy(&leaf.certificate_file, directory.path().join("client.pem")).unwrap();
                std::fs::copy(&leaf.key_file, directory.path().join("client.key")).unwrap();
                settings = settings.with("ca-file", ca.file().to_str().unwrap());
                let upstream = Client::new(&server.url()).identified(ca, &leaf);
                (Faults::between(Server::builder().mutual_tls(ca), upstream), None)
            }
        };
        settings = settings.with("url", faults.url());
        if let Some(ca) = &ca {
            settings = settings.with("ca-file", ca.file().to_str().unwrap());
        }
        if self.place == Place::Namespace {
            settings = settings.with("namespace", namespace);
        }
        Backend {
            settings,
            environment: Environment::default(),
            base_dir: PathBuf::from("/"),
            references,
            upstream: Ok(Upstream {
                faults,
                is_read: |request| request.path.starts_with("/v1/conformance-"),
            }),
            credential: Ok(credential),
            secrets,
            alive: Box::new((directory, ca)),
        }
    }
}

impl Bao {
    fn server(&self) -> Option<&'static OpenBao> {
        match self.transport {
            Transport::Mutual => OpenBao::shared_tls().map(|(server, _)| server),
            _ => OpenBao::shared(),
        }
    }
}

/// A key/value engine of one back end's own.
#[derive(Clone)]
pub(super) struct Mount {
    pub(super) admin: Admin<'static>,
    pub(super) name: String,
    scheme: &'static str,
    engine: u8,
}

impl Mount {
    /// Puts everything into it, and a policy of its name that reads what is below `open`.
    fn fill(&self) -> References {
        self.admin.mount_kv(&self.name, self.engine);
        let part = if self.engine == 2 { "data/" } else { "" };
        let rules = format!(
            "path \"{}/{part}open/*\" {{ capabilities = [\"read\"] }}",
            self.name
        );
        self.admin.policy(&self.name, &rules);

        let values = [
            Canary::text("text"),
            Canary::text("other"),
            Canary::awkward("awkward"),
        ];
        let paths = ["open/text", "open/deeper/other", "open/awkward"];
        for (path, value) in paths.iter().zip(&values) {
            self.put(path, &json!({"value": value.as_str()}));
        }
        let samples = paths.iter().zip(values).map(|(path, value)| Sample {
            reference: self.reference(&format!("{path}/value")),
            value,
        });
        let [text, other, awkward] = samples.collect::<Vec<_>>().try_into().unwrap();
        let siblings = ["one", "two"].map(|field| Sample {
            reference: self.reference(&format!("open/pair/{field}")),
            value: Canary::text(field),
        });
        let pair = json!({
            "one": siblings[0].value.as_str(),
            "two": siblings[1].value.as_str(),
            "blank": "",
        });
        self.put("open/pair", &pair);
        self.put("closed", &json!({"value": "closed"}));
        References {
            text,
            other,
            awkward,
            binary: Err("a field is a JSON string"),
            empty: Ok(self.reference("open/pair/blank")),
            siblings: Ok(siblings),
            missing_field: Ok(self.reference("open/pair/three")),
            missing_item: self.reference("open/nowhere/value"),
            denied: Ok(self.reference("closed/value")),
        }
    }

    fn reference(&self, path: &str) -> String {
        format!("{}://{}/{path}", self.scheme, self.name)
    }

    fn put(&self, path: &str, fields: &Value) {
        let name = &self.name;
        match self.engine {
            1 => drop(self.admin.call("POST", &format!("{name}/{path}"), fields)),
            _ => self.admin.put(name, path, fields),
        }
    }
}

fn given_token(mount: &Mount, directory: &Path, secrets: &Secrets) -> (Settings, Credential) {
    let file = directory.join("token");
    let settings = Settings::default().with_credential("token-file", Given::File(file.clone()));
    let issued = {
        let (mount, secrets) = (mount.clone(), secrets.clone());
        Rc::new(move || {
            let options = json!({"policies": [mount.name], "ttl": "1h"});
            let token = mount.admin.token(&options);
            secrets.add(&Canary::of("token", token.as_str()));
            std::fs::write(&file, token).unwrap();
        })
    };
    issued();
    let ends = {
        let (mount, file) = (mount.clone(), directory.join("token"));
        Rc::new(move || mount.admin.revoke(&std::fs::read_to_string(&file).unwrap()))
    };
    (settings, credential(issued, ends))
}

fn approle(mount: &Mount, directory: &Path, secrets: &Secrets) -> (Settings, Credential) {
    let method = format!("approle-{}", mount.name);
    let role = json!({"token_policies": [mount.name], "token_ttl": "1h"});
    let role_id = mount.admin.approle(&method, "reader", &role);
    let file = directory.join("secret-id");
    let settings = Settings::default()
        .with("auth", "approle")
        .with("auth-mount", &method)
        .with("role-id", role_id)
        .with_credential("secret-id-file", Given::File(file.clone()));
    let issued = {
        let (mount, method, secrets) = (mount.clone(), method.clone(), secrets.clone());
        Rc::new(move || {
            let secret_id = mount.admin.secret_id(&method, "reader", &json!({}));
            secrets.add(&Canary::of("secret id", secret_id.as_str()));
            std::fs::write(&file, secret_id).unwrap();
        })
    };
    issued();
    let ends = {
        let (admin, file) = (mount.admin.clone(), directory.join("secret-id"));
        Rc::new(move || {
            let secret_id = json!({"secret_id": std::fs::read_to_string(&file).unwrap()});
            let destroy = format!("auth/{method}/role/reader/secret-id/destroy");
            admin.call("POST", &destroy, &secret_id);
            // What was logged in with it.
            let logins = format!("sys/leases/revoke-prefix/auth/{method}/login");
            admin.call("POST", &logins, &json!({"sync": true}));
        })
    };
    (settings, credential(issued, ends))
}

pub(super) fn credential(issue: Rc<dyn Fn()>, end: Rc<dyn Fn()>) -> Credential {
    let ended = Rc::clone(&end);
    Credential {
        renew: Box::new(move || {
            ended();
            issue();
        }),
        revoke: Box::new(move || end()),
    }
}
