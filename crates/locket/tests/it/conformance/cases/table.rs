//! The table of cases, in the order in which they are reported.

use futures_util::future::{FutureExt, LocalBoxFuture};

use super::{batches, cancelling, credentials, faults, hanging, reading, wildcards};
use crate::conformance::trial::{Trial, Verdict};

/// One promise that every provider makes.
pub(crate) struct Case {
    /// The promise, as a sentence without a full stop.
    pub(crate) promise: &'static str,
    /// Who may be excused.
    pub(crate) demand: Demand,
    /// Whether it is kept.
    pub(crate) check: for<'a> fn(&'a Trial) -> LocalBoxFuture<'a, Verdict>,
}

/// Who may be excused from a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Demand {
    /// A back end that says why it cannot have what the case needs.
    WherePossible,
    /// The same, but no provider with a network.
    OfNetworks,
}

macro_rules! cases {
    ($($promise:literal: $demand:ident, $check:path;)+) => {
        /// Every promise but the last one, [`TELLS_NOTHING`].
        pub(crate) static CASES: &[Case] = &[$(Case {
            promise: $promise,
            demand: Demand::$demand,
            check: |trial| $check(trial).boxed_local(),
        }),+];
    };
}

cases! {
    "a value arrives byte for byte": WherePossible, reading::exact_text;
    "bytes that are no text arrive": WherePossible, reading::exact_bytes;
    "an empty value is a value": WherePossible, reading::empty_value;
    "what does not exist is not-found": WherePossible, reading::missing;
    "a missing secret may be optional, which nobody is told": WherePossible, wildcards::optional;
    "every key of an item or folder comes by one read": WherePossible, wildcards::every_key;
    "what may not be read is denied": WherePossible, reading::denied;
    "the capability is plausible": WherePossible, reading::plausible_capability;
    "building contacts nobody": OfNetworks, reading::building_contacts_nobody;
    "a renewed credential is picked up": OfNetworks, credentials::renewed;
    "a worthless credential is auth": OfNetworks, credentials::revoked;
    "throttling says how long to wait": OfNetworks, faults::throttled;
    "a failing server is unavailable": OfNetworks, faults::server_errors;
    "a server that is down is unavailable": OfNetworks, faults::refused_connections;
    "a broken connection is unavailable": OfNetworks, faults::broken_connections;
    "garbage is unavailable": OfNetworks, faults::garbage;
    "a huge answer is refused unread": OfNetworks, faults::huge_answers;
    "a refused request is not repeated": OfNetworks, faults::no_repeats;
    "a hung connection ends with the request's time limit": OfNetworks, hanging::ends_with_the_time_limit;
    "a hung connection ends with the caller's deadline": OfNetworks, hanging::ends_with_the_deadline;
    "one item is one request": WherePossible, batches::one_item_is_one_request;
    "results stand in the order asked for": WherePossible, batches::results_stand_in_order;
    "one failure leaves the others alone": WherePossible, batches::one_failure_leaves_the_others_alone;
    "a cancelled read leaves the provider usable": WherePossible, cancelling::leaves_the_provider_usable;
    "a cancelled login leaves the other readers alone": OfNetworks, cancelling::leaves_other_readers_alone;
}

/// The promise that is checked beside every case: no value, token or body in an error, a log or an address.
pub(crate) static TELLS_NOTHING: Case = Case {
    promise: "nothing secret is told",
    demand: Demand::WherePossible,
    check: |_| std::future::ready(Ok(())).boxed_local(),
};
