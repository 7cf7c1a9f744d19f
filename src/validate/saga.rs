//! Turns what a user wrote into a valid saga, or into all reasons why the spec is not valid.
//!
//! # Guarantees
//! Every rule of the schema is checked again here with the same words, since a CRD can be older
//! than the operator. All faults are found, not just the first. Each fault names its field path and
//! says what to write instead. If there are very many faults, only the first are reported, and the
//! work of finding them is bounded for every spec.

use std::{cell::Cell, collections::BTreeSet, time::Duration};

use serde_json::Map;

use super::{
    acceptance::Acceptance,
    action, floors,
    given::Params,
    job, pod,
    read_scope::{self, ReadScope},
    retry,
    steps::validate_steps,
};
use crate::{
    api::{DEFAULT_RETRY_REQUESTS, Decoded, GoDuration, MAX_STEPS, SagaSpec, names::is_token},
    expression::scope::Scope,
    fault::{Fault, mark_broken, tell_no_more},
    model::saga::{SagaName, ValidSaga},
};

const MAX_PARALLEL: i32 = 64;
/// The most retry requests that a spec may allow.
const MAX_RETRY_REQUESTS: i32 = 1000;

/// Checks a spec and fills in the defaults of fields that are not set.
///
/// # Errors
/// Returns all faults of the spec, in the order of its fields. The list is never empty. If there
/// are very many faults, the list holds the first of them, and a note that there are more.
pub fn validate(who: &SagaName, spec: &SagaSpec) -> Result<ValidSaga, Vec<Fault>> {
    validate_as_of(who, spec, Acceptance::Pending)
}

fn validate_as_of(
    who: &SagaName,
    spec: &SagaSpec,
    acceptance: Acceptance,
) -> Result<ValidSaga, Vec<Fault>> {
    let (work, met) = (Cell::new(0), Cell::new(false));
    let (saga, mut faults) = check_as(
        who,
        spec,
        Params {
            known: true,
            of_another: false,
            acceptance,
            work: &work,
            met: &met,
            check_child: validate_as,
        },
    );
    let are_doubts =
        |faults: &[Fault]| faults.iter().all(|fault| !fault.broken && fault.is_in_what_is_fixed());
    if faults.is_empty() || (acceptance.is_done() && are_doubts(&faults)) {
        return Ok(ValidSaga { doubts: faults, ..saga });
    }
    tell_no_more(&mut faults);
    Err(faults)
}

/// What the params of a saga hold before anything runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ParamValues {
    /// The params hold their final values.
    Final,
    /// Expressions stand among the params.
    Unevaluated,
}

/// Returns the child saga as it will be created, to try its operations before it exists. `None` if
/// the child is not valid. The caller gives the name, the namespace and the UID of the child.
pub(crate) fn valid_child(
    (name, namespace, uid): (String, String, String),
    spec: &SagaSpec,
    params: ParamValues,
) -> Option<ValidSaga> {
    let (work, met) = (Cell::new(0), Cell::new(false));
    let given = Params {
        known: params == ParamValues::Final,
        of_another: params == ParamValues::Unevaluated,
        acceptance: Acceptance::Pending,
        work: &work,
        met: &met,
        check_child: validate_as,
    };
    validate_as(&SagaName { name, namespace, uid }, spec, given).ok()
}

pub(in crate::validate) fn validate_as(
    who: &SagaName,
    spec: &SagaSpec,
    given: Params<'_>,
) -> Result<ValidSaga, Vec<Fault>> {
    let (saga, faults) = check_as(who, spec, given);
    if faults.is_empty() { Ok(saga) } else { Err(faults) }
}

