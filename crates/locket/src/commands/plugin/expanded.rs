//! Answers for secrets that were made with `--template-driver golang`: the node of the task expands what it is given. So a
//! value is written as a template of itself, and a refusal as one that cannot be expanded: the node's error, which
//! `docker service ps` shows, then holds the reason. Nothing else of the plugin knows of such templates.

use std::time::Duration;

use locket_core::{Environment, SecretBytes};
use locket_docker::engine::{Client, Endpoint, EngineError};
use locket_docker::plugin::SecretValue;
use locket_engine::tasks;
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use super::secrets::MOST;

/// Every assignment of the node waits with this one: the engine is asked for no longer.
const LIMIT: Duration = Duration::from_secs(1);

/// As much of a reason as a line of `docker service ps` can bear.
const REASON: usize = 1000;

/// What begins a tag, and what becomes of it as text.
const OPEN: &[u8] = b"{{";
const OPEN_AS_TEXT: &[u8] = br#"{{"{{"}}"#;

/// Answers the engine: as it is, or as a template where that makes a difference and the secret is expanded.
pub(super) fn deliver(
    environment: &Environment,
    secret: &str,
    answer: Result<SecretValue, String>,
    reply: oneshot::Sender<Result<SecretValue, String>>,
) {
    if answer.as_ref().is_ok_and(|given| !holds_tags(&given.value)) {
        // Nobody waits any more where this fails.
        let _ = reply.send(answer);
        return;
    }
    let (environment, secret) = (environment.clone(), secret.to_owned());
    drop(tasks::here(async move {
        let is_expanded = tokio::time::timeout(LIMIT, is_expanded(&environment, &secret)).await;
        let answer = match is_expanded {
            Ok(Ok(true)) => Ok(as_template(answer)),
            Ok(Ok(false)) => answer,
            Ok(Err(error)) => {
                tracing::debug!("whether {secret} is expanded is not known: {error}");
                answer
            }
            // It may be one that is expanded: the next task asks again.
            Err(_) => answer.and_then(|_| {
                let reason = format!(
                    "the value of {secret} holds `{{{{`, and the engine does not say in time whether it is expanded"
                );
                tracing::error!("{reason}");
                Err(reason)
            }),
        };
        let _ = reply.send(answer);
    }));
}

async fn is_expanded(environment: &Environment, secret: &str) -> Result<bool, EngineError> {
    let endpoint = Endpoint::find(environment).map_err(EngineError::Unavailable)?;
    Client::new(endpoint, environment)?
        .is_secret_expanded(secret)
        .await
}

#[expect(
    clippy::disallowed_methods,
    reason = "what a template means is told by its bytes"
)]
fn holds_tags(value: &SecretBytes) -> bool {
    value.expose().windows(OPEN.len()).any(|bytes| bytes == OPEN)
}

fn as_template(answer: Result<SecretValue, String>) -> SecretValue {
    match answer {
        Ok(given) => match escaped(&given.value) {
            Some(value) => SecretValue { value, ..given },
            None => refusal("as a template of itself, the value is larger than a Swarm secret may be"),
        },
        Err(reason) => refusal(&reason),
    }
}

/// A template that becomes `value`; `None` when it is too long.
#[expect(
    clippy::disallowed_methods,
    reason = "the value is copied for the engine that asks for it"
)]
fn escaped(value: &SecretBytes) -> Option<SecretBytes> {
    let value = value.expose();
    let mut template = Zeroizing::new(Vec::with_capacity(value.len() * OPEN_AS_TEXT.len() / OPEN.len()));
    let mut rest = value;
    while let Some((first, after)) = rest.split_first() {
        match rest.strip_prefix(OPEN) {
            Some(after) => {
                template.extend_from_slice(OPEN_AS_TEXT);
                rest = after;
            }
            None => {
                template.push(*first);
                rest = after;
            }
        }
    }
    (template.len() < MOST).then(|| SecretBytes::copy_from(&template))
}

/// A template that cannot be expanded, whatever the task has: no file of a secret has a name with a slash at its end.
fn refusal(reason: &str) -> SecretValue {
    let mut told = String::from("{{$locket := \"");
    for letter in reason.chars().take(REASON) {
        match letter {
            '"' | '\\' => told.extend(['\\', letter]),
            letter if letter.is_control() => told.push(' '),
            letter => told.push(letter),
        }
    }
    told.push_str("/\"}}{{secret $locket}}");
    SecretValue {
        value: SecretBytes::copy_from(told.as_bytes()),
        // The next task may be luckier.
        may_be_reused: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_written_so_that_no_tag_begins_in_it() {
        for (value, template) in [
            ("plain } }} {", "plain } }} {"),
            ("a{{b", r#"a{{"{{"}}b"#),
            ("{{{", r#"{{"{{"}}{"#),
            ("{{{{", r#"{{"{{"}}{{"{{"}}"#),
            (r#"{{ secret "other" }}"#, r#"{{"{{"}} secret "other" }}"#),
        ] {
            let value = SecretBytes::copy_from(value.as_bytes());
            assert!(
                escaped(&value).unwrap().matches(template.as_bytes()),
                "{template}"
            );
        }
        assert!(!holds_tags(&SecretBytes::copy_from(b"plain } }} {")));
        assert!(holds_tags(&SecretBytes::copy_from(b"a{{b")));
        assert!(escaped(&SecretBytes::copy_from(&b"{".repeat(MOST / 4 * 2))).is_none());
    }

    #[tokio::test]
    async fn a_value_that_may_be_a_template_is_not_given_while_the_engine_is_silent() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("docker.sock");
        let silent = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let host = format!("unix://{}", socket.display());
        let asked = async |host: &str, value: &[u8]| {
            let environment = Environment::from_iter([("DOCKER_HOST", host)]);
            let (reply, answer) = oneshot::channel();
            let given = SecretValue {
                value: SecretBytes::copy_from(value),
                may_be_reused: false,
            };
            deliver(&environment, "s", Ok(given), reply);
            answer.await.unwrap()
        };
        tasks::on_this_thread(async {
            let refused = asked(&host, b"a{{b").await.err();
            assert!(refused.is_some_and(|reason| reason.contains("does not say in time")));
            assert!(asked(&host, b"plain").await.is_ok(), "it is the same either way");
            drop(silent);
            let given = asked(&host, b"a{{b").await;
            assert!(given.is_ok(), "there is no engine to be asked");
        })
        .await;
    }

    #[test]
    fn a_refusal_says_why_and_cannot_be_expanded() {
        let said = refusal("file:///\"a\\b\" may not\nbe had");
        let wanted = br#"{{$locket := "file:///\"a\\b\" may not be had/"}}{{secret $locket}}"#;
        assert!(said.value.matches(wanted));
        assert!(!said.may_be_reused);
    }
}
