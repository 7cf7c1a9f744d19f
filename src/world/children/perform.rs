//! What an operator does to children: it makes them, and deletes those of attempts that are past
//! their time.

use std::time::Duration;

use super::{Cascade, Child, JobNow, Made, PodNow, World, look::Found};
use crate::{
    model::observation::ChildState,
    objects::{job, pod::fields::finishes_on_sigterm},
    world::{Happened, Who, gather::pod_uid, look::Start},
};

impl World {
    /// The API server makes the child of an attempt.
    pub(in super::super) fn make(&mut self, number: usize, start: &Start, child: u32) {
        let Some(made) = self.build(start, child) else { return };
        let (job, pod) = match &made {
            Made::Pod(_) => (None, Some(PodNow::new(false))),
            Made::Job(..) => (Some(JobNow::new()), None),
        };
        if let Some(process) = self.processes.get_mut(number).filter(|_| job.is_some()) {
            process.view.of_jobs.entry(pod_uid(child)).or_default().born();
        }
        let (Made::Pod(value) | Made::Job(_, value)) = &made;
        let finishes = finishes_on_sigterm(value);
        let Start { who, key, .. } = *start;
        self.children.push(Child {
            who,
            key,
            number: child,
            made,
            finishes,
            job,
            pod,
            has_made: false,
        });
        self.show(child, None);
    }

    /// An operator ends an attempt that is past its time by the deletion of its child.
    pub(in super::super) fn stop_child(
        &mut self,
        number: usize,
        who: Who,
        happened: &mut Vec<Happened>,
    ) -> Option<()> {
        if let Some(found) = self.cached(number, who) {
            let runs_on =
                matches!(found, Found::Job(_)) && job::state::runs_on(&self.family(number, &found));
            if found.is_deleted() && !runs_on {
                return None;
            }
        }
        let object = self.object();
        let intent = object
            .active()
            .find(|(active, _)| *active == who)
            .and_then(|(_, record)| record.active.as_ref())?;
        let (written, saga, attempt) =
            (intent.child_uid.clone(), object.saga().uid.clone(), self.id(who));
        if object.gone {
            return None;
        }
        let own = self
            .processes
            .get(number)?
            .memory
            .iter()
            .find(|known| known.who == who)
            .and_then(|known| known.child);
        let known = own.map(|(_, number)| pod_uid(number)).or(written);
        let live = self.live(who).filter(|found| {
            found.is_child(&saga, &attempt, [known.as_deref(), None]) && !found.is_deleted()
        });
        let Some(found) = live else {
            return self.stop_rest(number, who, known.as_deref(), happened);
        };
        if matches!(
            self.state(&found, &self.family(number, &found), Duration::ZERO),
            ChildState::Active { .. }
        ) {
            let uid = found.uid().map(str::to_owned);
            self.delete_child(|child| Some(child.uid()) == uid, matches!(found, Found::Job(_)));
            happened.push(Happened::Stopped(who));
        }
        Some(())
    }

    /// Ends what is left of a Job that is gone, or whose deletion takes nothing along.
    fn stop_rest(
        &mut self,
        number: usize,
        who: Who,
        job: Option<&str>,
        happened: &mut Vec<Happened>,
    ) -> Option<()> {
        let job = job.filter(|_| self.is_about_a_job(who))?;
        for pod in self.rest(number, job) {
            let runs = matches!(
                self.state(
                    &Found::Pod(pod.clone()),
                    &job::state::Family::default(),
                    Duration::ZERO
                ),
                ChildState::Active { .. }
            );
            if runs && pod.metadata.deletion_timestamp.is_none() {
                self.delete_child(|child| pod.metadata.uid == Some(child.uid_of_pod()), false);
                happened.push(Happened::Stopped(who));
            }
        }
        Some(())
    }

    /// The API server takes a deletion: of a Job in the foreground, of a pod in the background.
    fn delete_child(&mut self, is: impl Fn(&Child) -> bool, job: bool) {
        let now = self.now;
        let Some(child) = self.children.iter_mut().find(|child| is(child)) else { return };
        let (number, before) = (child.number, child.clone());
        match (child.job.as_mut().filter(|_| job), child.pod.as_mut()) {
            (Some(job), _) => _ = job.deleted.get_or_insert((now, Cascade::Foreground)),
            (None, Some(pod)) => _ = pod.deleted.get_or_insert(now),
            (None, None) => {}
        }
        self.show(number, Some(&before));
        self.end_trial(number);
    }
}
