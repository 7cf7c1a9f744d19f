//! Derives the state of an attempt from a Job and its pods: the attempt succeeded, failed, is
//! unknown, or is still active.
//!
//! # Guarantees
//! - A Job with the condition `Complete` has succeeded, unless the Job was deleted or suspended
//!   before it completed. In that case it has succeeded only if enough of its pods (`completions`)
//!   succeeded before they were told to stop. Otherwise the outcome is *unknown*: the Job
//!   controller also counts pods that exit with 0 because they were told to stop.
//! - A Job with the condition `Failed` has *failed* only if one of its pods failed on its own, or
//!   if none of its pods ever started. Otherwise the outcome is *unknown*.
//! - If a Job can have only one pod ([`is_single`]), the end of the pod decides at once, as for a
//!   Pod action: the status of the Job lags by a second. The end of a terminating pod does not
//!   decide: a suspended Job creates another pod later.
//! - While a pod runs, nothing is settled, unless the Job reports that it has finished.
//! - Every message is one line of at most 256 characters.
//!
//! # Caveats
//! - While a Job is neither deleted nor suspended, the count of the Job controller is accepted. A
//!   counted pod may have exited because its node was drained.
//! - The reason why a Job gets no pods (a quota, Pod Security) is only in the events of the Job.
//!   The state then says that the Job waits for its pods.
//! - When a Job is suspended, its running pods are deleted, and no field counts them. An operator
//!   that starts later cannot know of these pods. If there may have been such pods and somebody
//!   deleted the Job, the outcome is unknown.

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::{
    batch::v1::{Job, JobStatus},
    core::v1::Pod,
};
use serde_json::{Map, Value};

use super::{
    fields::{
        JobVerdict, SUSPENDED, condition, hands_on, index_of, is_deleted, is_indexed, is_single,
        is_suspended, may_hand_on, stopped_early, verdict, verdict_of,
    },
    known_pods::{KnownPods, runs},
};
use crate::{
    model::observation::{ChildState, End, Failure, PodTrouble, Reached},
    objects::{
        pod, rules,
        unreadable::{self, is_unreadable, why_unreadable},
    },
    text::{labelled, one_line},
};

/// Returns the state of a Job that exists or was just seen. `age` is how long this process has
/// known the Job; it is only passed on.
#[must_use]
pub fn state(job: &Job, job_pods: &KnownPods, age: Duration) -> ChildState {
    if let Some(end) = end(job, job_pods) {
        return ChildState::Ended(end);
    }
    let (detail, trouble) = detail(job, job_pods);
    ChildState::Active { uid: job.metadata.uid.clone(), age, detail, trouble }
}

/// Returns the outcome of a Job that is gone, by its last copy. Returns `None` while a pod of the
/// Job may still run.
#[must_use]
pub fn gone(last: &Job, job_pods: &KnownPods) -> Option<End> {
    if runs(job_pods) {
        return None;
    }
    let ends = ends(job_pods);
    // Neither its pods nor its counts are known then.
    if is_unreadable(last) && verdict(last).is_none() {
        return Some(unknown(&ends, "was deleted, and could not be read before".into()));
    }
    Some(match (verdict(last).map(|(verdict, _)| verdict), ends.as_slice()) {
        (Some(JobVerdict::Done), _) => done(last, job_pods),
        (Some(JobVerdict::Failed), _) if !stopped_early(last) => failed(last, job_pods),
        (_, [PodEnd { state: ChildState::Ended(end), .. }])
            if is_single(last) && all_known(last, job_pods) =>
        {
            end.clone()
        }
        _ if has_all(last, job_pods) => End::Succeeded(outputs(last, job_pods)),
        _ if never_started(last, job_pods) => {
            nothing(&ends, "was deleted before a pod of it started".into())
        }
        _ => unknown(&ends, "was deleted while a pod of it may have run".into()),
    })
}

