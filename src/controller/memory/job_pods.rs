//! The pods of Jobs, by the Job that they belong to. A cache finds pods only by their own names.
//!
//! # Guarantees
//! A pod is known here before its saga is enqueued for it. A pod is known by its own UID: if its
//! Job orphaned it or it lost its labels, it is still the same pod. The last states of deleted pods
//! are kept while their Job exists. If a pod went unseen, or if there were too many pods, the
//! family says so.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};

use crate::objects::job::{fields::job_of, known_pods::KnownPods, pods::JobPods};

/// A family is removed only if nothing has been heard of it for this long.
const KEPT: Duration = Duration::from_mins(10);

/// The pods of every Job of an attempt, by the Job's UID.
#[derive(Default)]
pub struct JobPodMemory(Mutex<HashMap<String, Entry>>);

/// A read-only view of what this process knows of the pods of Jobs.
#[derive(Clone, Copy)]
pub struct JobPodsView<'a>(&'a JobPodMemory);

struct Entry {
    pods: JobPods,
    heard: Instant,
}

impl JobPodsView<'_> {
    /// Returns what is known of the pods of a Job. Also returns the last copy of the Job if the Job
    /// is gone.
    #[must_use]
    pub fn of(self, job: &str) -> (KnownPods, Option<Arc<Job>>) {
        self.0.of(job)
    }

    /// Returns the same as it will be once a live read is noted that showed these pods.
    #[must_use]
    pub fn corrected(self, job: &str, listed: &KnownPods) -> (KnownPods, Option<Arc<Job>>) {
        let mut pods = self.0.lock().get(job).map(|entry| entry.pods.clone()).unwrap_or_default();
        pods.correct(listed);
        (pods.known(), pods.last().cloned())
    }
}

