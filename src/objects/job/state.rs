//! Reads a Job's state together with that of its pods: whether its attempt succeeded, failed, may
//! have happened, or goes on.
//!
//! # Guarantees
//! - A Job that is Complete has succeeded. Where it was deleted or suspended before, it has only if
//!   so many pods as it wants succeeded before they were told to go: it counts those that exit with
//!   0 when they are. Else it is *unknown*.
//! - A Job that Failed has *failed* only where a pod of it said no by itself, or where no pod of it
//!   ever started; else it is *unknown*.
//! - The end of the only pod of a Job that makes no other ([`is_single`]) decides at once, as that
//!   of a Pod does: the Job's own status lags by a second. A pod that is being deleted does not: a
//!   Job that is suspended makes another one later.
//! - While a pod runs nothing is settled, unless the Job says that it has finished.
//! - What it says is one line of at most 256 characters.
//!
//! # Caveats
//! - A pod that the Job controller counted while its Job was neither deleted nor suspended is the
//!   Job's business: it may have been drained.
//! - Why a Job gets no pods (a quota, Pod Security) stands in its events alone: it reads as a Job
//!   that waits for its pods.
//! - Pods of which an operator that started later cannot know: those that a Job lost when it was
//!   suspended, for they are counted nowhere. Where there may have been such, the end of a Job that
//!   somebody deleted is unknown.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::{
    batch::v1::{Job, JobStatus},
    core::v1::Pod,
};
use serde_json::{Map, Value};

use super::fields::{
    SUSPENDED, Verdict, condition, hands_on, index_of, is_deleted, is_indexed, is_single,
    is_suspended, may_hand_on, told_to_end, verdict, verdict_of,
};
use crate::{
    model::observation::{ChildState, Failure, Reached, Trouble},
    mutants::{Twin, broken},
    objects::pod,
    text::{labelled, one_line},
};

/// What is known of the pods of one Job.
#[derive(Clone, Debug, Default)]
pub struct Family {
    /// Those that exist.
    pub pods: Vec<Arc<Pod>>,
    /// Those that are gone, as they last were.
    pub gone: Vec<Arc<Pod>>,
    /// Whether there were others of whose end nothing is known.
    pub lost: bool,
    /// Whether it was watched from the Job's beginning, so that there were no others.
    pub whole: bool,
}

