//! Checks the steps of a saga: their names, their dependencies, and what each of them does.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use super::{
    given::Params,
    operation::{WrittenActions, WrittenOperation, operation, undo_saga},
    read_scope::{self, ReadScope},
    retry::{self, ACTION_ATTEMPTS, COMPENSATION_ATTEMPTS},
};
use crate::{
    api::{Compensation, Defaults, MAX_DEPENDENCIES, PrecheckPolicy, Step, names::is_dns_label},
    expression::{cost::MAX_TOGETHER, scope::Scope, template::Template},
    fault::{Fault, are_enough, mark_broken},
    model::saga::{Operation, ValidStep, Work},
};

/// Returns the steps up to the first that needs no check because the saga is refused already.
pub(super) fn validate_steps(
    steps: &[Step],
    defaults: &Defaults,
    (scope, given): (Scope<'_>, Params<'_>),
    faults: &mut Vec<Fault>,
) -> Vec<ValidStep> {
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut valid: Vec<ValidStep> = Vec::with_capacity(steps.len());
    let all: BTreeSet<_> = steps.iter().map(|step| step.name.as_str()).collect();
    for (place, step) in steps.iter().enumerate() {
        // The saga is refused already, so no more faults are needed.
        if are_enough(faults) || (given.work.get() > MAX_TOGETHER && !given.acceptance.is_done()) {
            break;
        }
        let path = format!("spec.steps[{place}]");
        if !is_dns_label(&step.name) {
            let message =
                "must be a DNS label: lower-case letters, digits and dashes, such as reserve-stock";
            faults.push(Fault::new(format!("{path}.name"), message));
        }
        let depends_on = dependencies(step, &places, &path, faults);
        if places.insert(&step.name, place).is_some() {
            faults.push(Fault::broken(
                format!("{path}.name"),
                format!("another step is named {} already: choose another name", step.name),
            ));
        }
        let step =
            checked_step(step, depends_on, (&valid, &all), defaults, (scope, given), &path, faults);
        valid.push(step);
    }
    valid
}

/// Returns a valid step. `earlier` holds the valid steps above it. `all` holds the names of all
/// steps.
fn checked_step(
    step: &Step,
    depends_on: Vec<usize>,
    (earlier, all): (&[ValidStep], &BTreeSet<&str>),
    defaults: &Defaults,
    (scope, given): (Scope<'_>, Params<'_>),
    path: &str,
    faults: &mut Vec<Fault>,
) -> ValidStep {
    let upstream = read_scope::upstream(&depends_on, earlier);
    // The action of a step with `when` cannot be tried: the step may never run, and its values may
    // exist only if it does.
    let known = Some(scope).filter(|_| step.when.is_none());
    let reads = ReadScope::action(&upstream, all, known, given);
    let always = ReadScope::action(&upstream, all, Some(scope), given);
    let when = step
        .when
        .as_ref()
        .and_then(|when| always.expression(when, &format!("{path}.when"), faults));
    let action = action_of(step, defaults, &reads, path, faults);
    let outputs = outputs_of(step, action.as_ref(), &reads, path, faults);
    let compensation = compensation_of(step, defaults, &reads, path, faults);
    let lost = |written: bool, made: bool| written && !made;
    if action.is_none()
        || lost(step.when.is_some(), when.is_some())
        || lost(step.outputs.is_some(), outputs.is_some())
        || lost(step.compensation.is_some(), compensation.is_some())
    {
        mark_broken(faults);
    }
    // A missing operation has already added its fault. The list of steps is used only if there is
    // no fault, but later checks find steps by their places in the list.
    let action = action.unwrap_or_else(|| {
        Operation::new(Work::Wait(Duration::ZERO), Duration::ZERO, retry::built_in(ACTION_ATTEMPTS))
    });
    let compensate_failed =
        step.compensate_failed.unwrap_or(matches!(action.work, Work::Pod(_) | Work::Job(_)));
    let (name, pivot) = (step.name.clone(), step.pivot.unwrap_or_default());
    let unchecked = step.precheck == Some(PrecheckPolicy::Skip);
    ValidStep {
        name,
        depends_on,
        pivot,
        compensate_failed,
        unchecked,
        when,
        action,
        outputs,
        compensation,
    }
}

