//! A simulated world around the real engine: one saga in an API server, one or two operators, Pods,
//! requests, and clocks that go only where they are told to.
//!
//! ```text
//!  World ── moves() ──► everything that may happen next
//!                         └── apply(&Move) ──► Step { world, happened, broken }
//! ```
//!
//! Whoever holds a world chooses what happens: the model tries every [`Move`], a simulation takes
//! [`World::fair_move`]. A world is a value: [`World::apply`] leaves it as it is and returns the
//! next one, with what [`Happened`] on the way and which [`Law`] was broken by it.
//!
//! # Guarantees
//! Pure: equal worlds and equal moves give equal worlds. Decisions are the engine's own, and the
//! rules of the shell are those of [`crate::engine`] and [`crate::objects`]; the world adds the
//! faults. An operator looks at the saga only when something told it to: its object or a Pod of it
//! changed, a request of its own came back, or its last plan asked for it. So a wake-up that is
//! lost shows. Each operator has a wall clock of its own, which may be wrong and may be set; what
//! it waits for and how long it knows something is by the time of the world, which the laws judge
//! by. An operator may be of a later version than the other one.
//!
//! # Assumptions
//! The saga is valid, and nobody but the operators writes its status. What Pods and Jobs are
//! assumed to be stands in `children`.
//!
//! # Caveats
//! A look at the saga happens at one instant, unless it is halted. Effects of one plan leave one
//! after the other. Reads other than of the saga are live. Events are lost only by an operator
//! whose watches break, and then all of them, until it lists everything again; what it reads
//! meanwhile is no older than the world allows. Unless the rules ask for them
//! [as they are](Children::AsTheyAre), Pods are played by their numbers, and Jobs as Pods are.

mod asks;
mod children;
mod clocks;
mod faults;
mod gather;
mod identity;
mod laws;
mod look;
mod moves;
mod other_side;
mod perform;
mod person;
mod process;
mod sink;
mod state;
mod versions;

pub use self::{
    children::there::meddled,
    identity::fingerprint,
    laws::ends::wrong_at_rest,
    moves::{apply, due, expand, fair_move, moves},
    person::{after, at},
    state::{
        ask::Ask,
        child::{Children, Doing, Turn, Way},
        deed::Deed,
        fault::{Fault, Halt},
        happened::Happened,
        law::{Broken, Law},
        meddling::{Cascade, Meddling},
        moves::Move,
        object::Object,
        rules::Rules,
        shared::Later,
        trial::{Ending, Truth},
        world::{Step, Who, World},
    },
};
