//! The plan for programs. Durations are in seconds, sizes in bytes, modes in octal digits.

use locket_core::plan::Source;
use locket_engine::preview::{PlannedOutput, Preview, Verdict};
use locket_engine::resolve::Cost;
use locket_engine::sources::SourceError;
use locket_sys::mount::Filesystem;
use serde_json::{Value, json};

use super::command::LabelsRead;
use super::text::{interval, mode, over_budget, owner, policy};
use crate::settings::RunSettings;

/// The whole plan.
pub(super) fn document(preview: &Preview, settings: &RunSettings, labels: &LabelsRead) -> Value {
    let schedule = &settings.schedule;
    json!({
        "would_change": preview.would_change(),
        "outputs": preview.outputs.iter().map(output).collect::<Vec<_>>(),
        "left_out": preview.left_out.iter().map(|trouble| json!({
            "path": trouble.path,
            "reason": trouble.reason,
        })).collect::<Vec<_>>(),
        "providers": preview.costs.iter().map(|cost| provider(cost, settings)).collect::<Vec<_>>(),
        "run": {
            "mode": mode(schedule.mode),
            "refresh": interval(settings).map(|interval| interval.as_secs_f64()),
            "debounce": schedule.debounce.as_secs_f64(),
            "delete_after": settings.plan.delete_after.as_secs_f64(),
            "request_timeout": schedule.request.as_secs_f64(),
            "deadline": schedule.deadline.as_secs_f64(),
            "max_file_size": settings.plan.max_file_size,
            "out": settings.plan.out,
            "notify": settings.actions.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "notify_timeout": settings.notify_timeout.as_secs_f64(),
            "status_file": settings.status_file,
            "state_dir": settings.state_dir,
            "docker_labels": match labels {
                LabelsRead::Unwanted => Value::Null,
                LabelsRead::Read => json!({ "read": true }),
                LabelsRead::Unread(error) => json!({ "read": false, "reason": error.to_string() }),
            },
        },
    })
}

fn output(output: &PlannedOutput) -> Value {
    let access = &output.settings.access;
    json!({
        "path": output.path,
        "source": match &output.source {
            Source::File(path) | Source::EnvFile(path) => json!({ "file": path }),
            // Its text is the user's own and may be meant for nobody's log.
            Source::Inline { name, .. } => json!({ "secret": name }),
            Source::Every { text, .. } => json!({ "every": text }),
        },
        "references": output.references,
        "mode": format!("{:04o}", access.file_mode),
        "dir_mode": format!("{:04o}", access.dir_mode),
        "owner": access.owner.map(|given| owner(Some(given))),
        "on_error": policy(output.settings.on_error),
        "notify": output.settings.notify.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "in_place": output.place.map(|place| place.in_place),
        "in_memory": output.place.map(|place| place.filesystem == Filesystem::Memory),
        "would": would(&output.verdict),
        "problems": problems(&output.verdict),
    })
}

fn would(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Create => "create",
        Verdict::Change => "change",
        Verdict::Access => "adjust",
        Verdict::Keep => "keep",
        Verdict::Unknown => "unknown",
        Verdict::Unresolved(_) => "unresolved",
        Verdict::Unusable(_) => "template-error",
        Verdict::Unwritable { .. } => "unwritable",
    }
}

fn problems(verdict: &Verdict) -> Vec<Value> {
    match verdict {
        Verdict::Unresolved(blames) => blames
            .iter()
            .map(|blame| json!({ "reference": blame.reference, "reason": blame.reason, "hint": blame.hint }))
            .collect(),
        Verdict::Unusable(error) => match &**error {
            SourceError::Template { text, found, .. } => found
                .iter()
                .map(|finding| {
                    let (line, column) = finding.span.line_column(text);
                    json!({ "line": line, "column": column, "reason": finding.message, "hint": finding.help })
                })
                .collect(),
            other => vec![json!({ "reason": other.to_string(), "hint": other.hint() })],
        },
        Verdict::Unwritable { reason, hint } => vec![json!({ "reason": reason, "hint": hint })],
        _ => Vec::new(),
    }
}

pub(in super::super) fn provider(cost: &Cost, settings: &RunSettings) -> Value {
    let day = interval(settings).map(|interval| cost.of_a_day(interval));
    let credentials = settings.common.providers.credentials(&cost.instance);
    let credentials =
        credentials.map(|(setting, origin)| json!({ "setting": setting, "from": origin.to_string() }));
    json!({
        "name": &*cost.instance,
        "credentials": credentials.collect::<Vec<_>>(),
        "local": cost.local,
        "items": cost.items,
        "calls": cost.calls,
        "calls_a_day": day.map(|day| day.made),
        "daily_budget": cost.daily_budget,
        "requests_of_the_last_day": cost.daily_budget.map(|_| cost.spent),
        "warning": over_budget(cost, settings),
    })
}