/// Returns whether the Job has a verdict that the known pods do not explain. The cache of pods may
/// be older than the cache of Jobs.
#[must_use]
pub fn wants_pods(job: &Job, job_pods: &KnownPods) -> bool {
    let any = |wanted: fn(&ChildState) -> bool| ends(job_pods).iter().any(|end| wanted(&end.state));
    match verdict(job).map(|(verdict, _)| verdict) {
        Some(JobVerdict::Done) => {
            let tells =
                |end: &PodEnd<'_>| hands_on(job, end.pod) && pod::state::exited_with_zero(end.pod);
            (may_hand_on(job) && !ends(job_pods).iter().any(tells))
                || (stopped_early(job) && !has_all(job, job_pods))
        }
        Some(JobVerdict::Failed) => !any(|state| {
            matches!(
                state,
                ChildState::Ended(End::Failed(Failure { reached: Reached::Answer, .. }))
            )
        }),
        None => false,
    }
}

/// Returns a message if a terminating pod may still run although it should have ended more than 60
/// s ago. Returns `None` unless only the end of the pods is awaited: the Job is gone, is
/// terminating, or has a verdict.
#[must_use]
pub fn stuck(job: Option<&Job>, job_pods: &KnownPods, now: Timestamp) -> Option<String> {
    let ends = job.is_none_or(|job| is_deleted(job) || verdict(job).is_some());
    job_pods.pods.iter().filter(|_| ends).find_map(|pod| pod::state::stuck(pod, now))
}

/// Returns whether the Job has the condition `Complete`.
#[must_use]
pub fn succeeded(job: &Job) -> bool {
    condition(job, "Complete").is_some()
}

/// Returns whether the Job reports that it has finished.
#[must_use]
pub fn is_over(job: &Job) -> bool {
    verdict(job).is_some_and(|(_, finished)| finished)
}

/// Returns the outcome of the attempt, if it has ended.
fn end(job: &Job, job_pods: &KnownPods) -> Option<End> {
    match verdict(job) {
        Some((_, finished)) if !finished && runs(job_pods) => None,
        Some((JobVerdict::Done, _)) if stopped_early(job) && runs(job_pods) => None,
        Some((JobVerdict::Done, _)) => Some(done(job, job_pods)),
        // The Job is terminating, so its pods are told to stop. How they end then is no answer.
        _ if is_deleted(job) => None,
        Some((JobVerdict::Failed, _)) => Some(failed(job, job_pods)),
        None if is_single(job) && !is_suspended(job) => {
            only_pod(job_pods).and_then(pod::state::end)
        }
        None => None,
    }
}

/// Returns the only pod that the Job ever had, unless the pod is terminating.
fn only_pod(job_pods: &KnownPods) -> Option<&Pod> {
    let [pod] = job_pods.pods.as_slice() else { return None };
    (job_pods.gone.is_empty() && !job_pods.lost && pod.metadata.deletion_timestamp.is_none())
        .then_some(pod)
}

/// Returns the failure by a signal of the only pod of a Job while another container keeps the pod
/// running. The duration is described at
/// [`pod::state::held_up`](crate::objects::pod::state::held_up).
#[must_use]
pub fn held_up(job: &Job, job_pods: &KnownPods) -> Option<(End, Duration)> {
    let awaited =
        verdict(job).is_none() && is_single(job) && !is_suspended(job) && !is_deleted(job);
    only_pod(job_pods).filter(|_| awaited).and_then(pod::state::held_up)
}

/// Returns the outcome of a Job that reports success.
fn done(job: &Job, job_pods: &KnownPods) -> End {
    if rules::is_done(stopped_early(job), has_all(job, job_pods)) {
        return End::Succeeded(outputs(job, job_pods));
    }
    unknown(
        &ends(job_pods),
        "was stopped before it was done, and its pods may have done their work".into(),
    )
}

