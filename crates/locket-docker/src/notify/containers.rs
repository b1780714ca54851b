//! Consumers that run in containers: which engine is asked, and what its answers mean.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use locket_core::action::ContainerOrder;
use locket_core::{Action, BoxFuture, Environment, Reach};
use locket_engine::notify::{Courier, Delivery, Precedence};

use super::images::{Reload, known};
use super::podman;
use super::reached::Reached;
use crate::engine::{Client, Container, Endpoint, EngineError, Listed};

const PROJECT: &str = "com.docker.compose.project";
const SERVICE: &str = "com.docker.compose.service";
const ONE_OFF: &str = "com.docker.compose.oneoff";

/// `SERVICE:CONDITION:RESTART` between commas, of what a container's service depends on.
const DEPENDS_ON: &str = "com.docker.compose.depends_on";

/// Goes to containers and services.
#[derive(Debug)]
pub struct ContainerCourier {
    environment: Environment,
    /// The client that was used last, as long as its engine is where it was.
    client: Mutex<Option<(Endpoint, Client)>>,
    /// The containers that deliveries to several have reached so far.
    reached: Reached,
}

impl ContainerCourier {
    /// Finds the engine through `environment`, each time that somebody is told.
    pub fn new(environment: Environment) -> Self {
        Self {
            environment,
            client: Mutex::new(None),
            reached: Reached::default(),
        }
    }

    /// The engine of this moment; `None` where only the program `podman` is.
    fn engine(&self) -> Result<Option<Client>, EngineError> {
        let endpoint = Endpoint::find(&self.environment).map_err(EngineError::Unavailable)?;
        if endpoint == Endpoint::Podman {
            return Ok(None);
        }
        let mut kept = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        // Certificates may have been renewed: a client with files is made each time.
        if let Some((known, client)) = &*kept
            && *known == endpoint
            && endpoint.files().is_empty()
        {
            return Ok(Some(client.clone()));
        }
        let client = Client::new(endpoint.clone(), &self.environment)?;
        *kept = Some((endpoint, client.clone()));
        Ok(Some(client))
    }

    async fn tell(&self, action: &Action, changed: &[PathBuf]) -> Result<Delivery, EngineError> {
        let Some(engine) = self.engine()? else {
            return podman::tell(action, &self.environment).await;
        };
        match action {
            Action::Container { name, order } => one(&engine, name, *order).await,
            Action::Auto { name } => {
                let container = engine.inspect(name).await?;
                if !container.state.running {
                    return Err(EngineError::Stopped);
                }
                automatic(&engine, name, &container).await
            }
            Action::Compose {
                project,
                service,
                order,
            } => {
                let labels = [format!("{PROJECT}={project}"), format!("{SERVICE}={service}")];
                let mut containers = engine.labelled(&labels).await?;
                // `docker compose run` has another task than the service, and ends with it.
                containers.retain(|container| !is_one_off(container));
                if containers.is_empty() {
                    return Err(EngineError::Missing);
                }
                self.reached.begin(action, changed);
                self.each(&engine, action, *order, &containers).await
            }
            Action::Service { name } => {
                engine.update_service(name).await?;
                Ok(Delivery::Told)
            }
            other => Ok(Delivery::Failed(format!(
                "a container engine cannot tell {other}"
            ))),
        }
    }

    /// Tells each of `containers` that has a process and was not reached by an earlier try. One that cannot be told
    /// holds no other up; the first of them is the reason to try again.
    async fn each(
        &self,
        engine: &Client,
        action: &Action,
        order: ContainerOrder,
        containers: &[Listed],
    ) -> Result<Delivery, EngineError> {
        let mut is_told = false;
        let mut failure = None;
        for container in containers.iter().filter(|container| has_process(container)) {
            if self.reached.has(action, &container.id) {
                is_told = true;
                continue;
            }
            match one(engine, &container.id, order).await {
                Ok(_) => {
                    is_told = true;
                    self.reached.add(action, &container.id);
                }
                // It was stopped or replaced meanwhile.
                Err(EngineError::Missing | EngineError::Stopped) => {}
                Err(EngineError::Unavailable(reason)) => {
                    let reason = format!("{}: {reason}", shown(container));
                    failure.get_or_insert(EngineError::Unavailable(reason));
                }
            }
        }
        match (failure, is_told) {
            (Some(error), _) => Err(error),
            (None, true) => Ok(Delivery::Told),
            (None, false) => Err(EngineError::Stopped),
        }
    }

    /// The project and service of the containers that `action` reaches, with the services that they depend on.
    async fn place(&self, engine: &Client, action: &Action) -> Option<Place> {
        let labels = match action {
            Action::Container { name, .. } | Action::Auto { name } => {
                engine.inspect(name).await.ok()?.config.labels
            }
            Action::Compose { project, service, .. } => {
                let labels = [format!("{PROJECT}={project}"), format!("{SERVICE}={service}")];
                engine.labelled(&labels).await.ok()?.into_iter().next()?.labels
            }
            _ => None,
        };
        Place::of(&labels?)
    }
}

/// Signals or restarts one container. A restart would start one that was stopped on purpose.
async fn one(engine: &Client, container: &str, order: ContainerOrder) -> Result<Delivery, EngineError> {
    match order {
        ContainerOrder::Signal(signal) => engine.kill(container, signal).await?,
        ContainerOrder::Restart => {
            let container = engine.inspect(container).await?;
            if !container.state.running {
                return Err(EngineError::Stopped);
            }
            engine.restart(&container).await?;
        }
    }
    Ok(Delivery::Told)
}

