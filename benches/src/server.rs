//! OpenBao with a key-value engine of version 2, as much of it as a read needs, with a delay before each answer.

use std::time::Duration;

use locket_testkit::{Response, Server};
use serde_json::json;

/// Serves `kv/data/NAME` with the field `value`, for a token that does not end.
pub(crate) fn start(delay: Duration) -> Server {
    Server::start_async(move |request| async move {
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        if request.path.starts_with("/v1/sys/internal/ui/mounts/") {
            let data = json!({ "path": "kv/", "type": "kv", "options": { "version": "2" } });
            return Response::json(200, &json!({ "data": data }));
        }
        if request.path == "/v1/auth/token/lookup-self" {
            let id = request.header("x-vault-token").unwrap_or_default();
            let data =
                json!({ "id": id, "ttl": 0, "renewable": false, "type": "service", "policies": ["root"] });
            return Response::json(200, &json!({ "data": data }));
        }
        match request.path.strip_prefix("/v1/kv/data/") {
            Some(name) => {
                let value = json!({ "value": format!("value-of-{name}") });
                let metadata = json!({ "version": 1, "destroyed": false, "deletion_time": "" });
                Response::json(200, &json!({ "data": { "data": value, "metadata": metadata } }))
            }
            None => Response::json(404, &json!({ "errors": [] })),
        }
    })
}
