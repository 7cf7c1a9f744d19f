//! Prechecks a saga before its first step runs. Its Pods and objects are dry-run under the account
//! that the steps will use. The precheck also looks for the Secrets that the HTTP requests read.
//!
//! # Guarantees
//! - The precheck stores nothing: every write is `dryRun=All`.
//! - The precheck refuses only what the API server says can never succeed: malformed, or not
//!   allowed. Three cases count as unchecked and never hold a saga up: an earlier step may mend the
//!   refusal; the cause is temporary (quota, an API server that does not answer); or a webhook does
//!   not support dry run.
//! - Once the saga is refused, few further operations are tried: see [`SoFar`].
//! - Each operation waits for a place in the gate of the process, which is fair to namespaces.

pub(super) mod so_far;

use std::time::Duration;

use futures::{StreamExt, stream::FuturesUnordered};
use k8s_openapi::api::core::v1::Pod;
use kube::{Resource, api::PostParams};
use tokio::time::{Instant, timeout};

use self::so_far::{LONGEST, SoFar};
use super::{
    cluster::{
        connection::Cluster,
        impersonate::{Account, ObjectTarget, target},
        objects::WriteMode,
        refusal::{ApiRefusal, ErrorClass, Refused, classify},
        secrets::{SecretError, SecretReader},
    },
    evaluations::{Evaluations, Weight},
    limits::gate::FairGate,
    memory::prechecks::{FixedBy, PrecheckVerdict, Prechecks},
    workload::Workload,
};
use crate::{
    api::{HttpAction, Saga, SagaAction, names::child_name},
    digest::sha256_hex,
    engine::precheck::{Probe, probes},
    model::{
        input::Precheck,
        saga::{ValidSaga, Work},
    },
    objects::{
        child_saga::{ChildStart, child_saga},
        job, pod,
        stored::StoredObject,
    },
    service::metrics::Metrics,
    text::bounded_line,
};

/// The number of operations of one saga that are tried at once.
const AT_ONCE: usize = 4;

/// After how long a saga lets other sagas have their turn. It continues in its next turn.
const TURN: Duration = Duration::from_secs(10);

/// The most characters of an API server's message that are kept.
const MAX_REASON: usize = 300;

/// What a precheck needs.
#[derive(Clone, Copy)]
pub(super) struct Tools<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) secrets: &'a SecretReader,
    pub(super) evaluations: &'a Evaluations,
    /// The results of earlier prechecks.
    pub(super) prechecks: &'a Prechecks,
    /// Admits the operations that are tried.
    pub(super) gate: &'a FairGate,
    pub(super) metrics: &'a Metrics,
}

/// Prechecks a saga. `anew`: kept results of equal operations do not count. Returns `None` if the
/// time of one turn did not suffice. The next turn continues with what is known so far.
pub(super) async fn precheck(
    tools: Tools<'_>,
    saga: &ValidSaga,
    anew: bool,
    so_far: &mut SoFar,
) -> Option<Precheck> {
    let (probes, unchecked) = tools
        .evaluations
        .run(&saga.namespace, Weight::of(saga.has_expressions() || saga.has_children()), || {
            probes(saga)
        })
        .await;
    let of = |probe: &Probe| {
        sha256_hex(&[&saga.namespace, &saga.service_account, &format!("{:?}", probe.work)])
    };
    let probes: Vec<(String, Probe)> =
        probes.into_iter().map(|probe| (of(&probe), probe)).collect();
    let finished = try_all(tools, &probes, anew, so_far).await;
    finished.then(|| so_far.judged(&probes, unchecked))
}

/// Tries the operations that have no verdict yet, in the order of the spec. Returns whether none is
/// left for another turn.
async fn try_all(
    tools: Tools<'_>,
    probes: &[(String, Probe)],
    anew: bool,
    so_far: &mut SoFar,
) -> bool {
    let ends = Instant::now() + TURN;
    let mut left = so_far.left(probes).into_iter().peekable();
    let mut under_way = FuturesUnordered::new();
    loop {
        while under_way.len() < AT_ONCE
            && so_far.goes_on(under_way.len())
            && Instant::now() < ends
            && let Some((hash, probe)) = left.next()
        {
            under_way.push(async move { (hash, verdict(tools, hash, probe, anew).await) });
        }
        let Some((hash, verdict)) = under_way.next().await else { break };
        so_far.note(probes, hash, verdict);
    }
    left.peek().is_none() || !so_far.goes_on(0)
}

/// Returns the kept verdict on an operation of this hash, or tries the operation in its turn.
async fn verdict(tools: Tools<'_>, hash: &str, probe: &Probe, anew: bool) -> PrecheckVerdict {
    let known = || if anew { None } else { tools.prechecks.known(hash) };
    if let Some(known) = known() {
        return known;
    }
    let _pass = tools.gate.enter(&probe.saga.namespace).await;
    // Another saga may have tried the same meanwhile.
    if let Some(known) = known() {
        return known;
    }
    let _counted = tools.metrics.trials.in_flight();
    let verdict = timeout(LONGEST, Box::pin(tried(tools, probe))).await.unwrap_or_else(|_| {
        PrecheckVerdict::Unchecked("the API server did not answer in time".into())
    });
    tools.prechecks.remember(hash.to_owned(), verdict.clone());
    verdict
}

