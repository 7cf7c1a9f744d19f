//! Checks one operation: its action, its effective limits and its expressions.

use std::time::Duration;

use super::{
    action, child_saga, floors, job, pod,
    read_scope::ReadScope,
    retry::{self, COMPENSATION_ATTEMPTS},
    taint,
};
use crate::{
    api::{
        AnswerRule, ApplyAction, ApprovalAction, Defaults, GoDuration, HttpAction, JobAction,
        ObjectRef, PodAction, RetryPolicy, SagaAction, WaitAction,
    },
    expression::{program::Expression, template::Template},
    fault::{Fault, is_broken_since},
    model::saga::{Operation, Rule, Work},
};

const HTTP_TIMEOUT: Duration = Duration::from_secs(30);
/// The most rules in `answers`.
const MAX_RULES: usize = 16;
/// The default time limit of every action except an HTTP request and an approval. The time limit of
/// a longer wait is the wait itself.
const TIMEOUT: Duration = Duration::from_hours(1);

/// Returns the compensation of a step that runs a child saga and declares no other compensation.
pub(in crate::validate) fn undo_saga(defaults: &Defaults, faults: &mut Vec<Fault>) -> Operation {
    let timeout = defaults.timeout.and_then(GoDuration::positive).unwrap_or(TIMEOUT);
    // Faults of the defaults were reported where they are written.
    let retry = retry::effective(
        None,
        defaults.compensation_retry.as_ref(),
        COMPENSATION_ATTEMPTS,
        "spec.defaults",
        faults,
    );
    Operation::new(Work::UndoSaga, floors::time_limit(&Work::UndoSaga, timeout), retry)
}

/// The actions that a step and a compensation may be, as written.
#[derive(Clone, Copy)]
pub(in crate::validate) struct WrittenActions<'a> {
    pub(in crate::validate) pod: &'a Option<PodAction>,
    pub(in crate::validate) job: &'a Option<JobAction>,
    pub(in crate::validate) http: &'a Option<HttpAction>,
    pub(in crate::validate) apply: &'a Option<ApplyAction>,
    pub(in crate::validate) delete: &'a Option<ObjectRef>,
    pub(in crate::validate) saga: &'a Option<SagaAction>,
}

/// An operation as written, of a step or of its compensation.
pub(in crate::validate) struct WrittenOperation<'a> {
    pub(in crate::validate) actions: WrittenActions<'a>,
    /// Only a step may be an approval.
    pub(in crate::validate) approval: &'a Option<ApprovalAction>,
    /// Only a step may be a wait.
    pub(in crate::validate) wait: &'a Option<WaitAction>,
    pub(in crate::validate) timeout: Option<GoDuration>,
    pub(in crate::validate) retry: Option<&'a RetryPolicy>,
    /// The actions that the operation may be, in words.
    pub(in crate::validate) one_of: &'static str,
}

pub(in crate::validate) fn operation(
    written: &WrittenOperation<'_>,
    defaults: &Defaults,
    default_retry: Option<&RetryPolicy>,
    attempts: i32,
    reads: &ReadScope<'_>,
    path: &str,
    faults: &mut Vec<Fault>,
) -> Option<Operation> {
    let found_before = faults.len();
    let (work, template) = work(written, reads, path, faults)
        .map_or((None, None), |(work, template)| (Some(work), template));
    let template = work.as_ref().zip(template).map(|(work, template)| {
        reads.template(&template, |keys| taint::is_fixed(work, keys), faults);
        template.without(taint::trusted_fields(work, reads.acceptance()))
    });
    let http = written.actions.http.as_ref();
    let bare = http.and_then(|http| http.expect.as_ref());
    let expect = bare.and_then(|expect| {
        reads.answer().expression(expect, &format!("{path}.http.expect"), faults)
    });
    let answers = http.map(|http| answers(http, reads, path, faults)).unwrap_or_default();
    let until = until_of(written).and_then(|(until, action)| {
        reads.object().expression(until, &format!("{path}.{action}.until"), faults)
    });
    retry::check_duration(written.timeout, &format!("{path}.timeout"), faults);
    // The default time limit does not apply to a wait with a duration: a later edit of the default
    // could make it shorter than the wait, and the wait would always fail.
    let default =
        defaults.timeout.filter(|_| written.wait.as_ref().is_none_or(|wait| wait.until.is_some()));
    let timeout = written.timeout.or(default).and_then(GoDuration::positive);
    let timeout = timeout.unwrap_or(match work {
        Some(Work::Http(_)) => HTTP_TIMEOUT,
        Some(Work::Approval(_)) => Duration::MAX,
        Some(Work::Wait(wait)) => wait.max(TIMEOUT),
        Some(
            Work::Pod(_)
            | Work::Job(_)
            | Work::Apply(_)
            | Work::Delete(_)
            | Work::Until(_)
            | Work::Saga(_)
            | Work::UndoSaga,
        )
        | None => TIMEOUT,
    });
    let timeout = work.as_ref().map_or(timeout, |work| floors::time_limit(work, timeout));
    if matches!(work, Some(Work::Wait(wait)) if timeout < wait) {
        let message = "is longer than the step's timeout, so that the step would always fail: \
            raise timeout, or wait less";
        faults.push(Fault::new(format!("{path}.wait.for"), message));
    }
    let retry =
        retry::effective(written.retry, default_retry, attempts, &format!("{path}.retry"), faults);
    let lost =
        |written: Option<&String>, made: Option<&Expression>| written.is_some() && made.is_none();
    if lost(bare, expect.as_ref())
        || lost(until_of(written).map(|(until, _)| until), until.as_ref())
    {
        return None;
    }
    if http.and_then(|http| http.answers.as_ref()).is_some_and(|rules| rules.len() != answers.len())
    {
        return None;
    }
    let work = work.filter(|_| !is_broken_since(faults, found_before))?;
    Some(Operation { template, expect, answers, until, ..Operation::new(work, timeout, retry) })
}