/// Parses the outputs of a step. Only an HTTP request, an apply and a wait for an object may
/// declare outputs.
fn outputs_of(
    step: &Step,
    action: Option<&Operation>,
    reads: &ReadScope<'_>,
    path: &str,
    faults: &mut Vec<Fault>,
) -> Option<Template> {
    let outputs = read_scope::outputs(
        step.outputs.as_ref(),
        &format!("{path}.outputs"),
        &reads.answer().object(),
        faults,
    );
    if outputs.is_some()
        && !matches!(
            action.map(|action| &action.work),
            Some(Work::Http(_) | Work::Apply(_) | Work::Until(_)) | None
        )
    {
        let message = "are taken from the answer to a request, or from an object: leave them out \
            (the outputs of a pod or a job are the JSON object in its termination message, those \
            of a child saga are its own outputs)";
        faults.push(Fault::new(format!("{path}.outputs"), message));
    }
    outputs
}

/// Returns the compensation of a step.
fn compensation_of(
    step: &Step,
    defaults: &Defaults,
    reads: &ReadScope<'_>,
    path: &str,
    faults: &mut Vec<Fault>,
) -> Option<Operation> {
    let Some(compensation) = &step.compensation else {
        // A child saga runs its own compensations.
        return step.saga.is_some().then(|| undo_saga(defaults, faults));
    };
    let Compensation { timeout, retry, pod, job, http, apply, delete, saga } = compensation;
    let (timeout, retry, one_of) =
        (*timeout, retry.as_ref(), "pod, job, http, apply, delete and saga");
    let actions = WrittenActions { pod, job, http, apply, delete, saga };
    let written =
        WrittenOperation { actions, approval: &None, wait: &None, timeout, retry, one_of };
    let (path, retry) = (format!("{path}.compensation"), defaults.compensation_retry.as_ref());
    operation(&written, defaults, retry, COMPENSATION_ATTEMPTS, &reads.undo(), &path, faults)
}

fn action_of(
    step: &Step,
    defaults: &Defaults,
    reads: &ReadScope<'_>,
    path: &str,
    faults: &mut Vec<Fault>,
) -> Option<Operation> {
    let only_waits =
        step.approval.is_some() || step.wait.as_ref().is_some_and(|wait| wait.until.is_none());
    if only_waits && (step.retry.is_some() || step.compensate_failed.is_some()) {
        let message = "an approval or a wait is never retried automatically, and leaves no work \
            half done: leave retry and compensateFailed out";
        faults.push(Fault::new(path, message));
    }
    let Step { pod, job, http, apply, delete, saga, approval, wait, timeout, retry, .. } = step;
    let (timeout, retry, one_of) =
        (*timeout, retry.as_ref(), "pod, job, http, apply, delete, approval, wait and saga");
    let actions = WrittenActions { pod, job, http, apply, delete, saga };
    let action = WrittenOperation { actions, approval, wait, timeout, retry, one_of };
    let default_retry = defaults.retry.as_ref().filter(|_| !only_waits);
    operation(&action, defaults, default_retry, ACTION_ATTEMPTS, reads, path, faults)
}

fn dependencies(
    step: &Step,
    places: &HashMap<&str, usize>,
    path: &str,
    faults: &mut Vec<Fault>,
) -> Vec<usize> {
    let names = step.depends_on.as_deref().unwrap_or_default();
    if names.len() > MAX_DEPENDENCIES {
        faults.push(Fault::new(format!("{path}.dependsOn"), "may name at most 16 steps"));
    }
    let mut found = Vec::with_capacity(names.len());
    for (nth, name) in names.iter().enumerate() {
        if names.iter().take(nth).any(|earlier| earlier == name) {
            faults.push(Fault::new(
                format!("{path}.dependsOn[{nth}]"),
                "names a step twice: name it once",
            ));
        }
        match places.get(name.as_str()) {
            Some(place) => found.push(*place),
            None => faults.push(Fault::broken(
                format!("{path}.dependsOn[{nth}]"),
                format!(
                    "no step named {name} stands above this one: dependsOn may name only \
                    steps above it in the list"
                ),
            )),
        }
    }
    found
}