/// Tries one operation.
async fn tried(tools: Tools<'_>, probe: &Probe) -> PrecheckVerdict {
    let Probe { saga, work, .. } = probe;
    let account = Account { namespace: &saga.namespace, name: &saga.service_account };
    match work {
        Work::Pod(action) => {
            try_child(tools.cluster, pod::build::pod(saga, &probe.identity(), action, LONGEST))
                .await
        }
        // Kubernetes checks the pods of a Job only when it creates them, and reports a refusal only
        // in events. So a pod is tried in addition to the Job.
        Work::Job(action) => match job::build::job(saga, &probe.identity(), action, LONGEST) {
            Err(message) => PrecheckVerdict::Refused(FixedBy::Nothing, message),
            Ok(job) => {
                match (try_child(tools.cluster, Ok(job.clone())).await, job::build::trial_pod(&job))
                {
                    (PrecheckVerdict::Fine, Some(pod)) => {
                        try_child::<Pod>(tools.cluster, Ok(pod)).await
                    }
                    (verdict, _) => verdict,
                }
            }
        },
        Work::Apply(action) => {
            let tried = tools
                .cluster
                .objects
                .apply(ObjectTarget::applied(account, action), action, "", WriteMode::DryRun)
                .await;
            tried.map_or_else(of_refusal, |_| PrecheckVerdict::Fine)
        }
        Work::Http(action) => try_secrets(tools.secrets, account, action).await,
        Work::Saga(action) => try_saga(tools.cluster, probe, action).await,
        Work::Delete(_) | Work::Until(_) | Work::UndoSaga | Work::Approval(_) | Work::Wait(_) => {
            PrecheckVerdict::Fine
        }
    }
}

fn of_refusal(trouble: ApiRefusal) -> PrecheckVerdict {
    match trouble {
        ApiRefusal::Final(
            Refused::Malformed | Refused::Forbidden | Refused::NotImpersonated,
            message,
        ) => PrecheckVerdict::Refused(FixedBy::Objects, message),
        ApiRefusal::Final(Refused::Nowhere, message) => {
            PrecheckVerdict::Refused(FixedBy::Places, message)
        }
        // For example, a conflict over fields that another manager may have given up by then.
        ApiRefusal::Final(Refused::NoDryRun | Refused::TooLarge | Refused::Otherwise, message)
        | ApiRefusal::NoKind(_, message)
        | ApiRefusal::Passes(message)
        | ApiRefusal::Lost(message) => PrecheckVerdict::Unchecked(message),
    }
}

async fn try_child<K: Workload>(cluster: &Cluster, built: Result<K, String>) -> PrecheckVerdict {
    let child = match built {
        Ok(child) => child,
        Err(message) => return PrecheckVerdict::Refused(FixedBy::Nothing, message),
    };
    let parameters = PostParams { dry_run: true, ..PostParams::default() };
    match K::api(cluster, child.meta().namespace.as_deref().unwrap_or_default())
        .create(&parameters, &StoredObject(child))
        .await
    {
        Ok(_) => PrecheckVerdict::Fine,
        Err(kube::Error::Api(status)) if status.code == 409 => PrecheckVerdict::Fine,
        Err(kube::Error::Api(status)) => {
            let said = bounded_line(&status.message, MAX_REASON);
            match classify(&kube::Error::Api(status)) {
                ErrorClass::Permanent(Refused::Forbidden | Refused::NotImpersonated) => {
                    PrecheckVerdict::Refused(FixedBy::Objects, said)
                }
                ErrorClass::Permanent(Refused::Malformed) => {
                    PrecheckVerdict::Refused(FixedBy::Nothing, said)
                }
                ErrorClass::Permanent(_)
                | ErrorClass::Exists
                | ErrorClass::Conflict
                | ErrorClass::Passing
                | ErrorClass::Lost => PrecheckVerdict::Unchecked(said),
            }
        }
        Err(_) => PrecheckVerdict::Unchecked("the API server did not answer".into()),
    }
}

/// Dry-runs the create of the child saga under the account that will create it.
async fn try_saga(cluster: &Cluster, probe: &Probe, action: &SagaAction) -> PrecheckVerdict {
    let (saga, identity) = (probe.saga.as_ref(), probe.identity());
    let child = child_saga(saga, &identity, action, &ChildStart::default());
    let api_version = Saga::api_version(&());
    let name = child_name(&saga.name, &saga.uid, &identity.attempt);
    let tried =
        cluster.objects.create(target(saga, &name, &api_version), &child, WriteMode::DryRun).await;
    tried.map_or_else(of_refusal, |_| PrecheckVerdict::Fine)
}

async fn try_secrets(
    secrets: &SecretReader,
    account: Account<'_>,
    action: &HttpAction,
) -> PrecheckVerdict {
    for source in action.headers.iter().flatten().filter_map(|header| header.value_from.as_ref()) {
        let verdict = of_secret(secrets.read(account, &source.secret_key_ref).await.map(drop));
        if verdict != PrecheckVerdict::Fine {
            return verdict;
        }
    }
    let Some(tls) = &action.tls else { return PrecheckVerdict::Fine };
    let read = match (&tls.ca.secret_key_ref, &tls.ca.config_map_key_ref) {
        (Some(key), _) => secrets.read(account, key).await.map(drop),
        (None, Some(key)) => secrets.read_config_map(account, key).await.map(drop),
        (None, None) => Ok(()),
    };
    of_secret(read)
}

fn of_secret(read: Result<(), SecretError>) -> PrecheckVerdict {
    let Err(error) = read else { return PrecheckVerdict::Fine };
    let message = error.to_string();
    match error {
        SecretError::Passing { .. } => PrecheckVerdict::Unchecked(message),
        SecretError::NoObject { .. } | SecretError::NoKey { .. } | SecretError::TooLarge { .. } => {
            PrecheckVerdict::Refused(FixedBy::Secrets, message)
        }
        SecretError::Forbidden { .. } | SecretError::NotImpersonated { .. } => {
            PrecheckVerdict::Refused(FixedBy::Objects, message)
        }
        SecretError::BadName { .. } => PrecheckVerdict::Refused(FixedBy::Nothing, message),
    }
}

#[cfg(test)]
mod tests;
