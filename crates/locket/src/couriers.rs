//! Who goes to which consumer: each kind of action has one courier.

use std::path::PathBuf;

use locket_core::{Action, BoxFuture, Environment, Reach};
use locket_docker::notify::{ContainerCourier, WebCourier};
use locket_engine::notify::{Courier, Delivery, LocalCourier, Precedence};

/// All couriers.
#[derive(Debug)]
pub(crate) struct Couriers {
    local: LocalCourier,
    containers: ContainerCourier,
    web: WebCourier,
}

impl Couriers {
    /// Couriers that find their way, and start programs, with `environment`.
    pub(crate) fn new(environment: Environment) -> Self {
        Self {
            containers: ContainerCourier::new(environment.clone()),
            web: WebCourier::new(environment.clone()),
            local: LocalCourier { environment },
        }
    }

    fn of(&self, action: &Action) -> &dyn Courier {
        match action {
            Action::Exec { .. } | Action::Pid { .. } | Action::Unit { .. } => &self.local,
            Action::Http { .. } => &self.web,
            Action::Container { .. }
            | Action::Compose { .. }
            | Action::Service { .. }
            | Action::Auto { .. } => &self.containers,
        }
    }
}

impl Courier for Couriers {
    fn deliver<'a>(
        &'a self,
        action: &'a Action,
        changed: &'a [PathBuf],
    ) -> BoxFuture<'a, Result<Delivery, String>> {
        self.of(action).deliver(action, changed)
    }

    fn reach(&self, action: &Action) -> Reach {
        self.of(action).reach(action)
    }

    fn order<'a>(&'a self, actions: &'a [Action]) -> BoxFuture<'a, Vec<Precedence>> {
        self.containers.order(actions)
    }
}
