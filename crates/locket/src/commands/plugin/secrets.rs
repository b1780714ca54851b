//! Values of Swarm secrets, for each task that starts. A node's assignments wait for the answer: it comes soon, from
//! what is known when a provider does not answer, and a hanging provider is waited for once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use locket_core::template::{Problem, RenderError, TemplateOptions};
use locket_core::{SecretBytes, Template, suggest};
use locket_docker::allow::Allowance;
use locket_docker::plugin::{SecretRequest, SecretValue};
use locket_engine::telemetry::{HandOut, Outcome, Trail};
use locket_engine::{Instances, once, tasks};
use tokio::sync::{mpsc, oneshot};

use super::expanded;
use crate::context::Context;
use crate::providers;
use crate::settings::Common;

/// How long an assignment waits for a provider.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long a provider is tried again, for those who come later.
const PERSISTENCE: Duration = Duration::from_secs(30);

/// A Swarm secret holds fewer bytes than these: 500 KiB (swarmkit's `MaxSecretSize`).
pub(super) const MOST: usize = 500 << 10;

const REF: &str = "locket.ref";
const TEMPLATE: &str = "locket.template";
const REUSE: &str = "locket.reuse";

type Reply = oneshot::Sender<Result<SecretValue, String>>;

/// What providers and time bring.
#[derive(Debug)]
pub(super) enum Heard {
    /// A value, or why there is none.
    Answer(String, Result<SecretBytes, Refusal>),
    /// The oldest of those who wait for a value has waited long enough.
    Late(String),
}

/// Why there is no value.
#[derive(Debug)]
pub(super) struct Refusal {
    reason: String,
    /// Whether it may be had at another time.
    is_transient: bool,
}

/// Everything that hands secrets out.
pub(super) struct Desk {
    context: Context,
    allow: Allowance,
    common: Common,
    instances: Arc<Instances>,
    trail: Option<Trail>,
    heard: mpsc::UnboundedSender<Heard>,
    known: HashMap<String, Known>,
}

/// What is known of one template.
#[derive(Default)]
struct Known {
    last: Option<Arc<SecretBytes>>,
    /// Since when a provider has been asked.
    asked: Option<Duration>,
    waiting: Vec<Waiting>,
}

/// A task that waits for its secret.
struct Waiting {
    request: SecretRequest,
    shown: String,
    may_be_reused: bool,
    since: Duration,
    reply: Reply,
}

/// What the labels of a secret ask for.
struct Wanted {
    /// The template.
    text: String,
    /// What it refers to.
    shown: String,
    may_be_reused: bool,
}

impl Desk {
    pub(super) fn new(
        context: &Context,
        allow: Allowance,
        common: Common,
        trail: Option<Trail>,
        heard: mpsc::UnboundedSender<Heard>,
    ) -> Self {
        Self {
            context: context.clone(),
            instances: common.providers.instances(context),
            allow,
            common,
            trail,
            heard,
            known: HashMap::new(),
        }
    }

    /// Takes over what a configuration says that was read again.
    pub(super) fn reload(&mut self, allow: Allowance, common: Common) {
        self.instances =
            common
                .providers
                .instances_after(&self.common.providers, &self.instances, &self.context);
        self.allow = allow;
        self.common = common;
    }

    /// Answers a task, at once or as soon as a provider has.
    pub(super) fn get(&mut self, request: SecretRequest, reply: Reply) {
        let wanted = match self.wanted(&request) {
            Ok(wanted) => wanted,
            Err(reason) => {
                tracing::warn!("{} for {}: {reason}", request.secret_name, request.task_name);
                let shown = labelled(&request, REF).or_else(|| labelled(&request, TEMPLATE));
                self.note(&request, shown.unwrap_or_default(), Outcome::Refused(&reason));
                self.answer(&request, Err(reason), reply);
                return;
            }
        };
        let now = self.context.clock.monotonic();
        let known = self.known.entry(wanted.text.clone()).or_default();
        let waiting = Waiting {
            request,
            shown: wanted.shown,
            may_be_reused: wanted.may_be_reused,
            since: now,
            reply,
        };
        match known.asked {
            // Somebody waited for it long enough already.
            Some(since) if now.saturating_sub(since) >= PATIENCE => {
                let last = known.last.clone();
                self.make_do(waiting, last, "the provider has not answered yet");
            }
            Some(_) => {
                known.waiting.push(waiting);
                self.wait(wanted.text);
            }
            None => {
                known.waiting.push(waiting);
                known.asked = Some(now);
                self.ask(&wanted.text);
                self.wait(wanted.text);
            }
        }
    }

