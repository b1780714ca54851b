//! Several containers of one service of Compose: each is told once of a change, whatever becomes of the others.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use locket_core::{Action, Environment};
use locket_docker::notify::ContainerCourier;
use locket_engine::notify::{Courier, Delivery, Notifier};
use locket_testkit::Server;
use locket_testkit::fakes::docker::Docker;

use crate::support::Scene;

const LABELS: [(&str, &str); 2] = [
    ("com.docker.compose.project", "shop"),
    ("com.docker.compose.service", "mail"),
];

/// A service of Compose with the containers `one`, `two` and `three`, and a file that they use.
struct Service {
    docker: Docker,
    engine: Server,
    courier: Arc<ContainerCourier>,
    scene: Scene,
}

impl Service {
    fn new() -> Self {
        let docker = Docker::new();
        for name in ["one", "two", "three"] {
            docker.add(name, "app", &LABELS);
        }
        let answering = docker.clone();
        let engine = Server::start(move |request| answering.answer(&request));
        let host = engine.url().replace("http://", "tcp://");
        let courier = ContainerCourier::new(Environment::from_iter([("DOCKER_HOST", host)]));
        let service = Self {
            docker,
            engine,
            courier: Arc::new(courier),
            scene: Scene::new(),
        };
        service.change("1");
        service
    }

    fn changed(&self) -> Vec<PathBuf> {
        vec![self.scene.path("out")]
    }

    /// A new file in the place of the old one, as locket writes it.
    fn change(&self, text: &str) {
        self.scene.write("fresh", text);
        fs::rename(self.scene.path("fresh"), self.scene.path("out")).unwrap();
    }

    /// One try of an action, and whom the engine told.
    async fn tried(&self, action: &str) -> (Result<Delivery, String>, BTreeMap<String, Vec<String>>) {
        let action = Action::parse(action).unwrap();
        let delivery = self.courier.deliver(&action, &self.changed()).await;
        (delivery, self.docker.take_told())
    }

    /// A delivery that is tried at its beginning and a second later, and whom the engine told.
    async fn delivered(&self, action: &str) -> (Delivery, BTreeMap<String, Vec<String>>) {
        let notifier = Notifier {
            courier: self.courier.clone(),
            timeout: Duration::from_millis(2900),
        };
        let action = Action::parse(action).unwrap();
        let (_, delivery) = notifier.tell(action, self.changed()).await;
        (delivery, self.docker.take_told())
    }

    /// How often the engine was asked to restart some container.
    fn restarts_asked_for(&self) -> usize {
        let requests = self.engine.requests();
        let restarts = requests
            .iter()
            .filter(|request| request.path.ends_with("/restart"));
        restarts.count()
    }
}

/// That each of `names` got this, once.
fn told(names: &[&str], what: &str) -> BTreeMap<String, Vec<String>> {
    let each = names.iter();
    each.map(|name| ((*name).to_owned(), vec![what.to_owned()]))
        .collect()
}

const RESTART: &str = "compose:shop/mail:restart";

#[tokio::test]
async fn what_compose_run_started_has_another_task_and_is_left_alone() {
    let service = Service::new();
    for (name, is_one_off) in [("four", "False"), ("migrate", "True")] {
        let mut labels = LABELS.to_vec();
        labels.push(("com.docker.compose.oneoff", is_one_off));
        service.docker.add(name, "app", &labels);
    }
    let (delivery, reached) = service.tried(RESTART).await;
    assert!(matches!(delivery, Ok(Delivery::Told)), "{delivery:?}");
    assert_eq!(reached, told(&["one", "two", "three", "four"], "restart"));
}

#[tokio::test]
async fn a_container_that_cannot_be_told_keeps_no_other_from_it_and_no_try_repeats_what_another_did() {
    let service = Service::new();
    // Neither the first nor the last whose turn it is.
    service.docker.break_down("two");
    let (delivery, reached) = service.tried(RESTART).await;
    let reason = delivery.unwrap_err();
    assert!(
        reason.starts_with("two: ") && reason.contains("answered 500"),
        "{reason}"
    );
    assert_eq!(reached, told(&["one", "three"], "restart"));
    let (delivery, reached) = service.tried(RESTART).await;
    assert!(delivery.is_err());
    assert_eq!(reached, BTreeMap::new(), "those that were reached are spared");
    service.docker.mend("two");
    let (delivery, reached) = service.tried(RESTART).await;
    assert_eq!(delivery, Ok(Delivery::Told));
    assert_eq!(reached, told(&["two"], "restart"));
    // The delivery is over: the next is another one, whatever it is about.
    let (delivery, reached) = service.tried(RESTART).await;
    assert_eq!(delivery, Ok(Delivery::Told));
    assert_eq!(reached, told(&["one", "two", "three"], "restart"));
}

#[tokio::test]
async fn a_later_change_is_told_to_everybody_also_after_a_delivery_that_failed_for_good() {
    let service = Service::new();
    service.docker.break_down("two");
    let (delivery, reached) = service.delivered(RESTART).await;
    assert!(
        matches!(delivery, Delivery::Failed(ref reason) if reason.starts_with("two: ")),
        "{delivery:?}"
    );
    assert_eq!(reached, told(&["one", "three"], "restart"), "once each");
    assert!(
        service.restarts_asked_for() >= 4,
        "it was tried again, for the one that failed: {}",
        service.restarts_asked_for()
    );
    service.change("2");
    let (delivery, reached) = service.tried(RESTART).await;
    assert!(delivery.is_err());
    assert_eq!(reached, told(&["one", "three"], "restart"), "of the new value");
    service.change("3");
    service.docker.mend("two");
    let (delivery, reached) = service.delivered(RESTART).await;
    assert_eq!(delivery, Delivery::Told);
    assert_eq!(reached, told(&["one", "two", "three"], "restart"));
}

#[tokio::test]
async fn a_container_that_is_replaced_between_tries_is_told_and_one_that_ends_is_not_waited_for() {
    let service = Service::new();
    service.docker.break_down("two");
    assert!(service.tried(RESTART).await.0.is_err());
    service.docker.stop("two");
    service.docker.add("four", "app", &LABELS);
    let (delivery, reached) = service.tried(RESTART).await;
    assert_eq!(delivery, Ok(Delivery::Told));
    assert_eq!(reached, told(&["four"], "restart"));
}

#[tokio::test]
async fn a_paused_container_of_a_service_is_told_as_one_that_is_named_and_a_stopped_one_is_not() {
    let service = Service::new();
    service.docker.pause("two");
    service.docker.stop("three");
    let (delivery, reached) = service.tried("container:two:HUP").await;
    assert_eq!(
        (delivery, reached),
        (Ok(Delivery::Told), told(&["two"], "SIGHUP"))
    );
    let (delivery, reached) = service.tried("compose:shop/mail:HUP").await;
    assert_eq!(delivery, Ok(Delivery::Told));
    assert_eq!(reached, told(&["one", "two"], "SIGHUP"));
    let (delivery, reached) = service.tried(RESTART).await;
    assert_eq!(delivery, Ok(Delivery::Told));
    assert_eq!(reached, told(&["one", "two"], "restart"));
    for name in ["one", "two"] {
        service.docker.stop(name);
    }
    let (delivery, reached) = service.tried(RESTART).await;
    assert!(matches!(delivery, Ok(Delivery::Idle(_))), "{delivery:?}");
    assert_eq!(reached, BTreeMap::new());
}
