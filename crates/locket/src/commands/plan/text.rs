//! The plan for people.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use locket_core::plan::{OnError, Owner};
use locket_core::words::counted;
use locket_engine::agent::Mode;
use locket_engine::preview::{PlannedOutput, Preview, Verdict};
use locket_engine::resolve::Cost;
use locket_sys::mount::Filesystem;

use super::command::LabelsRead;
use crate::columns::columns;
use crate::settings::RunSettings;

/// The width of the first word of an output.
const WORD: usize = 9;

/// Everything: outputs, what is left out, providers and their cost, and the rest of what the run was told.
pub(super) fn draw(preview: &Preview, settings: &RunSettings, labels: &LabelsRead) -> String {
    let mut text = String::new();
    for output in &preview.outputs {
        draw_output(output, &mut text);
    }
    for trouble in &preview.left_out {
        let _ = writeln!(
            text,
            "{:WORD$}{}: {}",
            "left out",
            trouble.path.display(),
            trouble.reason
        );
    }
    let _ = writeln!(text, "\n{}", verdicts(preview));
    let on_disk = |output: &&PlannedOutput| {
        output
            .place
            .is_some_and(|place| place.filesystem != Filesystem::Memory)
    };
    match preview.outputs.iter().filter(on_disk).count() {
        0 => {}
        count => {
            let _ = writeln!(
                text,
                "not in memory: {count} of them would be on a disk, not on a tmpfs"
            );
        }
    }
    draw_costs(&preview.costs, settings, &mut text);
    draw_settings(settings, &mut text);
    match labels {
        LabelsRead::Unwanted => {}
        LabelsRead::Read => text.push_str("labels of containers: what they ask for now stands above\n"),
        LabelsRead::Unread(error) => {
            let _ = writeln!(text, "! labels of containers cannot be read: {error}");
        }
    }
    text
}

/// The word for what would become of an output.
fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Create => "create",
        Verdict::Change => "change",
        Verdict::Access => "adjust",
        Verdict::Keep => "keep",
        Verdict::Unknown => "unknown",
        Verdict::Unresolved(_) => "no value",
        Verdict::Unusable(_) => "mistake",
        Verdict::Unwritable { .. } => "blocked",
    }
}

fn draw_output(output: &PlannedOutput, text: &mut String) {
    let mut line = |first: &str, rest: &str| {
        let _ = writeln!(text, "{}", format!("{first:WORD$}{rest}").trim_end());
    };
    let access = &output.settings.access;
    line(word(&output.verdict), &output.path.display().to_string());
    line(
        "",
        &format!(
            "from {}, mode {:04o}, owner {}, on-error {}",
            output.source.shown(),
            access.file_mode,
            owner(access.owner),
            policy(output.settings.on_error)
        ),
    );
    for reference in &output.references {
        line("", reference);
    }
    for action in &output.settings.notify {
        line("", &format!("tells {action}"));
    }
    if output.place.is_some_and(|place| place.in_place) {
        line(
            "",
            "is itself a mount point: it is written in place, where a kill can leave it torn",
        );
    }
    let mut say = |reason: &str, hint: Option<&str>| {
        line("", &format!("! {reason}"));
        if let Some(hint) = hint {
            line("", &format!("  {hint}"));
        }
    };
    match &output.verdict {
        Verdict::Unresolved(blames) => {
            for blame in blames {
                say(
                    &format!("{}: {}", blame.reference, blame.reason),
                    blame.hint.as_deref(),
                );
            }
            say(consequence(output), None);
        }
        Verdict::Unusable(error) => say(&error.to_string(), Some(error.hint())),
        Verdict::Unwritable { reason, hint } => say(reason, Some(hint)),
        _ => {}
    }
}

/// What the policy makes of an output without its secrets.
fn consequence(output: &PlannedOutput) -> &'static str {
    let is_there = output.path.symlink_metadata().is_ok();
    match (output.settings.on_error, is_there) {
        (OnError::Keep | OnError::Error, true) => "what is there stays",
        (OnError::Keep, false) => "nothing is written, and the agent is not healthy",
        (OnError::Error, false) => "nothing is written, and the run ends",
        (OnError::Passthrough, true) => "what is there stays, and the agent is not healthy",
        (OnError::Passthrough, false) => "the template's own text is written, and the agent is not healthy",
        (OnError::Ignore, _) => "it is left out",
    }
}

fn verdicts(preview: &Preview) -> String {
    let count = |is: fn(&Verdict) -> bool| {
        preview
            .outputs
            .iter()
            .filter(|output| is(&output.verdict))
            .count()
    };
    let mut parts = vec![
        format!(
            "{} to create",
            count(|verdict| matches!(verdict, Verdict::Create))
        ),
        format!(
            "{} to change",
            count(|verdict| matches!(verdict, Verdict::Change | Verdict::Access))
        ),
        format!("{} to keep", count(|verdict| matches!(verdict, Verdict::Keep))),
    ];
    match count(|verdict| matches!(verdict, Verdict::Unknown)) {
        0 => {}
        unknown => parts.push(format!("{unknown} unknown")),
    }
    let wrong = |verdict: &Verdict| {
        matches!(
            verdict,
            Verdict::Unresolved(_) | Verdict::Unusable(_) | Verdict::Unwritable { .. }
        )
    };
    match count(wrong) {
        0 => {}
        wrong => parts.push(format!("{wrong} that cannot be put in place")),
    }
    format!(
        "{}: {}",
        counted(preview.outputs.len(), "output"),
        parts.join(", ")
    )
}

