//! The laws that every world keeps.

/// A law. The numbers are those of the project's list of invariants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Law {
    /// 1: no effect leaves unless its attempt stands in the status, or was written less than two
    /// seconds ago by who performs it.
    IntentFirst,
    /// 2, 9: an attempt has one idempotency key; the key moves after a definite no, and only then.
    OneIdentity,
    /// 2: what an attempt does is done once: under one key, by one request, by one Pod unless the
    /// first vanished unseen, to one object.
    DoneOnce,
    /// 21: a request is sent only by the executor that its intent names, while the tenure of that
    /// holds.
    Executor,
    /// 4: a Pod is not made again after so long that a late creation could meet it.
    CreatedWithin,
    /// 5: a forward attempt begins when all that the step depends on is done.
    DependencyOrder,
    /// 6: no undo of a step begins before the step and all that depends on it settled.
    SettledFirst,
    /// 7: an undo begins when every dependant that is in effect is undone, or was waived; the
    /// latest to settle first.
    ReverseOrder,
    /// 8: only what may have started is undone; never what was skipped.
    RightSet,
    /// 9: no forward attempt begins once the way back was taken or asked for.
    NoForwardAfterUndo,
    /// 9: nothing is undone once the pivot is passed, or may be, nor once the saga is cancelled.
    NoReturn,
    /// 10: running, then compensating, then ended; never back.
    OneWay,
    /// 11: an ended saga stays as it ended; only a Completed one is left, by a request to undo it.
    Absorbing,
    /// 11: a saga is Completed only if every step is, Compensated only if nothing is in effect that
    /// `stillInEffect` does not name.
    TrueEnd,
    /// 13: no more attempts in a budget than the policy allows, and none before its time.
    Bounded,
    /// 13: no more attempts side by side than allowed.
    Parallel,
    /// 15: outcomes are not rewritten, counters never fall, attempts are numbered one after the
    /// other.
    Monotone,
    /// 15: what is recorded of an attempt is what really came of it.
    Truthful,
    /// 17: what is asked for is answered once.
    AnsweredOnce,
    /// 18: nothing begins in a suspended saga; after a failure only what a person asked for.
    StartsNothing,
    /// 20: a saga goes when it is undone, or when the policy says so.
    Release,
    /// What another version wrote goes along with each write, and what cannot be read is not
    /// written at all.
    KeepsTheUnknown,
    /// The engine's own invariants hold of every status that it wrote, and it never holds a saga
    /// because of one.
    Consistent,
    /// 27: whatever is not ended and waits for nobody has a next wake-up.
    WakeUp,
    /// 28: nothing is written to an ended saga but answers.
    Quiescent,
    /// 26: from every world, a run without further faults comes to rest.
    ComesToRest,
}

/// A law that was broken, and by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The law.
    pub law: Law,
    /// What happened.
    pub what: String,
}

impl Broken {
    pub(in crate::world) fn new(law: Law, what: impl Into<String>) -> Self {
        Self { law, what: what.into() }
    }
}
