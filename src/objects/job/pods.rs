//! The pods of one Job, as one process remembers them from a watch.
//!
//! # Guarantees
//! A pod is recognized by its UID, even if its Job released the pod or the pod lost its labels. The
//! last states of the newest [`MOST_GONE`] gone pods are kept. `lost` is set if a pod ended unseen
//! or if more pods are gone than are kept.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};

use super::known_pods::KnownPods;
use crate::objects::attempt::saga_of;

/// How many gone pods of one Job are remembered: the newest 8.
pub const MOST_GONE: usize = 8;

/// The pods of one Job.
#[derive(Clone, Debug, Default)]
pub struct JobPods {
    /// The existing pods by their UIDs.
    pods: BTreeMap<String, Arc<Pod>>,
    gone: VecDeque<Arc<Pod>>,
    lost: bool,
    whole: bool,
    /// The last copy of the Job, once the Job is gone.
    last: Option<Arc<Job>>,
}

impl JobPods {
    /// Records the present state of a pod.
    pub fn saw(&mut self, pod: &Pod) {
        self.pods.insert(uid(pod), Arc::new(pod.clone()));
    }

    /// Records the last state of a pod that is gone.
    pub fn went(&mut self, pod: &Pod) {
        self.pods.remove(&uid(pod));
        self.gone.push_back(Arc::new(pod.clone()));
        if self.gone.len() > MOST_GONE {
            self.gone.pop_front();
            self.lost = true;
        }
    }

    /// Records that a pod is gone and that its end was not seen.
    pub fn lost(&mut self, pod: &Pod) {
        self.pods.remove(&uid(pod));
        self.lost = true;
    }

    /// Returns whether a pod is recorded here although the pod itself names no saga as its
    /// controller.
    #[must_use]
    pub fn know(&self, pod: &Pod) -> bool {
        saga_of(pod).is_none()
            && pod.metadata.uid.as_ref().is_some_and(|uid| self.pods.contains_key(uid))
    }

    /// Records that the watch has a gap. Pods may have been created and deleted unseen during the
    /// gap.
    pub const fn gap(&mut self) {
        self.whole = false;
    }

    /// Records that the Job was created just now: the Job had no pods before.
    pub const fn born(&mut self) {
        self.whole = true;
    }

    /// Replaces the recorded pods with the pods of a live read.
    pub fn correct(&mut self, job_pods: &KnownPods) {
        self.pods = job_pods.pods.iter().map(|pod| (uid(pod), Arc::clone(pod))).collect();
        let surplus = job_pods.gone.len().saturating_sub(MOST_GONE);
        self.gone = job_pods.gone.iter().skip(surplus).cloned().collect();
        self.lost |= job_pods.lost || surplus > 0;
    }

    /// Records the last state of the Job, which is gone.
    pub fn job_went(&mut self, job: &Job) {
        self.last = Some(Arc::new(job.clone()));
    }

    /// Returns what is known of the pods.
    #[must_use]
    pub fn known(&self) -> KnownPods {
        let Self { pods, gone, lost, whole, last: _ } = self;
        KnownPods {
            pods: pods.values().cloned().collect(),
            gone: gone.iter().cloned().collect(),
            lost: *lost,
            whole: *whole,
        }
    }

    /// Returns the last copy of the Job if the Job is gone.
    #[must_use]
    pub const fn last(&self) -> Option<&Arc<Job>> {
        self.last.as_ref()
    }
}

fn uid(pod: &Pod) -> String {
    pod.metadata.uid.clone().unwrap_or_default()
}
