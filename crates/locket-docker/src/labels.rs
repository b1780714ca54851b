//! What containers ask for by their labels: files with secrets in a directory of their own, and to be told when these
//! change. Whether they get it is decided where references are understood.

use std::collections::BTreeMap;
use std::path::PathBuf;

use locket_core::action::ContainerOrder;
use locket_core::{Action, Signal, spec};

use crate::engine::Listed;

/// `locket.secret.NAME=TEMPLATE`
const SECRET: &str = "locket.secret.";
/// `locket.signal=HUP`
const SIGNAL: &str = "locket.signal";
/// `locket.restart=true`
const RESTART: &str = "locket.restart";

/// What containers that belong together ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Who asks: `PROJECT/SERVICE` of Compose, `STACK/SERVICE` of a swarm, else the container's name. The same is the
    /// directory of its files.
    pub owner: String,
    /// The templates, by the names of their files.
    pub secrets: BTreeMap<String, String>,
    /// What is done to the containers when one of the files changed.
    pub notify: Option<Action>,
}

/// What is wrong with a label.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wrong {
    /// Who has it.
    pub owner: String,
    /// Its name.
    pub label: String,
    /// What is wrong, as the end of a sentence.
    pub reason: String,
}

/// What these containers ask for, by owner, and what is wrong with their labels. Of containers with one owner the first
/// one counts: engines list the newest first.
pub fn wishes(containers: &[Listed]) -> (Vec<Wish>, Vec<Wrong>) {
    let mut wishes = BTreeMap::new();
    let mut wrong = Vec::new();
    for container in containers {
        let labels = container.labels.iter().flatten();
        let own: BTreeMap<&str, &str> = labels
            .filter(|(name, _)| name.starts_with("locket."))
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        if !own.keys().any(|name| name.starts_with(SECRET)) {
            continue;
        }
        let Some((owner, reached)) = owner(container) else {
            continue;
        };
        if wishes.contains_key(&owner) {
            continue;
        }
        let mut complain = |label: &str, reason: String| {
            wrong.push(Wrong {
                owner: owner.clone(),
                label: label.to_owned(),
                reason,
            });
        };
        let mut wish = Wish {
            owner: owner.clone(),
            secrets: BTreeMap::new(),
            notify: None,
        };
        for (label, value) in &own {
            if let Some(name) = label.strip_prefix(SECRET) {
                match spec::file_name(name) {
                    Ok(()) => drop(wish.secrets.insert(name.to_owned(), (*value).to_owned())),
                    Err(found) => complain(label, found.message),
                }
            } else if ![SIGNAL, RESTART].contains(label) {
                let known = "`locket.secret.NAME`, `locket.signal` and `locket.restart` are";
                complain(label, format!("this is no label of ours; {known}"));
            }
        }
        match order(&own) {
            Ok(order) => wish.notify = order.map(|order| reached.told(order)),
            Err((label, reason)) => complain(label, reason),
        }
        wishes.insert(owner, wish);
    }
    wrong.sort_unstable();
    (wishes.into_values().collect(), wrong)
}

impl Wish {
    /// The directory of its files, below the one for all.
    pub fn directory(&self) -> PathBuf {
        PathBuf::from(&self.owner)
    }
}

/// How the containers of an owner are reached.
enum Reached {
    Compose { project: String, service: String },
    Swarm(String),
    Container(String),
}

impl Reached {
    fn told(self, order: ContainerOrder) -> Action {
        match self {
            Self::Compose { project, service } => Action::Compose {
                project,
                service,
                order,
            },
            // The tasks of a service are on any node: a signal cannot reach them, an update does.
            Self::Swarm(name) => Action::Service { name },
            Self::Container(name) => Action::Container { name, order },
        }
    }
}

/// Who a container belongs to; `None` for one whose names cannot be those of directories.
fn owner(container: &Listed) -> Option<(String, Reached)> {
    let label = |name: &str| container.labels.as_ref()?.get(name).cloned();
    let (owner, reached) = if let (Some(project), Some(service)) = (
        label("com.docker.compose.project"),
        label("com.docker.compose.service"),
    ) {
        let owner = format!("{project}/{service}");
        (owner, Reached::Compose { project, service })
    } else if let Some(service) = label("com.docker.swarm.service.name") {
        let stack = label("com.docker.stack.namespace");
        let within = stack.as_deref().and_then(|stack| {
            let short = service.strip_prefix(stack)?.strip_prefix('_')?;
            Some(format!("{stack}/{short}"))
        });
        (within.unwrap_or_else(|| service.clone()), Reached::Swarm(service))
    } else {
        let name = container.names.first()?.trim_start_matches('/').to_owned();
        (name.clone(), Reached::Container(name))
    };
    let is_plain = owner.split('/').all(|part| spec::file_name(part).is_ok());
    is_plain.then_some((owner, reached))
}

