//! Builds the input of a plan.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::{
    api::{SagaPhase, StoredSaga, names::FINALIZER},
    controller::{cluster::connection::Cluster, observe::leftovers::leaves_any},
    model::{
        input::{BreakerAllowance, PlanInput, Precheck},
        observation::Observations,
        origin::Origin,
        skew::Skew,
        versions::Versions,
    },
};

/// Builds the input of the plan from the saga alone, without what this process knows of itself.
pub(in crate::controller) fn seen<'a>(
    stored: &'a StoredSaga,
    cluster: &'a Cluster,
    children: &'a Observations,
    now: Timestamp,
) -> PlanInput<'a> {
    static UNLIMITED: BTreeMap<String, usize> = BTreeMap::new();
    static FINE: Precheck = Precheck { refused: Vec::new(), unchecked: Vec::new() };
    static CLOSED: BTreeMap<Origin, BreakerAllowance> = BTreeMap::new();
    let metadata = &stored.metadata;
    let terminal =
        stored.status.as_ref().is_ok_and(|status| status.phase.is_some_and(SagaPhase::is_terminal));
    PlanInput {
        generation: metadata.generation.unwrap_or_default(),
        deleting: metadata.deletion_timestamp.is_some(),
        terminating: false,
        finalizer: metadata.finalizers.iter().flatten().any(|finalizer| finalizer == FINALIZER),
        parent_holds: false,
        spec_hash: &stored.spec_hash,
        deletion_policy: stored.deletion_policy,
        status: &stored.status,
        salvaged: &stored.salvaged,
        asked: &stored.asked,
        handled: stored.handled,
        keys_from: &stored.keys_from,
        children,
        leftovers: terminal && leaves_any(cluster, stored),
        precheck: &FINE,
        patch_alone: cluster.request_policy.is_patch_alone(),
        executor: "",
        skew: Skew::default(),
        host_capacity: &UNLIMITED,
        circuits: &CLOSED,
        versions: Versions::of(stored.strangers.as_deref(), None),
        draining: false,
        now,
    }
}