impl JobPodMemory {
    /// Returns a read-only view.
    #[must_use]
    pub const fn view(&self) -> JobPodsView<'_> {
        JobPodsView(self)
    }

    /// Notes the current state of a pod, if the pod belongs to a Job.
    pub fn saw(&self, pod: &Pod) {
        self.look_for(pod, |pods| pods.saw(pod));
    }

    /// Notes the last state of a deleted pod, if the pod belongs to a Job.
    pub fn went(&self, pod: &Pod) {
        self.look_for(pod, |pods| pods.went(pod));
    }

    /// Notes that a pod is gone and that nobody saw its end, if the pod belongs to a Job.
    pub fn lost(&self, pod: &Pod) {
        self.look_for(pod, |pods| pods.lost(pod));
    }

    /// Returns whether a pod belongs to a Job.
    #[must_use]
    pub fn know(&self, pod: &Pod) -> bool {
        job_of(pod).is_some() || known(&self.lock(), pod).is_some()
    }

    /// Notes that the watch has a gap, in which pods may have come and gone.
    pub fn gap(&self) {
        self.lock().values_mut().for_each(|entry| entry.pods.gap());
    }

    /// Notes that a Job was just created: no pod of the Job is older than this.
    pub fn born(&self, job: &str) {
        self.look(job, JobPods::born);
    }

    /// Notes what a live read showed of the pods of a Job.
    pub fn correct(&self, job: &str, job_pods: &KnownPods) {
        self.look(job, |pods| pods.correct(job_pods));
    }

    /// Notes the last state of a deleted Job.
    pub fn job_went(&self, job: &Job) {
        let Some(uid) = &job.metadata.uid else { return };
        self.look(uid, |pods| pods.job_went(job));
    }

    /// Returns what is known of the pods of a Job. Also returns the last copy of the Job if the Job
    /// is gone.
    #[must_use]
    pub fn of(&self, job: &str) -> (KnownPods, Option<Arc<Job>>) {
        let memory = self.lock();
        let Some(Entry { pods, heard: _ }) = memory.get(job) else {
            return (KnownPods::default(), None);
        };
        (pods.known(), pods.last().cloned())
    }

    /// Removes the pods of Jobs that are gone, once nothing has been heard of them for ten minutes.
    /// An attempt that waits for the end of such pods reads them live repeatedly.
    pub fn forget(&self, lives: impl Fn(&str) -> bool) {
        self.lock().retain(|job, entry| entry.heard.elapsed() < KEPT || lives(job));
    }

    /// Looks up the family of a pod. A pod that no longer names its Job is looked up among the
    /// known pods.
    fn look_for(&self, pod: &Pod, look: impl FnOnce(&mut JobPods)) {
        let job = job_of(pod).map(str::to_owned).or_else(|| known(&self.lock(), pod));
        if let Some(job) = job {
            self.look(&job, look);
        }
    }

    fn look(&self, job: &str, look: impl FnOnce(&mut JobPods)) {
        let mut memory = self.lock();
        let entry = memory
            .entry(job.to_owned())
            .or_insert_with(|| Entry { pods: JobPods::default(), heard: Instant::now() });
        entry.heard = Instant::now();
        look(&mut entry.pods);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the Job whose family contains a pod that does not name its Job. Few pods are such, and
/// there is no index of them.
fn known(memory: &HashMap<String, Entry>, pod: &Pod) -> Option<String> {
    memory.iter().find(|(_, entry)| entry.pods.know(pod)).map(|(job, _)| job.clone())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use serde_json::json;

    use super::*;
    use crate::objects::job::pods::MOST_GONE;

    fn pod(name: &str) -> Pod {
        let owner = json!({
            "apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": "job", "controller": true,
        });
        let labels = json!({"app.kubernetes.io/managed-by": "saga-operator"});
        serde_json::from_value(json!({
            "metadata": {"name": name, "uid": name, "labels": labels, "ownerReferences": [owner]},
        }))
        .unwrap()
    }

    #[test]
    fn of_pods_that_are_gone_the_newest_are_remembered_and_that_there_were_more() {
        let memory = JobPodMemory::default();
        memory.born("job");
        for number in 0..=MOST_GONE {
            let (job_pods, _) = memory.of("job");
            assert!(!job_pods.lost && job_pods.whole && job_pods.gone.len() == number);
            memory.saw(&pod(&format!("p{number}")));
            memory.went(&pod(&format!("p{number}")));
        }
        let (job_pods, _) = memory.of("job");
        assert!(job_pods.lost && job_pods.pods.is_empty());
        assert_eq!(
            (job_pods.gone.len(), job_pods.gone.first().unwrap().metadata.name.as_deref()),
            (MOST_GONE, Some("p1"))
        );
    }

    #[test]
    fn what_went_unseen_is_said_and_a_gap_in_the_watch_as_well() {
        let memory = JobPodMemory::default();
        memory.born("job");
        memory.saw(&pod("a"));
        memory.lost(&pod("a"));
        memory.gap();
        let (job_pods, _) = memory.of("job");
        assert!(
            job_pods.lost
                && !job_pods.whole
                && job_pods.pods.is_empty()
                && job_pods.gone.is_empty()
        );
    }

    #[test]
    fn a_pod_of_nobody_is_not_known_here() {
        let memory = JobPodMemory::default();
        let mut foreign = pod("a");
        foreign.metadata.labels = None;
        memory.saw(&foreign);
        assert!(!memory.know(&foreign) && memory.of("job").0.pods.is_empty());
    }

    #[test]
    fn a_pod_that_its_job_let_go_of_or_that_lost_its_labels_stays_in_its_family_until_it_goes() {
        let let_go = |labels: serde_json::Value| {
            let mut pod = pod("a");
            pod.metadata.owner_references = None;
            pod.metadata.labels = serde_json::from_value(labels).unwrap();
            pod
        };
        let orphan = json!({
            "app.kubernetes.io/managed-by": "saga-operator",
            "batch.kubernetes.io/controller-uid": "job",
        });
        for labels in [orphan, json!({})] {
            let memory = JobPodMemory::default();
            memory.saw(&pod("a"));
            let mut ended = let_go(labels);
            ended.status = Some(serde_json::from_value(json!({"phase": "Succeeded"})).unwrap());
            memory.saw(&ended);
            let [now] = memory.of("job").0.pods.try_into().unwrap();
            assert_eq!(*now, ended, "as it is, and not as it was with its Job");
            memory.went(&ended);
            assert!(memory.of("job").0.pods.is_empty() && memory.of("job").0.gone.len() == 1);
            assert!(!memory.know(&let_go(json!({}))), "one that is gone is not looked for");
        }
    }
}
