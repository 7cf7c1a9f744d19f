//! What the watches show a replica of the children, and what the replica remembers of them.
//!
//! # Guarantees
//! - An object is shown as the operator keeps it: stripped, and with the success or the end that an
//!   earlier version showed.
//! - A watch shows the objects with the operator's label. If an object loses the label, the watch
//!   reports a deletion with the state before.

use kube::Resource;

use super::{
    cache::{show_job, show_pod},
    values,
};
use crate::{
    model::observation::End,
    objects::{attempt::attempt_of, pod},
    world::state::{
        attempt::AttemptRef,
        child::{StoredChild, pod_uid},
        replica::Replica,
        world::World,
    },
};

/// Records how a deleted child ended, by its last copy. The end is recorded if the replica knows
/// this child, or if the replica knows no child of the attempt and the copy names the attempt.
fn child_gone(replica: &mut Replica, child: &impl Resource, attempt: AttemptRef, end: End) {
    let Some(known) = replica.memory.iter().find(|known| known.attempt == attempt) else {
        // A replica remembers nothing of an attempt that it never reconciled.
        return replica.cache.proofs.retain(|proof| *proof != attempt);
    };
    let own = known.child.map(|(_, number)| pod_uid(number));
    let is_own = own.is_some() && own == child.meta().uid;
    if is_own || (own.is_none() && attempt_of(child).is_some()) {
        replica.cache.note(attempt).gone = Some(end);
    }
}

/// Shows every replica a child as it is now. `before`: the child before the change.
pub(in super::super) fn show(world: &mut World, number: u32, before: Option<&StoredChild>) {
    for replica in 0..world.replicas.len() {
        show_to(world, replica, number, before);
    }
}

/// Lists all existing children for one replica.
pub(in super::super) fn list(world: &mut World, replica: usize) {
    let numbers: Vec<_> = world.children.iter().map(|child| child.number).collect();
    for number in numbers {
        show_to(world, replica, number, None);
    }
}

fn show_to(world: &mut World, replica: usize, number: u32, before: Option<&StoredChild>) {
    let Some(child) = world.children.iter().find(|child| child.number == number) else { return };
    let (attempt, uid, uid_of_pod) = (child.attempt, child.uid(), child.uid_of_pod());
    let (pod, job) = (values::pod_value(child), values::job_value(child));
    let (last_pod, last_job) =
        (before.and_then(values::pod_value), before.and_then(values::job_value));
    let proof = child.pod.is_some_and(|pod| {
        pod.exit.is_some_and(|(way, _)| way.code() == 0)
            && (!pod.was_asked_to_stop() || child.finishes)
    });
    let Some(replica) = world.replicas.get_mut(replica).filter(|replica| !replica.is_down()) else {
        return;
    };
    let (gone_pod, news_of_pod) = show_pod(&mut replica.cache, &uid_of_pod, pod, last_pod);
    let (gone_job, news_of_job) = show_job(&mut replica.cache, &uid, job, last_job);
    // If the replica does not know the Job, the end of its pod tells nothing.
    let knows_job = replica.cache.jobs.iter().any(|job| job.metadata.uid.as_ref() == Some(&uid))
        || replica.cache.of_jobs.get(&uid).is_some_and(|pods| pods.last().is_some());
    if proof
        && news_of_pod
        && (!child.is_job() || knows_job)
        && !replica.cache.proofs.contains(&attempt)
    {
        replica.cache.proofs.push(attempt);
    }
    if let Some(pod) = gone_pod {
        child_gone(replica, pod.as_ref(), attempt, pod::state::gone(&pod));
    }
    if let Some(job) = gone_job {
        let message = "its Job was deleted".into();
        child_gone(replica, job.as_ref(), attempt, End::Unknown { message, retry_after: None });
    }
    replica.triggered |= news_of_pod || news_of_job;
}
