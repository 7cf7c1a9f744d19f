//! The children of attempts as they are in the API server: Pods and Jobs with owners, labels,
//! finalizers and deletions, and who acts on them.
//!
//! ```text
//!  people, drains ──► Turn::Meddle ─┐
//!  kubelet, Job controller, GC ─────┴─► Child (what is true) ──► Pod, Job (real values) ─┐
//!    ┌───────────────────────────────────────────────────────────────────────────────────┘
//!    ├── watch ──► View (what an operator was shown)
//!    └── live read ──► look ──► objects::* ──► ChildState
//! ```
//!
//! # Guarantees
//! - What a child is taken for is decided by [`crate::objects`] alone, on real values that are
//!   built from what is true here.
//! - What a program did that exits with 0 after it was told to go is open: all its work, or half of
//!   it.
//! - An operator that is up, or stands still in a look, is shown each change at once; one that was
//!   restarted sees what stands there then.
//!
//! # Assumptions
//! - Kubelet, Job controller and garbage collector are prompt: the clock goes on only once they
//!   have nothing to do but to make a pod. A container that is told to go ends before the clock
//!   goes on. So no child is ever stuck on a node.
//! - What a Job counts that is neither deleted nor suspended is its own business: a pod of it that
//!   is evicted ends with 0 only with its work done.
//! - A child loses its owner or its labels, and a Job is deleted, only once the status names it,
//!   where an operator may crash: before, nobody could tell whose it is, or that there was one
//!   whose pod may run.
//! - Nobody takes the Job controller's own labels from a pod.
//!
//! # Caveats
//! One container, bound to a node when its pod is made; one pod of a Job, and nobody resumes a Job
//! that was suspended. The Job controller sets its condition with the count. No watch lags behind
//! another one.

pub(super) mod actors;
pub(super) mod identity;
pub(super) mod look;
pub(super) mod meddle;
pub(super) mod perform;
pub(crate) mod there;
pub(super) mod values;
pub(super) mod watch;