/// Parses the rules that decide what an answer means.
fn answers(
    http: &HttpAction,
    reads: &ReadScope<'_>,
    path: &str,
    faults: &mut Vec<Fault>,
) -> Vec<Rule> {
    let Some(rules) = &http.answers else { return Vec::new() };
    let path = format!("{path}.http.answers");
    if http.expect.is_some() {
        let message = "set expect or answers: a rule of answers with the outcome Succeeded has the \
            meaning of expect";
        faults.push(Fault::new(&path, message));
    }
    if rules.is_empty() || rules.len() > MAX_RULES {
        faults.push(Fault::new(&path, format!("must have 1 to {MAX_RULES} rules")));
    }
    let judged = reads.judged();
    let mut rule = |(place, rule): (usize, &AnswerRule)| {
        let when = judged.expression(&rule.when, &format!("{path}[{place}].when"), faults)?;
        Some(Rule { when, outcome: rule.outcome })
    };
    rules.iter().enumerate().take(MAX_RULES).filter_map(&mut rule).collect()
}

/// Returns the condition that an object must meet, and the name of the action that holds it.
fn until_of<'a>(written: &WrittenOperation<'a>) -> Option<(&'a String, &'static str)> {
    match (written.actions.apply, written.wait) {
        (Some(apply), _) => apply.until.as_ref().map(|until| (until, "apply")),
        (None, Some(wait)) => wait.until.as_ref().map(|until| (until, "wait")),
        (None, None) => None,
    }
}

/// Checks a wait for a duration, or for a condition of an object.
fn wait_of(
    wait: &WaitAction,
    path: &str,
    faults: &mut Vec<Fault>,
) -> Option<(Work, Option<Template>)> {
    match (wait.duration, &wait.until, &wait.object) {
        (Some(duration), None, None) => {
            retry::check_duration(Some(duration), &format!("{path}.for"), faults);
            duration.positive().map(|wait| (Work::Wait(wait), None))
        }
        (None, Some(_), Some(object)) => action::object(object, &format!("{path}.object"), faults)
            .map(|(object, template)| (Work::Until(object), template)),
        (_, _, _) => {
            faults.push(Fault::broken(path, "set for, or set until and object"));
            None
        }
    }
}

/// Returns the work of an operation, and its template if the operation holds expressions.
fn work(
    written: &WrittenOperation<'_>,
    reads: &ReadScope<'_>,
    path: &str,
    faults: &mut Vec<Fault>,
) -> Option<(Work, Option<Template>)> {
    let WrittenActions { pod, job, http, apply, delete, saga } = written.actions;
    match (pod, job, http, apply, delete, saga, written.approval, written.wait) {
        (Some(pod), None, None, None, None, None, None, None) => {
            pod::pod(pod, &format!("{path}.pod"), faults)
                .map(|(action, template)| (Work::Pod(action), template))
        }
        (None, Some(job), None, None, None, None, None, None) => {
            job::job(job, &format!("{path}.job"), faults)
                .map(|(action, template)| (Work::Job(action), template))
        }
        (None, None, Some(http), None, None, None, None, None) => {
            action::http(http, &format!("{path}.http"), faults)
                .map(|(action, template)| (Work::Http(action), template))
        }
        (None, None, None, Some(apply), None, None, None, None) => {
            action::apply(apply, &format!("{path}.apply"), faults)
                .map(|(action, template)| (Work::Apply(action), template))
        }
        (None, None, None, None, Some(delete), None, None, None) => {
            action::object(delete, &format!("{path}.delete"), faults)
                .map(|(object, template)| (Work::Delete(object), template))
        }
        (None, None, None, None, None, Some(saga), None, None) => {
            child_saga::saga(saga, &format!("{path}.saga"), reads, faults)
                .map(|(action, template)| (Work::Saga(action), template))
        }
        (None, None, None, None, None, None, Some(approval), None) => {
            action::approval(approval, &format!("{path}.approval"), faults)
                .map(|(action, template)| (Work::Approval(action), template))
        }
        (None, None, None, None, None, None, None, Some(wait)) => {
            wait_of(wait, &format!("{path}.wait"), faults)
        }
        (_, _, _, _, _, _, _, _) => {
            faults.push(Fault::broken(
                path,
                format!("has exactly one action: set one of {}", written.one_of),
            ));
            None
        }
    }
}
