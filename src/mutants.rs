//! Twins: the operator with one of its rules broken, to show that the tests notice.
//!
//! # Guarantees
//! Without the Cargo feature `twins`, which no release has, nothing can be broken: [`broken`] is
//! `false` and costs nothing.

/// Makes the enum, and the list of all with their names, from one table.
macro_rules! twins {
    ($($(#[$doc:meta])* $twin:ident $name:literal,)+) => {
        /// A rule that can be broken.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Twin {
            $($(#[$doc])* $twin,)+
        }

        impl Twin {
            /// Every twin.
            pub const ALL: &'static [Self] = &[$(Self::$twin),+];

            /// The twin's name, as the tests take it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$twin => $name,)+
                }
            }
        }
    };
}

twins! {
    /// An effect that is late is performed without a live read.
    TwoSeconds "two-seconds",
    /// A copy older than an own write is decided from.
    OwnWrites "own-writes",
    /// A Pod of that name counts as the attempt's, whoever made it.
    Adopt "adopt",
    /// A request that another process sent counts as unknown at once.
    Executor "executor",
    /// The idempotency key moves after an unknown outcome, too.
    Key "key",
    /// A request leaves although the Lease under which it was to be sent has lapsed.
    Tenure "tenure",
    /// An attempt begins without an intent in the status.
    DropIntent "drop-intent",
    /// A Pod whose creation may have been answered to nobody is created again however late.
    CreateLate "create-late",
    /// A Pod that was to be created again in time is created however late its creation leaves.
    LeavesLate "leaves-late",
    /// A clock that is behind makes an intent younger than it is.
    Skew "skew",
    /// A child that is not there is called unknown although an operator whose clock is behind may
    /// yet create it.
    UnknownEarly "unknown-early",
    /// A clock that was set since the last renewal of the Lease counts as one that was not.
    ClockSet "clock-set",
    /// A request that another executor is to send is sent all the same.
    SendForAnother "send-for-another",
    /// A step begins before what it depends on is done.
    Dependencies "dependencies",
    /// New steps begin although a step failed.
    FailureStops "failure-stops",
    /// A step is tried again although another one failed.
    RetriesStop "retries-stop",
    /// One attempt more is made than the policy allows.
    Budget "budget",
    /// A request that may be sent once is free of charge where the operator called it off, and is
    /// sent again.
    CalledOffFree "called-off-free",
    /// A request that the operator called off uses up an attempt although it may be repeated.
    CalledOffCounts "called-off-counts",
    /// The next attempt begins at once.
    Backoff "backoff",
    /// Nothing wakes the saga for its next attempt.
    RetryWake "retry-wake",
    /// Nothing wakes the saga for the next attempt of a compensation.
    UndoWake "undo-wake",
    /// Nothing wakes the saga for the time limit of a child that is seen to run.
    LimitWake "limit-wake",
    /// One step more runs at once than allowed.
    Slots "slots",
    /// A retry request counts the attempts from 1 again.
    NumberAgain "number-again",
    /// Retry requests are accepted without a limit.
    RetryLimit "retry-limit",
    /// An unknown outcome is forgotten.
    Uncertain "uncertain",
    /// A no settles what an earlier attempt left uncertain.
    NoClears "no-clears",
    /// A 409 is a no although an earlier attempt may still be under way.
    ConflictIsFinal "conflict-is-final",
    /// A 2xx that the step does not take for a success counts as one that did nothing.
    AcceptedClean "accepted-clean",
    /// Any exit code is a no, after which the idempotency key moves.
    ExitCodeMoves "exit-code-moves",
    /// A person's word on an attempt is taken while another one is under way.
    SettledUnderWay "settled-under-way",
    /// An unknown outcome counts as success.
    UnknownDone "unknown-done",
    /// A Pod that vanished counts as one that did nothing.
    VanishedNo "vanished-no",
    /// A failed step that may have done half its work is not undone.
    HalfDone "half-done",
    /// A creation that the API server refused for now uses up the attempt.
    RefusalCounts "refusal-counts",
    /// A creation that was refused to this operator counts as one that no other can make any more.
    RefusalProves "refusal-proves",
    /// An attempt past its time counts as ended before its Pod is gone.
    StopIsEnd "stop-is-end",
    /// A skipped step is undone.
    UndoSkipped "undo-skipped",
    /// The undo begins while attempts are under way.
    UndoUnsettled "undo-unsettled",
    /// The step that settled first is undone first.
    UndoOrder "undo-order",
    /// A step is undone before what depends on it.
    UndoDependants "undo-dependants",
    /// A step that could not be undone counts as undone.
    Stuck "stuck",
    /// A saga is undone although its pivot is passed.
    Pivot "pivot",
    /// A saga is undone although its pivot may be passed.
    PivotUncertain "pivot-uncertain",
    /// What stays in effect is not named.
    StillInEffect "still-in-effect",
    /// A saga is Completed although a step is blocked.
    DoneBlocked "done-blocked",
    /// New steps begin although the undo was asked for.
    TurnBack "turn-back",
    /// A saga that is deleted goes on.
    DeletedGoesOn "deleted-goes-on",
    /// A saga that is deleted goes without being undone.
    DeletedGoes "deleted-goes",
    /// Nothing keeps a saga whose first attempt begins.
    NoFinalizer "no-finalizer",
    /// An ended saga keeps its finalizer.
    KeepsFinalizer "keeps-finalizer",
    /// New steps begin although the saga is paused.
    PauseStarts "pause-starts",
    /// A request to pause is accepted and forgotten.
    PauseForgotten "pause-forgotten",
    /// A saga is Cancelled while attempts are under way.
    CancelActive "cancel-active",
    /// A cancelled saga is undone.
    CancelUndoes "cancel-undoes",
    /// A value with a token is acted on again and again.
    TokenTwice "token-twice",
    /// A plain value is acted on again while its annotation stands there.
    PlainTwice "plain-twice",
    /// The annotation of a plain value is never taken away.
    PlainStays "plain-stays",
    /// An ended saga is written at every look.
    EndWrites "end-writes",
    /// A rejected approval counts as approved.
    RejectDone "reject-done",
    /// An approval keeps a saga from turning back.
    ApprovalUndone "approval-undone",
    /// A number is read as it came, and not as the API server gives it back.
    NumbersDrift "numbers-drift",
    /// What another version wrote into a status is not written again.
    DropsFields "drops-fields",
    /// A status with a word of another version is handled as one that makes no sense.
    StrangeWords "strange-words",
    /// Maps are gone through in the order in which a hash has them.
    MapOrder "map-order",
    /// Outputs are taken however deep they are nested.
    DeepOutputs "deep-outputs",
    /// A step is skipped although what others read of it is not given.
    SkipLeavesOut "skip-leaves-out",
    /// Exit code 0 of a container that was told to go counts as done.
    ZeroIsDone "zero-is-done",
    /// A Pod that was seen to succeed is not believed to have any more once it is deleted.
    ForgetsSuccess "forgets-success",
    /// A Job that was told to end counts as done where it says so, by whatever pods it counts.
    JobCountsAll "job-counts-all",
    /// A child that lost its owner or its labels counts as somebody else's.
    OwnerOnly "owner-only",
    /// A pod that its Job let go of counts as nobody's.
    OrphanStays "orphan-stays",
    /// A deleted Job that somebody keeps is waited for for ever.
    JobKept "job-kept",
}

impl Twin {
    /// Those of the guards between the engine and the cluster, which show on a real API server.
    pub const GUARDS: [Self; 6] =
        [Self::TwoSeconds, Self::OwnWrites, Self::Adopt, Self::Executor, Self::Key, Self::Tenure];
}

/// Whether the rule is broken in this process.
#[cfg(not(feature = "twins"))]
#[must_use]
pub const fn broken(_: Twin) -> bool {
    false
}

#[cfg(feature = "twins")]
pub use self::switched::{broken, switch_off};

#[cfg(feature = "twins")]
mod switched {
    use std::sync::OnceLock;

    use super::Twin;

    static OFF: OnceLock<Twin> = OnceLock::new();

    /// Whether the rule is broken in this process.
    #[must_use]
    pub fn broken(twin: Twin) -> bool {
        OFF.get() == Some(&twin)
    }

    /// Breaks one rule for the rest of this process. Only the first call has an effect.
    pub fn switch_off(twin: Twin) {
        // A second twin in one process would prove nothing about either.
        let _ = OFF.set(twin);
    }
}
