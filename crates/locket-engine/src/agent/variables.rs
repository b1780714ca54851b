//! Variables as outputs: they are kept in memory, and handed to whoever starts programs when a round is over.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::SystemTime;

use locket_core::filter::HashMemo;
use locket_core::plan::OnError;
use locket_core::template::{RenderCx, RenderError, Resolution, Template};
use locket_core::{Schemes, SecretBytes};
use tokio::sync::mpsc;

use super::apply::{Applier, Done, Job, Outcome, Work, differs, unresolved};
use super::dispatch::Agent;
use super::outputs::Standing;
use super::rounds::Round;
use super::standing::is_unresolved;
use crate::mask::Hidden;
use crate::sink::Applied;
use crate::sources::Role;

/// Who gets the variables of a plan.
#[derive(Clone, Debug)]
pub struct Handover {
    /// Where each generation goes.
    pub to: mpsc::UnboundedSender<Generation>,
    /// Where secrets are noted before anything of them is in place, if they are hidden from whoever reads along.
    pub hidden: Option<Arc<Hidden>>,
}

/// Everything that a round put in place, all of it complete.
#[derive(Clone, Debug, Default)]
pub struct Generation {
    /// The variables, by name.
    pub variables: Vec<Variable>,
    /// Whether anything is new, but for what the time alone changes.
    pub is_change: bool,
    /// Whether a file is new.
    pub has_new_files: bool,
    /// Whether a secret in it ends when nobody renews it.
    pub is_leased: bool,
}

/// One variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value, or what the file holds whose path is its value.
    pub value: Arc<SecretBytes>,
    /// Whether a secret is in it.
    pub is_secret: bool,
    /// Whether its value is the path of a file.
    pub is_file: bool,
}

impl Agent {
    /// Has the secrets of outputs hidden that are about to be put in place: a program may show them at once.
    pub(super) fn hide_secrets(&self, jobs: &[Job]) {
        let Some(hidden) = self
            .setup
            .handover
            .as_ref()
            .and_then(|handover| handover.hidden.as_ref())
        else {
            return;
        };
        for job in jobs {
            if let Work::Render {
                parsed,
                resolutions,
                now,
            } = &job.work
            {
                let schemes = self.setup.instances.schemes();
                hidden.note(secrets_of(&parsed.template, resolutions, *now, schemes));
            }
        }
    }

    /// Hands over what the round made, if nothing is missing in it.
    pub(super) fn hand_over(&mut self, round: &Round) {
        let (Some(handover), Some(applier)) = (&self.setup.handover, &mut self.applier) else {
            return;
        };
        let is_missing = self.outputs.iter().any(|(_, output)| {
            output.gone_since.is_none()
                && output.found.settings.on_error != OnError::Ignore
                && (is_unresolved(output.standing, &output.troubles) || output.standing == Standing::Unknown)
        });
        if is_missing {
            return;
        }
        let mut handed = BTreeSet::new();
        let mut variables = Vec::new();
        for (target, output) in self.outputs.iter() {
            let Ok(parsed) = &output.found.template else {
                continue;
            };
            if let Some(hidden) = &handover.hidden
                && output.gone_since.is_none()
            {
                let (resolutions, _) = output.resolutions(&self.resolver);
                let schemes = self.setup.instances.schemes();
                hidden.note(secrets_of(
                    &parsed.template,
                    &resolutions,
                    self.clock.wall(),
                    schemes,
                ));
            }
            if !target.is_variable() || matches!(output.found.role, Role::Listing(_)) {
                continue;
            }
            if let Some(value) = applier.variables.get(target) {
                handed.insert(target.clone());
                variables.push(Variable {
                    name: target.relative.to_string_lossy().into_owned(),
                    value: value.clone(),
                    is_secret: !parsed.keys.is_empty(),
                    is_file: output.found.role == Role::VariableFile,
                });
            }
        }
        variables.sort_by(|one, other| one.name.cmp(&other.name));
        applier.variables.retain(|target, _| handed.contains(target));
        let has_new_files = round.changed.iter().any(|(target, _)| !target.is_variable());
        let generation = Generation {
            variables,
            is_change: !round.changed.is_empty() || handed != self.handed,
            has_new_files,
            is_leased: !self.resolver.lease_ends().is_empty(),
        };
        self.handed = handed;
        if let Some(hidden) = &handover.hidden {
            hidden.end_generation();
        }
        // Whoever started programs may be gone; then nobody wants it.
        let _ = handover.to.send(generation);
    }
}

impl Applier {
    /// Renders variables, and keeps what came out.
    pub(super) fn set_variables(&mut self, jobs: Vec<Job>, schemes: &Schemes) -> Vec<Done> {
        let jobs = jobs.into_iter();
        jobs.map(|job| {
            let mut done = Done {
                target: job.target,
                result: Err(Vec::new()),
                fingerprint: None,
                stale: job.stale,
                valid_until: None,
                earlier: None,
            };
            // The template's own text is no value for a program.
            let Work::Render {
                parsed,
                resolutions,
                now,
            } = job.work
            else {
                return done;
            };
            let present = self.variables.get(&done.target).cloned();
            #[expect(
                clippy::disallowed_methods,
                reason = "password hashes in the present value are kept"
            )]
            let shown = present.as_ref().map(|present| present.expose());
            let mut cx = RenderCx {
                schemes,
                now,
                present: shown,
                memo: &mut self.memo,
            };
            match parsed.template.render(&resolutions, &mut cx) {
                Err(errors) => {
                    let distinct = RenderError::distinct(errors).into_iter();
                    done.result = Err(distinct.map(|error| unresolved(error, &parsed)).collect());
                }
                Ok(rendered) => {
                    done.valid_until = rendered.valid_until;
                    let is_change = differs(&rendered, present.as_deref());
                    let applied = match &present {
                        None => Applied::Created,
                        Some(present) if **present == rendered.bytes => Applied::Unchanged,
                        Some(_) => Applied::Replaced,
                    };
                    self.variables
                        .insert(done.target.clone(), Arc::new(rendered.bytes));
                    done.result = Ok(Outcome {
                        applied,
                        is_change,
                        promised: None,
                        is_passthrough: false,
                    });
                }
            }
            done
        })
        .collect()
    }
}

/// What is secret in the output of one template.
fn secrets_of(
    template: &Template,
    resolutions: &[Resolution],
    now: SystemTime,
    schemes: &Schemes,
) -> impl Iterator<Item = Arc<SecretBytes>> {
    let mut cx = RenderCx {
        schemes,
        now,
        present: None,
        memo: &mut HashMemo::default(),
    };
    template.secrets(resolutions, &mut cx).into_iter().map(Arc::new)
}