impl Family {
    /// The same family where a live read shows these pods, and perhaps `more` that it does not
    /// show. What was known and is not among them is gone: as it last was where it had ended, else
    /// unseen.
    #[must_use]
    pub fn as_listed(self, listed: Vec<Pod>, more: bool) -> Self {
        let Self { pods: known, mut gone, mut lost, whole } = self;
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

fn has_ended(pod: &Pod) -> bool {
    !matches!(pod::state::state(pod, Duration::ZERO), ChildState::Active { .. })
}

/// The state of a Job that exists, or was just seen. `age` is how long this process has known it,
/// and is only passed on.
#[must_use]
pub fn state(job: &Job, family: &Family, age: Duration) -> ChildState {
    end(job, family).unwrap_or_else(|| {
        let (detail, trouble) = detail(job, family);
        ChildState::Active { uid: job.metadata.uid.clone(), age, detail, trouble }
    })
}

/// The state of a Job that is gone, judged by its last copy; `None` while a pod of it may still
/// run.
#[must_use]
pub fn gone(last: &Job, family: &Family) -> Option<ChildState> {
    if runs(family) {
        return None;
    }
    let ends = ends(family);
    Some(match (verdict(last).map(|(verdict, _)| verdict), ends.as_slice()) {
        (Some(Verdict::Done), _) => done(last, family),
        (Some(Verdict::Failed), _) if !told_to_end(last) => failed(last, family),
        (_, [End { state, .. }]) if is_single(last) && all_known(last, family) => state.clone(),
        _ if has_all(last, family) => ChildState::Succeeded(outputs(last, family)),
        _ if never_started(last, family) => {
            nothing(&ends, "was deleted before a pod of it started".into())
        }
        _ => unknown(&ends, "was deleted while a pod of it may have run".into()),
    })
}

/// Whether a pod may still run.
#[must_use]
pub fn runs(family: &Family) -> bool {
    family.pods.iter().any(|pod| !has_ended(pod))
}

/// Whether a pod may still run that nobody has told to go.
#[must_use]
pub fn runs_on(family: &Family) -> bool {
    family.pods.iter().any(|pod| pod.metadata.deletion_timestamp.is_none() && !has_ended(pod))
}

/// Whether the Job has ended and these are not the pods that tell how: a cache of pods may be older
/// than that of Jobs.
#[must_use]
pub fn wants_pods(job: &Job, family: &Family) -> bool {
    let told = |wanted: fn(&ChildState) -> bool| ends(family).iter().any(|end| wanted(&end.state));
    match verdict(job).map(|(verdict, _)| verdict) {
        Some(Verdict::Done) => {
            let tells =
                |end: &End<'_>| hands_on(job, end.pod) && pod::state::exited_with_zero(end.pod);
            (may_hand_on(job) && !ends(family).iter().any(tells))
                || (told_to_end(job) && !has_all(job, family))
        }
        Some(Verdict::Failed) => !told(|state| {
            matches!(state, ChildState::Failed(Failure { reached: Reached::Answer, .. }))
        }),
        None => false,
    }
}

/// Says that a pod may still run although it should have ended more than 60 s ago, where nothing
/// but its end is awaited.
#[must_use]
pub fn stuck(job: Option<&Job>, family: &Family, now: Timestamp) -> Option<String> {
    let ends = job.is_none_or(|job| is_deleted(job) || verdict(job).is_some());
    family.pods.iter().filter(|_| ends).find_map(|pod| pod::state::stuck(pod, now))
}

/// Whether the Job succeeded, by its own word.
#[must_use]
pub fn succeeded(job: &Job) -> bool {
    condition(job, "Complete").is_some()
}

/// How the attempt ended, if it did.
fn end(job: &Job, family: &Family) -> Option<ChildState> {
    match verdict(job) {
        Some((_, finished)) if !finished && runs(family) => None,
        Some((Verdict::Done, _)) if told_to_end(job) && runs(family) => None,
        Some((Verdict::Done, _)) => Some(done(job, family)),
        // What its pods are told to end with is no answer.
        _ if is_deleted(job) => None,
        Some((Verdict::Failed, _)) => Some(failed(job, family)),
        None if is_single(job) && !is_suspended(job) => of_single(family),
        None => None,
    }
}

/// The end of the only pod there ever was.
fn of_single(family: &Family) -> Option<ChildState> {
    Some(pod::state::state(only_pod(family)?, Duration::ZERO))
        .filter(|state| !matches!(state, ChildState::Active { .. }))
}

/// The only pod there ever was, while nobody deletes it.
fn only_pod(family: &Family) -> Option<&Pod> {
    let [pod] = family.pods.as_slice() else { return None };
    (family.gone.is_empty() && !family.lost && pod.metadata.deletion_timestamp.is_none())
        .then_some(pod)
}

/// The end by a signal of the only pod of a Job, held up by another container of it, as
/// [`pod::state::held_up`](crate::objects::pod::state::held_up) has it.
#[must_use]
pub fn held_up(job: &Job, family: &Family) -> Option<(ChildState, Duration)> {
    let awaited =
        verdict(job).is_none() && is_single(job) && !is_suspended(job) && !is_deleted(job);
    only_pod(family).filter(|_| awaited).and_then(pod::state::held_up)
}

/// The end of a Job that says it is done.
fn done(job: &Job, family: &Family) -> ChildState {
    if !told_to_end(job) || has_all(job, family) || broken(Twin::JobCountsAll) {
        return ChildState::Succeeded(outputs(job, family));
    }
    unknown(
        &ends(family),
        "was told to end before it was done, and its pods may have done their work".into(),
    )
}

/// Whether so many of its pods as the Job wants are known to have succeeded before they were told
/// to go.
fn has_all(job: &Job, family: &Family) -> bool {
    let ends = ends(family);
    let succeeded = ends.iter().filter(|end| matches!(end.state, ChildState::Succeeded(_)));
    let parts: BTreeSet<_> = if job.spec.as_ref().is_some_and(is_indexed) {
        succeeded.filter_map(|end| index_of(end.pod)).collect()
    } else {
        succeeded.filter_map(|end| end.pod.metadata.uid.as_deref()).collect()
    };
    let wanted = job.spec.as_ref().and_then(|spec| spec.completions).unwrap_or(1).max(1);
    usize::try_from(wanted).is_ok_and(|wanted| parts.len() >= wanted)
}

/// One pod's end.
struct End<'a> {
    pod: &'a Pod,
    state: ChildState,
}

/// How the pods ended, the oldest first; those that run are Active.
fn ends(family: &Family) -> Vec<End<'_>> {
    let gone = family.gone.iter().map(|pod| End { pod, state: pod::state::gone(pod) });
    let there =
        family.pods.iter().map(|pod| End { pod, state: pod::state::state(pod, Duration::ZERO) });
    let mut ends: Vec<_> = gone.chain(there).collect();
    let age = |end: &End<'_>| {
        (end.pod.metadata.creation_timestamp.as_ref().map(|at| at.0), end.pod.metadata.name.clone())
    };
    ends.sort_by_key(age);
    ends
}

