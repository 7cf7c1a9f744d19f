//! Builds the input of a plan.

use jiff::Timestamp;

use crate::{
    api::{StoredSaga, names::FINALIZER},
    controller::{cluster::connection::Cluster, observe::leftovers::leaves_any},
    model::{
        input::{OpenRequests, PlanInput, StoredFacts, Surroundings, ThisProcess},
        observation::Observations,
        versions::Versions,
    },
};

/// Builds the input of a plan of a process that knows of no limits and has no executor.
pub(in crate::controller) fn seen<'a>(
    stored: &'a StoredSaga,
    cluster: &'a Cluster,
    children: &'a Observations,
    now: Timestamp,
) -> PlanInput<'a> {
    let metadata = &stored.metadata;
    PlanInput {
        stored: StoredFacts {
            generation: metadata.generation.unwrap_or_default(),
            deleting: metadata.deletion_timestamp.is_some(),
            finalizer: metadata.finalizers.iter().flatten().any(|finalizer| finalizer == FINALIZER),
            spec_hash: &stored.spec_hash,
            deletion_policy: stored.deletion_policy,
            status: &stored.status,
            salvaged: &stored.salvaged,
            keys_from: &stored.keys_from,
        },
        requests: OpenRequests {
            asked: &stored.asked,
            handled: stored.handled,
            patch_alone: cluster.request_policy.is_patch_alone(),
        },
        surroundings: Surroundings {
            children,
            leftovers: leaves_any(cluster, stored, now),
            terminating: false,
            parent_holds: false,
            precheck: None,
        },
        process: ThisProcess::default(),
        versions: Versions::of(stored.strangers.as_deref(), None),
        now,
    }
}
