//! A simulated world around the real engine: one saga in an API server, one or two replicas, Pods,
//! HTTP requests, and clocks that advance only when a move advances them.
//!
//! ```text
//!  World ── moves() ──► every possible next move
//!                         └── apply(&WorldMove) ──► Successor { world, events, violations }
//! ```
//!
//! The caller chooses what happens: the model tries every [`WorldMove`], and a simulation takes
//! [`fair_move`]. A world is a value. [`apply`] leaves the world unchanged. The function
//! returns the next world, every [`Event`] of the move, and a [`Violation`] for every [`Property`]
//! that does not hold.
//!
//! # Guarantees
//! The functions are pure: equal worlds and equal moves give equal worlds. The engine makes the
//! decisions, and the rules of the shell are those of [`crate::engine`] and [`crate::objects`]. The
//! world adds the faults. A replica reconciles the saga only after a trigger: the saga or a Pod of
//! the saga changed, an HTTP request of the replica was answered, or its last plan asked for a
//! wake-up. So a lost wake-up becomes visible. Each replica has its own wall clock, which may be
//! wrong and may be set. Waits, and the time since a replica learned something, are measured by the
//! simulated time. The properties judge by the simulated time too. A replica may be of a later
//! version than the other replica.
//!
//! # Assumptions
//! The saga is valid, and only the replicas write its status. The module `children` says what is
//! assumed of Pods and Jobs.
//!
//! # Caveats
//! A reconcile happens at one instant unless it is halted. The effects of a plan are performed one
//! after the other. Every read except that of the saga is live. Events are lost only by a replica
//! whose watches break. Such a replica loses all events until it lists again, and what it reads
//! meanwhile is no older than the rules allow. Unless the rules ask for [real Pods and
//! Jobs](Children::AsTheyAre), Pods are simulated by their numbers, and Jobs are simulated as Pods.

mod child_state;
mod children;
mod clocks;
mod conclude;
mod faults;
mod fingerprint;
mod moves;
mod observe;
mod perform;
mod properties;
mod query;
mod reconcile;
mod remote;
mod replica;
pub mod stage;
mod state;
mod time;
mod user;
mod versions;

pub use self::{
    fingerprint::fingerprint,
    moves::{apply, expand, fair_move, moves},
    properties::wrong_at_rest,
    state::{
        attempt::AttemptRef,
        child::{ChildChange, ChildMove, Children, ContainerExit},
        circumstances::{Circumstances, CreationFaults},
        event::Event,
        execution::{AttemptEnd, GroundTruth},
        fault::{Halt, ReplicaFault},
        interference::{Cascade, Interference},
        moves::WorldMove,
        object::{Later, SagaObject},
        property::{Property, Violation},
        rules::Rules,
        user::{UserAction, UserMove},
        world::{Successor, World},
    },
    time::{at, due},
    user::after,
};
