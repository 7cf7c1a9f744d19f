//! What an operator was shown of the children, and what it remembers of them.
//!
//! # Guarantees
//! - An object is shown as it is read: stripped, and with the success or the end that an earlier
//!   version showed.
//! - A watch brings what bears the operator's label. Of what loses that it brings the deletion,
//!   with the state before.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::Resource;

use super::{Child, World};
use crate::{
    api::names::{LABEL_MANAGED_BY, MANAGER},
    model::observation::ChildState,
    objects::{
        attempt::attempt_of,
        job::{self, fields::job_of, pods::JobPods},
        pod,
    },
    world::{Who, children::values, gather::pod_uid, process::Process},
};

/// What one operator was shown, and remembers.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct View {
    pub(super) pods: Vec<Arc<Pod>>,
    pub(super) jobs: Vec<Arc<Job>>,
    /// The pods of Jobs, by the UIDs of these.
    pub(super) of_jobs: BTreeMap<String, JobPods>,
    pub(super) notes: Vec<Note>,
    /// When it looks again although no watch may tell of anything.
    pub(in super::super) again: Option<Timestamp>,
    /// The attempts of which it was shown that they are done.
    pub(super) proofs: Vec<Who>,
}

/// What an operator remembers of one attempt's child beside its UID.
#[derive(Clone, Debug)]
pub(super) struct Note {
    pub(super) who: Who,
    /// How it ended, by the last copy of a child that the watch calls gone.
    pub(super) gone: Option<ChildState>,
    /// Since when it knows that the child is being deleted.
    pub(super) deleting_since: Option<Timestamp>,
    /// How it ended, where only this process knows.
    pub(super) end: Option<ChildState>,
}

impl View {
    pub(super) fn note(&mut self, who: Who) -> &mut Note {
        let place = self.notes.iter().position(|note| note.who == who).unwrap_or_else(|| {
            self.notes.push(Note { who, gone: None, deleting_since: None, end: None });
            self.notes.len().saturating_sub(1)
        });
        // Just looked for, or just put there.
        #[expect(clippy::indexing_slicing, reason = "the place of an element")]
        &mut self.notes[place]
    }

    /// Forgets what nobody asks for any more. `there`: the children that there are. `wanted`: the
    /// attempts that are under way. `known`: the UIDs of children that are known.
    pub(super) fn keep_only(
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

    /// The Job in whose family a pod is.
    fn family_of(&mut self, pod: &Pod) -> Option<&mut JobPods> {
        let known =
            || self.of_jobs.iter().find(|(_, pods)| pods.know(pod)).map(|(job, _)| job.clone());
        let job = job_of(pod).map(str::to_owned).or_else(known)?;
        Some(self.of_jobs.entry(job).or_default())
    }

    /// The watch brings a pod as it is now, `None` where it went. Returns the last copy of one of
    /// no Job that went, and whether there is news.
    fn pod(&mut self, uid: &str, now: Option<Pod>, last: Option<Pod>) -> (Option<Arc<Pod>>, bool) {
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

    /// The same of a Job.
    fn job(&mut self, uid: &str, now: Option<Job>, last: Option<Job>) -> (Option<Arc<Job>>, bool) {
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

fn is_watched<K: Resource>(object: &K) -> bool {
    object
        .meta()
        .labels
        .as_ref()
        .and_then(|labels| labels.get(LABEL_MANAGED_BY))
        .is_some_and(|manager| manager == MANAGER)
}

/// How a child that went has ended, by its last copy: noted where that says whose it is, or is the
/// one that is known.
fn child_gone(process: &mut Process, child: &impl Resource, who: Who, end: ChildState) {
    let Some(known) = process.memory.iter().find(|known| known.who == who) else {
        // Of an attempt at which it never looked it remembers nothing.
        return process.view.proofs.retain(|proof| *proof != who);
    };
    let own = known.child.map(|(_, number)| pod_uid(number));
    let is_own = own.is_some() && own == child.meta().uid;
    if is_own || (own.is_none() && attempt_of(child).is_some()) {
        process.view.note(who).gone = Some(end);
    }
}

/// The watches show a child as it is now. `before`: as it was.
pub(in super::super) fn show(world: &mut World, number: u32, before: Option<&Child>) {
    for process in 0..world.processes.len() {
        show_to(world, process, number, before);
    }
}

/// An operator lists what there is.
pub(in super::super) fn list(world: &mut World, process: usize) {
    let numbers: Vec<_> = world.children.iter().map(|child| child.number).collect();
    for number in numbers {
        show_to(world, process, number, None);
    }
}

fn show_to(world: &mut World, process: usize, number: u32, before: Option<&Child>) {
    let Some(child) = world.children.iter().find(|child| child.number == number) else { return };
    let (who, uid, uid_of_pod) = (child.who, values::uid(child), values::uid_of_pod(child));
    let (pod, job) = (values::pod_value(child), values::job_value(child));
    let (last_pod, last_job) =
        (before.and_then(values::pod_value), before.and_then(values::job_value));
    let proof = child.pod.is_some_and(|pod| {
        pod.exit.is_some_and(|(way, _)| way.code() == 0) && (!pod.is_told() || child.finishes)
    });
    let Some(process) = world.processes.get_mut(process).filter(|process| !process.is_down())
    else {
        return;
    };
    let (gone_pod, news_of_pod) = process.view.pod(&uid_of_pod, pod, last_pod);
    let (gone_job, news_of_job) = process.view.job(&uid, job, last_job);
    // Without a Job that it knows, the end of a pod tells nothing.
    let knows_job = process.view.jobs.iter().any(|job| job.metadata.uid.as_ref() == Some(&uid))
        || process.view.of_jobs.get(&uid).is_some_and(|pods| pods.last().is_some());
    if proof && news_of_pod && (!child.is_job() || knows_job) && !process.view.proofs.contains(&who)
    {
        process.view.proofs.push(who);
    }
    if let Some(pod) = gone_pod {
        child_gone(process, pod.as_ref(), who, pod::state::gone(&pod));
    }
    if let Some(job) = gone_job {
        let message = "its Job was deleted".into();
        child_gone(process, job.as_ref(), who, ChildState::Unknown { message, retry_after: None });
    }
    process.triggered |= news_of_pod || news_of_job;
}
