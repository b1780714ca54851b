//! What is counted, in the text format of Prometheus 0.0.4. Label sets are bounded: names of providers, and words.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Upper bounds of the buckets of round durations, in seconds.
const BUCKETS: [f64; 9] = [0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0, 300.0];

/// What there is to show at this moment. Times are seconds since 1970.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Snapshot {
    /// Rounds by what began them.
    pub(crate) rounds: BTreeMap<&'static str, u64>,
    /// How long they took.
    pub(crate) durations: Histogram,
    /// Outputs by how they are.
    pub(crate) outputs: BTreeMap<&'static str, u64>,
    /// Outputs that were written.
    pub(crate) writes: u64,
    pub(crate) last_success: Option<u64>,
    pub(crate) started: u64,
    /// Calls to providers by instance and outcome.
    pub(crate) calls: BTreeMap<(Arc<str>, &'static str), u64>,
    /// References that were answered by what was known already.
    pub(crate) cache_hits: u64,
    /// Notifications by outcome.
    pub(crate) notifications: BTreeMap<&'static str, u64>,
    /// The first end of a lease, by instance.
    pub(crate) leases: BTreeMap<Arc<str>, u64>,
    /// Audit lines that are lost, where there is an audit log.
    pub(crate) audit_lost: Option<u64>,
    /// Whether the audit log cannot be written.
    pub(crate) audit_failing: bool,
}

/// Durations by size.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Histogram {
    buckets: [u64; BUCKETS.len()],
    sum: f64,
    count: u64,
}

/// The latest snapshot, shared with whoever serves it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Board(Arc<Mutex<Snapshot>>);

impl Board {
    /// Shows `snapshot` from now on.
    pub(crate) fn show(&self, snapshot: Snapshot) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = snapshot;
    }

    /// The text of this moment.
    pub(crate) fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).text()
    }
}

impl Histogram {
    pub(crate) fn observe(&mut self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        for (bucket, bound) in self.buckets.iter_mut().zip(BUCKETS) {
            *bucket += u64::from(seconds <= bound);
        }
        self.sum += seconds;
        self.count += 1;
    }
}

impl Snapshot {
    /// The snapshot in Prometheus' text format.
    pub(crate) fn text(&self) -> String {
        let mut page = Page(String::with_capacity(4096));
        page.family("locket_build_info", "gauge", "The version that runs.");
        page.sample("locket_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
        page.family("locket_start_time_seconds", "gauge", "When the agent started.");
        page.sample("locket_start_time_seconds", &[], self.started);
        page.family("locket_rounds_total", "counter", "Rounds, by what began them.");
        for (reason, count) in &self.rounds {
            page.sample("locket_rounds_total", &[("reason", reason)], count);
        }
        page.family(
            "locket_round_duration_seconds",
            "histogram",
            "How long rounds took.",
        );
        for (bound, count) in BUCKETS.iter().zip(self.durations.buckets) {
            page.sample(
                "locket_round_duration_seconds_bucket",
                &[("le", &bound.to_string())],
                count,
            );
        }
        page.sample(
            "locket_round_duration_seconds_bucket",
            &[("le", "+Inf")],
            self.durations.count,
        );
        page.sample("locket_round_duration_seconds_sum", &[], self.durations.sum);
        page.sample("locket_round_duration_seconds_count", &[], self.durations.count);
        page.family("locket_outputs", "gauge", "Outputs, by how they are.");
        for (standing, count) in &self.outputs {
            page.sample("locket_outputs", &[("standing", standing)], count);
        }
        page.family("locket_writes_total", "counter", "Outputs that were written.");
        page.sample("locket_writes_total", &[], self.writes);
        if let Some(time) = self.last_success {
            let help = "When the last round ended in which everything was confirmed.";
            page.family("locket_last_success_timestamp_seconds", "gauge", help);
            page.sample("locket_last_success_timestamp_seconds", &[], time);
        }
        page.family(
            "locket_provider_calls_total",
            "counter",
            "Calls to providers, by outcome.",
        );
        for ((provider, outcome), count) in &self.calls {
            let labels = [("provider", provider.as_ref()), ("outcome", outcome)];
            page.sample("locket_provider_calls_total", &labels, count);
        }
        let help = "References that were answered by what was known already.";
        page.family("locket_cache_hits_total", "counter", help);
        page.sample("locket_cache_hits_total", &[], self.cache_hits);
        page.family(
            "locket_notifications_total",
            "counter",
            "Notifications, by outcome.",
        );
        for (outcome, count) in &self.notifications {
            page.sample("locket_notifications_total", &[("outcome", outcome)], count);
        }
        if !self.leases.is_empty() {
            let help = "When the first lease of a provider ends.";
            page.family("locket_lease_expiry_timestamp_seconds", "gauge", help);
            for (provider, time) in &self.leases {
                page.sample(
                    "locket_lease_expiry_timestamp_seconds",
                    &[("provider", provider)],
                    time,
                );
            }
        }
        if let Some(lost) = self.audit_lost {
            page.family(
                "locket_audit_lines_lost_total",
                "counter",
                "Lines that the audit log lacks.",
            );
            page.sample("locket_audit_lines_lost_total", &[], lost);
            page.family(
                "locket_audit_failing",
                "gauge",
                "Whether the audit log cannot be written.",
            );
            page.sample("locket_audit_failing", &[], u8::from(self.audit_failing));
        }
        page.0
    }
}

/// Text under construction. Writing to a string cannot fail.
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.0.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            let open = if index == 0 { '{' } else { ',' };
            let text = text
                .replace('\\', r"\\")
                .replace('"', "\\\"")
                .replace('\n', r"\n");
            let _ = write!(self.0, "{open}{label}=\"{text}\"");
        }
        let close = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{close} {value}");
    }
}
