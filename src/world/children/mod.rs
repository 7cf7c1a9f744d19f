//! The children of attempts as they are in the API server: Pods and Jobs with owners, labels,
//! finalizers and deletions, and what happens to them.
//!
//! ```text
//!  users, drains ──► ChildChange::Interfere ─┐
//!  kubelet, Job controller, GC ──────────────┴─► StoredChild (what is true) ─┐
//!    ┌───────────────────────────────────────────────────────────────────────┘
//!    └─► Pod, Job (real values)
//!          ├── watch ──► ChildCache (what a replica was shown)
//!          └── live read ──► observe ──► objects::* ──► ChildState
//! ```
//!
//! # Guarantees
//! - [`crate::objects`] alone determines the state of a child. It works on real Pods and Jobs,
//!   which are built from the facts of this module.
//! - If a program exits with 0 after it was told to stop, its work is undetermined: it did all of
//!   the work, or half of it.
//! - A replica that is up, or that is halted in a reconcile, sees each change at once. A replica
//!   that was restarted sees the objects that exist at the restart.
//!
//! # Assumptions
//! - The kubelet, the Job controller and the garbage collector are prompt: the clock advances only
//!   when the creation of a pod is all that is left for them to do. A container that is told to
//!   stop ends before the clock advances. So no child is ever stuck on a node.
//! - If a Job is neither deleted nor suspended, the Job alone decides what it counts: an evicted
//!   pod of such a Job exits with 0 only if its work is done.
//! - If a replica may crash, a child loses its owner or its labels, and a Job is deleted, only
//!   after the status names the child. Before that, nobody could tell whose child it is, or that a
//!   Job existed whose pod may run.
//! - Nobody removes the Job controller's own labels from a pod.
//!
//! # Caveats
//! A child has one container, bound to a node when its pod is created. A Job has one pod. A Job
//! that was suspended is not resumed. The Job controller sets its condition together with the
//! count. No watch lags behind another watch.

pub(super) mod cache;
mod interfere;
pub(super) mod moves;
pub(super) mod observe;
pub(super) mod perform;
mod values;
pub(super) mod watch;