    /// A provider has answered, or time has passed.
    pub(super) fn heard(&mut self, heard: Heard) {
        match heard {
            Heard::Answer(text, result) => {
                let Some(known) = self.known.get_mut(&text) else {
                    return;
                };
                known.asked = None;
                let waiting = std::mem::take(&mut known.waiting);
                match result {
                    Ok(value) => {
                        let value = Arc::new(value);
                        known.last = Some(value.clone());
                        for waiting in waiting {
                            self.hand_out(waiting, &value);
                        }
                    }
                    Err(refusal) => {
                        // What is gone, or may not be read any more, is not handed out from memory.
                        if !refusal.is_transient {
                            known.last = None;
                        }
                        let last = known.last.clone();
                        for waiting in waiting {
                            self.make_do(waiting, last.clone(), &refusal.reason);
                        }
                    }
                }
            }
            Heard::Late(text) => {
                let now = self.context.clock.monotonic();
                let Some(known) = self.known.get_mut(&text) else {
                    return;
                };
                let last = known.last.clone();
                let is_late = |waiting: &Waiting| now.saturating_sub(waiting.since) >= PATIENCE;
                let (late, others) = std::mem::take(&mut known.waiting).into_iter().partition(is_late);
                known.waiting = others;
                let late: Vec<Waiting> = late;
                for waiting in late {
                    self.make_do(waiting, last.clone(), "the provider gave no answer in time");
                }
            }
        }
    }

    /// What the labels ask for, if they may.
    fn wanted(&self, request: &SecretRequest) -> Result<Wanted, String> {
        let labels = request.secret_labels.iter().flatten();
        let mut ours = labels.filter(|(name, _)| name.starts_with("locket."));
        if let Some((name, _)) = ours.find(|(name, _)| ![REF, TEMPLATE, REUSE].contains(&name.as_str())) {
            let near = suggest::nearest(name, [REF, TEMPLATE, REUSE]);
            let near = near
                .map(|near| format!(" Did you mean `{near}`?"))
                .unwrap_or_default();
            return Err(format!("the label `{name}` means nothing to locket.{near}"));
        }
        let may_be_reused = match labelled(request, REUSE) {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(format!("the label `{REUSE}` is neither `true` nor `false`")),
        };
        let schemes = self.instances.schemes();
        let told = |label: &str, found: &[locket_core::Diagnostic]| {
            let found = found.first();
            let message = found.map_or("it is wrong", |finding| finding.message.as_str());
            let help = found
                .and_then(|finding| finding.help.as_deref())
                .unwrap_or_default();
            format!("the label `{label}`: {message}. {help}")
                .trim_end()
                .to_owned()
        };
        let template = match (labelled(request, REF), labelled(request, TEMPLATE)) {
            (Some(text), None) => providers::template_of(text, schemes).map_err(|found| told(REF, &found)),
            (None, Some(text)) => {
                Template::parse(text.as_bytes().to_vec(), &TemplateOptions::default(), schemes)
                    .map_err(|found| told(TEMPLATE, &found))
            }
            (Some(_), Some(_)) => Err(format!("it has both labels `{REF}` and `{TEMPLATE}`; keep one")),
            (None, None) => Err(format!(
                "it has no label `{REF}`: `docker secret create -d locket --label {REF}=REFERENCE NAME`"
            )),
        }?;
        if template.references().is_empty() {
            return Err("its label refers to no secret".to_owned());
        }
        for reference in template.references() {
            self.allow.permits(reference, &request.service_name)?;
        }
        let shown: Vec<_> = template.references().iter().map(ToString::to_string).collect();
        Ok(Wanted {
            text: String::from_utf8_lossy(template.source()).into_owned(),
            shown: shown.join(", "),
            may_be_reused,
        })
    }

