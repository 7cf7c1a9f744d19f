//! What the watches show a replica of the children, and what the replica remembers of them.
//!
//! # Guarantees
//! - An object is shown as the operator keeps it: stripped, and with the success or the end that an
//!   earlier version showed.
//! - A watch shows the objects with the operator's label. If an object loses the label, the watch
//!   reports a deletion with the state before.

use kube::Resource;

use super::values;
use crate::{
    api::names::{LABEL_MANAGED_BY, MANAGER},
    model::observation::ChildState,
    objects::{attempt::attempt_of, pod},
    world::{
        gather::pod_uid,
        state::{
            child::Child,
            process::Process,
            world::{Who, World},
        },
    },
};

pub(crate) fn is_watched<K: Resource>(object: &K) -> bool {
    object
        .meta()
        .labels
        .as_ref()
        .and_then(|labels| labels.get(LABEL_MANAGED_BY))
        .is_some_and(|manager| manager == MANAGER)
}

/// Records how a deleted child ended, by its last copy. The end is recorded if the replica knows
/// this child, or if the replica knows no child of the attempt and the copy names the attempt.
fn child_gone(process: &mut Process, child: &impl Resource, who: Who, end: ChildState) {
    let Some(known) = process.memory.iter().find(|known| known.who == who) else {
        // A replica remembers nothing of an attempt that it never reconciled.
        return process.view.proofs.retain(|proof| *proof != who);
    };
    let own = known.child.map(|(_, number)| pod_uid(number));
    let is_own = own.is_some() && own == child.meta().uid;
    if is_own || (own.is_none() && attempt_of(child).is_some()) {
        process.view.note(who).gone = Some(end);
    }
}

/// Shows every replica a child as it is now. `before`: the child before the change.
pub(in super::super) fn show(world: &mut World, number: u32, before: Option<&Child>) {
    for process in 0..world.processes.len() {
        show_to(world, process, number, before);
    }
}

/// Lists all existing children for one replica.
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
    // If the replica does not know the Job, the end of its pod tells nothing.
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
