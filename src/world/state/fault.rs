//! What may go wrong.

/// One thing that goes wrong with an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// It dies with all that it remembers.
    Crash,
    /// It stands still as a whole, and renews no Lease, until it goes on.
    Freeze,
    /// This look stands still; the rest of the operator goes on.
    Stall,
    /// The renewals of its Lease are refused.
    Lapse,
    /// The API server refuses to create a Pod, for a reason that passes.
    Refuse,
    /// Its wall clock is set ahead.
    SetAhead,
    /// Its wall clock is set back.
    SetBack,
    /// Its watches break: it hears of no change of the saga or of a Pod before it lists them again.
    /// Its own timers and requests still tell it.
    Deafen,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 8] = [
        Self::Crash,
        Self::Freeze,
        Self::Stall,
        Self::Lapse,
        Self::Refuse,
        Self::SetAhead,
        Self::SetBack,
        Self::Deafen,
    ];
    /// Those that happen to an operator whose clock is right and who hears of everything.
    pub const USUAL: [Self; 5] =
        [Self::Crash, Self::Freeze, Self::Stall, Self::Lapse, Self::Refuse];
    /// Those that halt a look.
    pub const HALTS: [Self; 4] = [Self::Crash, Self::Freeze, Self::Stall, Self::Refuse];
}

/// A fault in the middle of a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Halt {
    /// The fault.
    pub how: Fault,
    /// After how many writes and effects of the look, as far as anybody notices them.
    pub after: usize,
}
