//! Mutants of the operator: each one breaks one rule, to show that the tests notice.
//!
//! # Guarantees
//! The Cargo feature `twins` is in no release. Without the feature no rule can be broken: this file
//! then holds only the names of the mutants, for the tests. A rule stands in `rules/kept.rs` of its
//! room, and its mutant in `rules/mutants.rs` beside, which only the feature builds.

/// Creates the enum, the list of all mutants and their names from one table.
macro_rules! mutants {
    ($($(#[$doc:meta])* $mutant:ident $name:literal,)+) => {
        /// A rule that can be broken.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Mutant {
            $($(#[$doc])* $mutant,)+
        }

        impl Mutant {
            /// Every mutant.
            pub const ALL: &'static [Self] = &[$(Self::$mutant),+];

            /// Returns the name of the mutant that the tests use.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$mutant => $name,)+
                }
            }
        }
    };
}

mutants! {
    /// Rule "live read" does not hold: a late effect is performed without a live read.
    TwoSeconds "two-seconds",
    /// Rule "own writes" does not hold: a plan is made from a copy older than an own write.
    OwnWrites "own-writes",
    /// Rule "own children" does not hold: any Pod with the right name is the attempt's child.
    Adopt "adopt",
    /// Rule "executor" does not hold: an HTTP request of another process is Unknown at once.
    Executor "executor",
    /// Rule "key" does not hold: the idempotency key also changes after an Unknown outcome.
    Key "key",
    /// Rule "tenure" does not hold: an HTTP request is sent although its Lease has lapsed.
    Tenure "tenure",
    /// Rule "intent first" does not hold: an attempt begins without an intent in the status.
    DropIntent "drop-intent",
    /// Rule "create in time" does not hold: a Pod that may exist is created again at any time.
    CreateLate "create-late",
    /// Rule "perform in time" does not hold: the age is not checked again before the creation.
    LeavesLate "leaves-late",
    /// Rule "clock skew" does not hold: a clock that is behind makes an intent look younger.
    Skew "skew",
    /// Rule "late creation" does not hold: a missing child that may still be created is Unknown.
    UnknownEarly "unknown-early",
    /// Rule "clock set" does not hold: a clock set since the last Lease renewal is not noticed.
    ClockSet "clock-set",
    /// Rule "own HTTP requests" does not hold: a process sends what another executor has to send.
    SendForAnother "send-for-another",
    /// Rule "dependencies" does not hold: a step begins before its dependencies are done.
    Dependencies "dependencies",
    /// Rule "failure stops" does not hold: new steps begin although a step failed.
    FailureStops "failure-stops",
    /// Rule "retries stop" does not hold: a step is retried although another step failed.
    RetriesStop "retries-stop",
    /// Rule "budget" does not hold: one attempt more is made than the policy allows.
    Budget "budget",
    /// Rule "sent once" does not hold: a called-off HTTP request with one attempt is sent again.
    CalledOffFree "called-off-free",
    /// Rule "called off is free" does not hold: a called-off HTTP request uses up an attempt.
    CalledOffCounts "called-off-counts",
    /// Rule "backoff" does not hold: the next attempt begins at once.
    Backoff "backoff",
    /// Rule "floors" does not hold: a delay is as short as the spec says.
    Floors "floors",
    /// Rule "retry wake-up" does not hold: nothing requeues the saga for its next attempt.
    RetryWake "retry-wake",
    /// Rule "undo wake-up" does not hold: nothing requeues the saga to retry a compensation.
    UndoWake "undo-wake",
    /// Rule "limit wake-up" does not hold: nothing requeues the saga for a child's time limit.
    LimitWake "limit-wake",
    /// Rule "slots" does not hold: one step more runs at once than allowed.
    Slots "slots",
    /// Rule "attempt numbers" does not hold: a retry request counts the attempts from 1 again.
    NumberAgain "number-again",
    /// Rule "retry limit" does not hold: retry requests are accepted without a limit.
    RetryLimit "retry-limit",
    /// Rule "uncertain" does not hold: an Unknown outcome is forgotten.
    Uncertain "uncertain",
    /// Rule "refusal clears nothing" does not hold: a refusal settles an earlier uncertain attempt.
    NoClears "no-clears",
    /// Rule "conflict" does not hold: a 409 is a refusal although an earlier attempt may still run.
    ConflictIsFinal "conflict-is-final",
    /// Rule "accepted" does not hold: a 2xx that is no success counts as if nothing was done.
    AcceptedClean "accepted-clean",
    /// Rule "exit code" does not hold: any exit code is a refusal and changes the idempotency key.
    ExitCodeMoves "exit-code-moves",
    /// Rule "settle at rest" does not hold: a settle request is accepted during another attempt.
    SettledUnderWay "settled-under-way",
    /// Rule "unknown" does not hold: an Unknown outcome counts as success.
    UnknownDone "unknown-done",
    /// Rule "vanished" does not hold: a Pod that vanished counts as if it did nothing.
    VanishedNo "vanished-no",
    /// Rule "half done" does not hold: a failed step that did half its work is not undone.
    HalfDone "half-done",
    /// Rule "free refusal" does not hold: a temporary refusal to create uses up the attempt.
    RefusalCounts "refusal-counts",
    /// Rule "other replicas" does not hold: a creation refused here counts as refused to all.
    RefusalProves "refusal-proves",
    /// Rule "stop is no end" does not hold: an attempt past its time ends before its Pod is gone.
    StopIsEnd "stop-is-end",
    /// Rule "skipped" does not hold: a skipped step is undone.
    UndoSkipped "undo-skipped",
    /// Rule "settle before undo" does not hold: the undo begins while attempts are active.
    UndoUnsettled "undo-unsettled",
    /// Rule "undo order" does not hold: the step that settled first is undone first.
    UndoOrder "undo-order",
    /// Rule "undo dependants" does not hold: a step is undone before its dependants.
    UndoDependants "undo-dependants",
    /// Rule "stuck" does not hold: a step that could not be undone counts as undone.
    Stuck "stuck",
    /// Rule "pivot" does not hold: a saga is undone although its pivot is passed.
    Pivot "pivot",
    /// Rule "uncertain pivot" does not hold: a saga is undone although its pivot may be passed.
    PivotUncertain "pivot-uncertain",
    /// Rule "still in effect" does not hold: the steps that stay in effect are not named.
    StillInEffect "still-in-effect",
    /// Rule "done" does not hold: a saga is Completed although a step is blocked.
    DoneBlocked "done-blocked",
    /// Rule "turn back" does not hold: new steps begin although the undo was requested.
    TurnBack "turn-back",
    /// Rule "deleted turns back" does not hold: a deleted saga continues forward.
    DeletedGoesOn "deleted-goes-on",
    /// Rule "deleted is undone" does not hold: a deleted saga is released without being undone.
    DeletedGoes "deleted-goes",
    /// Rule "finalizer" does not hold: a saga whose first attempt begins has no finalizer.
    NoFinalizer "no-finalizer",
    /// Rule "released at the end" does not hold: an ended saga keeps its finalizer.
    KeepsFinalizer "keeps-finalizer",
    /// Rule "pause" does not hold: new steps begin although the saga is paused.
    PauseStarts "pause-starts",
    /// Rule "pause is stored" does not hold: a pause request is accepted and forgotten.
    PauseForgotten "pause-forgotten",
    /// Rule "cancel waits" does not hold: a saga is Cancelled while attempts are active.
    CancelActive "cancel-active",
    /// Rule "cancel keeps" does not hold: a cancelled saga is undone.
    CancelUndoes "cancel-undoes",
    /// Rule "token once" does not hold: a value with a token is handled again and again.
    TokenTwice "token-twice",
    /// Rule "plain value once" does not hold: a plain value is handled twice.
    PlainTwice "plain-twice",
    /// Rule "plain value removed" does not hold: the annotation of a plain value is never removed.
    PlainStays "plain-stays",
    /// Rule "end is quiet" does not hold: every reconcile writes the status of an ended saga.
    EndWrites "end-writes",
    /// Rule "rejection" does not hold: a rejected approval counts as approved.
    RejectDone "reject-done",
    /// Rule "withdrawn approval" does not hold: a waiting approval keeps a saga from turning back.
    ApprovalUndone "approval-undone",
    /// Rule "numbers" does not hold: a number is not kept as the API server returns it.
    NumbersDrift "numbers-drift",
    /// Rule "unknown fields" does not hold: status fields of another version are lost in a write.
    DropsFields "drops-fields",
    /// Rule "unknown values" does not hold: a status value of another version counts as invalid.
    StrangeWords "strange-words",
    /// Rule "map order" does not hold: maps are read in the order of their hashes.
    MapOrder "map-order",
    /// Rule "output depth" does not hold: outputs are accepted at any nesting depth.
    DeepOutputs "deep-outputs",
    /// Rule "skip" does not hold: a step is skipped although other steps read outputs it lacks.
    SkipLeavesOut "skip-leaves-out",
    /// Rule "zero" does not hold: exit code 0 of a container that was told to stop counts as done.
    ZeroIsDone "zero-is-done",
    /// Rule "success stays" does not hold: a Pod's success is forgotten after its deletion.
    ForgetsSuccess "forgets-success",
    /// Rule "job counts" does not hold: a Job told to end counts as done whatever pods it counts.
    JobCountsAll "job-counts-all",
    /// Rule "known by UID" does not hold: a child without its owner or labels counts as foreign.
    OwnerOnly "owner-only",
    /// Rule "orphan" does not hold: a pod that its Job released belongs to no Job.
    OrphanStays "orphan-stays",
    /// Rule "kept job" does not hold: a deleted Job that is kept is waited for without end.
    JobKept "job-kept",
}

impl Mutant {
    /// The rules that guard the way from the engine to the cluster. A real API server can show that
    /// they are broken.
    pub const GUARDS: [Self; 6] =
        [Self::TwoSeconds, Self::OwnWrites, Self::Adopt, Self::Executor, Self::Key, Self::Tenure];
}

#[cfg(feature = "twins")]
pub(crate) use self::switched::broken;
#[cfg(feature = "twins")]
pub use self::switched::switch_off;

#[cfg(feature = "twins")]
mod switched {
    use std::sync::OnceLock;

    use super::Mutant;

    static OFF: OnceLock<Mutant> = OnceLock::new();

    /// Returns whether the rule is broken in this process.
    #[must_use]
    pub(crate) fn broken(mutant: Mutant) -> bool {
        OFF.get() == Some(&mutant)
    }

    /// Breaks one rule for the rest of this process. Only the first call has an effect.
    pub fn switch_off(mutant: Mutant) {
        // With two mutants in one process, a failing test would prove nothing about either.
        let _ = OFF.set(mutant);
    }
}