/// Returns whether as many pods as the Job wants are known to have succeeded before they were told
/// to stop.
fn has_all(job: &Job, job_pods: &KnownPods) -> bool {
    let ends = ends(job_pods);
    let succeeded =
        ends.iter().filter(|end| matches!(end.state, ChildState::Ended(End::Succeeded(_))));
    let parts: BTreeSet<_> = if job.spec.as_ref().is_some_and(is_indexed) {
        succeeded.filter_map(|end| index_of(end.pod)).collect()
    } else {
        succeeded.filter_map(|end| end.pod.metadata.uid.as_deref()).collect()
    };
    let wanted = job.spec.as_ref().and_then(|spec| spec.completions).unwrap_or(1).max(1);
    usize::try_from(wanted).is_ok_and(|wanted| parts.len() >= wanted)
}

/// The end of one pod.
struct PodEnd<'a> {
    pod: &'a Pod,
    state: ChildState,
}

/// Returns the state of every pod, the oldest first. Running pods are `Active`.
fn ends(job_pods: &KnownPods) -> Vec<PodEnd<'_>> {
    let gone = job_pods.gone.iter().map(|pod| PodEnd { pod, state: pod::state::gone(pod).into() });
    let there = job_pods
        .pods
        .iter()
        .map(|pod| PodEnd { pod, state: pod::state::state(pod, Duration::ZERO) });
    let mut ends: Vec<_> = gone.chain(there).collect();
    let age = |end: &PodEnd<'_>| {
        (end.pod.metadata.creation_timestamp.as_ref().map(|at| at.0), end.pod.metadata.name.clone())
    };
    ends.sort_by_key(age);
    ends
}

/// Returns the outcome of a Job that failed. The newest pod that failed on its own gives the
/// message and the exit code.
fn failed(job: &Job, job_pods: &KnownPods) -> End {
    let ends = ends(job_pods);
    let says_no = |end: &&PodEnd<'_>| {
        matches!(
            end.state,
            ChildState::Ended(End::Failed(Failure { reached: Reached::Answer, .. }))
        )
    };
    if let Some(PodEnd { pod, state: ChildState::Ended(End::Failed(failure)) }) =
        ends.iter().rev().find(says_no)
    {
        let message =
            if is_single(job) { failure.message.clone() } else { of_pod(pod, &failure.message) };
        // All pods of a Job share one idempotency key. The exit code of the newest pod does not
        // show what a pod with another exit code may have done.
        let alike = |end: &PodEnd<'_>| {
            matches!(
                &end.state,
                ChildState::Ended(End::Failed(other))
                    if other.reached == Reached::Nothing || other.exit_code == failure.exit_code
            )
        };
        let reached = if all_known(job, job_pods) && ends.iter().all(alike) {
            failure.reached
        } else {
            Reached::Work
        };
        return End::Failed(Failure { reached, message, ..failure.clone() });
    }
    let why = verdict_of(job)
        .and_then(|condition| labelled(condition.reason.as_ref(), condition.message.as_ref()));
    let why = why.unwrap_or_else(|| "failed, and gives no reason".into());
    if never_started(job, job_pods) { nothing(&ends, why) } else { unknown(&ends, why) }
}

/// Returns the failure of a Job of which no pod ever started.
fn nothing(ends: &[PodEnd<'_>], why: String) -> End {
    let of = |end: &PodEnd<'_>| {
        if let ChildState::Ended(End::Failed(failure)) = &end.state {
            Some(failure.clone())
        } else {
            None
        }
    };
    let disrupted =
        !ends.is_empty() && ends.iter().all(|end| of(end).is_some_and(|failure| failure.disrupted));
    let message = ends.iter().rev().find_map(of).map_or(why, |failure| failure.message);
    End::Failed(Failure { disrupted, ..Failure::not_started(one_line(&message)) })
}

/// Returns the unknown outcome of a Job of which a pod may have done its work.
fn unknown(ends: &[PodEnd<'_>], why: String) -> End {
    let of = |end: &PodEnd<'_>| {
        if let ChildState::Ended(End::Unknown { message, .. }) = &end.state {
            Some(message.clone())
        } else {
            None
        }
    };
    let said = ends.iter().rev().find_map(of);
    End::Unknown { message: one_line(&said.unwrap_or(why)), retry_after: None }
}