/// Returns the saga and its faults. The saga is usable if none of its faults is broken.
fn check_as(who: &SagaName, spec: &SagaSpec, given: Params<'_>) -> (ValidSaga, Vec<Fault>) {
    let mut faults = Vec::new();
    check_fields(who, spec, &mut faults);
    let defaults = spec.defaults.clone().unwrap_or_default();
    retry::check_defaults(&defaults, &mut faults);
    let params = spec.params.clone().unwrap_or_default();
    // If the params are larger than an expression may read, no expression is tried.
    let too_large = read_scope::too_large(&params);
    let (met, before_steps) = (Cell::new(false), faults.len());
    let given = Params { known: given.known && too_large.is_none(), met: &met, ..given };
    let scope = Scope::new(&params, [&who.name, &who.namespace, &who.uid]);
    let steps = validate_steps(&spec.steps, &defaults, (scope, given), &mut faults);
    if steps.len() < spec.steps.len() {
        mark_broken(&mut faults);
    }
    let all: BTreeSet<_> = spec.steps.iter().map(|step| step.name.as_str()).collect();
    let reads = ReadScope::action(&all, &all, Some(scope), given);
    let outputs = read_scope::outputs(spec.outputs.as_ref(), "spec.outputs", &reads, &mut faults);
    let saga = ValidSaga {
        name: who.name.clone(),
        namespace: who.namespace.clone(),
        uid: who.uid.clone(),
        key_scope: spec.idempotency_prefix.clone().unwrap_or_else(|| who.uid.clone()),
        service_account: spec.account().to_owned(),
        tokens_unasked: given.acceptance == Acceptance::Earlier,
        max_parallel: spec.max_parallel.map_or(1, |most| usize::try_from(most).unwrap_or(1)),
        on_failure: spec.on_failure.unwrap_or_default(),
        timeout: spec.timeout.and_then(GoDuration::positive),
        ttl: spec
            .ttl_seconds_after_finished
            .and_then(|ttl| u64::try_from(ttl).ok())
            .map(Duration::from_secs),
        suspend: spec.suspend.unwrap_or_default(),
        deletion_policy: spec.deletion_policy.unwrap_or_default(),
        max_retry_requests: spec.max_retry_requests.unwrap_or(DEFAULT_RETRY_REQUESTS).into(),
        outputs,
        params: Map::new(),
        doubts: Vec::new(),
        raised: floors::raised(spec, &steps),
        steps,
    };
    pod::check_accounts(&saga, &mut faults);
    job::check_accounts(&saga, &mut faults);
    if let Some(fault) = too_large.filter(|_| met.get()) {
        faults.insert(before_steps, fault);
    }
    (ValidSaga { params, ..saga }, faults)
}

/// Checks each field of a spec alone, except the fields that have their own checks.
fn check_fields(who: &SagaName, spec: &SagaSpec, faults: &mut Vec<Fault>) {
    let mut check = |ok: bool, path: &str, message: &str| {
        if !ok {
            faults.push(Fault::new(path, message));
        }
    };
    check(who.name.len() <= 63, "metadata.name", "a saga's name may have at most 63 characters");
    check(
        spec.idempotency_prefix.as_deref().is_none_or(is_token),
        "spec.idempotencyPrefix",
        "must have 1 to 63 letters, digits, dots, underscores and dashes",
    );
    check(
        spec.service_account_name.as_deref().is_none_or(action::is_object_name),
        "spec.serviceAccountName",
        "must be the name of a ServiceAccount",
    );
    check(
        spec.max_parallel.is_none_or(|most| (1..=MAX_PARALLEL).contains(&most)),
        "spec.maxParallel",
        "must be 1 to 64",
    );
    let retry_requests =
        spec.max_retry_requests.is_none_or(|most| (0..=MAX_RETRY_REQUESTS).contains(&most));
    check(retry_requests, "spec.maxRetryRequests", "must be 0 to 1000");
    check(
        spec.ttl_seconds_after_finished.is_none_or(|ttl| ttl >= 0),
        "spec.ttlSecondsAfterFinished",
        "must be 0 or more",
    );
    if !(1..=MAX_STEPS).contains(&spec.steps.len()) {
        faults.push(Fault::broken("spec.steps", "must have 1 to 128 steps"));
    }
    retry::check_duration(spec.timeout, "spec.timeout", faults);
}

/// Checks a spec as it is stored. It may be unreadable.
///
/// # Errors
/// Returns all faults of the spec. If the spec cannot be read, returns that fault.
pub fn validate_stored(who: &SagaName, spec: &Decoded<SagaSpec>) -> Result<ValidSaga, Vec<Fault>> {
    validate(who, readable(spec)?)
}

/// Checks a spec like [`validate_stored`], for a saga that was accepted, perhaps by another version
/// of the operator. If the field of a fault can no longer be changed, only this version finds the
/// fault: the fault becomes one of the saga's doubts. `accepted_by` is the version that accepted
/// the saga; `None` if the version did not say it yet.
///
/// # Errors
/// Returns all faults, if no saga may run with one of them. If the spec cannot be read, returns
/// that fault.
pub fn validate_accepted(
    who: &SagaName,
    spec: &Decoded<SagaSpec>,
    accepted_by: Option<&str>,
) -> Result<ValidSaga, Vec<Fault>> {
    validate_as_of(who, readable(spec)?, Acceptance::by(accepted_by))
}

/// Returns the spec, or the fault that it cannot be read.
fn readable(spec: &Decoded<SagaSpec>) -> Result<&SagaSpec, Vec<Fault>> {
    spec.as_ref().map_err(|sentence| {
        let (path, message) = sentence.split_once(": ").unwrap_or(("spec", sentence));
        vec![Fault::broken(path, message)]
    })
}
