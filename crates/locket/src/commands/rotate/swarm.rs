//! A swarm as a rotation sees it: who uses a secret, and where containers of theirs run. Objects are made, services moved
//! and old objects removed by the code behind `locket swarm sync`, and by nothing here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use locket_compose::{Files, Project, Request, Unreadable, load};
use locket_core::{Clock, Environment, SecretBytes};
use locket_docker::engine::{Client, Endpoint, EngineError, SecretObject, SwarmService};
use locket_docker::swarm::{BASE, Outcome, Purpose, Sync, Wanted};
use serde_json::{Value, json};

use super::super::project::{Answer, Docker, WORK_LIMIT};
use super::super::swarm::{DRIVEN, LABEL};
use super::recipe::Shell;
use crate::report::{self, Failure};
use crate::runtime;

/// The swarm that this machine's engine manages.
pub(super) struct Manager<'a> {
    pub(super) environment: &'a Environment,
    pub(super) docker: Docker,
    pub(super) clock: Arc<dyn Clock>,
    /// How long the update of one service may take.
    pub(super) limit: Duration,
}

/// One secret of a swarm, and who uses it.
pub(super) struct Seen {
    name: String,
    services: Vec<SwarmService>,
    /// What a label says that the value follows.
    follows: Option<String>,
    /// Whether a driver is asked for it at each start of a task.
    is_driven: bool,
}

impl Manager<'_> {
    /// What there is of the secret `name`.
    ///
    /// # Errors
    /// There is none, or this node is no manager.
    pub(super) fn look(&self, name: &str) -> Result<Seen, Failure> {
        let (secrets, services) =
            self.ask(async |client| Ok((client.secrets().await?, client.services().await?)))?;
        let is_it = |secret: &&SecretObject| {
            secret.name == name || secret.labels.get(BASE).is_some_and(|base| base == name)
        };
        let objects: Vec<_> = secrets.iter().filter(is_it).collect();
        if objects.is_empty() {
            return Err(Failure::usage(format!("the swarm has no secret `{name}`")).help(
                "`docker secret ls` lists them; a version like `NAME.v3` is one of the secret `NAME`.",
            ));
        }
        let driven = objects.iter().find(|object| object.driver.is_some());
        let of_driver = driven.map(|object| {
            let said = DRIVEN.iter().find_map(|label| object.labels.get(*label));
            said.cloned()
                .unwrap_or_else(|| object.driver.clone().unwrap_or_default())
        });
        let of_service = services.iter().find_map(|service| {
            let own = name.strip_prefix(service.name())?.strip_prefix('.')?;
            service.label(&format!("{LABEL}{own}")).map(str::to_owned)
        });
        let users = services
            .iter()
            .filter(|service| objects.iter().any(|object| service.uses(&object.id)));
        Ok(Seen {
            name: name.to_owned(),
            services: users.cloned().collect(),
            is_driven: of_driver.is_some(),
            follows: of_driver.or(of_service),
        })
    }

    /// Has the services of a secret use `value`, by the code behind `locket swarm sync`.
    ///
    /// # Errors
    /// Some service is not well with it.
    pub(super) fn bring(&self, name: &str, value: &SecretBytes) -> Result<(), Failure> {
        let outcome = self.sync(async |sync| {
            let digest = sync.fingerprints(Purpose::Bring).await?.of(value);
            Ok(sync.bring(&wanted(name, digest), value).await)
        })?;
        match outcome.failed.is_empty() {
            true => Ok(()),
            false => Err(Failure::work(outcome.failed.join("; "))),
        }
    }

    /// What [`Manager::bring`] would do.
    ///
    /// # Errors
    /// The swarm does not answer.
    pub(super) fn rehearse(&self, name: &str) -> Result<Vec<String>, Failure> {
        let lines = std::cell::RefCell::new(Vec::new());
        let tell = |line: &str| lines.borrow_mut().push(line.to_owned());
        // The digest of no value.
        self.sync_telling(&tell, async |sync| {
            sync.rehearse(&wanted(name, String::new())).await
        })?;
        Ok(lines.into_inner())
    }

    /// The value in a container of this node.
    ///
    /// # Errors
    /// None that has it runs here.
    pub(super) fn value(&self, seen: &Seen) -> Result<SecretBytes, Failure> {
        let project = seen.project()?;
        for service in &project.services {
            for grant in service.secrets.iter().filter(|grant| grant.source == seen.name) {
                let path = grant.secret_path();
                for container in self.containers(&service.name)? {
                    let words = ["exec", &container, "cat", &path];
                    let answer = self.docker.docker(words, None, self.limit)?;
                    if answer.is_good {
                        return Ok(SecretBytes::new(answer.stdout));
                    }
                }
            }
        }
        Err(Failure::work(format!(
            "no container on this node has {}, and nobody else can be asked for its value",
            seen.name
        ))
        .help("Run it on a manager that runs a task of some service with this secret and the program `cat`."))
    }

    /// The containers of a service that run here.
    fn containers(&self, service: &str) -> Result<Vec<String>, Failure> {
        let label = format!("label=com.docker.swarm.service.name={service}");
        let words = ["ps", "--quiet", "--no-trunc", "--filter", &label];
        let answer = self.docker.docker(words, None, self.limit)?;
        if !answer.is_good {
            return Err(Failure::work(format!(
                "the containers of {service} cannot be had: {}",
                answer.stderr.trim()
            )));
        }
        let text = String::from_utf8_lossy(&answer.stdout).into_owned();
        Ok(text.lines().map(str::to_owned).collect())
    }

    fn ask<T>(&self, question: impl AsyncFnOnce(&Client) -> Result<T, EngineError>) -> Result<T, Failure> {
        let client = self.client()?;
        runtime::block_on(question(&client))?.map_err(|error| {
            Failure::work(error.to_string())
                .help("Run it on a manager of the swarm, by a user that may open the engine's socket.")
        })
    }

    fn sync(&self, work: impl AsyncFnOnce(&Sync<'_>) -> Result<Outcome, String>) -> Result<Outcome, Failure> {
        self.sync_telling(&|line| report::tell(&format!("{line}\n")), work)
    }

    fn sync_telling(
        &self,
        tell: &dyn Fn(&str),
        work: impl AsyncFnOnce(&Sync<'_>) -> Result<Outcome, String>,
    ) -> Result<Outcome, Failure> {
        let client = self.client()?;
        let sync = Sync {
            client: &client,
            clock: self.clock.clone(),
            timeout: self.limit,
            tell,
        };
        runtime::block_on(work(&sync))?.map_err(Failure::work)
    }

    /// A new one for each question: its connections live as long as the runtime of one.
    fn client(&self) -> Result<Client, Failure> {
        let endpoint = Endpoint::find(self.environment).map_err(Failure::work)?;
        Client::new(endpoint, self.environment).map_err(|error| Failure::work(error.to_string()))
    }
}

impl Shell for Manager<'_> {
    fn shell(
        &self,
        service: &str,
        script: &str,
        arguments: &[&str],
        input: &SecretBytes,
    ) -> Result<Answer, Failure> {
        let Some(container) = self.containers(service)?.into_iter().next() else {
            return Err(elsewhere(service));
        };
        let words = ["exec", "--interactive", &container, "sh", "-c", script, "sh"];
        self.docker
            .docker(words.iter().chain(arguments), Some(input), WORK_LIMIT)
    }

    fn reach(&self, service: &str) -> Result<(), Failure> {
        match self.containers(service)?.is_empty() {
            true => Err(elsewhere(service)),
            false => Ok(()),
        }
    }
}

