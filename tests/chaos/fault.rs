//! Faults between the operator and the API server. A process has at most one fault, at a call that
//! a plan can name.
//!
//! Calls are counted separately by their kind ([`Counter`]). The calls of an operator for a saga
//! therefore have the same numbers in every run, independent of its watches. A [`Strike`] names a
//! fault and the call that it strikes: `crash-after-commit@call:3`.
//!
//! # Guarantees
//! A call without a strike passes unchanged. Every call adds one line to the trace, before the call
//! can make the process crash.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The effect of a fault on the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The process dies, and the call is never sent.
    CrashBefore,
    /// The process dies after the API server has answered and before the process sees the answer.
    CrashAfterCommit,
    /// The operator gets the answer. The process dies three milliseconds later, or when its next
    /// call is sent, whichever is earlier. Effects that do not use this client may have been sent
    /// before.
    CrashAfterAnswer,
    /// The call is not sent. The answer is 409 Conflict.
    Conflict,
    /// The call is not sent. The answer is 429 Too Many Requests with `Retry-After: 1`.
    TooMany,
    /// The call is not sent. The answer is 500 Internal Server Error.
    Internal,
    /// The call is not sent. The answer is 503 Service Unavailable.
    Unavailable,
    /// The call is not sent. The answer is 504 Gateway Timeout.
    GatewayTimeout,
    /// The connection is lost before anything is sent.
    Reset,
    /// The API server executes the call, and then the connection is lost.
    ResetAfterCommit,
    /// The API server executes the call, and the answer never arrives.
    TimeoutAfterCommit,
    /// The watch delivers the copy from before the call once more. Newer copies follow 300 ms
    /// later.
    Stale,
    /// The watch ends after the call. The next list is from before the call, like the list of an
    /// API server that lags.
    StaleList,
    /// The process is stopped (SIGSTOP) when the answer arrives, before the process sees the
    /// answer. It continues (SIGCONT) later than an effect may be performed.
    Freeze,
    /// Like [`Self::Freeze`], but for longer than the term of a Lease. Another operator works
    /// during that time, and continues to work afterwards.
    TakeOver,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 15] = [
        Self::CrashBefore,
        Self::CrashAfterCommit,
        Self::CrashAfterAnswer,
        Self::Conflict,
        Self::TooMany,
        Self::Internal,
        Self::Unavailable,
        Self::GatewayTimeout,
        Self::Reset,
        Self::ResetAfterCommit,
        Self::TimeoutAfterCommit,
        Self::Stale,
        Self::StaleList,
        Self::Freeze,
        Self::TakeOver,
    ];

    /// Returns the name of the fault in a plan.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CrashBefore => "crash-before",
            Self::CrashAfterCommit => "crash-after-commit",
            Self::CrashAfterAnswer => "crash-after-answer",
            Self::Conflict => "conflict",
            Self::TooMany => "too-many-requests",
            Self::Internal => "internal-error",
            Self::Unavailable => "unavailable",
            Self::GatewayTimeout => "gateway-timeout",
            Self::Reset => "reset",
            Self::ResetAfterCommit => "reset-after-commit",
            Self::TimeoutAfterCommit => "timeout-after-commit",
            Self::Stale => "stale",
            Self::StaleList => "stale-list",
            Self::Freeze => "freeze",
            Self::TakeOver => "take-over",
        }
    }

    /// Returns whether the fault stops the process.
    pub const fn freezes(self) -> bool {
        matches!(self, Self::Freeze | Self::TakeOver)
    }

    /// Returns whether the fault makes the process die.
    pub const fn crashes(self) -> bool {
        matches!(self, Self::CrashBefore | Self::CrashAfterCommit | Self::CrashAfterAnswer)
    }

    /// Returns the status and the reason of the answer in place of the API server.
    pub fn refusal(self) -> Option<(u16, &'static str)> {
        let refusals = [
            (Self::Conflict, 409, "Conflict"),
            (Self::TooMany, 429, "TooManyRequests"),
            (Self::Internal, 500, "InternalError"),
            (Self::Unavailable, 503, "ServiceUnavailable"),
            (Self::GatewayTimeout, 504, "Timeout"),
        ];
        refusals
            .into_iter()
            .find(|(fault, ..)| *fault == self)
            .map(|(_, code, reason)| (code, reason))
    }
}

