//! Servers that want to know: they get the names of the changed files, never a value.

use std::path::PathBuf;
use std::time::Duration;

use locket_core::{Action, BoxFuture, Environment};
use locket_engine::notify::{Courier, Delivery};
use locket_providers::outbound;
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(20);

/// Posts `{"changed": ["/run/secrets/db"]}` to servers.
#[derive(Debug)]
pub struct WebCourier {
    environment: Environment,
}

impl WebCourier {
    /// Trusts whom `environment` says.
    pub fn new(environment: Environment) -> Self {
        Self { environment }
    }

    async fn post(&self, url: &str, changed: &[PathBuf]) -> Result<Delivery, String> {
        let names: Vec<_> = changed.iter().map(|path| path.display().to_string()).collect();
        let client = outbound::client(None, &self.environment)?
            .build()
            .map_err(|error| error.without_url().to_string())?;
        let answer = client
            .post(url)
            .timeout(LIMIT)
            .header("content-type", "application/json")
            .body(json!({ "changed": names }).to_string())
            .send()
            .await
            .map_err(|error| match error.is_timeout() {
                true => "it gave no answer in time".to_owned(),
                false => format!("it cannot be reached: {}", innermost(&error.without_url())),
            })?;
        match answer.status().is_success() {
            true => Ok(Delivery::Told),
            false => Err(format!("it answered {}", answer.status().as_u16())),
        }
    }
}

/// What went wrong at the bottom; the words above repeat the address, which may hold a key.
fn innermost(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => innermost(source),
        None => error.to_string(),
    }
}

impl Courier for WebCourier {
    fn deliver<'a>(
        &'a self,
        action: &'a Action,
        changed: &'a [PathBuf],
    ) -> BoxFuture<'a, Result<Delivery, String>> {
        Box::pin(async move {
            match action {
                Action::Http { url } => self.post(url, changed).await,
                other => Ok(Delivery::Failed(format!("a server cannot be told {other}"))),
            }
        })
    }
}
