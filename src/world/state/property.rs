//! The properties that every world obeys.

/// A property. The numbers are those of the project's list of invariants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Property {
    /// 1: an effect is performed only if the status holds the intent of its attempt, or if the
    /// replica that performs the effect wrote the intent less than two seconds ago.
    IntentFirst,
    /// 2, 9: an attempt has one idempotency key. The key changes after a definite failure, and only
    /// then.
    OneIdentity,
    /// 2: an attempt does its work once: under one key, by one HTTP request, by one Pod unless the
    /// first Pod vanished unseen, and on one object.
    DoneOnce,
    /// 21: an HTTP request is sent only by the executor that its intent names, while the tenure of
    /// that executor holds.
    Executor,
    /// 4: a Pod is not created again so late that a delayed first creation could collide with it.
    CreatedWithin,
    /// 5: an attempt of an action begins when all the dependencies of the step are done.
    DependencyOrder,
    /// 6: no compensation of a step begins before the step and all its dependants are settled.
    SettledFirst,
    /// 7: a compensation begins when every dependant that is in effect is undone or waived. The
    /// step that settled last is undone first.
    ReverseOrder,
    /// 8: only steps that may have started are undone. Skipped steps are never undone.
    RightSet,
    /// 9: no attempt of an action begins after the compensation started or was requested.
    NoForwardAfterUndo,
    /// 9: nothing is undone after the pivot is passed or may be passed, or after the saga is
    /// cancelled.
    NoReturn,
    /// 10: a saga runs, then compensates, then ends. It never returns to an earlier stage.
    OneWay,
    /// 11: an ended saga keeps its phase. Only Completed can change, by a request to compensate.
    Absorbing,
    /// 11: a saga is Completed only if every step is done. A saga is Compensated only if nothing is
    /// in effect that `stillInEffect` does not name.
    TrueEnd,
    /// 13: a budget has no more attempts than the policy allows, no attempt begins before its time,
    /// and no delay is below its floor.
    Bounded,
    /// 13: no more attempts run in parallel than allowed.
    Parallel,
    /// 15: outcomes are not rewritten, counters never decrease, and attempts are numbered
    /// consecutively.
    Monotone,
    /// 15: the recorded outcome of an attempt is its real outcome.
    Truthful,
    /// 17: each request is answered once.
    AnsweredOnce,
    /// 18: nothing begins in a suspended saga. After a failure, only what a user requested begins.
    StartsNothing,
    /// 20: a saga is deleted when it is undone, or when the deletion policy allows it.
    Release,
    /// Each write keeps what another version wrote, and a status that cannot be read is not written
    /// at all.
    KeepsTheUnknown,
    /// Every status that the engine wrote satisfies the engine's own invariants, and the engine
    /// never holds a saga because of such a status.
    Consistent,
    /// 27: a saga that has not ended and waits for nobody has a next wake-up.
    WakeUp,
    /// 28: only answers to requests are written to an ended saga.
    Quiescent,
    /// 26: from every world, a run without further faults comes to rest.
    ComesToRest,
}

/// The violation of a property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The violated property.
    pub property: Property,
    /// What happened.
    pub what: String,
}

impl Violation {
    pub(in crate::world) fn new(property: Property, what: impl Into<String>) -> Self {
        Self { property, what: what.into() }
    }
}