/// Whether `docker compose run` started it.
fn is_one_off(container: &Listed) -> bool {
    let labels = container.labels.as_ref();
    labels.is_some_and(|labels| labels.get(ONE_OFF).is_some_and(|value| value == "True"))
}

/// Whether there is somebody to tell. A paused container is told as `container:NAME` tells it: the engine takes signals
/// and restarts of it.
fn has_process(container: &Listed) -> bool {
    matches!(container.state.as_str(), "running" | "paused")
}

/// What people call a container.
fn shown(container: &Listed) -> &str {
    let name = container.names.first();
    name.map_or(container.id.as_str(), |name| name.trim_start_matches('/'))
}

async fn automatic(engine: &Client, name: &str, container: &Container) -> Result<Delivery, EngineError> {
    let image = &container.config.image;
    match known(image).map(|known| known.reload) {
        Some(Reload::Signal(signal)) => one(engine, name, ContainerOrder::Signal(signal)).await,
        Some(Reload::Restart) => one(engine, name, ContainerOrder::Restart).await,
        Some(Reload::Itself) => Ok(Delivery::Idle(format!("{image} notices changed files by itself"))),
        None => Ok(Delivery::Nobody(format!(
            "how {image} reloads is not known; write `container:{name}:HUP` or `container:{name}:restart`"
        ))),
    }
}

impl Courier for ContainerCourier {
    fn deliver<'a>(
        &'a self,
        action: &'a Action,
        changed: &'a [PathBuf],
    ) -> BoxFuture<'a, Result<Delivery, String>> {
        Box::pin(async move {
            let told = self.tell(action, changed).await;
            // Whatever else came of it, there will be no other try.
            if !matches!(told, Err(EngineError::Unavailable(_))) {
                self.reached.forget(action);
            }
            match told {
                Ok(delivery) => Ok(delivery),
                Err(EngineError::Stopped) => Ok(Delivery::Idle("it is not running".to_owned())),
                Err(EngineError::Missing) => Ok(Delivery::Nobody(missing(action))),
                Err(EngineError::Unavailable(reason)) => Err(reason),
            }
        })
    }

    fn reach(&self, _action: &Action) -> Reach {
        match Endpoint::find(&self.environment) {
            Ok(Endpoint::Podman) => Reach {
                runs_programs: true,
                ..Reach::default()
            },
            Ok(endpoint) => Reach::of_files(endpoint.files()),
            Err(_) => Reach::default(),
        }
    }

    fn order<'a>(&'a self, actions: &'a [Action]) -> BoxFuture<'a, Vec<Precedence>> {
        Box::pin(async move {
            let may_depend = |action: &&Action| {
                matches!(
                    action,
                    Action::Container {
                        order: ContainerOrder::Restart,
                        ..
                    } | Action::Compose {
                        order: ContainerOrder::Restart,
                        ..
                    } | Action::Auto { .. }
                )
            };
            // Signals interrupt nobody: their order does not matter.
            if actions.iter().filter(may_depend).count() < 2 {
                return Vec::new();
            }
            let Ok(Some(engine)) = self.engine() else {
                return Vec::new();
            };
            let mut places = Vec::new();
            for (index, action) in actions.iter().enumerate() {
                if may_depend(&action)
                    && let Some(place) = self.place(&engine, action).await
                {
                    places.push((index, place));
                }
            }
            precedences(&places)
        })
    }
}

/// The place of a container among the services of its project.
#[derive(Debug)]
struct Place {
    project: String,
    service: String,
    after: Vec<String>,
}

impl Place {
    fn of(labels: &HashMap<String, String>) -> Option<Self> {
        let after = labels.get(DEPENDS_ON).map_or("", String::as_str).split(',');
        Some(Self {
            project: labels.get(PROJECT)?.clone(),
            service: labels.get(SERVICE)?.clone(),
            after: after
                .filter_map(|dependency| dependency.split(':').next())
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
        })
    }
}

fn precedences(places: &[(usize, Place)]) -> Vec<Precedence> {
    let mut order = Vec::new();
    for (then, dependent) in places {
        for (first, dependency) in places {
            if first != then
                && dependency.project == dependent.project
                && dependent.after.contains(&dependency.service)
            {
                order.push(Precedence {
                    first: *first,
                    then: *then,
                });
            }
        }
    }
    order
}

fn missing(action: &Action) -> String {
    match action {
        Action::Compose { project, service, .. } => format!(
            "no container of the service {service} in the project {project} exists; `docker compose ls` lists projects"
        ),
        Action::Service { name } => format!("there is no service {name}; `docker service ls` lists them"),
        Action::Container { name, .. } | Action::Auto { name } => {
            format!("there is no container {name}; `docker ps --format '{{{{.Names}}}}'` lists them")
        }
        other => format!("{other} does not exist"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(service: &str, depends_on: &str) -> Place {
        let labels = [(PROJECT, "shop"), (SERVICE, service), (DEPENDS_ON, depends_on)];
        Place::of(
            &labels
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        )
        .unwrap()
    }

    #[test]
    fn a_service_comes_after_those_that_its_label_names() {
        let places = [
            (
                0,
                place("web", "db:service_healthy:true,cache:service_started:false"),
            ),
            (2, place("db", "")),
            (3, place("other", "nobody:service_started:false")),
        ];
        assert_eq!(precedences(&places), [Precedence { first: 2, then: 0 }]);
    }
}
