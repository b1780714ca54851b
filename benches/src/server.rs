//! OpenBao with a key-value engine of version 2, as much of it as a read needs, with a delay before each answer.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use locket_testkit::{Request, Response, Server};
use serde_json::json;

/// Rotates all secrets at once, and notes when the first of them is asked for.
#[derive(Default)]
pub(crate) struct Rotation {
    done: AtomicUsize,
    first_read: Mutex<Option<Instant>>,
}

impl Rotation {
    /// Gives every secret another value; gives how often that was done.
    pub(crate) fn rotate(&self) -> usize {
        *self.first_read.lock().unwrap() = None;
        self.done.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// When the first secret was asked for since the last rotation.
    pub(crate) fn first_read(&self) -> Option<Instant> {
        *self.first_read.lock().unwrap()
    }
}

/// Serves `kv/data/NAME` with the field `value`, for a token that does not end.
pub(crate) fn start(delay: Duration) -> Server {
    start_rotating(delay, Arc::default())
}

/// The same, with values that can be rotated.
pub(crate) fn start_rotating(delay: Duration, rotation: Arc<Rotation>) -> Server {
    Server::start_async(move |request| {
        if request.path.contains("/data/") {
            rotation
                .first_read
                .lock()
                .unwrap()
                .get_or_insert_with(Instant::now);
        }
        answer(request, delay, rotation.done.load(Ordering::Relaxed))
    })
}

async fn answer(request: Request, delay: Duration, rotations: usize) -> Response {
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    if request.path.starts_with("/v1/sys/internal/ui/mounts/") {
        let data = json!({ "path": "kv/", "type": "kv", "options": { "version": "2" } });
        return Response::json(200, &json!({ "data": data }));
    }
    if request.path == "/v1/auth/token/lookup-self" {
        let id = request.header("x-vault-token").unwrap_or_default();
        let data = json!({ "id": id, "ttl": 0, "renewable": false, "type": "service", "policies": ["root"] });
        return Response::json(200, &json!({ "data": data }));
    }
    match request.path.strip_prefix("/v1/kv/data/") {
        Some(name) => {
            let value = json!({ "value": value_of(name, rotations) });
            let metadata = json!({ "version": 1, "destroyed": false, "deletion_time": "" });
            Response::json(200, &json!({ "data": { "data": value, "metadata": metadata } }))
        }
        None => Response::json(404, &json!({ "errors": [] })),
    }
}

/// What a secret is after so many rotations.
pub(crate) fn value_of(name: &str, rotations: usize) -> String {
    match rotations {
        0 => format!("value-of-{name}"),
        _ => format!("value-of-{name}-{rotations}"),
    }
}