/// Creates the enum, and the list of all variants with their names, from one table.
macro_rules! counters {
    ($($(#[$doc:meta])* $counter:ident $name:literal,)+) => {
        /// The kind under which a call is counted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Counter {
            $($(#[$doc])* #[serde(rename = $name)] $counter,)+
        }

        impl Counter {
            const ALL: &'static [Self] = &[$(Self::$counter),+];

            /// Returns the name of the counter in a plan.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$counter => $name,)+
                }
            }
        }
    };
}

counters! {
    /// A write for a saga.
    Call "call",
    /// A live read. The number of live reads depends on the timing.
    Read "read",
    /// A trial write (`dryRun=All`).
    Trial "trial",
    /// A status write that adds the UID of a child that lives long. On a busy machine, there are
    /// more of these writes.
    Noted "noted",
    /// The creation of the Lease of an executor.
    LeaseCreation "lease-creation",
    /// A renewal of the Lease of an executor.
    LeaseRenewal "lease-renewal",
    /// A read of the Leases of executors.
    LeaseRead "lease-read",
    /// The creation of the Lease of the leader.
    LeaderCreation "leader-creation",
    /// A renewal of the Lease of the leader, or a takeover of this Lease.
    LeaderRenewal "leader-renewal",
    /// A read of the Lease of the leader.
    LeaderRead "leader-read",
    /// A read of the policy that protects requests.
    PolicyRead "policy-read",
    /// The list of sagas that fills the cache.
    SagaList "saga-list",
    /// The watch on sagas.
    SagaWatch "saga-watch",
    /// The list of Pods that fills the cache.
    PodList "pod-list",
    /// The watch on Pods.
    PodWatch "pod-watch",
    /// The list of Jobs that fills the cache.
    JobList "job-list",
    /// The watch on Jobs.
    JobWatch "job-watch",
}

impl Counter {
    /// Returns whether the counted calls only read. For a read, it matters only whether an answer
    /// arrives.
    pub const fn only_reads(self) -> bool {
        !matches!(
            self,
            Self::Call
                | Self::Trial
                | Self::Noted
                | Self::LeaseCreation
                | Self::LeaseRenewal
                | Self::LeaderCreation
                | Self::LeaderRenewal
        )
    }

    /// Returns whether the counted calls fill a cache or keep it current.
    pub const fn fills_a_cache(self) -> bool {
        matches!(
            self,
            Self::SagaList
                | Self::SagaWatch
                | Self::PodList
                | Self::PodWatch
                | Self::JobList
                | Self::JobWatch
        )
    }
}

/// A fault and the call that it strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strike {
    pub fault: Fault,
    pub counter: Counter,
    /// The number of the call. 1 is the first call of the process of this kind.
    pub nth: usize,
}

impl fmt::Display for Strike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}:{}", self.fault.as_str(), self.counter.as_str(), self.nth)
    }
}

impl FromStr for Strike {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (fault, place) = text.split_once('@')?;
            let (counter, nth) = place.split_once(':').unwrap_or(("call", place));
            Some(Self {
                fault: Fault::ALL.into_iter().find(|known| known.as_str() == fault)?,
                counter: Counter::ALL.iter().copied().find(|known| known.as_str() == counter)?,
                nth: nth.parse().ok().filter(|nth| *nth > 0)?,
            })
        };
        parse().ok_or_else(|| {
            format!(
                "{text:?} is no fault: write <fault>@<counter>:<nth>, such as crash-before@call:3"
            )
        })
    }
}

/// One line of the trace: a call, when the layer knows everything about it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Traced {
    pub counter: Counter,
    pub nth: usize,
    /// The class of the call, such as `PUT sagas/status`.
    pub class: String,
    /// The status of the API server's answer. `None` if the call was not sent or its answer never
    /// arrived.
    pub status: Option<u16>,
    /// The fault that struck the call.
    pub struck: Option<String>,
}

impl Traced {
    /// Returns whether the API server executed the call successfully.
    pub fn committed(&self) -> bool {
        self.status.is_some_and(|status| status < 300)
    }
}
