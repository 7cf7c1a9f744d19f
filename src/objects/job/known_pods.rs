//! What is known of the pods of one Job.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;

use crate::objects::pod;

/// What is known of the pods of one Job.
#[derive(Clone, Debug, Default)]
pub struct KnownPods {
    /// The pods that exist.
    pub pods: Vec<Arc<Pod>>,
    /// The last copies of pods that are gone.
    pub gone: Vec<Arc<Pod>>,
    /// Whether there were other pods whose end was not seen.
    pub lost: bool,
    /// Whether the pods were watched from the creation of the Job. If so, there were no other pods.
    pub whole: bool,
}

/// The pods of one Job that a live read shows.
#[derive(Clone, Debug, Default)]
pub struct ListedPods {
    /// The pods of the live read.
    pub pods: Vec<Pod>,
    /// Whether there may be pods that the live read does not show.
    pub more: bool,
}

impl ListedPods {
    /// Returns the result of a live read that shows every pod.
    #[must_use]
    pub const fn all(pods: Vec<Pod>) -> Self {
        Self { pods, more: false }
    }
}

impl KnownPods {
    /// Returns the known pods as a live read shows them. A known pod that is not listed is gone. If
    /// the pod had ended, its last copy is kept; if not, `lost` is set.
    #[must_use]
    pub fn as_listed(self, listed: ListedPods) -> Self {
        let Self { pods: known, mut gone, mut lost, whole } = self;
        let ListedPods { pods: listed, more } = listed;
        let now = |mut pod: Pod| {
            let before =
                known.iter().chain(&gone).find(|known| known.metadata.uid == pod.metadata.uid);
            pod::strip::keep_success(&mut pod, before.map(Arc::as_ref));
            Arc::new(pod)
        };
        let pods: Vec<_> = listed.into_iter().map(now).collect();
        let is_there =
            |pod: &Arc<Pod>| pods.iter().any(|there| there.metadata.uid == pod.metadata.uid);
        gone.retain(|pod| !is_there(pod));
        let (left, unseen): (Vec<_>, Vec<_>) =
            known.into_iter().filter(|pod| !is_there(pod)).partition(|pod| has_ended(pod));
        gone.extend(left);
        lost |= more || !unseen.is_empty();
        Self { pods, gone, lost, whole }
    }
}

pub(super) fn has_ended(pod: &Pod) -> bool {
    pod::state::end(pod).is_some()
}

/// Returns whether a pod may still run.
#[must_use]
pub fn runs(job_pods: &KnownPods) -> bool {
    job_pods.pods.iter().any(|pod| !has_ended(pod))
}

/// Returns whether a pod may still run that is not terminating.
#[must_use]
pub fn runs_on(job_pods: &KnownPods) -> bool {
    job_pods.pods.iter().any(|pod| pod.metadata.deletion_timestamp.is_none() && !has_ended(pod))
}