    /// Asks for the value of a template, beside everything else.
    fn ask(&self, text: &str) {
        let (text, heard, instances) = (text.to_owned(), self.heard.clone(), self.instances.clone());
        let (clock, request) = (self.context.clock.clone(), self.common.request_timeout);
        drop(tasks::here(async move {
            let parsed = once::parse(
                "the label",
                text.as_bytes(),
                &TemplateOptions::default(),
                &instances,
            );
            let result = match parsed {
                Ok(parsed) => once::render(&parsed, &instances, &clock, request, PERSISTENCE)
                    .await
                    .map(|rendered| rendered.bytes)
                    .map_err(|errors| Refusal::of(&errors)),
                Err(error) => Err(Refusal {
                    reason: error.to_string(),
                    is_transient: false,
                }),
            };
            let _ = heard.send(Heard::Answer(text, result));
        }));
    }

    /// Comes back to whoever waits when that was long enough.
    fn wait(&self, text: String) {
        let heard = self.heard.clone();
        drop(tasks::here(async move {
            tokio::time::sleep(PATIENCE).await;
            let _ = heard.send(Heard::Late(text));
        }));
    }

    /// Hands out the last good value where there is one, else says why there is none.
    fn make_do(&self, waiting: Waiting, last: Option<Arc<SecretBytes>>, reason: &str) {
        let Waiting { request, shown, .. } = &waiting;
        match last {
            Some(last) => {
                tracing::warn!(
                    "{} for {}: the last good value of {shown} is handed out, since {reason}",
                    request.secret_name,
                    request.task_name
                );
                self.hand_out(waiting, &last);
            }
            None => {
                let reason = format!("{shown}: {reason}");
                tracing::error!("{} for {}: {reason}", request.secret_name, request.task_name);
                self.note(request, shown, Outcome::Failed(&reason));
                self.answer(&waiting.request, Err(reason), waiting.reply);
            }
        }
    }

    fn hand_out(&self, waiting: Waiting, value: &SecretBytes) {
        let Waiting {
            request,
            shown,
            may_be_reused,
            reply,
            ..
        } = waiting;
        if value.is_empty() || value.len() >= MOST {
            let size = match value.is_empty() {
                true => "is empty",
                false => "is larger than the 500 KiB (512000 bytes) that a Swarm secret may hold",
            };
            let reason = format!("the value of {} ({shown}) {size}", request.secret_name);
            tracing::error!("{reason}");
            self.note(&request, &shown, Outcome::Failed(&reason));
            self.answer(&request, Err(reason), reply);
            return;
        }
        self.note(&request, &shown, Outcome::Given(value));
        #[expect(
            clippy::disallowed_methods,
            reason = "a copy goes to the engine that asks for it"
        )]
        let value = SecretBytes::copy_from(value.expose());
        self.answer(&request, Ok(SecretValue { value, may_be_reused }), reply);
        tracing::info!("{} is handed out for {}", request.secret_name, request.task_name);
    }

    fn answer(&self, request: &SecretRequest, answer: Result<SecretValue, String>, reply: Reply) {
        expanded::deliver(&self.context.environment, &request.secret_name, answer, reply);
    }

    fn note(&self, request: &SecretRequest, shown: &str, outcome: Outcome<'_>) {
        if let Some(trail) = &self.trail {
            let told = HandOut {
                reference: shown,
                secret: &request.secret_name,
                service: &request.service_name,
                task: match request.task_name.as_str() {
                    "" => &request.task_id,
                    name => name,
                },
                outcome,
            };
            trail.handed_out(self.context.clock.wall(), &told);
        }
    }
}

impl Refusal {
    fn of(errors: &[RenderError]) -> Self {
        let mut is_transient = !errors.is_empty();
        let mut reasons = Vec::with_capacity(errors.len());
        for error in errors {
            let (reason, transient) = match &error.problem {
                Problem::Unresolved(error) => (error.to_string(), error.kind.is_transient()),
                Problem::Unsuitable(reason) => (reason.clone(), false),
            };
            is_transient &= transient;
            reasons.push(match errors.len() {
                1 => reason,
                _ => format!("{}: {reason}", error.reference),
            });
        }
        Self {
            reason: reasons.join("; "),
            is_transient,
        }
    }
}

fn labelled<'a>(request: &'a SecretRequest, name: &str) -> Option<&'a str> {
    let labels = request.secret_labels.as_ref()?;
    labels.get(name).map(String::as_str)
}
