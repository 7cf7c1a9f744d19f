//! Prechecks a saga before its first step runs. Its Pods and objects are dry-run under the account
//! that the steps will use. The precheck also looks for the Secrets that the HTTP requests read.
//!
//! # Guarantees
//! - The precheck stores nothing: every write is `dryRun=All`.
//! - The precheck refuses only what the API server says can never succeed: malformed, or not
//!   allowed. Three cases count as unchecked and never hold a saga up: an earlier step may mend the
//!   refusal; the cause is temporary (quota, an API server that does not answer); or a webhook does
//!   not support dry run.
//! - A refusal counts only if it is met again after
//!   [`BELIEVED_AFTER`](super::memory::prechecks::BELIEVED_AFTER). Roles and Secrets that were
//!   created together with the saga may take a moment to be visible.

use std::{collections::BTreeMap, time::Duration};

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::{Resource, api::PostParams};
use tokio::time::timeout;

use super::{
    cluster::{
        connection::Cluster,
        impersonate::{Account, ObjectTarget, target},
        objects::WriteMode,
        refusal::{ApiRefusal, ErrorClass, Refused, classify},
        secrets::{SecretError, SecretReader},
    },
    evaluations::{Evaluations, Weight},
    memory::prechecks::{FixedBy, PrecheckVerdict, Prechecks},
    workload::Workload,
};
use crate::{
    api::{HttpAction, Saga, SagaAction, StoredSaga, names::child_name},
    digest::sha256_hex,
    engine::{
        precheck::{Probe, probes},
        request::inbox::asks_to_check_again,
    },
    fault::Fault,
    model::{
        input::Precheck,
        saga::{ValidSaga, Work},
    },
    objects::{
        child_saga::{ChildStart, child_saga},
        job, pod,
        stored::StoredObject,
    },
    text::bounded_line,
};

/// The number of operations that are tried at once, and the time limit of one.
const AT_ONCE: usize = 8;
const LONGEST: Duration = Duration::from_secs(5);

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
}

/// Prechecks a saga that is not accepted yet. Returns `None` if the saga was refused and has to be
/// tried again before the refusal counts.
pub(super) async fn precheck(
    tools: Tools<'_>,
    stored: &StoredSaga,
    saga: &ValidSaga,
) -> Option<Precheck> {
    let accepted = stored.status.as_ref().is_ok_and(|status| status.spec_hash.is_some());
    if accepted || stored.status.is_err() || stored.metadata.deletion_timestamp.is_some() {
        return Some(Precheck::default());
    }
    // A requested recheck ignores the cached result.
    let anew = stored
        .status
        .as_ref()
        .is_ok_and(|status| asks_to_check_again(&stored.asked, stored.handled, status));
    let (probes, unchecked) = tools
        .evaluations
        .run(Weight::of(saga.has_expressions() || saga.has_children()), || probes(saga))
        .await;
    // Equal operations are tried once.
    let of = |probe: &Probe| {
        sha256_hex(&[&saga.namespace, &saga.service_account, &format!("{:?}", probe.work)])
    };
    let probes: Vec<(String, Probe)> =
        probes.into_iter().map(|probe| (of(&probe), probe)).collect();
    let different: BTreeMap<String, Probe> = probes.iter().cloned().collect();
    let verdicts: BTreeMap<String, PrecheckVerdict> = stream::iter(different)
        .map(|(hash, probe)| async move {
            let known = if anew { None } else { tools.prechecks.known(&hash) };
            let verdict = match known {
                Some(known) => known,
                None => tried(tools, &hash, &probe).await,
            };
            (hash, verdict)
        })
        .buffered(AT_ONCE)
        .collect()
        .await;
    let precheck = judged(&probes, &verdicts, unchecked);
    tools.prechecks.is_believed(&saga.uid, !precheck.refused.is_empty()).then_some(precheck)
}

/// Combines the verdicts of all operations, each with its path in the spec. `unchecked`: the
/// operations that could not be tried.
fn judged(
    probes: &[(String, Probe)],
    verdicts: &BTreeMap<String, PrecheckVerdict>,
    unchecked: Vec<String>,
) -> Precheck {
    let mut precheck = Precheck { refused: Vec::new(), unchecked };
    for (hash, probe) in probes {
        match verdicts.get(hash).map(|verdict| verdict.after(probe.may_provide)) {
            Some(PrecheckVerdict::Refused(_, message)) => {
                precheck.refused.push(Fault::new(&probe.path, message));
            }
            Some(PrecheckVerdict::Unchecked(message)) => {
                precheck.unchecked.push(format!("{} ({message})", probe.path));
            }
            Some(PrecheckVerdict::Fine) | None => {}
        }
    }
    precheck
}

/// Tries one operation, and remembers the verdict under this hash.
async fn tried(tools: Tools<'_>, hash: &str, probe: &Probe) -> PrecheckVerdict {
    let Probe { saga, work, .. } = probe;
    let account = Account { namespace: &saga.namespace, name: &saga.service_account };
    let trial = async {
        match work {
            Work::Pod(action) => {
                try_child(tools.cluster, pod::build::pod(saga, &probe.identity(), action, LONGEST))
                    .await
            }
            // Kubernetes checks the pods of a Job only when it creates them, and reports a refusal
            // only in events. So a pod is tried in addition to the Job.
            Work::Job(action) => match job::build::job(saga, &probe.identity(), action, LONGEST) {
                Err(message) => PrecheckVerdict::Refused(FixedBy::Nothing, message),
                Ok(job) => {
                    match (
                        try_child(tools.cluster, Ok(job.clone())).await,
                        job::build::trial_pod(&job),
                    ) {
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
            Work::Delete(_)
            | Work::Until(_)
            | Work::UndoSaga
            | Work::Approval(_)
            | Work::Wait(_) => PrecheckVerdict::Fine,
        }
    };
    let verdict = timeout(LONGEST, trial).await.unwrap_or_else(|_| {
        PrecheckVerdict::Unchecked("the API server did not answer in time".into())
    });
    tools.prechecks.remember(hash.to_owned(), verdict.clone());
    verdict
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
