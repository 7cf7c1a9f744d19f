//! The real Pods and Jobs that the API server returns for a simulated child.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::{
    api::{
        batch::v1::{Job, JobCondition, JobStatus},
        core::v1::{
            ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStatus, Pod,
            PodCondition, PodStatus,
        },
    },
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time},
};

use crate::{
    api::names::idempotency_key,
    clock::later,
    model::saga::{Identity, Work},
    objects::{
        job::{self, build::trial_pod},
        pod::{
            self,
            fields::{CONTROLLER_UID, deciding},
        },
    },
    world::state::{
        child::{JobNow, Made, PodNow, StoredChild, pod_uid},
        reconcile::Start,
        world::World,
    },
};

/// The grace period of a Pod, in seconds.
const GRACE: u32 = 30;

/// Returns the object that the operator sends to the API server for an attempt; `None` if no object
/// can be built.
pub(super) fn build(world: &World, start: &Start, number: u32) -> Option<Made> {
    let saga = world.object().saga();
    let operation = saga.steps.get(start.attempt.place)?.operation(start.attempt.direction)?;
    let id = world.id(start.attempt);
    let key = idempotency_key(&saga.key_scope, &id.step, id.direction, start.key);
    let identity = Identity {
        saga: saga.name.clone(),
        namespace: saga.namespace.clone(),
        uid: saga.uid.clone(),
        attempt: id,
        key,
    };
    match &operation.work {
        Work::Pod(action) => {
            let mut pod = pod::build::pod(saga, &identity, action, operation.timeout).ok()?;
            pod.metadata.uid = Some(pod_uid(number));
            pod.spec.get_or_insert_default().node_name = Some("node".into());
            Some(Made::Pod(Arc::new(pod)))
        }
        Work::Job(action) => {
            let mut job = job::build::job(saga, &identity, action, operation.timeout).ok()?;
            job.metadata.uid = Some(pod_uid(number));
            let pod = pod_of(&job)?;
            Some(Made::Job(Arc::new(job), Arc::new(pod)))
        }
        Work::Http(_)
        | Work::Apply(_)
        | Work::Delete(_)
        | Work::Until(_)
        | Work::Saga(_)
        | Work::UndoSaga
        | Work::Approval(_)
        | Work::Wait(_) => None,
    }
}

/// Returns the pod that the Job controller creates for a Job.
fn pod_of(job: &Job) -> Option<Pod> {
    let mut pod = trial_pod(job)?;
    let (name, uid) = (job.metadata.name.clone()?, job.metadata.uid.clone()?);
    pod.metadata.name = Some(format!("{name}-0"));
    pod.metadata.uid = Some(format!("{uid}-0"));
    pod.metadata.labels.get_or_insert_default().insert(CONTROLLER_UID.to_owned(), uid.clone());
    let owner = OwnerReference {
        api_version: "batch/v1".into(),
        kind: "Job".into(),
        name,
        uid,
        controller: Some(true),
        block_owner_deletion: Some(true),
    };
    pod.metadata.owner_references = Some(vec![owner]);
    pod.spec.get_or_insert_default().node_name = Some("node".into());
    Some(pod)
}

/// Returns the Pod of a child, or the pod of its Job, if it exists.
pub(super) fn pod_value(child: &StoredChild) -> Option<Pod> {
    let (Made::Pod(made) | Made::Job(_, made)) = &child.made;
    let now = child.pod.as_ref()?;
    let mut pod = Pod::clone(made);
    strip(&mut pod.metadata, now.owner, now.labels);
    if child.is_job() && !now.labels {
        pod.metadata.labels = Some([(CONTROLLER_UID.to_owned(), child.uid())].into());
    }
    if let Some(asked) = now.deleted {
        pod.metadata.deletion_timestamp =
            Some(Time(later(asked, Duration::from_secs(GRACE.into()))));
        pod.metadata.deletion_grace_period_seconds = Some(GRACE.into());
    }
    pod.status = Some(pod_status(deciding(&pod), now));
    Some(pod)
}

/// Returns the Job of a child, if it exists.
pub(super) fn job_value(child: &StoredChild) -> Option<Job> {
    let Made::Job(made, _) = &child.made else { return None };
    let now = child.job.as_ref()?;
    let mut job = Job::clone(made);
    strip(&mut job.metadata, now.owner, now.labels);
    job.metadata.deletion_timestamp = now.deleted.map(|(asked, _)| Time(asked));
    if now.suspended {
        job.spec.get_or_insert_default().suspend = Some(true);
    }
    job.status = Some(job_status(now, child.pod.as_ref()));
    Some(job)
}

fn strip(metadata: &mut ObjectMeta, owner: bool, labels: bool) {
    if !owner {
        metadata.owner_references = None;
    }
    if !labels {
        metadata.labels = Some(BTreeMap::new());
    }
}

fn pod_status(container: &str, now: &PodNow) -> PodStatus {
    let by_node = now.by_node && !now.runs();
    let phase = match now.exit {
        None => "Running",
        Some(_) if by_node => "Failed",
        Some((way, _)) if way.code() == 0 => "Succeeded",
        Some(_) => "Failed",
    };
    let disruption = (now.disrupted || by_node).then(|| PodCondition {
        type_: "DisruptionTarget".into(),
        status: "True".into(),
        reason: Some(if by_node { "TerminationByKubelet" } else { "EvictionByEvictionAPI" }.into()),
        ..PodCondition::default()
    });
    let started = Some(Time(Timestamp::UNIX_EPOCH + Duration::from_secs(1)));
    let state = match now.exit {
        None => ContainerState {
            running: Some(ContainerStateRunning { started_at: started }),
            ..ContainerState::default()
        },
        Some((way, at)) => ContainerState {
            terminated: Some(ContainerStateTerminated {
                exit_code: way.code(),
                reason: Some(if way.code() == 0 { "Completed" } else { "Error" }.into()),
                started_at: started,
                finished_at: Some(Time(at)),
                ..ContainerStateTerminated::default()
            }),
            ..ContainerState::default()
        },
    };
    PodStatus {
        phase: Some(phase.into()),
        reason: by_node.then(|| "Terminated".into()),
        conditions: Some(disruption.into_iter().collect()),
        container_statuses: Some(vec![ContainerStatus {
            name: container.to_owned(),
            state: Some(state),
            ..ContainerStatus::default()
        }]),
        ..PodStatus::default()
    }
}

fn job_status(now: &JobNow, pod: Option<&PodNow>) -> JobStatus {
    let condition = |type_: &str, at: Option<Timestamp>| JobCondition {
        type_: type_.into(),
        status: "True".into(),
        last_transition_time: at.map(Time),
        ..JobCondition::default()
    };
    let suspended = now.suspended.then(|| condition("Suspended", None));
    let verdict =
        now.verdict.map(|(done, at)| condition(if done { "Complete" } else { "Failed" }, Some(at)));
    let counted =
        |wanted: bool| Some(i32::from(now.verdict.is_some_and(|(done, _)| done == wanted)));
    JobStatus {
        conditions: Some(suspended.into_iter().chain(verdict).collect()),
        active: Some(i32::from(
            pod.is_some_and(|pod| pod.runs() && pod.tracked && pod.deleted.is_none()),
        )),
        succeeded: counted(true),
        failed: counted(false),
        ..JobStatus::default()
    }
}
