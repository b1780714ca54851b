//! The flaws, each with the promise that it breaks.

macro_rules! flaws {
    ($($flaw:ident breaks $promise:literal: $what:literal;)+) => {
        /// One way to be wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Flaw {
            $(#[doc = $what] $flaw,)+
        }

        impl Flaw {
            /// Every flaw.
            pub(super) const ALL: &[Self] = &[$(Self::$flaw),+];

            /// The promise of the suite that it breaks.
            pub(super) fn promise(self) -> &'static str {
                match self {
                    $(Self::$flaw => $promise,)+
                }
            }

            /// The flaw of this name.
            pub(super) fn by_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|flaw| format!("{flaw:?}") == name)
            }
        }
    };
}

flaws! {
    TrimsValues breaks "a value arrives byte for byte":
        "Drops white space at the ends of values.";
    ReplacesBadText breaks "bytes that are no text arrive":
        "Forces values through UTF-8.";
    EmptyIsMissing breaks "an empty value is a value":
        "Takes an empty value for a missing one.";
    MissingIsUnavailable breaks "what does not exist is not-found":
        "Would be asked again and again for what does not exist.";
    MissingFieldIsEmpty breaks "what does not exist is not-found":
        "Gives the empty value for a field that does not exist.";
    TellsOptions breaks "a missing secret may be optional, which nobody is told":
        "Takes `?optional` for a part of the name.";
    LeavesKeysOut breaks "every key of an item or folder comes by one read":
        "Gives all keys but one.";
    DeniedIsMissing breaks "what may not be read is denied":
        "Lets `default` stand in for what may not be read.";
    ClaimsToBeLocal breaks "the capability is plausible":
        "Says that asking costs nothing.";
    CarriesNothing breaks "the capability is plausible":
        "Says that a call carries no items.";
    ConnectsAtOnce breaks "building contacts nobody":
        "Connects when it is built.";
    KeepsTheToken breaks "a renewed credential is picked up":
        "Never logs in again.";
    KeepsTheKey breaks "a renewed credential is picked up":
        "Reads its key file once.";
    RefusedIsDenied breaks "a worthless credential is auth":
        "Takes a refused login for a refused read.";
    DropsRetryAfter breaks "throttling says how long to wait":
        "Does not read Retry-After.";
    IgnoresDates breaks "throttling says how long to wait":
        "Reads Retry-After in seconds only.";
    ThrottlingIsUnavailable breaks "throttling says how long to wait":
        "Does not know 429.";
    ServerErrorIsMissing breaks "a failing server is unavailable":
        "Takes every odd status for a missing secret.";
    GatewayTimeoutIsInvalid breaks "a failing server is unavailable":
        "Gives up for good on 504.";
    RefusedIsInvalid breaks "a server that is down is unavailable":
        "Gives up for good on a refused connection.";
    ResetIsAuth breaks "a broken connection is unavailable":
        "Takes a reset for a refusal.";
    CutIsMissing breaks "a broken connection is unavailable":
        "Takes an answer that was cut off for a missing secret.";
    GarbageIsInvalid breaks "garbage is unavailable":
        "Gives up for good on a captive portal.";
    EmptyAnswerIsMissing breaks "garbage is unavailable":
        "Takes an empty answer for a missing secret.";
    OtherShapeIsMissing breaks "garbage is unavailable":
        "Takes JSON of another shape for a missing secret.";
    ReadsWithoutEnd breaks "a huge answer is refused unread":
        "Reads whatever it is sent.";
    Repeats breaks "a refused request is not repeated":
        "Asks three times.";
    NoTimeLimit breaks "a hung connection ends with the request's time limit":
        "Waits for ever.";
    NoTimeLimitForBodies breaks "a hung connection ends with the request's time limit":
        "Waits for ever once the head of the answer has come.";
    IgnoresTheSetting breaks "a hung connection ends with the request's time limit":
        "Waits as long as the caller does.";
    HangingIsInvalid breaks "a hung connection ends with the request's time limit":
        "Gives up for good on a slow server.";
    IgnoresTheDeadline breaks "a hung connection ends with the caller's deadline":
        "Waits longer than the caller does.";
    OneRequestForEach breaks "one item is one request":
        "Asks anew for every field.";
    ItemsAreFields breaks "one item is one request":
        "Does not group the fields of an item.";
    SortsResults breaks "results stand in the order asked for":
        "Gives results in the order of names.";
    DropsFailures breaks "one failure leaves the others alone":
        "Gives the results that it has.";
    FailsTogether breaks "one failure leaves the others alone":
        "Fails every result when one fails.";
    StaysLocked breaks "a cancelled read leaves the provider usable":
        "Marks a login as under way, and never unmarks one that was cancelled.";
    WaitsForTheLeader breaks "a cancelled login leaves the other readers alone":
        "Lets all readers wait for the one that logs in, without end.";
    TellsBodies breaks "nothing secret is told":
        "Puts what the server said into errors.";
    TellsBodiesInHints breaks "nothing secret is told":
        "Puts what the server said into hints.";
    LogsValues breaks "nothing secret is told":
        "Logs values at the lowest level.";
    LogsLogins breaks "nothing secret is told":
        "Logs the body of its login, as bytes.";
    PrintsItsToken breaks "nothing secret is told":
        "Shows its token in its debug output.";
    PutsTokensInAddresses breaks "nothing secret is told":
        "Sends its token in the query.";
}