impl Seen {
    /// The reference or template that labels say the value follows.
    pub(super) fn follows(&self) -> Option<&str> {
        self.follows.as_deref()
    }

    /// Whether a driver is asked for it at each start of a task.
    pub(super) fn is_driven(&self) -> bool {
        self.is_driven
    }

    /// The services that use the secret, as a project of their own.
    ///
    /// # Errors
    /// A name in it is none that a project can have.
    pub(super) fn project(&self) -> Result<Project, Failure> {
        struct One(String);
        impl Files for One {
            fn read(&self, path: &Path) -> Result<String, Unreadable> {
                match self.exists(path) {
                    true => Ok(self.0.clone()),
                    false => Err(Unreadable::Missing),
                }
            }
            fn exists(&self, path: &Path) -> bool {
                path == Path::new(FILE)
            }
        }
        let services = self
            .services
            .iter()
            .map(|service| (service.name(), self.service(service)));
        let services: BTreeMap<_, _> = services.collect();
        let text = json!({
            "name": "swarm",
            "services": services,
            "secrets": { self.name.as_str(): { "external": true } },
        });
        let request = Request {
            directory: "/".into(),
            files: vec![FILE.into()],
            ..Request::default()
        };
        // What is JSON is YAML.
        load(&request, &One(text.to_string()), &Environment::default())
            .map_err(|error| Failure::work(error.to_string()))
    }

    fn service(&self, service: &SwarmService) -> Value {
        let container = &service.spec["TaskTemplate"]["ContainerSpec"];
        let given = container["Secrets"].as_array().into_iter().flatten();
        let ours: BTreeSet<_> = given
            .filter(|given| {
                let name = given["SecretName"].as_str().unwrap_or_default();
                let version = name
                    .strip_prefix(self.name.as_str())
                    .and_then(|rest| rest.strip_prefix(".v"));
                name == self.name || version.is_some_and(|version| version.parse::<u64>().is_ok())
            })
            .filter_map(|given| given["File"]["Name"].as_str())
            .collect();
        let ours: Vec<_> = ours
            .into_iter()
            .map(|target| json!({ "source": self.name, "target": literal(&json!(target)) }))
            .collect();
        let mut labels = container["Labels"].as_object().cloned().unwrap_or_default();
        labels.extend(service.spec["Labels"].as_object().cloned().unwrap_or_default());
        json!({
            "image": literal(&container["Image"]),
            "environment": literal(&container["Env"]),
            "entrypoint": literal(&container["Command"]),
            "command": literal(&container["Args"]),
            "labels": literal(&json!(labels)),
            "secrets": ours,
        })
    }
}

/// Where the text of that project seems to be.
const FILE: &str = "/swarm.yaml";

/// The same, in a file where `$` begins a variable.
fn literal(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace('$', "$$")),
        Value::Array(items) => items.iter().map(literal).collect(),
        Value::Object(entries) => entries
            .iter()
            .map(|(name, value)| (name.clone(), literal(value)))
            .collect(),
        other => other.clone(),
    }
}

fn wanted(name: &str, digest: String) -> Wanted {
    Wanted {
        left_out: Vec::new(),
        name: name.to_owned(),
        target: name.to_owned(),
        services: Vec::new(),
        digest,
    }
}

fn elsewhere(service: &str) -> Failure {
    Failure::work(format!("no task of {service} runs on this node"))
        .help("Its password is changed inside of its container: run it on the manager that the task runs on.")
}