/// The end of a Job that failed: what its newest pod that said no by itself says.
fn failed(job: &Job, family: &Family) -> ChildState {
    let ends = ends(family);
    let says_no = |end: &&End<'_>| {
        matches!(end.state, ChildState::Failed(Failure { reached: Reached::Answer, .. }))
    };
    if let Some(End { pod, state: ChildState::Failed(failure) }) = ends.iter().rev().find(says_no) {
        let message =
            if is_single(job) { failure.message.clone() } else { of_pod(pod, &failure.message) };
        // All pods of the Job have one key. What another one may have done, the code of the newest
        // does not tell.
        let alike = |end: &End<'_>| {
            matches!(
                &end.state,
                ChildState::Failed(other)
                    if other.reached == Reached::Nothing || other.exit_code == failure.exit_code
            )
        };
        let reached = if all_known(job, family) && ends.iter().all(alike) {
            failure.reached
        } else {
            Reached::Work
        };
        return ChildState::Failed(Failure { reached, message, ..failure.clone() });
    }
    let why = verdict_of(job)
        .and_then(|condition| labelled(condition.reason.as_ref(), condition.message.as_ref()));
    let why = why.unwrap_or_else(|| "failed, and gives no reason".into());
    if never_started(job, family) { nothing(&ends, why) } else { unknown(&ends, why) }
}

/// The failure of a Job of which nothing ever started.
fn nothing(ends: &[End<'_>], why: String) -> ChildState {
    let of = |end: &End<'_>| {
        if let ChildState::Failed(failure) = &end.state { Some(failure.clone()) } else { None }
    };
    let disrupted =
        !ends.is_empty() && ends.iter().all(|end| of(end).is_some_and(|failure| failure.disrupted));
    let message = ends.iter().rev().find_map(of).map_or(why, |failure| failure.message);
    let reached = Reached::Nothing;
    ChildState::Failed(Failure {
        reached,
        last: false,
        exit_code: None,
        disrupted,
        retry_after: None,
        message: one_line(&message),
    })
}

/// The end of a Job of which a pod may have done its work.
fn unknown(ends: &[End<'_>], why: String) -> ChildState {
    let of = |end: &End<'_>| {
        if let ChildState::Unknown { message, .. } = &end.state {
            Some(message.clone())
        } else {
            None
        }
    };
    let said = ends.iter().rev().find_map(of);
    ChildState::Unknown { message: one_line(&said.unwrap_or(why)), retry_after: None }
}

/// Whether it is certain that no pod of the Job ever started.
fn never_started(job: &Job, family: &Family) -> bool {
    let nothing = |end: &End<'_>| {
        matches!(end.state, ChildState::Failed(Failure { reached: Reached::Nothing, .. }))
    };
    let ends = ends(family);
    let counted = |count: fn(&JobStatus) -> Option<i32>| {
        job.status.as_ref().and_then(count).unwrap_or_default()
    };
    let known = i32::try_from(ends.len()).unwrap_or(i32::MAX);
    // What the Job counts and nobody here saw may have lost the labels by which pods are watched.
    let unended = counted(|status| status.active).saturating_add(counted(|status| status.failed));
    let none_unseen = counted(|status| status.succeeded) == 0 && unended <= known;
    all_known(job, family) && none_unseen && ends.iter().all(nothing)
}

/// Whether there were no pods of which nothing is known, those apart that the Job counts.
fn all_known(job: &Job, family: &Family) -> bool {
    let was_suspended = job
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten())
        .any(|known| known.type_ == SUSPENDED);
    !family.lost && (family.whole || !was_suspended)
}

/// What the Job hands on: the word of its only pod, or of the pod with the index 0.
fn outputs(job: &Job, family: &Family) -> Option<Map<String, Value>> {
    let mut ends = ends(family);
    ends.sort_by(|a, b| a.pod.metadata.name.cmp(&b.pod.metadata.name));
    ends.into_iter()
        .filter(|end| hands_on(job, end.pod))
        .find_map(|end| pod::state::last_word(end.pod))
}

/// What a Job that goes on does or waits for, and the trouble that a pod of it has.
fn detail(job: &Job, family: &Family) -> (String, Option<Trouble>) {
    if is_deleted(job) {
        return ("is being deleted".into(), None);
    }
    if let Some((verdict, _)) = verdict(job) {
        let how = if verdict == Verdict::Done { "succeeds" } else { "fails" };
        return (format!("{how}; the end of its pods is awaited"), None);
    }
    if is_suspended(job) {
        return ("is suspended".into(), None);
    }
    let mut active: Vec<_> = family
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

fn going_on(pod: &Pod) -> Option<(String, Option<Trouble>)> {
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
