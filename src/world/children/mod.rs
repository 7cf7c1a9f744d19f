//! Pods and Jobs as a cluster has them: kubelet, Job controller and garbage collector act on them, and people meddle with them.

pub(super) mod actors;
pub(super) mod identity;
pub(super) mod look;
pub(super) mod meddle;
pub(super) mod perform;
pub(crate) mod there;
pub(super) mod values;
pub(super) mod watch;
