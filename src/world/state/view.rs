//! What the watches showed a replica of the children.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};

use super::{child::Child, world::Who};
use crate::{
    model::observation::ChildState,
    objects::{
        job::{self, fields::job_of, pods::JobPods},
        pod,
    },
    world::children::{values, watch::is_watched},
};

/// What one replica was shown, and remembers.
#[derive(Clone, Debug, Default)]
pub(in crate::world) struct View {
    pub(in crate::world) pods: Vec<Arc<Pod>>,
    pub(in crate::world) jobs: Vec<Arc<Job>>,
    /// The pods of Jobs, by the UIDs of the Jobs.
    pub(in crate::world) of_jobs: BTreeMap<String, JobPods>,
    pub(in crate::world) notes: Vec<Note>,
    /// The next reconcile for a reason that no watch may report.
    pub(in crate::world) again: Option<Timestamp>,
    /// The attempts that a watch showed to be done.
    pub(in crate::world) proofs: Vec<Who>,
}

/// What a replica remembers of the child of one attempt besides the UID.
#[derive(Clone, Debug)]
pub(in crate::world) struct Note {
    pub(in crate::world) who: Who,
    /// How the child ended, by its last copy, if the watch reported its deletion.
    pub(in crate::world) gone: Option<ChildState>,
    /// When the replica first knew that the child is terminating.
    pub(in crate::world) deleting_since: Option<Timestamp>,
    /// How the child ended, if only this replica knows.
    pub(in crate::world) end: Option<ChildState>,
}

impl View {
    pub(in crate::world) fn note(&mut self, who: Who) -> &mut Note {
        let place = self.notes.iter().position(|note| note.who == who).unwrap_or_else(|| {
            self.notes.push(Note { who, gone: None, deleting_since: None, end: None });
            self.notes.len().saturating_sub(1)
        });
        // The element was just found, or just pushed.
        #[expect(clippy::indexing_slicing, reason = "the place of an element")]
        &mut self.notes[place]
    }

    /// Forgets what no replica needs any more. `there`: the existing children. `wanted`: whether an
    /// attempt is under way. `known`: whether the UID of a child is known.
    pub(in crate::world) fn keep_only(
        &mut self,
        there: &[Child],
        wanted: impl Fn(Who) -> bool,
        known: impl Fn(&str) -> bool,
    ) {
        self.pods.retain(|pod| {
            there.iter().any(|child| pod.metadata.uid == Some(values::uid_of_pod(child)))
        });
        self.jobs
            .retain(|job| there.iter().any(|child| job.metadata.uid == Some(values::uid(child))));
        self.of_jobs
            .retain(|job, _| known(job) || there.iter().any(|child| values::uid(child) == *job));
        self.notes.retain(|note| wanted(note.who));
        self.proofs.retain(|who| wanted(*who));
    }

    /// Returns the family of the Job to which a pod belongs.
    fn family_of(&mut self, pod: &Pod) -> Option<&mut JobPods> {
        let known =
            || self.of_jobs.iter().find(|(_, pods)| pods.know(pod)).map(|(job, _)| job.clone());
        let job = job_of(pod).map(str::to_owned).or_else(known)?;
        Some(self.of_jobs.entry(job).or_default())
    }

    /// Takes a pod from the watch: `now` is the pod as it is now, or `None` if it was deleted.
    /// Returns the last copy of a deleted pod that belongs to no Job, and whether anything changed.
    pub(in crate::world) fn pod(
        &mut self,
        uid: &str,
        now: Option<Pod>,
        last: Option<Pod>,
    ) -> (Option<Arc<Pod>>, bool) {
        let place = self.pods.iter().position(|known| known.metadata.uid.as_deref() == Some(uid));
        let before = place.and_then(|place| self.pods.get(place)).cloned();
        let shown = |mut pod: Pod| {
            pod::strip::strip(&mut pod);
            pod::strip::keep_success(&mut pod, before.as_deref());
            Arc::new(pod)
        };
        match (now.filter(is_watched).map(shown), place) {
            (Some(pod), _) if before.as_ref() == Some(&pod) => (None, false),
            (Some(pod), place) => {
                if let Some(family) = self.family_of(&pod) {
                    family.saw(&pod);
                }
                match place.and_then(|place| self.pods.get_mut(place)) {
                    Some(known) => *known = pod,
                    None => self.pods.push(pod),
                }
                (None, true)
            }
            (None, Some(place)) => {
                let known = self.pods.remove(place);
                let last = last.filter(is_watched).map_or(known, shown);
                if let Some(family) = self.family_of(&last) {
                    family.went(&last);
                    return (None, true);
                }
                (Some(last), true)
            }
            (None, None) => (None, false),
        }
    }

    /// Takes a Job from the watch, as `View::pod` takes a pod. Returns the last copy of a deleted
    /// Job, and whether anything changed.
    pub(in crate::world) fn job(
        &mut self,
        uid: &str,
        now: Option<Job>,
        last: Option<Job>,
    ) -> (Option<Arc<Job>>, bool) {
        let place = self.jobs.iter().position(|known| known.metadata.uid.as_deref() == Some(uid));
        let before = place.and_then(|place| self.jobs.get(place)).cloned();
        let shown = |mut job: Job| {
            job::strip::strip(&mut job);
            job::strip::keep_end(&mut job, before.as_deref());
            Arc::new(job)
        };
        match (now.filter(is_watched).map(shown), place) {
            (Some(job), _) if before.as_ref() == Some(&job) => (None, false),
            (Some(job), Some(place)) => {
                self.jobs.splice(place..=place, [job]);
                (None, true)
            }
            (Some(job), None) => {
                self.jobs.push(job);
                (None, true)
            }
            (None, Some(place)) => {
                let known = self.jobs.remove(place);
                let last = last.filter(is_watched).map_or(known, shown);
                self.of_jobs.entry(uid.to_owned()).or_default().job_went(&last);
                (Some(last), true)
            }
            (None, None) => (None, false),
        }
    }
}