fn order(labels: &BTreeMap<&str, &str>) -> Result<Option<ContainerOrder>, (&'static str, String)> {
    let signal = match labels.get(SIGNAL) {
        Some(text) => Some(Signal::parse(text).map_err(|wrong| (SIGNAL, wrong.message))?),
        None => None,
    };
    let restarts = match labels.get(RESTART).copied() {
        Some("true") => true,
        Some("false") | None => false,
        Some(other) => return Err((RESTART, format!("`{other}` is neither `true` nor `false`"))),
    };
    match (signal, restarts) {
        (Some(_), true) => Err((
            RESTART,
            format!("`{SIGNAL}` is there, too; leave one of the two out"),
        )),
        (Some(signal), false) => Ok(Some(ContainerOrder::Signal(signal))),
        (None, true) => Ok(Some(ContainerOrder::Restart)),
        (None, false) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(name: &str, labels: &[(&str, &str)]) -> Listed {
        Listed {
            id: name.to_owned(),
            names: vec![format!("/{name}")],
            state: "running".to_owned(),
            labels: Some(
                labels
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                    .collect(),
            ),
        }
    }

    const COMPOSE: [(&str, &str); 2] = [
        ("com.docker.compose.project", "shop"),
        ("com.docker.compose.service", "web"),
    ];

    #[test]
    fn a_container_of_compose_asks_for_files_in_the_directory_of_its_service() {
        let labels = [
            &COMPOSE[..],
            &[
                ("locket.secret.db_password", "{{ bao://kv/db/password }}"),
                ("locket.secret.app.conf", "key={{ bao://kv/app/key }}"),
                ("locket.signal", "SIGHUP"),
                ("traefik.enable", "true"),
            ],
        ];
        let (wishes, wrong) = wishes(&[container("shop-web-1", &labels.concat())]);
        assert!(wrong.is_empty(), "{wrong:?}");
        assert_eq!(wishes.len(), 1);
        assert_eq!(wishes[0].directory(), PathBuf::from("shop/web"));
        assert_eq!(
            wishes[0].secrets.keys().collect::<Vec<_>>(),
            ["app.conf", "db_password"]
        );
        assert!(matches!(
            &wishes[0].notify,
            Some(Action::Compose { project, service, order: ContainerOrder::Signal(_) })
                if project == "shop" && service == "web"
        ));
    }

    #[test]
    fn the_newest_container_of_a_service_speaks_for_it() {
        let asks = |template| [&COMPOSE[..], &[("locket.secret.a", template)]].concat();
        let all = [
            container("shop-web-2", &asks("new")),
            container("shop-web-1", &asks("old")),
        ];
        let (wishes, _) = wishes(&all);
        assert_eq!(wishes.len(), 1);
        assert_eq!(wishes[0].secrets["a"], "new");
    }

    #[test]
    fn outside_of_compose_it_is_the_container_or_the_service_of_a_swarm() {
        let swarm = [
            ("com.docker.swarm.service.name", "shop_web"),
            ("com.docker.stack.namespace", "shop"),
            ("locket.secret.a", "x"),
            ("locket.restart", "true"),
        ];
        let alone = [("locket.secret.a", "x"), ("locket.restart", "true")];
        let (wishes, wrong) = wishes(&[container("shop_web.1.abc", &swarm), container("alone", &alone)]);
        assert!(wrong.is_empty(), "{wrong:?}");
        let owners: Vec<_> = wishes.iter().map(|wish| wish.owner.as_str()).collect();
        assert_eq!(owners, ["alone", "shop/web"]);
        assert!(matches!(
            &wishes[0].notify,
            Some(Action::Container { name, order: ContainerOrder::Restart }) if name == "alone"
        ));
        assert!(matches!(&wishes[1].notify, Some(Action::Service { name }) if name == "shop_web"));
    }

    #[test]
    fn what_is_wrong_is_told_and_the_rest_counts() {
        let labels = [
            ("locket.secret.good", "x"),
            ("locket.secret.../../etc/cron.d/x", "x"),
            ("locket.secret.", "x"),
            ("locket.secrt.a", "x"),
            ("locket.signal", "HPU"),
        ];
        let (wishes, wrong) = wishes(&[container("c", &labels)]);
        assert_eq!(wishes[0].secrets.keys().collect::<Vec<_>>(), ["good"]);
        assert_eq!(wishes[0].notify, None);
        let labels: Vec<_> = wrong.iter().map(|wrong| wrong.label.as_str()).collect();
        assert_eq!(
            labels,
            [
                "locket.secret.",
                "locket.secret.../../etc/cron.d/x",
                "locket.secrt.a",
                "locket.signal"
            ]
        );
        let both = [
            ("locket.secret.a", "x"),
            ("locket.signal", "HUP"),
            ("locket.restart", "true"),
        ];
        assert_eq!(super::wishes(&[container("c", &both)]).1.len(), 1);
    }

    #[test]
    fn names_that_would_leave_the_directory_ask_for_nothing() {
        let labels = [
            ("com.docker.compose.project", ".."),
            ("com.docker.compose.service", "web"),
            ("locket.secret.a", "x"),
        ];
        assert_eq!(wishes(&[container("c", &labels)]).0, []);
    }
}