/// Returns whether it is certain that no pod of the Job ever started.
fn never_started(job: &Job, job_pods: &KnownPods) -> bool {
    let nothing = |end: &PodEnd<'_>| {
        matches!(
            end.state,
            ChildState::Ended(End::Failed(Failure { reached: Reached::Nothing, .. }))
        )
    };
    let ends = ends(job_pods);
    let counted = |count: fn(&JobStatus) -> Option<i32>| {
        job.status.as_ref().and_then(count).unwrap_or_default()
    };
    let known = i32::try_from(ends.len()).unwrap_or(i32::MAX);
    // Pods that the Job counts and that were not seen here may have lost the labels that the watch
    // selects.
    let unended = counted(|status| status.active).saturating_add(counted(|status| status.failed));
    let none_unseen = counted(|status| status.succeeded) == 0 && unended <= known;
    all_known(job, job_pods) && none_unseen && ends.iter().all(nothing)
}

/// Returns whether every pod is known, apart from the pods that the status of the Job counts.
fn all_known(job: &Job, job_pods: &KnownPods) -> bool {
    let was_suspended = job
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten())
        .any(|known| known.type_ == SUSPENDED);
    !job_pods.lost && (job_pods.whole || !was_suspended)
}

/// Returns the outputs of the Job: the outputs of its only pod, or of the pod with index 0.
fn outputs(job: &Job, job_pods: &KnownPods) -> Option<Map<String, Value>> {
    let mut ends = ends(job_pods);
    ends.sort_by(|a, b| a.pod.metadata.name.cmp(&b.pod.metadata.name));
    ends.into_iter()
        .filter(|end| hands_on(job, end.pod))
        .find_map(|end| pod::state::last_word(end.pod))
}

/// Returns what an active Job does or waits for, and the trouble of one of its pods.
fn detail(job: &Job, job_pods: &KnownPods) -> (String, Option<PodTrouble>) {
    if is_deleted(job) {
        return ("is being deleted".into(), None);
    }
    if let Some(why) = why_unreadable(job).filter(|_| verdict(job).is_none()) {
        return (one_line(&unreadable::detail(why)), None);
    }
    if let Some((verdict, _)) = verdict(job) {
        let how = if verdict == JobVerdict::Done { "succeeds" } else { "fails" };
        return (format!("{how}; the end of its pods is awaited"), None);
    }
    if is_suspended(job) {
        return ("is suspended".into(), None);
    }
    let mut active: Vec<_> = job_pods
        .pods
        .iter()
        .filter_map(|pod| going_on(pod).map(|(detail, trouble)| (pod, detail, trouble)))
        .collect();
    active.sort_by(|(a, _, _), (b, _, _)| a.metadata.name.cmp(&b.metadata.name));
    let worst = active.iter().find(|(_, _, trouble)| trouble.is_some()).or(active.first());
    let Some((pod, detail, trouble)) = worst else { return ("waits for its pods".into(), None) };
    if is_single(job) {
        return (detail.clone(), *trouble);
    }
    let done = job.status.as_ref().and_then(|status| status.succeeded).unwrap_or_default();
    let of = job
        .spec
        .as_ref()
        .and_then(|spec| spec.completions)
        .map(|all| format!(" of {all}"))
        .unwrap_or_default();
    let about = of_pod(pod, detail);
    (
        one_line(&format!("{done}{of} pods have succeeded, {} are active; {about}", active.len())),
        *trouble,
    )
}

fn going_on(pod: &Pod) -> Option<(String, Option<PodTrouble>)> {
    if let ChildState::Active { detail, trouble, .. } = pod::state::state(pod, Duration::ZERO) {
        Some((detail, trouble))
    } else {
        None
    }
}

fn of_pod(pod: &Pod, what: &str) -> String {
    one_line(&format!("pod {}: {what}", pod.metadata.name.as_deref().unwrap_or_default()))
}

#[cfg(test)]
mod tests;
