//! What one process remembers of the pods of one Job, from what a watch brings.
//!
//! # Guarantees
//! A pod is known by its own UID: one that its Job let go of, or that lost its labels, is no other.
//! Of those that are gone the last states are kept; where one went unseen, or there were too many,
//! that is said.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};

use super::state::Family;
use crate::objects::attempt::saga_of;

/// How many pods that are gone are remembered of one Job: the newest.
pub const MOST_GONE: usize = 8;

/// The pods of one Job.
#[derive(Clone, Debug, Default)]
pub struct JobPods {
    /// By their UIDs.
    pods: BTreeMap<String, Arc<Pod>>,
    gone: VecDeque<Arc<Pod>>,
    lost: bool,
    whole: bool,
    /// The Job as it last was, once it is gone.
    last: Option<Arc<Job>>,
}

impl JobPods {
    /// Notes a pod as it is now.
    pub fn saw(&mut self, pod: &Pod) {
        self.pods.insert(uid(pod), Arc::new(pod.clone()));
    }

    /// Notes the last state of a pod that is gone.
    pub fn went(&mut self, pod: &Pod) {
        self.pods.remove(&uid(pod));
        self.gone.push_back(Arc::new(pod.clone()));
        if self.gone.len() > MOST_GONE {
            self.gone.pop_front();
            self.lost = true;
        }
    }

    /// Notes that a pod is gone, and that nobody saw how.
    pub fn lost(&mut self, pod: &Pod) {
        self.pods.remove(&uid(pod));
        self.lost = true;
    }

    /// Whether a pod is known here that does not say whose it is.
    #[must_use]
    pub fn know(&self, pod: &Pod) -> bool {
        saga_of(pod).is_none()
            && pod.metadata.uid.as_ref().is_some_and(|uid| self.pods.contains_key(uid))
    }

    /// Notes that the watch has a gap, in which pods may have come and gone.
    pub const fn gap(&mut self) {
        self.whole = false;
    }

    /// Notes that the Job was just created: no pod of it is older than this.
    pub const fn born(&mut self) {
        self.whole = true;
    }

    /// Notes what a live read showed of the pods.
    pub fn correct(&mut self, family: &Family) {
        self.pods = family.pods.iter().map(|pod| (uid(pod), Arc::clone(pod))).collect();
        let surplus = family.gone.len().saturating_sub(MOST_GONE);
        self.gone = family.gone.iter().skip(surplus).cloned().collect();
        self.lost |= family.lost || surplus > 0;
    }

    /// Notes the last state of the Job, which is gone.
    pub fn job_went(&mut self, job: &Job) {
        self.last = Some(Arc::new(job.clone()));
    }

    /// What is known of the pods.
    #[must_use]
    pub fn family(&self) -> Family {
        let Self { pods, gone, lost, whole, last: _ } = self;
        Family {
            pods: pods.values().cloned().collect(),
            gone: gone.iter().cloned().collect(),
            lost: *lost,
            whole: *whole,
        }
    }

    /// The Job as it last was, where it is gone.
    #[must_use]
    pub const fn last(&self) -> Option<&Arc<Job>> {
        self.last.as_ref()
    }
}

fn uid(pod: &Pod) -> String {
    pod.metadata.uid.clone().unwrap_or_default()
}