fn draw_costs(costs: &[Cost], settings: &RunSettings, text: &mut String) {
    if costs.is_empty() {
        return;
    }
    let mut rows = vec![["provider", "items", "calls", "calls a day"].map(str::to_owned)];
    rows.extend(costs.iter().map(|cost| {
        [
            cost.instance.to_string(),
            cost.items.to_string(),
            cost.calls.to_string(),
            match (cost.local, interval(settings)) {
                (true, _) => "on this machine".to_owned(),
                (false, Some(interval)) => cost.of_a_day(interval).made.to_string(),
                (false, None) => format!("{}, once", cost.calls),
            },
        ]
    }));
    let _ = write!(text, "\n{}", columns(&rows));
    for cost in costs {
        for (setting, origin) in settings.common.providers.credentials(&cost.instance) {
            let _ = writeln!(text, "`{}`: {setting} from {origin}", cost.instance);
        }
        if let Some(budget) = budget(cost) {
            let _ = writeln!(text, "`{}`: {budget}", cost.instance);
        }
        if let Some(warning) = over_budget(cost, settings) {
            let _ = writeln!(text, "! {warning}");
        }
    }
}

/// What is left of a day's requests, where they are limited.
pub(in super::super) fn budget(cost: &Cost) -> Option<String> {
    let budget = cost.daily_budget?;
    Some(format!(
        "{} of {budget} requests a day are left",
        (budget as u64).saturating_sub(cost.spent)
    ))
}

/// The time between two refreshes, where the run has any.
pub(in super::super) fn interval(settings: &RunSettings) -> Option<Duration> {
    match settings.schedule.mode {
        Mode::OneShot => None,
        Mode::Watch | Mode::Park | Mode::Repeat => settings.schedule.refresh,
    }
}

/// What to say of an instance that would be asked more often in a day than its budget allows.
pub(in super::super) fn over_budget(cost: &Cost, settings: &RunSettings) -> Option<String> {
    let interval = interval(settings).filter(|interval| cost.is_past_budget(*interval))?;
    Some(format!(
        "`{}` would be asked {} times a day, more than its `daily-budget` of {}: its refreshes are spread out to one in {}",
        cost.instance,
        cost.of_a_day(interval).asked,
        cost.daily_budget?,
        shown(Duration::from_secs(cost.spacing.as_secs())),
    ))
}

fn draw_settings(settings: &RunSettings, text: &mut String) {
    let schedule = &settings.schedule;
    let path =
        |path: Option<&Path>| path.map_or_else(|| "none".to_owned(), |path| path.display().to_string());
    let _ = writeln!(
        text,
        "\nmode {}, refresh {}, debounce {}, delete-after {}",
        mode(schedule.mode),
        interval(settings).map_or_else(|| "off".to_owned(), shown),
        shown(schedule.debounce),
        shown(settings.plan.delete_after),
    );
    let _ = writeln!(
        text,
        "request-timeout {}, deadline {}, max-file-size {}, new directories {:04o}",
        shown(schedule.request),
        shown(schedule.deadline),
        settings.plan.max_file_size,
        directories(settings),
    );
    let _ = writeln!(
        text,
        "status file {}, state directory {}",
        path(settings.status_file.as_deref()),
        settings.state_dir.display(),
    );
    for action in &settings.actions {
        let timeout = shown(settings.notify_timeout);
        let _ = writeln!(text, "every change tells {action}, for {timeout} at most");
    }
}

/// The mode of directories that are made for the first output that says so.
fn directories(settings: &RunSettings) -> u32 {
    let maps = settings.plan.maps.iter().map(|map| &map.settings);
    let mut all = maps.chain(settings.plan.secrets.iter().map(|secret| &secret.settings));
    all.next().map_or(0o700, |settings| settings.access.dir_mode)
}

pub(super) fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::OneShot => "one-shot",
        Mode::Watch => "watch",
        Mode::Park => "park",
        Mode::Repeat => "repeat",
    }
}

pub(super) fn policy(policy: OnError) -> &'static str {
    let known = OnError::ALL.iter().find(|(_, known)| *known == policy);
    known.map_or("keep", |(name, _)| name)
}

pub(super) fn owner(owner: Option<Owner>) -> String {
    match owner {
        None => "own".to_owned(),
        Some(Owner { uid, gid: None }) => uid.to_string(),
        Some(Owner { uid, gid: Some(gid) }) => format!("{uid}:{gid}"),
    }
}

pub(super) fn shown(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}
