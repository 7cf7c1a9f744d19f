//! Faults between the operator and the API server, one in a process, at a call that can be named.
//!
//! Calls are counted apart by what they are ([`Counter`]): what an operator does for a saga has the
//! same numbers in every run, whatever its watches do meanwhile. A [`Strike`] names a fault and the
//! call it strikes: `crash-after-commit@call:3`.
//!
//! # Guarantees
//! A call that is not struck passes unchanged. Every call leaves one line in the trace, before the
//! process can die of it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// What happens to the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The process dies, and the call never leaves.
    CrashBefore,
    /// The process dies when the API server has answered, before it sees the answer.
    CrashAfterCommit,
    /// The answer goes up; the process dies three milliseconds later, or as its next call leaves,
    /// whichever comes first: effects that take another way than this client may have left.
    CrashAfterAnswer,
    /// 409 Conflict, not sent.
    Conflict,
    /// 429 Too Many Requests, not sent; `Retry-After: 1`.
    TooMany,
    /// 500 Internal Server Error, not sent.
    Internal,
    /// 503 Service Unavailable, not sent.
    Unavailable,
    /// 504 Gateway Timeout, not sent.
    GatewayTimeout,
    /// The connection is lost before anything was sent.
    Reset,
    /// The connection is lost after the API server did it.
    ResetAfterCommit,
    /// The API server does it, and the answer never comes.
    TimeoutAfterCommit,
    /// The watch brings the copy from before the call once more, and what is newer only 300 ms
    /// later.
    Stale,
    /// The watch ends after the call, and the list that is then read is from before it, as from an
    /// API server that lags.
    StaleList,
    /// The process is stopped (SIGSTOP) when the answer has come, before it sees it, and goes on
    /// (SIGCONT) later than an effect may leave.
    Freeze,
    /// The same for longer than a Lease holds, with another operator at work meanwhile, and from
    /// then on beside it.
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

    /// The fault's name in a plan.
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

    /// Whether the process is stopped by it.
    pub const fn freezes(self) -> bool {
        matches!(self, Self::Freeze | Self::TakeOver)
    }

    /// Whether the process dies of it.
    pub const fn crashes(self) -> bool {
        matches!(self, Self::CrashBefore | Self::CrashAfterCommit | Self::CrashAfterAnswer)
    }

    /// The status and the reason that are answered in the API server's place.
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

/// Makes the enum, and the list of all with their names, from one table.
macro_rules! counters {
    ($($(#[$doc:meta])* $counter:ident $name:literal,)+) => {
        /// What a call is counted as.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Counter {
            $($(#[$doc])* #[serde(rename = $name)] $counter,)+
        }

        impl Counter {
            const ALL: &'static [Self] = &[$(Self::$counter),+];

            /// The counter's name in a plan.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$counter => $name,)+
                }
            }
        }
    };
}

counters! {
    /// A write that is done for a saga.
    Call "call",
    /// A live read: how many there are depends on how long things take.
    Read "read",
    /// A write that is only tried (`dryRun=All`).
    Trial "trial",
    /// A status write that notes the UID of a child that lives long: on a busy machine there are
    /// more of them.
    Noted "noted",
    /// The creation of the executor's Lease.
    LeaseCreation "lease-creation",
    /// A renewal of it.
    LeaseRenewal "lease-renewal",
    /// A look at executors' Leases.
    LeaseRead "lease-read",
    /// The creation of the leader's Lease.
    LeaderCreation "leader-creation",
    /// A renewal of it, or that it is taken over.
    LeaderRenewal "leader-renewal",
    /// A look at it.
    LeaderRead "leader-read",
    /// A look for the policy that guards requests.
    PolicyRead "policy-read",
    /// The list of sagas that the cache is filled from.
    SagaList "saga-list",
    /// The watch on sagas.
    SagaWatch "saga-watch",
    /// The list of Pods that the cache is filled from.
    PodList "pod-list",
    /// The watch on Pods.
    PodWatch "pod-watch",
    /// The list of Jobs that the cache is filled from.
    JobList "job-list",
    /// The watch on Jobs.
    JobWatch "job-watch",
}

impl Counter {
    /// Whether what is counted reads, so that it matters only whether an answer comes.
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

    /// Whether it fills a cache and keeps it filled.
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
    /// 1 is the process' first call of that kind.
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

/// One line of the trace: a call of which all is known that the layer will ever know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Traced {
    pub counter: Counter,
    pub nth: usize,
    /// Such as `PUT sagas/status`.
    pub class: String,
    /// What the API server answered; `None` where it was not asked or its answer never came.
    pub status: Option<u16>,
    /// The fault that struck it.
    pub struck: Option<String>,
}

impl Traced {
    /// Whether the API server did what it was asked.
    pub fn committed(&self) -> bool {
        self.status.is_some_and(|status| status < 300)
    }
}
